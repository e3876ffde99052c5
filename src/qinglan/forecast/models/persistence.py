"""Persistence: what was measured last stays; its spread is how far that was wrong before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qinglan.core.errors import UsageError
from qinglan.forecast.series import LEVELS, Floats, History, Quantiles


def last_known(values: Floats) -> Floats:
    """(series, time) with each gap holding the value before it; NaN before the first."""
    at = np.where(np.isfinite(values), np.arange(values.shape[1]), 0)
    held: Floats = np.take_along_axis(values, np.maximum.accumulate(at, axis=1), axis=1)
    return held


class Persistence:
    """The last value known, with the quantiles of its past errors (in logarithms) by lead over all series."""

    name = "persistence"

    def __init__(self) -> None:
        self._spread: dict[int, Floats] = {}

    def fit(self, history: History, leads: Sequence[int]) -> None:
        """Learn by how much the value ``leads`` steps later differs."""
        held = np.log1p(last_known(history.values))
        later = np.log1p(history.values)
        for lead in leads:
            self._spread[lead] = np.nanquantile(later[:, lead:] - held[:, :-lead], LEVELS)

    def predict(self, history: History, leads: Sequence[int]) -> Quantiles:
        """The last known value of each series at every lead."""
        if unknown := [lead for lead in leads if lead not in self._spread]:
            raise UsageError(f"persistence was not fitted for lead {unknown[0]}; name it when fitting")
        now = last_known(history.values)[:, -1]
        spread = np.stack([self._spread[lead] for lead in leads])
        values = np.maximum(np.expm1(np.log1p(now)[:, None, None] + spread[None]), 0.0)
        mean = np.repeat(now[:, None], len(leads), axis=1)
        return Quantiles(values, mean, tuple(leads))
