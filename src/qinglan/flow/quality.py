"""Quality control of the lake: reported hours -> flags and checked hours, made again only after a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from qinglan import __version__
from qinglan.air import qc
from qinglan.core.provenance import fingerprint
from qinglan.core.rulebook import RuleBook
from qinglan.flow import console_settings
from qinglan.flow.workspace import Workspace
from qinglan.plan.rules import rules_on
from qinglan.store.decisions import flag_decisions

_DECISIONS = pa.schema(
    [
        ("station", pa.string()),
        ("time", pa.timestamp("us", "UTC")),
        ("item", pa.string()),
        ("rule", pa.string()),
        ("decision", pa.string()),
        ("reason", pa.string()),
        ("by", pa.string()),
        ("decided_at", pa.timestamp("us", "UTC")),
    ]
)


@dataclass(frozen=True, slots=True)
class ControlReport:
    """What quality control found.

    counts : rows of ``rule, item, state, hours``. reused : nothing had changed since the last time.
    """

    hours: int
    flags: int
    decisions: int
    counts: tuple[dict[str, Any], ...]
    reused: bool

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "hours": self.hours,
            "flags": self.flags,
            "decisions": self.decisions,
            "reused": self.reused,
            "counts": list(self.counts),
        }


def control(workspace: Workspace, book: RuleBook) -> ControlReport:
    """Derive `flags` and `checked` from `hours`, under a book of control rules and decisions of people."""
    lake = workspace.lake
    decided = flag_decisions(workspace.registry)
    key = fingerprint(
        [lake.fingerprint("hours"), book.content_hash, dict(book.use().options), decided, __version__]
    )
    reused = lake.derived_from("checked") == key
    if not reused and lake.rows("hours"):
        con = lake.connect()
        try:
            hours = lake.table("hours", con=con)
            # Both uses of the flags read one table, so the rules run once.
            flags = con.create_table("found", qc.check(hours, book=book), temp=True)
            lake.write_derived("flags", flags.select("station", "time", "item", "rule", "state", "detail"))
            decisions = _decision_table(decided)
            lake.write_derived("checked", qc.apply(hours, flags, decisions, book=book), made_from=key)
        finally:
            con.disconnect()
    return ControlReport(
        hours=lake.rows("hours"),
        flags=lake.rows("flags"),
        decisions=len(decided),
        counts=tuple(_counts(lake.table("flags"))) if lake.rows("flags") else (),
        reused=reused,
    )


def control_on(
    workspace: Workspace, on: date, options: Mapping[str, Mapping[str, str]] | None = None
) -> ControlReport:
    """:func:`control` by the book in force on a date, under options."""
    return control(workspace, rules_on(on, console_settings.options(workspace, options)).control)


def _decision_table(rows: list[dict[str, Any]]) -> ir.Table | None:
    if not rows:
        return None
    return ibis.memtable(pa.Table.from_pylist([{n: r.get(n) for n in _DECISIONS.names} for r in rows], _DECISIONS))


def _counts(flags: ir.Table) -> list[dict[str, Any]]:
    counted = flags.group_by(["rule", "item", "state"]).aggregate(hours=lambda t: t.count())
    return counted.order_by(["rule", "item", "state"]).to_pyarrow().to_pylist()  # type: ignore[no-any-return]
