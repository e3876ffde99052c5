"""What was known of stations at an hour: their checked hours, and nothing after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import numpy as np
import polars as pl

from qinglan.core.clock import HOUR
from qinglan.core.errors import NotFound
from qinglan.core.names import HOURLY_ITEMS
from qinglan.core.provenance import fingerprint
from qinglan.flow import series
from qinglan.flow.views import result
from qinglan.forecast.series import Floats, History

#: Hours without any value after which a station is taken for closed.
_CLOSED = 7 * 24


@dataclass(frozen=True)
class KnownHours:
    """Hours of stations on one clock, up to `last` (UTC end of the newest hour that was there by the cut-off).

    values : item to (station, hour) from `first` on, NaN where there is no usable value [µg/m³; CO mg/m³].
    """

    stations: tuple[str, ...]
    first: datetime
    last: datetime
    cut_off: datetime
    values: Mapping[str, Floats]
    run: str

    @property
    def hash(self) -> str:
        """Of the values: equal values make an equal forecast."""
        held = sha256()
        for item in HOURLY_ITEMS:
            held.update(np.nan_to_num(self.values[item], nan=-1.0).tobytes())
        return fingerprint([self.stations, self.first.isoformat(), held.hexdigest()])

    def with_item(self, item: str, least: float) -> tuple[str, ...]:
        """Stations that know an item in at least so many hours, and lately."""
        known = np.isfinite(self.values[item])
        kept = (known.sum(axis=1) >= least) & known[:, -_CLOSED:].any(axis=1)
        return tuple(name for name, there in zip(self.stations, kept, strict=True) if there)

    def history(self, item: str, stations: Sequence[str], start: datetime) -> History:
        """Of some stations from `start` on, as the pure room wants it; NaN for a station that is not there now."""
        at = {name: n for n, name in enumerate(self.stations)}
        begun = round((start - self.first) / HOUR)
        found = np.full((len(stations), round((self.last - start) / HOUR) + 1), np.nan)
        held = self.values[item][:, max(begun, 0) :]
        for row, name in enumerate(stations):
            if name in at:
                found[row, found.shape[1] - held.shape[1] :] = held[at[name]]
        return History(found, start, timedelta(hours=1))

    def frame(self, hours: int) -> pl.DataFrame:
        """`station`, `time` and the items of the last hours."""
        number = min(hours, self.values[HOURLY_ITEMS[0]].shape[1])
        ends = [self.last - n * HOUR for n in range(number - 1, -1, -1)]
        return pl.DataFrame(
            {
                "station": np.repeat(np.array(self.stations), number),
                "time": ends * len(self.stations),
                **{item: self.values[item][:, -number:].ravel() for item in HOURLY_ITEMS},
            },
            schema_overrides={"time": pl.Datetime("us", "UTC")},
        ).with_columns(pl.col(HOURLY_ITEMS).fill_nan(None))


def known_hours(workspace: result.Workspace, made_at: datetime, most: int) -> KnownHours:
    """Hours of the stations of the current run that ended by an instant, at most so many.

    NotFound when there are none by then, or when the run holds no hours.
    """
    current = result.current(workspace)
    found = series.open_series(workspace, current.folder)
    cut_off = made_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    parts = {code: found.between(code, cut_off - most * HOUR, cut_off) for code in found.stations}
    ends = [part.time[-1] for part in parts.values() if len(part)]
    if not ends:
        raise NotFound(
            f"no station has hours up to {cut_off.isoformat()}.",
            remedy="Load observations and evaluate them (qinglan ingest, qinglan run), or choose a later time.",
        )
    newest = max(ends)
    living = {c: p for c, p in parts.items() if len(p) and newest - p.time[-1] <= np.timedelta64(_CLOSED, "h")}
    oldest = min(part.time[0] for part in living.values())
    length = _hours(newest - oldest) + 1
    values = {item: np.full((len(living), length), np.nan) for item in HOURLY_ITEMS}
    for row, part in enumerate(living.values()):
        at = (part.time - oldest) // np.timedelta64(1, "h")
        for item in HOURLY_ITEMS:
            values[item][row, at] = part.values[item]
    return KnownHours(tuple(living), _aware(oldest), _aware(newest), cut_off, values, current.run_id)


def _hours(span: np.timedelta64) -> int:
    return int(span // np.timedelta64(1, "h"))


def _aware(time: np.datetime64) -> datetime:
    plain: datetime = time.astype("datetime64[us]").item()
    return plain.replace(tzinfo=UTC)
