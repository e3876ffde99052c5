"""The forecast of an office: models trained on its own daily values, a forecast each day, and how it came out."""

from __future__ import annotations

from qinglan.flow.forecasts.checking import Checked, verify
from qinglan.flow.forecasts.making import run
from qinglan.flow.forecasts.reading import Forecast, Latest, forecasts, latest, newest
from qinglan.flow.forecasts.training import Training, train, trainings

__all__ = [
    "Checked",
    "Forecast",
    "Latest",
    "Training",
    "forecasts",
    "latest",
    "newest",
    "run",
    "train",
    "trainings",
    "verify",
]
