"""Workbooks of ledgers: the template with its choices and notes, rows in it, and a file with its faults marked.

What a person types in Excel is read back by :mod:`qinglan.ledger.sheets`. A template has its header in one
language, the other language in row 2 and machine names in the hidden row 3; rows begin in row 4.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from openpyxl import Workbook, load_workbook
from openpyxl.cell.cell import Cell
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.worksheet import Worksheet

from qinglan.core.errors import QinglanError
from qinglan.ledger.cells import fold, place_of, spellings
from qinglan.ledger.declare import Column, Ledger
from qinglan.ledger.explaining import column_note, explain, heading, plain
from qinglan.ledger.filling import EPOCH, row_blocks, settled, style_indices, without_rows
from qinglan.ledger.sheets import ORIGIN, WORDS, located_rows, read_workbook
from qinglan.plan.places import Places, load_places

__all__ = ["FIRST_ROW", "marked", "read_workbook", "template"]

#: Where rows begin in a template, and up to which row its choices reach.
FIRST_ROW, LAST_ROW = 4, 200_003
#: Above so many cells a marked workbook holds only the rows set aside.
MARKED_CELLS = 200_000
_SHEET = "xl/worksheets/sheet1.xml"
_LISTS = "_codes"
_REQUIRED, _SOMETIMES, _PLAIN = (PatternFill("solid", fgColor=c) for c in ("F3D9B1", "FBF0DC", "E6EDF0"))
_MARKS = {
    level: PatternFill("solid", fgColor=colour)
    for level, colour in (("error", "F4B6B0"), ("finding", "F9D7A0"), ("warning", "FBEBC4"), ("note", "DCE9F5"))
}
#: Faults that the list of a marked workbook holds; the counts are on the page of the import.
_LISTED = 20_000
_RANK = ("error", "finding", "warning", "note")
_FORMATS = {
    "date": "yyyy-mm-dd",
    "integer": "0",
    "year": "0",
    "number": "General",
    "lon": "General",
    "lat": "General",
}
_BOOLEANS = {"zh": ("是", "否"), "en": ("yes", "no")}
_FAULTS_SHEET = {"zh": "问题", "en": "Faults"}
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def template(
    ledger: Ledger,
    rows: pl.DataFrame | None = None,
    *,
    lang: str = "zh",
    places: Places | None = None,
    choices: Sequence[str] = (),
) -> bytes:
    """An XLSX to fill in, or filled with rows.

    rows : typed rows; columns that it lacks are left out of the workbook. choices : codes of places for the
    drop-downs of place columns. The same rows give the same bytes.
    """
    columns = [c for c in ledger.columns if rows is None or c.name in rows.columns]
    known = places or load_places()
    book = _book(ledger, columns, lang, [known[code].name for code in choices])
    shown = pl.DataFrame() if rows is None else rows.select(_shown(c, rows[c.name], lang, known) for c in columns)
    return _filled(book, columns, shown)


def _book(ledger: Ledger, columns: Sequence[Column], lang: str, choices: Sequence[str]) -> Workbook:
    book = Workbook()
    book.properties.created = datetime(*EPOCH)  # noqa: DTZ001 (a file's time has no zone)
    sheet = book.worksheets[0]
    sheet.title = re.sub(r"[\[\]:*?/\\]", " ", ledger.title[lang])[:31]
    other = "en" if lang == "zh" else "zh"
    for n, column in enumerate(columns, start=1):
        fill = _REQUIRED if column.required is True else _SOMETIMES if column.required else _PLAIN
        for row, text in ((1, heading(column, lang)), (2, heading(column, other)), (3, column.name)):
            cell = sheet.cell(row, n)
            _write(cell, text)
            cell.fill = fill
            cell.font = Font(bold=row == 1, color="1F2A30" if row == 1 else "6B7A82", size=11 if row == 1 else 9)
            cell.alignment = Alignment(horizontal="center", vertical="center", wrap_text=True)
        sheet.cell(1, n).comment = _comment(column_note(ledger, column, lang))
        form = _format(column)
        sheet.column_dimensions[get_column_letter(n)].width = _width(column, lang)
        sheet.column_dimensions[get_column_letter(n)].number_format = form
        sheet.cell(FIRST_ROW, n).number_format = form
    sheet.row_dimensions[1].height = 34
    sheet.row_dimensions[3].hidden = True
    sheet.freeze_panes = f"{get_column_letter(min(len(columns), 1 + len(ledger.identity)))}{FIRST_ROW}"
    explain(book, ledger, columns, lang)
    _add_choices(book, sheet, columns, lang, choices)
    return book


def _filled(book: Workbook, columns: Sequence[Column], shown: pl.DataFrame) -> bytes:
    """The workbook's bytes with rows from FIRST_ROW on; its own FIRST_ROW only carries the styles of cells."""
    out = io.BytesIO()
    book.save(out)
    archive = out.getvalue()
    styles = style_indices(archive, _SHEET, FIRST_ROW)
    archive = without_rows(archive, _SHEET, [FIRST_ROW])
    if not shown.height:
        return settled(archive)
    indices = [styles.get(get_column_letter(n), 0) for n in range(1, shown.width + 1)]
    return settled(archive, _SHEET, row_blocks(shown, FIRST_ROW, indices))


