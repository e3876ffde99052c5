"""Runs: which results exist and which are shown now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from qinglan.store import schema
from qinglan.store.registry import Registry, Row, append_event, moment


def record_run(
    registry: Registry, run_id: str, kind: str, json: Mapping[str, Any], *, who: str, at: datetime | None = None
) -> None:
    """Write a run down and make it the current one of its kind. The one before stays in the history."""
    now, table = moment(at), schema.runs
    with registry.begin() as con:
        con.execute(update(table).where(table.c.kind == kind, table.c.current.is_(True)).values(current=False))
        con.execute(insert(table).values(run_id=run_id, kind=kind, json=dict(json), current=True, at=now))
        append_event(con, "run.current", run_id, {"kind": kind}, who=who, at=now)


def current_run(registry: Registry, kind: str) -> Row | None:
    """The run that is shown now, or None when none of that kind was finished."""
    table = schema.runs.c
    query = select(schema.runs).where(table.kind == kind, table.current.is_(True)).order_by(table.id.desc())
    with registry.read() as con:
        row = con.execute(query).mappings().first()
    return None if row is None else dict(row)


def runs(registry: Registry, kind: str | None = None) -> list[Row]:
    """All runs, newest first."""
    query = select(schema.runs).order_by(schema.runs.c.id.desc())
    if kind is not None:
        query = query.where(schema.runs.c.kind == kind)
    with registry.read() as con:
        return [dict(row) for row in con.execute(query).mappings()]
