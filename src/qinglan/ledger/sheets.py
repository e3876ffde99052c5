"""Workbooks into text cells: XLSX, XLS, ODS and CSV, with the header wherever it stands and in whatever order.

A header is known by its Chinese or English words, its machine name or its declared synonyms; units in brackets,
stars and spaces do not matter. Nothing of a sheet is lost: a column that is not the ledger's comes along under its
heading.
"""

from __future__ import annotations

import csv
import html
import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

import polars as pl
from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

from qinglan.core.errors import LayoutError
from qinglan.ledger.cells import fold, trimmed
from qinglan.ledger.declare import Ledger

#: The column of a workbook of rows set aside with their lines in the file they came from: `_origin` of `raw`.
ORIGIN = {"zh": "原行号", "en": "Original line"}
#: The column of such a workbook that says what is wrong; not read again.
WORDS = {"zh": "问题说明", "en": "What is wrong"}
#: How far down a header is looked for, and how much of a sheet may be unpacked [byte].
_HEADER_ROWS, _MOST = 30, 2 * 2**30
_CHUNK = 10_000
_BRACKETS = re.compile(r"[(（\[【][^)）\]】]*[)）\]】]")
_LAST = re.compile(_BRACKETS.pattern + r"$")
_STARS = re.compile(r"[*＊△▲]")
_ERROR_CELL = re.compile(rb"<c ([^>]*?)(?:/>|>(.*?)</c>)", re.DOTALL)
_REFERENCE = re.compile(rb'r="([A-Z]+)([0-9]+)"')
_VALUE = re.compile(rb"<v>([^<]*)</v>")
_SUSPECT = re.compile(rb't="e"|<f[ />]')
_FORMULA = re.compile(rb"<f[^>]*?(?:/>|>([^<]*)</f>)")


@dataclass(frozen=True, slots=True)
class Located:
    """Where a ledger's table stands: sheet (None: a CSV), header row and first row of data (1-based).

    columns : column of the sheet (1-based) by column of the ledger; others : the same of what is not the ledger's,
    by heading; origin : column with the lines of an earlier file
    """

    sheet: str | None
    header: int
    first: int
    columns: Mapping[str, int]
    others: Mapping[str, int]
    origin: int | None = None


def read_workbook(ledger: Ledger, data: bytes | Path) -> pl.DataFrame:
    """Text cells of the ledger's table: `_line` (the sheet's row), columns by machine name, others by heading.

    Rows that hold nothing are left out; `_origin` is there when the file has lines of an earlier one. Raises
    LayoutError when it is no workbook or no row of it is a header of this ledger.
    """
    return located_rows(ledger, data)[0]


def located_rows(ledger: Ledger, data: bytes | Path) -> tuple[pl.DataFrame, Located]:
    """:func:`read_workbook` with where the table was found."""
    content = data.read_bytes() if isinstance(data, Path) else data
    if _is_csv(content):
        table = iter(_csv_rows(content))
        head = list(islice(table, _HEADER_ROWS))
        found = _header(ledger, head, None, 0)
        if found is None:
            raise _no_header(ledger)
        return _frame(ledger, found, head, table, 0), found
    return _from_book(ledger, content)


def _no_header(ledger: Ledger) -> LayoutError:
    names = ", ".join(c.words["zh"] for c in ledger.columns[:6])
    return LayoutError(
        f"no sheet has a header of the ledger {ledger.id} ({ledger.title['zh']}).",
        remedy=f"Use its template; its columns begin {names} ...",
    )


def _from_book(ledger: Ledger, content: bytes) -> tuple[pl.DataFrame, Located]:
    if content[:4] == b"PK\x03\x04":
        _bounded(content)
    try:
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
    except CalamineError as error:
        raise LayoutError(
            f"the file cannot be read as a workbook ({error}).", remedy="Send XLSX or CSV."
        ) from None
    best: tuple[int, Located, Any] | None = None
    for meta in book.sheets_metadata:
        if meta.visible != SheetVisibleEnum.Visible:
            continue
        sheet = book.get_sheet_by_name(meta.name)
        offset = sheet.start[1] if sheet.start else 0
        found = _header(ledger, list(islice(sheet.iter_rows(), _HEADER_ROWS)), meta.name, offset)
        if found is not None and (best is None or len(found.columns) > best[0]):
            best = (len(found.columns), found, sheet)
    if best is None:
        raise _no_header(ledger)
    _, found, sheet = best
    table = sheet.iter_rows()
    head = list(islice(table, _HEADER_ROWS))
    offset = sheet.start[1] if sheet.start else 0
    raw = _frame(ledger, found, head, table, offset)
    number = [m.name for m in book.sheets_metadata].index(str(found.sheet))
    return _with_failed(raw, found, _failed_cells(content, number)), found


