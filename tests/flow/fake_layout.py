"""A layout for tests of the engine, run by path (`runpy`) in the test and in the processes that it kills.

Lines are ``station,day,hour,pm10,co``; ``?`` in a cell is a bad number, an unknown station is set aside,
a first line that is not ``fake`` makes the file unreadable. `STALL` seconds pass before each file.
"""

import os
import signal
import time
from datetime import date
from pathlib import Path

import pyarrow as pa

from qinglan.core.batch import Batch, LayoutInfo, Reject
from qinglan.core.clock import from_day_and_hour
from qinglan.core.errors import LayoutError


class FakeLayout:
    """See the module."""

    LAYOUT = LayoutInfo("fake", "测试", "for tests", ("hours",), (".txt",), options={"lose": "loses rows"})

    def __init__(self, stall: float = 0.0) -> None:
        self.stall = stall

    def sniff(self, path: Path) -> bool:
        return path.suffix == ".txt"

    def read(self, path: Path, context):
        time.sleep(self.stall)
        lines = path.read_text(encoding="utf-8").splitlines()
        if not lines or lines[0] != "fake":
            raise LayoutError(f"{path.name} does not begin with 'fake'.", remedy="Give a fake file.")
        columns = {n: [] for n in ("station", "time", "pm10", "co", "source_line")}
        rejects = []
        for number, line in enumerate(lines[1:], 2):
            station, day, hour, *cells = line.split(",")
            code = context.station(station)
            if code is None:
                rejects.append(Reject("unknown_station", "station", station, number, line))
                continue
            columns["station"].append(code)
            columns["time"].append(from_day_and_hour(date.fromisoformat(day), int(hour)))
            columns["source_line"].append(number)
            for name, cell in zip(("pm10", "co"), cells, strict=True):
                if cell == "?":
                    rejects.append(Reject("bad_number", name, cell, number, line, rows=0))
                columns[name].append(float(cell) if cell not in ("", "?") else None)
        types = [pa.string(), pa.timestamp("us", "UTC"), pa.float64(), pa.float64(), pa.int64()]
        rows = pa.table({n: pa.array(v, t) for (n, v), t in zip(columns.items(), types, strict=True)})
        if context.options.get("lose"):
            yield _Liar("hours", rows.slice(1), path.name, rejects)
        else:
            yield Batch("hours", rows, path.name, rejects)


class _Liar(Batch):
    """Claims one row more than it hands over."""

    @property
    def read(self) -> int:
        return super().read + 1


def load_and_die(home: str, folder: str, point: str, nth: int) -> None:
    """Load a folder in steps of two files and die (SIGKILL) at the nth passing of a point."""
    from qinglan.flow import ingest as engine
    from qinglan.flow.workspace import open_workspace
    from qinglan.store import catalogue, lake, loads, partfile

    passed = 0

    def dying(function):
        def wrapped(*args, **kwargs):
            nonlocal passed
            passed += 1
            if passed == nth and point.startswith("before"):
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **kwargs)
            if passed == nth and point.startswith("after"):
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    where = point.partition(" ")[2]
    if where == "rename":
        partfile.os.replace = dying(os.replace)
    elif where == "file":
        lake.write_file = dying(partfile.write_file)
    elif where == "commit":
        catalogue.Catalogue.swap = dying(catalogue.Catalogue.swap)
    elif where == "checkpoint":
        loads.checkpoint = dying(loads.checkpoint)
    layout = FakeLayout(stall=0.02 if where == "any time" else 0)
    settings = engine.IngestSettings(buffer_rows=2 * 48)
    engine.ingest(open_workspace(home), layout, [folder], settings=settings)


if __name__ == "__killed__":
    load_and_die(HOME, FOLDER, POINT, NTH)  # noqa: F821
