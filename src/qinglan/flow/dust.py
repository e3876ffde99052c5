"""Dust between the lake and a person: events are proposed by the rule, confirmed or rejected by somebody, applied.

A proposal changes no number. What a person decided stays, also when a later run would propose otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis
import polars as pl

from qinglan.air import dust
from qinglan.core.rulebook import RuleBook
from qinglan.flow.air_results import AirTables
from qinglan.flow.workspace import Workspace
from qinglan.store import decisions

_EVIDENCE = (
    "resolution",
    "hours",
    "observed",
    "base_pm10",
    "peak_pm10",
    "peak_factor",
    "least_ratio",
    "rule",
    "ended_by",
)


def propose(workspace: Workspace, air: AirTables, book: RuleBook) -> int:
    """Write down events that are not in the registry yet, as proposals. Returns how many are new.

    City hours are tested by the rule; days that a source only reported as days pass our daily screen.
    """
    known = {event["id"] for event in decisions.dust_events(workspace.registry)}
    found = [dust.detect(air["place_hours"].select("place", "time", "pm10", "pm2_5"), book=book)]
    reported = air["place_days"].filter(lambda t: t.source == "reported")
    found.append(dust.detect_days(reported.select("place", "day", "pm10", "pm2_5"), book=book))
    new = [row for table in found for row in table.to_pyarrow().to_pylist() if row["id"] not in known]
    decisions.record_dust_events(workspace.registry, [_proposal(row, book) for row in new], who="qinglan")
    return len(new)


def _proposal(row: Mapping[str, Any], book: RuleBook) -> dict[str, Any]:
    return {
        **{name: row[name] for name in ("id", "place", "start", "end")},
        "removal": book.option("removal"),
        "status": dust.PROPOSED,
        "reason": "",
        "evidence": {name: row[name] for name in _EVIDENCE},
        "rule_version": f"{book.edition} {book.content_hash[:12]}",
    }


def apply_confirmed(workspace: Workspace, air: AirTables) -> list[dict[str, Any]]:
    """Put `dust_days` and `dust_hours` of the confirmed events into the run's tables. Returns all events."""
    events = decisions.dust_events(workspace.registry)
    schema = {name: dust.EVENT_SCHEMA[name] for name in ("id", "place", "start", "end", "status")}
    table = ibis.memtable(pl.DataFrame([_plain(e) for e in events], schema=schema))
    for name, removal in (("dust_days", "day_removal"), ("dust_hours", "hour_removal")):
        air.keep(name, dust.affected(table, removal))
    return events


def _plain(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in ("id", "place", "start", "end", "status")}
