"""Weather of a plateau station: cycles by month and hour, synoptic noise shared over the province, rain.

Pressure follows the barometric formula of the international standard atmosphere (ISO 2533); dew point follows the
Magnus form of WMO-No. 8. Everything else is an invented climate with rounded monthly values as its frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from qinglan.plan.simulation import Parameters
from qinglan.sim.sites import Site
from qinglan.sim.streams import Array, Calendar, bell, noise, stream


@dataclass(frozen=True, slots=True)
class Regional:
    """What stations share: the stagnation factor of the province and of each zone, and the latent rain, [1]."""

    stagnation: dict[str, Array]
    rain: dict[str, Array]
    warmth: Array


@dataclass(frozen=True, slots=True)
class StationWeather:
    """Hourly weather of one station, in the units of the contract."""

    temperature: Array
    pressure: Array
    humidity: Array
    wind_speed: Array
    wind_direction: Array
    precipitation: Array
    dew_point: Array
    sunshine: Array  #: clearness of the day hours, 0 overcast .. 1 clear [1]


def regional(parameters: Parameters, calendar: Calendar, seed: int) -> Regional:
    """Draw the shared factors; `stagnation` has unit variance together with a station's own part."""
    set_up = parameters.noise
    common = noise(stream(seed, "common"), calendar.hours, set_up["hours"])
    wet = noise(stream(seed, "wet"), calendar.hours, 9)
    stagnation, rain = {}, {}
    for zone in parameters.weather["zones"]:
        own = noise(stream(seed, "zone", zone), calendar.hours, set_up["hours"])
        stagnation[zone] = set_up["common"] * common + set_up["zone"] * own
        rain[zone] = 0.6 * wet + 0.6 * noise(stream(seed, "wet", zone), calendar.hours, 6)
    return Regional(stagnation, rain, noise(stream(seed, "warmth"), calendar.hours, 72))


def pressure_at(altitude: float) -> float:
    """Standard pressure at an altitude [m] in [hPa] (ISO 2533).

    >>> round(pressure_at(0), 2), round(pressure_at(2262))
    (1013.25, 769)
    """
    return float(1013.25 * (1 - 2.25577e-5 * altitude) ** 5.25588)


def dew_point(temperature: Array, humidity: Array) -> Array:
    """Dew point [°C] from temperature [°C] and relative humidity [%] (Magnus form over water, WMO-No. 8)."""
    gamma = np.log(humidity / 100) + 17.62 * temperature / (243.12 + temperature)
    return 243.12 * gamma / (17.62 - gamma)


def station_weather(
    site: Site, parameters: Parameters, calendar: Calendar, shared: Regional, seed: int
) -> StationWeather:
    """Weather of one station over the whole calendar. Dust fronts are added by the caller."""
    table = parameters.weather
    zone = table["zones"][site.profile.zone]
    hours = calendar.hours
    label = calendar.label.astype(np.float64)
    stagnation = shared.stagnation[site.profile.zone]

    rain, wetness = _rain(site, parameters, calendar, shared, seed)
    own = noise(stream(seed, site.station, "temperature"), hours, 12)
    synoptic = table["temperature_sd"] * (0.9 * shared.warmth + 0.35 * own)
    afternoon = bell(label, 16, 4.2)
    course = (afternoon - afternoon[:24].mean()) / (afternoon[:24].max() - afternoon[:24].min())
    clear = np.clip(1.0 - 0.55 * np.maximum(wetness, 0.0), 0.15, 1.0)
    half = calendar.spread_hours(calendar.by_month(tuple(table["half_range"])))
    temperature = (
        calendar.spread_hours(_mean_temperature(site, table, zone, calendar))
        + synoptic + 2 * half * course * (0.45 + 0.55 * clear) - 1.2 * (rain > 0)
    )  # fmt: skip

    humidity = calendar.spread_hours(calendar.by_month(tuple(table["humidity"]))) + zone["humidity"]
    humidity = humidity - 30 * course + 9 * wetness + 5 * noise(stream(seed, site.station, "humidity"), hours, 8)
    humidity = np.clip(np.where(rain > 0, np.maximum(humidity, 82), humidity), 8, 99)

    wind = calendar.spread_hours(calendar.by_month(tuple(table["wind"]))) * zone["wind"]
    gust = noise(stream(seed, site.station, "wind"), hours, 4)
    wind = wind * (0.70 + 1.15 * afternoon) * np.exp(-0.32 * stagnation + 0.30 * gust - 0.10)
    wind = np.clip(wind, 0.1, 24)
    axis = np.where((label >= 11) & (label <= 20), zone["valley_axis"], zone["night_axis"])
    turn = noise(stream(seed, site.station, "direction"), hours, 3)
    direction = (axis + 55 * turn / np.sqrt(np.maximum(wind, 0.4))) % 360

    tide = bell(label, 10, 3.5) - bell(label, 18, 3.5)
    pressure = pressure_at(site.altitude) * (1 - 0.0009 * (shared.warmth - 0.5 * stagnation)) + 0.9 * tide
    pressure += calendar.spread_hours(1.6 * np.cos(2 * np.pi * (calendar.day_of_year - 300) / 365.25))
    return StationWeather(
        temperature, pressure, humidity, wind, direction, rain, dew_point(temperature, humidity), clear
    )


def _mean_temperature(
    site: Site, table: Mapping[str, Any], zone: Mapping[str, float], calendar: Calendar
) -> Array:
    """Daily mean temperature [°C]: the reference climate moved by altitude, latitude and zone."""
    months = np.asarray(table["temperature"], dtype=np.float64)
    reference = table["reference"]
    higher = (site.altitude - reference["altitude"]) / 1000
    norther = site.lat - reference["lat"]
    level = (
        months.mean() + zone["temperature"] - table["lapse_per_km"] * higher + table["per_degree_north"] * norther
    )
    swing = calendar.by_month(tuple((months - months.mean()) * zone["swing"]))
    return swing + float(level)


def _rain(
    site: Site, parameters: Parameters, calendar: Calendar, shared: Regional, seed: int
) -> tuple[Array, Array]:
    """Hourly rain [mm] and the latent wetness it comes from [1]: wet while the latent passes its monthly mark."""
    table = parameters.weather
    factor = table["zones"][site.profile.zone]["rain"]
    wetness = shared.rain[site.profile.zone] + 0.53 * noise(stream(seed, site.station, "wet"), calendar.hours, 3)
    month_hours = np.array([31, 28.25, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) * 24
    share = np.array(table["wet_hours"]) * min(1.0, 0.4 + 0.6 * factor) / month_hours
    marks = tuple(NormalDist().inv_cdf(1 - s) for s in share)
    rate = tuple(np.array(table["rain"]) * factor / (share * month_hours))
    over = wetness > calendar.spread_hours(calendar.by_month(marks))
    # A stream of its own: after another draw of calendar length it would depend on that length.
    drops = stream(seed, site.station, "rain").standard_exponential(calendar.hours)
    amount = drops * calendar.spread_hours(calendar.by_month(rate))
    return np.where(over, np.round(np.maximum(amount, 0.1), 1), 0.0), wetness
