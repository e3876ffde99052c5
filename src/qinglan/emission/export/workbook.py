"""The inventory's tables as a workbook, in the guide's form: classes and sectors by species, with totals."""

from __future__ import annotations

import io

import polars as pl
from openpyxl import Workbook
from openpyxl.styles import Alignment, Font

from qinglan.core.errors import LayoutError
from qinglan.emission.categories import SPECIES, categories

_NEEDED = ("sector", "species", "emission_t")
_WORDS = {
    "so2": "SO₂", "nox": "NOₓ", "co": "CO", "nmvoc": "VOCs", "nh3": "NH₃", "pm10": "PM₁₀", "pm2_5": "PM₂.₅",
    "bc": "BC", "oc": "OC", "co2": "CO₂", "ch4": "CH₄",
}  # fmt: skip


def tables(emissions: pl.DataFrame) -> bytes:
    """XLSX of an inventory: a sheet by class and sector, and one by place where the frame has places.

    emissions : `sector, species, emission_t` [t/a], optionally `place`. A cell is empty where nothing was
    computed: missing is no zero. Raises LayoutError when a column is missing.
    Source: T/CSES 144-2024, form of the summary.
    """
    missing = [name for name in _NEEDED if name not in emissions.columns]
    if missing:
        raise LayoutError(
            f"emissions have no column {', '.join(missing)}.", remedy=f"Needed: {', '.join(_NEEDED)}."
        )
    known = categories()
    book = Workbook()
    book.remove(book.active)
    classes = {sector: known.class_of(sector) for sector in known.sectors}
    summed = _wide(emissions.with_columns(key=pl.col("sector")))
    by_class = _wide(emissions.with_columns(key=pl.col("sector").replace_strict(classes, return_dtype=pl.String)))
    rows: list[tuple[str, str, dict[str, float | None]]] = []
    for name, entry in known.classes.items():
        if name not in by_class:
            continue
        rows.append((f"{entry['zh']} {entry['en']}", "小计 subtotal", by_class[name]))
        for sector, told in known.sectors.items():
            if classes[sector] == name and sector in summed:
                rows.append(("", f"{told['zh']} {told['en']}", summed[sector]))
    rows.append(("合计 total", "", _wide(emissions.with_columns(key=pl.lit("")))[""] if emissions.height else {}))
    _sheet(book, "分部门 by sector", ("一级 class", "二级 sector"), rows)
    if "place" in emissions.columns:
        placed = _wide(emissions.with_columns(key=pl.col("place").fill_null("")))
        lines = [(key or "未定 unknown", "", placed[key]) for key in sorted(placed)]
        _sheet(book, "分地区 by place", ("行政区划代码 place", ""), [*lines, rows[-1]])
    target = io.BytesIO()
    book.save(target)
    return target.getvalue()


def _wide(frame: pl.DataFrame) -> dict[str, dict[str, float | None]]:
    made: dict[str, dict[str, float | None]] = {}
    for key, species, total in frame.group_by("key", "species").agg(pl.col("emission_t").sum()).iter_rows():
        made.setdefault(key, {})[species] = total
    return made


def _sheet(
    book: Workbook, title: str, head: tuple[str, str], rows: list[tuple[str, str, dict[str, float | None]]]
) -> None:
    sheet = book.create_sheet(title)
    sheet.append([*head, *(f"{_WORDS[species]} (t/a)" for species in SPECIES)])
    for cell in sheet[1]:
        cell.font, cell.alignment = Font(bold=True), Alignment(horizontal="center")
    for first, second, values in rows:
        sheet.append([first, second, *(values.get(species) for species in SPECIES)])
        if first:
            for cell in sheet[sheet.max_row]:
                cell.font = Font(bold=True)
    for row in sheet.iter_rows(min_row=2, min_col=3):
        for cell in row:
            cell.number_format = "#,##0.00"
    sheet.column_dimensions["A"].width, sheet.column_dimensions["B"].width = 32, 36
    sheet.freeze_panes = "C2"
