"""The registry: migrations, append-only decisions, loads and rejects. Source: docs/design/0005-store.md."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, insert, inspect, select
from sqlalchemy.exc import IntegrityError

from qinglan.core.batch import Reject
from qinglan.core.errors import NotFound, StoreError, UnknownName, UsageError
from qinglan.store import decisions, loads, runs, schema
from qinglan.store.registry import Registry, events, verify_events
from qinglan.store.stations import register_stations, station_lookup, stations

#: The last revision of the chain.
NEWEST = "0010"
AT = datetime(2025, 1, 1, 8, tzinfo=UTC)


@pytest.fixture
def registry(registry_place: Path | str) -> Iterator[Registry]:
    """On SQLite and on PostgreSQL."""
    opened = Registry(registry_place)
    yield opened
    opened.close()


def test_revisions_make_exactly_the_declared_tables(registry: Registry) -> None:
    with registry.read() as con:
        assert compare_metadata(MigrationContext.configure(con), schema.metadata) == []


def tables(registry: Registry) -> set[str]:
    return set(inspect(registry.engine).get_table_names())


def test_revisions_run_forward_and_back_and_keep_what_stays(
    registry: Registry, registry_place: Path | str
) -> None:
    register_stations(registry, [{"station": "1480A", "name": "市环境监测站", "place": "630100"}], who="t", at=AT)
    registry.migrate("0001")
    assert registry.revision() == "0001"
    assert "dust_events" not in tables(registry)
    assert "stations" in tables(registry)
    upgraded = Registry(registry_place)
    assert upgraded.revision() == NEWEST
    assert [r["station"] for r in stations(upgraded)] == ["1480A"]
    upgraded.migrate("base")
    assert upgraded.revision() is None
    upgraded.migrate()
    assert stations(upgraded) == []
    upgraded.close()


def test_every_revision_can_be_undone_and_done_again(registry: Registry) -> None:
    chain = [f"{n:04}" for n in range(int(NEWEST), 0, -1)]
    for older in chain[1:]:
        registry.migrate(older)
        assert registry.revision() == older
    for newer in chain[-2::-1]:
        registry.migrate(newer)
        assert registry.revision() == newer
    test_revisions_make_exactly_the_declared_tables(registry)


def test_revisions_keep_what_is_written(registry: Registry) -> None:
    """An office's registry is not empty: rows that refer to one another survive the way back and forth."""
    load_id = loads.begin_load(registry, "national_hourly", {}, who="t", at=AT)
    aside = [Reject("bad_number", "pm10", "1", line=1, raw="1", rows=0)]
    loads.checkpoint(registry, load_id, [loads.FileRecord("/x", "x", "f", 3, "r", loads.DONE, {}, "", aside)])
    before = loads.rejects(registry), loads.load(registry, load_id)
    registry.migrate("0002")
    registry.migrate()
    assert (loads.rejects(registry), loads.load(registry, load_id)) == before
    assert verify_events(registry).holds


def _open(place: Path | str) -> str | None:
    opened = Registry(place)
    found = opened.revision()
    opened.close()
    return found


def test_several_processes_migrate_at_once(registry: Registry, registry_place: Path | str) -> None:
    """A server's workers all open the registry in the same moment after an upgrade."""
    registry.migrate("base")
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(_open, [registry_place] * 8)) == [NEWEST] * 8
    assert "stations" in tables(registry)


