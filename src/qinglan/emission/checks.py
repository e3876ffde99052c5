"""Questions to an inventory: does it agree with what others know? Each answers with a frame of what stands out.

Each function takes frames and a rule book (``tcses144``, keys ``check.*``) and returns rows to look at, never a
verdict: a finding is a question to the person who keeps the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl

from qinglan.core.rulebook import RuleBook
from qinglan.emission.categories import categories
from qinglan.emission.frames import METHODS, Inventory

#: Consistency constant: the median absolute deviation of a normal distribution is 0.6745 standard deviations.
_MAD = 0.6745
#: Of the mean absolute deviation: a standard deviation is sqrt(pi/2) of them.
_MEAN = 1.2533
#: Logarithms nearer than this are the same number.
_ALIKE = 1e-9


def band(book: RuleBook) -> float:
    """By what factor an inventory may stand from a top-down one: the book's option ``top_down_band``."""
    return book.number(f"check.top_down.{book.option('top_down_band')}")


def against_top_down(
    emissions: pl.DataFrame, other: pl.DataFrame, book: RuleBook, by: Sequence[str] = ("species",)
) -> pl.DataFrame:
    """Totals beside those of a top-down inventory: `by`, `emission_t, other_t, ratio, stands_out`.

    other : frame of the columns `by` and `emission_t` [t], such as REAS 3.2 of the province. A side that says
    nothing is null, and stands out. Otherwise what differs by more than :func:`band` does.
    """
    keys = list(by)
    ours = emissions.group_by(keys).agg(pl.col("emission_t").sum())
    theirs = other.group_by(keys).agg(other_t=pl.col("emission_t").cast(pl.Float64).sum())
    both = ours.join(theirs, on=keys, how="full", coalesce=True)
    ratio = pl.when(pl.col("other_t") > 0).then(pl.col("emission_t") / pl.col("other_t"))
    factor = band(book)
    out = ~ratio.is_between(1 / factor, factor)
    return both.with_columns(ratio=ratio, stands_out=out.fill_null(True)).sort(keys)


def fuel_balance(activities: pl.DataFrame, statistics: pl.DataFrame, book: RuleBook) -> pl.DataFrame:
    """Fuel in the ledgers beside the statistics: `place, year, fuel, unit, amount, stated, difference_percent,
    stands_out`.

    statistics : `place, year, fuel, unit, amount`. `place` is what both sides name, prefecture or province.
    What differs by more than ``check.balance_tolerance`` % stands out, and what one side lacks.
    """
    keys = ["place", "year", "fuel", "unit"]
    kinds = categories().kinds().filter(pl.col("kind").is_in(["fuel", "biofuel"]))
    burnt = activities.join(kinds.select("fuel"), on="fuel", how="semi")
    ours = burnt.group_by(keys).agg(pl.col("amount").sum())
    theirs = statistics.group_by(keys).agg(stated=pl.col("amount").cast(pl.Float64).sum())
    both = ours.join(theirs.cast({"year": ours.schema["year"]}), on=keys, how="full", coalesce=True)
    off = pl.when(pl.col("stated") > 0).then((pl.col("amount") / pl.col("stated") - 1) * 100)
    out = off.abs() > book.number("check.balance_tolerance")
    return both.with_columns(difference_percent=off, stands_out=out.fill_null(True)).sort(keys)


def cems_against_factor(inventory: Inventory, book: RuleBook) -> pl.DataFrame:
    """Where CEMS won, its tonnes beside the best other number: who, `cems_t, other_t, other_method, ratio,
    stands_out`.

    A ratio outside ``check.cems_ratio_low`` to ``check.cems_ratio_high`` asks: is the monitor right, or the row?
    """
    keys = ["source_id", "ledger", "row_key", "activity", "species"]
    summed = inventory.emissions.filter(method="cems").select(*keys, "place", "sector", cems_t="emission_t")
    others = inventory.alternatives.filter(pl.col("method") != "cems")
    best = others.with_columns(order=pl.col("method").replace_strict(_ORDER, return_dtype=pl.Int8)).sort("order")
    first = best.unique(keys, keep="first", maintain_order=True)
    both = summed.join(
        first.select(*keys, other_t="emission_t", other_method="method"), on=keys, nulls_equal=True, how="left"
    )
    ratio = pl.when(pl.col("other_t") > 0).then(pl.col("cems_t") / pl.col("other_t"))
    low, high = book.number("check.cems_ratio_low"), book.number("check.cems_ratio_high")
    return both.with_columns(ratio=ratio, stands_out=(~ratio.is_between(low, high)).fill_null(False)).sort(keys)


_ORDER = {method: place for place, method in enumerate(METHODS)}


