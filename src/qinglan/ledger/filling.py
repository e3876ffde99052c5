"""Rows into the sheet of a workbook that stands already, many at a time.

openpyxl makes the workbook: header, styles, choices, notes. Its rows are written here, as the XML of the sheet:
a hundred thousand rows take seconds, and no cell is ever a formula (texts are inline strings). Every archive has
the same time, so that equal content gives equal bytes.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date

import polars as pl
from openpyxl.utils import get_column_letter

#: The time that every file in an archive carries, and that the workbook says it was made.
EPOCH = (2000, 1, 1, 0, 0, 0)
_STAMP = b"2000-01-01T00:00:00Z"
_CHUNK = 5_000
_EXCEL_ZERO = date(1899, 12, 30)
_ILLEGAL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]"
_END = re.compile(rb"</sheetData>|<sheetData\s*/>")
_DIMENSION = re.compile(rb"<dimension [^>]*/>")
_MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*")


def settled(archive: bytes, path: str = "", rows: Iterator[bytes] | None = None) -> bytes:
    """The archive again with fixed times; `rows`: XML that goes to the end of the sheet at `path`."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename == "docProps/core.xml":
                data = _MODIFIED.sub(rb"\g<1>" + _STAMP, data)
            entry = zipfile.ZipInfo(info.filename, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with new.open(entry, "w", force_zip64=True) as stream:
                end = _END.search(data) if rows is not None and info.filename == path else None
                if end is None or rows is None:
                    stream.write(data)
                    continue
                before = _DIMENSION.sub(b"", data[: end.start()], count=1)
                stream.write(before + (b"" if end[0] == b"</sheetData>" else b"<sheetData>"))
                for block in rows:
                    stream.write(block)
                stream.write(b"</sheetData>" + data[end.end() :])
    return out.getvalue()


def row_blocks(frame: pl.DataFrame, first: int, styles: Sequence[int | pl.Series]) -> Iterator[bytes]:
    """The frame's rows as XML of a sheet, from row `first` on.

    frame : cells in the order of the sheet's columns: numbers, days, texts; styles : index of the style of each
    column, or of each of its cells (such cells are there even when they are empty)
    """
    for start in range(0, frame.height, _CHUNK):
        part = frame.slice(start, _CHUNK)
        lines = pl.Series("_", range(first + start, first + start + part.height), dtype=pl.Int64).cast(pl.String)
        cells = [
            _cell(pl.col(name), part.schema[name], get_column_letter(n), _part(style, start), lines)
            for n, (name, style) in enumerate(zip(part.columns, styles, strict=True), start=1)
        ]
        row = pl.concat_str([pl.lit('<row r="'), pl.lit(lines), pl.lit('">'), *cells, pl.lit("</row>")])
        yield "".join(part.select(row.alias("_")).to_series().to_list()).encode()


def _part(style: int | pl.Series, start: int) -> int | pl.Series:
    return style if isinstance(style, int) else style.slice(start, _CHUNK).cast(pl.String)


def _cell(value: pl.Expr, dtype: pl.DataType, letter: str, style: int | pl.Series, lines: pl.Series) -> pl.Expr:
    index = pl.lit(str(style)) if isinstance(style, int) else pl.lit(style)
    begin = [pl.lit(f'<c r="{letter}'), pl.lit(lines), pl.lit('" s="'), index]
    if dtype.is_numeric():
        body = [pl.lit('"><v>'), value.cast(pl.String), pl.lit("</v></c>")]
    elif dtype == pl.Date:
        number = (value - pl.lit(_EXCEL_ZERO)).dt.total_days().cast(pl.String)
        body = [pl.lit('"><v>'), number, pl.lit("</v></c>")]
    else:
        body = [pl.lit('" t="inlineStr"><is><t xml:space="preserve">'), _escaped(value), pl.lit("</t></is></c>")]
    empty = pl.lit("") if isinstance(style, int) else pl.concat_str([*begin, pl.lit('"/>')])
    return pl.when(value.is_not_null()).then(pl.concat_str([*begin, *body])).otherwise(empty)


def _escaped(text: pl.Expr) -> pl.Expr:
    # ``_x0041_`` in a workbook is an escaped letter (ISO/IEC 29500-1, 22.4.2.4): such a text is escaped itself.
    plain = text.cast(pl.String).str.replace_all(_ILLEGAL, "")
    plain = plain.str.replace_all("_x", "_x005F_x", literal=True)
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        plain = plain.str.replace_all(sign, entity, literal=True)
    return plain


def style_indices(archive: bytes, path: str, row: int) -> Mapping[str, int]:
    """Style index by column letter of a row of a sheet (as openpyxl wrote it)."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        xml = opened.read(path).decode()
    found = re.search(rf'<row r="{row}"[^>]*>(.*?)</row>', xml, re.DOTALL)
    cells = re.finditer(r'<c r="([A-Z]+)\d+"(?: s="(\d+)")?', found[1]) if found else ()
    return {cell[1]: int(cell[2] or 0) for cell in cells}


def without_rows(archive: bytes, path: str, rows: Sequence[int]) -> bytes:
    """The archive without some rows of a sheet."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            data = old.read(info)
            if info.filename == path:
                for row in rows:
                    data = re.sub(rb'<row r="%d"[^>]*>.*?</row>' % row, b"", data, flags=re.DOTALL)
            new.writestr(info.filename, data)
    return out.getvalue()
