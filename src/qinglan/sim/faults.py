"""What instruments and clerks do to true values, and the record of every change.

Each episode is one row of the truth: station, item, first and last hour (UTC ends, both included), kind, and the
true values of those hours in order, so that a repair can be scored and faults that overlap undone in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from qinglan.core.names import HOURLY_ITEMS
from qinglan.plan.simulation import Parameters
from qinglan.sim.sites import Site
from qinglan.sim.streams import Array, Calendar, noise, stream
from qinglan.sim.weather import StationWeather

TRUTH_SCHEMA = pa.schema(
    [
        pa.field("station", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("start", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("end", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("original", pa.list_(pa.float64()), nullable=False),
    ]
)

#: Reference state of gases until 2018 and since (273.15 K and 298.15 K at 1013.25 hPa).
OLD_GAS_STATE = 298.15 / 273.15
STANDARD_TEMPERATURE, STANDARD_PRESSURE = 298.15, 1013.25

#: Episodes are drawn once a year in this order, so adding a kind at the end leaves the others where they were.
ORDER = ("stuck", "spike", "zero", "drift", "pm_swap", "stale", "gap", "outage", "duplicate")


@dataclass(frozen=True, slots=True)
class Change:
    """One episode of one item: hours `low` up to `high` (not included) and their true values."""

    item: str
    low: int
    high: int
    kind: str
    original: Array


class Reported:
    """A station's hours as reported: values per item (NaN is missing), and rows that came twice."""

    def __init__(self, true: dict[str, Array]) -> None:
        self.true = true
        self.values = {item: true[item].copy() for item in HOURLY_ITEMS}
        self.absent = np.zeros(true["so2"].size, dtype=bool)  # no row at all
        self.twice: list[tuple[int, float]] = []  # hour and what the second copy adds to PM10
        self.changes: list[Change] = []

    def change(self, item: str, low: int, high: int, kind: str, new: Array | float) -> None:
        """Overwrite hours of an item and remember the true values, whatever stood there meanwhile."""
        self.changes.append(Change(item, low, high, kind, self.true[item][low:high]))
        self.values[item][low:high] = new


def rounded(true: dict[str, Array]) -> dict[str, Array]:
    """Values as an instrument reports them: whole µg/m³, CO to a tenth of a mg/m³."""
    return {item: np.round(series, 1 if item == "co" else 0) for item, series in true.items()}


def report(
    site: Site,
    true: dict[str, Array],
    weather: StationWeather,
    parameters: Parameters,
    calendar: Calendar,
    seed: int,
) -> Reported:
    """Turn true (unrounded) hours into reported hours with their faults."""
    wrong_state = _reference_state(site, true, weather, parameters, calendar)
    out = Reported(rounded(true))
    for item, low, high, kind, values in wrong_state:
        out.change(item, low, high, kind, values)
    _random_episodes(site, out, parameters, calendar, seed)
    _pinned_tables(site, out, parameters, calendar)
    _missing(site, out, parameters, calendar, seed)
    return out


def _window(calendar: Calendar, start: date, end: date) -> tuple[int, int]:
    return max(0, calendar.index_of(start)), min(calendar.hours, calendar.index_of(end) + 24)


def _reference_state(
    site: Site, true: dict[str, Array], weather: StationWeather, parameters: Parameters, calendar: Calendar
) -> list[tuple[str, int, int, str, Array]]:
    found = []
    for pinned in parameters.pinned:
        low, high = _window(calendar, pinned.start, pinned.end)
        if pinned.station != site.station or "reference_state" not in pinned.kind or high <= low:
            continue
        factor: Array | float = OLD_GAS_STATE
        if pinned.kind == "particle_reference_state":
            kelvin = weather.temperature[low:high] + 273.15
            factor = STANDARD_PRESSURE / weather.pressure[low:high] * kelvin / STANDARD_TEMPERATURE
        for item in pinned.items:
            values = np.round(true[item][low:high] * factor, 1 if item == "co" else 0)
            found.append((item, low, high, pinned.kind, values))
    return found


