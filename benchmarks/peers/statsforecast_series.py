"""AutoETS and AutoTheta of statsforecast, one series and one origin at a time, on logarithms."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.ours.forecasting import beijing, plan, told
from qinglan.forecast.backtest import Run
from qinglan.forecast.models.persistence import last_known
from qinglan.forecast.series import LEVELS, History

WEEKS = 2


def forecasts(
    history: History, origins: range, leads: list[int], model: str, known: int, series: list[int]
) -> Run:
    """Of some series, each from its last ``known`` steps. Gaps hold the value before; the median is the mean."""
    from statsforecast import models

    logs = np.log1p(last_known(history.values[series]))
    values = np.empty((len(origins), len(series), len(leads), len(LEVELS)))
    steps = np.asarray(leads) - 1
    for at, origin in enumerate(origins):
        for place, line in enumerate(logs):
            made = getattr(models, model)(season_length=history.cycle).forecast(
                line[max(origin - known, 0) : origin], max(leads), level=[50, 80, 90]
            )
            names = ("lo-90", "lo-80", "lo-50", "mean", "hi-50", "hi-80", "hi-90")
            said = np.sort(np.stack([np.asarray(made[name])[steps] for name in names], axis=1), axis=1)
            values[at, place] = np.maximum(np.expm1(np.minimum(said, 12.0)), 0)
    placed = np.asarray(origins)[:, None] - 1 + np.asarray(leads)
    observed = history.values[series][:, placed].transpose(1, 0, 2)
    return Run(model, values, values[..., 3], observed, tuple(origins), tuple(leads), LEVELS)


def rolled(
    file: str, stations: int, days: int, back: int, every: int, leads: list[int], thin: int, model: str
) -> dict[str, Any]:
    """Beijing: every ``thin``-th origin of ours, from two weeks of hours."""
    history = beijing(file, stations, days)
    _, whole = plan(history, back, every, leads)
    run = forecasts(history, whole[::thin], leads, model, WEEKS * 168, list(range(stations)))
    return {model: {**told(run, 1), "all": None}}
