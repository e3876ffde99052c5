"""Some stations' days straight from the lake's Parquet: a page's read, in a few milliseconds.

The lake's tables are for work over months; opening an engine for twenty-four rows costs ten times their reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl

from qinglan.core.clock import DAY_SHIFT
from qinglan.core.errors import StoreError
from qinglan.core.tables import dataset
from qinglan.store.catalogue import LakeFile
from qinglan.store.engine import months_between
from qinglan.store.lake import Lake

Row = dict[str, Any]


def station_day(lake: Lake, name: str, station: str, day: date) -> list[Row]:
    """Rows of a data set for a station's statistical day, in order of time; empty when there are none.

    The same rows as ``lake.table(name, first=day, last=day, stations=[station])``. Raises UnknownName for a data
    set that is not there and StoreError when a file cannot be read.
    """
    contract = dataset(name)
    wanted = pl.col(contract.key[0]) == station
    if "day" in contract.names:
        wanted &= pl.col("day") == day
    else:
        start = datetime.combine(day, time(), UTC) - DAY_SHIFT
        wanted &= (pl.col("time") >= start) & (pl.col("time") < start + timedelta(days=1))
    live = [f for f in lake.catalogue.live(name) if f.year == day.year and f.month in (0, day.month)]
    return _read(lake, name, live, wanted, contract.names).sort("time").to_dicts()


def station_days(
    lake: Lake,
    name: str,
    columns: Sequence[str],
    *,
    first: date,
    last: date,
    stations: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Columns of a data set that has days (or of its ``_superseded``) between two statistical days, both included.

    The same rows as ``lake.table(name, first=first, last=last, stations=stations)``, in no order. StoreError when
    a file cannot be read.
    """
    contract = dataset(name.removesuffix("_superseded"))
    low, high = months_between(first, last)
    live = [
        f for f in lake.catalogue.live(name)
        if low <= f.year * 12 + (f.month or 12) and f.year * 12 + (f.month or 1) <= high
    ]  # fmt: skip
    wanted = (pl.col("day") >= first) & (pl.col("day") <= last)
    if stations is not None:
        wanted &= pl.col(contract.key[0]).is_in(list(stations))
    return _read(lake, name, live, wanted, columns)


def _read(
    lake: Lake, name: str, live: Sequence[LakeFile], wanted: pl.Expr, columns: Sequence[str]
) -> pl.DataFrame:
    """Columns of the rows that are wanted, from some files of a data set."""
    if not live:
        schema = dataset(name.removesuffix("_superseded")).schema()
        return pl.DataFrame(schema.empty_table().select(list(columns)))
    paths = [lake.root / f.path for f in live]
    try:
        return pl.scan_parquet(paths, hive_partitioning=False).filter(wanted).select(columns).collect()
    except (OSError, pl.exceptions.PolarsError) as cause:
        raise StoreError(
            f"a file of the lake's {name} cannot be read ({paths[0].parent}): {cause}.",
            remedy="Run the lake's verification and restore the file from the backup.",
        ) from cause
