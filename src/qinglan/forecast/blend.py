"""Several models as one: quantiles and means averaged with weights from their recent CRPS, by lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from qinglan.core.errors import UsageError
from qinglan.forecast.backtest import Run
from qinglan.forecast.conformal import checked
from qinglan.forecast.scores import crps


def blend(runs: Sequence[Run], window: int = 60, power: float = 6.0) -> Run:
    """Weights go with CRPS to the power of ``-power`` over ``window`` forecasts; equal before any."""
    if not runs or any(run.origins != runs[0].origins or run.leads != runs[0].leads for run in runs):
        raise UsageError("models to blend need the same origins and leads; roll them alike")
    first = runs[0]
    values, mean = np.zeros_like(first.values), np.zeros_like(first.mean)
    for place, lead in enumerate(first.leads):
        for at in range(len(first.origins)):
            past = checked(first, at, lead, window)
            recent = [crps(run.values[past, :, place], run.levels, run.observed[past, :, place]) for run in runs]
            weights = np.maximum(recent, 1e-9) ** -power if np.isfinite(recent).all() else np.ones(len(runs))
            for run, weight in zip(runs, weights / weights.sum(), strict=True):
                values[at, :, place] += weight * run.values[at, :, place]
                mean[at, :, place] += weight * run.mean[at, :, place]
    return replace(first, name="blend", values=values, mean=mean)
