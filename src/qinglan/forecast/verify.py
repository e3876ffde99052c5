"""A forecast held to the air that came: by lead day, place, season; and against persistence and climatology.

Errors are of the mean, MAE of the median, CRPS of the quantiles (:mod:`qinglan.forecast.scores`). Intervals of
skill come from drawing whole days again with replacement, all places and leads of a day together: the air of one
day is one event.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from qinglan.core.rulebook import RuleBook
from qinglan.forecast.air_index import QUANTILES
from qinglan.forecast.scores import coverage, crps, crps_each, mae, rmse
from qinglan.forecast.series import LEVELS, Floats

#: By what scores are told apart.
BY = ("lead_day", "place", "season", "item")
_DRAWS = 500
_SEASONS = {12: "winter", 1: "winter", 2: "winter", 3: "spring", 4: "spring", 5: "spring", 6: "summer",
            7: "summer", 8: "summer", 9: "autumn", 10: "autumn", 11: "autumn"}  # fmt: skip


def with_season(pairs: pl.DataFrame) -> pl.DataFrame:
    """`season` of the valid day, by the month: winter is December to February."""
    return pairs.with_columns(season=pl.col("day").dt.month().replace_strict(_SEASONS, return_dtype=pl.String))


def scores(pairs: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Scores of concentrations for each group of columns.

    Parameters
    ----------
    pairs : frame with the columns of `by`, `mean`, :data:`~qinglan.forecast.air_index.QUANTILES` and `observed`,
        of one pollutant or with `item` in `by`: their units are not added up [µg/m³; CO mg/m³]

    Returns
    -------
    frame: columns of `by`, `n`, `rmse`, `mae`, `bias` (forecast minus observed), `r` (null below 3 pairs), `crps`,
    `coverage_50` and `coverage_90` (share within q25..q75 and q05..q95)
    """
    rows = []
    for key, group in pairs.drop_nulls(["observed", "mean", "q50"]).group_by(by, maintain_order=True):
        seen, mean, spread = _arrays(group)
        low, q25, mid, q75, high = (spread[:, LEVELS.index(x)] for x in (0.05, 0.25, 0.5, 0.75, 0.95))
        varied = seen.size >= 3 and seen.std() > 0 and mean.std() > 0
        rows.append(
            {
                **dict(zip(by, key, strict=True)),
                "n": seen.size,
                "rmse": rmse(mean, seen),
                "mae": mae(mid, seen),
                "bias": float(np.mean(mean - seen)),
                "r": float(np.corrcoef(mean, seen)[0, 1]) if varied else None,
                "crps": crps(spread, LEVELS, seen),
                "coverage_50": coverage(q25, q75, seen),
                "coverage_90": coverage(low, high, seen),
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def skill(
    pairs: pl.DataFrame, against: pl.DataFrame, by: Sequence[str], *, rng: np.random.Generator
) -> pl.DataFrame:
    """``1 - CRPS / CRPS of another forecast`` of the same places, days, leads and items, with a 95 % interval.

    Returns
    -------
    frame: columns of `by`, `n`, `skill`, `low`, `high` (null with fewer than 5 days)
    """
    keys = ["place", "day", "lead_day", "item"]
    extra = [name for name in by if name not in keys]
    mine = pairs.drop_nulls(["observed", "q50"]).select(*keys, *extra, "observed", *QUANTILES)
    other = against.drop_nulls("q50").select(*keys, **{f"other_{q}": q for q in QUANTILES})
    both = mine.join(other, on=keys, how="inner")
    rows = []
    for key, group in both.group_by(by, maintain_order=True):
        seen = group["observed"].to_numpy()
        days = group["day"].rank("dense").to_numpy().astype(np.int64) - 1
        sums: Floats = np.stack(
            [
                np.bincount(days, crps_each(group.select(names).to_numpy(), LEVELS, seen))
                for names in (QUANTILES, [f"other_{q}" for q in QUANTILES])
            ]
        )
        low, high = _interval(sums, rng)
        whole = sums.sum(axis=1)
        rows.append(
            {
                **dict(zip(by, key, strict=True)),
                "n": seen.size,
                "skill": float(1 - whole[0] / whole[1]) if whole[1] > 0 else None,
                "low": low,
                "high": high,
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def _arrays(group: pl.DataFrame) -> tuple[Floats, Floats, Floats]:
    return group["observed"].to_numpy(), group["mean"].to_numpy(), group.select(QUANTILES).to_numpy()


def _interval(sums: Floats, rng: np.random.Generator) -> tuple[float | None, float | None]:
    """95 % interval of skill from sums of loss (forecast, day), days drawn again."""
    count = sums.shape[1]
    if count < 5:
        return None, None
    drawn: Floats = sums[:, rng.integers(0, count, (_DRAWS, count))].sum(axis=2)
    good = drawn[1] > 0
    if not good.any():
        return None, None
    low, high = np.quantile(1 - drawn[0][good] / drawn[1][good], (0.025, 0.975))
    return float(low), float(high)


def index_scores(pairs: pl.DataFrame, by: Sequence[str], book: RuleBook) -> pl.DataFrame:
    """Scores of what was said of AQI.

    Parameters
    ----------
    pairs : frame of :func:`~qinglan.forecast.air_index.air_index` with `observed`, `observed_level` and
        `observed_primary` (ties joined by ``,``), judged by the rule of the valid day
    book : family ``forecast``

    Returns
    -------
    frame: columns of `by`, `n`, `rmse`, `mae`, `bias` of the median AQI, `level_hit`, `range_hit` (AQI within
    low..high), `primary_hit` (a primary pollutant that came was named; days above AQI 50 that have one), and for
    each AQI of `verify.above`: `hits_N`, `misses_N`, `false_alarms_N`, said of the median. Shares are 0..1.
    """
    span = book.option("level_hit") == "span"
    seen = pl.col("observed_level")
    level = seen.is_between("level_low", "level_high") if span else seen == pl.col("level")
    named = pl.col("observed_primary").str.split(",").list.set_intersection(pl.col("primary").str.split(","))
    has = pl.col("observed_primary").fill_null("") != ""
    error = pl.col("q50") - pl.col("observed")
    counted = []
    for top in book.get("verify.above").value:
        came, said = pl.col("observed") > top, pl.col("q50") > top
        counted += [
            (came & said).sum().alias(f"hits_{top}"),
            (came & ~said).sum().alias(f"misses_{top}"),
            (~came & said).sum().alias(f"false_alarms_{top}"),
        ]
    return (
        pairs.drop_nulls(["observed", "q50"])
        .group_by(by, maintain_order=True)
        .agg(
            pl.len().alias("n"),
            (error.cast(pl.Float64) ** 2).mean().sqrt().alias("rmse"),
            error.abs().mean().alias("mae"),
            error.mean().alias("bias"),
            level.mean().alias("level_hit"),
            pl.col("observed").is_between("low", "high").mean().alias("range_hit"),
            (named.list.len() > 0).filter(has).mean().alias("primary_hit"),
            *counted,
        )
    )


#: First level above an index (HJ 633): what a probability of exceeding it is summed from.
_FIRST_ABOVE = {50: 2, 100: 3, 150: 4, 200: 5, 300: 6}
#: Edges of the classes of said probability.
BINS = 10


def probabilities(pairs: pl.DataFrame, book: RuleBook) -> pl.DataFrame:
    """What was said of exceeding each AQI of `verify.above`, and whether it came: a row for each.

    Parameters
    ----------
    pairs : frame of :func:`~qinglan.forecast.air_index.air_index` with `observed`

    Returns
    -------
    the columns of `pairs` with `top`, `said` (probability 0..1) and `came` (0 or 1)
    """
    parts = []
    for top in book.get("verify.above").value:
        above = [pl.col(f"p{n}") for n in range(_FIRST_ABOVE[top], 7)]
        parts.append(
            pairs.drop_nulls(["observed", "p1"]).with_columns(
                top=pl.lit(top), said=pl.sum_horizontal(above).clip(0.0, 1.0),
                came=(pl.col("observed") > top).cast(pl.Float64),
            )
        )  # fmt: skip
    return pl.concat(parts)


def brier(told: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Brier score of said probabilities, and its skill over saying the share of days that exceeded.

    told : of :func:`probabilities`. Returns columns of `by`, `top`, `n`, `events`, `brier`, `skill` (``1 - brier /
    (share * (1 - share))``; null where nothing or everything exceeded). Source:
    doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2
    """
    share = pl.col("events") / pl.col("n")
    return (
        told.group_by(*by, "top", maintain_order=True)
        .agg(
            n=pl.len(), events=pl.col("came").sum().cast(pl.Int64),
            brier=((pl.col("said") - pl.col("came")) ** 2).mean(),
        )
        .with_columns(skill=pl.when(share * (1 - share) > 0).then(1 - pl.col("brier") / (share * (1 - share))))
    )  # fmt: skip


def reliability(told: pl.DataFrame) -> pl.DataFrame:
    """How often came what was said with a probability, by `top` and class (`bin` of :data:`BINS`).

    Columns `n`, `said` (mean) and `came` (share): of a forecast that is right about its own chances these two are
    alike.
    """
    classes = (pl.col("said") * BINS).floor().clip(0, BINS - 1).cast(pl.Int64)
    return (
        told.with_columns(bin=classes)
        .group_by("top", "bin")
        .agg(n=pl.len(), said=pl.col("said").mean(), came=pl.col("came").mean())
        .sort("top", "bin")
    )
