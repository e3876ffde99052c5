"""A climatology without steps: what past years had within a month of this day, near this hour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qinglan.core.errors import UsageError
from qinglan.forecast.models.climatology import spread
from qinglan.forecast.series import LEVELS, Floats, History, Quantiles

CENTRES = 24
DAYS = 30
NEAR = 1
YEAR = 366


class Season:
    """Mean and quantiles within ``DAYS`` days and ``NEAR`` hours, at 24 days of the year, between them by line.

    Wider than ``Climatology``, it is less at the mercy of the few years that there are. Where nothing is known
    near a day, the series' own spread stands.
    """

    name = "season"

    def __init__(self) -> None:
        self._cells: Floats | None = None

    def fit(self, history: History, leads: Sequence[int]) -> None:
        """Count every step near each centre; ``leads`` make no difference."""
        hour, day, _ = history.clock(np.arange(history.length))
        found = np.repeat(spread(history.values)[:, None, None, :], CENTRES, axis=1)
        cells = np.repeat(found, 24, axis=2)
        for centre in range(CENTRES):
            away = np.abs(day - centre * YEAR / CENTRES)
            near = np.minimum(away, YEAR - away) <= DAYS
            for clock in np.unique(hour[near]):
                apart = np.abs(hour - clock)
                values = history.values[:, near & (np.minimum(apart, 24 - apart) <= NEAR)]
                known = np.isfinite(values).any(axis=1)
                cells[known, centre, clock] = spread(values[known])
        self._cells = cells

    def predict(self, history: History, leads: Sequence[int]) -> Quantiles:
        """Between the two centres on both sides of the valid day."""
        if self._cells is None:
            raise UsageError(f"{self.name} was not fitted; fit it on a history first")
        hour, day, _ = history.clock(history.length - 1 + np.asarray(leads, dtype=np.int64))
        place = day * CENTRES / YEAR
        before = np.floor(place).astype(np.int64)
        share = (place - before)[None, :, None]
        first, second = self._cells[:, before % CENTRES, hour], self._cells[:, (before + 1) % CENTRES, hour]
        found = (1 - share) * first + share * second
        return Quantiles(found[:, :, 1:], found[:, :, 0], tuple(leads), LEVELS)
