"""pandas: daily means and a sliding mean of one long series."""

from __future__ import annotations

from typing import Any

import pandas as pd


def _series(file: str, item: str) -> pd.Series[float]:
    frame = pd.read_parquet(file, columns=["day", "time", item])
    return frame.set_index("time")[item].sort_index()


def day_means(file: str) -> dict[str, Any]:
    """Daily mean of NO2 where at least 20 hours are there; means of all items are made, as ours are."""
    items = ["so2", "no2", "co", "o3", "pm10", "pm2_5"]
    frame = pd.read_parquet(file, columns=["day", *items])
    groups = frame.groupby("day")[items]
    means, counts = groups.mean(), groups.count()
    valid = means["no2"][counts["no2"] >= 20]
    return {"days": len(valid), "sum": float(valid.sum())}


def sliding(file: str) -> dict[str, Any]:
    """Sliding 8-h mean of ozone by the clock, at least 6 hours."""
    means = _series(file, "o3").rolling("8h", min_periods=6).mean().dropna()
    return {"hours": len(means), "sum": float(means.sum())}
