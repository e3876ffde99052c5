"""pandas: daily mean of the six and daily maximum of their sliding 8-h mean."""

from __future__ import annotations

from glob import glob
from typing import Any

import pandas as pd

ITEMS = ["so2", "no2", "co", "o3", "pm10", "pm2_5"]


def days(folder: str, stations: int, check: bool = False) -> dict[str, Any]:
    """One row per station and day, of the first `stations` stations."""
    last = f"N{stations - 1:05d}"
    columns = ["station", "day", *ITEMS]
    parts = [
        pd.read_parquet(file, columns=columns, filters=[("station", "<=", last)])
        for file in sorted(glob(f"{folder}/hours-*.parquet"))[: 1 + stations // 500]
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame["station"] = frame["station"].astype("category")
    sliding = frame.groupby("station", sort=False, observed=True)[ITEMS].rolling(8, min_periods=6).mean()
    frame[[f"{i}_8h" for i in ITEMS]] = sliding.to_numpy()
    groups = frame.groupby(["station", "day"], sort=False, observed=True)
    means, maxima = groups[ITEMS].mean(), groups[[f"{i}_8h" for i in ITEMS]].max()
    answer: dict[str, Any] = {"days": len(means), "largest": [float(x) for x in maxima.max()]}
    if check:
        counts = groups[ITEMS].count()
        answer["means"] = {i: float(means[i][counts[i] >= 20].sum()) for i in ITEMS}
    return answer
