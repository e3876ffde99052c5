"""Shifted axes and swapped columns: synthetic truth, the simulated province's pinned faults, clean air."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from qinglan.air import qc
from qinglan.air.neighbours import nearest
from qinglan.air.qc import series
from qinglan.core.clock import Period
from qinglan.core.names import HOURLY_ITEMS
from qinglan.plan.rules import load_book

BOOK = load_book("qc", date(2025, 12, 31))
HOURS = 24 * 31
DAYS = np.repeat(np.arange(np.datetime64("2025-05-01"), np.datetime64("2025-06-01")), 24)
NEAR = {f"s{k}": tuple(f"s{j}" for j in range(5) if j != k) for k in range(5)}


def memory(rng: np.random.Generator, size: int, keep: float) -> np.ndarray:
    out = np.zeros(size)
    for i in range(1, size):
        out[i] = keep * out[i - 1] + rng.normal() * np.sqrt(1 - keep**2)
    return out


def region(seed: int, size: int = HOURS) -> dict[str, dict[str, np.ndarray]]:
    """Five stations under one weather, with their own noise, a day cycle and 3 % missing."""
    rng = np.random.default_rng(seed)
    out: dict[str, dict[str, np.ndarray]] = {}
    for item, level in (("no2", 25.0), ("o3", 90.0), ("pm10", 70.0), ("pm2_5", 30.0)):
        shared = 0.5 * memory(rng, size, 0.96) + 0.2 * np.sin(2 * np.pi * np.arange(size) / 24)
        out[item] = {}
        for k in range(5):
            values = level * np.exp(shared + 0.2 * memory(rng, size, 0.7))
            values[rng.random(size) < 0.03] = np.nan
            out[item][f"s{k}"] = np.round(values)
    return out


def test_clean_series_are_not_moved():
    for seed in range(8):
        assert series.shifts(region(seed), NEAR, DAYS, book=BOOK) == []


@pytest.mark.parametrize("lag", [1, -1, 24, -24])
def test_a_shifted_row_axis_is_found_with_its_lag_and_days(lag: int):
    matrices = region(3)
    for own in matrices.values():
        moved = own["s2"].copy()
        # Dated late by `lag`: the value of hour t stands at t + lag, from day 6 to day 25.
        moved[144:600] = own["s2"][144 - lag : 600 - lag]
        own["s2"] = moved
    (found,) = series.shifts(matrices, NEAR, DAYS, book=BOOK)
    assert (found.kind, found.station, found.lag, found.step) == ("shifted_axis", "s2", lag, "hour")
    assert abs((found.start - date(2025, 5, 7)).days) <= 2
    assert abs((found.end - date(2025, 5, 25)).days) <= 2
    assert found.agreeing >= 3


def test_daily_series_dated_a_day_early():
    days = np.arange(np.datetime64("2025-01-01"), np.datetime64("2025-07-01"))
    rng = np.random.default_rng(2)
    matrices: dict[str, dict[str, np.ndarray]] = {}
    for item in ("pm10", "pm2_5", "no2"):
        shared = 0.5 * memory(rng, days.size, 0.5)
        matrices[item] = {f"s{k}": 40 * np.exp(shared + 0.15 * rng.normal(size=days.size)) for k in range(5)}
        matrices[item]["s1"] = np.roll(matrices[item]["s1"], -1)
    (found,) = series.shifts(matrices, NEAR, days, book=BOOK, step="day")
    assert (found.station, found.lag, found.step) == ("s1", -1, "day")


def table(matrices: dict[str, dict[str, np.ndarray]], days: np.ndarray) -> pl.DataFrame:
    parts = []
    for station in matrices["no2"]:
        columns = {i: matrices[i][station] for i in matrices}
        hour = (np.arange(days.size) % 24 + 1).astype(np.int8)
        parts.append(pl.DataFrame({"station": [station] * days.size, "day": days, "hour": hour, **columns}))
    return pl.concat(parts).fill_nan(None)


def test_swapped_columns_are_found_to_the_day(duckdb_engine: Any):
    days = np.repeat(np.arange(np.datetime64("2025-01-01"), np.datetime64("2025-05-01")), 24)
    matrices = region(5, days.size)
    matrices["so2"] = {s: v / 3 for s, v in matrices["no2"].items()}
    clean = duckdb_engine.load(table(matrices, days).to_arrow())
    assert series.swapped(clean, NEAR, book=BOOK) == []
    for one, other, station in (("pm10", "pm2_5", "s1"), ("so2", "no2", "s3")):
        part = slice(24 * 40, 24 * 52)
        first = matrices[one][station][part].copy()
        matrices[one][station][part] = matrices[other][station][part]
        matrices[other][station][part] = first
    found = series.swapped(duckdb_engine.load(table(matrices, days).to_arrow()), NEAR, book=BOOK)
    spans = {(f.station, f.items): (f.start, f.end) for f in found}
    day = date(2025, 2, 10), date(2025, 2, 21)
    assert spans == {("s1", ("pm10", "pm2_5")): day, ("s3", ("so2", "no2")): day}


def test_without_neighbours_the_stations_own_history_tells(duckdb_engine: Any):
    days = np.repeat(np.arange(np.datetime64("2025-01-01"), np.datetime64("2025-05-01")), 24)
    matrices = region(6, days.size)
    matrices["so2"] = {s: v / 4 for s, v in matrices["no2"].items()}
    part = slice(24 * 60, 24 * 70)
    swapped = matrices["no2"]["s0"][part].copy(), matrices["o3"]["s0"][part].copy()
    matrices["o3"]["s0"][part], matrices["no2"]["s0"][part] = swapped
    (found,) = series.swapped(duckdb_engine.load(table(matrices, days).to_arrow()), {}, book=BOOK)
    assert (found.station, found.items) == ("s0", ("no2", "o3"))
    assert abs((found.start - date(2025, 3, 2)).days) <= 1


def test_pinned_faults_of_the_simulated_province(duckdb_engine: Any):
    """2673A dated a day early 2024-05-06..26; 2674A with NO2 and O3 exchanged 2023-09-11..15 (content/sim)."""
    from qinglan.plan.places import load_stations
    from qinglan.plan.simulation import load_parameters
    from qinglan.sim.province import simulate

    stations = load_stations("qinghai")
    near = nearest({s.station: (s.lon, s.lat) for s in stations}, book=BOOK)
    made = simulate(stations, load_parameters(), date(2023, 3, 1), date(2024, 6, 30))
    hours = qc.unique_hours(duckdb_engine.load(made.hours), HOURLY_ITEMS)
    (swap,) = series.swapped(hours, near, book=BOOK)
    assert (swap.station, swap.items) == ("2674A", ("no2", "o3"))
    assert (swap.start, swap.end) == (date(2023, 9, 11), date(2023, 9, 15))
    months = [Period.month(2024, m) for m in (4, 5, 6)]
    (shift,) = series.shifted_hours(hours, near, months, book=BOOK)
    assert (shift.station, shift.lag, shift.agreeing) == ("2673A", -24, 6)
    assert date(2024, 5, 6) <= shift.start <= date(2024, 5, 12)
    assert abs((shift.end - date(2024, 5, 26)).days) <= 1
    flags = series.flags_for(hours, shift)
    rows = duckdb_engine.rows(flags)
    assert {r["rule"] for r in rows} == {"shifted_axis"}
    assert {r["state"] for r in rows} == {"invalid"}
    assert "dated late by -24 hour(s)" in rows[0]["detail"]
