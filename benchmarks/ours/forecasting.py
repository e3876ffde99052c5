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
from qinglan.forecast.models.direct import Direct
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


def ours(
    history: History, cut: int, origins: range, leads: Sequence[int], tail: int, rounds: int, ahead: bool
) -> dict[str, Run]:
    """The calibrated blend of season, linear, boosted and direct from ``origins`` on, and what went into it.

    Weights and calibration have their start on the last ``tail`` steps before ``cut``, held out of a first fit.
    ``ahead``: observed weather stands for a perfect forecast.
    """

    def made() -> list[Model]:
        # Days of a few cities are few rows: all the more of them are looked at.
        many = history.cycle == 24 or len(history.values) > 100
        trees: dict[str, Any] = {"ahead": ahead, "rounds": rounds, "every": 7 if many else 2}
        return [Season(), Linear(), Boosted(**trees), Direct(**trees)]

    runs: list[Run] = []
    further = max(leads) if ahead else 0
    held = history.until(cut, min(further, history.length - cut))
    for early, late in zip(made(), made(), strict=True):
        early.fit(history.until(cut - tail), leads)
        before = roll(early, held, range(cut - tail, cut - max(leads), origins.step), leads, further)
        late.fit(history.until(cut), leads)
        runs.append(join(before, roll(late, history, origins, leads, further)))
    both = blend(runs)
    return {
        "Qinglan": calibrate(both).since(cut),
        "Qinglan, not calibrated": both.since(cut),
        **{f"its {run.name}": run.since(cut) for run in runs},
    }


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
    """Ours, started on a held-out year of training. Not ``ahead``: weather is known up to the cut-off."""
    history = beijing(file, stations, days)
    cut, origins = plan(history, back, every, leads)
    found = ours(history, cut, origins, leads, min(TAIL * 24, cut // 3), rounds, ahead)
    return {name: told(run, thin) for name, run in found.items()}


def simple(history: History, cut: int, origins: range, leads: Sequence[int]) -> dict[str, Run]:
    """Persistence and climatology."""
    found = {}
    for model in (Persistence(), Climatology()):
        model.fit(history.until(cut), leads)
        found[model.name] = roll(model, history, origins, leads)
    return found


def baselines(
    file: str, stations: int, days: int, back: int, every: int, leads: list[int], thin: int
) -> dict[str, Any]:
    """Persistence and climatology."""
    history = beijing(file, stations, days)
    return {
        name: told(run, thin) for name, run in simple(history, *plan(history, back, every, leads), leads).items()
    }


def invented(stations: int, days: int) -> History:
    """Hours of a network that never was: a fading memory, shocks of the region and of each station, a wind."""
    rng = np.random.default_rng(1)
    logs = np.zeros((stations, days * 24))
    for at in range(1, logs.shape[1]):
        logs[:, at] = 0.95 * logs[:, at - 1] + 0.2 * rng.normal() + 0.1 * rng.normal(size=stations)
    wind = rng.random(logs.shape)
    return History(np.exp(3 + logs), datetime(2025, 1, 1, tzinfo=CST), timedelta(hours=1), {"wind": wind})


def operation(stations: int, days: int, rounds: int, pollutants: int = 1) -> dict[str, float]:
    """Fit all models on an invented network and make one forecast of 72 h of each pollutant; seconds of both."""
    from time import perf_counter

    history = invented(stations, days)
    leads = range(1, 73)
    models: list[Model] = [Season(), Linear(), Boosted(every=24, rounds=rounds), Direct(every=24, rounds=rounds)]
    begun = perf_counter()
    for model in models:
        model.fit(history, leads)
    fitted = perf_counter()
    for _ in range(pollutants):
        assert all(np.isfinite(model.predict(history, leads).values).all() for model in models)
    return {"fit": fitted - begun, "forecast": perf_counter() - fitted}
