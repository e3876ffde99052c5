"""The data behind the run as the office keeps it: coverage, loads, rejects, stations over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from qinglan.core.clock import Period
from qinglan.core.errors import UnknownName
from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS
from qinglan.flow.views.making import stations
from qinglan.flow.views.places import places
from qinglan.flow.views.result import Result, Row
from qinglan.flow.workspace import Workspace
from qinglan.store import loads as book
from qinglan.store import registry

#: What a coverage matrix has in its rows, and what each cell counts.
SUBJECTS = ("places", "stations")
_KEYS: Mapping[str, tuple[str, str]] = {"places": ("place", "place_days"), "stations": ("station", "station_days")}
ITEMS = ("all", *HOURLY_ITEMS)
MOST_REJECTS = 2000


@dataclass(frozen=True, slots=True)
class Coverage:
    """A matrix of shares [%]. `columns`: months or days by label; `rows`: subject with `name`, `cells` by column.

    A cell is the share of days with a value (places), or of hours with a value (stations); None where nothing is.
    """

    subject: str
    item: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    by_day: bool


def years(result: Result) -> list[int]:
    """Years that the run has days of, newest first."""
    rows = result.grouped("place_days", "count(*) as days", "date_trunc('year', day)")
    return sorted((int(str(next(iter(row.values())))[:4]) for row in rows), reverse=True)


def coverage(result: Result, subject: str, item: str, span: Period) -> Coverage:
    """Shares by month of a year, or by day when the span is no longer than a month.

    UnknownName for an unknown subject or item.
    """
    if subject not in SUBJECTS:
        raise UnknownName("subject of coverage", subject, SUBJECTS)
    if item not in ITEMS:
        raise UnknownName("item", item, ITEMS)
    key, table = _KEYS[subject]
    by_day = span.days <= 31
    cut = "day" if by_day else "date_trunc('month', day)"
    share = _share(subject, item)
    found = result.grouped(
        table,
        f"{share} as share",
        f"{key}, {cut}",
        "day between $first and $last",
        first=span.start,
        last=span.end,
    )
    cells: dict[str, dict[str, float]] = {}
    for row in found:
        name, when, value = list(row.values())
        label = str(when)[:10] if by_day else str(when)[:7]
        whole = 1 if by_day else Period.parse(label).days
        cells.setdefault(name, {})[label] = round(100 * float(value or 0) / whole, 1)
    names = _names(result, subject)
    columns = tuple(_labels(span, by_day))
    rows = tuple(
        {"id": name, **names.get(name, {"name": name}), "cells": [cells[name].get(c) for c in columns]}
        for name in sorted(cells, key=lambda n: (str(names.get(n, {}).get("place", n)), n))
    )
    return Coverage(subject, item, columns, rows, by_day)


def _share(subject: str, item: str) -> str:
    """SQL of the days (or parts of days) with values, summed."""
    if subject == "places":
        days = DAILY_ITEMS if item == "all" else ("mda8" if item == "o3" else item,)
        return f"sum(({' + '.join(f'({c} is not null)::int' for c in days)}) / {float(len(days))})"
    taken = HOURLY_ITEMS if item == "all" else (item,)
    return f"sum(({' + '.join(f'coalesce({c}_n, 0)' for c in taken)}) / {24.0 * len(taken)})"


def _labels(span: Period, by_day: bool) -> list[str]:
    if by_day:
        return [date.fromordinal(span.start.toordinal() + k).isoformat() for k in range(span.days)]
    return [f"{span.start.year}-{month:02d}" for month in range(1, 13)]


def _names(result: Result, subject: str) -> dict[str, Row]:
    if subject == "places":
        return places(result)
    return {row["station"]: {"name": row["name"], "place": row["place"]} for row in stations(result)}


def load(workspace: Workspace, load_id: str) -> Row:
    """A load with its files, its rejects by code, and the events written about it."""
    found = book.load(workspace.registry, load_id)
    counts = [r for r in book.reject_counts(workspace.registry) if r["load_id"] == load_id]
    return {**found, "rejects": counts, "events": registry.events(workspace.registry, subject=load_id)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rejects are asked for; empty means any. `station` is looked for in the value and the raw text."""

    load: str = ""
    code: str = ""
    field: str = ""
    station: str = ""
    status: str = book.OPEN


def rejects(workspace: Workspace, wanted: Wanted) -> Row:
    """Rejects that fit, oldest first (`rows`, at most :data:`MOST_REJECTS`; `more`: there are others), and what
    occurs of loads, codes and fields to filter by."""
    if wanted.status and wanted.status not in book.REJECT_STATES:
        raise UnknownName("state of a reject", wanted.status, book.REJECT_STATES)
    rows = book.rejects(
        workspace.registry, load_id=wanted.load or None, code=wanted.code or None, status=wanted.status or None
    )
    text = wanted.station.strip()
    kept = [
        r for r in rows
        if (not wanted.field or r["field"] == wanted.field)
        and (not text or text in r["value"] or text in r["raw"])
    ]  # fmt: skip
    counts = book.reject_counts(workspace.registry)
    return {
        "rows": kept[:MOST_REJECTS],
        "found": len(kept),
        "more": len(kept) > MOST_REJECTS,
        "counts": [c for c in counts if not wanted.status or c["status"] == wanted.status],
        "loads": sorted({c["load_id"] for c in counts}, reverse=True),
        "codes": sorted({c["code"] for c in counts}),
        "fields": sorted({c["field"] for c in counts}),
        "states": book.REJECT_STATES,
    }


def station_history(workspace: Workspace, station: str) -> list[Row]:
    """How a station's entry came to be: each change with who, when, before and after; newest first."""
    found = []
    for event in registry.events(workspace.registry, subject=station):
        if event["what"].startswith("station."):
            before, after = event["detail"].get("before") or {}, event["detail"].get("after") or {}
            changed = {k: (before.get(k), v) for k, v in after.items() if before.get(k) != v}
            found.append({**{k: event[k] for k in ("at", "who", "what")}, "changed": changed})
    return found[::-1]


def register_of(result: Result, station: str) -> dict[str, Any]:
    """One station of the register; UnknownName with the codes that there are."""
    known = {row["station"]: row for row in stations(result)}
    if station not in known:
        raise UnknownName("station", station, list(known))
    return known[station]
