"""Numbers as people type them: full-width and Chinese digits, thousands separators, a unit in the cell.

A unit is converted only when it is known without doubt and of the column's dimension; the caller then says so.
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import cache, lru_cache
from typing import Any

import pint

_DIGITS = {c: n for n, c in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2}
_DIGITS |= dict(zip("壹贰叁肆伍陆柒捌玖", range(1, 10), strict=True))
_STEPS = {"十": 10, "百": 100, "千": 1000, "拾": 10, "佰": 100, "仟": 1000}
_GROUPS = {"万": 10_000, "亿": 100_000_000}
#: Words for units in Chinese and spellings that Pint reads as something else (its ``kt`` is a knot).
_WORDS = {
    "吨": "t", "千吨": "1000 t", "公斤": "kg", "千克": "kg", "克": "g", "毫克": "mg",
    "kt": "1000 t", "Mt": "1000000 t",
    "立方米": "m3", "立方": "m3", "升": "L", "平方米": "m2", "公顷": "hectare", "亩": "666.6666666666666 m2",
    "米": "m", "公里": "km", "千米": "km", "厘米": "cm", "毫米": "mm",
    "千瓦时": "kWh", "度": "kWh", "兆瓦时": "MWh", "千瓦": "kW", "兆瓦": "MW",
    "小时": "h", "天": "day", "日": "day", "年": "year", "a": "year", "d": "day", "分钟": "min", "秒": "s",
    "蒸吨/小时": "t/h", "蒸吨": "t/h", "兆焦/千克": "MJ/kg", "%": "percent", "℃": "degC", "°C": "degC",
    "Nm3": "m3", "标立方米": "m3", "hm2": "hectare",
}  # fmt: skip
_AMOUNT = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)", re.DOTALL)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:[, ]\d{3})+(?:\.\d+)?")
_CHINESE = re.compile(r"[零〇一二两三四五六七八九壹贰叁肆伍陆柒捌玖十百千万亿拾佰仟点]+")
_KNOWN = re.compile(r"[A-Za-z%°℃µμ0-9^*/·.\- ]+")
_POWER = re.compile(r"([A-Za-z])(-?[0-9])")


@cache
def _registry() -> Any:
    return pint.UnitRegistry(cache_folder=None)


def read_number(text: str, unit: str) -> tuple[float, bool] | None:
    """The number that a cell means in a column's unit, and whether it was converted; None when it is none.

    >>> read_number("１，２３４.5", "t"), read_number("三十五", "t/h"), read_number("3.5万", "t")
    ((1234.5, False), (35.0, False), (35000.0, False))
    >>> read_number("12 kt", "t"), read_number("35蒸吨/小时", "t/h"), read_number("12 kW", "t") is None
    ((12000.0, True), (35.0, False), True)
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    grouped = _GROUPED.match(plain)
    if grouped:
        plain = grouped[0].replace(",", "").replace(" ", "") + plain[grouped.end() :]
    parts = _AMOUNT.fullmatch(plain)
    if parts is None:
        return _chinese_amount(plain, unit)
    value, rest = float(parts[1]), parts[2].strip()
    if not math.isfinite(value):
        return None
    return _in_unit(value, rest, unit)


def _chinese_amount(plain: str, unit: str) -> tuple[float, bool] | None:
    found = _CHINESE.match(plain)
    value = chinese_number(found[0]) if found else None
    return None if value is None or found is None else _in_unit(value, plain[found.end() :].strip(), unit)


def _in_unit(value: float, written: str, unit: str) -> tuple[float, bool] | None:
    if not written or plain_unit(written) == plain_unit(unit):
        return value, False
    for sign, times in _GROUPS.items():
        if written.startswith(sign) and unit[:1] not in _GROUPS:
            return _in_unit(value * times, written[1:].strip(), unit)
    ratio = unit_ratio(written, unit)
    return None if ratio is None else (value * ratio, ratio != 1.0)


