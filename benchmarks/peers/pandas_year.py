"""pandas: the job that Polars does, and the job that we do as far as the days of the stations."""

from __future__ import annotations

from glob import glob
from typing import Any

import numpy as np
import pandas as pd

ITEMS = ["so2", "no2", "co", "o3", "pm10", "pm2_5"]


def _read(folder: str, stations: int, columns: list[str]) -> pd.DataFrame:
    last = f"N{stations - 1:05d}"
    parts = [
        pd.read_parquet(file, columns=columns, filters=[("station", "<=", last)])
        for file in sorted(glob(f"{folder}/hours-*.parquet"))[: 1 + stations // 500]
    ]
    frame = pd.concat(parts, ignore_index=True)
    frame["station"] = frame["station"].astype("category")
    return frame


def days(folder: str, stations: int) -> dict[str, Any]:
    """Daily mean of the six and daily maximum of their sliding 8-h mean, of the first `stations` stations."""
    frame = _read(folder, stations, ["station", "day", *ITEMS])
    sliding = frame.groupby("station", sort=False, observed=True)[ITEMS].rolling(8, min_periods=6).mean()
    frame[[f"{i}_8h" for i in ITEMS]] = sliding.to_numpy()
    groups = frame.groupby(["station", "day"], sort=False, observed=True)
    means, maxima = groups[ITEMS].mean(), groups[[f"{i}_8h" for i in ITEMS]].max()
    return {"days": len(means), "largest": [float(x) for x in maxima.max()]}


def chain(folder: str, stations: int, out: str, hourly: dict[str, Any], daily: dict[str, Any]) -> dict[str, Any]:
    """Valid daily means, MDA8, hourly AQI with level and primary pollutant to Parquet, daily AQI of the stations.

    Vectorised as well as pandas and numpy allow; places, evaluation and ranking are left out.
    """
    frame = _read(folder, stations, ["station", "time", "day", "hour", *ITEMS])
    groups = frame.groupby(["station", "day"], sort=False, observed=True)
    means, counts = groups[ITEMS].mean(), groups[ITEMS].count()
    means = means.where(counts >= 20)
    frame["o3_8h"] = (
        frame.groupby("station", sort=False, observed=True)["o3"].rolling(8, min_periods=6).mean().to_numpy()
    )
    late = frame[frame["hour"] >= 8].groupby(["station", "day"], sort=False, observed=True)["o3_8h"]
    largest, number = late.max(), late.count()
    means["mda8"] = largest.where((number >= 14) | (largest.round() > 160))
    hours = _indexed(frame, hourly)
    hours[["station", "time"]] = frame[["station", "time"]]
    hours.to_parquet(out)
    index = _indexed(means, daily)
    return {
        "means": {i: float(means[i].sum()) for i in ("mda8", *ITEMS) if i != "o3"},
        "hours": int(hours["aqi"].sum()),
        "days": int(index["aqi"].sum()),
    }


def _indexed(values: pd.DataFrame, scheme: dict[str, Any]) -> pd.DataFrame:
    """AQI, level and primary pollutants of each row."""
    single = np.full((len(scheme["items"]), len(values)), np.nan)
    for row, (item, printed) in zip(single, scheme["items"].items(), strict=True):
        bounds = [b for b in printed if b is not None]
        shown = values[item].round(1 if item in scheme["tenths"] else 0).to_numpy()
        top = np.nan if scheme["above"][item] is None else scheme["above"][item]
        # A hair is taken off, or binary fractions would lift whole numbers.
        row[:] = np.ceil(np.interp(shown, bounds, scheme["index"][: len(bounds)], right=top) - 1e-9)
    aqi = np.nanmax(np.where(np.isnan(single), -1, single), axis=0)
    aqi[aqi < 0] = np.nan
    names = list(scheme["items"])
    code = np.where(aqi > 50, (2 ** np.arange(len(names))) @ (single == aqi), 0).astype(np.int16)
    spelled = [",".join(n for i, n in enumerate(names) if m >> i & 1) for m in range(2 ** len(names))]
    level = 1 + np.searchsorted([50, 100, 150, 200, 300], np.nan_to_num(aqi), side="left")
    primary = pd.Categorical.from_codes(code, spelled)
    return pd.DataFrame(
        {"aqi": aqi, "level": level.astype(np.int8), "primary_pollutant": primary}, index=values.index
    )
