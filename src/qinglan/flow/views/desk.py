"""What the pages of the desk show: the table of a day with what stands beside it, and one bulletin's life."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from qinglan.access import Principal
from qinglan.core.clock import today
from qinglan.core.errors import NotFound, QinglanError
from qinglan.flow import forecasts
from qinglan.flow.forecasts import desk as flow
from qinglan.flow.forecasts.desk.cells import jurisdiction, proposal
from qinglan.flow.views import upwind
from qinglan.flow.views.forecast import named
from qinglan.flow.views.result import Result, Row, current
from qinglan.flow.workspace import Workspace
from qinglan.plan.places import load_places
from qinglan.store import desk as store

#: Days whose bulletins the desk lists.
LAST = 14


def offices(workspace: Workspace) -> list[Row]:
    """Places that may have a bulletin here: the office's own, and every prefecture of a province."""
    own, tree = workspace.settings.place, load_places()
    codes = [own] + ([p.place for p in tree.prefectures(own)] if own.endswith("0000") else [])
    return [named(code) for code in codes]


def own(workspace: Workspace, me: Principal) -> str:
    """The office whose desk somebody sits at: where he may draft, else that of the workspace."""
    held = me.places("forecast.draft")
    codes = [r["place"] for r in offices(workspace)]
    return next((code for code in held if code in codes), workspace.settings.place)


def listed(workspace: Workspace) -> list[Row]:
    """Versions of all bulletins, newest day first."""
    return store.listed(workspace.registry)


def board(workspace: Workspace, place: str, day: date, now: datetime, me: Principal, cell: str = "") -> Row:
    """The desk of a place and day.

    `row` and what :func:`life` adds (None while no bulletin is open), `days, rows` (the table by place), `machine`
    (which forecast), `offices`, `last` bulletins, `chosen` (the cell that is edited), and beside the table by
    place `seen` (errors and air), `wind` and `near` (neighbours). `empty` : the machine says nothing of the days.
    UnknownName for a place that has no bulletin.
    """
    jurisdiction(place)
    name = flow.identity(place, day)
    versions = store.listed(workspace.registry, since=today(now) - timedelta(days=LAST))
    there = store.listed(workspace.registry, bulletin=name)
    found: Row = {
        "place": named(place), "day": day, "offices": offices(workspace), "row": None, "empty": False,
        "last": [r for r in versions if r["place"] == place], "rows": [], "days": [], "machine": None,
        "chosen": None, "opens": False,
    }  # fmt: skip
    if there:
        found |= life(workspace, name, now, me)
        table, machine = found["table"], found["machine"]
    else:
        try:
            machine = flow.from_bytes(proposal(workspace, place, now))
        except NotFound:
            return found | {"empty": True}
        table = flow.table(workspace, machine, {})
        found |= {"machine": machine, "opens": day == today(now) and me.may("forecast.draft", place)}
    days = [date.fromisoformat(d) for d in machine["days"]]
    at = {(r["place"], r["day"]): r for r in table}
    found["days"] = days
    found["rows"] = [{**named(p), "cells": [at.get((p, d)) for d in days]} for p in machine["places"]]
    if cell:
        code, _, when = cell.partition(".")
        found["chosen"] = next((r for r in table if (r["place"], str(r["day"])) == (code, when)), None)
    return found | beside(workspace, machine["places"], now)


def life(workspace: Workspace, bulletin: str, now: datetime, me: Principal) -> Row:
    """One bulletin: `row` (its newest version), `clock`, `history` with files, `edits`, the `table` and `machine`,
    `possible` moves, `editable`, `stamp`, `spoke` (what was said since the last call), `silent`
    (prefectures of a province, or the province, that said nothing yet) and `versions`."""
    row = flow.one(workspace, bulletin)
    moves, edits = store.history(workspace.registry, bulletin)
    version = row["version"]
    machine = flow.machine_of(workspace, moves, version)
    files = {r["version"] for r in store.frozen(workspace.registry, bulletin)}
    called = max((m["id"] for m in moves if m["move"] == "consult"), default=0)
    spoke = [m for m in moves if m["id"] > called and m["move"] in flow.SPOKEN] if called else []
    whole = jurisdiction(row["place"]) == "province"
    asked = machine["places"] if whole else [f"{row['place'][:2]}0000"]
    return {
        "row": row,
        "clock": flow.clock(workspace, row, moves, now),
        "history": [{**m, "files": m["move"] == "issue" and m["version"] in files} for m in moves],
        "edits": edits,
        "machine": machine,
        "table": flow.table(workspace, machine, flow.lasting(moves, edits, version)),
        "possible": flow.possible(row, me),
        "editable": row["state"] in flow.OPEN and me.may("forecast.draft", row["place"]),
        "stamp": flow.stamp(moves, edits),
        "spoke": spoke,
        "silent": [p for p in asked if p not in {m["office"] for m in spoke}] if called else [],
        "versions": store.listed(workspace.registry, bulletin=bulletin),
    }