def above_permit(emissions: pl.DataFrame, permits: pl.DataFrame) -> pl.DataFrame:
    """Enterprises or sources above their permitted tonnes: `source_id, year, species, emission_t, permitted_t,
    excess_t`, the largest excess first.

    permits : `source_id, year, species, permitted_t`.
    """
    keys = ["source_id", "year", "species"]
    ours = emissions.group_by(keys).agg(pl.col("emission_t").sum())
    held = permits.select(*keys, pl.col("permitted_t").cast(pl.Float64)).cast({"year": ours.schema["year"]})
    excess = pl.col("emission_t") - pl.col("permitted_t")
    both = ours.join(held, on=keys).with_columns(excess_t=excess)
    return both.filter(pl.col("excess_t") > 0).sort("excess_t", *keys, descending=[True, False, False, False])


def outliers(emissions: pl.DataFrame, book: RuleBook, within: Sequence[str] = ("sector", "fuel")) -> pl.DataFrame:
    """Sources whose tonnes for each unit of activity are unlike those of their industry.

    Returns the rows with `intensity` (t for each unit), `median`, `z` and `peers`, largest |z| first. z is the
    modified z-score of the logarithm, 0.6745 (x - median)/MAD, and where more than half are alike (MAD 0)
    (x - median)/(1.2533 mean absolute deviation) (Iglewicz & Hoaglin 1993). A row stands out above
    ``check.outlier_z`` when it also is ``check.outlier_ratio_min`` times the median or its inverse. Groups of
    fewer than ``check.outlier_count_min`` sources, or all alike, have no outliers.
    """
    scored = scores(emissions, book, within)
    least = math.log(book.number("check.outlier_ratio_min"))
    far = (pl.col("intensity") / pl.col("median")).log().abs() >= least
    found = scored.filter(far & (pl.col("z").abs() > book.number("check.outlier_z")))
    return found.sort(pl.col("z").abs(), descending=True)


def scores(emissions: pl.DataFrame, book: RuleBook, within: Sequence[str] = ("sector", "fuel")) -> pl.DataFrame:
    """Every row of a group that can be compared, with the columns that :func:`outliers` tells."""
    group = [*within, "unit", "species"]
    rated = emissions.filter((pl.col("amount") > 0) & (pl.col("emission_t") > 0)).with_columns(
        intensity=pl.col("emission_t") / pl.col("amount")
    )
    middle = pl.col("intensity").log().median().over(group)
    off = pl.col("intensity").log() - pl.col("middle")
    scored = rated.with_columns(middle=middle, peers=pl.len().over(group)).with_columns(
        off=off, spread=off.abs().median().over(group), mean=off.abs().mean().over(group)
    )
    z = (
        pl.when(pl.col("spread") > _ALIKE).then(_MAD * pl.col("off") / pl.col("spread"))
        .when(pl.col("mean") > _ALIKE).then(pl.col("off") / (_MEAN * pl.col("mean")))
    )  # fmt: skip
    told = scored.with_columns(z=z, median=pl.col("middle").exp()).drop("middle", "off", "spread", "mean")
    many = pl.col("peers") >= book.number("check.outlier_count_min")
    return told.filter(many & pl.col("z").is_not_null())


def left_out(
    emissions: pl.DataFrame, register: pl.DataFrame, *, key: str = "source_id"
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Units in one list and not in the other: registered without emission, and emitting without a register entry.

    register : a ledger, the permits or the emergency list, with the column `key`. Both frames keep the columns of
    their side; the second is one row for each unit with its species and tonnes.
    """
    named = register.filter(pl.col(key).is_not_null()).unique(key, keep="first", maintain_order=True)
    silent = named.join(emissions.select(key), on=key, how="anti", maintain_order="left")
    strange = (
        emissions.join(named.select(key), on=key, how="anti", maintain_order="left")
        .group_by(key, maintain_order=True)
        .agg(pl.col("species").unique().sort(), pl.col("emission_t").sum())
    )
    return silent, strange


def coverage(emissions: pl.DataFrame, listed: pl.DataFrame, *, key: str = "source_id") -> pl.DataFrame:
    """Share of each species' tonnes that stands in a list (the emergency list): `species, emission_t, covered_t,
    covered_percent`."""
    inside = pl.col(key).is_in(listed[key].drop_nulls().unique().implode())
    summed = emissions.group_by("species").agg(
        pl.col("emission_t").sum(), covered_t=pl.col("emission_t").filter(inside).sum()
    )
    percent = pl.when(pl.col("emission_t") > 0).then(100 * pl.col("covered_t") / pl.col("emission_t"))
    return summed.with_columns(covered_percent=percent).sort("species")