def _format(column: Column) -> str:
    if column.type == "number" and column.decimals is not None:
        return "0." + "0" * column.decimals if column.decimals else "0"
    return _FORMATS.get(column.type, "@")


def _width(column: Column, lang: str) -> float:
    title = max(len(column.words["zh"]) * 2, len(column.words["en"]) * (1 if lang == "en" else 0.5))
    return max(10.0, min(28.0, title + 4), 20.0 if column.type in ("uscc", "permit") else 0)


def _add_choices(
    book: Workbook, sheet: Worksheet, columns: Sequence[Column], lang: str, places: Sequence[str]
) -> None:
    """Drop-downs from a hidden sheet by named ranges, and limits of numbers and days."""
    lists = book.create_sheet(_LISTS)
    lists.sheet_state = "hidden"
    used = 0
    for n, column in enumerate(columns, start=1):
        words = _choices(column, lang, places)
        reach = f"{get_column_letter(n)}{FIRST_ROW}:{get_column_letter(n)}{LAST_ROW}"
        rule = _limit(column)
        if words:
            used += 1
            letter = get_column_letter(used)
            for row, word in enumerate(words, start=1):
                _write(lists.cell(row, used), word)
            name = f"list_{column.name}"
            book.defined_names[name] = DefinedName(name, attr_text=f"{_LISTS}!${letter}$1:${letter}${len(words)}")
            rule = DataValidation(type="list", formula1=name, allow_blank=True)
        if rule is not None:
            # A warning, not a bar: other spellings are read too, and what cannot be read is told on import.
            rule.errorStyle, rule.showErrorMessage = "warning", True
            rule.error = plain(f"{column.words['zh']} {column.words['en']}")[:200]
            sheet.add_data_validation(rule)
            rule.add(reach)


def _choices(column: Column, lang: str, places: Sequence[str]) -> list[str]:
    if column.type in ("code", "state"):
        return list(_words(column, lang).values())
    if column.type == "boolean":
        return list(_BOOLEANS[lang])
    return list(places) if column.type == "place" else []


def _limit(column: Column) -> DataValidation | None:
    if column.type in ("number", "integer", "year", "lon", "lat") and (
        column.min is not None or column.max is not None
    ):
        kind = "decimal" if column.type in ("number", "lon", "lat") else "whole"
        if column.min is not None and column.max is not None:
            return DataValidation(
                type=kind, operator="between", formula1=f"{column.min:g}", formula2=f"{column.max:g}"
            )
        if column.min is not None:
            return DataValidation(type=kind, operator="greaterThanOrEqual", formula1=f"{column.min:g}")
        return DataValidation(type=kind, operator="lessThanOrEqual", formula1=f"{column.max:g}")
    if column.type == "date":
        return DataValidation(
            type="date", operator="between", formula1="DATE(1900,1,1)", formula2="DATE(2100,12,31)"
        )
    return None


def _words(column: Column, lang: str) -> dict[str, str]:
    """The word that stands for each code; where it would not be read back as that code, the code itself."""
    known = spellings(column)
    words = {code: entry.words[lang] for code, entry in column.codes.items()}
    return {code: word if known.get(fold(word)) == code else code for code, word in words.items()}