def beside(workspace: Workspace, places: Sequence[str], now: datetime) -> Row:
    """What stands beside the table, by place: `seen`, `wind`, `near`; and `observed_until`, the run's last day."""
    nothing: Row = {"seen": {}, "wind": {}, "near": {}, "observed_until": None}
    try:
        result = current(workspace)
    except NotFound:
        return nothing
    seen = errors(workspace, result, places, now)
    hours = upwind.air_now(result, now)
    air = {p: {**seen.get(p, {}), **hours.get(p, {})} for p in {*places, *hours}}
    end = next((r["time"] for r in hours.values()), now)
    every = sorted({*places, *(p for p in hours if p.endswith("00"))})
    wind, near = {}, {}
    for place in places:
        try:
            wind[place] = upwind.wind(workspace, result, place, end)
            near[place] = upwind.neighbours(result, place, every, wind[place], air)
        except QinglanError:
            wind[place], near[place] = None, []
    newest = result.rows("place_aqi", "in_force qualify row_number() over (order by day desc) = 1")
    return {"seen": air, "wind": wind, "near": near, "observed_until": newest[0]["day"] if newest else None}


def errors(workspace: Workspace, result: Result, places: Sequence[str], now: datetime) -> dict[str, Row]:
    """Of each place what came yesterday, and how far machine and office were off then and over the last days.

    `yesterday` (AQI), `yesterday_level`, `yesterday_primary`; `machine`, `office` : forecast minus observed of
    yesterday; `machine_mean`, `office_mean` : mean absolute error at lead 1 over the last days that have come, of
    `machine_n` and `office_n`.
    """
    end = today(now) - timedelta(days=1)
    span = int(flow.book_of(workspace, end).number("desk.errors_days"))
    first = end - timedelta(days=span - 1)
    came = {
        (r["place"], r["day"]): r
        for r in result.rows("place_aqi", "in_force and aqi is not null and day between $first and $last", "day",
                             first=first, last=end)
    }  # fmt: skip
    said = {"machine": _machine(workspace, first, end), "office": _office(workspace, first, end)}
    found = {}
    for place in places:
        last = came.get((place, end))
        row: Row = {
            "yesterday": last["aqi"] if last else None, "yesterday_level": last["level"] if last else None,
            "yesterday_primary": last["primary_pollutant"] if last else "",
        }  # fmt: skip
        for who, values in said.items():
            off = {d: values[p, d] - came[p, d]["aqi"] for p, d in values if p == place and (p, d) in came}
            row[who] = off.get(end)
            row[f"{who}_n"] = len(off)
            row[f"{who}_mean"] = sum(abs(x) for x in off.values()) / len(off) if off else None
        found[place] = row
    return found


def _machine(workspace: Workspace, first: date, end: date) -> dict[tuple[str, date], float]:
    """Median AQI of each place and day at lead 1, of the last forecast made on the day before."""
    found: dict[tuple[str, date], float] = {}
    for made in reversed(forecasts.forecasts(workspace)):
        day = today(made.made_at) + timedelta(days=1)
        if first <= day <= end:
            rows = made.read().aqi.filter(pl.col("day") == day)
            found |= {(r["place"], day): float(r["q50"]) for r in rows.iter_rows(named=True)}
    return found


def _office(workspace: Workspace, first: date, end: date) -> dict[tuple[str, date], float]:
    rows = flow.issued_pairs(workspace, since=first).filter(
        (pl.col("who") == flow.OFFICE) & (pl.col("lead_day") == 1) & pl.col("day").is_between(first, end)
    )
    return {(r["place"], r["day"]): r["q50"] for r in rows.iter_rows(named=True)}


def late(workspace: Any, now: datetime) -> list[str]:
    """Bulletins of today that are open past their hour; none for a bare folder."""
    if not isinstance(workspace, Workspace) or now <= flow.due_at(workspace, today(now)):
        return []
    rows = [r for r in store.listed(workspace.registry, since=today(now)) if r["day"] == today(now).isoformat()]
    out = {r["id"] for r in rows if r["issued_at"] is not None}
    return sorted({r["id"] for r in rows if r["state"] != store.DROPPED} - out)


def outlook(workspace: Any, now: datetime, code: str = "") -> Row:
    """What was issued of all places or one, for everybody.

    `days` from today on, `rows` (cities first) with `cells`, `at` (last issue) and `editions`; `rows` are empty
    while nothing is issued, and for a bare folder.
    """
    said = flow.issued(workspace, now) if isinstance(workspace, Workspace) else {}
    said = {key: cell for key, cell in said.items() if code in ("", key[0])}
    days = sorted({day for _, day in said})
    places = sorted({place for place, _ in said}, key=lambda p: (not p.endswith("00"), p))
    rows = [{**named(p), "cells": [said.get((p, d)) for d in days]} for p in places]
    last = max((r["at"] for r in said.values()), default=None)
    editions = list(dict.fromkeys(r["machine"]["edition"] for r in said.values()))
    return {"days": days, "rows": rows, "at": last, "editions": editions}
