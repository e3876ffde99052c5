"""What the pages of warnings show: what is asked for now, the room of one warning, orders of an enterprise."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from qinglan.access import Principal
from qinglan.core.clock import today
from qinglan.flow import warnings as flow
from qinglan.flow.views.result import Row
from qinglan.flow.warnings.rules import book_of
from qinglan.flow.workspace import Workspace
from qinglan.store import warnings as store


def listed(workspace: Workspace) -> list[Row]:
    """Warnings, newest first."""
    return store.listed(workspace.registry)


def board(workspace: Workspace, now: datetime) -> dict[str, Any]:
    """`asked` : what each place should do now with its evidence; `open`, `closed` : warnings, newest first."""
    rows = store.listed(workspace.registry)
    return {
        "asked": [{**_dated(flow.evidence(found, workspace, now)), "in_force": found.current}
                  for found in flow.asked(workspace, now).values()],
        "open": [r for r in rows if r["state"] in flow.OPEN],
        "closed": [r for r in rows if r["state"] not in flow.OPEN],
        "edition": _edition(workspace, now),
    }  # fmt: skip


def _dated(told: Row) -> Row:
    """Evidence with its moments as moments."""

    def moment(text: str | None) -> datetime | None:
        return datetime.fromisoformat(text) if text else None

    if not told:
        return told
    clauses = [{**c, "start": moment(c["start"]), "end": moment(c["end"])} for c in told["clauses"]]
    return {**told, "clauses": clauses, "start": moment(told["start"]), "end": moment(told["end"])}


def _edition(workspace: Workspace, now: datetime) -> list[Row]:
    """Each place that warns with the text it follows, where that stands and how sure it is."""
    known, _ = flow.jurisdictions(workspace)
    return [
        {"place": place, "edition": book_of(workspace, place, today(now))[0].edition, "source": own.source,
         "certainty": own.certainty, "own": bool(own.clauses)}
        for place, own in known.items()
    ]  # fmt: skip


def room(workspace: Workspace, warning: str, now: datetime, me: Principal) -> dict[str, Any]:
    """One warning on one screen: `row`, its `clock`, `history` with notices, `orders` and their `sums`, `air`,
    `cases`, the `evidence` it was last drafted or proposed on, `review` when there is one, `possible` moves."""
    row = flow.one(workspace, warning)
    history = store.history(workspace.registry, warning)
    notices: dict[int, list[Row]] = {}
    for kept in store.notices(workspace.registry, warning):
        notices.setdefault(kept["move"], []).append(kept)
    orders = flow.orders_of(workspace, warning, now)
    air = flow.air_of(workspace, row["place"], history, now)
    reviewed = row["state"] == "reviewed"
    drawn = next((m["content"] for m in reversed(history) if m["move"] in ("draft", "redraft", "propose")), "")
    return {
        "row": row,
        "clock": flow.clock(row, history, now),
        "history": [{**m, "notices": notices.get(m["id"], [])} for m in history],
        "orders": orders,
        "sums": flow.summed(orders),
        "air": air,
        "effect": flow.effect_of(workspace, row["place"], history, air),
        "cases": flow.cases(orders),
        "evidence": _dated(flow.kept_evidence(workspace, drawn)),
        "review": flow.kept_evidence(workspace, history[-1]["content"]) if reviewed else {},
        "hours": flow.hours_in_force(history, now),
        "possible": flow.possible(row, me),
    }
