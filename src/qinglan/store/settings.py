"""Settings changed in the console: what the audit log last said of each holds. There is no second truth."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select

from qinglan.core.errors import UsageError
from qinglan.store import schema
from qinglan.store.registry import Registry, Row, append_event, events

CHANGED = "setting.changed"


def changes(registry: Registry) -> list[Row]:
    """Every change, oldest first: ``key, value, before, reason, by, at``. A value of None is the default again."""
    return [
        {"key": e["subject"], **{n: e["detail"].get(n) for n in ("value", "before", "reason")},
         "by": e["who"], "at": e["at"]}
        for e in events(registry, what=CHANGED)
    ]  # fmt: skip


def change(registry: Registry, key: str, value: Any, *, reason: str, who: str, at: datetime) -> None:
    """Set a value (None: the default again), with the one before it. UsageError without a reason or a change."""
    if not reason.strip() or not who.strip():
        raise UsageError("reason must not be empty.", remedy="Every change of a setting says who and why.")
    log = schema.events
    with registry.begin() as con:
        query = select(log.c.detail).where(log.c.what == CHANGED, log.c.subject == key).order_by(log.c.id.desc())
        last = con.execute(query.limit(1)).scalar()
        before = last["value"] if last else None
        if before == value:
            raise UsageError(f"{key} is set to this already.", remedy="Nothing more is needed.")
        detail = {"value": value, "before": before, "reason": reason.strip()}
        append_event(con, CHANGED, key, detail, who=who, at=at)
