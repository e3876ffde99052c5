"""Emission factors as dated data, and the ladder by which an activity finds its own.

A factor table is any CSV of content/factors whose first column is `id`. The newest value dated on or before the
day asked answers; an empty value withdraws the factor from its date on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import date
from functools import cache

import polars as pl

from qinglan.core.errors import ContentError, UsageError
from qinglan.emission.categories import ANY, NONE, SPECIES, categories
from qinglan.emission.frames import NUMBERS, TEXTS
from qinglan.emission.tables import Table, headed, read_table

COLUMNS = (
    *("id", "sector", "fuel", "technology", "species", "value", "unit", "term", "range"),
    *("sigma", "valid_from", "certainty", "source"),
)
#: What a factor is asked by. Two rows of one key differ in their date.
KEY = ("sector", "fuel", "technology", "species", "term", "range")

SCHEMA = {
    **dict.fromkeys(("id", "sector", "fuel", "technology", "species"), pl.String),
    "value": pl.Float64,
    **dict.fromkeys(("unit", "term", "range"), pl.String),
    **dict.fromkeys(("low", "high"), pl.Float64),
    **dict.fromkeys(("low_closed", "high_closed"), pl.Boolean),
    "equals": pl.String,
    "sigma": pl.Float64,
    "valid_from": pl.Date,
    **dict.fromkeys(("certainty", "source"), pl.String),
}

_RANGE = re.compile(r"^([\[(])(-?[0-9.]*),(-?[0-9.]*)([\])])$")


@cache
def all_factors() -> pl.DataFrame:
    """Every factor of every table and date (columns of SCHEMA); ContentError lists all faults of all tables."""
    problems: list[str] = []
    rows: list[dict[str, object]] = []
    for name in headed("id"):
        try:
            rows += parse_factors(read_table(name, COLUMNS))
        except ContentError as fault:
            problems += fault.problems
    ids = Counter((str(row["id"]), row["valid_from"]) for row in rows)
    problems += [f"{name} of {day}: stands in two tables." for (name, day), n in ids.items() if n > 1]
    if problems:
        raise ContentError("factors", problems)
    return pl.DataFrame(rows, schema=SCHEMA)


def parse_factors(table: Table) -> list[dict[str, object]]:
    """Rows of a factor table, checked. Sigma is that of the species where a row has none."""
    known, sigma = categories(), sigmas()["factor"]
    sectors = (*known.sectors, *known.classes, ANY)
    rows: list[dict[str, object]] = []
    for row in table.rows:
        table.among(row, "sector", sectors)
        table.among(row, "fuel", known.fuels)
        table.among(row, "technology", known.technologies)
        species = table.among(row, "species", SPECIES)
        table.told(row)
        rows.append(
            {
                **{k: row[k] for k in ("id", "sector", "fuel", "technology", "unit", "term", "range")},
                "species": species,
                "value": table.number(row, "value"),
                **bounds(table, row),
                "sigma": table.number(row, "sigma", low=1.0, high=10.0) or sigma.get(species),
                "valid_from": table.day(row, "valid_from"),
                **{k: row[k] for k in ("certainty", "source")},
            }
        )
        if not row["unit"]:
            table.fault(row, "unit", "is empty.")
    table.unique(lambda row: (row["id"], row["valid_from"]), "id and date")
    table.unique(lambda row: (*(row[k] for k in KEY), row["valid_from"]), "what is asked by, and date,")
    table.close()
    return rows


def bounds(table: Table, row: Mapping[str, str]) -> dict[str, float | bool | str | None]:
    """What a row's `range` asks of its `term`: ``[300,)``, an open side being infinite, or ``=gasoline``."""
    made: dict[str, float | bool | str | None]
    made = dict.fromkeys(("low", "high", "low_closed", "high_closed", "equals"))
    if not row["range"] and not row["term"]:
        return made
    found = _RANGE.match(row["range"])
    if row["term"] in TEXTS and row["range"].startswith("="):
        made["equals"] = row["range"][1:]
    elif row["term"] in NUMBERS and found:
        left, low, high, right = found.groups()
        made["low"], made["high"] = float(low or "-inf"), float(high or "inf")
        made["low_closed"], made["high_closed"] = left == "[", right == "]"
    else:
        table.fault(
            row, "range", "write a number's range such as [100,300) or (,100], or a text's value =gasoline."
        )
    return made


@cache
def factors_on(on: date) -> pl.DataFrame:
    """Factors in force on a day, one row for each key; UsageError when there is none yet."""
    dated = all_factors().filter(pl.col("valid_from") <= on).sort("valid_from")
    if dated.is_empty():
        raise UsageError(f"no emission factor is dated on or before {on}.", remedy="Ask for a later year.")
    return dated.unique(subset=KEY, keep="last", maintain_order=True).filter(pl.col("value").is_not_null())


