"""A sheet of an Excel workbook as text cells, with row numbers as lines."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from qinglan.connect.reading import RECORD, Records, insist, join_titles, mark_repeats
from qinglan.connect.table.mapping import Layout
from qinglan.core.errors import LayoutError

_SECOND = timedelta(seconds=1)


def read_sheet(path: Path, required: Sequence[str], form: Layout, missing: Sequence[str]) -> Records:
    """Cells of one sheet as text; dates become ``YYYY-MM-DD HH:MM:SS``.

    LayoutError when the workbook, the sheet or a required column is not there.
    """
    rows = _rows(path, form.sheet)
    top = rows[form.header_row - 1 : form.header_row - 1 + form.header_rows]
    if not top:
        raise LayoutError(f"{path.name} has no row {form.header_row}.", remedy="Correct file.header_row.")
    header = join_titles(top)
    while header and not header[-1]:
        header = header[:-1]
    insist(path, required, header, "table")
    names = mark_repeats(header)
    above = form.header_row - 1 + form.header_rows
    tokens, width = set(missing), len(names)
    data, spans = [], []
    for number, row in enumerate(rows[above:], start=above + 1):
        if not any(cell.strip() for cell in row):
            continue
        cells = (row + [""] * width)[:width]
        data.append([None if c.strip() in tokens else c for c in cells])
        spans.append((number, number))
    frame = pl.DataFrame(data, schema=dict.fromkeys(names, pl.String), orient="row").with_row_index(RECORD)
    body = "\n".join("\t".join(row) for row in rows)
    return Records(path, frame.select(*names, RECORD), names, "\t", "xlsx", body, above + 1, spans)


def _rows(path: Path, sheet: str | None) -> list[list[str]]:
    try:
        workbook = load_workbook(path, read_only=True, data_only=True)
    except (OSError, InvalidFileException, zipfile.BadZipFile, KeyError, ValueError) as cause:
        raise LayoutError(
            f"{path.name} cannot be opened as an Excel workbook: {cause}.", remedy="Save it again as .xlsx."
        ) from cause
    try:
        if sheet is not None and sheet not in workbook.sheetnames:
            raise LayoutError(
                f"{path.name} has no sheet {sheet!r}.", remedy=f"It has: {', '.join(workbook.sheetnames)}."
            )
        chosen = workbook[sheet] if sheet is not None else workbook.worksheets[0]
        return [[_text(cell) for cell in row] for row in chosen.iter_rows(values_only=True)]
    finally:
        workbook.close()


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        whole = (cell + _SECOND / 2).replace(microsecond=0)  # Excel keeps times as fractions of a day
        return whole.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, time):
        return cell.strftime("%H:%M:%S")
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).replace("\r", " ").replace("\n", " ").replace("\t", " ")
