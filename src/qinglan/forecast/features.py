"""What a model that learns may look at: all of it known at the cut-off, save the weather that was forecast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qinglan.forecast.series import Floats, History

Steps = NDArray[np.int64]
LAGS = (0, 1, 2, 3)
WINDOWS = (3, 6, 12, 24, 72)


def moving_mean(values: Floats, window: int) -> Floats:
    """Mean over the ``window`` steps that end at each one, of those known; NaN where none is."""
    known = np.isfinite(values)
    total = np.cumsum(np.where(known, values, 0.0), axis=1)
    count = np.cumsum(known, axis=1)
    total[:, window:] -= total[:, :-window].copy()
    count[:, window:] -= count[:, :-window].copy()
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def neighbours(values: Floats) -> Floats:
    """Mean of all other series at each step; NaN where none of them is known."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    count = known.sum(axis=0) - known
    return np.where(count > 0, (filled.sum(axis=0) - filled) / np.maximum(count, 1), np.nan)


def table(history: History, origins: Steps, leads: Steps, ahead: bool) -> Floats:
    """Rows (series x origin x lead, in this order) of features; an origin is the last step that is known.

    ``ahead`` adds the weather at the valid time, NaN where the weather ends before it. Values are log(1 + x).
    """
    logs = np.log1p(history.values)
    others = neighbours(logs)
    shape = (logs.shape[0], origins.size, leads.size)
    columns: list[Floats] = []

    def add(part: Floats) -> None:
        columns.append(np.broadcast_to(part, shape).ravel())

    for lag in LAGS:
        add(_at(logs, origins - lag)[:, :, None])
    for window in WINDOWS:
        add(moving_mean(logs, window)[:, origins][:, :, None])
    for part in (others, moving_mean(others, 24)):
        add(part[:, origins][:, :, None])
    valid = origins[:, None] + leads[None, :]
    back = -(-leads // history.cycle) * history.cycle
    for more in (0, history.cycle):
        add(_at(logs, valid - back[None, :] - more))
    hour, day, week = history.clock(valid)
    angle = 2 * np.pi * day / 366
    for calendar in (leads[None, :], hour, week, np.sin(angle), np.cos(angle)):
        add(np.asarray(calendar, dtype=np.float64)[None])
    add(np.arange(shape[0], dtype=np.float64)[:, None, None])
    for name in sorted(history.weather):
        add(_at(history.weather[name][:, : history.length], origins)[:, :, None])
        if ahead:
            add(_at(history.weather[name], valid))
    return np.stack(columns, axis=1)


def _at(values: Floats, steps: Steps) -> Floats:
    """(series, *steps): values at steps, NaN outside of what there is."""
    inside = (steps >= 0) & (steps < values.shape[1])
    found: Floats = np.where(inside[None], values[:, np.where(inside, steps, 0)], np.nan)
    return found
