"""From text cells to typed values, a whole column at a time.

Most cells are read by Polars; the few distinct texts that it cannot read are read one by one (Chinese digits, a
unit in the cell, degrees and minutes). Every reading gives the values, which cells were bad and which converted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import polars as pl

from qinglan.core.errors import QinglanError
from qinglan.ledger.declare import Column
from qinglan.ledger.identifiers import permit_fault, uscc_fault
from qinglan.ledger.quantities import read_degrees, read_number
from qinglan.plan.places import LEVELS, Place, Places

#: What people write where there is nothing to write; only in cells that are not text.
NOTHING = ("-", "--", "—", "——", "/", "\\", "／")
_YES = ("是", "有", "true", "yes", "y", "1", "√", "对", "已", "t", "1.0")
_NO = ("否", "无", "false", "no", "n", "0", "×", "x", "不是", "未", "没有", "f", "0.0")
_SPACES = " \t\r\n\u00a0\u3000\u200b\ufeff"
#: Control signs: XML has no way to write them, and no cell means them.
_CONTROL = r"[\x00-\x08\x0b-\x1f\x7f\x{fffe}\x{ffff}]"
_FORMULA = r"^(=.*|#(REF!|N/A|VALUE!|DIV/0!|NAME\?|NULL!|NUM!|SPILL!|CALC!|FIELD!|BLOCKED!))$"
#: Excel's day numbers that can be meant as a date: 1950-01-01 to 2099-12-31; day 0 is 1899-12-30.
_SERIALS = (18264, 73050)


@dataclass
class Read:
    """A column read: typed `values`; `bad` cells as line masks by fault code; facts of bad texts by text.

    why : raw text to what the words of its fault need; converted : mask of cells whose unit was converted
    """

    values: pl.Series
    bad: dict[str, pl.Series] = field(default_factory=dict)
    why: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    converted: pl.Series | None = None


def trimmed(raw: pl.DataFrame) -> pl.DataFrame:
    """Cells without the spaces around them and without what no workbook can hold; empty ones are null."""
    cells = [c for c in raw.columns if not c.startswith("_")]
    if not cells:
        return raw
    held = raw.select(pl.col(cells).str.contains(_CONTROL).any())
    odd = [c for c in cells if held[c].item()]
    if odd:
        raw = raw.with_columns(pl.col(odd).str.replace_all("\r\n?", "\n").str.replace_all(_CONTROL, ""))
    bare = pl.col(cells).str.strip_chars(_SPACES)
    return raw.with_columns(pl.when(bare != "").then(bare))


def formulas(raw: pl.DataFrame, columns: Sequence[str]) -> dict[str, pl.Series]:
    """Which cells hold a formula, or what is left of one that failed, by column that has any."""
    if not columns:
        return {}
    found = raw.select(pl.col(columns).str.contains(_FORMULA).fill_null(False))
    some = found.select(pl.all().any())
    return {name: found[name] for name in columns if some[name].item()}


def read_column(column: Column, text: pl.Series, places: Places) -> Read:
    """Read a column of trimmed text; formulas must have been taken out."""
    if column.type in ("text", "reference", "wkt"):
        return Read(text)
    meant = _plain(text)
    readers: dict[str, Callable[[Column, pl.Series], Read]] = {
        "number": _numbers,
        "integer": _integers,
        "year": _years,
        "boolean": _booleans,
        "date": _dates,
        "month": _months,
        "code": _codes,
        "state": _codes,
        "lon": _degrees,
        "lat": _degrees,
        "uscc": _identifiers,
        "permit": _identifiers,
    }
    if column.type == "place":
        return _places(column, meant, places)
    return readers[column.type](column, meant)


def _plain(text: pl.Series) -> pl.Series:
    """Half-width text without marks that say nothing."""
    if text.null_count() == len(text):
        return text
    folded = text.str.normalize("NFKC").str.strip_chars(_SPACES)
    return pl.select(pl.when(~folded.is_in(NOTHING)).then(folded)).to_series().alias(text.name)


def _distinct(text: pl.Series, read: Callable[[str], Any]) -> dict[str, Any]:
    return {word: read(word) for word in text.drop_nulls().unique(maintain_order=True).to_list()}


def _mapped(text: pl.Series, meaning: Mapping[str, Any], dtype: pl.DataType) -> pl.Series:
    if not meaning:
        return pl.Series(text.name, [None] * len(text), dtype=dtype)
    known = {word: value for word, value in meaning.items() if value is not None}
    return (
        text.replace_strict(known, default=None, return_dtype=dtype)
        if known
        else text.clear(len(text)).cast(dtype)
    )


def _numbers(column: Column, text: pl.Series) -> Read:
    values = text.cast(pl.Float64, strict=False)
    finite = values.is_finite().fill_null(False)
    odd = text.is_not_null() & ~finite
    converted = None
    if odd.any():
        found = _distinct(text.filter(odd), lambda word: read_number(word, column.unit))
        numbers = {word: pair[0] for word, pair in found.items() if pair is not None}
        others = _mapped(text, numbers, pl.Float64())
        values = pl.select(pl.when(finite).then(values).otherwise(others)).to_series()
        changed = [word for word, pair in found.items() if pair is not None and pair[1]]
        converted = text.is_in(changed).fill_null(False) if changed else None
    return _ranged(column, Read(values, {"bad_number": text.is_not_null() & values.is_null()}, {}, converted))


def _ranged(column: Column, read: Read) -> Read:
    """Numbers outside the column's limits are bad and emptied."""
    values = read.values
    outside = pl.Series([False]).new_from_index(0, len(values))
    if column.min is not None:
        outside |= (values < column.min).fill_null(False)
    if column.max is not None:
        outside |= (values > column.max).fill_null(False)
    if outside.any():
        read.values = pl.select(pl.when(~outside).then(values)).to_series()
        read.bad["out_of_range"] = outside
    return read


