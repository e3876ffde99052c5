"""What can be wrong with a cell: a closed list of codes, each with its words and what to do, in both languages.

``{value}`` in a text is the raw cell; the other names in braces are facts of the column or of the case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

#: How much a fault weighs: the row is refused, shown, taken in as a breach of the plan, or only told.
LEVELS: tuple[str, ...] = ("error", "warning", "finding", "note")


@dataclass(frozen=True, slots=True)
class Fault:
    """A code with its level, its words and its remedy (``zh``, ``en``)."""

    code: str
    level: str
    words: Mapping[str, str]
    remedy: Mapping[str, str]


def _fault(code: str, zh: str, en: str, remedy_zh: str, remedy_en: str, level: str = "error") -> Fault:
    return Fault(code, level, {"zh": zh, "en": en}, {"zh": remedy_zh, "en": remedy_en})


_ALL = (
    _fault("missing", "必填项为空", "a required cell is empty", "请填写{column_zh}", "fill in {column_en}"),
    _fault(
        "bad_number", "“{value}”不是数", "'{value}' is not a number",
        "请填数，单位为{unit}", "write a number; the unit is {unit}",
    ),
    _fault(
        "bad_date", "“{value}”不是有效日期", "'{value}' is not a date",
        "请按{form}填写", "write it as {form}",
    ),
    _fault(
        "bad_boolean", "“{value}”不是是或否", "'{value}' is neither yes nor no",
        "请填是或否", "write yes or no",
    ),
    _fault(
        "unknown_code", "“{value}”不在代码表中", "'{value}' is not in the list of codes",
        "请从下拉列表中选择：{known_zh}", "choose from the list: {known_en}",
    ),
    _fault(
        "unknown_place", "没有名为“{value}”的地方，或不止一处", "no place, or more than one, is called '{value}'",
        "请填区划代码或全称{level_zh}", "write the division code or the full name{level_en}",
    ),
    _fault(
        "out_of_scope", "“{value}”不在您的管辖范围", "'{value}' lies outside your area",
        "请核对地点，或请有权限的单位填报", "check the place, or have it entered by the office in charge",
    ),
    _fault(
        "out_of_range", "{value}超出允许范围{range}", "{value} is outside {range}",
        "请核对数值和单位（{unit}）", "check the number and its unit ({unit})",
    ),
    _fault(
        "bad_pattern", "“{value}”的格式不对", "'{value}' does not have the form asked for",
        "请按格式填写：{pattern}", "follow the form {pattern}",
    ),
    _fault(
        "bad_uscc", "“{value}”不是有效的统一社会信用代码（{why_zh}）",
        "'{value}' is not a valid credit code ({why_en})",
        "请对照营业执照更正（GB 32100-2015）", "correct it from the business licence (GB 32100-2015)",
    ),
    _fault(
        "bad_permit", "“{value}”不是有效的排污许可证编号（{why_zh}）",
        "'{value}' is not a permit number ({why_en})",
        "应为统一社会信用代码加三位数字加一个字母", "it is a credit code, three digits and a letter",
    ),
    _fault(
        "bad_geometry", "“{value}”不是有效的图形", "'{value}' is not a valid geometry",
        "请填WKT（WGS-84经纬度）", "write WKT in WGS-84 degrees",
    ),
    _fault(
        "outside_place", "坐标{value}不在{place}范围内", "{value} does not lie in {place}",
        "请核对经纬度或所在地", "check longitude and latitude, or the place", "warning",
    ),
    _fault(
        "unknown_reference", "{refers}中没有“{value}”", "'{value}' is not in {refers}",
        "请先在{refers}登记，或更正编号", "enter it in {refers} first, or correct the number",
    ),
    _fault(
        "duplicate_identity", "与第{line}行重复（{value}）", "the same row stands in line {line} ({value})",
        "请保留一行，或更正标识", "keep one of them, or correct the identity",
    ),
    _fault(
        "illegal_move", "状态不能由“{from_zh}”改为“{to_zh}”", "the state cannot go from {from_en} to {to_en}",
        "可改为：{known_zh}", "it may become: {known_en}",
    ),
    _fault(
        "unknown_column", "表头“{value}”不是本台账的列", "'{value}' is not a column of this ledger",
        "该列未读入；请使用模板的表头", "the column was not read; use the header of the template", "warning",
    ),
    _fault(
        "missing_column", "缺少必填列“{value}”", "the required column '{value}' is not there",
        "请使用模板，补上该列", "use the template and add the column",
    ),
    _fault("check_failed", "{message_zh}", "{message_en}", "{remedy_zh}", "{remedy_en}"),
    _fault(
        "formula_error", "单元格公式有误（{value}）", "the cell holds a formula that fails ({value})",
        "请改填数值", "write the value itself",
    ),
    _fault(
        "not_yours", "“{value}”不属于您的单位", "'{value}' does not belong to you",
        "只能填报本单位的数据", "enter only what is your own",
    ),
    _fault(
        "converted", "“{value}”已按{unit}换算为{became}", "'{value}' was converted to {became} {unit}",
        "请核对换算结果", "check the result", "note",
    ),
)  # fmt: skip

#: Every code in the order of the contract.
FAULTS: Mapping[str, Fault] = {fault.code: fault for fault in _ALL}

#: The frame of faults: `line` 0 is the file's header.
FAULT_SCHEMA: Mapping[str, pl.DataType] = {
    "line": pl.Int64(),
    **dict.fromkeys(
        ("column", "code", "value", "level", "check", "zh", "en", "remedy_zh", "remedy_en"), pl.String()
    ),
}
_NAMED = re.compile(r"\{(\w+)\}")
_SHOWN = 60

#: A fact of a fault: the same for all its cells, or one for each.
Fact = str | pl.Series


def fault_rows(
    code: str, lines: pl.Series, column: str, values: pl.Series, *, level: str = "", check: str = "", **facts: Fact
) -> pl.DataFrame:
    """One row of FAULT_SCHEMA for each line, with its words made from the raw values and the facts.

    >>> rows = fault_rows("bad_boolean", pl.Series([7]), "built_up", pl.Series(["也许"]))
    >>> rows["zh"].item(), rows["en"].item()
    ('“也许”不是是或否', "'也许' is neither yes nor no")
    """
    fault = FAULTS[code]
    values = values.fill_null("").cast(pl.String)
    shown = values.str.slice(0, _SHOWN)
    frame = pl.DataFrame({"line": lines.cast(pl.Int64), "value": values})
    given = {"value": shown, **facts}
    texts = {
        "zh": fault.words["zh"],
        "en": fault.words["en"],
        "remedy_zh": fault.remedy["zh"],
        "remedy_en": fault.remedy["en"],
    }
    return frame.select(
        "line",
        pl.lit(column).alias("column"),
        pl.lit(code).alias("code"),
        "value",
        pl.lit(level or fault.level).alias("level"),
        pl.lit(check).alias("check"),
        *(pl.concat_str(_parts(text, given)).alias(name) for name, text in texts.items()),
    )


def _parts(text: str, facts: Mapping[str, Fact]) -> Sequence[pl.Expr]:
    """A text as literal pieces and the facts between them."""
    pieces = _NAMED.split(text)
    return [
        pl.lit(facts.get(piece, "")) if n % 2 else pl.lit(piece)
        for n, piece in enumerate(pieces)
        if n % 2 or piece or len(pieces) == 1
    ]
