"""Jobs of the scheduler: what is to be done when, what was done, and who may work on it now.

A run of a job is claimed before it begins (job, moment it was due, attempt: a unique key) and says until when it
is surely alive; one that goes silent was killed, is written down as interrupted, and is tried once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update

from qinglan.core.errors import UnknownName
from qinglan.store import schema
from qinglan.store.registry import Registry, Row, append_event

RUNNING, DONE, FAILED, INTERRUPTED = "running", "done", "failed", "interrupted"
#: How often a moment that was due is tried when its run is interrupted.
ATTEMPTS = 2

_jobs, _runs, _leases = schema.operations.jobs, schema.operations.job_runs, schema.operations.leases


def keep_job(registry: Registry, row: Mapping[str, Any], *, who: str, at: datetime, reason: str = "") -> None:
    """Enter a job or change it; an unchanged one says nothing.

    row : `name`, `action`, `schedule`, `arguments` (JSON), `enabled`. What was due before `at` is not made up for.
    """
    names = ("name", "action", "schedule", "arguments", "enabled")
    wanted = {name: row[name] for name in names}
    with registry.begin() as con:
        found = con.execute(select(_jobs).where(_jobs.c.name == wanted["name"])).mappings().first()
        if found is not None and {name: found[name] for name in names} == wanted:
            return
        if found is None:
            con.execute(insert(_jobs).values(**wanted, by=who, at=at))
        else:
            con.execute(update(_jobs).where(_jobs.c.name == wanted["name"]).values(**wanted, by=who, at=at))
        before = None if found is None else {name: found[name] for name in names}
        what = "job.entered" if found is None else "job.changed"
        detail = {"before": before, "after": wanted, **({"reason": reason} if reason else {})}
        append_event(con, what, wanted["name"], detail, who=who, at=at)


def jobs(registry: Registry) -> list[Row]:
    """All jobs by name."""
    with registry.read() as con:
        return [dict(row) for row in con.execute(select(_jobs).order_by(_jobs.c.name)).mappings()]


def job(registry: Registry, name: str) -> Row:
    """One job; UnknownName lists those there are."""
    found = {row["name"]: row for row in jobs(registry)}
    if name not in found:
        raise UnknownName("job", name, list(found))
    return found[name]


def take_lease(registry: Registry, name: str, holder: str, *, now: datetime, until: datetime) -> bool:
    """Take or prolong a lease: True for its holder, False while another one holds it."""
    with registry.begin() as con:
        found = con.execute(select(_leases).where(_leases.c.name == name)).mappings().first()
        if found is None:
            con.execute(insert(_leases).values(name=name, holder=holder, until=until))
            return True
        if found["holder"] != holder and found["until"] > now:
            return False
        con.execute(update(_leases).where(_leases.c.name == name).values(holder=holder, until=until))
        return True


def lease_until(registry: Registry, name: str) -> datetime | None:
    """Until when somebody holds a lease; None when nobody ever did."""
    with registry.read() as con:
        found: datetime | None = con.execute(select(_leases.c.until).where(_leases.c.name == name)).scalar()
    return found


def give_lease_back(registry: Registry, name: str, holder: str, *, now: datetime) -> None:
    """End a lease, if it is still ours, so that the next one need not wait."""
    mine = (_leases.c.name == name, _leases.c.holder == holder)
    with registry.begin() as con:
        con.execute(update(_leases).where(*mine).values(until=now))


def last_runs(registry: Registry) -> dict[str, Row]:
    """Of each job, the newest attempt at the moment last due."""
    with registry.read() as con:
        rows = con.execute(_newest()).mappings()
        return {row["job"]: dict(row) for row in rows}


def _newest() -> Any:
    last = select(_runs.c.job, func.max(_runs.c.due).label("due")).group_by(_runs.c.job).subquery()
    return (
        select(_runs)
        .join(last, (last.c.job == _runs.c.job) & (last.c.due == _runs.c.due))
        .order_by(_runs.c.job, _runs.c.attempt)
    )


def claim(
    registry: Registry, job: Row, due: datetime, *, holder: str, who: str, at: datetime, alive_until: datetime
) -> int | None:
    """Begin a run of a job for the moment it was due; its id, or None when there is nothing to begin.

    There is nothing when that moment was dealt with already, or when a run of the job is still alive.
    """
    with registry.begin() as con:
        alive = select(_runs.c.id).where(_runs.c.job == job["name"], _runs.c.outcome == RUNNING)
        tried = select(_runs.c.outcome).where(_runs.c.job == job["name"], _runs.c.due == due)
        before = list(con.execute(tried).scalars())
        settled = any(outcome != INTERRUPTED for outcome in before) or len(before) >= ATTEMPTS
        if settled or con.execute(alive).first() is not None:
            return None
        made = con.execute(
            insert(_runs).values(
                job=job["name"], action=job["action"], due=due, attempt=len(before) + 1, started_at=at,
                alive_until=alive_until, outcome=RUNNING, result={}, error="", holder=holder, by=who,
            )
        )  # fmt: skip
        append_event(con, "job.begun", job["name"], {"due": due.isoformat(), "holder": holder}, who=who, at=at)
        return int((made.inserted_primary_key or (0,))[0])


def stay_alive(registry: Registry, run_id: int, until: datetime) -> None:
    """Say that a run goes on."""
    with registry.begin() as con:
        con.execute(
            update(_runs).where(_runs.c.id == run_id, _runs.c.outcome == RUNNING).values(alive_until=until)
        )


def finish(
    registry: Registry,
    run_id: int,
    outcome: str,
    *,
    at: datetime,
    result: Mapping[str, Any] | None = None,
    error: str = "",
) -> None:
    """Close a run; one that was closed already (given up as dead) keeps what it was closed with."""
    with registry.begin() as con:
        found = con.execute(select(_runs).where(_runs.c.id == run_id)).mappings().one()
        if found["outcome"] != RUNNING:
            return
        given = {"outcome": outcome, "finished_at": at, "result": dict(result or {}), "error": error}
        con.execute(update(_runs).where(_runs.c.id == run_id).values(**given))
        detail = {"due": found["due"].isoformat(), "error": error}
        append_event(con, f"job.{outcome}", found["job"], detail, who=found["by"], at=at)


def close_dead_runs(registry: Registry, *, now: datetime, holder: str | None = None) -> list[str]:
    """Write down as interrupted the runs that went silent (or all of one holder, which is ending); their jobs."""
    silent = _runs.c.alive_until < now if holder is None else _runs.c.holder == holder
    with registry.read() as con:
        dead = con.execute(select(_runs.c.id, _runs.c.job).where(_runs.c.outcome == RUNNING, silent)).all()
    for run_id, _ in dead:
        finish(registry, run_id, INTERRUPTED, at=now)
    return [name for _, name in dead]


def job_runs(registry: Registry, *, job: str | None = None, limit: int = 50) -> list[Row]:
    """Runs, newest first."""
    query = select(_runs).order_by(_runs.c.id.desc()).limit(limit)
    if job is not None:
        query = query.where(_runs.c.job == job)
    with registry.read() as con:
        return [dict(row) for row in con.execute(query).mappings()]
