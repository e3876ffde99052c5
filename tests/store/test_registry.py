"""The registry: migrations, append-only decisions, loads and rejects. Source: docs/design/0005-store.md."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert

from qinglan.core.batch import Reject
from qinglan.core.errors import NotFound, StoreError, UnknownName, UsageError
from qinglan.store import decisions, loads, runs, schema
from qinglan.store.registry import Registry, events
from qinglan.store.stations import register_stations, station_lookup, stations

#: The last revision of the chain.
NEWEST = "0007"
AT = datetime(2025, 1, 1, 8, tzinfo=UTC)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry.sqlite")


def test_revisions_make_exactly_the_declared_tables(registry: Registry) -> None:
    with registry.read() as con:
        assert compare_metadata(MigrationContext.configure(con), schema.metadata) == []


def test_revisions_run_forward_and_back_and_keep_what_stays(registry: Registry) -> None:
    register_stations(registry, [{"station": "1480A", "name": "市环境监测站", "place": "630100"}], who="t", at=AT)
    registry.migrate("0001")
    assert registry.revision() == "0001"
    with sqlite3.connect(registry.engine.url.database or "") as db:
        tables = {r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert "dust_events" not in tables
    assert "stations" in tables
    upgraded = Registry(Path(registry.engine.url.database or ""))
    assert upgraded.revision() == NEWEST
    assert [r["station"] for r in stations(upgraded)] == ["1480A"]
    upgraded.migrate("base")
    assert upgraded.revision() is None
    upgraded.migrate()
    assert stations(upgraded) == []


def test_a_registry_of_a_newer_version_is_refused(registry: Registry) -> None:
    path = Path(registry.engine.url.database or "")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"'9999'.*newer one wrote it.*Upgrade Qinglan"):
        Registry(path)


def test_a_foreign_database_is_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.sqlite") as db:
        db.execute("CREATE TABLE mine (a)")
    with pytest.raises(StoreError, match="not a registry"):
        Registry(tmp_path / "x.sqlite")


def test_sqlite_keeps_foreign_keys_and_writes_ahead(registry: Registry) -> None:
    with registry.read() as con:
        assert con.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert con.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    orphan = {"load_id": "none", "path": "", "name": "", "sha256": "", "size": 0, "recipe": "", "status": "done"}
    with pytest.raises(Exception, match="FOREIGN KEY"), registry.begin() as con:
        con.execute(insert(schema.load_files).values(**orphan, counts={}, message="", at=AT))


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
