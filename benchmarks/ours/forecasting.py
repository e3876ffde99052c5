"""Forecasts of the Beijing stations, rolled over the last year, and what they are held to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from qinglan.core.clock import CST
from qinglan.forecast.backtest import Run, join, roll
from qinglan.forecast.blend import blend
from qinglan.forecast.conformal import calibrate
from qinglan.forecast.models import Model
from qinglan.forecast.models.boosted import Boosted
from qinglan.forecast.models.climatology import Climatology
from qinglan.forecast.models.linear import Linear
from qinglan.forecast.models.persistence import Persistence
from qinglan.forecast.models.season import Season
from qinglan.forecast.scores import coverage
from qinglan.forecast.series import History

SECTORS = ["N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW"]
WEATHER = {"temperature": "TEMP", "pressure": "PRES", "dew": "DEWP", "rain": "RAIN", "speed": "WSPM"}
#: Days of held-out training from which weights and calibration have their start.
TAIL = 365


def beijing(file: str, stations: int, days: int) -> History:
    """PM2.5 of the last ``days`` days with the weather of the same file."""
    order = ["station", "year", "month", "day", "hour"]
    rows = pl.read_csv(file, null_values=["NA", ""]).sort(order)
    number = rows["station"].n_unique()

    def grid(values: pl.Series) -> Any:
        return values.cast(pl.Float64).to_numpy().reshape(number, -1)[:stations, -24 * days :].copy()

    angles = {name: place * np.pi / 8 for place, name in enumerate(SECTORS)}
    turned = grid(rows["wd"].replace_strict(angles, default=None, return_dtype=pl.Float64))
    weather = {name: grid(rows[column]) for name, column in WEATHER.items()}
    weather["u"], weather["v"] = -weather["speed"] * np.sin(turned), -weather["speed"] * np.cos(turned)
    values = grid(rows["PM2.5"])
    begun = datetime(2017, 3, 1, tzinfo=CST) - timedelta(hours=values.shape[1])
    return History(values, begun, timedelta(hours=1), weather)


def plan(history: History, back: int, every: int, leads: Sequence[int]) -> tuple[int, range]:
    """The cut-off of the training, and the origins of the last ``back`` days."""
    cut = history.length - 24 * back
    return cut, range(cut, history.length - max(leads), every)


def told(run: Run, thin: int) -> dict[str, Any]:
    """Scores by lead over all origins and over every ``thin``-th one, on which slow peers run too."""
    few = replace(
        run,
        values=run.values[::thin],
        mean=run.mean[::thin],
        observed=run.observed[::thin],
        origins=run.origins[::thin],
    )
    return {"all": _scores(run), "few": _scores(few), "origins": len(run.origins), "thinned": len(few.origins)}


def _scores(run: Run) -> list[dict[str, float]]:
    found = run.scores()
    for at, row in enumerate(found):
        for name, low, high in (("coverage_50", 0.25, 0.75), ("coverage_90", 0.05, 0.95)):
            ends = (run.values[:, :, at, run.levels.index(level)] for level in (low, high))
            row[name] = coverage(*ends, run.observed[:, :, at])
    return found


def blended(
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
    """Ours: season, linear and boosted, blended and calibrated, started on a held-out year of training.

    ``ahead``: observed weather stands for a perfect forecast. Otherwise weather is known up to the cut-off.
    """
    history = beijing(file, stations, days)
    cut, origins = plan(history, back, every, leads)
    tail = min(TAIL * 24, cut // 3)

    def made() -> list[Model]:
        return [Season(), Linear(), Boosted(ahead=ahead, rounds=rounds, threads=1)]

    runs: list[Run] = []
    held = history.until(cut, history.length - cut if ahead else 0)
    for early, late in zip(made(), made(), strict=True):
        early.fit(history.until(cut - tail), leads)
        before = roll(early, held, range(cut - tail, cut - max(leads), every), leads, max(leads) if ahead else 0)
        late.fit(history.until(cut), leads)
        runs.append(join(before, roll(late, history, origins, leads, max(leads) if ahead else 0)))
    both = blend(runs)
    return {
        "Qinglan": told(calibrate(both).since(cut), thin),
        "Qinglan, not calibrated": told(both.since(cut), thin),
        **{f"its {run.name}": told(run.since(cut), thin) for run in runs},
    }


def baselines(
    file: str, stations: int, days: int, back: int, every: int, leads: list[int], thin: int
) -> dict[str, Any]:
    """Persistence and climatology."""
    history = beijing(file, stations, days)
    cut, origins = plan(history, back, every, leads)
    found = {}
    for model in (Persistence(), Climatology()):
        model.fit(history.until(cut), leads)
        found[model.name] = told(roll(model, history, origins, leads), thin)
    return found


def operation(stations: int, days: int, rounds: int) -> dict[str, float]:
    """Fit all models on an invented network and make one forecast of 72 h; seconds of each."""
    from time import perf_counter

    rng = np.random.default_rng(1)
    logs = np.zeros((stations, days * 24))
    for at in range(1, logs.shape[1]):
        logs[:, at] = 0.95 * logs[:, at - 1] + 0.2 * rng.normal() + 0.1 * rng.normal(size=stations)
    wind = rng.random(logs.shape)
    history = History(np.exp(3 + logs), datetime(2025, 1, 1, tzinfo=CST), timedelta(hours=1), {"wind": wind})
    leads = range(1, 73)
    models: list[Model] = [Season(), Linear(), Boosted(every=24, rounds=rounds, threads=1)]
    begun = perf_counter()
    for model in models:
        model.fit(history, leads)
    fitted = perf_counter()
    known = [bool(np.isfinite(model.predict(history, leads).values).all()) for model in models]
    assert all(known)
    return {"fit": fitted - begun, "forecast": perf_counter() - fitted}
