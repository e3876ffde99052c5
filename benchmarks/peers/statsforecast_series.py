"""AutoETS and AutoTheta of statsforecast, one series and one origin at a time, on logarithms of two weeks."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.ours.forecasting import beijing, plan, told
from qinglan.forecast.backtest import Run
from qinglan.forecast.models.persistence import last_known
from qinglan.forecast.series import LEVELS

WEEKS = 2


def rolled(
    file: str, stations: int, days: int, back: int, every: int, leads: list[int], thin: int, model: str
) -> dict[str, Any]:
    """Every ``thin``-th origin of ours. Gaps hold the value before them; the median stands for the mean."""
    from statsforecast import models

    history = beijing(file, stations, days)
    _, whole = plan(history, back, every, leads)
    origins = whole[::thin]
    logs = np.log1p(last_known(history.values))
    values = np.empty((len(origins), stations, len(leads), len(LEVELS)))
    steps = np.asarray(leads) - 1
    for at, origin in enumerate(origins):
        for series in range(stations):
            known = logs[series, origin - WEEKS * 168 : origin]
            made = getattr(models, model)(season_length=24).forecast(known, max(leads), level=[50, 80, 90])
            names = ("lo-90", "lo-80", "lo-50", "mean", "hi-50", "hi-80", "hi-90")
            said = np.sort(np.stack([np.asarray(made[name])[steps] for name in names], axis=1), axis=1)
            values[at, series] = np.maximum(np.expm1(np.minimum(said, 12.0)), 0)
    placed = np.asarray(origins)[:, None] - 1 + np.asarray(leads)
    observed = history.values[:, placed].transpose(1, 0, 2)
    run = Run(model, values, values[..., 3], observed, tuple(origins), tuple(leads), LEVELS)
    return {model: {**told(run, 1), "all": None}}