def _integers(column: Column, text: pl.Series) -> Read:
    read = _numbers(column, text)
    broken = (read.values != read.values.round()).fill_null(False)
    read.bad["bad_number"] = read.bad["bad_number"] | broken
    read.values = pl.select(pl.when(~broken).then(read.values)).to_series().cast(pl.Int64, strict=False)
    return read


def _years(column: Column, text: pl.Series) -> Read:
    plain = text.str.replace(r"^(\d{4})(?:年度?|\.0|-\d\d?-\d\d?)$", "${1}")
    return _integers(column, plain)


def _degrees(column: Column, text: pl.Series) -> Read:
    values = text.cast(pl.Float64, strict=False)
    odd = text.is_not_null() & ~values.is_finite().fill_null(False)
    if odd.any():
        values = pl.select(
            pl.coalesce(values, _mapped(text, _distinct(text.filter(odd), read_degrees), pl.Float64()))
        ).to_series()
    return _ranged(column, Read(values, {"bad_number": text.is_not_null() & values.is_null()}))


def _booleans(column: Column, text: pl.Series) -> Read:
    meaning = dict.fromkeys(_YES, True) | dict.fromkeys(_NO, False)
    values = _mapped(text.str.to_lowercase(), meaning, pl.Boolean())
    return Read(values, {"bad_boolean": text.is_not_null() & values.is_null()})


def day_of(text: pl.Expr) -> pl.Expr:
    """The day that is written as 2024-06-28, 2024/6/28, 2024.6.28, 2024年6月28日, 20240628 or Excel's number.

    A time after it is left out.
    """
    plain = text.str.replace(r"[ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?$", "")
    parts = plain.str.extract_groups(r"^(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*日?$")
    joined = pl.concat_str([parts.struct.field(n) for n in ("1", "2", "3")], separator="-")
    number = plain.str.replace(r"\.0+$", "")
    compact = pl.when(number.str.contains(r"^\d{8}$")).then(number).str.to_date("%Y%m%d", strict=False)
    serial = pl.when(number.str.contains(r"^\d{5}$")).then(number).cast(pl.Int32, strict=False)
    serial = pl.when(serial.is_between(*_SERIALS)).then(serial)
    from_serial = pl.date(1899, 12, 30) + pl.duration(days=serial)
    found = pl.coalesce(joined.str.to_date("%Y-%m-%d", strict=False), compact, from_serial)
    return pl.when(found.dt.year().is_between(1900, 2100)).then(found)


def _by_text(text: pl.Series, reading: pl.Expr) -> pl.Series:
    """Each distinct text is read once; spellings are many and texts few."""
    distinct = pl.DataFrame({"text": text}).unique()
    known = distinct.with_columns(reading.alias("value"))
    return pl.DataFrame({"text": text}).join(
        known, on="text", how="left", maintain_order="left", nulls_equal=True
    )["value"]


