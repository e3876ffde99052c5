"""Ledgers answer targets: what a run takes from them, and what it says of where a number came from."""

from __future__ import annotations

from datetime import date
from typing import Any

from qinglan.core.provenance import fingerprint
from qinglan.flow.ledgers.watching import measured, watch
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import ledgers, load_ledger
from qinglan.plan.judge import Measured
from qinglan.plan.pack import Plan, Target
from qinglan.store import ledgers as store


def answers(workspace: Workspace, plan: Plan, as_of: date) -> dict[str, Measured]:
    """By target, the indicator that answers it, from the rows as they are now, on the day `as_of`.

    A ledger without rows, or an indicator without a value (a share of nothing), answers nothing: its target waits.
    """
    asked = {t.id: t for t in plan.targets if t.judged_by == "ledger"}
    newest, last = store.newest(workspace.registry), store.last_changes(workspace.registry)
    found: dict[str, Measured] = {}
    for name in ledgers():
        ledger = load_ledger(name)
        wanted = {i.target for i in ledger.indicators} & set(asked)
        if not wanted or not newest.get(name):
            continue
        for row in measured(watch(workspace, name, as_of, newest[name]), last.get(name)):
            target = asked.get(row["target"])
            if target is None or row["value"] is None or (target.id in found and target.ledger != name):
                continue
            found[target.id] = _measured(target, row)
    return found


def _measured(target: Target, row: dict[str, Any]) -> Measured:
    basis = {
        "kind": "ledger", "ledger": row["ledger"], "indicator": row["id"], "title": row["title"],
        "ledger_title": dict(load_ledger(row["ledger"]).title), "change": row["change"],
        "rows": row["rows"], "known": row["known"],
        "all_rows": row["all_rows"], "unit": row["unit"],
        "as_of": row["as_of"].isoformat() if row["as_of"] else None,
    }  # fmt: skip
    return Measured(value=row["value"], baseline_value=row["baseline"], basis=basis)


def state(workspace: Workspace) -> str:
    """A fingerprint of all rows of all ledgers: what a verdict that reads them stands on."""
    hashes = {
        name: sorted(c["hash"] for c in store.changes(workspace.registry, name, limit=1_000_000) if c["written"])
        for name in store.newest(workspace.registry)
    }
    return fingerprint(hashes)
