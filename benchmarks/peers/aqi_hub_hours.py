"""aqi-hub: the hourly AQI of HJ 633-2026, one row at a time, as the package offers it."""

from __future__ import annotations

from typing import Any

import pyarrow.parquet as pq
from aqi_hub.aqi_cn.aqi import cal_aqi_cn

ITEMS = ["pm2_5", "pm10", "so2", "no2", "co", "o3"]


def index(file: str, rows: int) -> dict[str, Any]:
    """AQI of the first `rows` complete hours of a file."""
    table = pq.ParquetFile(file).read(columns=ITEMS).drop_null().slice(0, rows)
    columns = [table[i].to_pylist() for i in ITEMS]
    found = [cal_aqi_cn(*row, data_type="hourly")[0] for row in zip(*columns, strict=True)]
    return {"rows": len(found), "sum": int(sum(found))}
