"""The table of a bulletin: the machine's proposal of each place and day, the edits on it, and what is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from qinglan.access.principal import within
from qinglan.core.clock import today
from qinglan.core.errors import NotFound, UnknownName
from qinglan.core.rulebook import RuleBook
from qinglan.flow.forecasts import reading
from qinglan.flow.forecasts.desk.rules import book_of, level_of, too_wide
from qinglan.flow.workspace import Workspace
from qinglan.plan.places import load_places
from qinglan.store import desk as store
from qinglan.store.files import Files

Row = dict[str, Any]
_KEPT = ("q50", "low", "high", "level", "level_low", "level_high", "primary", "p_over", "dust", "ozone", "edition")
#: Days for which what was issued is looked for.
_HOLDS = 10
#: What a cell of the office says.
SAID = ("low", "high", "middle", "level", "level_low", "level_high", "primary", "words")


def jurisdiction(place: str) -> str:
    """``province`` or ``prefecture`` for a place that may have a bulletin; UnknownName for another."""
    tree = load_places()
    if place not in tree or tree[place].level not in ("province", "prefecture"):
        known = [p.place for p in tree if p.level in ("province", "prefecture")]
        raise UnknownName("place of a forecast bulletin", place, known)
    return tree[place].level


def places_of(place: str, known: Sequence[str]) -> list[str]:
    """Of the forecast places those of a bulletin: a province's prefectures; a prefecture with its counties."""
    tree, level = load_places(), jurisdiction(place)

    def inside(code: str) -> bool:
        if level == "province":
            return within(code, place) and code != place and (code not in tree or tree[code].level == "prefecture")
        return within(code, place)

    return sorted(code for code in known if inside(code))


def proposal(workspace: Workspace, place: str, at: datetime) -> bytes:
    """The machine's table for a bulletin of this moment, from the newest forecast made by then, as it is kept.

    `forecast, made_at, cut_off, hindcast, days, places, cells`; NotFound when no forecast speaks of a place and a
    day after today.
    """
    found = reading.newest(workspace, at)
    places, now = places_of(place, found.about["places"]), today(at)
    count = int(book_of(workspace, now).number("desk.days"))
    index = found.read(places).aqi
    days = sorted(day for day in index["day"].unique() if 1 <= (day - now).days <= count)
    if not places or not days:
        raise NotFound(
            f"the newest forecast ({found.id}) says nothing of {place} after {now}.",
            remedy="Make one first: qinglan forecast run.",
        )
    cells = [
        {"place": r["place"], "day": r["day"].isoformat(), **{k: r[k] for k in _KEPT}}
        for r in index.sort("place", "day").iter_rows(named=True)
        if r["day"] in days
    ]
    told = {
        "forecast": found.id, "made_at": found.about["made_at"], "cut_off": found.about["cut_off"],
        "last_day": found.about["last_day"], "days": [d.isoformat() for d in days], "places": places,
        "notes": [n["code"] for n in found.notes], "cells": cells,
    }  # fmt: skip
    return json.dumps(told, ensure_ascii=False, sort_keys=True).encode()


def kept(workspace: Workspace, digest: str) -> Row:
    """The table that a move kept."""
    return from_bytes(Files(workspace.home).open(digest))


def from_bytes(data: bytes) -> Row:
    """A table out of what :func:`proposal` or :func:`as_issued` made."""
    found: Row = json.loads(data)
    return found


def chain(moves: Sequence[Row], version: int) -> list[int]:
    """A version and those that it replaces, oldest first: their edits are its own until it changes them."""
    before = {m["version"]: m["replaces"] for m in moves if m["replaces"] is not None}
    found = [version]
    while found[0] in before:
        found.insert(0, int(before[found[0]]))
    return found


def lasting(moves: Sequence[Row], edits: Sequence[Row], version: int) -> dict[tuple[str, str], Row]:
    """The edit that stands of each place and day of a version."""
    own = chain(moves, version)
    found: dict[tuple[str, str], Row] = {}
    for edit in sorted(
        (e for e in edits if e["version"] in own), key=lambda e: (own.index(e["version"]), e["id"])
    ):
        found[edit["place"], edit["day"]] = edit
    return found


def table(workspace: Workspace, machine: Row, edits: dict[tuple[str, str], Row]) -> list[Row]:
    """Every place and day: `place, day, machine` (its cell), `edit` (or None), `wide`, and :data:`SAID`.

    Where nobody edited, the office says what the machine says, and its middle is the machine's median; where
    somebody did, the middle of the range.
    """
    made: list[Row] = []
    books: dict[date, RuleBook] = {}
    for cell in machine["cells"]:
        day = date.fromisoformat(cell["day"])
        book = books.setdefault(day, book_of(workspace, day))
        edit = edits.get((cell["place"], cell["day"]))
        said = _of_edit(edit, day) if edit is not None and edit["low"] is not None else _of_machine(cell)
        said["words"] = edit["words"] if edit is not None else ""
        edited = edit is not None and edit["low"] is not None
        made.append(
            {"place": cell["place"], "day": day, "machine": cell, "edit": edit, "edited": edited, **said,
             "wide": book.option("width") != "free" and too_wide(book, said["low"], said["high"])}
        )  # fmt: skip
    return made


def _of_machine(cell: Row) -> Row:
    return {**{k: cell[k] for k in ("low", "high", "level", "level_low", "level_high", "primary")},
            "middle": cell["q50"]}  # fmt: skip


def _of_edit(edit: Row, day: date) -> Row:
    low, high = edit["low"], edit["high"]
    return {
        "low": low, "high": high, "middle": (low + high) / 2, "level": edit["level"],
        "level_low": level_of(low, day), "level_high": level_of(high, day), "primary": edit["primary"],
    }  # fmt: skip


def as_issued(machine: Row, rows: Sequence[Row]) -> bytes:
    """What is frozen when a version is issued: the machine's table, each cell with what the office says of it."""
    said = [
        {"place": r["place"], "day": r["day"].isoformat(), "machine": r["machine"], "edited": r["edited"],
         **{k: r[k] for k in SAID}}
        for r in rows
    ]  # fmt: skip
    told = {k: machine[k] for k in ("forecast", "made_at", "cut_off", "last_day", "days", "places", "notes")}
    return json.dumps({**told, "said": said}, ensure_ascii=False, sort_keys=True).encode()


def issued(workspace: Workspace, now: datetime) -> dict[tuple[str, date], Row]:
    """What offices said last of each place and day from today on: the cell with `office, bulletin, version, at`.

    Of two offices that speak of one place the later issue stands.
    """
    start = today(now)
    found: dict[tuple[str, date], Row] = {}
    listed = store.listed(workspace.registry, since=start - timedelta(days=_HOLDS))
    heads = [r for r in listed if r["state"] == store.ISSUED]
    for head in sorted(heads, key=lambda r: r["issued_at"]):
        if head["issued_at"] > now:
            continue
        for cell in kept(workspace, head["content"])["said"]:
            day = date.fromisoformat(cell["day"])
            if day >= start:
                found[cell["place"], day] = {
                    **cell, "day": day, "office": head["place"], "bulletin": head["id"],
                    "version": head["version"], "at": head["issued_at"],
                }  # fmt: skip
    return found
