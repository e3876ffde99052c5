"""A document as Word, PDF, HTML and Excel bytes; equal documents give equal bytes."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any

import typst
from jinja2 import Environment, StrictUndefined
from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter

from qinglan.core.errors import NotFound, QinglanError, UnknownName
from qinglan.report.document import Block, Document, Figure, Heading, Note, Table, Text
from qinglan.report.word import word

FACES = ("Noto Sans CJK SC", "Noto Serif CJK SC")
MEDIA: Mapping[str, str] = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "pdf": "application/pdf",
    "html": "text/html; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
#: Archives carry a time; every file we write carries this one, so that its bytes do not depend on the clock.
EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 (a file's time has no zone)


class TypesettingError(QinglanError):
    """The PDF could not be set."""


def write(document: Document, form: str) -> bytes:
    """The bytes of a document as ``docx``, ``pdf``, ``html`` or ``xlsx``; UnknownName for another form.

    NotFound when the fonts are not on this machine (with what to install).
    """
    if form not in _WRITERS:
        raise UnknownName("format", form, tuple(_WRITERS))
    return _WRITERS[form](document)


def _kind(block: Block) -> str:
    return type(block).__name__.lower()


def _template(name: str) -> str:
    return (resources.files("qinglan.content") / "publications" / name).read_text(encoding="utf-8")


@cache
def _fonts() -> typst.Fonts:
    """The machine's fonts, read once; NotFound with the remedy when a Chinese face is missing."""
    found = typst.Fonts()
    missing = [face for face in FACES if face not in found.families()]
    if missing:
        raise NotFound(
            f"no font {', '.join(missing)} on this machine.",
            remedy="Install Noto Sans CJK and Noto Serif CJK (Debian: fonts-noto-cjk), then try again.",
        )
    return found


def _typst_files(document: Document) -> dict[str, bytes]:
    blocks: list[dict[str, Any]] = []
    files = {"main.typ": _template("bulletin.typ").encode()}
    for block in document.blocks:
        row: dict[str, Any] = {"kind": _kind(block)}
        if isinstance(block, Figure):
            # Files handed over in memory must be text, so a picture goes as a list of its bytes.
            row |= {"caption": block.caption, "file": f"{block.name}.json", "alternative": block.alternative}
            files[f"{block.name}.json"] = json.dumps(list(block.png), separators=(",", ":")).encode()
        elif isinstance(block, Table):
            row |= {
                "caption": block.caption, "heads": block.heads, "rows": block.rows, "left": block.left,
                "widths": block.widths,
            }  # fmt: skip
        else:
            row["text"] = block.text
        blocks.append(row)
    said = {
        "language": document.language, "title": document.title, "office": document.office, "lines": document.lines,
        "mark": document.mark, "blocks": blocks,
    }  # fmt: skip
    files["document.json"] = json.dumps(said, ensure_ascii=False).encode()
    return files


def pdf(document: Document) -> bytes:
    """PDF, set by Typst with the fonts embedded as subsets and tagged for reading aloud."""
    return _set(document, "pdf")[0]


def pages(document: Document, *, ppi: float = 96.0) -> list[bytes]:
    """The pages as PNG, for looking at."""
    return _set(document, "png", ppi)


def _set(document: Document, form: Any, ppi: float = 96.0) -> list[bytes]:
    files: Any = _typst_files(document)
    said = files.pop("document.json").decode()
    try:
        made = typst.compile(
            files,
            font_paths=_fonts(),
            ignore_system_fonts=False,
            format=form,
            ppi=ppi,
            sys_inputs={"document": said},
            timestamp=0,
        )
    except typst.TypstError as cause:
        raise TypesettingError(f"the PDF could not be set: {cause}.", remedy="Report this.") from cause
    return list(made) if isinstance(made, list) else [bytes(made or b"")]


def html(document: Document) -> bytes:
    """HTML in one file, for screen and paper, without scripts."""
    blocks = []
    for block in document.blocks:
        row = {"kind": _kind(block)} | {k: v for k, v in asdict(block).items() if k not in ("png", "values")}
        if isinstance(block, Figure):
            row["data"] = base64.b64encode(block.png).decode()
        blocks.append(row)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_template("bulletin.html.j2")).render(d=document, blocks=blocks).encode()


def excel(document: Document) -> bytes:
    """A workbook: a sheet of words, and one for each table with numbers as numbers."""
    book = Workbook()
    first = book.active
    assert first is not None
    first.title = "说明" if document.language == "zh" else "Notes"
    first.column_dimensions["A"].width = 110
    words = [document.title, document.office, *document.lines, *([document.mark] if document.mark else [])]
    words += [b.text for b in document.blocks if isinstance(b, Heading | Text | Note)]
    for number, text in enumerate(words, start=1):
        cell = first.cell(number, 1)
        cell.value = _safe(text)
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    first["A1"].font = Font(bold=True, size=14)
    for block in document.blocks:
        if isinstance(block, Table):
            _sheet(book, block)
    book.properties.creator = document.office
    book.properties.title = document.title
    book.properties.created = book.properties.modified = EPOCH
    out = io.BytesIO()
    book.save(out)
    return settled(out.getvalue(), {"docProps/core.xml": _without_modified})


def _sheet(book: Workbook, table: Table) -> None:
    sheet = book.create_sheet(table.name)
    for column, head in enumerate(table.heads, start=1):
        cell = sheet.cell(1, column, head)
        cell.font = Font(bold=True)
        cell.fill = PatternFill("solid", fgColor="EEF2F4")
        cell.alignment = Alignment(horizontal="center", vertical="center", wrap_text=True)
        sheet.column_dimensions[get_column_letter(column)].width = 9 + 4 * table.widths[column - 1]
    for r, (line, texts) in enumerate(zip(table.values, table.rows, strict=True), start=2):
        for c, (value, text) in enumerate(zip(line, texts, strict=True), start=1):
            cell = sheet.cell(r, c)
            if isinstance(value, str):
                cell.value = _safe(value)
            elif value is not None:
                cell.value = value
                cell.number_format = _number_format(text)
    sheet.freeze_panes = "B2"
    sheet.auto_filter.ref = sheet.dimensions


def _number_format(text: str) -> str:
    """Decimals as printed, and the mark of too few valid data, which stays beside a true number."""
    digits = text.rstrip("*")
    decimals = len(digits.split(".")[1]) if "." in digits else 0
    shown = "0" + ("." + "0" * decimals if decimals else "")
    return shown + '"*"' if text.endswith("*") else shown


def _safe(text: str) -> str:
    """Text that a spreadsheet will not take for a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text


def _without_modified(data: bytes) -> bytes:
    """openpyxl writes the moment of saving; ours is fixed."""
    stamp = EPOCH.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    return re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, data)


def settled(archive: bytes, change: Mapping[str, Callable[[bytes], bytes]] | None = None) -> bytes:
    """A zip archive written again with fixed times, so that the same content is the same file."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            data = old.read(info)
            data = (change or {}).get(info.filename, bytes)(data)
            entry = zipfile.ZipInfo(info.filename, EPOCH.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, data)
    return out.getvalue()


def _word(document: Document) -> bytes:
    return settled(word(document, EPOCH))


_WRITERS: Mapping[str, Callable[[Document], bytes]] = {"docx": _word, "pdf": pdf, "html": html, "xlsx": excel}
FORMS: tuple[str, ...] = tuple(_WRITERS)

__all__ = ["FORMS", "MEDIA", "TypesettingError", "pages", "pdf", "write"]
