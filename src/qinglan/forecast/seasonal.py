"""What is usual at an hour of a day of the year, smooth and in logarithms: models learn what differs from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qinglan.forecast.series import Floats, History

Steps = NDArray[np.int64]
#: Days without which the waves of a year would be guessed from part of one.
YEAR = 300


@dataclass(frozen=True)
class Seasonal:
    """Waves of the year times waves of the day: ``weights`` is (series, term), in log(1 + x).

    Two waves of the year and three of the day; no day for daily steps, no year when less than ``YEAR`` days are
    known. A series with nothing known takes the mean of the others.
    """

    weights: Floats
    yearly: int
    daily: int

    @classmethod
    def of(cls, history: History) -> Seasonal:
        """Fitted by least squares with a slight pull to zero."""
        days = history.length * history.step.total_seconds() / 86400
        made = cls(np.zeros((0, 0)), 2 if days >= YEAR else 0, 3 if history.cycle == 24 else 0)
        terms = made._terms(history, np.arange(history.length))
        rows = np.full((history.values.shape[0], terms.shape[1]), np.nan)
        for one, logs in enumerate(np.log1p(history.values)):
            known = np.isfinite(logs)
            if known.any():
                here, centre = terms[known], logs[known].mean()
                pull = np.eye(terms.shape[1]) * (0.001 * known.sum() + 1)
                rows[one] = np.linalg.solve(here.T @ here + pull, here.T @ (logs[known] - centre))
                rows[one, 0] += centre
        usual = np.nanmean(rows, axis=0) if np.isfinite(rows).any() else np.zeros(terms.shape[1])
        return cls(np.where(np.isfinite(rows), rows, usual), made.yearly, made.daily)

    @classmethod
    def none(cls, history: History) -> Seasonal:
        """Zero for every series at every time."""
        return cls(np.zeros((history.values.shape[0], 1)), 0, 0)

    def at(self, history: History, steps: Steps) -> Floats:
        """(series, *steps): what is usual in log(1 + x) at steps of the clock of ``history``."""
        found: Floats = (self.weights @ self._terms(history, steps.ravel()).T).reshape(-1, *steps.shape)
        return found

    def _terms(self, history: History, steps: Steps) -> Floats:
        hour, day, _ = history.clock(steps)
        year, clock = 2 * np.pi * day / 365.25, 2 * np.pi * hour / 24
        one = [np.ones(steps.size)]
        slow = one + [wave(number * year) for number in range(1, self.yearly + 1) for wave in (np.sin, np.cos)]
        quick = one + [wave(number * clock) for number in range(1, self.daily + 1) for wave in (np.sin, np.cos)]
        return np.stack([a * b for a in slow for b in quick], axis=1)
