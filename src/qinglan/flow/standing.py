"""What an answer stands on, as text that changes when it does: whoever keeps answers compares these."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from qinglan.core.errors import QinglanError
from qinglan.flow.views.result import current
from qinglan.flow.workspace import Workspace


def of_run(workspace: Any) -> str:
    """Stands while the current run and its files do; empty when there is none."""
    try:
        return current(workspace).key
    except QinglanError:
        return ""


def of_now(workspace: Any, now: datetime) -> str:
    """Stands for a minute at most, and only while nothing in the registry or the lake changes.

    A decision, evidence, a load, a run, a publication, a report, a right: each is an event of the registry. Empty
    for a bare folder of results, which cannot tell.
    """
    if not isinstance(workspace, Workspace):
        return ""
    event, lake = workspace.registry.newest.event(), _files(workspace.lake.catalogue.path)
    return f"{of_run(workspace)}|{event}|{lake}|{now.timestamp() // 60:.0f}"


def at_hand(workspace: Any) -> bool:
    """Whether :func:`of_now` costs microseconds, so that it may be asked without a thread."""
    return not isinstance(workspace, Workspace) or workspace.registry.newest.at_hand


def _files(path: Path) -> str:
    """Moment and size of a SQLite file and its log (which comes and goes with readers while it is empty)."""
    found: list[str] = []
    for name in (path, path.with_name(f"{path.name}-wal")):
        with suppress(FileNotFoundError):
            stat = name.stat()
            if stat.st_size:
                found.append(f"{stat.st_mtime_ns:x}.{stat.st_size:x}")
    return ",".join(found)
