"""Why this year's tonnes are not last year's, and which sources make up most of them.

A year-on-year change is split without a remainder into what was done more (activity), what each unit of it gives
off (factor) and what is kept back at the end of the pipe (control), by the logarithmic mean Divisia index: Ang
2005, doi:10.1016/j.enpol.2003.10.010; zeros as limits: Ang & Liu 2007, doi:10.1016/j.enpol.2006.11.011.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qinglan.core.rulebook import RuleBook
from qinglan.emission.units import UnitMismatch, scale

Vector = NDArray[np.float64]

#: What a change is split into. `opened` and `closed` are sources of one year only; `redefined` is a source whose
#: amount is told in units that cannot be compared.
EFFECTS = ("by_activity", "by_factor", "by_control", "opened", "closed", "redefined")

#: What makes an emission of two years the same one.
IDENTITY = ("source_id", "ledger", "row_key", "activity", "species")


def log_mean(a: Vector, b: Vector) -> Vector:
    """Logarithmic mean L(a, b) = (a - b)/ln(a/b) of positive numbers, L(a, a) = a. Ang 2005, eq. 5.

    >>> log_mean(np.array([2.0, 3.0]), np.array([1.0, 3.0])).round(6).tolist()
    [1.442695, 3.0]
    """
    x = np.log(a / b)
    small = np.abs(x) < 1e-12
    ratio: Vector = np.where(small, 1.0, np.expm1(x) / np.where(small, 1.0, x))
    return b * ratio


def split(before: Sequence[Vector], after: Sequence[Vector]) -> list[Vector]:
    """Effects of each factor on the change of their product, shape as given; they sum to the change.

    before, after : the factors of each row in the two years, not negative. Where a product is zero in one of the
    years, the change belongs to the factors that are zero there, in equal parts: the limit of Ang & Liu 2007.

    >>> parts = split([np.array([10.0]), np.array([2.0])], [np.array([20.0]), np.array([1.0])])
    >>> [part.round(9).tolist() for part in parts]
    [[13.862943611], [-13.862943611]]
    """
    first, last = np.prod(before, axis=0), np.prod(after, axis=0)
    living = (first > 0) & (last > 0)
    safe = np.where(living, last, 1.0), np.where(living, first, 1.0)
    weight = log_mean(*safe)
    zeros = np.array([(a == 0) | (b == 0) for a, b in zip(before, after, strict=True)])
    portion = zeros / np.maximum(zeros.sum(axis=0), 1)
    effects = []
    for part, b, a in zip(portion, before, after, strict=True):
        ratio = np.where(living, a, 1.0) / np.where(living, b, 1.0)
        effects.append(np.where(living, weight * np.log(ratio), part * (last - first)))
    return effects


def change(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """The change of every emission between two inventories, split into EFFECTS [t].

    Parameters
    ----------
    before, after : frames of emissions of two years (frames.EMISSIONS)

    Returns
    -------
    frame : IDENTITY, place, sector, fuel, technology, `before_t`, `after_t`, `change_t`, the six effects, and
        `method_changed`: the number was got in another way, so that a part of the change may be the method's.
        The effects of a row sum to its `change_t` to rounding.
    """
    both = _side(before, "before").join(
        _side(after, "after"), on=IDENTITY, how="full", coalesce=True, nulls_equal=True
    )
    labels = [pl.coalesce(f"{n}_after", f"{n}_before").alias(n) for n in ("place", "sector", "fuel", "technology")]
    told = pl.col("passed_before").is_not_null() & pl.col("passed_after").is_not_null()
    rows = both.join(_scales(both), on=["unit_before", "unit_after"], how="left", nulls_equal=True).with_columns(
        *labels,
        before_t=pl.col("t_before").fill_null(0.0),
        after_t=pl.col("t_after").fill_null(0.0),
        p0=pl.when(told).then("passed_before").otherwise(1.0),
        p1=pl.when(told).then("passed_after").otherwise(1.0),
        a0=pl.col("amount_before"),
        a1=pl.col("amount_after") * pl.col("scale"),
    )
    gone, new = pl.col("t_after").is_null(), pl.col("t_before").is_null()
    # Tonnes from nothing done (a leak, a sum by CEMS without an amount) cannot be a product.
    product = ((pl.col("a0") > 0) | (pl.col("before_t") == 0)) & ((pl.col("a1") > 0) | (pl.col("after_t") == 0))
    whole = ~gone & ~new & product.fill_null(False)
    rows = rows.with_columns(whole=whole, gone=gone, new=new, change_t=pl.col("after_t") - pl.col("before_t"))
    parts = _product(rows)
    delta, lone = rows["change_t"], rows["gone"] | rows["new"]
    effects = {
        **dict(zip(EFFECTS[:3], parts, strict=True)),
        "opened": (delta * rows["new"]).to_numpy(),
        "closed": (delta * rows["gone"]).to_numpy(),
        "redefined": (delta * ~(rows["whole"] | lone)).to_numpy(),
    }
    made = rows.with_columns(pl.Series(name, values) for name, values in effects.items())
    differs = (pl.col("method_before") != pl.col("method_after")).fill_null(False)
    return made.with_columns(method_changed=differs).select(
        *IDENTITY,
        *("place", "sector", "fuel", "technology", "before_t", "after_t", "change_t", *EFFECTS, "method_changed"),
    )


def _side(emissions: pl.DataFrame, year: str) -> pl.DataFrame:
    """One year's emissions with the share that passes the devices (null where it was measured behind them)."""
    passed = 1.0 - pl.col("removal") * pl.col("running") * pl.col("capture")
    named = {n: pl.col(n) for n in ("amount", "unit", "method", "place", "sector", "fuel", "technology")}
    kept = {**named, "t": pl.col("emission_t"), "passed": passed}
    return emissions.select(*IDENTITY, *(value.alias(f"{name}_{year}") for name, value in kept.items()))


