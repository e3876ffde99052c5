"""Every ledger's workbook: filled, broken in ten ways, imported, repaired, exported, imported again.

Source: issue of the ledgers, "Must show" 1. At each step what was read is what was taken and what was set aside.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass

import openpyxl
import polars as pl
import pytest
from tests.ledger.rows import checked, known_of, raw_of, variants

from qinglan.ledger.change import difference, missing_keys
from qinglan.ledger.declare import Column, Ledger, ledgers, load_ledger
from qinglan.ledger.sheets import located_rows
from qinglan.ledger.workbook import FIRST_ROW, marked, read_workbook, template

WRONG = {
    "number": ("bad_number", "很多"), "integer": ("bad_number", "很多"), "year": ("bad_number", "去年"),
    "date": ("bad_date", "2024-13-45"), "month": ("bad_date", "2024-13"), "boolean": ("bad_boolean", "也许"),
    "code": ("unknown_code", "☆"), "state": ("unknown_code", "☆"), "place": ("unknown_place", "亚特兰蒂斯"),
    "uscc": ("bad_uscc", "91630105MA757K3R7"), "permit": ("bad_permit", "123"),
    "wkt": ("bad_geometry", "POLYGON (("),
    "lon": ("out_of_range", "12.5"), "lat": ("out_of_range", "89"),
}  # fmt: skip


@dataclass(frozen=True)
class Way:
    """One way to break a row: what is written into which column, and the fault that must come of it."""

    code: str
    column: str
    value: str | None


def ways(ledger: Ledger) -> list[Way]:
    """Ten ways at least: each kind of column once, and what can befall any."""
    made: list[Way] = []
    seen: set[str] = set()
    for column in [*reversed(ledger.columns)]:
        if column.type in WRONG and column.type not in seen and column.name not in ledger.identity:
            seen.add(column.type)
            made.append(Way(WRONG[column.type][0], column.name, WRONG[column.type][1]))
    plain = [c for c in ledger.columns if c.name not in ledger.identity]
    made += [way for way in _others(ledger, plain) if way is not None]
    for column in plain:  # a ledger of few kinds of columns: more cells of the same kinds, and formulas
        if len(made) >= 10:
            break
        if (column.name, "#N/A") not in {(w.column, w.value) for w in made}:
            made.append(Way("formula_error", column.name, "#N/A"))
    return made


def _others(ledger: Ledger, plain: list[Column]) -> Iterator[Way | None]:
    required = [c for c in plain if c.required is True] or [ledger.column(ledger.identity[0])]
    yield Way("missing", required[-1].name, None)
    ranged = [c for c in plain if c.type == "number" and c.max is not None]
    yield Way("out_of_range", ranged[0].name, str(ranged[0].max * 10 + 1)) if ranged else None
    patterned = [c for c in plain if c.pattern]
    yield Way("bad_pattern", patterned[0].name, "？") if patterned else None
    referring = [c for c in plain if c.refers and c.type in ("reference", "text", "uscc")]
    if referring:
        value = "91110000802100433B" if referring[0].type == "uscc" else "nowhere-1"
        yield Way("unknown_reference", referring[0].name, value)
    yield Way("duplicate_identity", ledger.identity[0], "=first")
    yield Way("formula_error", plain[-1].name, "#REF!")
    yield Way("formula_error", plain[0].name, "=1+1")


def put(sheet, found, cells: dict[tuple[int, str], object]) -> None:
    """Cells written as a person would: by line and column."""
    for (line, column), value in cells.items():
        cell = sheet.cell(line, found.columns[column])
        cell.value = value
        if value == "#REF!":
            cell.data_type = "e"


def saved(book) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def broken(ledger: Ledger, book: bytes, batch: list[Way]) -> tuple[bytes, dict[tuple[int, str], object]]:
    """The workbook with one way in each row from the second on, and what stood in its cells before."""
    raw, found = located_rows(ledger, book)
    opened = openpyxl.load_workbook(io.BytesIO(book))
    cells: dict[tuple[int, str], object] = {}
    before: dict[tuple[int, str], object] = {}
    for n, way in enumerate(batch, start=1):
        columns = ledger.identity if way.value == "=first" else (way.column,)
        for column in columns:
            line = FIRST_ROW + n
            before[line, column] = raw[column][n]
            cells[line, column] = raw[column][0] if way.value == "=first" else way.value
    put(opened[found.sheet], found, cells)
    return saved(opened), before


@pytest.mark.parametrize("name", ledgers())
def test_broken_in_ten_ways_and_repaired(name, record_property):
    ledger = load_ledger(name)
    rows = variants(ledger, 20)
    source = raw_of(rows, list(ledger.schema))
    known = known_of(ledger)
    for column in ledger.columns:
        if column.refers and column.refers in known:
            known[column.refers] |= set(source[column.name].drop_nulls())
    good = checked(ledger, source, known=known).rows
    assert good.height == len(rows) >= 8
    found = ways(ledger)
    assert len(found) >= 10
    book = template(ledger, good)
    size = good.height - 1
    for start in range(0, len(found), size):
        batch = found[start : start + size]
        file, before = broken(ledger, book, batch)
        first = checked(ledger, read_workbook(ledger, file), known=known)
        assert (first.read, first.taken, first.aside) == (good.height, good.height - len(batch), len(batch))
        for n, way in enumerate(batch, start=1):
            told = first.faults.filter((pl.col("line") == FIRST_ROW + n) & (pl.col("level") == "error"))
            assert (way.code, way.column) in told.select("code", "column").rows(), (way, told.rows())
        mended = repaired(ledger, file, first.faults, before)
        second = checked(ledger, read_workbook(ledger, mended), known=known, existing=first.rows)
        assert (second.read, second.taken, second.aside) == (good.height, good.height, 0)
        kinds = difference(ledger, first.rows, second.rows)["kind"].to_list()
        assert (kinds.count("added"), kinds.count("same")) == (len(batch), good.height - len(batch))
        third = checked(ledger, read_workbook(ledger, template(ledger, second.rows, lang="en")), known=known)
        assert set(difference(ledger, second.rows, third.rows)["kind"]) == {"same"}
        assert missing_keys(second.rows, third.rows).len() == 0
        told = f"{len(batch)} ways; read {first.read} = taken {first.taken} + aside {first.aside}"
        record_property(name, f"{told}; repaired: {len(batch)} added, {second.aside} aside; again: 0 changed")


def repaired(ledger: Ledger, file: bytes, faults: pl.DataFrame, before: dict[tuple[int, str], object]) -> bytes:
    """The marked workbook with its marked cells mended; every error has its colour and its words."""
    book = marked(ledger, file, faults)
    _, found = located_rows(ledger, book)
    opened = openpyxl.load_workbook(io.BytesIO(book))
    sheet = opened[found.sheet]
    for line, column, zh in faults.filter(level="error").select("line", "column", "zh").rows():
        cell = sheet.cell(line, found.columns[column])
        assert cell.comment is not None
        assert zh[:10] in cell.comment.text
        assert cell.fill.fgColor.rgb.endswith("F4B6B0")
    put(sheet, found, before)
    return saved(opened)