@cache
def sigmas() -> dict[str, dict[str, float]]:
    """Geometric standard deviations by kind (factor, amount, method, removal) and key, from uncertainty.csv.

    >>> sigmas()["amount"]["A"] < sigmas()["amount"]["E"]
    True
    """
    table = read_table("uncertainty.csv", ("kind", "key", "sigma", "certainty", "source"))
    found: dict[str, dict[str, float]] = {}
    for row in table.rows:
        table.told(row)
        found.setdefault(row["kind"], {})[row["key"]] = table.number(row, "sigma", low=1.0, high=10.0) or 1.0
    table.unique(lambda row: (row["kind"], row["key"]), "kind and key")
    table.close()
    return found


@cache
def heating_values() -> pl.DataFrame:
    """fuel, heat, heat_unit (MJ/kg or MJ/m3): lower heating values for factors that are told for energy."""
    table = read_table("heating.csv", ("fuel", "value", "unit", "certainty", "source"))
    rows = []
    for row in table.rows:
        table.told(row)
        table.among(row, "unit", ("MJ/kg", "MJ/m3"))
        fuel = table.among(row, "fuel", categories().fuels)
        rows.append({"fuel": fuel, "heat": table.number(row, "value"), "heat_unit": row["unit"]})
    table.unique(lambda row: row["fuel"], "fuel")
    table.close()
    return pl.DataFrame(rows, schema={"fuel": pl.String, "heat": pl.Float64, "heat_unit": pl.String})


@cache
def coal_parameters(on: date) -> pl.DataFrame:
    """sector, technology, quantity, value, certainty on a day: shares as fractions, sulphur and ash in %."""
    head = ("sector", "technology", "quantity", "value", "unit", "valid_from", "certainty", "source")
    table = read_table("coal.csv", head)
    rows = []
    for row in table.rows:
        table.told(row)
        table.among(row, "sector", (*categories().sectors, *categories().classes, ANY))
        table.among(row, "technology", categories().technologies)
        value = table.number(row, "value", high=100.0 if row["unit"] == "%" else 1.0)
        names = {k: row[k] for k in ("sector", "technology", "quantity", "certainty")}
        rows.append({**names, "value": value, "valid_from": table.day(row, "valid_from")})
    table.unique(lambda row: tuple(row[k] for k in ("sector", "technology", "quantity", "valid_from")), "key")
    table.close()
    dated = pl.DataFrame(rows).filter(pl.col("valid_from") <= on).sort("valid_from")
    return dated.unique(subset=("sector", "technology", "quantity"), keep="last", maintain_order=True)


def climb(asked: pl.DataFrame, table: pl.DataFrame, what: str, *, fuel: bool) -> pl.DataFrame:
    """For each asked row and each `what` (species, quantity) the row of `table` that is closest to it.

    asked : `_row, sector, technology` (and `fuel`), with a column for every `term` that a range of the table asks.
    Order: the sector's own technology, its class's, any sector's; then the same with technology not told apart.

    Returns
    -------
    frame
        `_row`, the table's columns but its key, and `exact`: found for the technology that was asked, or, where
        the table tells none apart, for the sector itself.
    """
    keys = ["asked", *(["fuel"] if fuel else []), "technology"]
    apart = [*keys[:-1], what]
    divided = table.rename({"sector": "asked"}).filter(pl.col("technology") != NONE).select(apart).unique()
    rungs = asked.join(categories().ladder(), on="sector")
    told = rungs.with_columns(level=pl.col("rung"))
    shared = rungs.filter(pl.col("technology") != NONE).with_columns(
        level=pl.col("rung") + 3, technology=pl.lit(NONE)
    )
    met = pl.concat([told, shared]).join(table.rename({"sector": "asked"}), on=keys)
    if "term" in table.columns:
        met = met.filter(_in_range(table))
        met = met.with_columns(general=pl.col("term") == "")
    else:
        met = met.with_columns(general=pl.lit(False))
    met = met.join(divided.with_columns(divided=pl.lit(True)), on=apart, how="left")
    undivided = (pl.col("level") == 0) & pl.col("divided").is_null()
    exact = undivided | ((pl.col("level") < 3) & (pl.col("technology") != NONE))
    met = met.with_columns(exact=exact).sort("_row", what, "level", "general")
    best = met.unique(subset=("_row", what), keep="first", maintain_order=True)
    dropped = [c for c in asked.columns if c != "_row"] + ["asked", "rung", "level", "general", "divided"]
    return best.drop([c for c in dropped if c in best.columns])


def _in_range(table: pl.DataFrame) -> pl.Expr:
    """Whether the row's own value of a factor's term lies in its range; a factor without one always fits."""
    fits = pl.col("term") == ""
    for term in table["term"].unique().sort():
        if term in TEXTS:
            fits = fits | ((pl.col("term") == term) & (pl.col(term) == pl.col("equals"))).fill_null(False)
        elif term:
            own = pl.col(str(term))
            above = pl.when("low_closed").then(own >= pl.col("low")).otherwise(own > pl.col("low"))
            below = pl.when("high_closed").then(own <= pl.col("high")).otherwise(own < pl.col("high"))
            fits = fits | ((pl.col("term") == term) & above & below).fill_null(False)
    return fits
