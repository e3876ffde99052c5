"""A numpy look-up table, one thread: the near-physical limit of an hourly AQI."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pyarrow.parquet as pq


def _table(bounds: Sequence[int], index: Sequence[int], above: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """IAQI of every printed concentration up to the last breakpoint, and of everything above it."""
    made = np.zeros(bounds[-1] + 2, np.int16)
    for low, high, below, top in zip(bounds, bounds[1:], index, index[1:], strict=False):
        slope = Fraction(top - below, high - low)
        made[low + 1 : high + 1] = [below + ceil(slope * n) for n in range(1, high - low + 1)]
    made[-1] = above
    return made


def index(file: str, rows: int, scheme: Mapping[str, Any]) -> dict[str, Any]:
    """AQI of a file of complete hours."""
    table = pq.read_table(file, columns=list(scheme["items"]), use_threads=False)
    best = np.zeros(table.num_rows, np.int16)
    for item, printed in scheme["items"].items():
        unit = 10 if item in scheme["tenths"] else 1
        bounds = [round(b * unit) for b in printed if b is not None]
        count = np.rint(table[item].to_numpy() * unit).astype(np.int32)
        looked = _table(bounds, scheme["index"], scheme["above"][item])[np.minimum(count, bounds[-1] + 1)]
        np.maximum(best, looked, out=best)
    return {"rows": len(best), "sum": int(best.sum(dtype=np.int64))}
