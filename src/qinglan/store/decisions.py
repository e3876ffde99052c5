"""What people decide and report: overruled flags, dust events, reported values, evidence. Append-only.

A later row about the same thing takes its place; the earlier one stays as history.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, func, insert, select

from qinglan.core.clock import day_and_hour
from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.store import review, schema
from qinglan.store.registry import Registry, Row, append_event, moment

#: What a person may say of a value: it stands although flagged, it is invalid whatever the rules say, or the flag
#: was looked at and holds as it is (which changes nothing).
FLAG_DECISIONS = ("keep", "reject", "accept")
#: A decision under this rule speaks about the value, whatever rules flagged it.
ANY_RULE = "*"
PROPOSED, CONFIRMED, REJECTED = "proposed", "confirmed", "rejected"
DUST_STATES = (PROPOSED, CONFIRMED, REJECTED)
_EVIDENCE_DEFAULTS: Mapping[str, Any] = {
    "hash": "", "item": 0, "cycle": "", "satisfied": True, "value": None, "unit": "",
}  # fmt: skip


def _need(**texts: str) -> None:
    empty = [name for name, text in texts.items() if not str(text).strip()]
    if empty:
        raise UsageError(
            f"{', '.join(empty)} must not be empty.", remedy="Every decision names who, why and whence."
        )


def _newest(table: Table, by: tuple[str, ...], order: str) -> Any:
    """The last row of each `by` group."""
    last: ColumnElement[Any] = func.max(table.c[order]).label("last")
    newest = select(last).group_by(*(table.c[c] for c in by)).subquery()
    return select(table).where(table.c[order].in_(select(newest.c.last))).order_by(table.c[order])


def _rows(registry: Registry, query: Any) -> list[Row]:
    with registry.read() as con:
        return [dict(row) for row in con.execute(query).mappings()]


def decide_flag(registry: Registry, *, time: datetime, **said: Any) -> None:
    """:func:`decide_flags` for one hour."""
    decide_flags(registry, times=[time], **said)


def decide_flags(
    registry: Registry,
    *,
    station: str,
    times: Sequence[datetime],
    item: str,
    rule: str,
    decision: str,
    reason: str,
    who: str,
    level: str = "prefecture",
    at: datetime | None = None,
) -> None:
    """Keep, reject or accept the values of some hours against (or beside) a rule: all of them or, at fault, none.

    times : UTC hour ends, with their zone. rule : its name, or ``*`` for the value whatever rules flagged it.
    level : of review at which `who` speaks; sign-offs at this level and above are withdrawn.
    Raises UnknownName (decision), UsageError (no reason, nobody named, no hour, no zone) and ReviewRefused (the
    month is locked).
    """
    if decision not in FLAG_DECISIONS:
        raise UnknownName("decision on a flag", decision, FLAG_DECISIONS)
    _need(station=station, item=item, rule=rule, reason=reason, who=who)
    if not times:
        raise UsageError("no hour to decide on.", remedy="Name at least one.")
    now = moment(at)
    said = {"station": station, "item": item, "rule": rule, "decision": decision, "reason": reason}
    with registry.begin() as con:
        why = f"{item} {rule}: {decision}"
        review.guard_decision(con, station, times, level=level, who=who, why=why, at=now)
        con.execute(insert(schema.flag_decisions), [{**said, "time": t, "by": who, "at": now} for t in times])
        subject = f"{station} {times[0].isoformat()} {item} {rule}"
        detail = {"decision": decision, "reason": reason, "hours": len(times), "last": times[-1].isoformat()}
        append_event(con, "flag.decided", subject, detail, who=who, at=now)


def flag_decisions(registry: Registry, *, history: bool = False) -> list[Row]:
    """The decision in force for each station, time, item and rule; with `history`, all there ever were.

    Columns as quality control takes them: station, time, item, rule, decision, reason, by, `decided_at`.
    """
    table = schema.flag_decisions
    query = select(table).order_by(table.c.id)
    if not history:
        query = _newest(table, ("station", "time", "item", "rule"), "id")
    return [{**row, "decided_at": row["at"]} for row in _rows(registry, query)]


def decisions_between(registry: Registry, station: str, first: datetime, last: datetime) -> list[Row]:
    """Every decision ever taken on the hours of a station from `first` to `last` (UTC hour ends), oldest first."""
    table = schema.flag_decisions
    query = select(table).where(table.c.station == station, table.c.time >= first, table.c.time <= last)
    return _rows(registry, query.order_by(table.c.id))


def record_dust_event(registry: Registry, row: Mapping[str, Any], *, who: str, at: datetime | None = None) -> str:
    """One of :func:`record_dust_events`; returns its id."""
    return record_dust_events(registry, [row], who=who, at=at)[0]


def record_dust_events(
    registry: Registry, rows: Iterable[Mapping[str, Any]], *, who: str, at: datetime | None = None
) -> list[str]:
    """Propose, confirm or reject dust events, or change their bounds: a new version of each. Returns the ids.

    rows : `place`, `start`, `end` (UTC hour ends, both included, with zone), `removal`, `status`, `reason`,
        `evidence` (JSON), `rule_version`; `id` is made from place and start when it is not given.

    All of them are written or, when one is faulty, none.
    """
    now = moment(at)
    made = [_dust_version(row, who, now) for row in rows]
    with registry.begin() as con:
        for version in made:
            if version["status"] != PROPOSED:
                days = (day_and_hour(version[name])[0] for name in ("start", "end"))
                review.refuse_locked(con, version["place"], days)
        if made:
            con.execute(insert(schema.dust_events), made)
        for version in made:
            detail = {name: version[name] for name in ("status", "reason", "removal")}
            append_event(con, f"dust.{version['status']}", version["id"], detail, who=who, at=now)
    return [str(version["id"]) for version in made]


def _dust_version(row: Mapping[str, Any], who: str, now: datetime) -> Row:
    if row["status"] not in DUST_STATES:
        raise UnknownName("state of a dust event", row["status"], DUST_STATES)
    if row["end"] < row["start"]:
        raise UsageError(f"dust event of {row['place']} ends {row['end']} before it starts {row['start']}.")
    if row["status"] != PROPOSED:
        _need(reason=row.get("reason", ""), who=who)
    return {
        "id": row.get("id") or f"{row['place']}-{row['start']:%Y%m%dT%H}",
        **{name: row[name] for name in ("place", "start", "end", "removal", "status")},
        "reviewer": "" if row["status"] == PROPOSED else who,
        "reason": row.get("reason", ""),
        "evidence": dict(row.get("evidence") or {}),
        "rule_version": row.get("rule_version", ""),
        "at": now,
    }


def review_dust_event(
    registry: Registry, event_id: str, status: str, *, reason: str, who: str, at: datetime | None = None
) -> None:
    """Confirm or reject the newest version of a dust event. NotFound when there is none of that id."""
    found = [e for e in dust_events(registry) if e["id"] == event_id]
    if not found:
        raise NotFound(f"no dust event {event_id!r}.", remedy="The list of dust events shows their ids.")
    record_dust_event(registry, {**found[0], "status": status, "reason": reason}, who=who, at=at)


def dust_events(registry: Registry, *, status: str | None = None, history: bool = False) -> list[Row]:
    """The newest version of each dust event (or every version), by time of writing; optionally of one state."""
    table = schema.dust_events
    query = select(table).order_by(table.c.version) if history else _newest(table, ("id",), "version")
    return [row for row in _rows(registry, query) if status is None or row["status"] == status]


def report_value(registry: Registry, row: Mapping[str, Any], *, who: str, at: datetime | None = None) -> None:
    """Enter a value that an office reports for a target.

    row : `target_id`, `value`, `unit`, `as_of` (date), `source` (document and number); `baseline_value` in
        the same unit, where the target speaks of a change and the plan does not give the value it started from.
    """
    _need(target_id=row["target_id"], unit=row["unit"], source=row["source"], who=who)
    now = moment(at)
    made = {name: row[name] for name in ("target_id", "unit", "as_of", "source")}
    base = row.get("baseline_value")
    numbers = {"value": float(row["value"]), "baseline_value": None if base is None else float(base)}
    with registry.begin() as con:
        con.execute(insert(schema.reported_values).values(**made, **numbers, by=who, at=now))
        detail = {**numbers, "unit": row["unit"], "as_of": row["as_of"].isoformat()}
        append_event(
            con, "target.reported", row["target_id"], {**detail, "source": row["source"]}, who=who, at=now
        )


def reported_values(registry: Registry, *, as_of: date | None = None, history: bool = False) -> list[Row]:
    """For each target and date the value that counts (the newest entry), oldest date first; not after `as_of`."""
    table = schema.reported_values
    query = select(table).order_by(table.c.id) if history else _newest(table, ("target_id", "as_of"), "id")
    rows = [row for row in _rows(registry, query) if as_of is None or row["as_of"] <= as_of]
    return sorted(rows, key=lambda r: (r["target_id"], r["as_of"], r["id"]))


def add_evidence(registry: Registry, row: Mapping[str, Any], *, who: str, at: datetime | None = None) -> None:
    """Enter a piece of evidence for a task.

    row : `task_id`, `kind`, `reference`, `as_of` (date), `source`; `hash` of the document when there is one;
        `item` of the task's evidence list (from 0), `cycle` (a label or empty), `satisfied`, `value` and `unit`.
    """
    _need(task_id=row["task_id"], kind=row["kind"], reference=row["reference"], source=row["source"], who=who)
    now = moment(at)
    made = {name: row[name] for name in ("task_id", "kind", "reference", "as_of", "source")}
    made |= {name: row.get(name, default) for name, default in _EVIDENCE_DEFAULTS.items()}
    with registry.begin() as con:
        con.execute(insert(schema.task_evidence).values(**made, by=who, at=now))
        detail = {name: made[name] for name in ("kind", "item", "cycle", "reference", "satisfied")}
        append_event(con, "task.evidence", row["task_id"], detail, who=who, at=now)


def task_evidence(registry: Registry, *, task_id: str | None = None, as_of: date | None = None) -> list[Row]:
    """Evidence, oldest entry first; of one task, not after a day."""
    query = select(schema.task_evidence).order_by(schema.task_evidence.c.id)
    if task_id is not None:
        query = query.where(schema.task_evidence.c.task_id == task_id)
    return [row for row in _rows(registry, query) if as_of is None or row["as_of"] <= as_of]