def _bounded(content: bytes) -> None:
    """LayoutError when the archive would unpack to more than a workbook has."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(info.file_size for info in archive.infolist())
    except zipfile.BadZipFile:
        raise LayoutError("the file is damaged.", remedy="Save it again in Excel and send it once more.") from None
    if size > _MOST:
        raise LayoutError(f"the workbook unpacks to {size / 2**30:.1f} GB.", remedy="Send it in parts.")


# -- the header --------------------------------------------------------------------------------------------------


def _header(ledger: Ledger, rows: Sequence[Sequence[Any]], sheet: str | None, offset: int) -> Located | None:
    """The row that knows most columns; rows below it that know half as many (the other language) belong to it."""
    known = _headings(ledger)
    matches = [sum(1 for cell in row if _named(cell, known)) for row in rows]
    if not matches or not max(matches):
        return None
    at = matches.index(max(matches))
    below = at + 1
    while below < len(rows) and matches[below] * 2 >= matches[at]:
        below += 1
    columns: dict[str, int] = {}
    others: dict[str, int] = {}
    origin = None
    width = max(len(row) for row in rows)
    for n in range(width):
        cell = rows[at][n] if n < len(rows[at]) else ""
        name, place = _named(cell, known), n + 1 + offset
        if name == "_words":
            continue
        if name == "_origin":
            origin = place
        elif name is not None and name not in columns:
            columns[name] = place
        else:
            shown = " ".join(str(cell).split()) or f"{_letters(place)}列 column {_letters(place)}"
            others[
                shown if shown not in others and shown not in ledger.schema else f"{shown} ({_letters(place)})"
            ] = place
    return Located(sheet, at + 1, below + 1, columns, others, origin) if columns else None


def _headings(ledger: Ledger) -> dict[str, str]:
    """Folded headings to machine names: what a column is called goes before what another is also called."""
    words: list[tuple[str, tuple[str, ...]]] = [
        (column.name, (column.name, column.words["zh"], column.words["en"])) for column in ledger.columns
    ]
    words += [("_origin", tuple(ORIGIN.values())), ("_words", tuple(WORDS.values()))]
    words += [(column.name, column.aliases) for column in ledger.columns]
    known: dict[str, str] = {}
    for form in (_whole, _bare):
        for name, spelled in words:
            for word in spelled:
                known.setdefault(form(word), name)
    return known


def _named(cell: Any, known: Mapping[str, str]) -> str | None:
    """The column that a heading means: as it stands, without its last brackets (the unit), without any."""
    if not isinstance(cell, str):
        return None
    forms = (_whole(cell), _whole(_LAST.sub("", cell.strip(" *＊△▲"))), _bare(cell))
    return next((known[form] for form in forms if form and form in known), None)


def _whole(heading: str) -> str:
    return fold(_STARS.sub("", heading))


def _bare(heading: str) -> str:
    return fold(_STARS.sub("", _BRACKETS.sub("", heading)))


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


# -- the cells ---------------------------------------------------------------------------------------------------


def _frame(
    ledger: Ledger, found: Located, head: Sequence[Sequence[Any]], rest: Iterator[Sequence[Any]], offset: int
) -> pl.DataFrame:
    """The table's rows as text, a chunk at a time; a heading without a word and without a cell is no column."""
    wanted = {**found.columns, **found.others}
    if found.origin is not None:
        wanted["_origin"] = found.origin
    parts: list[pl.DataFrame] = []
    line = found.first
    table = chain(head[found.first - 1 :], rest)
    while chunk := list(islice(table, _CHUNK)):
        columns = list(zip_longest(*chunk))
        cells = {name: _texts(columns, place - 1 - offset, len(chunk)) for name, place in wanted.items()}
        lines = pl.Series("_line", range(line, line + len(chunk)), dtype=pl.Int64)
        part = trimmed(pl.DataFrame({"_line": lines, **cells}, schema_overrides=dict.fromkeys(wanted, pl.String)))
        parts.append(part.filter(~pl.all_horizontal(pl.col(name).is_null() for name in wanted)))
        line += len(chunk)
    schema = {"_line": pl.Int64(), **dict.fromkeys(wanted, pl.String())}
    raw = pl.concat([pl.DataFrame(schema=schema), *parts])
    nameless = [name for name in found.others if "列 column " in name and raw[name].null_count() == raw.height]
    raw = raw.drop(nameless)
    return raw.with_columns(pl.col("_origin").cast(pl.Int64, strict=False)) if found.origin is not None else raw


def _texts(columns: Sequence[Sequence[Any]], n: int, height: int) -> Sequence[str | None]:
    """A column's cells as text; one that holds nothing but text is taken as it is."""
    if n >= len(columns):
        return [None] * height
    cells = columns[n]
    return cells if set(map(type, cells)) <= {str} else [_text(value) for value in cells]


