"""What the pages of the forecast show: all places, one place, and how forecasts came out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from qinglan.core.errors import NotFound, UnknownName
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow import forecasts
from qinglan.flow.forecasts import desk, targets
from qinglan.flow.memory import Memory
from qinglan.flow.views.result import Result, Row, Workspace, current
from qinglan.flow.workspace import Workspace as Office
from qinglan.plan.places import load_places
from qinglan.store import desk as store

#: Days that are named in the first sentence: those that HJ 633-2026 wants to be published.
SOON = 3
#: Observed days before a fan.
BEFORE = 30
LEVELS = ("prefecture", "county")
#: Scores that a process keeps: of the same forecasts and the same run they are the same.
_MOST = 12
BY = ("lead_day", "place", "season")


@dataclass(frozen=True, slots=True)
class Overview:
    """The newest forecast: `rows` are places with `cells`, one for each of `days` (None: nothing is said)."""

    forecast: forecasts.Forecast
    days: tuple[date, ...]
    rows: list[Row]
    worst: Row | None
    levels: tuple[str, ...]


def newest(workspace: Workspace) -> forecasts.Forecast | None:
    """The newest forecast, None when none was made."""
    try:
        return forecasts.newest(workspace)
    except NotFound:
        return None


def named(code: str) -> Row:
    """A place with its names; the code itself for one that nobody registered."""
    tree = load_places()
    if code not in tree:
        return {"place": code, "name": code, "name_en": code, "level": ""}
    place = tree[code]
    return {"place": code, "name": place.name, "name_en": place.name_en, "level": place.level}


def overview(found: forecasts.Forecast, level: str = "prefecture") -> Overview:
    """Places of a level against days. `worst` is the likeliest highest AQI of the next days, dust and all."""
    if level not in LEVELS:
        raise UnknownName("level of places", level, LEVELS)
    index = found.read().aqi
    days = tuple(date.fromisoformat(day) for day in found.about["days"])
    every = [named(code) for code in found.about["places"]]
    levels = tuple(name for name in LEVELS if any(_level(row) == name for row in every))
    rows = [row for row in every if _level(row) == (level if level in levels else "prefecture")]
    said = {(row["place"], row["day"]): row for row in index.iter_rows(named=True)}
    table = [{**row, "cells": [said.get((row["place"], day)) for day in days]} for row in rows]
    soon = [{**row, **cell} for row in table for cell in row["cells"][:SOON] if cell is not None]
    return Overview(found, days, table, max(soon, key=lambda r: r["q50"], default=None), levels)


def _level(row: Row) -> str:
    return "county" if row["level"] == "county" else "prefecture"


_kept_chances = Memory[dict[str, Row]](_MOST)


def chances(workspace: Workspace) -> dict[str, Row]:
    """:func:`targets.chances`, kept while run and forecast are the same; empty for a bare folder."""
    if not isinstance(workspace, Office):
        return {}
    try:
        key = (workspace.home, current(workspace).key, forecasts.newest(workspace).id)
        return _kept_chances.get(key, lambda: targets.chances(workspace))
    except NotFound:
        return {}


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a forecast. aqi : rows by day. values : item to rows by day. missing : items of none."""

    forecast: forecasts.Forecast
    place: Row
    aqi: list[Row]
    values: dict[str, list[Row]]
    notes: list[Row]

    @property
    def missing(self) -> list[str]:
        """Items that nothing is said of."""
        return [item for item in DAILY_ITEMS if not self.values.get(item)]


def place(found: forecasts.Forecast, code: str) -> Place:
    """What a forecast says of a place; UnknownName for one that it does not know."""
    if code not in found.about["places"]:
        raise UnknownName("place of the forecast", code, found.about["places"])
    said = found.read([code])
    values: dict[str, list[Row]] = {}
    for row in said.values.drop_nulls("q50").sort("day").iter_rows(named=True):
        values.setdefault(row["item"], []).append(row)
    mine = [dict(n) for n in found.notes if code in n.get("places", [n.get("place", code)])]
    return Place(found, named(code), said.aqi.sort("day").to_dicts(), values, mine)


