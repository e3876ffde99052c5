"""Intervals made as wide as the past says: per lead and level, rolling, in logarithms about the median.

After conformalized quantile regression (Romano et al. 2019, arXiv:1905.03222): each level's distance from the
median is stretched by a quantile of how far out the last forecasts, already checked against observations, came to
lie. Which quantile follows what came (adaptive conformal inference, Gibbs and Candes 2021, arXiv:2106.00170): more
often outside than the level says, and it rises. The median stays.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qinglan.core.errors import UsageError
from qinglan.forecast.backtest import Run
from qinglan.forecast.series import Floats

#: How far the level asked goes after one forecast that was wholly outside, were its outcome known at once. The
#: more forecasts overlap before an outcome is known, the less each tells by itself: it goes by the distance of
#: origins over that distance plus the lead.
PACE = 0.03
#: Least distance from the median, in logarithms, that can be stretched.
LEAST = 1e-3


def checked(run: Run, at: int, lead: int, window: int) -> list[int]:
    """The last ``window`` origins whose forecast of ``lead`` was observed by origin number ``at``."""
    known = min(int(np.searchsorted(run.origins, run.origins[at] - lead, side="right")), at)
    return list(range(max(known - window, 0), known))


def calibrate(run: Run, window: int = 1000, least: int = 20) -> Run:
    """The run with each forecast stretched by what was known by then; as it was before ``least`` are known.

    To be right from the first day, ``join`` the run to one over the held-out end of the training.
    """
    if 0.5 not in run.levels:
        raise UsageError(f"levels {run.levels} lack 0.5; intervals are stretched about the median")
    values = run.values.copy()
    for place, lead in enumerate(run.leads):
        values[:, :, place] = _stretch(run, place, lead, window, least)
    return replace(run, name=f"{run.name}, calibrated", values=values)


def _stretch(run: Run, place: int, lead: int, window: int, least: int) -> Floats:
    """(origin, series, level) of one lead."""
    level, values = np.asarray(run.levels), run.values[:, :, place].copy()
    middle = run.levels.index(0.5)
    side = np.sign(level - 0.5)
    inside = np.where(side > 0, level, 1 - level)
    logs, seen = np.log1p(values), np.log1p(run.observed[:, :, place])
    median = logs[:, :, middle, None]
    wide = side * np.maximum(np.abs(logs - median), LEAST)
    out = (seen[:, :, None] - median) / np.where(side == 0, 1.0, wide)
    apart = float(np.median(np.diff(run.origins))) if len(run.origins) > 1 else 1.0
    pace = PACE * apart / (apart + lead)
    asked, told, ordered, new = inside.copy(), 0, np.empty((0, level.size)), 0
    for at in range(len(run.origins)):
        past = checked(run, at, lead, window)
        while past and told <= past[-1]:
            asked += pace * (inside - _within(np.log1p(values[told]), seen[told], side, inside))
            told += 1
        if len(past) < least:
            continue
        if told - new >= max(min(len(past), window) // 20, 1):
            known, new = out[past].reshape(-1, level.size), told
            ordered = np.sort(known[np.isfinite(known).all(axis=1)], axis=0)
        if len(ordered) == 0:
            continue
        factor = np.maximum(_at(ordered, np.clip(asked, 0.0, 1.0)), 0.0)
        made = np.sort(median[at] + np.where(side == 0, 0.0, factor) * wide[at], axis=-1)
        values[at] = np.maximum(np.expm1(made), 0.0)
    return values


def _within(said: Floats, seen: Floats, side: Floats, inside: Floats) -> Floats:
    """Share of the series that came on the median's side of each quantile; what is due when none is known."""
    known = np.isfinite(seen) & np.isfinite(said).all(axis=1)
    if not known.any():
        return inside
    found: Floats = np.where(side == 0, inside, (side * (said[known] - seen[known, None]) >= 0).mean(axis=0))
    return found


def _at(ordered: Floats, asked: Floats) -> Floats:
    """Quantile ``asked[i]`` of column ``i`` of sorted rows."""
    place = asked * (len(ordered) - 1)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, len(ordered) - 1)
    column = np.arange(asked.size)
    found: Floats = ordered[low, column] + (place - low) * (ordered[high, column] - ordered[low, column])
    return found
