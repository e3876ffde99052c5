"""The jobs of the forecast: one each afternoon, the desk opened on it and its hour watched; training when due."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from qinglan.access import Grant, Principal
from qinglan.core.clock import today
from qinglan.flow.forecasts import desk, hourly
from qinglan.flow.forecasts.making import run
from qinglan.flow.forecasts.training import train
from qinglan.flow.operations import action
from qinglan.flow.workspace import Workspace
from qinglan.store import desk as store
from qinglan.store.registry import append_event, events

_WHO = "scheduler"
#: Event of the audit chain: the hour passed and nothing was issued.
LATE = "desk.late"


@action("forecast.run")
def _forecast(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Forecast from what is known now."""
    made = run(workspace, now, who=_WHO, now=now)
    return {"forecast": made.id, "notes": [note["code"] for note in made.notes]}


@action("forecast.hours")
def _hours(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Forecast the stations' next three days hour by hour."""
    made = hourly.run(workspace, now, who=_WHO, now=now)
    return {"forecast": made.id, "notes": [note["code"] for note in made.notes]}


@action("forecast.train")
def _train(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Fit the models on what is known now."""
    return {"training": train(workspace, now).id}


@action("desk.open")
def _open(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Open the office's bulletin of today on the newest forecast; one that is open stays."""
    place = workspace.settings.place
    role = "province" if place.endswith("0000") else "prefecture"
    me = Principal(_WHO, _WHO, (Grant(role, place=place),), via="command")
    return {"bulletin": desk.begin(workspace, place, me=me, at=now)}


@action("desk.watch")
def _watch(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Write down, once a day, which bulletins of today were not issued by their hour: `late`."""
    day = today(now)
    if now <= desk.due_at(workspace, day):
        return {"late": []}
    versions = [r for r in store.listed(workspace.registry, since=day) if r["day"] == day.isoformat()]
    known = {desk.identity(workspace.settings.place, day), *(r["id"] for r in versions)}
    out = {r["id"] for r in versions if r["issued_at"] is not None}
    told = {e["subject"] for e in events(workspace.registry, what=LATE)}
    late = sorted(known - out)
    with workspace.registry.begin() as con:
        for name in late:
            if name not in told:
                append_event(con, LATE, name, {"due": desk.due_at(workspace, day).isoformat()}, who=_WHO, at=now)
    return {"late": late}
