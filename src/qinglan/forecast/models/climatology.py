"""Climatology: what past years had at this hour in this season."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qinglan.core.errors import UsageError
from qinglan.forecast.series import LEVELS, Floats, History, Quantiles

SEASONS = 12
HOURS = 24


class Climatology:
    """Quantiles and mean of each series by twelfth of the year and hour; an empty cell takes the series' own."""

    name = "climatology"

    def __init__(self) -> None:
        self._cells: Floats | None = None

    def fit(self, history: History, leads: Sequence[int]) -> None:
        """Count every cell once; ``leads`` make no difference."""
        hour, day, _ = history.clock(np.arange(history.length))
        season = day * SEASONS // 366
        whole = spread(history.values)
        cells = np.repeat(whole[:, None, :], SEASONS * HOURS, axis=1)
        for cell in np.unique(season * HOURS + hour):
            found = history.values[:, season * HOURS + hour == cell]
            known = np.isfinite(found).any(axis=1)
            cells[known, cell] = spread(found[known])
        self._cells = cells

    def predict(self, history: History, leads: Sequence[int]) -> Quantiles:
        """The cells in which the valid times fall."""
        if self._cells is None:
            raise UsageError("climatology was not fitted; fit it on a history first")
        hour, day, _ = history.clock(history.length - 1 + np.asarray(leads, dtype=np.int64))
        found = self._cells[:, day * SEASONS // 366 * HOURS + hour]
        return Quantiles(found[:, :, 1:], found[:, :, 0], tuple(leads))


def spread(values: Floats) -> Floats:
    """(series, 1 + level): mean and quantiles over time; NaN for a series with nothing known."""
    found = np.full((values.shape[0], 1 + len(LEVELS)), np.nan)
    known = np.isfinite(values).any(axis=1)
    if known.any():
        found[known, 0] = np.nanmean(values[known], axis=1)
        found[known, 1:] = np.nanquantile(values[known], LEVELS, axis=1).T
    return found
