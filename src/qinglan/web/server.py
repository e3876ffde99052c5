"""Serving the console: one process or several workers, the scheduler beside them, and a calm end.

The process that starts workers imports neither the application nor what jobs need: that takes seconds, and they do
it themselves, side by side.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from qinglan.core.errors import UsageError
from qinglan.web.binding import Binding, check_binding
from qinglan.web.observe import SHARED, configure_logs

if TYPE_CHECKING:
    from fastapi import FastAPI

#: More workers than this on one machine is a slip of the finger.
MOST_WORKERS = 64
#: Seconds after which a worker that does not answer its parent is replaced: a busy machine is not a dead one.
_SILENT = 60
#: How far jobs stand behind the workers (nice).
_BEHIND = 5
#: Carries what a worker must know into its process.
_TOLD = "QINGLAN_SERVING"


@dataclass(frozen=True, slots=True)
class Serving:
    """How to serve.

    workers : processes that answer requests. jobs : also do scheduled jobs, in a process of their own.
    grace : seconds that running requests get to end after the word to stop. log_json : JSON lines, one a request.
    """

    workers: int = 1
    jobs: bool = True
    grace: int = 30
    log_json: bool = False


def serve(
    home: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    how: Serving | None = None,
    certfile: str = "",
    keyfile: str = "",
    behind_proxy: tuple[str, ...] = (),
    host_names: tuple[str, ...] = (),
) -> None:
    """Serve the console of a workspace until interrupted (SIGINT or SIGTERM), then end what is running.

    Raises UsageError for a place to listen that is not safe, or a number of workers that is not sensible.
    """
    how = how or Serving()
    if not 1 <= how.workers <= MOST_WORKERS:
        raise UsageError(f"{how.workers} workers is not in 1..{MOST_WORKERS}.", remedy="Take one for each core.")
    check = partial(
        check_binding,
        host,
        port,
        certfile=certfile,
        keyfile=keyfile,
        behind_proxy=behind_proxy,
        host_names=host_names,
    )
    binding = check(administrator=True)
    if not binding.local:  # only now is the workspace asked
        from qinglan.flow.operations import administered

        binding = check(administrator=administered(home))
    configure_logs(as_json=how.log_json)
    if threading.current_thread() is threading.main_thread():
        # uvicorn answers the signal first and then hands it on to us: nothing more is to be done
        signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    with ExitStack() as stack:
        if how.workers > 1:
            stack.enter_context(_shared_measurements())
        if how.jobs:
            stack.enter_context(_scheduler(home))
        _run(home, binding, how)


def _run(home: Path, binding: Binding, how: Serving) -> None:
    options: dict[str, Any] = {
        "factory": True,
        "log_config": None,
        "access_log": False,
        "timeout_graceful_shutdown": how.grace,
        "timeout_worker_healthcheck": _SILENT,
        **binding.server_options(),
    }
    told = {"home": str(home), "hosts": binding.names, "local": binding.local, "log_json": how.log_json}
    if how.workers == 1:
        uvicorn.run(partial(application, told), **options)
        return
    os.environ[_TOLD] = json.dumps(told)
    try:
        uvicorn.run("qinglan.web.server:worker", workers=how.workers, **options)
    finally:
        os.environ.pop(_TOLD, None)


def application(told: Mapping[str, Any]) -> FastAPI:
    """The application of one process."""
    from qinglan.flow import apart
    from qinglan.web.app import create_app
    from qinglan.web.warm import warm_up

    apart.begin()
    configure_logs(as_json=told["log_json"])
    made = create_app(told["home"], hosts=tuple(told["hosts"]), local=told["local"])
    if (site := getattr(made.state, "site", None)) is not None:
        warm_up(site)
    return made


def worker() -> FastAPI:
    """The application of a worker, which ends with the server that started it, however that ended."""
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=follow, name="follow-parent", daemon=True).start()
    return application(json.loads(os.environ[_TOLD]))


@contextmanager
def _shared_measurements() -> Iterator[None]:
    """A folder in which all workers count together."""
    with tempfile.TemporaryDirectory(prefix="qinglan-metrics-") as folder:
        os.environ[SHARED] = folder
        try:
            yield
        finally:
            os.environ.pop(SHARED, None)


def _jobs(home: Path, theirs: Connection) -> None:
    """Do scheduled jobs, behind the workers where the processor is short: readers wait, nights do not."""
    if hasattr(os, "nice"):
        os.nice(_BEHIND)
    from qinglan.flow.scheduler import serve_jobs

    serve_jobs(home, theirs)


@contextmanager
def _scheduler(home: Path) -> Iterator[None]:
    """The scheduler's process; the pipe tells it when we end."""
    context = multiprocessing.get_context("spawn")
    theirs, ours = context.Pipe(duplex=False)
    process = context.Process(target=_jobs, args=(home, theirs), name="qinglan-jobs", daemon=True)
    process.start()
    theirs.close()
    try:
        yield
    finally:
        ours.close()
        process.join()
