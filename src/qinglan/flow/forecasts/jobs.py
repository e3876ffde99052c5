"""The jobs of the forecast: one each afternoon; models are trained anew when they are too old."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from qinglan.flow.forecasts.making import run
from qinglan.flow.forecasts.training import train
from qinglan.flow.operations import action
from qinglan.flow.workspace import Workspace

_WHO = "scheduler"


@action("forecast.run")
def _forecast(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Forecast from what is known now."""
    made = run(workspace, now, who=_WHO, now=now)
    return {"forecast": made.id, "notes": [note["code"] for note in made.notes]}


@action("forecast.train")
def _train(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Fit the models on what is known now."""
    return {"training": train(workspace, now).id}
