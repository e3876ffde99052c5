"""Is anything wrong in the house? Each thing that somebody has to look after, judged in one place."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from qinglan import __version__
from qinglan.core.errors import QinglanError
from qinglan.flow import backup, console_settings, feeds, operations
from qinglan.flow.workspace import REGISTRY_FILE, Workspace
from qinglan.store import loads, runs
from qinglan.store.engine_sql import size_of

Row = dict[str, Any]
GOOD, WARN, BAD = "good", "warn", "bad"
_GIGA = 1e9
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    name : of the thing. level : good, warn or bad. said : which sentence tells it. numbers : what stands in the
    sentence. href : where one sees more or acts.
    """

    name: str
    level: str
    said: str
    numbers: Row
    href: str


@dataclass(frozen=True, slots=True)
class Health:
    """What was found, the worst first; the sources of data; sizes [byte] and other facts."""

    findings: tuple[Finding, ...]
    sources: tuple[Row, ...]
    facts: Row

    @property
    def worst(self) -> str:
        """The worst level of all."""
        return self.findings[0].level if self.findings else GOOD


def look(workspace: Workspace, now: datetime) -> Health:
    """Look at sources, run, jobs, disk, backup and audit log. What cannot be looked at is itself a finding."""
    sources = feeds.feeds(workspace, now)
    limits = console_settings.numbers(workspace)
    facts = _facts(workspace)
    made = [_sources(sources)]
    looks: tuple[Callable[[], Finding], ...] = (
        lambda: _run(workspace, now),
        lambda: _rejects(workspace),
        lambda: _scheduler(workspace, now),
        lambda: _jobs(workspace, now),
        lambda: _disk(facts, limits["health.disk_free"]),
        lambda: _backup(workspace, now, limits["health.backup_age"]),
        lambda: _proof(workspace, now, limits["health.prove_age"]),
        lambda: _chain(workspace, now, limits["health.chain_age"]),
    )
    for each in looks:
        try:
            made.append(each())
        except (QinglanError, OSError) as fault:
            made.append(Finding("unseen", BAD, "unseen", {"error": str(fault)}, "/admin"))
    order = (BAD, WARN, GOOD)
    return Health(tuple(sorted(made, key=lambda f: order.index(f.level))), tuple(sources), facts)


def _sources(sources: list[Row]) -> Finding:
    counts = Counter(row["state"] for row in sources)
    numbers = {"n": len(sources), **{state: counts[state] for state in feeds.STATES}}
    level = BAD if counts[feeds.FAILING] or counts[feeds.SILENT] else WARN if counts[feeds.LATE] else GOOD
    return Finding("sources", level, {BAD: "broken", WARN: "late"}.get(level, "fine") if sources else "none",
                   numbers, "/admin/sources")  # fmt: skip


def _run(workspace: Workspace, now: datetime) -> Finding:
    """The results, and whether data came in after they were made."""
    current = runs.current_run(workspace.registry, "run")
    if current is None:
        return Finding("run", BAD, "none", {}, "/data/run")
    newer = [
        r for r in loads.loads(workspace.registry)
        if r["finished_at"] is not None and r["finished_at"] > current["at"]
        and any((r["counts"] or {}).get(n) for n in ("inserted", "superseded", "filled"))
    ]  # fmt: skip
    numbers = {"at": current["at"], "n": len(newer)}
    waiting = min((r["finished_at"] for r in newer), default=now)
    if not newer:
        return Finding("run", GOOD, "fine", numbers, "/data/run")
    return Finding("run", WARN if now - waiting > _DAY else GOOD, "older", numbers, "/data/run")


def _rejects(workspace: Workspace) -> Finding:
    counts = loads.reject_counts(workspace.registry, status=loads.OPEN)
    n = sum(int(row["count"]) for row in counts)
    return Finding("rejects", WARN if n else GOOD, "open" if n else "fine", {"n": n}, "/data/rejects")


