"""SaQC: range and constants over the series of a table, as its documentation writes it."""

from __future__ import annotations

from typing import Any

import pandas as pd
from saqc import BAD, SaQC


def control(file: str, high: dict[str, float], hours: dict[str, int]) -> dict[str, Any]:
    """Flags by rule. A constant is the same value over a window of `hours` hours."""
    frame = pd.read_parquet(file, columns=["station", "time", *high])
    frame["time"] = pd.to_datetime(frame["time"]).dt.tz_localize(None)
    series = {}
    for station, own in frame.groupby("station", observed=True):
        own = own.set_index("time")
        series |= {f"{station}_{item}": own[item] for item in high}
    qc = SaQC(pd.DataFrame(series))
    counts = {"range": 0, "stuck": 0}
    for name in series:
        item = name.split("_", 1)[1]
        qc = qc.flagRange(name, min=float("-inf"), max=high[item])
        ranged = int((qc.flags[name] == BAD).sum())
        # n values an hour apart span n - 1 hours.
        qc = qc.flagConstants(name, thresh=0, window=f"{hours[item] - 1}h")
        counts["range"] += ranged
        counts["stuck"] += int((qc.flags[name] == BAD).sum()) - ranged
    return counts