def before(result: Result | None, code: str, found: forecasts.Forecast, item: str) -> list[Row]:
    """`day` and `observed` of the days before a forecast and of its own days as far as they have come."""
    if result is None:
        return []
    last = date.fromisoformat(found.about["last_day"])
    end = date.fromisoformat(found.about["days"][-1])
    rows = result.rows(
        "place_days", "place = $place and day between $first and $end", "day",
        place=code, first=last - timedelta(days=BEFORE - 1), end=end,
    )  # fmt: skip
    return [{"day": row["day"], "observed": row[item]} for row in rows]


@dataclass(frozen=True, slots=True)
class Verification:
    """How forecasts came out. checked : None while no day has come. card : the newest training, or None.

    apart : office and machine on the same days; None while nothing that was issued has come.
    """

    checked: forecasts.Checked | None
    aqi: list[Row]
    values: list[Row]
    skill: list[Row]
    card: forecasts.Training | None
    card_rows: list[Row]
    apart: desk.Apart | None = None

    @property
    def brier(self) -> list[Row]:
        """Rows of the Brier score by `group`, each with `brier_N` and `brier_skill_N` of exceeding an AQI of N."""
        if self.checked is None:
            return []
        by = next(c for c in BY if c in self.checked.brier.columns)
        found: dict[Any, Row] = {}
        for r in self.checked.brier.to_dicts():
            row = found.setdefault(r[by], {"group": r[by], "n": r["n"]})
            row |= {f"events_{r['top']}": r["events"], f"brier_{r['top']}": r["brier"],
                    f"brier_skill_{r['top']}": r["skill"]}  # fmt: skip
        return list(found.values())

    @property
    def reliability(self) -> list[Row]:
        """Classes of said probability of exceeding an AQI: `top, bin, n, said, came`."""
        return [] if self.checked is None else self.checked.reliability.to_dicts()

    @property
    def office(self) -> list[Row]:
        """Rows of office and machine by `group` and `who`; of the office with `edited`, `better`, `worse`."""
        if self.apart is None:
            return []
        by = next(c for c in BY if c in self.apart.scores.columns)
        edits = {r[by]: r for r in self.apart.edits.to_dicts()}
        nothing = {"edited": 0, "better": 0, "worse": 0}
        return [
            {
                **r,
                "group": r[by],
                **{k: edits.get(r[by], nothing)[k] if r["who"] == desk.OFFICE else None for k in nothing},
            }
            for r in self.apart.scores.to_dicts()
        ]


def verification(workspace: Workspace, by: str, item: str) -> Verification:
    """Scores by lead day, place or season; beside them those of the newest training's check."""
    if by not in BY:
        raise UnknownName("group of scores", by, BY)
    if item not in DAILY_ITEMS:
        raise UnknownName("item", item, DAILY_ITEMS)
    card = next(iter(forecasts.trainings(workspace)), None)
    rows = [dict(row) for row in card.scores if row["item"] == item] if card is not None else []
    found = _checked(workspace, by)
    if found is None:
        return Verification(None, [], [], [], card, rows, _apart(workspace, by))
    return Verification(
        found, _rows(found.aqi, by), _rows(found.values.filter(item=item), by),
        _rows(found.skill.filter(item=item), by), card, rows, _apart(workspace, by),
    )  # fmt: skip


def _apart(workspace: Workspace, by: str) -> desk.Apart | None:
    """Office and machine apart by a group; None for a bare folder, and while nothing that was issued has come."""
    if not isinstance(workspace, Office):
        return None
    try:
        issued = tuple(r["issued_at"] for r in store.listed(workspace.registry))
        key = (workspace.home, issued, current(workspace).key, by)
        return _kept_apart.get(key, lambda: desk.apart(workspace, by=(by,)))
    except NotFound:
        return None


_kept = Memory[forecasts.Checked](_MOST)
_kept_apart = Memory[desk.Apart](_MOST)


def _checked(workspace: Workspace, by: str) -> forecasts.Checked | None:
    """Scores by a group; None while no day has come."""
    try:
        made = tuple(found.id for found in forecasts.forecasts(workspace))
        key = (workspace.home, made, current(workspace).key, by)
        return _kept.get(key, lambda: forecasts.verify(workspace, by=(by,)))
    except NotFound:
        return None


def _rows(frame: pl.DataFrame, by: str) -> list[Row]:
    """Rows with their group as `group`."""
    return frame.rename({by: "group"}).to_dicts()


def wide(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Skill by what it is against."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["against"], []).append(row)
    return found
