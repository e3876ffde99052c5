"""The inventory's checks over the made office of small_inventory.py, whose disagreements are known by hand."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qinglan.core.errors import LayoutError, NotFound, UnknownName
from qinglan.emission.findings import KINDS
from qinglan.emission.top_down import read_top_down
from qinglan.flow import inventory
from qinglan.flow import inventory_checks as checks
from qinglan.flow.workspace import Workspace
from qinglan.store.registry import events, verify_events

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_inventory.py"))))
CODES, NOW = small.CODES, small.NOW


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return small.office(tmp_path_factory.mktemp("checks") / "home")


def of(report: checks.Report, kind: str) -> list[dict[str, Any]]:
    return report.findings.filter(kind=kind).to_dicts()


def test_each_disagreement_is_found_once_and_nothing_else(space: Workspace) -> None:
    report = checks.check(space)
    number = {code: n for n, code in CODES.items()}

    def who(kind: str) -> list[int]:
        return sorted(number[f["uscc"]] for f in of(report, kind))

    assert (report.year, report.version) == (2025, "draft")
    assert who("fuel_balance") == [2, 3, 3, 4, 5, 6, 8]  # E1 agrees; E3: coal users and statistics
    assert who("coal_quality") == [2]
    assert who("limit") == [1]
    assert who("permit") == [1]
    assert [(f["uscc"], f["species"]) for f in of(report, "statistics")] == [
        (CODES[3], "so2"), (CODES[1], "nox"), (CODES[3], "nox"),
    ]  # fmt: skip
    assert set(who("outlier")) == {6}
    assert who("silent") == [7]
    assert who("stranger") == [8]
    assert who("emergency") == [6, 8]
    assert [(f["uscc"], f["species"]) for f in of(report, "cems")] == [(CODES[4], "nox"), (CODES[4], "so2")]
    assert of(report, "top_down") == []


def test_a_finding_tells_value_expectation_and_row(space: Workspace) -> None:
    report = checks.check(space)
    twice = next(f for f in of(report, "fuel_balance") if f["uscc"] == CODES[2])
    assert (twice["ledger"], twice["value"], twice["expected"], twice["unit"]) == ("coal-use", 10_000, 20_000, "t")
    assert "-50 %" in twice["en"]
    [over] = of(report, "limit")
    assert (over["value"], over["expected"], over["unit"]) == (130, 100, "mg/m³")
    assert "2 months" in over["en"]
    assert "2025-02" in over["zh"]
    so2 = of(report, "cems")[1]
    assert so2["value"] / so2["expected"] == pytest.approx(10)
    assert (so2["ledger"], so2["row_key"]) == ("boilers", "GL-04")
    assert "balance 85 t, ratio 10" in so2["en"]
    [strange] = of(report, "stranger")
    assert (strange["ledger"], strange["row_key"]) == ("boilers", "GL-08")
    assert "closed" in strange["en"]
    so2 = next(f for f in of(report, "outlier") if f["species"] == "so2")
    assert so2["value"] / so2["expected"] == pytest.approx(5)  # five times the sulphur
    assert "7 of its industry" in so2["en"]
    assert all(f["remedy_zh"] and f["remedy_en"] for f in report.findings.to_dicts())


def test_what_was_not_asked_is_said_with_why(space: Workspace) -> None:
    told = {row["kind"]: row for row in checks.check(space).counts()}
    assert tuple(told) == KINDS
    assert told["cems"]["compared"] == 2
    assert "1 outlets have no whole year" in told["cems"]["lacking"][0]["en"]  # three months of E1
    assert "no top-down inventory" in told["top_down"]["lacking"][0]["en"]
    assert told["limit"]["compared"] == 3
    assert "42 values" in told["limit"]["lacking"][0]["en"]  # PM and NOx of E1's three months, and E4's twelve


def test_coverage_is_by_tonnes(space: Workspace) -> None:
    """Seven boilers alike in NOx, five of them listed."""
    table = {r["species"]: r for r in checks.check(space).coverage.to_dicts()}
    assert table["nox"]["covered_percent"] == pytest.approx(100 * 5 / 7)
    assert table["so2"]["covered_percent"] == pytest.approx(100 * 5 / 11)  # E6 emits as much as five


def test_a_version_is_checked_as_the_draft_that_it_was(space: Workspace) -> None:
    version = inventory.freeze(space, 2025, by="王", reason="核对", now=NOW)
    frozen = checks.check(space, checks.Wanted(version=version.id))
    assert frozen.version == version.id
    assert frozen.findings.equals(checks.check(space).findings)


def test_a_given_file_is_in_force_until_it_is_taken_back(space: Workspace) -> None:
    text = "species,sector,year,tonnes\nnox,total,2025,0.001\nnox,magic,2025,1\n"
    kept = checks.keep(space, text.encode(), name="a.csv", by="王", now=NOW)
    assert kept.given.aside["line"].to_list() == [3]
    [found] = of(checks.check(space), "top_down")
    assert (found["species"], found["sector"], found["expected"]) == ("nox", "total", 0.001)
    assert checks.kept(space).name == "a.csv"  # type: ignore[union-attr]
    with pytest.raises(LayoutError, match=r"no line of b\.csv can be read\. Line 2, tonnes 'x'"):
        checks.keep(space, b"species,sector,year,tonnes\nnox,total,2025,x\n", name="b.csv", by="a", now=NOW)
    checks.forget(space, by="王", now=NOW)
    checks.forget(space, by="王", now=NOW)
    assert checks.kept(space) is None
    assert len(events(space.registry, what=checks.GIVEN)) == 2
    assert verify_events(space.registry).holds
    assert of(checks.check(space), "top_down") == []


def test_the_band_is_an_option(space: Workspace) -> None:
    truth = checks.check(space)
    nox = 2.5 * truth.coverage.filter(species="nox")["emission_t"][0]
    given = read_top_down(f"species,sector,year,tonnes\nnox,total,2025,{nox}\n".encode(), place="630000")
    ratio = {band: checks.check(space, checks.Wanted(band=band, given=given)) for band in checks.BANDS}
    stands_out = {band: report.beside.rows["stands_out"][0] for band, report in ratio.items()}  # type: ignore[union-attr]
    assert stands_out == {"half_again": True, "factor_two": True, "factor_three": False}
    assert {band: report.options["top_down_band"] for band, report in ratio.items()} == {
        b: b for b in checks.BANDS
    }


def test_what_there_is_not_is_refused(space: Workspace, tmp_path: Any) -> None:
    with pytest.raises(NotFound, match="no row of a ledger is of 1999"):
        checks.check(space, checks.Wanted(year=1999))
    with pytest.raises(NotFound, match="no inventory '1999-01'"):
        checks.check(space, checks.Wanted(version="1999-01"))
    with pytest.raises(UnknownName):
        checks.check(space, checks.Wanted(band="wide"))
    with pytest.raises(NotFound):
        checks.read_file(space, tmp_path / "nothing.csv")
