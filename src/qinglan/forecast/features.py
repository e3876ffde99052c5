"""What a model that learns may look at: all of it known at the cut-off, save the weather that was forecast.

Values are log(1 + x) less what is usual then (``Seasonal``), so that a tree need not learn the year and the day.
"""

from __future__ import annotations

import numpy as np

from qinglan.forecast.seasonal import Seasonal, Steps
from qinglan.forecast.series import Floats, History

LAGS = (0, 1, 2, 3, 6, 12)
#: Steps of the moving means: of hours, and of days.
HOURS = (3, 6, 12, 24, 72, 168, 720)
DAYS = (2, 3, 7, 14, 30)
#: Weather of which the change over a day tells of a front.
SINCE = 24


def windows(history: History) -> tuple[int, ...]:
    """Lengths of the moving means for this clock."""
    return HOURS if history.cycle == 24 else DAYS


def reach(history: History, leads: Steps) -> int:
    """Steps before the cut-off that a forecast looks at; a history cut to them gives the same."""
    return int(max(windows(history)[-1], 2 * history.cycle + leads.max())) + SINCE


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


def differing(history: History, usual: Seasonal) -> Floats:
    """(series, time): log(1 + value) less what is usual."""
    return np.log1p(history.values) - usual.at(history, np.arange(history.length))


def memory(history: History, usual: Seasonal, origins: Steps) -> Floats:
    """(series, origin, column): recent values and means, and the others'; an origin is the last step known."""
    logs = differing(history, usual)
    others = neighbours(logs)
    parts = [_at(logs, origins - lag) for lag in LAGS]
    parts += [moving_mean(logs, window)[:, origins] for window in windows(history)]
    parts += [others[:, origins], *(moving_mean(others, window)[:, origins] for window in windows(history)[1:4:2])]
    mean, square = (moving_mean(logs**power, history.cycle)[:, origins] for power in (1, 2))
    parts.append(np.sqrt(np.maximum(square - mean**2, 0.0)))
    return np.stack(parts, axis=2)


def table(history: History, usual: Seasonal, origins: Steps, leads: Steps, ahead: bool) -> tuple[Floats, int]:
    """Rows (series x origin x lead, in this order) of features, and from which column on they are weather ahead.

    ``leads`` is (origin, lead): each origin may have its own. ``ahead`` adds the weather up to the valid time, NaN
    where the weather ends before it.
    """
    logs = differing(history, usual)
    valid = origins[:, None] + leads
    shape = (logs.shape[0], *valid.shape)
    columns: list[Floats] = []

    def add(part: Floats) -> None:
        columns.append(np.broadcast_to(part, shape).ravel())

    for part in np.moveaxis(memory(history, usual, origins), 2, 0):
        add(part[:, :, None])
    back = -(-leads // history.cycle) * history.cycle
    for more in (0, history.cycle):
        add(_at(logs, valid - back - more))
    hour, day, week = history.clock(valid)
    angle = 2 * np.pi * day / 366
    for calendar in (leads, hour, week, np.sin(angle), np.cos(angle)):
        add(np.asarray(calendar, dtype=np.float64)[None])
    add(usual.at(history, valid))
    add(np.arange(shape[0], dtype=np.float64)[:, None, None])
    for name in sorted(history.weather):
        for part in _before(history.weather[name][:, : history.length], origins, history.cycle):
            add(part[:, :, None])
    known = len(columns)
    for name in sorted(history.weather) if ahead else ():
        for part in _after(history.weather[name], origins, valid, history.cycle):
            add(part)
    return np.stack(columns, axis=1), known


def _before(weather: Floats, origins: Steps, cycle: int) -> list[Floats]:
    """Weather at the origin, its mean over a day of hours (a week of days), its change over that."""
    now = _at(weather, origins)
    return [now, moving_mean(weather, cycle)[:, origins], now - _at(weather, origins - cycle)]


def _after(weather: Floats, origins: Steps, valid: Steps, cycle: int) -> list[Floats]:
    """Weather at the valid time, its means up to it, its change over a cycle, its mean since the origin."""
    there = _at(weather, valid)
    known = np.isfinite(weather)
    total = np.cumsum(np.where(known, weather, 0.0), axis=1)
    count = np.cumsum(known, axis=1)
    number = _at(count, valid) - _at(count, origins)[:, :, None]
    since = np.where(
        number > 0, (_at(total, valid) - _at(total, origins)[:, :, None]) / np.maximum(number, 1), np.nan
    )
    means = [_at(moving_mean(weather, window), valid) for window in (max(cycle // 4, 2), cycle)]
    return [there, *means, there - _at(weather, valid - cycle), since]


def _at(values: Floats, steps: Steps) -> Floats:
    """(series, *steps): values at steps, NaN outside of what there is."""
    inside = (steps >= 0) & (steps < values.shape[1])
    found: Floats = np.where(inside[None], values[:, np.where(inside, steps, 0)], np.nan)
    return found
