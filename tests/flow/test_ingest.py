"""Loading: idempotence, accounting, faults of files, death in the middle. Source: docs/design/0005-store.md."""

from __future__ import annotations

import multiprocessing
import os
import random
import runpy
import signal
import time
import zipfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from qinglan.core.batch import Batch, LayoutInfo
from qinglan.core.errors import NotFound, StoreError, UnknownName, UsageError
from qinglan.flow.ingest import IngestSettings, Progress, ingest, retry_rejects
from qinglan.flow.sources import guess_layout, layout_named, layouts
from qinglan.flow.workspace import Settings, Workspace, init, open_workspace
from qinglan.store import loads
from qinglan.store.stations import register_stations

FAKE = Path(__file__).with_name("fake_layout.py")
FakeLayout = runpy.run_path(str(FAKE))["FakeLayout"]
DAY = date(2025, 1, 31)  # the first merge of two daily files touches two months


def station(code: str) -> dict[str, Any]:
    return {"station": code, "name": f"站{code}", "place": "630100"}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return init(tmp_path / "home", stations=[station("A"), station("B")])


def write_day(folder: Path, day: date, *, stations: str = "AB", pm10: float = 50.0, co: str = "0.5") -> Path:
    folder.mkdir(exist_ok=True)
    lines = [f"{s},{day},{hour},{pm10 + hour},{co}" for hour in range(1, 25) for s in stations]
    path = folder / f"{day}.txt"
    path.write_text("\n".join(["fake", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six daily files over a month's end, 48 rows each."""
    for number in range(6):
        write_day(tmp_path / "in", DAY + timedelta(days=number))
    return tmp_path / "in"


def test_loading_twice_changes_nothing(workspace: Workspace, folder: Path) -> None:
    first = ingest(workspace, FakeLayout(), [folder])
    assert (first.total("read"), first.total("inserted"), first.status) == (288, 288, "done")
    mark, files = workspace.lake.fingerprint("hours"), workspace.lake.paths("hours")
    second = ingest(workspace, FakeLayout(), [folder])
    assert {f.status for f in second.files} == {"already_loaded"}
    assert first.load_id in second.files[0].message
    forced = ingest(workspace, FakeLayout(), [folder], settings=IngestSettings(force=True))
    assert (forced.total("unchanged"), forced.total("inserted")) == (288, 0)
    assert (workspace.lake.fingerprint("hours"), workspace.lake.paths("hours")) == (mark, files)


def test_a_renamed_copy_is_not_loaded_again_but_other_options_are(workspace: Workspace, folder: Path) -> None:
    ingest(workspace, FakeLayout(), [folder])
    copy = folder.parent / "copy.txt"
    copy.write_bytes((folder / f"{DAY}.txt").read_bytes())
    assert ingest(workspace, FakeLayout(), [copy]).files[0].status == "already_loaded"
    again = ingest(workspace, FakeLayout(), [copy], options={"accept_units": "yes"})
    assert (again.files[0].status, again.total("unchanged")) == ("done", 48)


def test_every_row_read_is_accounted_for(workspace: Workspace, tmp_path: Path) -> None:
    """One bad cell, one unknown station, one repeat that agrees, one that does not, one cell out of contract."""
    path = write_day(tmp_path / "in", DAY, stations="A")
    with path.open("a", encoding="utf-8") as out:
        out.write(f"A,{DAY + timedelta(days=1)},1,?,0.5\nX,{DAY},1,50,0.5\nA,{DAY},1,51.0,0.5\nA,{DAY},2,7,0.5\n")
        out.write(f"A,{DAY + timedelta(days=1)},2,1e9,0.5\n")
    report = ingest(workspace, FakeLayout(), [path])
    (file,) = report.files
    assert file.by_code == {
        "bad_number": 1, "unknown_station": 1, "duplicate_identical": 1, "duplicate_conflict": 1,
        "out_of_contract": 1,
    }  # fmt: skip
    assert (file.read, file.inserted, file.rejected, file.cells) == (29, 26, 3, 2)
    assert file.read == file.accepted + file.rejected
    kept = {r["code"]: (r["line"], r["raw"]) for r in loads.rejects(workspace.registry)}
    assert kept["unknown_station"] == (27, f"X,{DAY},1,50,0.5")
    assert kept["duplicate_conflict"][0] == 29
    assert kept["out_of_contract"][0] == 30
    assert report.as_dict()["totals"]["rejected"] == 3
    assert workspace.lake.rows("hours") == 26


def test_a_reader_that_loses_a_row_is_not_believed(workspace: Workspace, folder: Path) -> None:
    report = ingest(workspace, FakeLayout(), [folder], options={"lose": True})
    assert report.status == "failed"
    assert "48 rows read, but 47 good and 0 set aside" in report.files[0].message
    assert workspace.lake.rows("hours") == 0


def test_a_file_that_cannot_be_read_does_not_stop_the_others(workspace: Workspace, folder: Path) -> None:
    (folder / "a_wrong.txt").write_text("not fake\n", encoding="utf-8")
    (folder / "b_gbk.txt").write_bytes("fake\n西宁,1".encode("gbk"))
    report = ingest(workspace, FakeLayout(), [folder])
    failed = {f.name: f.message for f in report.files if f.status == "failed"}
    assert set(failed) == {"a_wrong.txt", "b_gbk.txt"}
    assert failed["a_wrong.txt"] == "a_wrong.txt does not begin with 'fake'. Give a fake file."
    assert "decode" in failed["b_gbk.txt"]
    assert report.total("inserted") == 288
    assert {r["source"] for r in loads.rejects(workspace.registry, code="unreadable")} == set(failed)
    (folder / "a_wrong.txt").write_text(f"fake\nA,{DAY + timedelta(days=9)},1,5,1\n", encoding="utf-8")
    mended = ingest(workspace, FakeLayout(), [folder])
    assert {f.name: f.status for f in mended.files if f.status != "already_loaded"} == {
        "a_wrong.txt": "done",
        "b_gbk.txt": "failed",
    }


def test_a_later_file_supersedes_but_its_empty_cells_erase_nothing(workspace: Workspace, tmp_path: Path) -> None:
    ingest(workspace, FakeLayout(), [write_day(tmp_path / "a", DAY)])
    corrected = write_day(tmp_path / "b", DAY, pm10=60.0, co="")
    report = ingest(workspace, FakeLayout(), [corrected])
    assert report.total("superseded") == 48
    table = workspace.lake.table("hours")
    assert table.co.count().to_pyarrow().as_py() == 48
    assert workspace.lake.rows("hours_superseded") == 48
    report = ingest(workspace, FakeLayout(), [corrected], replace=True)
    assert report.total("superseded") == 48
    assert workspace.lake.table("hours").co.count().to_pyarrow().as_py() == 0


def test_order_of_files_decides_also_within_one_load(workspace: Workspace, tmp_path: Path) -> None:
    older, newer = write_day(tmp_path / "a", DAY), write_day(tmp_path / "b", DAY, pm10=60.0)
    report = ingest(workspace, FakeLayout(), [older, newer])
    assert [(f.inserted, f.superseded) for f in report.files] == [(48, 0), (0, 48)]
    assert workspace.lake.table("hours").pm10.min().to_pyarrow().as_py() == 61.0


def test_rejects_are_repaired_when_the_register_is(workspace: Workspace, tmp_path: Path) -> None:
    path = write_day(tmp_path / "in", DAY, stations="AX")
    with path.open("a", encoding="utf-8") as out:
        out.write(f"A,{DAY + timedelta(days=1)},1,?,1\n")
    load = ingest(workspace, FakeLayout(), [path])
    assert load.total("rejected") == 24
    register_stations(workspace.registry, [station("X")], who="t")
    retried = retry_rejects(workspace, load.load_id, layout=FakeLayout())
    assert (retried.repaired, retried.still_open, retried.lost) == (24, 1, ())
    assert retried.reports[0].total("inserted") == 24
    assert [r["code"] for r in loads.rejects(workspace.registry)] == ["bad_number"]
    path.unlink()
    later = retry_rejects(workspace, retried.reports[0].load_id, layout=FakeLayout())
    assert (later.repaired, later.still_open, later.lost) == (0, 1, (str(path),))


def test_folders_patterns_and_archives(workspace: Workspace, folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "pack.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for path in sorted(folder.iterdir())[:2]:
            out.write(path, f"2025/{path.name}")
        out.writestr("readme.md", "not data")
    report = ingest(workspace, FakeLayout(), [archive, folder / "*-02-*.txt"])
    assert [f.name for f in report.files][:2] == [
        f"pack.zip!2025/{DAY}.txt",
        f"pack.zip!2025/{DAY + timedelta(days=1)}.txt",
    ]
    assert report.total("inserted") == 288
    assert ingest(workspace, FakeLayout(), [folder]).load_id == "", "the same bytes, whatever they came in"
    with pytest.raises(NotFound, match=r"nothing to read at .*nowhere"):
        ingest(workspace, FakeLayout(), [folder, tmp_path / "nowhere"])


def test_what_is_unknown_is_refused(workspace: Workspace, folder: Path) -> None:
    with pytest.raises(UsageError, match=r"fake has no option sheet.*lose"):
        ingest(workspace, FakeLayout(), [folder], options={"sheet": 1})
    with pytest.raises(UnknownName, match="national_hourly"):
        layout_named("fake")


def test_progress_is_told_for_each_file(workspace: Workspace, folder: Path) -> None:
    told: list[Progress] = []
    ingest(workspace, FakeLayout(), [folder], progress=told.append)
    assert [(p.done, p.files, p.rows) for p in told] == [(i, 6, 48 * i) for i in range(1, 7)]


def test_every_layout_of_the_package_fulfils_its_contract() -> None:
    for name, layout in layouts().items():
        info = layout.LAYOUT
        assert info.name == name
        assert all((info.title_zh, info.title_en, info.datasets, info.extensions))
        assert all(e.startswith(".") for e in info.extensions)


# -- death in the middle -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nursery() -> Any:
    """A clean server process that has the engine imported, so that each victim starts at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["qinglan.flow.ingest"])
    return context


def kill_at(nursery: Any, home: Path, folder: Path, point: str, nth: int = 1, after: float | None = None) -> int:
    given = {"HOME": str(home), "FOLDER": str(folder), "POINT": point, "NTH": nth}
    victim = nursery.Process(target=runpy.run_path, args=(str(FAKE), given, "__killed__"))
    victim.start()
    if after is not None:
        victim.join(after)
        if victim.is_alive():
            os.kill(victim.pid, signal.SIGKILL)
    victim.join(60)
    return int(victim.exitcode)


def check_whole_and_complete(home: Path, folder: Path, wanted: str) -> int:
    """After a death: readable, verified, whole merges only; loaded again: as an undisturbed load leaves it."""
    workspace = open_workspace(home)
    assert workspace.lake.verify() == []
    rows = workspace.lake.table("hours").count().to_pyarrow().as_py()
    assert rows == workspace.lake.rows("hours")
    assert rows % 96 == 0, "a merge of two files is in wholly or not at all"
    loaded = [f for load in workspace.loads() for f in loads.load(workspace.registry, load["id"])["files"]]
    assert 48 * len(loaded) <= rows, "a checkpointed file is in the lake"
    report = ingest(workspace, FakeLayout(), [folder])
    assert [f.status for f in report.files].count("already_loaded") == len(loaded)
    assert workspace.lake.fingerprint("hours") == wanted
    assert workspace.lake.verify() == []
    assert {load["status"] for load in workspace.loads()} <= {"done", "interrupted"}
    assert workspace.lake.rows("hours_superseded") == 0
    return int(rows)


@pytest.fixture
def wanted(tmp_path: Path, folder: Path) -> str:
    undisturbed = init(tmp_path / "undisturbed", stations=[station("A"), station("B")])
    ingest(undisturbed, FakeLayout(), [folder])
    return undisturbed.lake.fingerprint("hours")


@pytest.mark.parametrize(
    ("point", "nth", "rows"),
    [
        ("before rename", 1, 0),
        ("after rename", 1, 0),  # one of the two months' files is in place
        ("after file", 2, 0),  # both are
        ("before commit", 2, 96),
        ("after commit", 2, 192),
        ("before checkpoint", 3, 288),
        ("after checkpoint", 1, 96),
    ],
)
def test_killed_at_a_point(
    nursery: Any, workspace: Workspace, folder: Path, wanted: str, point: str, nth: int, rows: int
) -> None:
    assert kill_at(nursery, workspace.home, folder, point, nth) == -signal.SIGKILL
    assert check_whole_and_complete(workspace.home, folder, wanted) == rows


def test_killed_at_any_time_again_and_again(nursery: Any, workspace: Workspace, folder: Path, wanted: str) -> None:
    """Five deaths at random moments, each on top of what the one before left."""
    chance = random.Random(20250130)
    for _ in range(5):
        kill_at(nursery, workspace.home, folder, "any time", after=chance.uniform(0.05, 0.8))
        lake = open_workspace(workspace.home).lake
        assert lake.verify() == []
        assert lake.rows("hours") % 96 == 0
    check_whole_and_complete(workspace.home, folder, wanted)


# -- size --------------------------------------------------------------------------------------------------


class DailyArrays:
    """A day of 200 stations per file, made from the file's name: measures the engine, not a parser."""

    LAYOUT = LayoutInfo("arrays", "测试", "for tests", ("hours",), (".day",))

    def sniff(self, path: Path) -> bool:
        return path.suffix == ".day"

    def read(self, path: Path, context: Any) -> Any:
        number = int(path.stem)
        start = np.datetime64("2024-12-31T17:00:00", "us") + np.timedelta64(24 * number, "h")
        times = np.repeat(start + np.arange(24) * np.timedelta64(1, "h"), 200)
        stations = np.tile(np.array([f"S{i:03d}" for i in range(200)]), 24)
        values = np.random.default_rng(number).integers(1, 200, (6, 4800)).astype(float)
        items = dict(zip(("so2", "no2", "o3", "pm10", "pm2_5"), values, strict=False))
        rows = {
            "station": stations,
            "time": pa.array(times).cast(pa.timestamp("us", "UTC")),
            **items,
            "co": values[5] / 100,
        }
        yield Batch("hours", pa.table(rows), path.name)


def test_a_year_of_daily_files_writes_each_month_about_once(workspace: Workspace, tmp_path: Path) -> None:
    """365 files, 1.75 million rows: no month may be written again for each of its days."""
    folder = tmp_path / "days"
    folder.mkdir()
    for number in range(365):
        (folder / f"{number:03d}.day").write_text(str(number), encoding="utf-8")
    began = time.monotonic()
    report = ingest(workspace, DailyArrays(), [folder])
    assert time.monotonic() - began < 120, "hangs"  # not a speed test: benchmarks/ measures
    assert report.total("inserted") == 365 * 4800 == workspace.lake.rows("hours")
    written = len(workspace.lake.catalogue.known())
    assert written <= 12 + 2, "a month is written once, twice where the buffer was full in its middle"
    days = workspace.lake.table("hours").day.nunique().to_pyarrow().as_py()
    assert days == 365


# -- the workspace -----------------------------------------------------------------------------------------


def test_a_folder_that_is_no_workspace_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="Run `qinglan init"):
        open_workspace(tmp_path)
    (tmp_path / "letter.txt").write_text("private", encoding="utf-8")
    with pytest.raises(UsageError, match="not empty"):
        init(tmp_path)


def test_a_simulated_workspace_never_becomes_a_real_one(tmp_path: Path) -> None:
    made = init(tmp_path / "home", Settings(simulated=True, memory_limit="1GB"))
    assert open_workspace(made.home).settings == Settings(simulated=True, memory_limit="1GB")
    init(tmp_path / "home", Settings(simulated=True, memory_limit="1GB"))
    with pytest.raises(UsageError, match="simulated: True, asked False"):
        init(tmp_path / "home", Settings(memory_limit="1GB"))


def test_unknown_settings_are_errors(workspace: Workspace) -> None:
    file = workspace.home / "qinglan.toml"
    file.write_text(file.read_text(encoding="utf-8") + 'memroy = "1GB"\n', encoding="utf-8")
    with pytest.raises(StoreError, match=r"unknown key 'memroy'.*memory_limit"):
        open_workspace(workspace.home)


def test_a_page_reads_a_station_day(workspace: Workspace, folder: Path) -> None:
    ingest(workspace, FakeLayout(), [folder])
    rows = workspace.station_hours("hours", "A", DAY)
    assert [r["hour"] for r in rows] == list(range(1, 25))
    assert rows[0]["pm10"] == 51.0


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("西宁", "630100"),
        ("630100", "630100"),
        ("海南", "632500"),
        ("吉林", "220200"),
        ("青海", "630000"),
        ("亚特兰蒂斯", None),
    ],
)
def test_names_of_places_mean_cities_first(workspace: Workspace, name: str, code: str | None) -> None:
    assert workspace.place_of(name) == code


def test_real_national_files_load_and_a_station_list_repairs_them(workspace: Workspace, test_data: Path) -> None:
    """Three files of the national archive: unknown stations wait until the national list is loaded."""
    load = ingest(workspace, "national_hourly", [test_data / "cnemc_hourly_format"])
    assert set(load.by_code()) == {"unknown_station"}
    assert load.total("read") == load.total("rejected")
    stations = test_data / "cnemc_station_list" / "station_info_1498.csv"
    assert guess_layout(stations) == "station_register"
    ingest(workspace, "station_register", [stations])
    retried = retry_rejects(workspace, load.load_id)
    assert retried.repaired > 0
    report = retried.reports[0]
    assert report.total("read") == report.total("inserted") + report.total("rejected")
    assert set(pl.Series(workspace.lake.table("hours").station.to_pyarrow()).unique()) <= {
        row["station"] for row in pl.read_csv(stations).rename({"ID": "station"}).iter_rows(named=True)
    }
