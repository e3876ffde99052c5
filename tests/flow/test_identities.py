"""Enterprises out of the ledgers of an office. Source: docs/design/0012-ledgers.md; the demonstration's rows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from qinglan.access import Forbidden, Grant, Principal
from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.emission.linkage import coverage
from qinglan.flow import identities, ledgers
from qinglan.flow.demo import fill_ledgers
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.ledger.declare import load_ledger
from qinglan.store.registry import events, verify_events

TODAY, NOW = date(2026, 1, 5), datetime(2026, 1, 5, 1, tzinfo=UTC)
PROVINCE = Principal("sheng", "省厅", (Grant("province", "630000"),), via="session")
HAIXI = Principal("haixi", "海西", (Grant("prefecture", "632800"),), via="session")
ENTERPRISES, GRADES = load_ledger("air-enterprises"), load_ledger("performance-grades")
UNIT = dict(ENTERPRISES.good[0])
CODE = str(UNIT["uscc"])
PLANT = Principal("plant", "企业", (Grant("enterprise", sources=(CODE,)),), via="session")


def take(space: Workspace, name: str, *rows: dict[str, object]) -> None:
    columns = [c for c in load_ledger(name).schema if any(c in r for r in rows)]

    def text(value: object) -> str | None:
        return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    table = pl.DataFrame(
        [{c: text(r.get(c)) for c in columns} for r in rows], schema=dict.fromkeys(columns, pl.String)
    )
    report = ledgers.import_workbook(
        space, name, table.write_csv().encode(), name=f"{name}.csv", me=PROVINCE, today=TODAY, now=NOW
    )
    assert report.aside == 0, report


@pytest.fixture
def office(tmp_path: Path) -> Workspace:
    """An enterprise whose grade two ledgers tell differently."""
    made = init(tmp_path / "home")
    take(made, "air-enterprises", *(dict(r) for r in ENTERPRISES.good))
    grades = ENTERPRISES.column("grade").codes
    told = frame_grade(made)
    other = next(g for g in GRADES.column("grade").codes if g in grades and g != told)
    take(made, "performance-grades", {**GRADES.good[0], "uscc": CODE, "grade": other})
    return made


def frame_grade(space: Workspace) -> str:
    rows = ledgers.frame(space, "air-enterprises").rows
    return str(rows.filter(pl.col("uscc") == CODE)["grade"][0])


def test_the_assessment_goes_before_its_copy_until_a_person_says_otherwise(office: Workspace) -> None:
    fused = identities.fused(office, PROVINCE, 2025)
    mine = fused.conflicts.filter(identity=CODE, fact="grade").row(0, named=True)
    assert (mine["winner"], mine["other"]) == ("performance-grades", "air-enterprises")
    assert mine["other_value"] == frame_grade(office)
    identities.decide(office, PROVINCE, CODE, "grade", "air-enterprises", reason="复核后改判", now=NOW)
    mine = (
        identities.fused(office, PROVINCE, 2025).conflicts.filter(identity=CODE, fact="grade").row(0, named=True)
    )
    assert (mine["winner"], mine["decided_by"], mine["zh"]) == ("air-enterprises", "sheng", "复核后改判")
    assert [e["subject"] for e in events(office.registry, what=identities.DECIDED)] == [CODE]
    assert verify_events(office.registry).holds


def test_a_decision_is_asked_for_right_reach_names_and_reason(office: Workspace) -> None:
    def decide(me: Principal, identity: str = CODE, fact: str = "grade", origin: str = "air-enterprises",
               reason: str = "x") -> None:  # fmt: skip
        identities.decide(office, me, identity, fact, origin, reason=reason, now=NOW)

    with pytest.raises(Forbidden):
        decide(PLANT)
    with pytest.raises(NotFound):
        decide(HAIXI)  # the enterprise is in Xining
    with pytest.raises(UnknownName):
        decide(PROVINCE, fact="colour")
    with pytest.raises(UnknownName):
        decide(PROVINCE, origin="cems")
    with pytest.raises(UsageError):
        decide(PROVINCE, reason="  ")
    assert identities.decisions(office) == []


def test_an_enterprise_sees_itself_alone_and_brings_no_tables(office: Workspace) -> None:
    assert identities.fused(office, PLANT, 2025).identities["identity"].to_list() == [CODE]
    table = pl.DataFrame({"row_key": ["1"], "uscc": [CODE], "coal_t": [1.0]})
    with pytest.raises(Forbidden):
        identities.fused(office, Principal("", "", (Grant("demo"),)), 2025, extra={"statistics": table})
    told = identities.fused(office, PROVINCE, 2025, extra={"statistics": table})
    assert "statistics" in told.identities.filter(identity=CODE)["origins"][0].to_list()


def test_months_that_nobody_reported_keep_a_year_from_being_believed(office: Workspace) -> None:
    row = {**load_ledger("stack-data").good[0], "uscc": CODE}
    year = int(str(row["month"])[:4])
    take(office, "stack-data", row)
    so2 = identities.fused(office, PROVINCE, year).facts.filter(identity=CODE, fact="so2_kg", origin="cems")
    assert so2.select("state", "parts", "lacking").row(0) == ("incomplete", 12, 11)


def test_lists_cover_each_other_both_ways(office: Workspace) -> None:
    table = coverage(identities.fused(office, PROVINCE, 2025), ["air-enterprises", "performance-grades"])
    assert table.filter(identity=CODE).row(0)[3:] == (True, True)
    assert table.filter(~pl.col("performance-grades")).height == len(ENTERPRISES.good) - 1


def test_the_simulated_province_agrees_with_itself_and_its_lists_cover_each_other(tmp_path: Path) -> None:
    """Synthetic truth: the simulation's ledgers are made of one register, so nothing differs.
    One name mended by hand in one of them is the one conflict there is."""
    space = init(tmp_path / "home", Settings(simulated=True))
    fill_ledgers(space, lambda _: None)
    me = ledgers.local_office(space, "tests")
    fused = identities.fused(space, me, 2025)
    register = ledgers.frame(space, "air-enterprises").rows
    assert set(fused.identities["identity"]) == set(register["uscc"])
    assert (fused.conflicts.height, fused.unmatched.height) == (0, 0)
    told = identities.records_of(space, me, 2025)
    listed = told["key-units"]["uscc"].to_list()
    other = pl.DataFrame({"row_key": ["1"], "uscc": [listed[0]], "name": ["青海湖畔另一家化工有限公司"]})
    mine = identities.fused(space, me, 2025, extra={"statistics": other}).conflicts
    assert mine.select("identity", "fact", "winner", "other").rows() == [
        (listed[0], "name", "air-enterprises", "statistics")
    ]