def _scheduler(workspace: Workspace, now: datetime) -> Finding:
    alive = operations.scheduler_alive(workspace, now)
    return Finding("scheduler", GOOD if alive else BAD, "fine" if alive else "gone", {}, "/admin/jobs")


def _jobs(workspace: Workspace, now: datetime) -> Finding:
    found = [row for row in operations.jobs(workspace, now) if row["enabled"]]
    failed = [r["name"] for r in found if r["last"] and r["last"]["outcome"] in ("failed", "interrupted")]
    numbers = {"n": len(found), "failed": len(failed), "names": ", ".join(failed)}
    return Finding("jobs", BAD if failed else GOOD, "failed" if failed else "fine", numbers, "/admin/jobs")


def _disk(facts: Row, least: float) -> Finding:
    free = facts["free"] / _GIGA
    low = free < least
    numbers = {"free": round(free, 1), "least": round(least, 1)}
    level = BAD if facts["free"] < operations.ENOUGH else WARN if low else GOOD
    return Finding("disk", level, "low" if low else "fine", numbers, "/admin/settings")


def _backup(workspace: Workspace, now: datetime, most: float) -> Finding:
    last = backup.newest(workspace, backup.MADE)
    if last is None:
        return Finding("backup", BAD, "none", {}, "/admin/jobs")
    old = now - last["at"] > most * _DAY
    numbers = {"at": last["at"], "file": last["detail"]["file"], "size": last["detail"]["bytes"], "most": most}
    return Finding("backup", BAD if old else GOOD, "old" if old else "fine", numbers, "/admin/jobs")


def _proof(workspace: Workspace, now: datetime, most: float) -> Finding:
    last = backup.newest(workspace, backup.PROVEN)
    if last is None:
        return Finding("proof", WARN, "none", {}, "/admin/jobs")
    old = now - last["at"] > most * _DAY
    numbers = {"at": last["at"], "file": last["detail"]["file"], "most": most}
    return Finding("proof", WARN if old else GOOD, "old" if old else "fine", numbers, "/admin/jobs")


def _chain(workspace: Workspace, now: datetime, most: float) -> Finding:
    walked = [r for r in operations.history(workspace, limit=500) if r["action"] == "audit.verify"]
    walked = [r for r in walked if r["outcome"] in ("done", "failed")]
    if not walked:
        return Finding("chain", WARN, "none", {}, "/admin/audit?verify=true")
    last = walked[0]
    numbers = {"at": last["finished_at"], "n": last["result"].get("events", 0), "most": most}
    if last["outcome"] == "failed":
        return Finding("chain", BAD, "broken", numbers | {"error": last["error"]}, "/admin/audit?verify=true")
    old = now - last["finished_at"] > most * _DAY
    return Finding("chain", WARN if old else GOOD, "old" if old else "fine", numbers, "/admin/audit?verify=true")


def _facts(workspace: Workspace) -> Row:
    """Version, and sizes [byte] of the home's parts, the registry and the disk."""
    disk = shutil.disk_usage(workspace.home)
    parts = {name: _weight(workspace.home / name) for name in ("lake", "results", "files", "uploads")}
    place = workspace.registry_place
    kind = "SQLite" if isinstance(place, Path) else "PostgreSQL"
    if isinstance(place, Path):
        registry = sum(p.stat().st_size for p in workspace.home.glob(f"{REGISTRY_FILE}*") if p.is_file())
    else:
        registry = size_of(workspace.registry.engine)
    return {
        "version": __version__, "revision": workspace.registry.revision(), "kind": kind, "registry": registry,
        **parts, "free": disk.free, "total": disk.total,
    }  # fmt: skip


def _weight(folder: Path) -> int:
    """Bytes of the files below a folder; one that goes away meanwhile weighs nothing."""
    total = 0
    for at, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(at) / name).stat().st_size
            except OSError:
                continue
    return total
