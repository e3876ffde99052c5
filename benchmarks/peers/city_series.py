"""Peers of the daily forecasts of cities: plain LightGBM, AutoETS and AutoTheta."""

from __future__ import annotations

from benchmarks.ours.cities import ASKED, ITEMS, keep, two
from benchmarks.peers import plain_lightgbm, statsforecast_series


def lightgbm(
    air: str, weather: str, folder: str, cities: int, back: int, leads: list[int], rounds: int, ahead: bool
) -> list[str]:
    """Default settings, raw lags."""
    said: list[str] = []
    for item in ITEMS:
        history, cut, origins = two(air, weather, item, cities, back)
        run = plain_lightgbm.forecasts(history, cut, origins, leads, every=1, rounds=rounds, ahead=ahead)
        said = keep(folder, item, {run.name: run})
    return said


def statsforecast(
    air: str, weather: str, folder: str, cities: int, back: int, leads: list[int], thin: int, model: str
) -> list[str]:
    """Every ``thin``-th origin, from a year of days, season of a week."""
    said: list[str] = []
    for item in ITEMS:
        history, _, origins = two(air, weather, item, cities, back)
        run = statsforecast_series.forecasts(history, origins[::thin], leads, model, 365, list(range(ASKED)))
        said = keep(folder, item, {model: run})
    return said
