"""Several models as one: quantiles and means averaged with weights that are learnt as the air comes, by lead.

Exponentiated gradient (Kivinen and Warmuth 1997, doi:10.1006/inco.1996.2612): a model's weight grows with how much
better the blend would have been with more of it, held to the spread of that (as in AdaHedge, de Rooij et al. 2014,
JMLR 15). In the long run the blend is no worse than the best fixed average
of its models, and so than the best of them. The mean has weights of its own: it answers for squares, the quantiles
for CRPS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from qinglan.core.errors import UsageError
from qinglan.forecast.backtest import Run
from qinglan.forecast.series import Floats

#: (blended, observed) to the gradient of the loss at the blended forecast.
Slope = Callable[[Floats, Floats], Floats]
#: How far weights follow what was gained, in units of its own spread: few large errors must not decide.
RATE = 1.0


def blend(runs: Sequence[Run], window: int = 2000) -> Run:
    """Equal weights before any forecast is observed; the weights remember about ``window`` forecasts.

    A model without a forecast for a series (NaN) is left out there. ``join`` each run to one
    over a time before, and the weights are learnt from the first day.
    """
    if not runs or any(run.origins != runs[0].origins or run.leads != runs[0].leads for run in runs):
        raise UsageError("models to blend need the same origins and leads; roll them alike")
    first = runs[0]
    level = np.asarray(first.levels)
    share = np.diff(np.concatenate([[0.0], (level[1:] + level[:-1]) / 2, [1.0]]))

    def pinball(said: Floats, seen: Floats) -> Floats:
        slope: Floats = 2 * ((seen[:, None] < said) - level) * share
        return slope

    def square(said: Floats, seen: Floats) -> Floats:
        return 2 * (said - seen[:, None])

    values, mean = np.empty_like(first.values), np.empty_like(first.mean)
    for place, lead in enumerate(first.leads):
        seen = first.observed[:, :, place]
        due = [int(np.searchsorted(first.origins, origin - lead, side="right")) for origin in first.origins]
        spreads = np.stack([run.values[:, :, place] for run in runs])
        means = np.stack([run.mean[:, :, place, None] for run in runs])
        values[:, :, place] = _learn(spreads, seen, due, window, pinball)
        mean[:, :, place] = _learn(means, seen, due, window, square)[:, :, 0]
    return replace(first, name="blend", values=values, mean=mean)


def _learn(said: Floats, seen: Floats, due: Sequence[int], window: int, slope: Slope) -> Floats:
    """(origin, series, part) from ``said`` (model, origin, series, part); ``due[at]`` are observed at ``at``."""
    made, gained, size, done = np.empty_like(said[0]), np.zeros(len(said)), 0.0, 0
    for at, known in enumerate(due):
        for past in range(done, known):
            gain = (slope(made[past], seen[past]) * (made[past] - said[:, past])).sum(axis=2)
            there = np.isfinite(gain).all(axis=0) & np.isfinite(seen[past])
            if there.any():
                better = gain[:, there].mean(axis=1)
                gained = gained * (1 - 1 / window) + better
                size = size * (1 - 1 / window) + float(np.max(better**2))
        done = max(done, known)
        made[at] = _average(said[:, at], np.exp(RATE * (gained - gained.max()) / np.sqrt(max(size, 1e-24))))
    return np.asarray(made, dtype=np.float64)


def _average(said: Floats, weights: Floats) -> Floats:
    """Weighted mean over models (first axis) of those that say something; NaN where none does."""
    known = np.isfinite(said)
    shaped = weights[:, None, None] * known
    shaped = np.where(shaped.sum(axis=0) > 0, shaped, known)
    total = shaped.sum(axis=0)
    found = (shaped * np.where(known, said, 0.0)).sum(axis=0) / np.where(total > 0, total, np.nan)
    return np.asarray(found, dtype=np.float64)
