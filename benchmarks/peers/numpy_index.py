"""A numpy look-up table, one thread: the near-physical limit of an hourly AQI by HJ 633-2026."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.parquet as pq

#: HJ 633-2026 table 3, as far as the hour goes. A peer knows its numbers; ours come from the rule book.
_INDEX = (0, 50, 100, 150, 200, 300, 400, 500)
_BOUNDS = {
    "so2": (0, 150, 500, 650, 800),
    "no2": (0, 100, 200, 700, 1200, 2340, 3090, 3840),
    "co": (0, 50, 100, 350, 600, 900, 1200, 1500),
    "o3": (0, 160, 200, 300, 400, 800, 1000, 1200),
    "pm10": (0, 50, 120, 250, 350, 420, 500, 600),
    "pm2_5": (0, 35, 60, 115, 150, 250, 350, 500),
}


def _table(bounds: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.int16]]:
    """IAQI of every printed concentration up to the last breakpoint, and of everything above it."""
    made = np.zeros(bounds[-1] + 2, np.int16)
    for low, high, below, above in zip(bounds, bounds[1:], _INDEX, _INDEX[1:], strict=False):
        count = np.arange(low + 1, high + 1)
        made[count] = below + -((low - count) * (above - below) // (high - low))
    made[-1] = _INDEX[len(bounds) - 1]
    return made


def index(file: str, rows: int) -> dict[str, Any]:
    """AQI of a file of complete hours."""
    table = pq.read_table(file, columns=list(_BOUNDS), use_threads=False)
    best = np.zeros(table.num_rows, np.int16)
    for item, bounds in _BOUNDS.items():
        count = np.rint(table[item].to_numpy() * (10 if item == "co" else 1)).astype(np.int32)
        np.maximum(best, _table(bounds)[np.minimum(count, bounds[-1] + 1)], out=best)
    return {"rows": len(best), "sum": int(best.sum(dtype=np.int64))}
