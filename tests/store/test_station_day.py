"""A station's day read straight from Parquet is the lake's own day. Source: docs/design/0005-store.md (lake)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from qinglan.core.errors import StoreError, UnknownName
from qinglan.core.tables import dataset
from qinglan.store.lake import Lake
from qinglan.store.station_day import station_day


def hours(first: datetime, count: int, station: str) -> list[dict[str, object]]:
    made = []
    for k in range(count):
        end = first + timedelta(hours=k)
        wall = end + timedelta(hours=7)
        row = {"station": station, "time": end, "day": wall.date(), "hour": wall.hour + 1, "pm10": float(k)}
        made.append({name: row[name] for name in row if name in dataset("hours").names})
    return made


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path / "lake")
    start = datetime(2025, 1, 30, 17, tzinfo=UTC)
    rows = [row for station in ("1480A", "1481A") for row in hours(start, 72, station)]
    made.upsert("hours", pa.Table.from_pylist(rows), "l1")
    return made


@pytest.mark.parametrize("day", [date(2025, 1, 31), date(2025, 2, 1), date(2025, 2, 2), date(2025, 2, 9)])
def test_the_same_rows_as_the_lakes_table(lake: Lake, day: date) -> None:
    """24:00 of the month's last day lies in the file of that month: 31 January and 1 February are whole."""
    table = lake.table("hours", first=day, last=day, stations=["1481A"])
    expected = table.order_by("time").to_pyarrow().to_pylist()
    assert station_day(lake, "hours", "1481A", day) == expected
    assert len(expected) == (24 if day < date(2025, 2, 9) else 0)


def test_what_cannot_be_read_is_said(lake: Lake) -> None:
    with pytest.raises(UnknownName, match="nothing"):
        station_day(lake, "nothing", "1480A", date(2025, 2, 1))
    for path in lake.paths("hours"):
        path.write_bytes(b"PAR1 broken")
    with pytest.raises(StoreError, match=r"cannot be read.*restore the file from the backup"):
        station_day(lake, "hours", "1480A", date(2025, 2, 1))
