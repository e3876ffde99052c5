"""A home of three stations whose hours are drawn, for the tests of the hourly forecast."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from qinglan.core.names import HOURLY_ITEMS, STATES
from qinglan.flow import series

FIRST = datetime(2024, 12, 1, 1, tzinfo=UTC)
HOURS = 24 * 100
#: Three stations.
STATIONS = ("2901A", "2902A", "2903A")
USUAL = {"so2": 12.0, "no2": 22.0, "co": 0.7, "o3": 60.0, "pm10": 70.0, "pm2_5": 35.0}
#: Hours go on for two days after it.
MADE = FIRST + (HOURS - 48) * timedelta(hours=1) + timedelta(minutes=20)


@dataclass(frozen=True)
class Bare:
    """A home without a registry."""

    home: Path

    def loads(self) -> list[dict[str, Any]]:
        """None."""
        return []


def fabricate(home: Path, after: float = 1.0, before: float = 1.0) -> Bare:
    """A run of three stations with hours that are drawn; those after (last before) MADE are multiplied."""
    rng = np.random.default_rng(3)
    folder = home / "results" / "drawn"
    place = folder / series.FOLDER
    place.mkdir(parents=True)
    cut = HOURS - 48
    clock = np.arange(HOURS)
    region = np.zeros(HOURS)
    for at in range(1, HOURS):
        region[at] = 0.95 * region[at - 1] + 0.15 * rng.normal()

    def rows() -> Iterator[tuple[str, pa.Table]]:
        for station in STATIONS:
            scale = np.where(clock > cut, after, 1.0) * np.where(clock == cut, before, 1.0)
            day = 0.3 * np.sin(2 * np.pi * clock / 24)
            columns: dict[str, Any] = {"time": [FIRST + n * timedelta(hours=1) for n in range(HOURS)]}
            for item in HOURLY_ITEMS:
                columns[item] = USUAL[item] * np.exp(region + day + 0.1 * rng.normal(size=HOURS)) * scale
            for item in HOURLY_ITEMS:
                columns[f"{item}_state"] = [STATES.index("valid")] * HOURS
            yield station, pa.table(columns, schema=series.SCHEMA)

    index = {"format": series.FORMAT, "stations": series._write(place, rows())}
    (place / series.INDEX).write_text(json.dumps(index))
    said = {"run": {"id": "drawn", "code_version": "0"}, "as_of": "2025-03-10", "simulated": True}
    (folder / "verdict.json").write_text(json.dumps(said))
    return Bare(home)
