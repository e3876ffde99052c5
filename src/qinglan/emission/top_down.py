"""Inventories by others, read and put beside ours: a plain table, or REAS 3.2 as its provinces are stacked.

The plain form has a header and one row for each number: ``species,sector,year,tonnes``. `sector` is a sector or a
class of ours (machine name, Chinese or English title), or ``total``. Which of ours falls into a sector of REAS
stands in content/inventory/top_down.yaml. A row that cannot be read is kept aside; the others are taken.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from qinglan.core.errors import LayoutError, NotFound
from qinglan.core.rulebook import RuleBook
from qinglan.emission.categories import SPECIES, categories
from qinglan.emission.checks import against_top_down, band
from qinglan.plan.content import read

#: Headers of the plain form; each may also be written in Chinese.
PLAIN = {"species": "污染物", "sector": "行业", "year": "年份", "tonnes": "吨"}
#: Name of the box that is the whole of a species.
TOTAL = "total"
#: Largest file that is read [bytes], after it is unpacked.
MOST_BYTES = 64_000_000
_WHOLE: dict[str, Any] = {"zh": "合计", "en": "total"}
_TOTALS = {TOTAL, "合计", "总计", "全部"}
_NUMBERS = {"species": pl.String, "box": pl.String, "year": pl.Int64, "emission_t": pl.Float64}
ASIDE = {"line": pl.Int64, "column": pl.String, "value": pl.String, "zh": pl.String, "en": pl.String}


@dataclass(frozen=True)
class Given:
    """An inventory by others.

    form : ``plain`` or ``reas``. region : of a table with several. rows : `species, box, year, emission_t` [t],
    one for each number. boxes : by species (or ``any``), what of ours each box takes, in order. aside : lines that
    could not be read (:data:`ASIDE`), each with why and what to do.
    """

    form: str
    rows: pl.DataFrame
    aside: pl.DataFrame
    boxes: Mapping[str, Mapping[str, Mapping[str, Any]]]
    region: str = ""

    @property
    def years(self) -> tuple[int, ...]:
        """Years with numbers, in order."""
        return tuple(self.rows["year"].unique().sort())

    def nearest(self, year: int) -> int:
        """The year nearest to one (of two as near, the earlier); NotFound in an empty table."""
        if not self.years:
            raise NotFound("the top-down table has no number.", remedy="See docs/how-to/read-an-inventory.md.")
        return min(self.years, key=lambda y: (abs(y - year), y))


@dataclass(frozen=True)
class Beside:
    """Ours beside theirs of one year.

    rows : `species, box, zh, en, emission_t, other_t, ratio, stands_out`; the box ``total`` is the species' whole.
    year : theirs. low, high : the band of the ratio. left : `species, sector, emission_t` of ours that has no box
    of theirs, and so is in no total here.
    """

    rows: pl.DataFrame
    year: int
    low: float
    high: float
    left: pl.DataFrame


def read_top_down(data: bytes, *, place: str, region: str = "") -> Given:
    """An inventory by others out of a CSV (UTF-8 or GBK, also gzipped), of either form, told by its header.

    place : division code of the workspace, by which a stacked REAS table is cut; region : another region of it
    (its name or code). Raises LayoutError for a header of neither form, NotFound for a region without rows.
    """
    lines = csv.reader(io.StringIO(_text(data)))
    try:
        head = [cell.strip().lstrip("\ufeff").lower() for cell in next(lines, [])]
        if {"reas_region", "species", "unit", "sector"} <= set(head):
            return _reas(head, lines, place, region)
        return _plain(_columns(head), lines)
    except csv.Error as cause:
        raise LayoutError(
            f"line {lines.line_num} is no line of a CSV: {cause}.", remedy="Save the table as CSV UTF-8 again."
        ) from cause


def _columns(head: Sequence[str]) -> list[str]:
    """Columns of the plain form by name, of a header in English or Chinese, units in brackets or not."""
    named = {zh: name for name, zh in PLAIN.items()}
    bare = [cell.split("[")[0].split("（")[0].split("(")[0].strip() for cell in head]
    columns = [named.get(cell, cell) for cell in bare]
    missing = [name for name in PLAIN if name not in columns]
    if missing:
        raise LayoutError(
            f"the table has no column {', '.join(missing)} (found: {', '.join(head)[:200] or 'nothing'}).",
            remedy="Head it species,sector,year,tonnes (污染物,行业,年份,吨), or give REAS, stacked by province.",
        )
    return columns


def _text(data: bytes) -> str:
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(data)) as packed:
                data = packed.read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error) as cause:
            raise LayoutError(
                "the gzipped file is damaged.", remedy="Fetch it again, or unpack it first."
            ) from cause
    if len(data) > MOST_BYTES:
        raise LayoutError(f"the table is larger than {MOST_BYTES // 10**6} MB.", remedy="Give only your province.")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise LayoutError("the table is neither UTF-8 nor GBK text.", remedy="Save it as CSV UTF-8.")


@dataclass
class _Reading:
    """Numbers and lines kept aside while a table is read."""

    rows: list[tuple[str, str, int, float]] = field(default_factory=list)
    aside: list[tuple[int, str, str, str, str]] = field(default_factory=list)

    def keep_aside(self, line: int, column: str, value: str, zh: str, en: str) -> None:
        self.aside.append((line, column, value, zh, en))

    def number(self, line: int, column: str, text: str) -> float | None:
        """A number that is not negative; else kept aside."""
        try:
            value = float(text.replace(",", ""))
        except ValueError:
            value = math.nan
        if math.isfinite(value) and value >= 0:
            return value
        self.keep_aside(line, column, text, "不是非负数；填写吨数", "not a number from 0 up; write tonnes")
        return None

    def given(self, form: str, boxes: Mapping[str, Mapping[str, Any]], region: str = "") -> Given:
        """What was read; of a number that stands twice the second is kept aside already."""
        rows = pl.DataFrame(self.rows, schema=_NUMBERS, orient="row")
        return Given(form, rows, pl.DataFrame(self.aside, schema=ASIDE, orient="row"), boxes, region)


def _plain(columns: Sequence[str], lines: Any) -> Given:
    made, known, seen = _Reading(), _sectors(), set()
    boxes: dict[str, Mapping[str, Any]] = {}
    for line, cells in enumerate(lines, 2):
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(zip(columns, (cell.strip() for cell in cells), strict=False))
        species = row.get("species", "").lower().replace(".", "_")
        if species not in SPECIES:
            made.keep_aside(line, "species", row.get("species", ""), f"不是污染物名；可用：{'、'.join(SPECIES)}",
                            f"no species; there are {', '.join(SPECIES)}")  # fmt: skip
            continue
        sector = row.get("sector", "")
        box = known.get(sector.casefold())
        if box is None:
            made.keep_aside(line, "sector", sector, "不是行业或大类名；见清单名称参考，或写 total",
                            "no sector or class; see the names of the inventory, or write total")  # fmt: skip
            continue
        year = row.get("year", "")
        if not (year.isdecimal() and 1900 <= int(year) <= 2100):
            made.keep_aside(line, "year", year, "不是年份；填写四位数字", "no year; write four digits")
            continue
        value = made.number(line, "tonnes", row.get("tonnes", ""))
        if value is None:
            continue
        if (key := (species, box[0], int(year))) in seen:
            made.keep_aside(
                line, "species", species, "同一数重复；保留第一个", "the same number again; the first is kept"
            )
            continue
        seen.add(key)
        boxes[box[0]] = box[1]
        made.rows.append((*key, value))
    return made.given("plain", {"any": boxes})


def _sectors() -> dict[str, tuple[str, Mapping[str, Any]]]:
    """What the plain form may call a sector: its box and what of ours is in it."""
    whole = _WHOLE | {"classes": list(categories().classes)}
    known: dict[str, tuple[str, Mapping[str, Any]]] = dict.fromkeys(_TOTALS, (TOTAL, whole))
    for level, key in ((categories().classes, "classes"), (categories().sectors, "sectors")):
        for name, entry in level.items():
            box = (name, {"zh": entry["zh"], "en": entry["en"], key: [name]})
            known |= {word.casefold(): box for word in (name, entry["zh"], entry["en"])}
    return known


def _reas(head: Sequence[str], lines: Any, place: str, region: str) -> Given:
    form = read("inventory", "top_down")["reas"]
    asked, made, regions = region.strip().upper() or place, _Reading(), set()
    years = [name for name in head if name.isdecimal()]
    for line, cells in enumerate(lines, 2):
        row = dict(zip(head, (cell.strip() for cell in cells), strict=False))
        regions.add(row.get("reas_region", ""))
        if asked not in (row.get("reas_region", "").upper(), row.get("adcode", "")):
            continue
        species = form["species"].get(row.get("species", ""))
        scale = form["tonnes"].get(row.get("unit", ""))
        if species is None or scale is None:
            column = "species" if species is None else "unit"
            made.keep_aside(
                line, column, row.get(column, ""), "不认识；这一行未读", "not known; the line is not read"
            )
            continue
        sector = row.get("sector", "")
        box = TOTAL if sector == form["whole"] else sector
        for year in years:
            if row.get(year):
                value = made.number(line, year, row[year])
                if value is not None:
                    made.rows.append((species, box, int(year), value * scale))
    if not made.rows:
        raise NotFound(f"the REAS table has no region {asked!r}.", remedy=f"It has: {', '.join(sorted(regions))}.")
    return made.given("reas", form["boxes"], asked)


def beside(emissions: pl.DataFrame, given: Given, year: int, book: RuleBook) -> Beside:
    """Emissions of `year` beside the nearest year of an inventory by others, by species and box.

    emissions : frame of emissions (frames.EMISSIONS), of one year. Boxes and species that theirs does not have are
    left out; what of ours is in no box of theirs stands in `left`.
    """
    theirs = given.nearest(year)
    other = given.rows.filter(year=theirs).drop("year")
    classed = categories().with_boxes(emissions).join(categories().kinds(), on="fuel", how="left")
    mine = classed.filter(pl.col("species").is_in(other["species"].unique().implode())).with_row_index("_n")
    empty = pl.DataFrame(
        schema={"_n": pl.UInt32, "species": pl.String, "box": pl.String, "emission_t": pl.Float64}
    )
    boxed = pl.concat([empty, *(_boxed(mine.filter(species=s), given, s) for s in other["species"].unique())])
    table = against_top_down(boxed, other, book, ("species", "box")).filter(pl.col("other_t").is_not_null())
    nothing = (pl.col("other_t") == 0) & (pl.col("emission_t").fill_null(0.0) == 0)
    names = {n: b for group in given.boxes.values() for n, b in group.items()} | {TOTAL: _WHOLE}
    told = table.with_columns(
        pl.col("stands_out") & ~nothing,
        *(
            pl.col("box")
            .replace_strict({n: b[tongue] for n, b in names.items()}, default=pl.col("box"))
            .alias(tongue)
            for tongue in ("zh", "en")
        ),
    )
    left = mine.join(boxed, on="_n", how="anti").group_by("species", "sector").agg(pl.col("emission_t").sum())
    factor = band(book)
    order = pl.col("species").replace_strict({s: k for k, s in enumerate(SPECIES)}, return_dtype=pl.Int8)
    rows = told.select("species", "box", "zh", "en", "emission_t", "other_t", "ratio", "stands_out")
    rows = rows.sort(order, pl.col("box") != TOTAL, pl.col("other_t"), descending=[False, False, True])
    return Beside(rows, theirs, 1 / factor, factor, left.sort("species", "emission_t", descending=[False, True]))


def _boxed(mine: pl.DataFrame, given: Given, species: str) -> pl.DataFrame:
    """Rows of one species with their box: `_n, species, box, emission_t`.

    In the plain form a row may be in several boxes (its sector, its class, the total). In the others each row is
    in the first that fits, and once more in the total of those that are in any.
    """
    boxes = given.boxes.get(species, given.boxes.get("any", {}))
    columns = (pl.col("_n"), pl.col("species"))
    if given.form == "plain":
        parts = [
            mine.filter(_fits(box)).select(*columns, pl.lit(name).alias("box"), "emission_t")
            for name, box in boxes.items()
        ]
        return pl.concat(parts)
    chosen = pl.coalesce([pl.when(_fits(box)).then(pl.lit(name)) for name, box in boxes.items()])
    single = mine.select(*columns, chosen.alias("box"), "emission_t").drop_nulls("box")
    return pl.concat([single, single.with_columns(box=pl.lit(TOTAL))])


def _fits(box: Mapping[str, Any]) -> pl.Expr:
    """Whether a row (with `class` and `kind`) is what a box takes."""
    return pl.any_horizontal(
        pl.col(column).is_in(box.get(key, [])).fill_null(False)
        for key, column in (("sectors", "sector"), ("classes", "class"), ("kinds", "kind"))
    )
