"""What tests of connectors share: a small world of stations and places, and the way through the door."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from qinglan.core.batch import Batch, ReadContext, Reject
from qinglan.core.contracts import judge

PLACES = {
    "西宁": "630100",
    "xining": "630100",
    "西宁市": "630100",
    "630100": "630100",
    "兰州": "620100",
    "lanzhou": "620100",
}
STATIONS = {
    ("1480A", None): "1480A",
    ("1481A", None): "1481A",
    ("市环境监测站", "630100"): "1480A",
    ("省医药仓库", "630100"): "1481A",
    ("榆中兰大校区", "620100"): "1477A",
}


def station(name: str, place: str | None = None) -> str | None:
    """A register of three stations; names only count within their city."""
    code = PLACES.get(place) if place else None
    return STATIONS.get((name, None)) or STATIONS.get((name, code))


@pytest.fixture
def context() -> Callable[..., ReadContext]:
    """``context(label="begin")``: the small world under options."""

    def make(**options: Any) -> ReadContext:
        return ReadContext(station, PLACES.get, options)

    return make


@pytest.fixture
def any_context() -> Callable[..., ReadContext]:
    """A world in which every name is its own code."""

    def make(**options: Any) -> ReadContext:
        return ReadContext(lambda name, place=None: name, lambda name: name, options)

    return make


class Outcome(NamedTuple):
    """What came of a file: rows by data set, all rejects (the reader's and the door's), rows met."""

    rows: Mapping[str, pl.DataFrame]
    rejects: list[Reject]
    read: int

    @property
    def codes(self) -> list[str]:
        return sorted(r.code for r in self.rejects)

    def only(self, code: str) -> list[Reject]:
        return [r for r in self.rejects if r.code == code]


@pytest.fixture
def door() -> Callable[[Iterable[Batch]], Outcome]:
    """Batches through the check at the door; insists that every row met is kept or set aside."""

    def through(batches: Iterable[Batch]) -> Outcome:
        rows: dict[str, pl.DataFrame] = {}
        rejects: list[Reject] = []
        read = 0
        for batch in batches:
            read += batch.read
            rejects += batch.rejects
            frame = pl.DataFrame(batch.rows)
            if batch.dataset != "stations":
                frame, more = judge(frame, batch.dataset)
                rejects += more
            rows[batch.dataset] = frame
        assert read == sum(f.height for f in rows.values()) + sum(r.rows for r in rejects)
        return Outcome(rows, rejects, read)

    return through


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """``written("a.csv", text, encoding)``: a file on disk."""

    def write(name: str, text: str | bytes, encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return write
