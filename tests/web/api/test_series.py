"""The memory-mapped hours beside the lake they were made from. Source: design 0006 section 7; the lake itself."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.core.names import HOURLY_ITEMS, STATES
from qinglan.flow import series
from qinglan.flow.views import Result
from qinglan.flow.workspace import Workspace

FIRST, LAST = date(2025, 11, 1), date(2025, 12, 31)


@pytest.fixture
def copy(result: Result, tmp_path: Path, workspace: Workspace) -> tuple[Workspace, Path]:
    """The run again, without its series."""
    folder = tmp_path / "results" / result.run_id
    shutil.copytree(result.folder, folder, ignore=shutil.ignore_patterns("series"))
    (tmp_path / "lake").symlink_to(workspace.home / "lake")
    return Workspace(tmp_path, workspace.settings), folder


def test_every_hour_is_that_of_the_lake(workspace: Workspace, result: Result) -> None:
    opened = series.open_series(workspace, result.folder)
    checked = workspace.lake.table("checked").order_by("station", "time").to_pyarrow()
    assert opened.index["rows"] == checked.num_rows > 0
    assert opened.index["exact"] is True
    for station in opened.stations:
        mine = opened.hours(station).table(states=True)
        theirs = checked.filter(np.array(checked["station"].to_pylist()) == station)
        for name in ("time", *HOURLY_ITEMS, *(f"{i}_state" for i in HOURLY_ITEMS)):
            assert mine[name].to_pylist() == theirs[name].to_pylist(), (station, name)


def test_a_run_makes_its_series_and_running_again_keeps_them(result: Result) -> None:
    assert (result.folder / "series" / "index.json").is_file()
    assert not list(result.folder.glob("*.draft"))


def test_slices_have_both_ends(workspace: Workspace, result: Result) -> None:
    opened = series.open_series(workspace, result.folder)
    start = datetime(2025, 12, 1, tzinfo=UTC)
    part = opened.between("1480A", start, start + timedelta(hours=23))
    assert part.time[0] == np.datetime64("2025-12-01T00")
    assert part.time[-1] == np.datetime64("2025-12-01T23")
    assert len(part) == 24
    assert len(opened.last("1480A", 24)) == 24
    assert len(opened.between("1480A", start + timedelta(minutes=1), start + timedelta(minutes=59))) == 0
    assert len(opened.between("1480A", start, start - timedelta(days=1))) == 0
    whole = opened.hours("1480A")
    assert len(opened.between("1480A", None, None)) == len(whole)
    assert part.values["pm10"].base is not None, "a view, not a copy"


def test_latest_and_snapshot_agree_with_the_hours(workspace: Workspace, result: Result) -> None:
    opened = series.open_series(workspace, result.folder)
    assert opened.newest is not None
    for row in opened.latest().to_pylist():
        every = opened.hours(row["station"])
        assert instant_of(every.time[-1]) == row["time"]
        state = STATES[row["pm10_state"]]
        value = float(every.values["pm10"][-1])
        assert row["pm10"] == value or (row["pm10"] is None and value != value)
        assert state == STATES[every.states["pm10"][-1]]
    shot = opened.snapshot(opened.newest)
    at = shot["station"].index("1480A")
    assert shot["o3"][at] == opened.last("1480A", 1).values["o3"][0]
    assert opened.snapshot(datetime(2001, 1, 1, tzinfo=UTC))["station"] == []
    assert opened.snapshot(opened.newest + timedelta(minutes=1))["station"] == []
    gappy = opened.hours("1480A")
    for time in gappy.time[::97]:
        found = opened.snapshot(instant_of(time))
        want = float(gappy.values["pm10"][np.searchsorted(gappy.time, time)])
        assert np.array_equal(found["pm10"][found["station"].index("1480A")], want, equal_nan=True)


def instant_of(time: np.datetime64) -> datetime:
    return time.astype("datetime64[us]").item().replace(tzinfo=UTC)


def test_wrong_asking_is_said(workspace: Workspace, result: Result, tmp_path: Path) -> None:
    opened = series.open_series(workspace, result.folder)
    with pytest.raises(UnknownName, match="1480A"):
        opened.hours("nowhere")
    with pytest.raises(UsageError, match="time zone"):
        opened.between("1480A", datetime(2025, 12, 1), None)  # noqa: DTZ001

    class Bare:
        home = tmp_path

    with pytest.raises(NotFound, match="series"):
        series.open_series(Bare(), tmp_path)


def test_an_older_run_gets_its_series_once_even_when_many_ask(copy: tuple[Workspace, Path]) -> None:
    workspace, folder = copy
    found: list[int] = []
    many = [threading.Thread(target=lambda: found.append(series.open_series(workspace, folder).index["rows"]))
            for _ in range(4)]  # fmt: skip
    for each in many:
        each.start()
    for each in many:
        each.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert sorted(p.name for p in (folder / "series").iterdir()) == ["hours.arrow", "index.json", "latest.arrow"]


def test_a_build_that_dies_leaves_nothing_that_is_read(
    copy: tuple[Workspace, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, folder = copy

    def dies(*_: object) -> list[dict[str, object]]:
        (folder / "series.draft" / "hours.arrow").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(series, "_write", dies)
        with pytest.raises(KeyboardInterrupt):
            series.open_series(workspace, folder)
    assert not (folder / "series").exists()
    assert series.open_series(workspace, folder).index["rows"] > 0
    assert not (folder / "series.draft").exists()


def test_a_run_older_than_the_lake_says_so(copy: tuple[Workspace, Path]) -> None:
    workspace, folder = copy
    said = json.loads((folder / "verdict.json").read_text("utf-8"))
    said["run"]["inputs"]["lake/checked"] = "0" * 64
    (folder / "verdict.json").write_text(json.dumps(said), "utf-8")
    assert series.open_series(workspace, folder).index["exact"] is False