def _shown(column: Column, values: pl.Series, lang: str, places: Places) -> pl.Series:
    """Typed values as a workbook shows them; what it shows is read back as the same."""
    if column.type in ("code", "state"):
        words = _words(column, lang)
        return values.replace(words) if words else values
    if column.type == "boolean":
        yes, no = _BOOLEANS[lang]
        return (
            pl.select(pl.when(values).then(pl.lit(yes)).when(~values).then(pl.lit(no)))
            .to_series()
            .alias(column.name)
        )
    if column.type == "place":
        names = {code: _place_name(code, column, places) for code in values.drop_nulls().unique().to_list()}
        return values.replace(names) if names else values
    if column.type == "month":
        return values.dt.strftime("%Y-%m")
    return values


def _place_name(code: str, column: Column, places: Places) -> str:
    try:
        name = places[code].name
    except QinglanError:
        return code
    found = place_of(name, places, column.level)
    return name if found is not None and found.place == code else code


def _write(cell: Cell, text: str) -> None:
    """Text as text: never a formula, whatever it begins with."""
    cell.value = _ILLEGAL.sub("", text)
    cell.data_type = "s"


def _comment(text: str) -> Comment:
    note = Comment(text, "Qinglan")
    note.width, note.height = 320, max(60, 18 * (text.count("\n") + 1 + len(text) // 34))
    return note


# -- faults marked -----------------------------------------------------------------------------------------------


def marked(ledger: Ledger, data: bytes | Path, faults: pl.DataFrame, *, lang: str = "zh") -> bytes:
    """The workbook with its bad cells coloured and explained, to be mended and imported again.

    An XLSX comes back as it was, with marks and a sheet of all faults. A CSV, or a workbook of more than
    MARKED_CELLS cells, comes back as a template with only the rows set aside, their lines in the file and what is
    wrong with each.
    """
    content = data.read_bytes() if isinstance(data, Path) else data
    raw, found = located_rows(ledger, content)
    small = raw.height * max(1, raw.width) <= MARKED_CELLS
    if content[:2] != b"PK" or not small or found.sheet is None:
        return _only_aside(ledger, raw, faults, lang)
    try:
        book = load_workbook(io.BytesIO(content))
        sheet = book[found.sheet]
    except (KeyError, ValueError, TypeError, OSError):  # a file that only the tolerant reader can read
        return _only_aside(ledger, raw, faults, lang)
    places = {**found.columns, **found.others}
    _mark(sheet, places, found.header, faults, lang)
    _fault_sheet(book, ledger, faults, lang)
    out = io.BytesIO()
    book.save(out)
    return settled(out.getvalue())


def _only_aside(ledger: Ledger, raw: pl.DataFrame, faults: pl.DataFrame, lang: str) -> bytes:
    """Rows set aside as they were written, bad cells coloured, with their lines and what is wrong with each."""
    errors = faults.filter((pl.col("level") == "error") & (pl.col("line") > 0))["line"].unique()
    rows = raw.filter(pl.col("_line").is_in(errors.implode()))
    columns = [c for c in ledger.columns if c.name in raw.columns]
    shown = rows.select(c.name for c in columns).with_columns(
        (rows["_origin"].fill_null(rows["_line"]) if "_origin" in rows.columns else rows["_line"]).alias(
            "_origin"
        ),
        _told(ledger, rows["_line"], faults, lang).alias("_words"),
    )
    book = _book(ledger, columns, lang, ())
    sheet = book.worksheets[0]
    other = "en" if lang == "zh" else "zh"
    for n, (words, name) in enumerate(((ORIGIN, "_origin"), (WORDS, "_words")), start=len(columns) + 1):
        for row, text in enumerate((words[lang], words[other], name), start=1):
            _write(sheet.cell(row, n), text)
        sheet.column_dimensions[get_column_letter(n)].width = 12 if name == "_origin" else 60
    samples = {level: FIRST_ROW + n for n, level in enumerate(_RANK, start=1)}
    for n, column in enumerate(columns, start=1):
        for level, row in samples.items():
            sheet.cell(row, n).number_format, sheet.cell(row, n).fill = _format(column), _MARKS[level]
    _fault_sheet(book, ledger, faults, lang)
    out = io.BytesIO()
    book.save(out)
    archive = out.getvalue()
    found = {row: style_indices(archive, _SHEET, row) for row in (FIRST_ROW, *samples.values())}
    archive = without_rows(archive, _SHEET, list(found))
    styles: list[int | pl.Series] = []
    for n, column in enumerate(columns, start=1):
        letter = get_column_letter(n)
        by_level = {level: found[row].get(letter, 0) for level, row in samples.items()}
        styles.append(_cell_styles(rows["_line"], faults, column.name, found[FIRST_ROW].get(letter, 0), by_level))
    return settled(archive, _SHEET, row_blocks(shown, FIRST_ROW, [*styles, 0, 0]))


def _told(ledger: Ledger, lines: pl.Series, faults: pl.DataFrame, lang: str) -> pl.Series:
    """What is wrong with each line, in one text."""
    titles = {c.name: c.words[lang] for c in ledger.columns}
    between, end = ("：", "；") if lang == "zh" else (": ", "; ")
    title = pl.col("column").replace(titles)
    said = faults.select(
        "line", pl.concat_str([title, pl.lit(between), lang, pl.lit(between), f"remedy_{lang}"]).alias("_")
    )
    joined = said.group_by("line", maintain_order=True).agg(pl.col("_").str.join(end))
    return pl.DataFrame({"line": lines}).join(joined, on="line", how="left", maintain_order="left")["_"]


def _cell_styles(
    lines: pl.Series, faults: pl.DataFrame, column: str, plain_style: int, by_level: Mapping[str, int]
) -> int | pl.Series:
    """The style of each cell of a column by the worst that is said of it; one for all where nothing is."""
    rank = {level: n for n, level in enumerate(_RANK)}
    here = faults.filter(pl.col("column") == column).select(
        "line", pl.col("level").replace_strict(rank, return_dtype=pl.Int64).alias("_")
    )
    if not here.height:
        return plain_style
    worst = here.group_by("line").agg(pl.col("_").min())
    found = pl.DataFrame({"line": lines}).join(worst, on="line", how="left", maintain_order="left")["_"]
    indices = {n: by_level[level] for level, n in rank.items()}
    return found.replace_strict(indices, default=plain_style, return_dtype=pl.Int64)


def _mark(sheet: Worksheet, places: Mapping[str, int], header: int, faults: pl.DataFrame, lang: str) -> None:
    """Colour and comment each cell with a fault. places : column of the sheet by name"""
    said: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for fault in faults.iter_rows(named=True):
        row = fault["line"] or header
        said.setdefault((row, places.get(fault["column"], 1)), []).append(fault)
    for (row, column), found in said.items():
        cell = sheet.cell(row, column)
        found.sort(key=lambda fault: _RANK.index(fault["level"]))
        cell.fill = _MARKS[found[0]["level"]]
        words = [
            f"{f[lang]}。{f[f'remedy_{lang}']}" if lang == "zh" else f"{f[lang]}: {f[f'remedy_{lang}']}"
            for f in found
        ]
        cell.comment = _comment(_ILLEGAL.sub("", "\n".join(words))[:2000])


def _fault_sheet(book: Workbook, ledger: Ledger, faults: pl.DataFrame, lang: str) -> None:
    """All faults as a list, so that nothing hides in a comment."""
    name = _FAULTS_SHEET[lang]
    while name in book.sheetnames:
        name += "_"
    sheet = book.create_sheet(name)
    heads = {
        "zh": ("行", "列", "原值", "程度", "问题", "处理"),
        "en": ("Line", "Column", "Value", "Level", "Fault", "Remedy"),
    }
    levels = {"zh": {"error": "未收", "finding": "违规线索", "warning": "提醒", "note": "说明"}}
    titles = {c.name: c.words[lang] for c in ledger.columns}
    sheet.append(heads[lang])
    for at, fault in enumerate(faults.head(_LISTED).iter_rows(named=True), start=2):
        level = levels.get(lang, {}).get(fault["level"], fault["level"])
        title = titles.get(fault["column"], fault["column"])
        sheet.cell(at, 1).value = fault["line"]
        texts = (title, fault["value"], level, fault[lang], fault[f"remedy_{lang}"])
        for place, text in enumerate(texts, start=2):
            _write(sheet.cell(at, place), text or "")
    for letter, width in zip("ABCDEF", (8, 20, 24, 10, 44, 44), strict=True):
        sheet.column_dimensions[letter].width = width
    sheet.freeze_panes = "A2"
