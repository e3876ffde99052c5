"""Random streams that belong to a name, and memory added to them.

A stream depends on the seed and on its own name only: not on which other stations are simulated, in which
order, or up to which date. So a slice of the province equals the same slice of the whole.
"""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from qinglan.core.clock import from_day_and_hour

Array = npt.NDArray[np.float64]
#: Indices, masks and dates.
Index = npt.NDArray[Any]


def stream(seed: int, *names: object) -> np.random.Generator:
    """The random generator of a name under a seed.

    >>> float(stream(1, "xining").random()) == float(stream(1, "xining").random())
    True
    >>> float(stream(1, "xining").random()) == float(stream(1, "haidong").random())
    False
    """
    digest = hashlib.sha256("/".join(str(n) for n in names).encode()).digest()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, int.from_bytes(digest[:8], "big")])))


@numba.njit(cache=True)
def _remember(shocks: Array, keep: float) -> None:
    scale = np.sqrt(1.0 - keep * keep)
    for i in range(1, shocks.size):
        shocks[i] = keep * shocks[i - 1] + scale * shocks[i]


@numba.njit(cache=True)
def _accumulate(load: Array, keep: float) -> None:
    for i in range(1, load.size):
        load[i] += keep * load[i - 1]


def noise(generator: np.random.Generator, hours: int, memory: float) -> Array:
    """Stationary Gaussian AR(1) with mean 0 and variance 1.

    Parameters
    ----------
    hours : int
        Length; a longer series begins with the shorter one.
    memory : float
        Time in which the autocorrelation falls to 1/e [h].
    """
    series = generator.standard_normal(hours)
    _remember(series, float(np.exp(-1.0 / memory)))
    return series


def fading_sum(load: Array, memory: float) -> Array:
    """Sum of all earlier loads, each fading with `memory` [h]."""
    total = load.copy()
    _accumulate(total, float(np.exp(-1.0 / memory)))
    return total


class Calendar:
    """Hours from an anchor day on, as arrays of what the cycles need (statistical day and label 1..24)."""

    def __init__(self, anchor: date, days: int) -> None:
        start = np.datetime64(anchor, "D")
        self.anchor = anchor
        self.days = days
        self.hours = days * 24
        self.dates = start + np.arange(days)
        self.day_index = np.repeat(np.arange(days), 24)
        self.label = np.tile(np.arange(1, 25), days)
        self.weekday = (self.dates.astype("datetime64[D]").astype(np.int64) + 3) % 7
        years = self.dates.astype("datetime64[Y]")
        self.year = years.astype(np.int64) + 1970
        self.day_of_year = (self.dates - years.astype("datetime64[D]")).astype(np.int64)
        first_end = np.datetime64(from_day_and_hour(anchor, 1).replace(tzinfo=None), "us")
        self.time = first_end + np.arange(self.hours).astype("timedelta64[h]")

    def index_of(self, day: date) -> int:
        """Index of label 1 of a day (may lie outside the calendar)."""
        return (day - self.anchor).days * 24

    def by_month(self, twelve: tuple[float, ...]) -> Array:
        """Daily values that pass smoothly through twelve mid-month values, length `days`."""
        middles = np.array([15, 45, 74, 105, 135, 166, 196, 227, 258, 288, 319, 349], dtype=np.float64)
        knots = np.concatenate([[middles[-1] - 365], middles, [middles[0] + 365]])
        values = np.concatenate([[twelve[-1]], twelve, [twelve[0]]])
        daily: Array = np.interp(self.day_of_year, knots, values)
        return daily

    def spread_hours(self, daily: Array) -> Array:
        """A daily series repeated over its 24 hours."""
        return np.repeat(daily, 24)


def bell(label: Array, hour: float, width: float) -> Array:
    """A bell over the 24-hour circle, 1 at `hour`."""
    distance = (label - hour + 12.0) % 24.0 - 12.0
    return np.exp(-0.5 * (distance / width) ** 2)
