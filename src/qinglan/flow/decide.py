"""What people decide and report, checked by the plan and the rules before it is written down."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from qinglan.air import qc
from qinglan.core.errors import NotFound, UnknownName
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow.workspace import Workspace
from qinglan.plan.judge import Reported, accept_reported
from qinglan.plan.pack import Plan, load_plan
from qinglan.plan.tasks import EvidenceRecord, accept_record
from qinglan.store import decisions

Row = dict[str, Any]


def overrule_flag(
    workspace: Workspace,
    station: str,
    time: datetime,
    item: str,
    rule: str,
    decision: str,
    *,
    reason: str,
    who: str,
    level: str = "prefecture",
) -> None:
    """Keep or reject one value against (or beside) an automatic rule; `rule` may be ``*`` for all rules.

    level : of review at which `who` speaks. A locked month refuses it (ReviewRefused).
    station : code, name or alias. A name that nobody knows is refused: the word would never reach a value.
    """
    if item not in HOURLY_ITEMS:
        raise UnknownName("item", item, HOURLY_ITEMS)
    if rule not in (decisions.ANY_RULE, *qc.ALL_RULES):
        raise UnknownName("quality rule", rule, (decisions.ANY_RULE, *qc.ALL_RULES))
    code = workspace.station_lookup()(station)
    if code is None:
        raise UnknownName("station", station)
    decisions.decide_flag(
        workspace.registry,
        station=code,
        time=time,
        item=item,
        rule=rule,
        decision=decision,
        reason=reason,
        who=who,
        level=level,
    )


def dust_events(workspace: Workspace, status: str | None = None, place: str | None = None) -> list[Row]:
    """Dust events in their newest version, by start."""
    found = decisions.dust_events(workspace.registry, status=status)
    code = None if place is None else workspace.place_of(place)
    if place is not None and code is None:
        raise UnknownName("place", place)
    return sorted((e for e in found if code is None or e["place"] == code), key=lambda e: (e["start"], e["place"]))


def review_dust(workspace: Workspace, event: str, status: str, *, reason: str, who: str) -> None:
    """Confirm or reject a dust event."""
    decisions.review_dust_event(workspace.registry, event, status, reason=reason, who=who)


def report_value(workspace: Workspace, report: Reported, *, today: date) -> None:
    """Enter what an office reports for a target; UsageError names every fault (unit, future date, source)."""
    plan = load_plan(workspace.settings.plan)
    taken = accept_reported(plan, report, today)
    row = {
        "target_id": taken.target,
        "value": taken.value,
        "baseline_value": taken.baseline_value,
        "unit": taken.unit,
        "as_of": taken.as_of,
        "source": taken.source,
    }
    decisions.report_value(workspace.registry, row, who=taken.reported_by)


def file_evidence(workspace: Workspace, record: EvidenceRecord, *, today: date) -> None:
    """File a piece of evidence for a task; UsageError names every fault."""
    plan = load_plan(workspace.settings.plan)
    file_accepted(workspace, plan, accept_record(plan, record, today))


def file_accepted(workspace: Workspace, plan: Plan, taken: EvidenceRecord, digest: str = "") -> None:
    """Write an accepted record down. digest : of its document, when the file is kept."""
    row = {
        "task_id": taken.task,
        "kind": plan.task(taken.task).evidence[taken.item].type,
        "item": taken.item,
        "cycle": taken.cycle,
        "satisfied": taken.satisfied,
        "value": taken.value,
        "unit": taken.unit,
        "reference": taken.ref,
        "hash": digest,
        "as_of": taken.on,
        "source": taken.source,
    }
    decisions.add_evidence(workspace.registry, row, who=taken.by)


def place_code(workspace: Workspace, name: str) -> str:
    """Division code of a place by code, name or alias; UnknownName otherwise."""
    code = workspace.place_of(name)
    if code is None:
        raise UnknownName("place", name)
    return code


def require_rows(rows: list[Row], what: str) -> list[Row]:
    """The rows, or NotFound when there are none."""
    if not rows:
        raise NotFound(f"there is no {what}.")
    return rows
