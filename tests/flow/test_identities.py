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
from qinglan.flow.electricity import normal_day, normal_days
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.ledger.declare import load_ledger
from qinglan.sim.ledgers import typed
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


def test_the_simulated_province_disagrees_where_that_was_planted_and_nowhere_else(tmp_path: Path) -> None:
    """Synthetic truth: statistics are made of the other ledgers within 2 %; where a recipe plants more, and only
    there, a conflict stands. The truth is taken from the drawn rows, without the fusion's code. One name mended by
    hand in one ledger is the one more conflict there is."""
    space = init(tmp_path / "home", Settings(simulated=True))
    fill_ledgers(space, lambda _: None)
    me = ledgers.local_office(space, "tests")
    fused = identities.fused(space, me, 2025)
    register = ledgers.frame(space, "air-enterprises").rows
    assert set(fused.identities["identity"]) == set(register["uscc"])
    said = {(r["identity"], r["fact"]) for r in fused.conflicts.iter_rows(named=True)}
    assert said == planted()
    assert {fact for _, fact in said} == {"so2_kg", "coal_t", "electricity_kwh"}
    assert set(fused.conflicts["other"]) == {"statistics"}
    assert fused.unmatched.height == 0
    told = identities.records_of(space, me, 2025)
    listed = told["key-units"]["uscc"].to_list()
    other = (
        told["statistics"]
        .filter(pl.col("uscc") == listed[0])
        .with_columns(name=pl.lit("青海湖畔另一家化工有限公司"))
    )
    mine = identities.fused(space, me, 2025, extra={"statistics": other}).conflicts.filter(fact="name")
    assert mine.select("identity", "fact", "winner", "other").rows() == [
        (listed[0], "name", "air-enterprises", "statistics")
    ]


def planted() -> set[tuple[str, str]]:
    """Enterprises and facts of 2025 of which the drawn statistics are farther off than trust.yaml tolerates."""
    forms = typed("env-statistics").filter(pl.col("year") == 2025)
    off = {
        "so2_kg": (pl.col("so2") * 1000 / pl.col("so2_seen") - 1).abs() > 0.1,
        "nox_kg": (pl.col("nox") * 1000 / pl.col("nox_seen") - 1).abs() > 0.1,
        "pm_kg": (pl.col("pm") * 1000 / pl.col("pm_seen") - 1).abs() > 0.1,
        "coal_t": (pl.col("coal") / pl.col("burnt") - 1).abs() > 0.05,
        "electricity_kwh": (pl.col("electricity") * 10_000 / pl.col("kwh_seen") - 1).abs() > 0.05,
    }
    return {(code, fact) for fact, where in off.items() for code in forms.filter(where)["uscc"]}


def test_sub_meters_are_part_of_the_main_one_and_tonnes_of_a_form_are_a_fact_in_kilograms(
    office: Workspace,
) -> None:
    main, sub = (dict(r) | {"uscc": CODE} for r in load_ledger("electricity-use").good)
    months = [{"month": f"2025-{m:02}", "kwh": 1000.0, "night_kwh": None} for m in range(1, 13)]
    take(office, "electricity-use", *(main | m for m in months), sub | {"month": "2025-06"})
    form = dict(load_ledger("env-statistics").good[0]) | {"uscc": CODE, "year": 2025, "permit_no": None}
    take(office, "env-statistics", form | {"electricity": 1.5, "so2": 0.25})
    by_line = 420_000 / 30  # the sub-meter of the example: 420 000 kWh in the 30 days of June
    assert normal_day(office, CODE, str(sub["serves"])) == (by_line, "line")
    assert normal_day(office, CODE, "another line") == (pytest.approx(12 * 1000 / (12 * 30)), "works")
    assert normal_days(office, [CODE, "other"]) == {CODE: pytest.approx(12 * 1000 / (12 * 30))}
    with pytest.raises(NotFound, match="no month of normal working"):
        normal_day(office, str(ENTERPRISES.good[1]["uscc"]), "")
    facts = identities.fused(office, PROVINCE, 2025).facts.filter(identity=CODE)
    told = {(f["fact"], f["origin"]): (f["number"], f["state"]) for f in facts.iter_rows(named=True)}
    assert told["electricity_kwh", "electricity"] == (12_000.0, "won")
    assert told["electricity_kwh", "statistics"] == (15_000.0, "differs")
    assert told["so2_kg", "statistics"] == (250.0, "won")
