"""Environmental protection tax for air: equivalents, the first three of each outlet, and what a clean month saves.

Numbers, rates and dates come from content/standards/env_tax.yaml. Arithmetic is exact; the tax is rounded once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any

import polars as pl

from qinglan.core.errors import LayoutError, RuleError
from qinglan.core.rounding import exact, half_even
from qinglan.core.rulebook import RuleBook
from qinglan.plan.rules import load_book

#: Of each outlet, month and pollutant. `concentration` is the month's mean and `limit` that of the permit, of one
#: unit; `exceeded` says whether a daily mean or a measurement was above the limit (null: not known).
COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("outlet", "month", "pollutant"), pl.String),
    **dict.fromkeys(("emission_kg", "concentration", "limit"), pl.Float64),
    "exceeded": pl.Boolean,
}

ADDED: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("equivalent_kg", "equivalents"), pl.Float64),
    "rank": pl.Int32,
    "taxed": pl.Boolean,
    **dict.fromkeys(("below_percent", "pays_percent", "rate", "tax"), pl.Float64),
    "reason": pl.String,
}


@dataclass(frozen=True, slots=True)
class Assessed:
    """The tax by row, and rows that bear none: what is not taxed, or cannot be assessed."""

    rows: pl.DataFrame  #: COLUMNS and ADDED; `tax` [CNY]
    aside: pl.DataFrame  #: COLUMNS and `reason`

    @property
    def total(self) -> float:
        """All tax [CNY]."""
        return float(sum((exact(value) for value in self.rows["tax"]), Fraction(0)))


def assess(emissions: pl.DataFrame, province: str) -> Assessed:
    """Tax of the emissions of outlets, month by month.

    Parameters
    ----------
    emissions : frame of COLUMNS; an outlet's pollutants of one month compete for its taxed places
    province : division code whose rate applies, such as ``630000``

    Raises LayoutError when a column is missing, RuleError when the book has no rate for the province.

    >>> row = {"outlet": "DA001", "month": "2025-06", "pollutant": "so2", "emission_kg": 1000.0}
    >>> assess(pl.DataFrame([row]), "630000").total
    1263.16
    """
    missing = [n for n in ("outlet", "month", "pollutant", "emission_kg") if n not in emissions.columns]
    if missing:
        raise LayoutError(f"emissions of outlets have no column {', '.join(missing)}.")
    absent = [pl.lit(None, dtype=t).alias(n) for n, t in COLUMNS.items() if n not in emissions.columns]
    rows = emissions.with_columns(absent).select(pl.col(n).cast(t) for n, t in COLUMNS.items())
    taxed: list[dict[str, Any]] = []
    aside: list[dict[str, Any]] = []
    for (_, month), group in rows.group_by("outlet", "month", maintain_order=True):
        book = _book(str(month), province)
        weighed = []
        for row in group.iter_rows(named=True):
            reason = "bad_month" if book is None else _unfit(row, book)
            if book is None or reason:
                aside.append({**row, "reason": reason})
            else:
                weighed.append(row)
        if book is not None:
            taxed += _outlet(weighed, book, exact(book.number(f"rate.{province}")))
    return Assessed(
        pl.DataFrame(taxed, schema={**COLUMNS, **ADDED}),
        pl.DataFrame(aside, schema={**COLUMNS, "reason": pl.String}),
    )


def _book(month: str, province: str) -> RuleBook | None:
    """The law as it stands in a month; None when the month is not one."""
    try:
        first = date.fromisoformat(f"{month}-01")
    except ValueError:
        return None
    book = load_book("env_tax", first)
    if not book.has(f"rate.{province}"):
        raise RuleError(
            f"{book.edition} has no rate of {province}.", remedy=f"Add rate.{province} to standards/env_tax.yaml."
        )
    return book


def _unfit(row: Mapping[str, Any], book: RuleBook) -> str:
    """Why a row bears no tax: "" when it may."""
    if not book.has(f"equivalent.{row['pollutant']}"):
        return "not_taxed"
    mass = row["emission_kg"]
    return "" if mass is not None and 0 <= mass < float("inf") else "bad_mass"


def _outlet(rows: list[dict[str, Any]], book: RuleBook, rate: Fraction) -> list[dict[str, Any]]:
    """Rows of one outlet and month with rank and tax; the most equivalents first, equal ones by name."""
    places, decimals = int(book.number("outlet.taxed")), int(book.number("tax.decimals"))
    weighed = []
    for row in rows:
        equivalent = exact(book.number(f"equivalent.{row['pollutant']}"))
        weighed.append((exact(row["emission_kg"]) / equivalent, equivalent, row))
    weighed.sort(key=lambda item: (-item[0], item[2]["pollutant"]))
    made = []
    for rank, (equivalents, equivalent, row) in enumerate(weighed, start=1):
        taxed = rank <= places and equivalents > 0
        pays, below, reason = reduction(row, book)
        due = half_even(equivalents * rate * pays, decimals) if taxed else Fraction(0)
        made.append(
            {
                **row,
                "equivalent_kg": float(equivalent),
                "equivalents": float(equivalents),
                "rank": rank,
                "taxed": taxed,
                "below_percent": None if below is None else float(below * 100),
                "pays_percent": float(pays * 100),
                "rate": float(rate),
                "tax": float(due),
                "reason": reason,
            }
        )
    return made


def reduction(row: Mapping[str, Any], book: RuleBook) -> tuple[Fraction, Fraction | None, str]:
    """Share of the tax that is paid, how far the month's mean lies below the limit, and why (article 13).

    A month with a value above the limit, or of which that is not known, pays in full.
    """
    concentration, limit, exceeded = row["concentration"], row["limit"], row["exceeded"]
    if concentration is None or not limit or limit <= 0:
        return Fraction(1), None, "no_concentration"
    below = 1 - exact(concentration) / exact(limit)
    if exceeded is None:
        return Fraction(1), below, "exceedance_unknown"
    if exceeded:
        return Fraction(1), below, "exceeded"
    for step in ("50", "30"):
        if below >= exact(book.number(f"reduction.{step}.below")) / 100:
            return exact(book.number(f"reduction.{step}.pays")) / 100, below, f"reduced_{step}"
    return Fraction(1), below, "not_low_enough"
