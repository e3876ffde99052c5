"""What a workbook says about its ledger: headings, the note at each column, the sheet of explanations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font

from qinglan.ledger.declare import Column, Ledger

_TITLE = {"zh": "填写说明", "en": "Explanations"}
_TYPES = {
    "text": ("文字", "text"), "integer": ("整数", "whole number"), "number": ("数", "number"),
    "boolean": ("是或否", "yes or no"), "date": ("日期，如2024-06-28", "day such as 2024-06-28"),
    "month": ("月份，如2024-06", "month such as 2024-06"), "year": ("年份，如2024", "year such as 2024"),
    "code": ("从下拉列表选择", "choose from the list"), "state": ("从下拉列表选择", "choose from the list"),
    "place": ("区划代码或全称", "division code or full name"),
    "uscc": ("18位统一社会信用代码", "credit code of eighteen characters"),
    "permit": ("22位排污许可证编号", "permit number of twenty-two characters"),
    "lon": ("度，WGS-84", "degrees, WGS-84"), "lat": ("度，WGS-84", "degrees, WGS-84"),
    "wkt": ("WKT图形，WGS-84", "WKT, WGS-84"), "reference": ("编号", "number of a row elsewhere"),
}  # fmt: skip
_WORDS = {
    "zh": {
        "required": "必填", "sometimes": "符合条件时必填：{rule}", "optional": "选填", "unit": "单位：{unit}",
        "range": "范围：{low}～{high}", "refers": "须在{refers}中", "personal": "个人信息，按权限显示",
        "columns": "各列", "codes": "代码", "checks": "校验", "deadlines": "期限", "states": "状态变化",
        "article": "方案第{n}条", "keeper": "主管部门：{keeper}",
        "error": "不收", "warning": "提醒", "finding": "违规线索",
        "header": ("列", "名称", "类型", "单位", "是否必填", "说明"), "to": "可变为",
    },
    "en": {
        "required": "required", "sometimes": "required where {rule}", "optional": "optional",
        "unit": "unit: {unit}", "range": "from {low} to {high}", "refers": "must stand in {refers}",
        "personal": "personal: shown as rights allow",
        "columns": "Columns", "codes": "Codes", "checks": "Checks", "deadlines": "Deadlines", "states": "States",
        "article": "article {n} of the plan", "keeper": "kept by: {keeper}",
        "error": "refused", "warning": "warning", "finding": "finding",
        "header": ("Column", "Name", "Type", "Unit", "Required", "Note"), "to": "may become",
    },
}  # fmt: skip


def plain(text: str) -> str:
    """Text on one line."""
    return " ".join(text.split())


def heading(column: Column, lang: str) -> str:
    """A column's heading: its words, unit and whether it is required (``*`` always, ``△`` sometimes)."""
    unit = f"（{column.unit}）" if lang == "zh" else f" ({column.unit})"
    mark = " *" if column.required is True else " △" if column.required else ""
    return f"{column.words[lang]}{unit if column.unit not in ('', '1') else ''}{mark}"


def _kind(column: Column, lang: str) -> str:
    return _TYPES[column.type][0 if lang == "zh" else 1]


def _need(column: Column, lang: str) -> str:
    words = _WORDS[lang]
    if column.required is True:
        return str(words["required"])
    return str(words["sometimes"]).format(rule=column.required) if column.required else str(words["optional"])


def column_note(ledger: Ledger, column: Column, lang: str) -> str:
    """What the note at a column's heading says, a line each."""
    words = _WORDS[lang]
    lines = [_kind(column, lang), _need(column, lang)]
    if column.unit not in ("", "1"):
        lines.append(str(words["unit"]).format(unit=column.unit))
    if column.min is not None or column.max is not None:
        ends = ["…" if end is None else f"{end:g}" for end in (column.min, column.max)]
        lines.append(str(words["range"]).format(low=ends[0], high=ends[1]))
    if column.refers:
        lines.append(str(words["refers"]).format(refers=column.refers))
    if column.about:
        lines.append(column.about[lang])
    if column.personal:
        lines.append(str(words["personal"]))
    lines += [f"{words[c.level]}：{c.message[lang]}" for c in ledger.checks if c.on == column.name]
    return "\n".join(plain(line) for line in lines)


def explain(book: Workbook, ledger: Ledger, columns: Sequence[Column], lang: str) -> None:
    """Add the sheet of explanations: columns, codes, states, checks with their article, deadlines."""
    sheet = book.create_sheet(_TITLE[lang])
    strong, wrapped = Font(bold=True), Alignment(vertical="top", wrap_text=True)
    for row, line in enumerate(_lines(ledger, columns, lang), start=1):
        for n, text in enumerate(line, start=1):
            if not text:
                continue
            cell = sheet.cell(row, n)
            cell.value, cell.data_type = text, "s"
            if len(line) == 1:
                cell.font = strong
            else:
                cell.alignment = wrapped
    for letter, width in zip("ABCDEF", (24, 30, 22, 12, 34, 50), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "A2"


def _lines(ledger: Ledger, columns: Sequence[Column], lang: str) -> Iterator[tuple[str, ...]]:
    words = _WORDS[lang]
    yield (ledger.title[lang],)
    yield ("", ledger.about[lang])
    yield ("", str(words["keeper"]).format(keeper=ledger.keeper))
    yield (str(words["columns"]),)
    yield tuple(words["header"])
    for column in columns:
        about = [column.about.get(lang, ""), str(words["personal"]) if column.personal else ""]
        unit = "" if column.unit == "1" else column.unit
        yield (
            column.words["zh"], column.words["en"], _kind(column, lang), unit, _need(column, lang),
            " ".join(part for part in about if part),
        )  # fmt: skip
    yield (str(words["codes"]),)
    for column in columns:
        for n, code in enumerate(column.codes.values()):
            yield (column.words[lang] if n == 0 else "", f"{code.words['zh']} {code.words['en']}", code.code)
    if ledger.states:
        yield (str(words["states"]),)
        for start, ends in ledger.states.moves.items():
            told = ", ".join(ledger.states.words[end][lang] for end in ends) or "—"
            yield (ledger.states.words[start][lang], str(words["to"]), told)
    yield from _rules(ledger, lang)


def _rules(ledger: Ledger, lang: str) -> Iterator[tuple[str, ...]]:
    words = _WORDS[lang]

    def article(number: int | None) -> str:
        return "" if number is None else str(words["article"]).format(n=number)

    yield (str(words["checks"]),)
    for check in ledger.checks:
        yield (
            str(words[check.level]),
            check.message[lang],
            article(check.article),
            "",
            check.remedy[lang],
            check.source,
        )
    if ledger.deadlines:
        yield (str(words["deadlines"]),)
        for deadline in ledger.deadlines:
            due = (
                deadline.due
                if deadline.after is None
                else f"{deadline.due} + {deadline.after[1]} {deadline.after[0]}"
            )
            yield (due, deadline.message[lang], article(deadline.article))
