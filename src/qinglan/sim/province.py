"""The simulated province as tables: hours as reported, weather, and the truth about dust and faults.

Pure and reproducible: the same stations, parameters and seed give the same bits on the same library versions, and
a slice in time or a subset of stations equals the same slice of the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from qinglan.core.errors import UsageError
from qinglan.core.names import HOURLY_ITEMS
from qinglan.plan.simulation import Parameters, Profile
from qinglan.sim import dust, faults
from qinglan.sim.air import Climate, concentrations
from qinglan.sim.sites import Site, sites
from qinglan.sim.streams import Array, Calendar, Index
from qinglan.sim.weather import Regional, StationWeather, regional, station_weather

#: Set in the metadata of every table the simulation makes.
SIMULATED = b"qinglan.simulated"

WEATHER_ITEMS = (
    "temperature", "pressure", "humidity", "wind_speed", "wind_direction", "precipitation", "dew_point",
)  # fmt: skip

#: Days drawn beyond the last one, so that an episode under way then is whole and the same in a longer run.
MARGIN = 10

_KEY = [
    pa.field("station", pa.string(), nullable=False),
    pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("day", pa.date32(), nullable=False),
    pa.field("hour", pa.int8(), nullable=False),
]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Simulated:
    """What the simulation hands over. `hours` may hold a key twice (a fault); `weather` does not."""

    hours: pa.Table
    weather: pa.Table
    truth_dust: pa.Table
    truth_faults: pa.Table


def simulate(
    stations: Any,
    parameters: Parameters,
    start: date,
    end: date,
    seed: int | None = None,
    progress: Progress | None = None,
) -> Simulated:
    """Simulate reported hours, weather and truth of a register of stations.

    Parameters
    ----------
    stations : station register (contract 0002 section 1): Station objects, mappings or a table
    start, end : first and last statistical day, both included; from `parameters.anchor` on
    seed : int, optional
        Default: the parameters' own.
    progress : called with (station, done, total) after each station

    Returns
    -------
    Simulated
        `hours`: station, time, day, hour and six items (null: missing), sorted by station and time.
        `weather`: station, time, day, hour and seven quantities. `truth_dust`: place, start, end, peak, event.
        `truth_faults`: station, item, start, end, kind, original. All carry the metadata ``qinglan.simulated``.

    Raises
    ------
    UsageError
        A day outside the parameters' years, or a register without a needed column.
    """
    _check_days(parameters, start, end)
    seed = parameters.seed if seed is None else seed
    # Everything is drawn from the anchor on and then cut, so that slices agree.
    calendar = Calendar(parameters.anchor, (end - parameters.anchor).days + 1 + MARGIN)
    places = sites(stations, parameters)
    shared = regional(parameters, calendar, seed), dust.events(parameters, calendar, seed)
    climates = {n: Climate(f, parameters, calendar) for n, f in parameters.families.items()}
    window = slice(calendar.index_of(start), calendar.index_of(end) + 24)

    made = []
    for done, site in enumerate(places, start=1):
        climate = climates[site.profile.family]
        made.append(_station(site, parameters, calendar, climate, shared, seed, window))
        if progress is not None:
            progress(site.station, done, len(places))
    label = {
        SIMULATED: b"true",
        b"qinglan.seed": str(seed).encode(),
        b"qinglan.parameters": parameters.content_hash.encode(),
    }
    told = dust.truth(shared[1], _places(parameters, places), parameters, calendar)
    tables = (
        pa.concat_tables([m[0] for m in made]) if made else _empty(HOURLY_ITEMS),
        pa.concat_tables([m[1] for m in made]) if made else _empty(WEATHER_ITEMS),
        _rows([r for r in told if _inside(r, calendar, window)], dust.TRUTH_SCHEMA),
        pa.concat_tables([m[2] for m in made]) if made else faults.TRUTH_SCHEMA.empty_table(),
    )
    return Simulated(*(t.replace_schema_metadata(label) for t in tables))


def _check_days(parameters: Parameters, start: date, end: date) -> None:
    last = date(max(parameters.trend), 12, 31) - timedelta(days=MARGIN)
    if not parameters.anchor <= start <= end <= last:
        raise UsageError(
            f"cannot simulate {start}..{end}.",
            remedy=f"The parameters describe {parameters.anchor}..{last}; the first day comes first.",
        )


def _places(parameters: Parameters, places: list[Site]) -> dict[str, Profile]:
    """Place codes the truth of dust is told for: those of the register, prefectures and counties."""
    codes = {s.place for s in places} | {f"{s.place[:4]}00" for s in places}
    return {code: parameters.profile_of(code, None) for code in codes}


def _inside(row: dict[str, Any], calendar: Calendar, window: slice) -> bool:
    return bool(row["start"] <= calendar.time[window.stop - 1] and row["end"] >= calendar.time[window.start])


def _station(
    site: Site,
    parameters: Parameters,
    calendar: Calendar,
    climate: Climate,
    shared: tuple[Regional, list[dust.Event]],
    seed: int,
    window: slice,
) -> tuple[pa.Table, pa.Table, pa.Table]:
    factors, found = shared
    weather = station_weather(site, parameters, calendar, factors, seed)
    true = concentrations(site, parameters, calendar, climate, factors, weather, seed)
    unrest = faults.flicker(site, calendar, seed)
    coarse, fine = dust.station_dust(found, site.profile, site.lon, parameters, unrest)
    true["pm10"] = true["pm10"] + coarse
    true["pm2_5"] = true["pm2_5"] + fine
    reported = faults.report(site, true, weather, parameters, calendar, seed)
    in_service = _service(site, calendar)
    keep = np.zeros(calendar.hours, dtype=bool)
    keep[window] = True
    keep &= in_service
    return (
        _hours(site, reported, calendar, keep),
        _weather(site, weather, coarse, calendar, keep),
        _faults(site, reported, calendar, keep),
    )


def _service(site: Site, calendar: Calendar) -> Index:
    low = 0 if site.valid_from is None else calendar.index_of(site.valid_from)
    high = calendar.hours if site.valid_to is None else calendar.index_of(site.valid_to) + 24
    hours = np.arange(calendar.hours)
    return (hours >= low) & (hours < high)


def _key(site: Site, calendar: Calendar, index: Index) -> list[pa.Array]:
    return [
        pa.repeat(pa.scalar(site.station, pa.string()), len(index)),
        pa.array(calendar.time[index]).cast(pa.timestamp("us", tz="UTC")),
        pa.array(calendar.dates[calendar.day_index[index]]),
        pa.array(calendar.label[index].astype(np.int8)),
    ]


def _schema(values: tuple[str, ...]) -> pa.Schema:
    return pa.schema([*_KEY, *(pa.field(v, pa.float64()) for v in values)])


def _empty(values: tuple[str, ...]) -> pa.Table:
    return _schema(values).empty_table()


def _hours(site: Site, reported: faults.Reported, calendar: Calendar, keep: Index) -> pa.Table:
    index = np.flatnonzero(keep & ~reported.absent)
    extra = np.zeros(index.size)
    twice = [(i, more) for i, more in reported.twice if keep[i] and not reported.absent[i]]
    if twice:
        again = np.array([i for i, _ in twice])
        index = np.concatenate([index, again])
        extra = np.concatenate([extra, np.array([more for _, more in twice])])
        order = np.argsort(index, kind="stable")
        index, extra = index[order], extra[order]
    columns = []
    for item in HOURLY_ITEMS:
        values = reported.values[item][index] + (extra if item == "pm10" else 0.0)
        columns.append(pa.array(values, from_pandas=True))
    return pa.Table.from_arrays([*_key(site, calendar, index), *columns], schema=_schema(HOURLY_ITEMS))


def _weather(site: Site, weather: StationWeather, coarse: Array, calendar: Calendar, keep: Index) -> pa.Table:
    index = np.flatnonzero(keep)
    columns = []
    for name in WEATHER_ITEMS:
        values = getattr(weather, name)
        if name == "wind_speed":
            values = values * (1 + 1.4 * np.minimum(coarse / 1000, 1.2))  # a front is wind
        digits = 0 if name in ("humidity", "wind_direction") else 1
        columns.append(pa.array(np.round(values[index], digits)))
    return pa.Table.from_arrays([*_key(site, calendar, index), *columns], schema=_schema(WEATHER_ITEMS))


def _faults(site: Site, reported: faults.Reported, calendar: Calendar, keep: Index) -> pa.Table:
    changes = [c for c in reported.changes if keep[c.low : c.high].any()]
    changes.sort(key=lambda c: (c.low, c.item, c.kind))
    lengths = np.array([c.high - c.low for c in changes], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    values = np.concatenate([c.original for c in changes]) if changes else np.empty(0)
    originals = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, from_pandas=True))
    low = np.array([c.low for c in changes], dtype=np.int64)
    high = np.array([c.high - 1 for c in changes], dtype=np.int64)
    utc = pa.timestamp("us", tz="UTC")
    return pa.Table.from_arrays(
        [
            pa.repeat(pa.scalar(site.station, pa.string()), len(changes)),
            pa.array([c.item for c in changes], pa.string()),
            pa.array(calendar.time[low]).cast(utc),
            pa.array(calendar.time[high]).cast(utc),
            pa.array([c.kind for c in changes], pa.string()),
            originals,
        ],
        schema=faults.TRUTH_SCHEMA,
    )


def _rows(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    if not rows:
        return schema.empty_table()
    columns = []
    for field in schema:
        if pa.types.is_timestamp(field.type):
            stamps = np.array([r[field.name] for r in rows], dtype="datetime64[us]")
            columns.append(pa.array(stamps).cast(field.type))
        else:
            columns.append(pa.array([r[field.name] for r in rows], field.type))
    return pa.Table.from_arrays(columns, schema=schema)
