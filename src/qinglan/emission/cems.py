"""From hours of continuous monitoring to tonnes of a day, a quarter and a year, with the gaps filled by rule.

Two rules, each for its purpose: T/CSES 144-2024 makes days of an inventory (24/n of n valid hours, else the mean
of the quarter's same weekdays); HJ 75-2017 makes the mass of a quarter, and fills each gap with a high value.
Substituted hours are for totals, never for compliance. Times are hour *starts* in local time, as HJ 212 has them.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qinglan.core.errors import LayoutError
from qinglan.core.rulebook import RuleBook
from qinglan.emission import equations

#: Hours of an outlet. `flow` [m3/h] and `concentration` [mg/m3] of one state; null where not valid. `running`
#: false: the plant stood still, which is no gap.
COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("source_id", "species"), pl.String),
    "time": pl.Datetime("us"),
    **dict.fromkeys(("concentration", "flow"), pl.Float64),
    "running": pl.Boolean,
}


def hourly(hours: pl.DataFrame) -> pl.DataFrame:
    """Hours with `mass_t` (null where not valid, 0 where the plant stood still), sorted, one of each.

    Raises LayoutError when a column is missing or an hour stands twice.
    """
    missing = [name for name in COLUMNS if name not in hours.columns and name != "running"]
    if missing:
        raise LayoutError(f"hours of monitoring have no column {', '.join(missing)}.")
    held = hours if "running" in hours.columns else hours.with_columns(running=pl.lit(True))
    rows = held.select(pl.col(name).cast(dtype) for name, dtype in COLUMNS.items())
    keys = ["source_id", "species", "time"]
    twice = rows.filter(rows.select(keys).is_duplicated())
    if twice.height:
        first = twice.row(0, named=True)
        which = f"{first['species']} of {first['source_id']} at {first['time']}"
        raise LayoutError(
            f"{twice.height} hours of monitoring stand twice, such as {which}.",
            remedy="Keep one row for each source, species and hour.",
        )
    mass = equations.cems(pl.col("concentration"), pl.col("flow"))
    valid = pl.col("concentration").is_finite() & pl.col("flow").is_finite()
    stopped = ~pl.col("running").fill_null(True)
    told = pl.when(stopped).then(0.0).when(valid & (mass >= 0)).then(mass)
    return rows.with_columns(mass_t=told, running=~stopped).sort(keys)


def days(hours: pl.DataFrame, book: RuleBook) -> pl.DataFrame:
    """Tonnes of each day: `source_id, species, day, emission_t, hours, filled` (T/CSES 144-2024).

    A day of at least ``cems.valid_hours_min`` valid hours is scaled up to the whole day; another takes the mean of
    the same quarter and weekday (`filled` true), and is null when there is none.
    """
    rows = hourly(hours).with_columns(day=pl.col("time").dt.date())
    n = pl.col("mass_t").is_not_null().sum()
    whole = timedelta(days=1) / timedelta(hours=1)
    summed = rows.group_by("source_id", "species", "day", maintain_order=True).agg(
        hours=n,
        own=pl.when(n >= book.number("cems.valid_hours_min")).then(pl.col("mass_t").sum() * whole / n),
    )
    span = summed.group_by("source_id", "species", maintain_order=True).agg(
        day=pl.date_range(pl.col("day").min(), pl.col("day").max())
    )
    every = span.explode("day").join(summed, on=["source_id", "species", "day"], how="left", maintain_order="left")
    quarter = [pl.col("day").dt.year(), pl.col("day").dt.quarter(), pl.col("day").dt.weekday()]
    alike = pl.col("own").mean().over("source_id", "species", *quarter)
    return every.select(
        *("source_id", "species", "day"),
        emission_t=pl.coalesce("own", alike),
        hours=pl.col("hours").fill_null(0),
        filled=pl.col("own").is_null(),
    )


def quarters(hours: pl.DataFrame, book: RuleBook) -> pl.DataFrame:
    """Tonnes of each quarter (HJ 75-2017): `source_id, species, year, quarter, emission_t, valid_hours, gap_hours,
    unfilled_hours, valid, usable`.

    book : ``hj75``. `valid` [%] is the share of the hours of running that are valid. Below ``capture.min`` the sum
    is not usable. A gap takes the largest mass of the last valid hours: 180 before a gap of up to 24 h, 720 before
    a longer one, 2,160 where less than 90 % are valid; where so many do not lie before it, all that do, and where
    none does, the gap stays (`unfilled_hours`) and the sum is not usable. Hours that were not reported are gaps,
    from the source's first hour to its last.
    """
    rows = _complete(hourly(hours))
    quarter = rows.with_columns(year=pl.col("time").dt.year(), quarter=pl.col("time").dt.quarter())
    keys = ["source_id", "species", "year", "quarter"]
    run, valid = pl.col("running"), pl.col("mass_t").is_not_null()
    share = 100 * (run & valid).sum() / run.sum()
    state = quarter.group_by(keys, maintain_order=True).agg(
        valid=pl.when(run.sum() > 0).then(share).otherwise(100.0)
    )
    joined = quarter.join(state, on=keys, how="left", maintain_order="left")
    filled = [
        group.with_columns(mass=pl.Series(_filled(group, book)).fill_nan(None))
        for _, group in joined.group_by("source_id", "species", maintain_order=True)
    ]
    whole = pl.concat(filled) if filled else joined.with_columns(mass="mass_t")
    summed = whole.group_by(keys, maintain_order=True).agg(
        emission_t=pl.col("mass").sum(),
        valid_hours=(run & valid).sum(),
        gap_hours=(run & ~valid).sum(),
        unfilled_hours=pl.col("mass").null_count(),
        valid=pl.col("valid").first(),
    )
    enough = pl.col("valid") >= book.number("capture.min")
    return summed.with_columns(usable=enough & (pl.col("unfilled_hours") == 0))


def annual(hours: pl.DataFrame, book: RuleBook) -> pl.DataFrame:
    """Sums of a year for :func:`~qinglan.emission.build.build`: `source_id, year, species, emission_t, valid` [%].

    `valid` is that of the worst quarter, so that a year with a short quarter is not used; it is 0 where a quarter
    is missing or a gap could not be filled. A boiler that stands still in summer says so (`running` false).
    """
    found = quarters(hours, book).group_by("source_id", "year", "species", maintain_order=True)
    whole = (pl.len() == _QUARTERS) & (pl.col("unfilled_hours").sum() == 0)
    return found.agg(pl.col("emission_t").sum(), valid=pl.when(whole).then(pl.col("valid").min()).otherwise(0.0))


_QUARTERS = 4


def _complete(rows: pl.DataFrame) -> pl.DataFrame:
    """Every hour between a source's first and last; those not reported count as running without a value."""
    span = rows.group_by("source_id", "species", maintain_order=True).agg(
        time=pl.datetime_range(pl.col("time").min(), pl.col("time").max(), "1h")
    )
    every = span.explode("time").join(rows, on=["source_id", "species", "time"], how="left", maintain_order="left")
    return every.with_columns(pl.col("running").fill_null(True))


def _filled(group: pl.DataFrame, book: RuleBook) -> NDArray[np.float64]:
    """Mass of each hour of one outlet and species, with its gaps filled; NaN where nothing lies before a gap."""
    mass = group["mass_t"].to_numpy().astype(np.float64).copy()
    running, captured = group["running"].to_numpy(), group["valid"].to_numpy()
    known = mass[np.isfinite(mass) & running]
    before = np.cumsum(np.isfinite(mass) & running)  # valid hours up to and with this one
    gaps = np.flatnonzero(~np.isfinite(mass))
    for gap in np.split(gaps, np.flatnonzero(np.diff(gaps) > 1) + 1):
        if gap.size:
            seen = int(before[gap[0] - 1]) if gap[0] else 0
            window = known[max(seen - _window(gap.size, float(captured[gap[0]]), book), 0) : seen]
            mass[gap] = window.max() if window.size else np.nan
    return mass


def _window(gap: int, captured: float, book: RuleBook) -> int:
    """How many of the last valid hours a gap looks back on."""
    if captured < book.number("capture.good"):
        return int(book.number("window.poor"))
    return int(book.number("window.short" if gap <= book.number("gap.short_hours") else "window.long"))