def _text(value: Any) -> str | None:
    """A cell as text; numbers without a useless fraction, days as ISO."""
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return None if value is None else str(value)


def _is_csv(content: bytes) -> bool:
    return content[:2] != b"PK" and content[:4] != b"\xd0\xcf\x11\xe0" and b"\x00" not in content[:4096]


def _csv_rows(content: bytes) -> list[list[str]]:
    """Rows of a CSV in UTF-8 or GBK; a quote that keeps a cell from being run as a formula is taken off."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("gb18030")
        except UnicodeDecodeError:
            raise LayoutError("the file is neither a workbook nor UTF-8 or GBK text.") from None
    first = text.partition("\n")[0]
    comma = max(",\t;，", key=first.count)
    rows = csv.reader(
        io.StringIO(text.replace("，", ",") if comma == "，" else text), delimiter="," if comma == "，" else comma
    )
    try:
        return [[c[1:] if c[:1] == "'" and c[1:2] in ("=", "+", "-", "@") else c for c in row] for row in rows]
    except csv.Error as error:
        raise LayoutError(f"the CSV cannot be read ({error}).", remedy="Save it again as CSV UTF-8.") from None


# -- formulas that failed ----------------------------------------------------------------------------------------


def _failed_cells(content: bytes, number: int) -> dict[tuple[int, int], str]:
    """(row, column) to ``#REF!`` or ``=A1+B1``: cells of an XLSX sheet whose formula failed or was not computed.

    The fast reader gives such cells as empty, and an empty cell is another thing.
    """
    if content[:4] != b"PK\x03\x04":
        return {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        path = _sheet_path(archive, number)
        if path is None or not _has_formulas(archive, path):
            return {}
        xml = archive.read(path)
    found: dict[tuple[int, int], str] = {}
    for match in _ERROR_CELL.finditer(xml):
        attributes, inner = match[1], match[2] or b""
        failed = b't="e"' in attributes
        formula = _FORMULA.search(inner)
        value = _VALUE.search(inner)
        if not failed and (formula is None or (value is not None and value[1])):
            continue
        place = _REFERENCE.search(attributes)
        if place is None or (not failed and b"<is>" in inner):
            continue
        said = value[1] if failed and value else b"=" + ((formula[1] or b"") if formula else b"")
        column = 0
        for letter in place[1]:
            column = column * 26 + letter - 64
        found[int(place[2]), column] = html.unescape(said.decode("utf-8", "replace"))
    return found


def _has_formulas(archive: zipfile.ZipFile, path: str) -> bool:
    with archive.open(path) as stream:
        tail = b""
        while block := stream.read(2**20):
            joined = tail + block
            if _SUSPECT.search(joined):
                return True
            tail = joined[-8:]
    return False


def _sheet_path(archive: zipfile.ZipFile, number: int) -> str | None:
    """Path of the n-th sheet in the archive, by the book's own list."""
    try:
        book = archive.read("xl/workbook.xml").decode("utf-8", "replace")
        relations = archive.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
    except KeyError:
        return None
    ids = [m[1] for m in re.finditer(r"<(?:\w+:)?sheet [^>]*?r:id=\"([^\"]+)\"", book)]
    targets: dict[str, str] = {}
    for entry in re.findall(r"<Relationship [^>]*>", relations):
        key, to = re.search(r'\bId="([^"]+)"', entry), re.search(r'\bTarget="([^"]+)"', entry)
        if key and to:
            targets[key[1]] = to[1]
    if number >= len(ids) or ids[number] not in targets:
        return None
    target = targets[ids[number]]
    path = target[1:] if target.startswith("/") else f"xl/{target}"
    return path if path in archive.namelist() else None


def _with_failed(raw: pl.DataFrame, found: Located, failed: Mapping[tuple[int, int], str]) -> pl.DataFrame:
    """What failed formulas say, in their cells."""
    if not failed:
        return raw
    names = {place: name for name, place in {**found.columns, **found.others}.items()}
    by_column: dict[str, dict[int, str]] = {}
    for (line, place), said in failed.items():
        name = names.get(place, "")
        if line >= found.first and name in raw.columns:
            by_column.setdefault(name, {})[line] = said
    lines = sorted({line for cells in by_column.values() for line in cells} - set(raw["_line"].to_list()))
    if lines:
        raw = pl.concat([raw, pl.DataFrame({"_line": lines})], how="diagonal").sort("_line")
    return raw.with_columns(
        pl.col("_line")
        .replace_strict(cells, default=None, return_dtype=pl.String)
        .fill_null(pl.col(name))
        .alias(name)
        for name, cells in by_column.items()
    )
