"""What a forecast is made from and what it is: series on a regular clock in, quantiles out.

Shapes are (series, time) for what was observed and (series, lead, level) for what is forecast.
NaN is missing, never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from qinglan.core.clock import CST
from qinglan.core.errors import UsageError

Floats = NDArray[np.float64]
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


@dataclass(frozen=True)
class History:
    """Observations of one pollutant up to a cut-off, and the weather, which may go on beyond it.

    ``values`` is (series, time) in the pollutant's unit; ``weather`` maps a name to (series, time or more). What
    weather has beyond the last observed step is a forecast of it, and there need be none.
    """

    values: Floats
    start: datetime
    step: timedelta
    weather: Mapping[str, Floats] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.ndim != 2:
            raise UsageError(f"values have {self.values.ndim} axes; give (series, time)")
        if self.start.tzinfo is None:
            raise UsageError(f"start {self.start} names no time zone; give one, such as CST of qinglan.core.clock")
        for name, array in self.weather.items():
            if array.ndim != 2 or array.shape[0] != self.values.shape[0] or array.shape[1] < self.length:
                raise UsageError(
                    f"weather {name} is {array.shape} beside values of {self.values.shape}; "
                    "give the same series, and at least as many steps"
                )

    @property
    def length(self) -> int:
        """Steps observed; the cut-off is after the last of them."""
        return int(self.values.shape[1])

    @property
    def cycle(self) -> int:
        """Steps after which the day (of hours) or the week (of days) begins again."""
        return 24 if self.step == timedelta(hours=1) else 7

    def until(self, length: int, ahead: int = 0) -> History:
        """The same with nothing observed after ``length`` steps, and weather known ``ahead`` steps beyond."""
        if not 0 < length <= self.length:
            raise UsageError(f"cut-off {length} is outside 1..{self.length}; choose a step within the history")
        weather = {name: array[:, : length + ahead] for name, array in self.weather.items()}
        return replace(self, values=self.values[:, :length], weather=weather)

    def last(self, steps: int) -> History:
        """The same without what is more than ``steps`` before the cut-off."""
        first = max(self.length - steps, 0)
        weather = {name: array[:, first:] for name, array in self.weather.items()}
        return replace(self, values=self.values[:, first:], start=self.start + first * self.step, weather=weather)

    def clock(self, at: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Hour of day, day of year (from 0), day of week (Monday 0) of steps ``at``, in China Standard Time."""
        minutes = int(self.step.total_seconds() // 60)
        times = np.datetime64(self.start.astimezone(CST).replace(tzinfo=None), "m") + at * np.timedelta64(
            minutes, "m"
        )
        days = times.astype("datetime64[D]")
        hour = (times - days).astype(np.int64) // 60
        return hour, (days - days.astype("datetime64[Y]")).astype(np.int64), (days.astype(np.int64) + 3) % 7


@dataclass(frozen=True)
class Quantiles:
    """A forecast: ``values`` (series, lead, level), ``mean`` (series, lead), and how it was degraded."""

    values: Floats
    mean: Floats
    leads: tuple[int, ...]
    levels: tuple[float, ...] = LEVELS
    notes: tuple[str, ...] = ()

    @property
    def median(self) -> Floats:
        """(series, lead), the quantile of level 0.5."""
        return self.values[:, :, self.levels.index(0.5)]