def _dates(column: Column, text: pl.Series) -> Read:
    values = _by_text(text, day_of(pl.col("text")))
    return Read(values, {"bad_date": text.is_not_null() & values.is_null()})


def _months(column: Column, text: pl.Series) -> Read:
    plain = pl.col("text").str.replace(r"^(\d{4})\s*[-/.年]\s*(\d{1,2})\s*月?$", "${1}-${2}-1")
    plain = plain.str.replace(r"^(\d{4})(\d{2})$", "${1}-${2}-1")
    values = _by_text(text, day_of(plain).dt.month_start())
    return Read(values, {"bad_date": text.is_not_null() & values.is_null()})


def fold(text: str) -> str:
    """A word as it is compared: half-width, without case and spaces."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def spellings(column: Column) -> dict[str, str]:
    """Every folded spelling of a column's codes to the code; a spelling that means two codes is none.

    Numbers in Excel lose their leading zeros, so ``1`` is read as ``01`` where nothing else is ``1``.
    """
    meaning: dict[str, str | None] = {}
    for code in column.codes.values():
        words = {fold(code.words["zh"]), fold(code.words["en"]), *(fold(alias) for alias in code.aliases)}
        for word in words:
            meaning[word] = code.code if meaning.get(word, code.code) == code.code else None
    exact = {fold(code): code for code in column.codes}
    short = {code.lstrip("0"): code for code in column.codes if code.isdigit() and code.startswith("0")}
    return short | {word: code for word, code in meaning.items() if code is not None} | exact


def _codes(column: Column, text: pl.Series) -> Read:
    known = spellings(column)
    values = _mapped(text, _distinct(text, lambda word: known.get(fold(word))), pl.String())
    return Read(values, {"unknown_code": text.is_not_null() & values.is_null()})


def _identifiers(column: Column, text: pl.Series) -> Read:
    values = text.str.to_uppercase().str.replace_all(r"\s", "")
    judge = uscc_fault if column.type == "uscc" else permit_fault
    faults = {word: fault for word, fault in _distinct(values, judge).items() if fault}
    if not faults:
        return Read(values)
    bad = values.is_in(list(faults)).fill_null(False)
    why = {word: {"why_zh": said["zh"], "why_en": said["en"]} for word, said in faults.items()}
    return Read(pl.select(pl.when(~bad).then(values)).to_series(), {f"bad_{column.type}": bad}, why)


def place_of(text: str, places: Places, level: str) -> Place | None:
    """The place that a text means: code, name, alias, or a name with those of the places around it before it.

    level : it, or anything finer; empty for any. None when there is none, or more than one.

    >>> from qinglan.plan.places import load_places
    >>> place_of("青海省海西州格尔木市", load_places(), "county").place
    '632801'
    """
    found = _find(text.removesuffix(".0"), places, level, None)
    if found is None or not level:
        return found
    return found if LEVELS.index(found.level) >= LEVELS.index(level) else None


def _find(text: str, places: Places, level: str, within: str | None) -> Place | None:
    names, beginnings = _spelled(places)
    if text in places or fold(text) in names:
        for wanted in dict.fromkeys((level or None, None)):
            try:
                return places.find(text, level=wanted, within=within)
            except QinglanError:
                continue
    for name, outer in beginnings.get(text[:2], ()):
        if text.startswith(name) and (within is None or places.is_within(outer.place, within)):
            rest = text[len(name) :].strip(" -/·,，")
            found = _find(rest, places, level, outer.place) if rest else None
            if found is not None:
                return found
    return None


@lru_cache(maxsize=4)
def _spelled(places: Places) -> tuple[frozenset[str], Mapping[str, list[tuple[str, Place]]]]:
    """Every folded name, and by its first two characters what a province or prefecture is called."""
    names = frozenset(fold(name) for place in places for name in place.names())
    beginnings: dict[str, list[tuple[str, Place]]] = {}
    for place in places:
        if place.level in ("country", "province", "prefecture"):
            for name in place.names():
                if len(name) > 1:
                    beginnings.setdefault(name[:2], []).append((name, place))
    for entries in beginnings.values():
        entries.sort(key=lambda entry: -len(entry[0]))
    return names, beginnings


def _places(column: Column, text: pl.Series, places: Places) -> Read:
    found = _distinct(text, lambda word: place_of(word, places, column.level))
    codes = {word: place.place for word, place in found.items() if place is not None}
    values = _mapped(text, codes, pl.String())
    return Read(values, {"unknown_place": text.is_not_null() & values.is_null()})