def chinese_number(text: str) -> float | None:
    """A number in Chinese characters; None when it is none.

    >>> chinese_number("一千二百零五"), chinese_number("两万"), chinese_number("三点五"), chinese_number("十")
    (1205.0, 20000.0, 3.5, 10.0)
    """
    whole, point, fraction = text.partition("点")
    if point and (not fraction or any(c not in _DIGITS for c in fraction)):
        return None
    if not whole or any(c not in _DIGITS and c not in _STEPS and c not in _GROUPS for c in whole):
        return None
    if not any(c in _STEPS or c in _GROUPS for c in whole):  # 二〇二五: digit by digit
        whole_value = float("".join(str(_DIGITS[c]) for c in whole))
        return whole_value + _fraction(fraction)
    total = group = digit = 0
    for c in whole:
        if c in _DIGITS:
            digit = _DIGITS[c]
        elif c in _STEPS:
            group += (digit or 1) * _STEPS[c]
            digit = 0
        else:
            total = (total + group + digit or 1) * _GROUPS[c]
            group = digit = 0
    return float(total + group + digit) + _fraction(fraction)


def _fraction(digits: str) -> float:
    return float("0." + "".join(str(_DIGITS[c]) for c in digits)) if digits else 0.0


@lru_cache(maxsize=1024)
def plain_unit(text: str) -> str:
    """A unit's spelling without variants.

    >>> plain_unit("m³") == plain_unit("立方米") == "m3", plain_unit("蒸吨/小时")
    (True, 't/h')
    """
    folded = unicodedata.normalize("NFKC", text).replace(" ", "").replace("−", "-")
    folded = folded.replace("**", "").replace("^", "")
    if folded in _WORDS and not _WORDS[folded][0].isdigit():
        return _WORDS[folded]
    return folded.replace("·", "*")


@lru_cache(maxsize=1024)
def unit_ratio(written: str, unit: str) -> float | None:
    """What a number in `written` is multiplied by to be in `unit`; None where either is unknown or they differ in
    dimension, or the conversion has an offset (temperatures)."""
    one, other = _parsed(written), _parsed(unit)
    if one is None or other is None or one.dimensionality != other.dimensionality:
        return None
    try:
        return float(one.to(other.units).magnitude / other.magnitude)
    except (pint.errors.PintError, ZeroDivisionError):
        return None


def _parsed(text: str) -> Any:
    """The quantity that one of a unit is."""
    folded = unicodedata.normalize("NFKC", text).replace(" ", "").replace("−", "-")
    times = 1.0
    while folded[:1] in _GROUPS:
        times, folded = times * _GROUPS[folded[0]], folded[1:]
    parts = [_WORDS.get(part, part) for part in folded.split("/")]
    joined = " / ".join(f"({part})" for part in parts)
    if not folded or not all(part and _KNOWN.fullmatch(part) for part in parts) or "deg" in joined:
        return None
    try:
        found = _registry().parse_expression(_POWER.sub(r"\1**\2", joined.replace("·", "*")))
    except (pint.errors.PintError, TypeError, ValueError, SyntaxError, AttributeError, ZeroDivisionError):
        return None
    quantity = found if isinstance(found, pint.Quantity) else _registry().Quantity(found)
    return quantity * times


_DEGREES = re.compile(
    r"(?P<d>\d{1,3}(?:\.\d+)?)\s*[°度]\s*(?:(?P<m>\d{1,2}(?:\.\d+)?)\s*['′分]\s*)?"
    r"(?:(?P<s>\d{1,2}(?:\.\d+)?)\s*(?:[\"″秒]|'')\s*)?"
)


def read_degrees(text: str) -> float | None:
    """Degrees out of ``101.76``, ``101°45'36"``, ``东经101度45分36秒`` or ``101.76E``; None when it is none.

    >>> read_degrees("东经101°45′36″"), read_degrees("101.76°E")
    (101.76, 101.76)
    """
    plain = unicodedata.normalize("NFKC", text.replace("″", '"').replace("′", "'")).strip()
    plain = re.sub(r"^(东经|北纬|[EN])\s*|\s*[EN]$", "", plain)
    try:
        return float(plain)
    except ValueError:
        parts = _DEGREES.fullmatch(plain)
    if parts is None or float(parts["m"] or 0) >= 60 or float(parts["s"] or 0) >= 60:
        return None
    return round(float(parts["d"]) + float(parts["m"] or 0) / 60 + float(parts["s"] or 0) / 3600, 7)
