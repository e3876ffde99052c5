"""Contestants, the race between them, and its table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CHILD = Path(__file__).with_name("child.py")


@dataclass(frozen=True)
class Contestant:
    """Somebody who does a job.

    job : ``module:function``, run with `arguments` in a fresh process of `python`.
    share : part of the job that this one does; its times are divided by it in the table, which then says so.
    warm : run once before the clock starts, to show the work without what is done once in a process.
    absent : why it does not run, when it cannot.
    """

    name: str
    job: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    python: Path = Path(sys.executable)
    share: float = 1.0
    warm: bool = False
    absent: str = ""


@dataclass
class Result:
    """Runs of one contestant: seconds, CPU seconds, peak memory [MB] and the answer (of the last run)."""

    contestant: Contestant
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    answer: Any = None

    @property
    def least(self) -> float:
        """Quickest run, for the whole job [s]."""
        return min(self.seconds) / self.contestant.share

    @property
    def middle(self) -> float:
        """Median run, for the whole job [s]."""
        return median(self.seconds) / self.contestant.share

    @property
    def work(self) -> float:
        """Least CPU time, for the whole job [s]."""
        return min(self.cpu) / self.contestant.share


@dataclass
class Bench:
    """What a race may use.

    quick : a small job that only proves that the race runs. folder : where data are made and kept between runs.
    rounds : how often each contestant runs.
    """

    quick: bool = False
    folder: Path = field(
        default_factory=lambda: Path(
            os.environ.get("QINGLAN_BENCH_DATA", Path(tempfile.gettempdir()) / "qinglan-benchmarks")
        )
    )
    rounds: int = 3
    say: Callable[[str], None] = print

    def data(self, name: str, make: Callable[[Path], None]) -> Path:
        """A folder of data, made once: written beside its place and moved there when it is whole."""
        place = self.folder / "data" / name
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent) as making:
                made = Path(making) / name
                made.mkdir()
                self.say(f"making {name} ...")
                make(made)
                made.rename(place)
        return place

    def scratch(self, name: str) -> Path:
        """A folder that contestants may write to."""
        place = self.folder / "scratch" / name
        place.mkdir(parents=True, exist_ok=True)
        return place

    def environment(self, package: str, *others: str) -> tuple[Path, str]:
        """Python of a peer's own environment, and why it is absent (empty when it is there).

        Made with ``python -m venv`` and ``pip install PACKAGE ...`` when it is not there; never in a quick run.
        """
        home = self.folder / "environments" / package.replace("==", "-")
        python = home / "bin" / "python"
        ready = home / "ready"
        if ready.exists():
            return python, ""
        if self.quick:
            return python, f"not installed here; a full run installs {package} into its own environment"
        self.say(f"installing {package} into {home} ...")
        install = [str(python), "-m", "pip", "install", "-q", package, *others]
        for command in ([sys.executable, "-m", "venv", str(home)], install):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return python, f"pip install {package} failed: {done.stderr.strip().splitlines()[-1]}"
        ready.touch()
        return python, ""

    def race(
        self, title: str, contestants: Sequence[Contestant], *, unit: tuple[float, str] = (0, "")
    ) -> list[Result]:
        """Run all in turn, print the table (the first one is ours) and give the results of those who ran.

        unit : how many of what the job holds, to print a rate. A quick run leaves out those who warm up.
        """
        here = [Result(c) for c in contestants if not c.absent and not (self.quick and c.warm)]
        for _ in range(1 if self.quick else self.rounds):
            for result in here:
                _run(result)
        self.say(f"\n{title}")
        for line in table(here, unit):
            self.say(line)
        for contestant in contestants:
            if contestant.absent:
                self.say(f"  {contestant.name}: left out, {contestant.absent}")
        return here


def _run(result: Result) -> None:
    who = result.contestant
    environment = {**os.environ, "POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "2"}
    command = [str(who.python), str(CHILD), who.job, json.dumps(dict(who.arguments), default=str)]
    done = subprocess.run(
        [*command, "warm"] if who.warm else command,
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{who.name} failed:\n{done.stderr[-2000:]}")
    told = json.loads(done.stdout.strip().splitlines()[-1])
    result.seconds.append(told["seconds"])
    result.cpu.append(told["cpu"])
    result.peak_mb = max(result.peak_mb, told["peak_mb"])
    result.answer = told["answer"]


def table(results: Sequence[Result], unit: tuple[float, str] = (0, "")) -> list[str]:
    """Lines of text: least and median time, CPU time, memory, and each median as a multiple of the first one's."""
    number, what = unit
    head = f"  {'':34s}{'min s':>9s}{'median s':>10s}{'CPU s':>9s}{'peak MB':>9s}{'x first':>9s}"
    lines = [head + (f"{'ns per ' + what:>16s}" if number else "")]
    for r in results:
        share = "" if r.contestant.share == 1 else f" (1/{1 / r.contestant.share:.0f}, scaled)"
        line = f"  {r.contestant.name + share:34s}{r.least:9.3f}{r.middle:10.3f}{r.work:9.3f}{r.peak_mb:9.0f}"
        line += f"{r.middle / results[0].middle:9.2f}"
        lines.append(line + (f"{r.middle / number * 1e9:16.1f}" if number else ""))
    return lines


def growth(small: Result, large: Result, times: float) -> str:
    """How time and memory grew when the input grew `times` fold."""
    return (
        f"  {large.contestant.name}: {times:g} x the input takes {large.middle / small.middle:.1f} x the time "
        f"({large.work / small.work:.1f} x the CPU time) and {large.peak_mb / small.peak_mb:.1f} x the memory"
    )
