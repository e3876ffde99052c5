"""The lake: round trips, snapshots, faults on the disk. Sources: conservation and synthetic truth."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qinglan.core.clock import from_day_and_hour
from qinglan.core.errors import StoreError, UnknownName, UsageError
from qinglan.core.tables import CHECKED
from qinglan.store.lake import Lake
from qinglan.store.partfile import TEMPORARY

FIRST = date(2025, 1, 31)


def day_rows(day: date, stations: int = 3, **items: float | None) -> pa.Table:
    """One statistical day of hours; pm10 is 100 * station + hour unless given."""
    rows = []
    for number in range(stations):
        for hour in range(1, 25):
            values = {"pm10": 100.0 * number + hour, "co": 0.5, **items}
            rows.append(
                {"station": f"S{number}", "time": from_day_and_hour(day, hour), "day": day, "hour": hour, **values}
            )
    schema = pa.schema(
        [("station", pa.string()), ("time", pa.timestamp("us", "UTC")), ("day", pa.date32()), ("hour", pa.int8())]
        + [(n, pa.float64()) for n in rows[0] if n not in ("station", "time", "day", "hour")]
    )
    return pa.Table.from_pylist(rows, schema=schema)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_round_trip_over_two_months(lake: Lake) -> None:
    rows = pa.concat_tables([day_rows(FIRST), day_rows(FIRST + timedelta(days=1))])
    report = lake.upsert("hours", rows, "l1")
    assert (report.inserted, report.total) == (144, 144)
    assert {p.parent.name for p in lake.paths("hours")} == {"month=01", "month=02"}
    back = lake.table("hours").order_by(["station", "time"]).to_pyarrow()
    expected = rows.sort_by([("station", "ascending"), ("time", "ascending")])
    for name in rows.column_names:
        assert back[name].to_pylist() == expected[name].to_pylist(), name
    assert back["so2"].null_count == 144
    assert set(back["load_id"].to_pylist()) == {"l1"}
    assert lake.verify() == []


def test_days_and_stations_narrow_a_table(lake: Lake) -> None:
    lake.upsert("hours", pa.concat_tables([day_rows(FIRST), day_rows(FIRST + timedelta(days=1))]), "l1")
    one = lake.table("hours", first=FIRST, last=FIRST, stations=["S1"]).to_pyarrow()
    assert set(one["day"].to_pylist()) == {FIRST}
    assert set(one["station"].to_pylist()) == {"S1"}
    assert one.num_rows == 24


def test_the_same_again_changes_nothing(lake: Lake) -> None:
    lake.upsert("hours", day_rows(FIRST), "l1")
    files, mark, snapshot = lake.paths("hours"), lake.fingerprint("hours"), lake.catalogue.snapshot()
    report = lake.upsert("hours", day_rows(FIRST), "l2")
    assert (report.unchanged, report.total) == (72, 72)
    assert (lake.paths("hours"), lake.fingerprint("hours"), lake.catalogue.snapshot()) == (files, mark, snapshot)


def test_fingerprint_says_the_data_not_the_way_they_came(lake: Lake, tmp_path: Path) -> None:
    other = Lake(tmp_path / "other")
    lake.upsert("hours", pa.concat_tables([day_rows(FIRST), day_rows(date(2025, 1, 30))]), "l1")
    other.upsert("hours", day_rows(date(2025, 1, 30)), "x")
    other.upsert("hours", day_rows(FIRST), "y")
    assert other.fingerprint("hours") == lake.fingerprint("hours")
    other.upsert("hours", day_rows(FIRST, pm10=1.0), "z")
    assert other.fingerprint("hours") != lake.fingerprint("hours")


def test_superseded_rows_are_kept_with_both_loads(tmp_path: Path) -> None:
    at = datetime(2025, 2, 3, tzinfo=UTC)
    lake = Lake(tmp_path, now=lambda: at)
    lake.upsert("hours", day_rows(FIRST, stations=1), "l1")
    report = lake.upsert("hours", day_rows(FIRST, stations=1, pm10=777.0, co=None), "l2")
    assert report.superseded == 24
    now = lake.table("hours").to_pyarrow()
    assert set(now["pm10"].to_pylist()) == {777.0}
    assert set(now["co"].to_pylist()) == {0.5}, "an empty cell must not erase a value"
    old = lake.table("hours_superseded").order_by("time").to_pyarrow().to_pylist()
    assert [r["pm10"] for r in old] == [float(h) for h in range(1, 25)]
    assert {(r["load_id"], r["superseded_by"], r["superseded_at"], r["cause"]) for r in old} == {
        ("l1", "l2", at, "changed")
    }


def test_many_small_changes_are_compacted_and_none_is_lost(lake: Lake) -> None:
    for number in range(20):
        lake.upsert("hours", day_rows(FIRST, stations=1, pm10=float(number)), f"l{number}")
    assert lake.rows("hours_superseded") == 19 * 24
    assert len(lake.paths("hours_superseded")) <= 17
    assert lake.verify() == []


def test_city_days_are_kept_by_year(lake: Lake) -> None:
    rows = pa.table({"place": ["630100"] * 2, "day": [date(2015, 3, 3), date(2016, 3, 3)], "pm10": [468.5, 100.0]})
    lake.upsert("city_days", rows, "l1")
    assert [str(p.parent.relative_to(lake.root)) for p in lake.paths("city_days")] == [
        "city_days/year=2015",
        "city_days/year=2016",
    ]
    assert lake.table("city_days", first=date(2016, 1, 1)).count().to_pyarrow().as_py() == 1


def test_coverage_counts_hours_that_say_something(lake: Lake) -> None:
    lake.upsert("hours", day_rows(FIRST, stations=1), "l1")
    lake.upsert("hours", day_rows(date(2025, 1, 30), stations=1, pm10=None, co=None), "l2")
    row = lake.coverage("hours").to_pylist()[0]
    assert (row["station"], row["month"], row["expected"], row["observed"]) == ("S0", date(2025, 1, 1), 744, 24)
    assert (row["pm10_n"], row["so2_n"]) == (24, 0)


def test_empty_data_sets_have_their_columns(lake: Lake) -> None:
    assert lake.table("weather").schema().names[:4] == ("station", "time", "day", "hour")
    assert lake.table("flags").count().to_pyarrow().as_py() == 0
    assert lake.coverage("weather").num_rows == 0
    with pytest.raises(UnknownName, match="hurs"):
        lake.table("hurs")


def test_derived_tables_are_replaced_whole_or_by_month(lake: Lake) -> None:
    lake.upsert("hours", pa.concat_tables([day_rows(FIRST), day_rows(FIRST + timedelta(days=1))]), "l1")
    hours = lake.table("hours")
    states = {f"{i}_state": ibis.literal("valid") for i in ("so2", "no2", "co", "o3", "pm10", "pm2_5")}
    checked = hours.drop("load_id").mutate(**states)
    assert lake.write_derived("checked", checked, made_from="hours-1") == 144
    assert lake.derived_from("checked") == "hours-1"
    assert lake.table("checked").schema().names == CHECKED.names
    february = checked.filter(checked.day > FIRST).mutate(pm10=ibis.literal(None, "float64"))
    assert lake.write_derived("checked", february, partitions=[(2025, 2)]) == 72
    got = lake.table("checked")
    assert got.filter(got.day == FIRST).pm10.count().to_pyarrow().as_py() == 72
    assert got.filter(got.day > FIRST).pm10.count().to_pyarrow().as_py() == 0
    with pytest.raises(UsageError, match=r"\(2025, 1\)"):
        lake.write_derived("checked", checked, partitions=[(2025, 2)])
    assert lake.write_derived("checked", checked.limit(0)) == 0
    assert lake.rows("checked") == 0
    assert lake.verify() == []


def test_flags_find_their_month_by_the_statistical_day(lake: Lake) -> None:
    """Label 24:00 of 31 January belongs to January although it is 16:00 UTC; 01:00 of 1 February is 17:00 UTC."""
    times = [from_day_and_hour(FIRST, 24), from_day_and_hour(date(2025, 2, 1), 1)]
    flags = pa.table(
        {
            "station": ["S0"] * 2,
            "time": pa.array(times, pa.timestamp("us", "UTC")),
            "item": ["pm10"] * 2,
            "rule": ["spike"] * 2,
            "state": ["invalid"] * 2,
            "detail": [None, "x"],
        }
    )
    lake.write_derived("flags", flags)
    assert [p.parent.name for p in lake.paths("flags")] == ["month=01", "month=02"]
    assert lake.table("flags", first=FIRST, last=FIRST).count().to_pyarrow().as_py() == 1


def test_reported_data_cannot_be_replaced_whole_nor_derived_merged(lake: Lake) -> None:
    with pytest.raises(UsageError, match="not derived"):
        lake.write_derived("hours", day_rows(FIRST))
    with pytest.raises(UsageError, match="write_derived"):
        lake.upsert("checked", day_rows(FIRST), "l1")


def test_data_sets_that_are_held_together_count_at_once_or_not_at_all(lake: Lake) -> None:
    """A file of two data sets must not be half in the lake when its writer dies in between."""
    published = day_rows(FIRST).select(["station", "time", "day", "hour"]).append_column(
        "aqi", pa.array([50] * 72, pa.int32())
    )  # fmt: skip
    with lake.together():
        lake.upsert("hours", day_rows(FIRST), "l1")
        assert lake.rows("hours") == 0
        lake.upsert("published", published, "l1")
    assert (lake.rows("hours"), lake.rows("published"), lake.catalogue.snapshot()) == (72, 72, 1)
    with lake.together():
        lake.upsert("hours", day_rows(FIRST), "l2")  # says nothing new

    def twice() -> None:
        with lake.together():
            lake.upsert("hours", day_rows(FIRST + timedelta(days=1)), "l3")
            lake.upsert("hours", day_rows(FIRST + timedelta(days=2)), "l3")

    with pytest.raises(UsageError, match="held together"):
        twice()
    assert lake.rows("hours") == 72
    with lake.writing():
        pass
    assert lake.verify() == []
    assert len(list(lake.root.rglob("*.parquet"))) == 2, "what was given up is swept"


def test_orphans_of_a_killed_writer_are_not_read_and_are_swept(lake: Lake) -> None:
    lake.upsert("hours", day_rows(FIRST), "l1")
    folder = lake.paths("hours")[0].parent
    pq.write_table(pq.read_table(lake.paths("hours")[0]), folder / "deadbeef.parquet")
    (folder / f"{TEMPORARY}1").write_bytes(b"half a file")
    assert lake.table("hours").count().to_pyarrow().as_py() == 72
    assert lake.verify() == []
    lake.upsert("hours", day_rows(FIRST), "l2")
    assert [p.name for p in folder.iterdir()] == [lake.paths("hours")[0].name]


def test_a_reader_keeps_its_snapshot_until_the_grace_is_over(tmp_path: Path) -> None:
    clock = [datetime(2025, 1, 1, tzinfo=UTC)]
    lake = Lake(tmp_path, now=lambda: clock[0], grace=timedelta(hours=1))
    lake.upsert("hours", day_rows(FIRST), "l1")
    before = lake.table("hours")
    lake.upsert("hours", day_rows(FIRST, pm10=1.0), "l2")
    assert before.pm10.max().to_pyarrow().as_py() == 224.0
    assert lake.table("hours").pm10.max().to_pyarrow().as_py() == 1.0
    clock[0] += timedelta(hours=2)
    with lake.writing():
        pass
    assert len(list(lake.paths("hours")[0].parent.iterdir())) == 1


def test_readers_beside_a_writer_always_see_whole_writes(lake: Lake) -> None:
    """Each write sets pm10 of all rows of two months to one number: a reader must never see two numbers."""
    both = [FIRST, FIRST + timedelta(days=1)]
    lake.upsert("hours", pa.concat_tables([day_rows(d, pm10=0.0) for d in both]), "l0")
    seen: list[tuple[int, int]] = []
    stop = threading.Event()

    def read() -> None:
        con = lake.connect()
        while not stop.is_set():
            table = lake.table("hours", con=con)
            got = table.aggregate(n=table.count(), kinds=table.pm10.nunique()).to_pyarrow().to_pylist()[0]
            seen.append((got["n"], got["kinds"]))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 9):
        lake.upsert("hours", pa.concat_tables([day_rows(d, pm10=float(number)) for d in both]), f"l{number}")
    stop.set()
    reader.join()
    assert seen
    assert set(seen) == {(144, 1)}


def test_one_writer_at_a_time(lake: Lake) -> None:
    other = Lake(lake.root, lock_timeout=0.1)
    with lake.writing(), pytest.raises(StoreError, match=r"pid \d+.*Wait"):
        other.upsert("hours", day_rows(FIRST), "l1")
    assert other.upsert("hours", day_rows(FIRST), "l1").inserted == 72


def test_a_damaged_file_is_found_and_named(lake: Lake) -> None:
    lake.upsert("hours", day_rows(FIRST), "l1")
    path = lake.paths("hours")[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\x00" + whole[101:])
    assert "SHA-256" in lake.verify()[0]
    path.write_bytes(whole[:-50])
    assert "bytes" in lake.verify()[0]
    with pytest.raises(StoreError, match=path.name):
        lake.upsert("hours", day_rows(FIRST, pm10=1.0), "l2")
    path.unlink()
    assert "not on the disk" in lake.verify()[0]


def test_a_lake_of_a_newer_version_is_refused(lake: Lake) -> None:
    with sqlite3.connect(lake.root / "catalogue.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"version 99.*Upgrade Qinglan"):
        Lake(lake.root)


def test_rows_without_key_or_with_foreign_columns_are_refused(lake: Lake) -> None:
    with pytest.raises(StoreError, match="empty time"):
        lake.upsert("hours", day_rows(FIRST).drop_columns(["time"]), "l1")
    with pytest.raises(StoreError, match="nox"):
        lake.upsert("hours", day_rows(FIRST, nox=1.0), "l1")
    assert lake.rows("hours") == 0


@pytest.mark.parametrize("nth", range(20))
def test_a_fresh_lake_opened_by_many_at_once(tmp_path: Path, nth: int) -> None:
    """Making the catalogue is itself a transaction; and of two that turn on its log at once, neither fails."""
    failures: list[BaseException] = []

    def make() -> None:
        try:
            Lake(tmp_path / f"new{nth}")
        except BaseException as fault:
            failures.append(fault)

    threads = [threading.Thread(target=make) for _ in range(multiprocessing.cpu_count() + 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
