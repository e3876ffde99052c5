"""Share of a year's tonnes in each of its hours, from profiles of months, weekdays and hours (content/profiles).

Hours are those of the official clock (core.clock): number 0 is the first of 1 January, 00:00 to 01:00, whose label
is its end, 01:00. A profile's months keep their share whatever weekdays fall into them.
Source: T/CSES 144-2024 annex B; the other profiles by their `source` and `certainty` in time.yaml.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray

from qinglan.core.clock import from_day_and_hour
from qinglan.core.errors import ContentError, UnknownName, UsageError
from qinglan.emission.shape.sectors import by_sector
from qinglan.plan.content import read
from qinglan.plan.schema import CERTAINTIES

Vector = NDArray[np.float64]
_LENGTHS = {"months": 12, "weekdays": 7, "hours": 24}
SUNDAY = 6


@dataclass(frozen=True, slots=True)
class Profile:
    """Shares of months (12,), weekdays (7,; Monday first) and hours (24,); each sums to 1."""

    name: str
    months: tuple[float, ...]
    weekdays: tuple[float, ...]
    hours: tuple[float, ...]
    certainty: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class TimeProfiles:
    """Profiles by name, and the name that each sector takes."""

    profiles: Mapping[str, Profile]
    of_sector: Mapping[str, str]

    def profile(self, name: str) -> Profile:
        """A profile; UnknownName when there is none of the name."""
        if name not in self.profiles:
            raise UnknownName("time profile", name, tuple(self.profiles))
        return self.profiles[name]


@cache
def time_profiles() -> TimeProfiles:
    """The profiles of content/profiles/time.yaml, checked; ContentError lists every fault."""
    raw = read("profiles", "time")
    problems = []
    for kind, length in _LENGTHS.items():
        for name, entry in raw[kind].items():
            shares = entry["shares"]
            if len(shares) != length or min(shares) < 0 or sum(shares) <= 0:
                problems.append(f"{kind}.{name}: needs {length} shares, none below 0.")
            if entry["certainty"] not in CERTAINTIES or entry["source"] not in raw["sources"]:
                problems.append(f"{kind}.{name}: certainty or source is not known.")
    if problems:
        raise ContentError("profiles/time.yaml", problems)
    made = {}
    for name, entry in raw["profiles"].items():
        used = [raw[kind][entry[kind[:-1]]] for kind in _LENGTHS]
        sure = max((e["certainty"] for e in used), key=list(CERTAINTIES).index)
        told = "; ".join(dict.fromkeys(raw["sources"][e["source"]] for e in used))
        month, weekday, hour = (_normal(e["shares"]) for e in used)
        made[name] = Profile(name, month, weekday, hour, sure, told)
    return TimeProfiles(made, by_sector(raw["profiles"], "profiles/time.yaml"))


def _normal(shares: list[float]) -> tuple[float, ...]:
    values = np.asarray(shares, dtype=np.float64)
    return tuple((values / values.sum()).tolist())


def hours_of(year: int) -> int:
    """Hours of a year.

    >>> hours_of(2023), hours_of(2024)
    (8760, 8784)
    """
    return (date(year + 1, 1, 1) - date(year, 1, 1)).days * 24


def utc_end(year: int, hour: int) -> datetime:
    """UTC end of the hour with a number (from 0) of an official year.

    >>> utc_end(2023, 0).isoformat()
    '2022-12-31T17:00:00+00:00'
    """
    if not 0 <= hour < hours_of(year):
        raise UsageError(f"hour {hour} is not in 0..{hours_of(year) - 1} of {year}.")
    return from_day_and_hour(date(year, 1, 1) + timedelta(days=hour // 24), hour % 24 + 1)


def weights(year: int, profile: Profile, *, holidays: Collection[date] = (), holiday_as: int = SUNDAY) -> Vector:
    """Share of the year's tonnes in each hour, shape (hours of the year,); sums to 1.

    holidays : days that count as the weekday `holiday_as` (Monday 0), such as public holidays that the State
        Council announces. Raises UsageError when a month's days have no weight at all.

    >>> float(round(weights(2024, time_profiles().profile("straw"))[:744].sum(), 12))
    0.16
    """
    first = date(year, 1, 1)
    days = [first + timedelta(days=i) for i in range(hours_of(year) // 24)]
    free = set(holidays)
    kinds = np.array([holiday_as if day in free else day.weekday() for day in days])
    month = np.array([day.month - 1 for day in days])
    daily = np.asarray(profile.weekdays)[kinds]
    whole = np.bincount(month, weights=daily, minlength=12)
    shares = np.asarray(profile.months)
    if np.any((whole <= 0) & (shares > 0)):
        raise UsageError(f"profile {profile.name!r} gives a month of {year} no day to be emitted on.")
    of_day = daily * (shares / np.where(whole > 0, whole, 1.0))[month]
    made = np.outer(of_day, np.asarray(profile.hours)).ravel()
    return np.asarray(made / made.sum(), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class OwnHours:
    """Share in each hour by a source's own monitoring, and how many of its hours were filled by the profile."""

    shares: Vector
    filled: int


def own_hours(series: Vector, profile: Vector) -> OwnHours:
    """A source's measured hours in place of a profile.

    Parameters
    ----------
    series : emission of each hour of the year in any unit, NaN or negative where it is missing, shape (hours,)
    profile : shares by :func:`weights`, shape (hours,)

    A missing hour takes the profile's share, scaled so that the measured hours mean the same: level = sum of what
    was measured / share that the profile gives to those hours. Raises UsageError for another length, or when
    nothing was measured.
    """
    if series.shape != profile.shape:
        raise UsageError(f"{series.size} hours of monitoring for a year of {profile.size}.")
    sound = np.isfinite(series) & (series >= 0)
    there, total = float(profile[sound].sum()), float(series[sound].sum())
    if there <= 0 or total <= 0:
        raise UsageError(
            "no hour of monitoring is above zero.", remedy="Leave the series out: the profile stands."
        )
    made = np.where(sound, series, profile * (total / there))
    return OwnHours(made / made.sum(), int((~sound).sum()))
