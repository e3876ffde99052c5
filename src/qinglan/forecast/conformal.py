"""Quantiles moved to where the past says they are: per lead, rolling, in logarithms.

After conformalized quantile regression (Romano et al. 2019, arXiv:1905.03222), each level by itself: moved by
that level's quantile of what the last forecasts, already checked against observations, were off by.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qinglan.forecast.backtest import Run


def checked(run: Run, at: int, lead: int, window: int) -> list[int]:
    """The last ``window`` origins whose forecast of ``lead`` was observed by origin number ``at``."""
    known = [past for past in range(at) if run.origins[past] + lead <= run.origins[at]]
    return known[-window:]


def calibrate(run: Run, window: int = 120, least: int = 20) -> Run:
    """The run with each forecast moved by what was known by then; as it was before ``least`` are known."""
    values = run.values.copy()
    before, seen = np.log1p(run.values), np.log1p(run.observed)
    for place, lead in enumerate(run.leads):
        for at in range(len(run.origins)):
            past = checked(run, at, lead, window)
            if len(past) < least:
                continue
            off = seen[past, :, place, None] - before[past, :, place]
            off = off[np.isfinite(off).all(axis=2)]
            if off.size == 0:
                continue
            shift = [np.quantile(off[:, one], level) for one, level in enumerate(run.levels)]
            values[at, :, place] = np.maximum(np.expm1(np.sort(before[at, :, place] + shift, axis=-1)), 0.0)
    return replace(run, name=f"{run.name}, calibrated", values=values)
