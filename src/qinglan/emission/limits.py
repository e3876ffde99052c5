"""Concentrations of an outlet against the limits of its kind: folded to the reference oxygen, hour by hour.

Limits are content/standards/stationary.yaml; where a permit has a limit of its own, the stricter one counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from qinglan.core.errors import LayoutError, UnknownName
from qinglan.core.rulebook import RuleBook

#: `kind` is a name of the book's limits, such as ``boiler_coal_new``; `oxygen` [%] in the gas as measured, dry;
#: `permit_limit` [mg/m3] and `oxygen` may be null.
COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("source_id", "kind", "pollutant"), pl.String),
    **dict.fromkeys(("concentration", "oxygen", "permit_limit"), pl.Float64),
}


def kinds(book: RuleBook) -> tuple[str, ...]:
    """Kinds of outlet that the book has limits for on its date.

    >>> from datetime import date
    >>> from qinglan.plan.rules import load_book
    >>> "boiler_coal_new" in kinds(load_book("stationary", date(2025, 1, 1)))
    True
    """
    return tuple(sorted({key.split(".")[1] for key in book.values if key.startswith("limit.")}))


def folded(concentration: pl.Expr, oxygen: pl.Expr, reference: pl.Expr, air: float) -> pl.Expr:
    """C (21 - O_ref)/(21 - O2) [mg/m3]: as if the gas had the reference oxygen; null at 21 % and more.

    Without a reference in the standard nothing is folded. Source: HJ 212 annex D; GB 13271-2014 6.1.
    """
    share = pl.when(oxygen < air).then((air - reference) / (air - oxygen))
    return pl.when(reference.is_null()).then(concentration).otherwise(concentration * share)


def compare(measured: pl.DataFrame, book: RuleBook) -> pl.DataFrame:
    """Rows with `reference_oxygen` [%], `folded` and `limit` [mg/m3], `below_percent` (of the limit), `over` and
    `reason` (why `over` is null).

    measured : frame of COLUMNS and whatever else stands in it. Raises LayoutError when a column is missing,
    UnknownName for a kind that the book does not have.
    """
    missing = [
        name for name in ("source_id", "kind", "pollutant", "concentration") if name not in measured.columns
    ]
    if missing:
        raise LayoutError(f"measurements have no column {', '.join(missing)}.")
    known = kinds(book)
    for kind in measured["kind"].drop_nulls().unique().sort():
        if kind not in known:
            raise UnknownName(f"kind of outlet of {book.edition}", kind, known)
    absent = [pl.lit(None, dtype=t).alias(n) for n, t in COLUMNS.items() if n not in measured.columns]
    held = measured.with_columns(absent)
    limited = held.join(_limits(book), on=["kind", "pollutant"], how="left", maintain_order="left")
    rows = limited.join(_oxygen(book), on="kind", how="left", maintain_order="left")
    at = folded(pl.col("concentration"), pl.col("oxygen"), pl.col("reference_oxygen"), book.number("air.oxygen"))
    rows = rows.with_columns(folded=at, limit=pl.min_horizontal("permit_limit", "book_limit")).drop("book_limit")
    no_oxygen = pl.col("reference_oxygen").is_not_null() & pl.col("folded").is_null()
    reason = (
        pl.when(pl.col("limit").is_null())
        .then(pl.lit("no_limit"))
        .when(~pl.col("concentration").is_finite().fill_null(False))
        .then(pl.lit("no_value"))
        .when(no_oxygen)
        .then(pl.lit("no_oxygen"))
    )
    told = rows.with_columns(reason=reason)
    sound = pl.col("reason").is_null()
    return told.with_columns(
        below_percent=pl.when(sound).then(100 * (1 - pl.col("folded") / pl.col("limit"))),
        over=pl.when(sound).then(pl.col("folded") > pl.col("limit")),
    )


def _limits(book: RuleBook) -> pl.DataFrame:
    """kind, pollutant, book_limit [mg/m3]."""
    rows = [(*key.split(".")[1:], book.number(key)) for key in book.values if key.startswith("limit.")]
    head = {"kind": pl.String, "pollutant": pl.String, "book_limit": pl.Float64}
    return pl.DataFrame(rows, schema=head, orient="row")


def _oxygen(book: RuleBook) -> pl.DataFrame:
    """kind, reference_oxygen [%] of the kinds that have one."""
    rows = [(key.split(".")[1], book.number(key)) for key in book.values if key.startswith("oxygen.")]
    return pl.DataFrame(rows, schema={"kind": pl.String, "reference_oxygen": pl.Float64}, orient="row")


def compliance(
    compared: pl.DataFrame, book: RuleBook, by: Sequence[str] = ("source_id", "pollutant")
) -> pl.DataFrame:
    """Share of hours within the limit: `by`, `hours`, `judged`, `within`, `percent`, `kept`.

    compared : hours out of :func:`compare`. `kept` says whether the share reaches ``ule.hours_share`` (95 % of the
    hours, for ultra-low emission); null when no hour could be judged.
    """
    judged = pl.col("over").is_not_null()
    summed = compared.group_by(*by, maintain_order=True).agg(
        hours=pl.len(), judged=judged.sum(), within=(~pl.col("over")).sum()
    )
    percent = pl.when(pl.col("judged") > 0).then(100 * pl.col("within") / pl.col("judged"))
    return summed.with_columns(percent=percent, kept=percent >= book.number("ule.hours_share"))
