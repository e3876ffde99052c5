"""Simulated data enter by the door of real data (conservation: every row is in the lake or set aside)."""

from __future__ import annotations

from datetime import date

import polars as pl
import pyarrow.parquet as pq
import pytest

from qinglan.core.errors import UsageError
from qinglan.flow.simulate import simulate_into
from qinglan.flow.workspace import Settings, init
from qinglan.plan.places import load_stations
from qinglan.sim.province import SIMULATED

FIRST, LAST = date(2024, 12, 20), date(2025, 1, 20)


@pytest.fixture(scope="module")
def few():
    return [s for s in load_stations("qinghai") if s.place == "630100"]


@pytest.fixture(scope="module")
def filled(tmp_path_factory, few):
    workspace = init(tmp_path_factory.mktemp("home") / "sim", Settings(simulated=True))
    seen = []
    report = simulate_into(workspace, FIRST, LAST, progress=lambda *step: seen.append(step), stations=few)
    return workspace, report, seen


def test_every_row_is_in_the_lake_or_set_aside(filled, few):
    workspace, report, seen = filled
    totals = report.load.totals()
    assert totals["read"] == totals["inserted"] + totals["rejected"] > 0
    assert workspace.lake.rows("weather") == len(few) * 32 * 24
    assert {s[0] for s in seen} == {"simulate", "load"}
    days = workspace.lake.table("hours").day
    assert (days.min().to_pyarrow().as_py(), days.max().to_pyarrow().as_py()) == (FIRST, LAST)


def test_duplicates_are_rejects_that_name_file_and_line(tmp_path):
    workspace = init(tmp_path / "sim", Settings(simulated=True))
    one = [s for s in load_stations("qinghai") if s.station == "2671A"]
    report = simulate_into(workspace, date(2023, 1, 1), date(2023, 12, 31), stations=one)
    codes = report.load.by_code()
    assert set(codes) <= {"duplicate_identical", "duplicate_conflict"}
    assert report.load.total("rejected") > 0
    assert all(r["source"].startswith("hours-2023") for r in workspace.rejects())


def test_truth_and_raw_files_are_marked_simulated(filled):
    workspace, report, _ = filled
    files = [*report.truth, *(workspace.home / "simulated").glob("*.parquet")]
    assert len(files) == 2 + 4  # dust and faults; hours and weather of two years
    assert all(pq.read_schema(f).metadata[SIMULATED] == b"true" for f in files)
    faults = pl.read_parquet(workspace.home / "truth" / "faults.parquet")
    assert faults.columns == ["station", "item", "start", "end", "kind", "original"]


def test_again_changes_nothing(filled, few):
    workspace, _, _ = filled
    before = workspace.lake.fingerprint("hours"), workspace.lake.fingerprint("weather")
    again = simulate_into(workspace, FIRST, LAST, stations=few)
    assert {f.status for f in again.load.files} == {"already_loaded"}
    assert (workspace.lake.fingerprint("hours"), workspace.lake.fingerprint("weather")) == before


def test_a_real_workspace_is_refused(tmp_path, few):
    workspace = init(tmp_path / "real", Settings(simulated=False))
    with pytest.raises(UsageError, match="real data"):
        simulate_into(workspace, FIRST, LAST, stations=few)
    assert not (workspace.home / "truth").exists()
    assert workspace.lake.rows("hours") == 0
