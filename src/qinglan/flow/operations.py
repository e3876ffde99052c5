"""Operations: scheduled jobs, who does them, and whether the server is fit to serve.

A job is data (name, action, schedule, arguments); an action is a function of the workspace, entered under a name
with :func:`action`. The scheduler's process asks every few seconds what is due (:func:`due_now`) on the registry's
own word, so a moment that passed while nothing ran is made up for once, and of several processes one does it.
"""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from apscheduler.triggers.cron import CronTrigger

from qinglan.core.errors import NotFound, QinglanError, StoreError, UnknownName, UsageError
from qinglan.flow import accounts, audit_log, publications, uploads, views, warnings
from qinglan.flow import backup as safe
from qinglan.flow.backup import backup
from qinglan.flow.ingest import AUTO, IngestSettings, ingest, ingest_auto
from qinglan.flow.run import run
from qinglan.flow.workspace import Workspace, open_workspace
from qinglan.store import jobs as book
from qinglan.store.registry import Row

log = logging.getLogger(__name__)

#: What does a job: (workspace, arguments, now) to what it did, as JSON.
Action = Callable[[Workspace, Mapping[str, Any], datetime], Mapping[str, Any]]
#: Rooms of the flow that enter actions of their own.
_ROOMS = (
    "qinglan.flow.publications",
    "qinglan.flow.bulletins",
    "qinglan.flow.accounts",
    "qinglan.flow.complaints",
    "qinglan.flow.forecasts.jobs",
)
_ACTIONS: dict[str, Action] = {}

LEASE = "scheduler"
#: How long the scheduler and a run are taken to be alive after they last said so.
ALIVE = timedelta(seconds=90)
#: Windows in which the last due moment is looked for, the shortest first.
_WINDOWS = (timedelta(hours=1), timedelta(days=1), timedelta(days=32), timedelta(days=366), timedelta(days=1462))
_WHO = "scheduler"


def action(name: str) -> Callable[[Action], Action]:
    """Enter a function as the action of a name."""

    def entered(function: Action) -> Action:
        _ACTIONS[name] = function
        return function

    return entered


def actions() -> Mapping[str, Action]:
    """All actions by name, those of the other rooms too."""
    for room in _ROOMS:
        if find_spec(room) is not None:
            importlib.import_module(room)
    return _ACTIONS


