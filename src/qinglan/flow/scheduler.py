"""The scheduler's process: asks what is due, does it beside the server, and ends with it."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from qinglan.core.errors import QinglanError
from qinglan.flow import ingest, operations
from qinglan.flow.workspace import Workspace, open_workspace
from qinglan.store import jobs as book

log = logging.getLogger(__name__)

#: Seconds between two looks at what is due, and that a running job gets to end after the word to stop.
EVERY, PATIENCE = 15.0, 30.0


def _now() -> datetime:
    return datetime.now(UTC)


def work(
    workspace: Workspace,
    stop: threading.Event,
    *,
    clock: Callable[[], datetime] = _now,
    every: float = EVERY,
    patience: float = PATIENCE,
) -> None:
    """Do what is due until told to stop.

    every : seconds between two looks. patience : seconds that running jobs get to end then; after that they are
    written down as interrupted, and tried once more by the next scheduler.
    """
    holder = operations.this_process()
    try:  # loads that a killed server left running say so before anybody asks
        ingest.close_dead(workspace, who=operations.LEASE)
    except (QinglanError, OSError) as fault:
        log.error("scheduler: %s", fault)
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(4)},
        job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
    )

    def look() -> None:
        try:
            found = operations.due_now(workspace, holder=holder, now=clock())
        except (QinglanError, OSError) as fault:  # a registry that is away for a moment; the next look tries again
            log.error("scheduler: %s", fault)
            return
        for claimed in found:
            scheduler.add_job(operations.execute, args=[workspace, claimed, clock])

    scheduler.add_job(look, "interval", seconds=every, next_run_time=datetime.now(UTC))
    scheduler.start()
    stop.wait()
    ending = threading.Thread(target=lambda: scheduler.shutdown(wait=True), daemon=True)
    ending.start()
    ending.join(patience)
    book.close_dead_runs(workspace.registry, now=clock(), holder=holder)
    book.give_lease_back(workspace.registry, operations.LEASE, holder, now=clock())


def serve_jobs(home: Path, closed: Connection | None = None) -> None:
    """Be the scheduler's process until a signal, or until the server at the other end of `closed` is gone."""
    stop = threading.Event()

    def told(_number: int, _frame: Any) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    if closed is not None:
        threading.Thread(target=_until_closed, args=(closed, stop), daemon=True).start()
    work(open_workspace(home), stop)
    os._exit(0)  # a job that did not end in time is given up here; its run is written down as interrupted


def _until_closed(closed: Connection, stop: threading.Event) -> None:
    """The pipe is closed when the server ends, however it ended."""
    try:
        closed.recv()
    except (EOFError, OSError):
        stop.set()
