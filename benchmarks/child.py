"""One run of one contestant in its own process: ``python child.py MODULE:FUNCTION ARGUMENTS [warm]``.

Prints a line of JSON: seconds and CPU seconds of the function (imports excluded), peak memory of the whole
process, and the answer. Needs nothing but the standard library, so that a peer's own environment can run it.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from pathlib import Path

# The repository, not this folder: names here must not hide the standard library's.
sys.path[0] = str(Path(__file__).resolve().parent.parent)


def cpu_seconds() -> float:
    """User and system time of this process so far [s]."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb() -> float:
    """Largest resident size of this process so far [MB].

    Linux lets ``ru_maxrss`` begin at the size of the process that forked this one, so its own mark is read there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        mark = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM:")), "")
        if mark:
            return int(mark.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(target: str, arguments: str, *how: str) -> None:
    """Run ``module:function`` with keyword arguments given as JSON; ``warm``: once before the clock starts."""
    module, name = target.split(":")
    function = getattr(importlib.import_module(module), name)
    if "warm" in how:
        function(**json.loads(arguments))
    began, used = time.perf_counter(), cpu_seconds()
    answer = function(**json.loads(arguments))
    seconds, cpu = time.perf_counter() - began, cpu_seconds() - used
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak_mb(), "answer": answer}))


if __name__ == "__main__":
    main(*sys.argv[1:])
