"""A document as Word: real styles with Chinese faces, the language marked, heads repeated, pages numbered."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import docx
from docx.document import Document as WordDocument
from docx.enum.style import WD_STYLE_TYPE
from docx.enum.table import WD_CELL_VERTICAL_ALIGNMENT, WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor

from qinglan.report.document import Document, Figure, Heading, Note, Table, Text

#: East Asian and Latin face of each style: 黑体 for headings, 宋体 for text, as official documents have them.
_HEI, _SONG = ("黑体", "Arial"), ("宋体", "Times New Roman")
_STYLES: tuple[tuple[str, tuple[str, str], float, bool], ...] = (
    ("Normal", _SONG, 10.5, False),
    ("Title", _HEI, 18, True),
    ("Heading 1", _HEI, 14, True),
    ("Caption", _HEI, 9.5, True),
    ("Header", _HEI, 8, False),
    ("Footer", _SONG, 9, False),
)
_PAGE_WIDTH, _MARGIN = 210, 22
#: Tables of so many rows stay on one page; longer ones break between rows and repeat their heads.
_ROWS_TOGETHER = 16


def word(document: Document, stamp: datetime) -> bytes:
    """Word bytes. `stamp` is written as the file's time (no clock is asked)."""
    made = docx.Document()
    _styles(made, document.language)
    _page(made, document)
    title = made.add_paragraph(document.title, "Title")
    title.alignment = WD_ALIGN_PARAGRAPH.CENTER
    for line in (document.office, *document.lines, *([document.mark] if document.mark else [])):
        made.add_paragraph(line, "Bulletin line").alignment = WD_ALIGN_PARAGRAPH.CENTER
    for block, following in zip(document.blocks, (*document.blocks[1:], None), strict=True):
        if isinstance(block, Heading):
            made.add_heading(block.text, 1)
        elif isinstance(block, Text):
            text = made.add_paragraph(block.text, "Bulletin text")
            text.paragraph_format.keep_with_next = isinstance(following, Table)
        elif isinstance(block, Note):
            made.add_paragraph(block.text, "Bulletin note")
        elif isinstance(block, Table):
            _table(made, block)
        else:
            _figure(made, block)
    properties = made.core_properties
    properties.title, properties.author, properties.comments = document.title, document.office, document.identity
    properties.language = "zh-CN" if document.language == "zh" else "en"
    properties.created = properties.modified = stamp
    properties.last_modified_by, properties.revision = document.office, 1
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def _faces(style: Any, faces: tuple[str, str], size: float, bold: bool, language: str) -> None:
    style.font.name, style.font.size, style.font.bold = faces[1], Pt(size), bold
    style.font.color.rgb = RGBColor(0x1F, 0x2A, 0x33)
    run = style.element.get_or_add_rPr()
    fonts = run.get_or_add_rFonts()
    for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
        fonts.attrib.pop(qn(f"w:{theme}"), None)
    for name, face in (("ascii", faces[1]), ("hAnsi", faces[1]), ("eastAsia", faces[0])):
        fonts.set(qn(f"w:{name}"), face)
    for old in run.findall(qn("w:lang")):
        run.remove(old)
    tag = OxmlElement("w:lang")
    tag.set(qn("w:val"), "en-US")
    tag.set(qn("w:eastAsia"), "zh-CN")
    run.append(tag)


def _styles(made: WordDocument, language: str) -> None:
    for name, faces, size, bold in _STYLES:
        _faces(made.styles[name], faces, size, bold, language)
    sizes = {"Bulletin text": 10.5, "Bulletin note": 8.5, "Bulletin line": 10.0, "Bulletin cell": 8.0}
    for name, size in sizes.items():
        style = made.styles.add_style(name, WD_STYLE_TYPE.PARAGRAPH)
        style.base_style = made.styles["Normal"]
        _faces(style, _SONG, size, bold=False, language=language)
    text = made.styles["Bulletin text"].paragraph_format
    text.line_spacing, text.space_after = 1.5, Pt(4)
    if language == "zh":
        text.first_line_indent = Pt(21)  # two characters
    made.styles["Bulletin line"].paragraph_format.space_after = Pt(2)
    made.styles["Bulletin cell"].paragraph_format.space_after = Pt(0)
    made.styles["Caption"].paragraph_format.keep_with_next = True


