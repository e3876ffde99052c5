"""Long computations of a server in one process apart, behind its readers.

What holds the interpreter for seconds makes everybody in its process wait. A server says :func:`begin`; for the
shell, notebooks and tests :func:`run` stays a plain call.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

T = TypeVar("T")
#: How far behind the server's own processes it stands (nice).
_BEHIND = 10

_lock = threading.Lock()
_pool: ProcessPoolExecutor | None = None


def begin() -> None:
    """From now on :func:`run` computes in a process apart; it starts with the first question."""
    global _pool
    with _lock:
        if _pool is None:
            spawn = multiprocessing.get_context("spawn")
            _pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=_settle)


def end() -> None:
    """Back to plain calls; a computation under way is finished first."""
    global _pool
    with _lock:
        pool, _pool = _pool, None
    if pool is not None:
        pool.shutdown()


def run(function: Callable[..., T], *given: Any) -> T:
    """What `function(*given)` returns or raises; both, and the function by its name, must survive pickling.

    When the process apart was killed, this one computes, and the next question starts a new one.
    """
    pool = _pool
    if pool is None:
        return function(*given)
    try:
        return pool.submit(function, *given).result()
    except BrokenProcessPool:
        end()
        begin()
        return function(*given)


def _settle() -> None:
    """Stand behind the readers, and end with the server, however it ended."""
    if hasattr(os, "nice"):
        os.nice(_BEHIND)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(0)

    threading.Thread(target=follow, name="follow-parent", daemon=True).start()