def test_a_registry_upgraded_between_two_looks_is_no_foreign_database(
    registry: Registry, registry_place: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker may finish the upgrade after this one read "no revision" and before it read the tables."""
    registry.migrate("base")
    look, other = MigrationContext.get_current_revision, Registry(registry_place, upgrade=False)

    def looked(self: MigrationContext) -> str | None:
        found = look(self)
        if found is None:
            monkeypatch.setattr(MigrationContext, "get_current_revision", look)
            other.migrate()
        return found

    monkeypatch.setattr(MigrationContext, "get_current_revision", looked)
    registry.migrate()
    assert registry.revision() == NEWEST
    other.close()


def test_a_registry_of_a_newer_version_is_refused(registry: Registry, registry_place: Path | str) -> None:
    with registry.begin() as con:
        con.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"'9999'.*newer one wrote it.*Upgrade Qinglan"):
        Registry(registry_place)


def test_a_foreign_database_is_not_touched(registry: Registry, registry_place: Path | str) -> None:
    registry.migrate("base")
    with registry.begin() as con:
        con.exec_driver_sql("DROP TABLE alembic_version")
        con.exec_driver_sql("CREATE TABLE mine (a INTEGER)")
    with pytest.raises(StoreError, match="not a registry"):
        Registry(registry_place)
    assert tables(registry) == {"mine"}


def test_foreign_keys_hold(registry: Registry) -> None:
    orphan = {"load_id": "none", "path": "", "name": "", "sha256": "", "size": 0, "recipe": "", "status": "done"}
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"), registry.begin() as con:
        con.execute(insert(schema.load_files).values(**orphan, counts={}, message="", at=AT))


def test_sqlite_writes_ahead(tmp_path: Path) -> None:
    with Registry(tmp_path / "registry.sqlite").read() as con:
        assert con.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_one_writer_at_a_time_and_readers_see_one_state(registry: Registry, registry_place: Path | str) -> None:
    """What a writer read is still so when it writes; else two workers could number, chain or lock alike."""
    runs.record_run(registry, "a", "k", {}, who="t", at=AT)
    other, entered = Registry(registry_place), threading.Event()

    def second() -> None:
        with other.begin():
            entered.set()

    with registry.read() as seen, registry.begin() as con:
        count = select(func.count()).select_from(schema.runs)
        assert seen.execute(count).scalar() == 1
        waiting = threading.Thread(target=second)
        waiting.start()
        con.execute(insert(schema.runs).values(run_id="r", kind="k", json={}, current=True, at=AT))
        assert not entered.wait(0.3)
        con.commit()
        waiting.join(20)
        assert entered.is_set()
        assert seen.execute(count).scalar() == 1
    other.close()


def test_text_and_moments_come_back_as_they_went(registry: Registry) -> None:
    """Reserved words as columns, Chinese, JSON with NUL, an instant of another zone; order by code point."""
    beijing = datetime(2025, 1, 1, 16, 30, 15, 123456, tzinfo=timezone(timedelta(hours=8)))
    row = {"place": "630100", "start": beijing, "end": beijing, "removal": "hour_removal", "status": "proposed"}
    decisions.record_dust_events(registry, [{**row, "evidence": {"来源": "a\u0000b", "x": None}}], who="王")
    (kept,) = decisions.dust_events(registry)
    assert (kept["start"], kept["evidence"]) == (beijing, {"来源": "a\u0000b", "x": None})
    names = ["a", "B", "é", "西宁", "Z", "1480A", "z"]
    register_stations(registry, [{"station": n, "name": n, "place": "1"} for n in names], who="t")
    assert [r["station"] for r in stations(registry)] == sorted(names)


def test_raw_text_of_a_broken_file_is_kept(registry: Registry) -> None:
    """A binary file given as CSV holds NUL characters, which PostgreSQL has no place for."""
    load_id = loads.begin_load(registry, "national_hourly", {}, who="t", at=AT)
    aside = [Reject("bad_number", "pm10", "1\0", line=k, raw="20250101\0,1", rows=0) for k in (1, 2)]
    loads.checkpoint(
        registry, load_id, [loads.FileRecord("/x", "x", "f", 3_000_000_000, "r", loads.DONE, {}, "", aside)]
    )
    expected = "\0" if registry.engine.dialect.name == "sqlite" else "\u2400"
    assert [r["raw"] for r in loads.rejects(registry)] == [f"20250101{expected},1"] * 2
    assert loads.load(registry, load_id)["files"][0]["size"] == 3_000_000_000


def test_an_address_that_does_not_serve_is_refused(postgres: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match=r"cannot be reached.*no_such") as refused:
        Registry(postgres.url("no_such").replace("qinglan@", "qinglan:secret@"))
    assert "secret" not in str(refused.value)
    with pytest.raises(UsageError, match="cannot lie in 'mysql'"):
        Registry("mysql://x/y")
    with pytest.raises(UsageError, match="no database URL"):
        Registry("x y")
    other = postgres.database(collation="en_US.UTF-8") if _has_locale(postgres, "en_US") else None
    if other is not None:
        with pytest.raises(StoreError, match="collation en_US"):
            Registry(postgres.url(other))
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"driver .* not installed.*qinglan\[postgres\]"):
        Registry(postgres.url("postgres"))


def _has_locale(postgres: Any, name: str) -> bool:
    return bool(postgres.run(f"SELECT 1 FROM pg_collation WHERE collname LIKE '{name}.utf8'"))


def test_a_failing_transaction_leaves_neither_change_nor_event(registry: Registry) -> None:
    def fail_halfway() -> None:
        with registry.begin() as con:
            con.execute(insert(schema.runs).values(run_id="r", kind="k", json={}, current=True, at=AT))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert runs.runs(registry) == []
    with pytest.raises(UsageError, match=r"lon 200.*allowed -180..180"):
        register_stations(
            registry,
            [
                {"station": "A", "name": "a", "place": "630100"},
                {"station": "B", "name": "b", "place": "1", "lon": 200.0},
            ],
            who="t",
        )
    assert stations(registry) == []
    assert events(registry) == []


def test_stations_gain_and_do_not_forget(registry: Registry) -> None:
    """1483A is Xining's control point; later comes a list that knows neither that nor altitude."""
    own = {
        "station": "1483A", "name": "第五水厂", "place": "630100", "altitude": 2420.0, "control_point": True,
        "valid_from": date(2013, 1, 1), "aliases": ["五水厂"],
    }  # fmt: skip
    assert register_stations(registry, [own], who="t", at=AT) == {"inserted": 1, "changed": 0, "unchanged": 0}
    listed = {
        "station": "1483A",
        "name": "第五水厂",
        "place": "630100",
        "control_point": False,
        "aliases": ["Diwushuichang"],
    }
    assert register_stations(registry, [listed], who="u", at=AT)["changed"] == 1
    assert register_stations(registry, [listed], who="u", at=AT)["unchanged"] == 1
    row = stations(registry)[0]
    assert (row["altitude"], row["control_point"], row["valid_from"]) == (2420.0, True, date(2013, 1, 1))
    assert row["aliases"] == ["Diwushuichang", "五水厂"]
    assert events(registry, what="station.changed")[0]["detail"]["before"]["aliases"] == ["五水厂"]
    register_stations(registry, [listed], who="u", replace=True, at=AT)
    assert stations(registry)[0]["control_point"] is False
    assert stations(registry, on=date(2012, 1, 1)) != []  # replaced: its start is not known any more


def test_lookup_by_code_name_alias_and_city(registry: Registry) -> None:
    rows = [
        {"station": "1480A", "name": "市环境监测站", "place": "630100", "aliases": ["西宁站"]},
        {"station": "1476A", "name": "市环境监测站", "place": "620100"},
    ]
    register_stations(registry, rows, who="t")
    find = station_lookup(registry, {"西宁": "630100"}.get)
    assert (
        find("1480A")
        == find("西宁站")
        == find("市环境监测站", "西宁")
        == find("市环境监测站", "630100")
        == "1480A"
    )
    assert find("市环境监测站") is None
    assert find.matches("市环境监测站") == ["1476A", "1480A"]
    assert find("不存在") is None


def test_the_newest_decision_on_a_flag_is_in_force(registry: Registry) -> None:
    key = {"station": "1480A", "time": AT, "item": "pm10", "rule": "spike"}
    decisions.decide_flag(registry, **key, decision="keep", reason="沙尘，数值属实", who="王")
    decisions.decide_flag(registry, **key, decision="reject", reason="仪器校准", who="李", at=AT)
    now = decisions.flag_decisions(registry)
    assert [(d["decision"], d["by"], d["time"], d["decided_at"]) for d in now] == [("reject", "李", AT, AT)]
    assert len(decisions.flag_decisions(registry, history=True)) == 2
    with pytest.raises(UnknownName, match="perhaps"):
        decisions.decide_flag(registry, **key, decision="perhaps", reason="x", who="y")
    with pytest.raises(UsageError, match="reason must not be empty"):
        decisions.decide_flag(registry, **key, decision="keep", reason=" ", who="y")
    naive = {**key, "time": AT.replace(tzinfo=None)}
    with pytest.raises(UsageError, match="carries no zone"):
        decisions.decide_flag(registry, **naive, decision="keep", reason="x", who="y")
    assert len(events(registry, what="flag.decided")) == 2


def test_many_dust_events_enter_together_or_not_at_all(registry: Registry) -> None:
    row = {"place": "630100", "start": AT, "end": AT, "removal": "hour_removal", "status": "proposed"}
    late = {**row, "place": "632800", "start": AT + timedelta(hours=1)}
    with pytest.raises(UsageError, match=r"632800 ends .* before it starts"):
        decisions.record_dust_events(registry, [row, late], who="detector")
    assert decisions.dust_events(registry) == []
    with_time = {**row, "evidence": {"peak_at": AT}}
    assert decisions.record_dust_events(registry, [with_time], who="detector") == ["630100-20250101T08"]
    assert decisions.dust_events(registry)[0]["evidence"] == {"peak_at": str(AT)}


def test_dust_events_are_reviewed_and_nothing_is_overwritten(registry: Registry) -> None:
    row = {
        "place": "630100", "start": AT, "end": AT + timedelta(hours=9), "removal": "hour_removal",
        "status": "proposed", "evidence": {"pm10": 468.5}, "rule_version": "2016-120",
    }  # fmt: skip
    event_id = decisions.record_dust_event(registry, row, who="detector")
    decisions.review_dust_event(registry, event_id, "confirmed", reason="遥感与气象一致", who="省站")
    assert [(e["status"], e["reviewer"]) for e in decisions.dust_events(registry)] == [("confirmed", "省站")]
    assert [e["status"] for e in decisions.dust_events(registry, history=True)] == ["proposed", "confirmed"]
    assert decisions.dust_events(registry, status="proposed") == []
    assert decisions.dust_events(registry)[0]["evidence"] == {"pm10": 468.5}
    with pytest.raises(NotFound):
        decisions.review_dust_event(registry, "none", "confirmed", reason="x", who="y")


def test_reported_values_and_evidence_carry_source_and_date(registry: Registry) -> None:
    row = {"target_id": "pm2_5-2025", "value": 21, "unit": "µg/m³", "as_of": date(2024, 12, 31), "source": "公报"}
    decisions.report_value(registry, row, who="王")
    decisions.report_value(registry, {**row, "value": 20.5}, who="王")
    decisions.report_value(registry, {**row, "as_of": date(2025, 12, 31), "value": 19}, who="王")
    assert [r["value"] for r in decisions.reported_values(registry)] == [20.5, 19.0]
    assert [r["value"] for r in decisions.reported_values(registry, as_of=date(2025, 6, 1))] == [20.5]
    assert len(decisions.reported_values(registry, history=True)) == 3
    with pytest.raises(UsageError, match="source must not be empty"):
        decisions.report_value(registry, {**row, "source": ""}, who="王")
    proof = {
        "task_id": "t1",
        "kind": "document",
        "reference": "青环发〔2025〕1号",
        "as_of": date(2025, 5, 1),
        "source": "办公室",
    }
    decisions.add_evidence(registry, proof, who="李")
    assert decisions.task_evidence(registry, task_id="t1", as_of=date(2025, 4, 30)) == []
    (filed,) = decisions.task_evidence(registry, task_id="t1")
    assert filed["reference"] == "青环发〔2025〕1号"
    assert (filed["item"], filed["cycle"], filed["satisfied"], filed["value"]) == (0, "", True, None)
    decisions.add_evidence(registry, {**proof, "item": 1, "cycle": "2025Q1", "satisfied": False}, who="李")
    filed = decisions.task_evidence(registry, task_id="t1")[1]
    assert (filed["item"], filed["cycle"], filed["satisfied"]) == (1, "2025Q1", False)


def test_one_current_run_of_each_kind(registry: Registry) -> None:
    runs.record_run(registry, "a", "assess", {"x": 1}, who="t")
    runs.record_run(registry, "b", "assess", {"x": 2}, who="t")
    runs.record_run(registry, "c", "qc", {}, who="t")
    current = runs.current_run(registry, "assess")
    assert current is not None
    assert (current["run_id"], current["json"]) == ("b", {"x": 2})
    assert [r["run_id"] for r in runs.runs(registry, "assess")] == ["b", "a"]
    assert runs.current_run(registry, "none") is None


def test_rejects_keep_their_text_and_are_settled_with_a_reason(registry: Registry) -> None:
    load_id = loads.begin_load(registry, "national_hourly", {"options": {}}, who="t", at=AT)
    aside = [Reject("bad_number", "pm10", "1O2", line=7, raw="20250101,0,PM10,1O2", rows=0)]
    record = loads.FileRecord("/x/a.csv", "a.csv", "f" * 64, 10, "recipe", loads.DONE, {"read": 3}, "", aside)
    loads.checkpoint(registry, load_id, [record])
    (row,) = loads.rejects(registry, load_id=load_id)
    assert (row["raw"], row["line"], row["source"]) == ("20250101,0,PM10,1O2", 7, "a.csv")
    assert (row["reason"], row["reason_zh"]) == ("pm10 '1O2' is not a number", "pm10 '1O2' 不是数字")
    assert loads.already_loaded(registry, "recipe", ["f" * 64, "0" * 64]) == {"f" * 64: load_id}
    assert loads.already_loaded(registry, "other", ["f" * 64]) == {}
    assert loads.settle_rejects(registry, [row["id"]], loads.DISMISSED, reason="无法核实", who="王") == 1
    assert loads.rejects(registry) == []
    assert loads.reject_counts(registry)[0]["status"] == loads.DISMISSED
    with pytest.raises(NotFound, match="no load 'x'"):
        loads.load(registry, "x")
    assert loads.close_dead_loads(registry, who="t") == [load_id]
    assert loads.load(registry, load_id)["status"] == loads.INTERRUPTED
