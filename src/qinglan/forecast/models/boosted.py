"""One gradient-boosted model of all series and leads: the mean and each quantile.

LightGBM (Ke et al. 2017) with lead as a feature. Targets are what differs from ``Linear``: as it is for the mean,
in logarithms for quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import lightgbm
import numpy as np
from numpy.typing import NDArray

from qinglan.core.errors import UsageError
from qinglan.forecast.features import table
from qinglan.forecast.models.linear import Linear, recent
from qinglan.forecast.seasonal import Seasonal, Steps
from qinglan.forecast.series import LEVELS, Floats, History, Quantiles

#: Share of the rows from which the weather ahead is taken away in training: for the day on which it is missing.
BLIND = 0.1


class Base(Protocol):
    """What is expected before trees have their say, and what is usual."""

    usual: Seasonal | None

    def fit(self, history: History, leads: Sequence[int]) -> None:
        """Learn from a history."""

    def expected(self, history: History, origins: Steps, leads: Steps) -> tuple[Floats, Floats]:
        """(series, origin, lead) in log(1 + x), and (origin, lead) by which its exponential is below the mean."""


class Boosted:
    """Trees over all series. ``ahead``: learn from weather at the valid time too.

    Learns from every ``every``-th origin and ``drawn`` leads of each, short ones more often. One thread by
    default: where others use the cores too, two wait for each other and took ten times as long as one.
    """

    def __init__(
        self, *, ahead: bool = False, every: int = 7, rounds: int = 150, threads: int = 1, drawn: int = 5
    ) -> None:
        self.name = "boosted with weather" if ahead else "boosted"
        self._ahead, self._every, self._rounds, self._threads = ahead, every, rounds, threads
        self._drawn = drawn
        self._trees: dict[str, lightgbm.Booster] = {}
        self._base: Base = Linear()

    def fit(self, history: History, leads: Sequence[int]) -> None:
        """Learn from origins whose valid times are all within ``history``."""
        origins = np.arange(history.cycle, history.length - max(leads), self._every)
        if origins.size == 0:
            raise UsageError(
                f"{history.length} steps are too few for leads up to {max(leads)}; give a longer history"
            )
        self._base.fit(history, leads)
        assert self._base.usual is not None
        rng = np.random.default_rng(1)
        steps = _draw(rng, leads, origins.size, self._drawn)
        found, known = table(history, self._base.usual, origins, steps, self._ahead)
        found[rng.random(len(found)) < BLIND, known:] = np.nan
        later = history.values[:, origins[:, None] + steps]
        logs, lift = self._base.expected(history, origins, steps)
        kept = np.isfinite(later).ravel()
        rows = found[kept].astype(np.float32)
        data = self._data(rows, (np.log1p(later) - logs).ravel()[kept])
        for level in LEVELS:
            self._trees[str(level)] = self._grow(data, {"objective": "quantile", "alpha": level})
        off = (later + 1 - np.exp(logs) * lift).ravel()[kept]
        self._trees["mean"] = self._grow(self._data(rows, off), {"objective": "regression"})

    def predict(self, history: History, leads: Sequence[int]) -> Quantiles:
        """Quantiles in order, not below zero; noted ``no_weather_ahead`` where that is wanted and short."""
        if not self._trees or self._base.usual is None:
            raise UsageError(f"{self.name} was not fitted; fit it on a history first")
        steps: Steps = np.asarray(leads, dtype=np.int64)
        reach = min((array.shape[1] for array in history.weather.values()), default=0)
        short = self._ahead and reach < history.length + int(steps.max())
        history = recent(history, steps)
        origin = np.array([history.length - 1])
        rows = table(history, self._base.usual, origin, steps[None], self._ahead)[0].astype(np.float32)
        logs, lift = self._base.expected(history, origin, steps[None])
        shape = logs[:, 0].shape
        parts = [self._ask(str(level), rows).reshape(shape) for level in LEVELS]
        spread = np.sort(np.stack(parts, axis=2), axis=2) + logs[:, 0, :, None]
        mean = np.exp(logs[:, 0]) * lift[0] - 1 + self._ask("mean", rows).reshape(shape)
        values, mean = np.maximum(np.expm1(spread), 0.0), np.maximum(mean, 0.0)
        return Quantiles(values, mean, tuple(leads), notes=("no_weather_ahead",) if short else ())

    def _ask(self, tree: str, rows: NDArray[np.float32]) -> Floats:
        # Threads cost more than they bring for the rows of one origin.
        return np.asarray(self._trees[tree].predict(rows, num_threads=1), dtype=np.float64)

    def _data(self, rows: NDArray[np.float32], target: Floats) -> lightgbm.Dataset:
        return lightgbm.Dataset(rows, target, params={"verbose": -1, "num_threads": self._threads, "max_bin": 63})

    def _grow(self, data: lightgbm.Dataset, aim: dict[str, object]) -> lightgbm.Booster:
        rows = data.construct().num_data()
        fixed = {
            "num_leaves": 15,
            "learning_rate": 0.05,
            "min_data_in_leaf": min(max(rows // 300, 20), 1000),
            "feature_fraction": 0.5,
            "bagging_fraction": 0.5,
            "bagging_freq": 1,
            "lambda_l2": 10.0,
        }
        run = {
            "verbose": -1,
            "num_threads": self._threads,
            "seed": 1,
            "deterministic": True,
            "force_row_wise": True,
            "max_bin": 63,
        }
        return lightgbm.train({**fixed, **run, **aim}, data, num_boost_round=self._rounds)


def _draw(rng: np.random.Generator, leads: Sequence[int], origins: int, number: int) -> Steps:
    """(origin, number) leads without repetition, in order; short ones come more often."""
    steps = np.asarray(sorted(leads), dtype=np.int64)
    if number >= steps.size:
        return np.broadcast_to(steps, (origins, steps.size)).copy()
    chance = steps**-0.3 / np.sum(steps**-0.3)
    # Gumbel's trick: the largest of log-chance plus noise are a draw without repetition.
    noise = np.log(chance)[None] + rng.gumbel(size=(origins, steps.size))
    return np.sort(steps[np.argsort(-noise, axis=1)[:, :number]], axis=1)