@action("run")
def _nightly(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Judge the plan anew."""
    made = run(workspace, now=now, who=_WHO)
    return {"run": made.content["run"]["id"]}


@action("backup")
def _backup(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Write a backup into ``folder`` and keep the newest ``keep`` of those that this job wrote (0: all)."""
    folder = str(arguments.get("folder", ""))
    if not folder or not Path(folder).is_absolute():
        raise UsageError(f"the job's folder is {folder!r}.", remedy="Give an absolute folder, on another disk.")
    made = backup(workspace, Path(folder) / f"qinglan-{now:%Y%m%dT%H%M%SZ}.tar", now=now)
    keep = int(arguments.get("keep", 0))
    old = sorted(Path(folder).glob("qinglan-????????T??????Z.tar"))[:-keep] if keep > 0 else []
    for path in old:
        path.unlink()
    safe.note(workspace, made, who=_WHO, now=now)
    return {"file": made["file"], "bytes": made["bytes"], "removed": [path.name for path in old]}


@action("backup.prove")
def _prove(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Restore the newest backup into a folder beside it, compare, and remove that again."""
    last = safe.newest(workspace, safe.MADE)
    if last is None:
        raise NotFound("no backup was made yet.", remedy="Set the job backup its folder, and run it.")
    return safe.prove(workspace, Path(last["detail"]["file"]), who=_WHO, now=now)


@action("warnings.deliver")
def _deliver(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Send the orders of warnings that were not sent yet, over the channels of the workspace."""
    return warnings.deliver(workspace, now)


@action("audit.verify")
def _verify(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Walk the whole audit log; a row that does not hold makes the job fail and names it."""
    chain = audit_log.verify(workspace.registry)
    if not chain.holds:
        raise StoreError(
            f"the audit log does not hold from row {chain.broken} on ({chain.why}).",
            remedy="Stop all work, keep a copy of the registry, and compare it with the last proven backup.",
        )
    return {"events": chain.count, "head": chain.head}


@action("ingest")
def _fetch(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Load what lies in ``folder`` by ``layout`` (or ``auto``); files that were loaded before are left alone."""
    folder, layout = Path(str(arguments.get("folder", ""))), str(arguments.get("layout", AUTO))
    if not folder.is_absolute() or not folder.is_dir():
        raise UsageError(f"the job's folder {str(folder)!r} is not there.", remedy="Give an absolute folder.")
    given: dict[str, Any] = {
        "options": dict(arguments.get("options") or {}), "settings": IngestSettings(who=_WHO),
    }  # fmt: skip
    auto = layout == AUTO
    reports = ingest_auto(workspace, [folder], **given) if auto else [ingest(workspace, layout, [folder], **given)]
    failed = [file.name for report in reports for file in report.files if file.status == "failed"]
    if failed:
        raise UsageError(f"{len(failed)} file(s) could not be read: {', '.join(failed[:5])}.")
    return {"loads": [r.load_id for r in reports if r.load_id], **{n: sum(r.total(n) for r in reports)
            for n in ("inserted", "superseded", "rejected")}}  # fmt: skip


@action("bulletins.draft")
def _drafts(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Draft the bulletins that are due; people approve and issue them."""
    return {"drafted": [made.id for made in publications.draft_due(workspace, now)]}


@action("sessions.tidy")
def _tidy_sessions(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """End the sessions that are over, drop the rows of those that ended half a year ago."""
    return accounts.tidy_sessions(workspace.registry, who=_WHO, now=now)


@action("uploads.tidy")
def _tidy_uploads(workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Remove what was sent and never loaded, and what a killed server left half-written."""
    return uploads.tidy(workspace, now)


# -- jobs ----------------------------------------------------------------------------------------------------


@cache
def _trigger(schedule: str, zone: str) -> CronTrigger:
    fields = schedule.split()
    if len(fields) != 5 or any(mark.isdigit() for mark in fields[-1]):
        raise UsageError(
            f"schedule {schedule!r} cannot be read.",
            remedy="Write minute hour day month weekday, weekdays by name: '30 3 * * *' or '0 8 * * mon'.",
        )
    try:
        return CronTrigger.from_crontab(schedule, timezone=ZoneInfo(zone))
    except ValueError as cause:
        raise UsageError(f"schedule {schedule!r} cannot be read: {cause}.") from cause


def last_due(schedule: str, zone: str, *, after: datetime, now: datetime) -> datetime | None:
    """The last moment of a schedule in (after, now]; None when there was none.

    schedule : as cron writes it, weekdays by name. zone : of the clock that it means. Aware moments.
    """
    trigger = _trigger(schedule, zone)
    for window in _WINDOWS:
        start = max(after, now - window)
        found, at = None, trigger.get_next_fire_time(None, start + timedelta(microseconds=1))
        while at is not None and at <= now:
            found, at = at, trigger.get_next_fire_time(at, at + timedelta(microseconds=1))
        if found is not None or start == after:
            return None if found is None else found.astimezone(now.tzinfo)
    return None


def next_due(schedule: str, zone: str, now: datetime) -> datetime | None:
    """The next moment of a schedule; None when it has none any more."""
    found: datetime | None = _trigger(schedule, zone).get_next_fire_time(None, now)
    return found


def _standard() -> list[dict[str, Any]]:
    text = (resources.files("qinglan") / "content" / "jobs" / "standard.yaml").read_text(encoding="utf-8")
    loaded: list[dict[str, Any]] = yaml.safe_load(text)
    return loaded


def enroll(workspace: Workspace, now: datetime) -> None:
    """Enter the standard jobs that the registry does not know yet."""
    known = {row["name"] for row in book.jobs(workspace.registry)}
    for row in _standard():
        if row["name"] not in known:
            book.keep_job(workspace.registry, row, who=_WHO, at=now)


def jobs(workspace: Workspace, now: datetime) -> list[Row]:
    """All jobs with `title` (zh, en), `next` (None while disabled) and `last`, the newest run or None."""
    enroll(workspace, now)
    titles = {row["name"]: row["title"] for row in _standard()}
    last, zone = book.last_runs(workspace.registry), workspace.settings.timezone
    return [
        {
            **row,
            "title": titles.get(row["name"], {"zh": row["name"], "en": row["name"]}),
            "next": next_due(row["schedule"], zone, now) if row["enabled"] else None,
            "last": last.get(row["name"]),
        }
        for row in book.jobs(workspace.registry)
    ]


def keep_job(workspace: Workspace, row: Mapping[str, Any], *, who: str, now: datetime) -> None:
    """Enter or change a job: `name`, `action`, `schedule`, `arguments`, `enabled`.

    Raises UnknownName (action) and UsageError (name or schedule).
    """
    if row["action"] not in actions():
        raise UnknownName("action", row["action"], sorted(actions()))
    if not row["name"] or len(row["name"]) > 80:
        raise UsageError(f"a job cannot be called {row['name']!r}.", remedy="Give it a short name.")
    if next_due(row["schedule"], workspace.settings.timezone, now) is None:
        raise UsageError(f"schedule {row['schedule']!r} never comes.", remedy="Check day and month.")
    enroll(workspace, now)
    book.keep_job(workspace.registry, row, who=who, at=now)


def change_job(workspace: Workspace, name: str, *, who: str, now: datetime, **changes: Any) -> None:
    """Change some of a job's `schedule`, `arguments`, `enabled`."""
    enroll(workspace, now)
    keep_job(workspace, {**book.job(workspace.registry, name), **changes}, who=who, now=now)


def set_enabled(workspace: Workspace, name: str, enabled: bool, *, reason: str, who: str, now: datetime) -> None:
    """Pause a job or let it go on, with a reason, which the audit log keeps. UsageError without one or a change.

    What was due while it was paused is not made up for.
    """
    if not reason.strip():
        raise UsageError("reason must not be empty.", remedy="Say why the job is paused or goes on.")
    enroll(workspace, now)
    found = book.job(workspace.registry, name)
    if found["enabled"] == enabled:
        state = "enabled" if enabled else "paused"
        raise UsageError(f"job {name!r} is {state} already.", remedy="Nothing more is needed.")
    changed = {**found, "enabled": enabled}
    book.keep_job(workspace.registry, changed, who=who, at=now, reason=reason.strip())


def history(workspace: Workspace, name: str | None = None, limit: int = 50) -> list[Row]:
    """Runs of jobs, newest first."""
    if name is not None:
        book.job(workspace.registry, name)
    return book.job_runs(workspace.registry, job=name, limit=limit)


# -- doing them ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that is ours to do."""

    run_id: int
    job: Row
    due: datetime


def this_process() -> str:
    """Names this process among those of other machines."""
    return f"{socket.gethostname()}:{os.getpid()}"


def due_now(workspace: Workspace, *, holder: str, now: datetime) -> list[Claimed]:
    """Claim what is due; nothing while another process is the scheduler.

    A job that was due several times since it last ran is due once, for the last of them.
    """
    registry, zone = workspace.registry, workspace.settings.timezone
    if not book.take_lease(registry, LEASE, holder, now=now, until=now + ALIVE):
        return []
    enroll(workspace, now)
    book.close_dead_runs(registry, now=now)
    last, found = book.last_runs(registry), []
    for job in book.jobs(registry):
        if not job["enabled"]:
            continue
        before = last.get(job["name"])
        due = _due(job, before, zone, now)
        run_id = None if due is None else _claim(workspace, job, due, holder=holder, who=_WHO, now=now)
        if due is not None and run_id is not None:
            found.append(Claimed(run_id, job, due))
    return found


def _due(job: Row, before: Row | None, zone: str, now: datetime) -> datetime | None:
    """The moment to work for: a newer one, or the last one again when its run was interrupted."""
    after = job["at"] if before is None else max(before["due"], job["at"])
    newer = last_due(job["schedule"], zone, after=after, now=now)
    if newer is None and before is not None and before["outcome"] == book.INTERRUPTED:
        return before["due"]  # type: ignore[no-any-return]
    return newer


def _claim(workspace: Workspace, job: Row, due: datetime, *, holder: str, who: str, now: datetime) -> int | None:
    return book.claim(workspace.registry, job, due, holder=holder, who=who, at=now, alive_until=now + ALIVE)


def execute(workspace: Workspace, claimed: Claimed, clock: Callable[[], datetime]) -> str:
    """Do a claimed run and write down how it ended: ``done`` or ``failed``, with the error."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(ALIVE.total_seconds() / 4):
            book.stay_alive(workspace.registry, claimed.run_id, clock() + ALIVE)

    beating = threading.Thread(target=beat, name=f"alive-{claimed.run_id}", daemon=True)
    beating.start()
    outcome, result, error = book.DONE, {}, ""
    try:
        name = claimed.job["action"]
        if name not in actions():
            raise UnknownName("action", name, sorted(actions()))
        result = dict(actions()[name](workspace, claimed.job["arguments"], clock()))
    except QinglanError as fault:
        outcome, error = book.FAILED, str(fault)
        log.error("job %s: %s", claimed.job["name"], fault)
    except Exception as fault:
        outcome, error = book.FAILED, f"{type(fault).__name__}: {fault}"
        log.exception("job %s failed", claimed.job["name"])
    finally:
        ended.set()
        beating.join()
    book.finish(workspace.registry, claimed.run_id, outcome, at=clock(), result=result, error=error)
    return outcome


def run_job(workspace: Workspace, name: str, *, who: str, clock: Callable[[], datetime]) -> Row:
    """Do a job now, enabled or not; its run as it is written down.

    Raises UnknownName, and UsageError while a run of it is alive.
    """
    now = clock()
    enroll(workspace, now)
    book.close_dead_runs(workspace.registry, now=now)
    job = book.job(workspace.registry, name)
    run_id = _claim(workspace, job, now, holder=this_process(), who=who, now=now)
    if run_id is None:
        raise UsageError(f"job {name!r} is running.", remedy="`qinglan jobs history` shows it; wait for its end.")
    execute(workspace, Claimed(run_id, job, now), clock)
    return next(row for row in book.job_runs(workspace.registry, job=name) if row["id"] == run_id)


def scheduler_alive(workspace: Workspace, now: datetime) -> bool:
    """Whether some process does what is due."""
    until = book.lease_until(workspace.registry, LEASE)
    return until is not None and until > now


def start_job(workspace: Workspace, name: str, *, who: str, clock: Callable[[], datetime]) -> bool:
    """Begin a job beside this thread; False when a run of it is alive already. UnknownName for no such job."""
    enroll(workspace, clock())
    book.job(workspace.registry, name)
    before = book.job_runs(workspace.registry, job=name, limit=1)
    if before and before[0]["outcome"] == book.RUNNING and before[0]["alive_until"] > clock():
        return False

    def work() -> None:
        try:
            run_job(workspace, name, who=who, clock=clock)
        except UsageError as fault:  # another worker began one in the same moment: its progress is what is shown
            log.info("job %s: %s", name, fault)

    threading.Thread(target=work, name=f"job-{name}", daemon=True).start()
    return True


# -- fitness -------------------------------------------------------------------------------------------------

#: Less free space than this and no load or run can be trusted to end [byte].
ENOUGH = 512 * 1024**2


def free_space(workspace: views.Workspace) -> int:
    """Free space on the home's disk [byte]."""
    return shutil.disk_usage(workspace.home).free


def registry_answers(workspace: views.Workspace) -> bool:
    """Whether the registry can be read; a bare folder of results has none to ask."""
    if isinstance(workspace, Workspace):
        workspace.registry.revision()
    return True


def last_runs(workspace: views.Workspace) -> dict[str, Row]:
    """The newest run of each job; nothing for a bare folder of results."""
    return book.last_runs(workspace.registry) if isinstance(workspace, Workspace) else {}


def administered(home: Path) -> bool:
    """Whether somebody can manage the accounts of a workspace."""
    return accounts.has_administrator(open_workspace(home).registry)
