"""What was known at a cut-off: the evaluated daily values of places, and nothing after it.

A forecast made on a day knows the days that ended before it: its cut-off is 24:00 of the day before, on the
official clock. Rows after the cut-off are dropped as they are read, before anything else looks at them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from qinglan.core.clock import midnight, today
from qinglan.core.errors import NotFound
from qinglan.core.names import DAILY_ITEMS
from qinglan.core.provenance import fingerprint
from qinglan.flow.views import result
from qinglan.forecast.series import Floats, History

#: Days without any value after which a place is taken for closed.
_CLOSED = 60


@dataclass(frozen=True)
class Known:
    """Daily values (`place`, `day`, the six items, sorted) up to `cut_off`; `run`: who evaluated them."""

    days: pl.DataFrame
    cut_off: date
    run: str

    @property
    def first(self) -> date:
        """First day of data."""
        return self.days["day"].min()  # type: ignore[return-value]

    @property
    def last(self) -> date:
        """Last day of data, at most the cut-off."""
        return self.days["day"].max()  # type: ignore[return-value]

    @property
    def places(self) -> tuple[str, ...]:
        """Places that reported something lately."""
        late = self.days.filter(pl.col("day") > self.last - timedelta(days=_CLOSED))
        return tuple(late["place"].unique().sort())

    @property
    def hash(self) -> str:
        """Of the values: equal values make an equal forecast."""
        return _hash(self.days)

    def values(self, item: str, places: Sequence[str], start: date) -> Floats:
        """(place, day) from `start` to the last day, NaN where missing."""
        length = (self.last - start).days + 1
        found = np.full((len(places), length), np.nan)
        at = {place: n for n, place in enumerate(places)}
        rows = self.days.filter(pl.col("place").is_in(list(places)) & (pl.col("day") >= start)).drop_nulls(item)
        who = np.array([at[p] for p in rows["place"]], dtype=np.int64)
        when = (rows["day"] - start).dt.total_days().to_numpy()
        found[who, when] = rows[item].to_numpy()
        return found

    def history(self, item: str, places: Sequence[str], start: date) -> History:
        """The same as the pure room wants it."""
        return History(self.values(item, places, start), midnight(start), timedelta(days=1))

    def with_item(self, item: str, least: float) -> tuple[str, ...]:
        """Places that know an item on at least so many days, and lately."""
        rows = self.days.drop_nulls(item)
        late = rows["day"] > self.last - timedelta(days=_CLOSED)
        counted = rows.with_columns(late=late).group_by("place").agg(n=pl.len(), late=pl.col("late").any())
        kept = counted.filter((pl.col("n") >= least) & pl.col("late") & pl.col("place").is_in(self.places))
        return tuple(kept["place"].sort())


def known(workspace: result.Workspace, made_at: datetime, places: Sequence[str] | None = None) -> Known:
    """Daily values of the current run up to the cut-off of a forecast made at an instant.

    places : only these (default: every place that is evaluated). NotFound when there are none by then.
    """
    current = result.current(workspace)
    cut_off = today(made_at) - timedelta(days=1)
    days = (
        pl.scan_parquet(current.folder / "place_days.parquet")
        .select("place", "day", *DAILY_ITEMS)
        .filter(pl.col("day") <= cut_off)
    )
    if places is not None:
        days = days.filter(pl.col("place").is_in(list(places)))
    rows = days.sort("place", "day").collect()
    rows = rows.with_columns(pl.col(DAILY_ITEMS).fill_nan(None))
    rows = rows.filter(pl.any_horizontal(pl.col(DAILY_ITEMS).is_not_null()))
    if rows.is_empty():
        raise NotFound(
            f"no place has daily values up to {cut_off}.",
            remedy="Load observations and evaluate them (qinglan ingest, qinglan run), or choose a later time.",
        )
    return Known(rows, cut_off, current.run_id)


def _hash(rows: pl.DataFrame) -> str:
    return fingerprint([rows.columns, rows.write_csv(float_precision=6)])
