"""What differs from the usual fades: by lead, a weighted sum of recent values and means, pulled to the usual.

Ridge regression (Hoerl and Kennard 1970, doi:10.1080/00401706.1970.10488634) in logarithms over all series.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qinglan.core.errors import UsageError
from qinglan.forecast.features import memory, reach
from qinglan.forecast.seasonal import Seasonal, Steps
from qinglan.forecast.series import LEVELS, Floats, History, Quantiles

#: Pull to the usual, as a share of the rows: neighbouring hours tell much the same.
PULL = 0.02
#: Terms of what a mean is above the exponential of a mean of logarithms, over the year.
SEASON = 5


class Linear:
    """A ridge regression for each lead; its spread is that of its errors in training. ``every`` thins origins."""

    name = "linear"

    def __init__(self, *, every: int = 5) -> None:
        self._every = every
        self.usual: Seasonal | None = None
        self._weights: dict[int, Floats] = {}
        self._spread: dict[int, Floats] = {}
        self._lift: dict[int, Floats] = {}

    def fit(self, history: History, leads: Sequence[int]) -> None:
        """Learn from every ``every``-th origin; a value that is missing counts as usual."""
        if min(leads) < 1 or history.length <= max(leads):
            raise UsageError(
                f"{history.length} steps are too few for leads {min(leads)}..{max(leads)}; give a longer history"
            )
        if not np.isfinite(history.values).any():
            raise UsageError("no value is known in the history; give one with values")
        self.usual = Seasonal.of(history)
        first = min(history.cycle, history.length - max(leads) - 1)
        origins = np.arange(first, history.length - min(leads), self._every)
        rows = _rows(history, self.usual, origins)
        for lead in leads:
            within = origins < history.length - lead
            valid = origins[within] + lead
            usual, later = self.usual.at(history, valid), history.values[:, valid]
            known = np.isfinite(later)
            here, target = rows[:, within][known], (np.log1p(later) - usual)[known]
            pull = np.diag(here.var(axis=0) * PULL * len(here) + 1e-6)
            pull[-1, -1] = 0.0
            self._weights[lead] = np.asarray(
                np.linalg.solve(here.T @ here + pull, here.T @ target), dtype=np.float64
            )
            said = here @ self._weights[lead]
            self._spread[lead] = np.asarray(np.quantile(target - said, LEVELS), dtype=np.float64)
            ratio = (later[known] + 1) / np.exp(said + usual[known])
            season = np.broadcast_to(self._season(history, valid)[None], (*later.shape, SEASON))[known]
            self._lift[lead] = np.asarray(np.linalg.lstsq(season, ratio, rcond=None)[0], dtype=np.float64)

    def predict(self, history: History, leads: Sequence[int]) -> Quantiles:
        """Quantiles about what is expected, in logarithms; the mean lifted by what logarithms hide."""
        steps: Steps = np.asarray(leads, dtype=np.int64)
        history = recent(history, steps)
        origins = np.array([history.length - 1])
        logs, lift = self.expected(history, origins, steps[None])
        spread = np.stack([self._spread[lead] for lead in leads])
        values = np.maximum(np.expm1(logs[:, 0, :, None] + spread[None]), 0.0)
        mean = np.maximum(np.exp(logs[:, 0]) * lift[0] - 1, 0.0)
        return Quantiles(values, mean, tuple(leads))

    def expected(self, history: History, origins: Steps, leads: Steps) -> tuple[Floats, Floats]:
        """(series, origin, lead) in log(1 + x), and (origin, lead) by which its exponential is less than the mean.

        ``leads`` is (origin, lead).
        """
        if self.usual is None:
            raise UsageError(f"{self.name} was not fitted; fit it on a history first")
        if unknown := sorted(set(leads.ravel().tolist()) - set(self._weights)):
            raise UsageError(f"{self.name} was not fitted for lead {unknown[0]}; name it when fitting")
        rows = _rows(history, self.usual, origins)
        known = sorted(self._weights)
        place = np.searchsorted(known, leads)
        weights = np.stack([self._weights[lead] for lead in known])[place]
        logs = np.einsum("sof,olf->sol", rows, weights) + self.usual.at(history, origins[:, None] + leads)
        lift = np.stack([self._lift[lead] for lead in known])[place]
        return logs, np.maximum((lift * self._season(history, origins[:, None] + leads)).sum(axis=2), 1.0)

    def _season(self, history: History, steps: Steps) -> Floats:
        """(*steps, term): two waves of the year, which stay away where the history is too short to tell them."""
        assert self.usual is not None
        angle = 2 * np.pi * history.clock(steps)[1] / 365.25
        waves = [wave(number * angle) * (self.usual.yearly > 0) for number in (1, 2) for wave in (np.sin, np.cos)]
        return np.stack([np.ones(steps.shape), *waves], axis=-1)


def _rows(history: History, usual: Seasonal, origins: Steps) -> Floats:
    """(series, origin, column): memory with a constant, what is missing being usual."""
    found = np.nan_to_num(memory(history, usual, origins))
    return np.concatenate([found, np.ones((*found.shape[:2], 1))], axis=2)


def recent(history: History, leads: Steps) -> History:
    """The end of a history that a forecast looks at."""
    return history.last(reach(history, leads))
