"""How good a forecast was: RMSE, MAE, CRPS and the coverage of intervals. Gaps are not counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qinglan.forecast.series import Floats


def rmse(forecast: Floats, observed: Floats) -> float:
    """Root of the mean squared error, in the unit of the values; NaN when there is no pair."""
    error = forecast - observed
    kept = error[np.isfinite(error)]
    return float(np.sqrt(np.mean(kept**2))) if kept.size else float("nan")


def mae(forecast: Floats, observed: Floats) -> float:
    """Mean absolute error, in the unit of the values; NaN when there is no pair."""
    error = np.abs(forecast - observed)
    kept = error[np.isfinite(error)]
    return float(np.mean(kept)) if kept.size else float("nan")


def crps(quantiles: Floats, levels: Sequence[float], observed: Floats) -> float:
    """Mean continuous ranked probability score from quantiles (last axis), in the unit of the values."""
    loss = crps_each(quantiles, levels, observed)
    kept = loss[np.isfinite(loss)]
    return float(np.mean(kept)) if kept.size else float("nan")


def crps_each(quantiles: Floats, levels: Sequence[float], observed: Floats) -> Floats:
    """CRPS of each pair, in the shape of ``observed``.

    CRPS is twice the integral of the pinball loss over all levels (Laio and Tamea 2007,
    doi:10.5194/hess-11-1267-2007); each level stands for the part of 0..1 that is nearest to it.
    """
    level = np.asarray(levels, dtype=np.float64)
    edges = np.concatenate([[0.0], (level[1:] + level[:-1]) / 2, [1.0]])
    error = observed[..., None] - quantiles
    found: Floats = 2 * (np.maximum(level * error, (level - 1) * error) @ np.diff(edges))
    return found


def coverage(low: Floats, high: Floats, observed: Floats) -> float:
    """Share of the observations within ``low..high``, both ends included; NaN when there is no pair."""
    known = np.isfinite(low) & np.isfinite(high) & np.isfinite(observed)
    inside = (low <= observed) & (observed <= high)
    return float(np.mean(inside[known])) if known.any() else float("nan")
