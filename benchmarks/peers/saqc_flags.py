"""SaQC: range and constants over the series of a table, as its documentation writes it."""

from __future__ import annotations

from collections.abc import Iterable
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
    # One call for all series of an item: each call copies the whole object.
    for item, limit in high.items():
        qc = qc.flagRange([n for n in series if n.split("_", 1)[1] == item], min=float("-inf"), max=limit)
    ranged = _bad(qc, series)
    for item, length in hours.items():
        fields = [n for n in series if n.split("_", 1)[1] == item]
        # n values an hour apart span n - 1 hours.
        qc = qc.flagConstants(fields, thresh=0, window=f"{length - 1}h")
    return {"range": ranged, "stuck": _bad(qc, series) - ranged}


def _bad(qc: SaQC, names: Iterable[str]) -> int:
    return sum(int((qc.flags[name] == BAD).sum()) for name in names)
