"""Faults: every change is in the truth, the truth undoes it, and each kind looks as it should."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import polars as pl
import pytest

from qinglan.core.names import HOURLY_ITEMS
from qinglan.plan.simulation import FAULT_KINDS, PINNED_KINDS
from qinglan.sim.province import simulate


@pytest.fixture(scope="module")
def truth(province):
    return pl.DataFrame(province.truth_faults)


@pytest.fixture(scope="module")
def hours(province):
    return pl.DataFrame(province.hours).unique(["station", "time"], keep="first", maintain_order=True)


def span(hours, row):
    return hours.filter(
        (pl.col("station") == row["station"]) & pl.col("time").is_between(row["start"], row["end"])
    )


def one(truth, kind, minimum=1):
    return truth.filter((pl.col("kind") == kind) & (pl.col("original").list.len() >= minimum)).rows(named=True)


def test_every_kind_occurs(truth):
    assert set(truth["kind"].unique()) == {*FAULT_KINDS, *PINNED_KINDS, "calibration"}


def test_originals_are_as_long_as_their_episode(truth):
    length = (truth["end"] - truth["start"]).dt.total_hours() + 1
    assert (truth["original"].list.len() == length).all()


def test_stuck_values_stand_still(truth, hours):
    rows = one(truth, "stuck", 8)
    flat = [span(hours, r)[r["item"]].drop_nulls().n_unique() for r in rows]
    assert np.median(flat) == 1
    moving = [len(set(r["original"])) for r in rows]
    assert np.mean(moving) > 3


def test_zero_is_written_for_missing(truth, hours):
    rows = one(truth, "zero", 6)
    assert all((span(hours, r)[r["item"]].drop_nulls() == 0).mean() > 0.9 for r in rows if span(hours, r).height)


def test_drift_ends_below_zero(truth, hours):
    rows = one(truth, "drift")
    ends = [span(hours, r)[r["item"]].drop_nulls() for r in rows]
    assert sum(e.min() < 0 for e in ends if e.len()) >= 0.7 * len(rows)


def test_fine_exceeds_coarse_only_in_swaps_and_other_faults(truth, hours):
    swaps = one(truth, "pm_swap")
    for row in swaps[:20]:
        part = span(hours, row).drop_nulls(["pm2_5", "pm10"])
        assert (part["pm2_5"] > part["pm10"]).mean() > 0.6 or part.height < 3
    odd = hours.filter(pl.col("pm2_5") > pl.col("pm10")).height
    assert odd < 0.01 * hours.height


def test_the_shifted_station_is_a_day_early(province, hours, truth):
    rows = [r for r in truth.filter(pl.col("kind") == "shifted_axis").rows(named=True) if r["item"] == "o3"]
    (row,) = rows
    inside = span(hours, row)["o3"].to_list()
    true = row["original"]
    shown, real = np.array(inside[:-24], dtype=float), np.array(true[24:], dtype=float)
    both = ~np.isnan(shown) & ~np.isnan(real)
    assert (shown[both] == real[both]).mean() > 0.97


def test_gases_in_the_old_reference_state_are_too_high_by_298_over_273(truth, hours):
    """Announcement 2018 No. 29: 298.15 K / 273.15 K = 1.0915 for the same air."""
    (row,) = [
        r for r in truth.filter(pl.col("kind") == "gas_reference_state").rows(named=True) if r["item"] == "o3"
    ]
    shown = span(hours, row).select("time", "o3")
    stamps = pl.datetime_range(row["start"], row["end"], "1h", eager=True)
    both = shown.join(pl.DataFrame({"time": stamps, "real": row["original"]}), on="time").drop_nulls()
    assert (both["o3"] / both["real"]).median() == pytest.approx(298.15 / 273.15, abs=0.005)


def test_particles_in_reference_state_at_3700_m_are_higher_by_half(truth, hours):
    """1013.25 hPa / 645 hPa x T / 298.15 K: 1.45 to 1.6 at Yushu in spring."""
    (row,) = [
        r
        for r in truth.filter(pl.col("kind") == "particle_reference_state").rows(named=True)
        if r["item"] == "pm10"
    ]
    shown = span(hours, row).select("time", "pm10")
    stamps = pl.datetime_range(row["start"], row["end"], "1h", eager=True)
    both = shown.join(pl.DataFrame({"time": stamps, "real": row["original"]}), on="time").drop_nulls()
    assert (both["pm10"] / both["real"]).median() == pytest.approx(1.52, abs=0.08)


def test_swapped_columns_swap_back(truth, hours):
    rows = {r["item"]: r for r in truth.filter(pl.col("kind") == "swapped_columns").rows(named=True)}
    part = span(hours, rows["no2"])
    no2 = np.array([np.nan if v is None else v for v in part["no2"].to_list()], dtype=float)
    was_o3 = np.array(rows["o3"]["original"], dtype=float)
    same = no2 == was_o3
    assert same[~np.isnan(no2)].mean() > 0.95


def test_missing_share_is_one_to_three_per_cent(province, hours):
    stations = hours["station"].unique()
    expected = 0
    for station in stations:
        part = hours.filter(pl.col("station") == station)
        expected += int((part["time"].max() - part["time"].min()).total_seconds() // 3600) + 1
    there = sum(hours[i].count() for i in HOURLY_ITEMS)
    assert 0.01 < 1 - there / (6 * expected) < 0.03


def test_duplicates_are_separate_rows(province, truth):
    raw = pl.DataFrame(province.hours)
    twice = raw.filter(pl.struct("station", "time").is_duplicated())
    assert twice.height > 20
    told = truth.filter(pl.col("kind") == "duplicate")["original"].list.len().sum()
    assert twice.height / 2 == pytest.approx(told, rel=0.2)  # hours of an outage cannot come twice
    differ = twice.unique().height > twice.unique(["station", "time"]).height
    assert differ


def test_undoing_the_faults_in_any_order_gives_the_same_plausible_air(truth, hours):
    """Overlapping episodes tell the same true value; none is missing, none negative."""
    told = truth.with_columns(time=pl.datetime_ranges("start", "end", "1h")).explode("time", "original")
    assert told["original"].null_count() == 0
    assert told["original"].min() > 0
    versions = told.group_by("station", "item", "time").agg(pl.col("original").n_unique().alias("n"), pl.len())
    assert versions["len"].max() > 1
    assert versions["n"].max() == 1


def test_a_station_out_of_service_reports_nothing(parameters, national):
    moved = [s for s in national if s.station in ("3129A", "3867A")]
    made = simulate(moved, parameters, date(2023, 1, 1), date(2023, 1, 10))
    table = pl.DataFrame(made.hours)
    assert table["station"].unique().to_list() == ["3867A"]
    assert table["time"].min() == datetime(2022, 12, 31, 17, tzinfo=UTC)
