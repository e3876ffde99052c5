"""pandas: the usual loop that reads daily wide files and concatenates them into one long frame."""

from __future__ import annotations

from typing import Any

import pandas as pd

ITEMS = ["PM2.5", "PM10", "SO2", "NO2", "O3", "CO"]


def load(files: list[str], out: str) -> dict[str, Any]:
    """Read, keep the six, one row per station and hour, write Parquet. No check of anything."""
    parts = []
    for file in files:
        frame = pd.read_csv(file, encoding="utf-8-sig")
        frame = frame[frame["type"].isin(ITEMS)]
        tall = frame.melt(["date", "hour", "type"], var_name="station")
        parts.append(tall.pivot(index=["station", "date", "hour"], columns="type", values="value").reset_index())
    hours = pd.concat(parts, ignore_index=True)
    hours["time"] = pd.to_datetime(hours["date"].astype(str), format="%Y%m%d") + pd.to_timedelta(
        hours["hour"], "h"
    )
    hours.to_parquet(out)
    return {"rows": len(hours), "sum": float(hours["PM10"].sum())}
