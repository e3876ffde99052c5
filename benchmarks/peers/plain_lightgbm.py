"""LightGBM as it comes: raw lags, calendar and lead, default settings, a model for the mean and for each level."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np

from benchmarks.ours.forecasting import beijing, plan, told
from qinglan.forecast.backtest import Run
from qinglan.forecast.series import LEVELS, History

LAGS = (*range(24), 47, 71)


def rows(history: History, origins: np.ndarray, leads: np.ndarray, ahead: bool) -> np.ndarray:
    """(series x origin x lead) by feature; ``leads`` is (origin, lead), an origin the last step known."""
    valid = origins[:, None] + leads
    shape = (history.values.shape[0], *valid.shape)
    hour, day, week = history.clock(valid)
    parts = [history.values[:, origins - lag][:, :, None] for lag in LAGS]
    parts += [np.asarray(part, dtype=float)[None] for part in (leads, hour, day, week)]
    parts.append(np.arange(shape[0], dtype=float)[:, None, None])
    for array in history.weather.values():
        parts.append(array[:, origins][:, :, None])
        if ahead:
            parts.append(array[:, valid])
    return np.stack([np.broadcast_to(part, shape).ravel() for part in parts], axis=1)


def forecasts(
    history: History, cut: int, origins: range, leads: list[int], *, every: int, rounds: int, ahead: bool
) -> Run:
    """Learnt from every ``every``-th origin before ``cut`` and five leads of each."""
    learnt = np.arange(min(72, cut // 3), cut - max(leads), every)
    rng = np.random.default_rng(1)
    number = min(5, len(leads))
    steps = np.stack([np.sort(rng.choice(leads, number, replace=False)) for _ in learnt])
    table, target = rows(history, learnt, steps, ahead), history.values[:, learnt[:, None] + steps].ravel()
    kept = np.isfinite(target)
    data = lightgbm.Dataset(table[kept], target[kept], free_raw_data=False)
    asked = np.asarray(origins) - 1
    wanted = np.broadcast_to(np.asarray(leads), (asked.size, len(leads)))
    held = rows(history, asked, wanted, ahead)
    shape = (history.values.shape[0], asked.size, len(leads))

    def grown(**aim: object) -> np.ndarray:
        trees = lightgbm.train({"verbose": -1, "num_threads": 1, **aim}, data, min(rounds, 100))
        return np.asarray(trees.predict(held, num_threads=1)).reshape(shape).transpose(1, 0, 2)

    values = np.stack([grown(objective="quantile", alpha=level) for level in LEVELS], axis=-1)
    observed = history.values[:, asked[:, None] + wanted].transpose(1, 0, 2)
    return Run(
        "plain LightGBM",
        np.maximum(np.sort(values, axis=-1), 0),
        np.maximum(grown(objective="regression"), 0),
        observed,
        tuple(origins),
        tuple(leads),
        LEVELS,
    )


def rolled(
    file: str,
    stations: int,
    days: int,
    back: int,
    every: int,
    leads: list[int],
    thin: int,
    rounds: int,
    ahead: bool,
) -> dict[str, Any]:
    """Beijing: the same rows of training and the same origins as ours."""
    history = beijing(file, stations, days)
    cut, origins = plan(history, back, every, leads)
    run = forecasts(history, cut, origins, leads, every=7, rounds=rounds, ahead=ahead)
    return {run.name: told(run, thin)}
