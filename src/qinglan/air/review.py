"""What review stands on, as pure functions: runs of flagged hours, the drift of an instrument, doubtful hours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from qinglan.core.clock import HOUR

#: What must be equal for two hours one after the other to belong to one run.
SAME = ("station", "item", "rule", "state")


def flag_runs(flags: pl.DataFrame) -> pl.DataFrame:
    """Number the flags by runs of consecutive hours.

    Parameters
    ----------
    flags : station, item, rule, state, time (hour ends, UTC), any other columns

    Returns
    -------
    The same rows by station, item, rule, state and time, with `run` (from 0): a new one wherever the station, the
    item, the rule or the state changes or an hour lies between.
    """
    ordered = flags.sort(*SAME, "time")
    new = pl.any_horizontal(*(pl.col(c) != pl.col(c).shift() for c in SAME))
    gap = pl.col("time").diff() != HOUR
    return ordered.with_columns((new | gap).fill_null(True).cum_sum().cast(pl.Int64).sub(1).alias("run"))


def deviation(reference: float, reading: float) -> tuple[float, float | None]:
    """How far a reading is from its reference: in its unit, and in % of the reference (None where that is zero).

    >>> deviation(400, 424), deviation(0, -3)
    ((24.0, 6.0), (-3.0, None))
    """
    away = float(reading) - float(reference)
    return away, None if reference == 0 else 100 * away / float(reference)


def doubtful(record: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> tuple[datetime | None, datetime]:
    """First and last doubtful hour end after a failed check: those after the last passed one of the same kind.

    Parameters
    ----------
    record : the failed one; `serial`, `kind`, `item`, `station`, `checked_at`
    records : all of the instrument's, in any order; `passed`

    Returns
    -------
    (end of the first whole hour after the last passed check, or None when none passed before; end of the hour in
    which it failed)
    """
    same = ("station", "item", "serial", "kind")
    before = [
        r["checked_at"]
        for r in records
        if r["passed"] and r["checked_at"] < record["checked_at"] and all(r[k] == record[k] for k in same)
    ]
    return (hour_end(max(before)) + HOUR if before else None), hour_end(record["checked_at"])


def hour_end(instant: datetime) -> datetime:
    """End of the hour in which an instant lies (an instant on the hour ends its own).

    >>> hour_end(datetime(2025, 3, 1, 8, 20)).hour, hour_end(datetime(2025, 3, 1, 8)).hour
    (9, 8)
    """
    floor = instant.replace(minute=0, second=0, microsecond=0)
    return floor if floor == instant else floor + HOUR