def _page(made: WordDocument, document: Document) -> None:
    section = made.sections[0]
    section.page_width, section.page_height = Mm(_PAGE_WIDTH), Mm(297)
    section.left_margin = section.right_margin = Mm(_MARGIN)
    section.top_margin, section.bottom_margin = Mm(25), Mm(22)
    head = f"{document.title}　{document.mark}".strip()
    section.header.paragraphs[0].text = head
    foot = section.footer.paragraphs[0]
    foot.alignment = WD_ALIGN_PARAGRAPH.CENTER
    foot.add_run("— ")
    _page_number(foot.add_run())
    foot.add_run(" —")


def _page_number(run: Any) -> None:
    for kind, text in (("begin", None), (None, "PAGE"), ("end", None)):
        if kind:
            part = OxmlElement("w:fldChar")
            part.set(qn("w:fldCharType"), kind)
        else:
            part = OxmlElement("w:instrText")
            part.text = text
        run._r.append(part)


def _table(made: WordDocument, block: Table) -> None:
    caption = made.add_paragraph(block.caption, "Caption")
    caption.alignment = WD_ALIGN_PARAGRAPH.CENTER
    table = made.add_table(rows=1, cols=len(block.heads), style="Table Grid")
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    table.autofit = False
    _narrow_margins(table)
    total = sum(block.widths)
    widths = [Mm((_PAGE_WIDTH - 2 * _MARGIN) * w / total) for w in block.widths]
    for column, width in zip(table.columns, widths, strict=True):
        column.width = width  # the grid: some readers go by it and not by the cells
    _fill(table.rows[0], block.heads, widths, left=(), head=True)
    for line in block.rows:
        _fill(table.add_row(), line, widths, block.left, head=False)
    if len(block.rows) <= _ROWS_TOGETHER:
        for row in table.rows[:-1]:
            for cell in row.cells:
                cell.paragraphs[0].paragraph_format.keep_with_next = True
    made.add_paragraph(style="Bulletin note")


def _narrow_margins(table: Any) -> None:
    """Word's 1.9 mm on both sides of each cell would leave narrow columns no room for a word."""
    margins = OxmlElement("w:tblCellMar")
    for side in ("left", "right"):
        margin = OxmlElement(f"w:{side}")
        margin.set(qn("w:w"), str(Mm(0.8).twips))
        margin.set(qn("w:type"), "dxa")
        margins.append(margin)
    look = table._tbl.tblPr.find(qn("w:tblLook"))  # the schema wants the margins before it
    if look is None:
        table._tbl.tblPr.append(margins)
    else:
        look.addprevious(margins)


def _fill(row: Any, texts: Sequence[str], widths: Sequence[Any], left: tuple[int, ...], *, head: bool) -> None:
    properties = row._tr.get_or_add_trPr()
    for name in ("w:cantSplit", *(("w:tblHeader",) if head else ())):
        properties.append(OxmlElement(name))
    for column, (cell, text, width) in enumerate(zip(row.cells, texts, widths, strict=True)):
        cell.width, cell.vertical_alignment = width, WD_CELL_VERTICAL_ALIGNMENT.CENTER
        paragraph = cell.paragraphs[0]
        paragraph.style = "Bulletin cell"
        run = paragraph.add_run(text)
        run.bold = head
        if head:
            shade = OxmlElement("w:shd")
            for key, value in (("val", "clear"), ("color", "auto"), ("fill", "EEF2F4")):
                shade.set(qn(f"w:{key}"), value)
            cell._tc.get_or_add_tcPr().append(shade)
        side = WD_ALIGN_PARAGRAPH.LEFT if column in left else WD_ALIGN_PARAGRAPH.RIGHT
        paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER if head else side


def _figure(made: WordDocument, block: Figure) -> None:
    holder = made.add_paragraph()
    holder.alignment = WD_ALIGN_PARAGRAPH.CENTER
    holder.paragraph_format.keep_with_next = True
    shape = holder.add_run().add_picture(io.BytesIO(block.png), width=Mm(_PAGE_WIDTH - 2 * _MARGIN))
    described = shape._inline.docPr
    described.set("descr", block.alternative)
    described.set("name", block.name)
    caption = made.add_paragraph(block.caption, "Caption")
    caption.alignment = WD_ALIGN_PARAGRAPH.CENTER
    caption.paragraph_format.keep_with_next = False  # it stands below what it names
