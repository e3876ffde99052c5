"""True hourly concentrations of one station: level x season x day x week x weather, plus dust.

Every multiplicative noise has mean 1, so the annual mean of an item is its parameter; what rain washes out and
what stagnation caps moves it by a few per cent. No instrument is in here: faults come after (:mod:`faults`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np

from qinglan.core.names import HOURLY_ITEMS
from qinglan.plan.simulation import Family, Parameters
from qinglan.sim.sites import Site
from qinglan.sim.streams import Array, Calendar, bell, fading_sum, noise, stream
from qinglan.sim.weather import Regional, StationWeather

#: What an analyser still reports in the cleanest hour [µg/m³, CO mg/m³].
FLOOR: Mapping[str, float] = {"so2": 1.0, "no2": 1.0, "co": 0.1, "o3": 4.0, "pm10": 3.0, "pm2_5": 1.0}


class Climate:
    """Deterministic cycles of a family over a calendar, shared by all its stations."""

    def __init__(self, family: Family, parameters: Parameters, calendar: Calendar) -> None:
        self.family = family
        year_day = np.arange(365)
        self.winter_year = 0.5 + 0.5 * np.cos(2 * np.pi * (year_day - 10) / 365)
        self.winter = calendar.spread_hours(np.interp(calendar.day_of_year, year_day, self.winter_year))
        self.cycle: dict[str, Array] = {}
        # A year of its own norms the season, so that the norm does not depend on how long the calendar is.
        common_year = Calendar(date(2023, 1, 1), 365)
        for item in HOURLY_ITEMS:
            norm = _season(item, family, parameters, common_year).mean()
            daily = _season(item, family, parameters, calendar) / norm
            week = np.array(parameters.week[item])
            daily = daily * (week / week.mean())[calendar.weekday]
            daily = daily * np.array([parameters.trend[int(y)][item] for y in calendar.year])
            hourly = calendar.spread_hours(daily)
            self.cycle[item] = hourly * (
                _ozone_day(parameters, calendar, family) if item == "o3" else self._day(item, parameters, calendar)
            )

    def _day(self, item: str, parameters: Parameters, calendar: Calendar) -> Array:
        label = calendar.label.astype(np.float64)
        lift = sum((a * bell(label, h, w) for h, w, a in parameters.day[item]), start=np.zeros(label.size))
        sharp = 1 + (self.family.winter_peaks - 1) * self.winter
        shape: Array = (1 + lift * sharp) / (1 + lift[:24].mean() * sharp)
        return shape


def _season(item: str, family: Family, parameters: Parameters, calendar: Calendar) -> Array:
    """Season of an item with the step of the heating months; daily, not yet normed."""
    factor = float(parameters.heating["factor"].get(item, 1.0))
    return calendar.by_month(family.season[item]) * (1 + (factor - 1) * _heating(parameters, calendar))


def _heating(parameters: Parameters, calendar: Calendar) -> Array:
    """1 in the heating season, 0 outside, with ramps; daily."""

    def index(text: str) -> int:
        month, day = (int(x) for x in text.split("-"))
        return int((np.datetime64(f"2023-{month:02d}-{day:02d}") - np.datetime64("2023-01-01")).astype(int))

    ramp = parameters.heating["ramp_days"]
    start, end = index(parameters.heating["start"]), index(parameters.heating["end"])
    day = calendar.day_of_year
    heated: Array = np.maximum(np.clip((day - start) / ramp, 0, 1), np.clip((end - day) / ramp, 0, 1))
    return heated


def _ozone_day(parameters: Parameters, calendar: Calendar, family: Family) -> Array:
    """Shape of an ozone day whose best eight hours have mean 1; flat at high altitude."""
    course = bell(np.arange(1, 25, dtype=np.float64), parameters.ozone_peak_hour, 4.6)
    shape = family.night_ozone + (1 - family.night_ozone) * course
    best = max(np.roll(shape, -k)[:8].mean() for k in range(24))
    return np.tile(shape / best, calendar.days)


def festival_factors(site: Site, parameters: Parameters, calendar: Calendar) -> dict[str, Array]:
    """Factors around the lunar new year: quiet weeks, and fireworks where they are allowed."""
    table = parameters.festival
    factors = {item: np.ones(calendar.hours) for item in HOURLY_ITEMS}
    for first in table["dates"]:
        start = calendar.index_of(first)
        low, high = max(0, start - 48), min(calendar.hours, start + 24 * table["quiet_days"])
        for item, factor in table["quiet"].items():
            if high > low:
                factors[item][low:high] *= factor
        if site.profile.zone in table["fireworks_zones"] and 3 <= start <= calendar.hours - 3:
            for item, factor in table["fireworks"].items():
                factors[item][start - 3 : start + 3] *= factor
    return factors


def _level(site: Site, parameters: Parameters, item: str, seed: int) -> float:
    mean = float(site.profile.mean[item])
    table = parameters.noise
    if site.control_point:
        mean *= table["control_point"][item]
    if site.station in table["level"]:
        return mean * (1.0 if item == "o3" else float(table["level"][site.station]))
    spread = table["station_spread"] * (0.25 if item == "o3" else 1.0)
    return mean * float(np.exp(spread * stream(seed, site.station, "level", item).standard_normal()))


def concentrations(
    site: Site,
    parameters: Parameters,
    calendar: Calendar,
    climate: Climate,
    shared: Regional,
    weather: StationWeather,
    seed: int,
) -> dict[str, Array]:
    """True hourly concentrations without dust, per item [µg/m³, CO mg/m³]."""
    table = parameters.noise
    own = noise(stream(seed, site.station, "stagnation"), calendar.hours, table["station_hours"])
    rest = np.sqrt(1 - table["common"] ** 2 - table["zone"] ** 2)
    stagnation = shared.stagnation[site.profile.zone] + rest * own
    ceiling = table["ceiling"]
    stagnation = ceiling * np.tanh(stagnation / ceiling)
    washed = np.exp(-table["washout"]["per_mm"] * fading_sum(weather.precipitation, table["washout"]["hours"]))
    washed = np.maximum(washed, table["washout"]["floor"])
    festival = festival_factors(site, parameters, calendar)

    air = {}
    for item in HOURLY_ITEMS:
        winter, summer = climate.family.spread[item]
        sigma = summer + (winter - summer) * climate.winter
        short = table["short"][item]
        swing = noise(stream(seed, site.station, item), calendar.hours, table["short_hours"])
        synoptic = _ozone_weather(stagnation, weather, climate) if item == "o3" else stagnation
        factor = np.exp(sigma * synoptic - sigma**2 / 2 + short * swing - short**2 / 2)
        value = _level(site, parameters, item, seed) * climate.cycle[item] * factor * festival[item]
        if item in ("pm10", "pm2_5"):
            value = value * washed
        elif item == "so2":
            value = value * np.sqrt(washed)
        air[item] = np.maximum(value, FLOOR[item])
    # Outside instruments' faults fine particles are part of the coarse: keep the ratio below nine tenths.
    air["pm2_5"] = np.minimum(air["pm2_5"], 0.9 * air["pm10"])
    return air


def _ozone_weather(stagnation: Array, weather: StationWeather, climate: Climate) -> Array:
    """Synoptic factor of ozone [1]: sun and still air make it in summer, fresh nitric oxide eats it in winter."""
    sun = (weather.sunshine - 0.8) / 0.22
    return 0.75 * sun * (1 - 0.5 * climate.winter) + (0.75 - 1.45 * climate.winter) * stagnation
