"""Where a number came from: an emission worked again in words, with the source of each input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from qinglan.emission.cited import cited, corrected
from qinglan.emission.controls import controls
from qinglan.emission.factors import all_factors

#: Where factors stand that are not rows of a table, by the beginning of their id; the first that fits.
_MADE = {
    "coal.default.": "T/CSES 144-2024 annex C with the default sulphur and ash of coal.csv",
    "coal.": "T/CSES 144-2024 annex C with the row's own analysis of coal",
    "slip.": "T/CSES 144-2024 table E.1",
    "balance.": "balance of the row's own quantities, T/CSES 144-2024",
    "measured.": "measured at the source",
    "fume@": "measured at the source",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One input of an emission: what it is, its value as text, where it stands and how sure that is."""

    input: str  #: amount, factor, correction, removal, running, capture or result
    value: str
    source: str
    certainty: str


def with_sources(emissions: pl.DataFrame) -> pl.DataFrame:
    """Emissions with `factor_source`, `factor_certainty` and `factor_from` of the factor that each used.

    A factor that is made of several tables (vehicles, machines, raised dust) names all of them and the least of
    their certainties. Where the factor is the row's own (an analysis, a balance, a measurement) the source says so
    and the certainty is null.
    """
    dated = all_factors().with_columns(first=pl.col("valid_from").dt.year())
    known = dated.select(
        factor_id="id",
        factor_source="source",
        factor_certainty="certainty",
        factor_from="valid_from",
        first="first",
    ).sort("first")
    numbered = emissions.with_row_index("_n")
    met = (
        numbered.select("_n", "factor_id", "year")
        .join(known, on="factor_id")
        .filter(pl.col("first") <= pl.col("year"))
    )
    newest = met.sort("_n", "factor_from").unique("_n", keep="last").drop("factor_id", "year", "first")
    met_all = numbered.join(newest, on="_n", how="left", maintain_order="left").drop("_n")
    made = met_all.join(cited(), on="factor_id", how="left", maintain_order="left")
    return made.with_columns(
        pl.coalesce("factor_source", "cited_source", _own()).alias("factor_source"),
        pl.coalesce("factor_certainty", "cited_certainty").alias("factor_certainty"),
    ).drop("cited_source", "cited_certainty")


def _own() -> pl.Expr:
    """The source of a factor that the row itself gave, by the beginning of its id; null for others."""
    found = pl.lit(None, pl.String)
    for start, source in reversed(_MADE.items()):
        found = pl.when(pl.col("factor_id").str.starts_with(start)).then(pl.lit(source)).otherwise(found)
    return found


def worked(row: Mapping[str, Any]) -> str:
    """The emission as one line of arithmetic.

    >>> made = {"method": "balance", "amount": 8600.0, "unit": "t", "factor": 8.84, "factor_unit": "kg/t"}
    >>> kept = {"removal": 0.8, "running": 0.98, "capture": 1.0, "emission_t": 16.421184}
    >>> worked({**made, "uncontrolled_t": 76.024, **kept})
    '8600 t × 8.84 kg/t = 76.024 t; × (1 − 0.8 × 0.98) = 16.421 t'
    """
    whole = _number(row["uncontrolled_t"])
    if row["factor"] is None or row["method"] == "cems":
        made = f"{whole} t"
    else:
        made = (
            f"{_number(row['amount'])} {row['unit']} × {_number(row['factor'])} {row['factor_unit']} = {whole} t"
        )
    shares = [row[name] for name in ("removal", "running", "capture") if row[name] not in (None, 1.0)]
    if not row["removal"]:
        return made
    kept = " × ".join(_number(share) for share in shares) or "1"
    return f"{made}; × (1 − {kept}) = {_number(row['emission_t'])} t"


def steps(row: Mapping[str, Any]) -> tuple[Step, ...]:
    """The inputs of one emission in the order in which they are multiplied, each with its source.

    row : of :func:`with_sources`. The amount's source is the ledger's row; `quality` is its grade.
    """
    ledger = " / ".join(str(row[name]) for name in ("ledger", "row_key") if row[name])
    made = []
    if row["method"] != "cems":
        made.append(Step("amount", f"{_number(row['amount'])} {row['unit']}", ledger, str(row["quality"] or "")))
    if row["factor"] is not None:
        value = f"{_number(row['factor'])} {row['factor_unit']}"
        source = row["factor_source"] or _made(str(row["factor_id"]))
        made.append(Step("factor", value, source, row["factor_certainty"] or ""))
        if row["equation"] == "vehicle_distance":
            made.append(Step("correction", str(row["note"] or ""), *corrected()))
    if row["removal"]:
        source, certainty = _devices(str(row["removal_id"]))
        made.append(Step("removal", _number(row["removal"]), source, certainty))
        made.append(Step("running", _number(row["running"]), ledger, ""))
        if row["capture"] != 1.0:
            made.append(Step("capture", _number(row["capture"]), ledger, ""))
    made.append(Step("result", worked(row), str(row["method"]), ""))
    return tuple(made)


def _made(factor_id: str) -> str:
    return next((source for start, source in _MADE.items() if factor_id.startswith(start)), factor_id)


def _devices(removal_id: str) -> tuple[str, str]:
    """Source and certainty of the devices that an id names; a measured one is the source's own."""
    names = removal_id.split("@")[0].split("+")
    known = {row["control"]: row for row in controls().iter_rows(named=True)}
    met = [known[name] for name in names if name in known]
    if "@" in removal_id or not met:
        return removal_id, ""
    return "; ".join(f"{row['control']}: {row['source']}" for row in met), met[0]["certainty"]


def _number(value: float) -> str:
    """A number with five digits and no exponent for what people meet."""
    return (
        f"{value:.5g}"
        if 1e-4 <= abs(value) < 1e5 or value == 0
        else f"{value:,.0f}"
        if value >= 1
        else f"{value:.2e}"
    )
