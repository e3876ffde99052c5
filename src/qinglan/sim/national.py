"""A year of an invented national network, for measuring speed: plausible sizes and shapes, no geography, no truth.

Made in chunks of stations so that memory does not grow with the network: a pool of base series is drawn once,
and each station is one of them, moved by whole weeks and scaled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

import numpy as np
import pyarrow as pa

from qinglan.core.errors import UsageError
from qinglan.core.names import HOURLY_ITEMS
from qinglan.sim.province import SIMULATED
from qinglan.sim.streams import Array, Calendar, bell, noise, stream

STATIONS_PER_PLACE = 5

#: Base series that stations are made from.
POOL = 40

#: Share of values that are missing.
NULL_SHARE = 0.02

#: Median, log-spread, winter against summer, peak hour [µg/m³, CO mg/m³]; of the size of Chinese cities.
_SHAPES: Mapping[str, tuple[float, float, float, float]] = {
    "so2": (8.0, 0.45, 1.4, 11), "no2": (18.0, 0.50, 1.7, 20), "co": (0.6, 0.40, 1.4, 21),
    "o3": (62.0, 0.45, 0.55, 15), "pm10": (46.0, 0.62, 1.6, 21),
}  # fmt: skip


def national_register(stations: int = 1700) -> pa.Table:
    """Stations of the invented network: station, place, lon, lat, altitude, kind, control_point; five to a place.

    >>> national_register(12).column("place").to_pylist()[4:6]
    ['900000', '900001']
    """
    number = np.arange(stations)
    place = number // STATIONS_PER_PLACE
    return pa.table(
        {
            "station": [f"N{n:05d}" for n in number],
            "place": [f"{900000 + p}" for p in place],
            "lon": 75.0 + (place * 7 % 550) / 10,
            "lat": 20.0 + (place * 3 % 280) / 10,
            "altitude": (place * 37 % 3000).astype(np.float64),
            "kind": ["ambient"] * stations,
            "control_point": pa.array((number % 50 == 49) & (stations > 50)),
        }
    )


def national_year(
    stations: int = 1700, days: int = 365, seed: int = 1, start: date = date(2025, 1, 1), chunk: int = 100
) -> Iterator[pa.Table]:
    """Tables of the contract's `hours` columns (no `load_id`), `chunk` stations each, by station and time.

    Whole numbers (CO to a tenth), about 2 % of the values null. 1,700 stations over 365 days are 89.35 million
    values. Memory is that of one chunk and the pool, whatever the number of stations. Equal arguments give equal
    tables; `chunk` moves the nulls, not the values.
    """
    if stations < 1 or days < 1 or chunk < 1:
        raise UsageError(f"stations={stations}, days={days}, chunk={chunk}: each must be at least 1.")
    calendar = Calendar(start, days)
    pool = {item: _pool(item, calendar, seed) for item in HOURLY_ITEMS if item != "pm2_5"}
    pool["pm2_5"] = pool["pm10"] * _fine_share(calendar, seed)
    codes = national_register(stations).column("station").combine_chunks()
    masks = _masks(chunk * calendar.hours, seed)
    frame = _frame(calendar, min(chunk, stations))
    for first in range(0, stations, chunk):
        yield _chunk((first, min(chunk, stations - first)), codes, calendar, pool, (masks, frame), seed)


def _pool(item: str, calendar: Calendar, seed: int) -> Array:
    """POOL base series of an item, (POOL, hours), float32."""
    median, spread, winter, peak = _SHAPES[item]
    season = 1 + (winter - 1) / (winter + 1) * np.cos(2 * np.pi * calendar.day_of_year / 365)
    course = 0.8 + (1.2 if item == "o3" else 0.5) * bell(calendar.label.astype(np.float64), peak, 4.0)
    cycle = median * calendar.spread_hours(season) * course
    rows = []
    for number in range(POOL):
        draw = stream(seed, "national", item, number)
        slow, fast = noise(draw, calendar.hours, 40), noise(draw, calendar.hours, 3)
        rows.append((cycle * np.exp(spread * (0.85 * slow + 0.5 * fast))).astype(np.float32))
    return np.stack(rows)


def _fine_share(calendar: Calendar, seed: int) -> Array:
    """Share of PM2.5 in PM10, (POOL, hours), float32, always below 0.95."""
    winter = 0.10 * np.cos(2 * np.pi * calendar.spread_hours(calendar.day_of_year.astype(np.float64)) / 365)
    rows = [noise(stream(seed, "national", "fine", number), calendar.hours, 20) for number in range(POOL)]
    return np.stack([np.clip(0.52 + winter + 0.13 * r, 0.12, 0.95).astype(np.float32) for r in rows])


def _masks(rows: int, seed: int) -> list[pa.Buffer]:
    """Validity bitmaps (1: there), one variant more than there are items so that neighbours differ."""
    made = []
    for number in range(len(HOURLY_ITEMS) + 1):
        there = stream(seed, "null", number).random(rows, dtype=np.float32) >= NULL_SHARE
        made.append(pa.py_buffer(np.packbits(there, bitorder="little").tobytes()))
    return made


def _frame(calendar: Calendar, stations: int) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Time, day and hour for a chunk; a shorter last chunk takes a slice."""
    return (
        pa.array(np.tile(calendar.time, stations)).cast(pa.timestamp("us", tz="UTC")),
        pa.array(np.tile(calendar.dates[calendar.day_index], stations)),
        pa.array(np.tile(calendar.label.astype(np.int8), stations)),
    )


def _choose(number: int, weeks: int, seed: int) -> tuple[int, int, float]:
    """Base series, shift [weeks] and log-size of a station: neighbours share most of it."""
    place = stream(seed, "place", number // STATIONS_PER_PLACE)
    base, moved, size = int(place.integers(POOL)), int(place.integers(0, weeks)), place.standard_normal()
    own = stream(seed, "station", number)
    return (base + int(own.integers(0, 3))) % POOL, moved, float(0.9 * size + 0.4 * own.standard_normal())


def _chunk(
    part: tuple[int, int],
    codes: pa.Array,
    calendar: Calendar,
    pool: Mapping[str, Array],
    shared: tuple[list[pa.Buffer], tuple[pa.Array, pa.Array, pa.Array]],
    seed: int,
) -> pa.Table:
    first, count = part
    hours = calendar.hours
    rows = count * hours
    masks, frame = shared
    index = pa.array(np.repeat(np.arange(count, dtype=np.int32), hours))
    columns: dict[str, pa.Array] = {
        "station": pa.DictionaryArray.from_arrays(index, codes.slice(first, count)),
        **{name: array.slice(0, rows) for name, array in zip(("time", "day", "hour"), frame, strict=True)},
    }
    weeks = max(1, calendar.days // 7)
    chosen = [_choose(first + k, min(3, weeks), seed) for k in range(count)]
    for order, item in enumerate(HOURLY_ITEMS):
        values = np.empty((count, hours), dtype=np.float64)
        for k, (base, moved, size) in enumerate(chosen):
            cut = moved * 168
            series, scale = pool[item][base], np.float32(np.exp(0.3 * size) * (10 if item == "co" else 1))
            np.multiply(series[cut:], scale, out=values[k, : hours - cut])
            np.multiply(series[:cut], scale, out=values[k, hours - cut :])
        np.rint(values, out=values)
        np.maximum(values, 1.0, out=values)
        if item == "co":
            values /= 10
        mask = masks[(order + first) % len(masks)]
        columns[item] = pa.Array.from_buffers(pa.float64(), rows, [mask, pa.py_buffer(values)])
    return pa.table(columns).replace_schema_metadata({SIMULATED: b"true"})
