"""One gradient-boosted model of all series and leads: the mean and each quantile.

LightGBM (Ke et al. 2017) with lead as a feature. Targets are what differs from a
base that fades from the last known value to the usual one: as it is for the mean, in logarithms for quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence

import lightgbm
import numpy as np

from qinglan.core.errors import UsageError
from qinglan.forecast.features import Steps, table
from qinglan.forecast.models.persistence import last_known
from qinglan.forecast.series import LEVELS, Floats, History, Quantiles


class Boosted:
    """Trees over all series. ``ahead``: learn from weather at the valid time; ``every`` thins origins."""

    def __init__(self, *, ahead: bool = False, every: int = 7, rounds: int = 150, threads: int = 2) -> None:
        self.name = "boosted with weather" if ahead else "boosted"
        self._ahead, self._every, self._rounds, self._threads = ahead, every, rounds, threads
        self._trees: dict[str, lightgbm.Booster] = {}
        self._usual: Floats = np.zeros(0)

    def fit(self, history: History, leads: Sequence[int]) -> None:
        """Learn from every ``every``-th origin whose valid times are all within ``history``."""
        steps = np.asarray(leads, dtype=np.int64)
        origins = np.arange(history.cycle, history.length - steps.max(), self._every)
        if origins.size == 0:
            raise UsageError(
                f"{history.length} steps are too few for leads up to {steps.max()}; give a longer history"
            )
        self._usual = np.nanmean(history.values, axis=1)
        rows = table(history, origins, steps, self._ahead)
        later = history.values[:, origins[:, None] + steps[None, :]]
        base = self._base(history, origins, steps)
        known = np.isfinite(later - base).ravel()
        rows = rows[known]
        spread = self._data(rows, (np.log1p(later) - np.log1p(base)).ravel()[known])
        for level in LEVELS:
            self._trees[str(level)] = self._grow(spread, {"objective": "quantile", "alpha": level})
        self._trees["mean"] = self._grow(
            self._data(rows, (later - base).ravel()[known]), {"objective": "regression"}
        )

    def predict(self, history: History, leads: Sequence[int]) -> Quantiles:
        """Quantiles in order, not below zero; noted ``no_weather_ahead`` where that is wanted and short."""
        if not self._trees:
            raise UsageError(f"{self.name} was not fitted; fit it on a history first")
        steps: Steps = np.asarray(leads, dtype=np.int64)
        origin = np.array([history.length - 1])
        rows = table(history, origin, steps, self._ahead)
        base = self._base(history, origin, steps)[:, 0]
        parts = [self._ask(str(level), rows).reshape(base.shape) for level in LEVELS]
        logs = np.sort(np.stack(parts, axis=2), axis=2) + np.log1p(base)[:, :, None]
        values = np.maximum(np.expm1(logs), 0.0)
        mean = np.maximum(base + self._ask("mean", rows).reshape(base.shape), 0.0)
        reach = min((array.shape[1] for array in history.weather.values()), default=0)
        short = self._ahead and reach < history.length + int(steps.max())
        return Quantiles(values, mean, tuple(leads), notes=("no_weather_ahead",) if short else ())

    def _ask(self, tree: str, rows: Floats) -> Floats:
        return np.asarray(self._trees[tree].predict(rows, num_threads=self._threads), dtype=np.float64)

    def _data(self, rows: Floats, target: Floats) -> lightgbm.Dataset:
        return lightgbm.Dataset(rows, target, params={"verbose": -1, "num_threads": self._threads})

    def _base(self, history: History, origins: Steps, leads: Steps) -> Floats:
        """(series, origin, lead): the last known value, fading to what is usual with half a cycle of lead."""
        held = last_known(history.values)[:, origins, None]
        usual = self._usual[:, None, None]
        share = np.exp(-leads / (history.cycle / 2))
        return np.where(np.isfinite(held), share * held + (1 - share) * usual, usual)

    def _grow(self, data: lightgbm.Dataset, aim: dict[str, object]) -> lightgbm.Booster:
        fixed = {"num_leaves": 63, "learning_rate": 0.06, "min_data_in_leaf": 200, "feature_fraction": 0.7}
        run = {
            "verbose": -1,
            "num_threads": self._threads,
            "seed": 1,
            "deterministic": True,
            "force_row_wise": True,
        }
        return lightgbm.train({**fixed, **run, **aim}, data, num_boost_round=self._rounds)