def _random_episodes(site: Site, out: Reported, parameters: Parameters, calendar: Calendar, seed: int) -> None:
    rates = parameters.faults["random"]
    for year in np.unique(calendar.year):
        draw = stream(seed, site.station, "faults", int(year))
        first = calendar.index_of(date(int(year), 1, 1))
        for kind in ORDER:
            table = rates[kind]
            for _ in range(int(draw.poisson(table["rate"]))):
                low = first + int(draw.integers(0, 8760))
                length = int(draw.integers(table["hours"][0], table["hours"][1] + 1))
                item = str(draw.choice(table.get("items", HOURLY_ITEMS)))
                size = float(draw.uniform(*table.get("factor", (0.0, 1.0))))
                # The calendar has room after the last day asked for, so a cut never drops an episode inside it.
                if low >= 48 and low + length < calendar.hours:
                    _episode(kind, out, item, low, low + length, size)


def _episode(kind: str, out: Reported, item: str, low: int, high: int, size: float) -> None:
    series = out.values[item]
    if kind == "stuck":
        out.change(item, low, high, kind, series[low - 1])
    elif kind == "spike":
        item = "pm10" if item == "pm2_5" else item
        out.change(
            item, low, high, kind, np.round(out.values[item][low:high] * size + 20, 1 if item == "co" else 0)
        )
    elif kind == "zero":
        out.change(item, low, high, kind, 0.0)
    elif kind == "drift":
        slope = -(1.4 + size) * np.linspace(0, 1, high - low) * float(np.mean(series[low - 24 : low]))
        out.change(item, low, high, kind, np.round(series[low:high] + slope, 0))
    elif kind == "pm_swap":
        out.change("pm2_5", low, high, kind, np.round(out.values["pm10"][low:high] * (1.05 + 0.25 * size)) + 1)
    elif kind == "stale":
        for each in HOURLY_ITEMS:
            out.change(each, low, high, kind, out.values[each][low - 1])
    elif kind == "gap":
        out.change(item, low, high, kind, np.nan)
    elif kind == "outage":
        for each in HOURLY_ITEMS:
            out.change(each, low, high, kind, np.nan)
        out.absent[low:high] = True
    else:
        same = size < 0.5
        out.twice += [(i, 0.0 if same else float(np.ceil(8 * size))) for i in range(low, high)]
        out.changes.append(Change("pm10", low, high, kind, out.true["pm10"][low:high]))


def _pinned_tables(site: Site, out: Reported, parameters: Parameters, calendar: Calendar) -> None:
    for pinned in parameters.pinned:
        low, high = _window(calendar, pinned.start, pinned.end)
        if pinned.station != site.station or high <= low:
            continue
        if pinned.kind == "shifted_axis":
            high = min(high, calendar.hours - 24)
            for item in pinned.items:
                out.change(item, low, high, pinned.kind, out.values[item][low + 24 : high + 24].copy())
        elif pinned.kind == "swapped_columns":
            one, other = pinned.items
            first = out.values[one][low:high].copy()
            out.change(one, low, high, pinned.kind, out.values[other][low:high].copy())
            out.change(other, low, high, pinned.kind, first)


def _missing(site: Site, out: Reported, parameters: Parameters, calendar: Calendar, seed: int) -> None:
    """Single missing hours and the weekly span check."""
    table = parameters.faults
    check = table["calibration"]
    shift = int(stream(seed, site.station, "calibration").integers(0, 7))
    weekly = (np.repeat(calendar.weekday, 24) == (check["weekday"] + shift) % 7) & (
        calendar.label == check["hour"]
    )
    for item in HOURLY_ITEMS:
        lost = stream(seed, site.station, "missing", item).random(calendar.hours) < table["missing_share"]
        kinds = [("gap", lost)]
        if item in check["items"]:
            kinds.append(("calibration", weekly & ~lost))
        for kind, where in kinds:
            for i in np.flatnonzero(where):
                out.change(item, int(i), int(i) + 1, kind, np.nan)


def flicker(site: Site, calendar: Calendar, seed: int) -> Array:
    """Hourly unrest of dust at a station [1]."""
    return noise(stream(seed, site.station, "dust"), calendar.hours, 3)