def _scales(both: pl.DataFrame) -> pl.DataFrame:
    """unit_before, unit_after, and what turns an amount of the second into the first; null where nothing does."""
    made: list[tuple[str, str, float | None]] = []
    for first, last in both.select("unit_before", "unit_after").unique().iter_rows():
        try:
            made.append((first, last, 1.0 if first == last else scale(last or "", first or "")))
        except UnitMismatch:
            made.append((first, last, None))
    head = {"unit_before": pl.String, "unit_after": pl.String, "scale": pl.Float64}
    return pl.DataFrame(made, schema=head, orient="row")


def _product(rows: pl.DataFrame) -> list[Vector]:
    """Effects of activity, factor and control; zero where the row is not a product in both years."""
    whole = rows["whole"].to_numpy()

    def column(expression: pl.Expr) -> Vector:
        values: Vector = (
            rows.select(expression.fill_null(0.0).fill_nan(0.0).cast(pl.Float64)).to_series().to_numpy()
        )
        return np.where(whole, values, 1.0)

    def implied(year: str) -> pl.Expr:
        under = pl.col(f"a{year}") * pl.col(f"p{year}")
        return pl.when(under > 0).then(pl.col("before_t" if year == "0" else "after_t") / under)

    # Where nothing was done, or all was kept back, the year tells no factor: it is taken to be the other year's.
    factor0, factor1 = pl.coalesce(implied("0"), implied("1")), pl.coalesce(implied("1"), implied("0"))
    before = [column(e) for e in (pl.col("a0"), factor0, pl.col("p0"))]
    after = [column(e) for e in (pl.col("a1"), factor1, pl.col("p1"))]
    return [np.where(whole, part, 0.0) for part in split(before, after)]


def key_sources(emissions: pl.DataFrame, by: Sequence[str], book: RuleBook) -> pl.DataFrame:
    """Which groups make up most of each species: `species`, columns of `by`, `emission_t, share, cumulative, key`.

    Groups are added from the largest down until the share of the book (95 %) is reached; the one that crosses it
    is a key source too. Source: IPCC 2006 vol. 1 ch. 4, level assessment (approach 1).
    """
    wanted = book.number("key_source.share") / 100
    grouped = emissions.group_by("species", *by).agg(pl.col("emission_t").sum())
    ranked = grouped.sort("species", "emission_t", *by, descending=[False, True, *[False] * len(by)])
    share = pl.col("emission_t") / pl.col("emission_t").sum().over("species")
    summed = ranked.with_columns(share=share).with_columns(cumulative=pl.col("share").cum_sum().over("species"))
    before = pl.col("cumulative") - pl.col("share")
    return summed.with_columns(key=(before < wanted - 1e-12) & (pl.col("emission_t") > 0))
