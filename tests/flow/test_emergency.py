"""The emergency list of a small workspace: built, checked, completed, accepted.

Sources: each fault is planted and found; episode.requirement.reachable by hand (72 h: half of the first day, 24 h:
all of it); the whole society's emission is that of the inventory itself; the ledger's history after acceptance.
"""

from __future__ import annotations

import runpy
import shutil
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from qinglan.core.errors import NotFound, UsageError
from qinglan.emission.whole import build_all
from qinglan.episode.completion import LEVELS
from qinglan.flow import emergency, inventory, ledgers
from qinglan.flow.workspace import Workspace, init, open_workspace
from qinglan.ledger.declare import load_ledger
from qinglan.store.ledgers import Overtaken

#: Each test solves a programme over an inventory.
pytestmark = pytest.mark.slow

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_list.py"))))
BRICK, CEMENT, GLASS, HEAT, LIME = small.BRICK, small.CEMENT, small.GLASS, small.HEAT, small.LIME
NOW, TODAY, assessed, small_list, take = small.NOW, small.TODAY, small.assessed, small.small_list, small.take


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return small_list(tmp_path_factory.mktemp("emergency") / "home")


@pytest.fixture
def own(space: Workspace, tmp_path: Path) -> Workspace:
    """A copy to write into."""
    return open_workspace(Path(shutil.copytree(space.home, tmp_path / "home")))


def test_the_lines_are_what_is_in_use_with_their_tonnes_grades_and_checks(space: Workspace) -> None:
    found = emergency.gathered(space, 2025, TODAY)
    lines = {r["uscc"]: r for r in found.lines.iter_rows(named=True)}
    assert set(lines) == {CEMENT, GLASS, BRICK, LIME, HEAT}
    built = build_all(inventory.activities_of(space, 2025)).emissions
    whole = built.filter(species="nox")["emission_t"].sum() / 365
    assert found.base["nox"] == pytest.approx(whole) == pytest.approx(found.lines["nox"].sum())
    grades = {u: (r["grade"], r["grade_from"]) for u, r in lines.items()}
    assert grades[CEMENT] == ("C", "assessed")
    assert grades[LIME] == ("none", "expired"), "ended on the last day of the year"
    assert grades[HEAT] == ("none", "copied")
    assert [u for u, r in lines.items() if r["guaranteed"]] == [HEAT]
    assert (lines[CEMENT]["stack"], lines[GLASS]["electricity"]) == ("DA001", "JK-001")
    assert lines[BRICK]["lead_hours"] == 72


def test_what_is_wrong_is_found(space: Workspace) -> None:
    found = emergency.check(space, TODAY)
    told = {(r["check"], r["key"].split("|")[0] or r["value"], r["level"]) for r in found.findings.to_dicts()}
    brick = {("ramp", BRICK, level) for level in ("orange", "red")}
    assert {t for t in told if t[0] in ("ramp", "coverage")} == {
        *brick, ("coverage", LIME, ""), ("coverage", HEAT, "")
    }  # fmt: skip
    assert ("inspection_only", BRICK, "") in told
    assert not {t for t in told if t[0] in ("protected", "stranger", "unknown_line", "grade", "twice")}
    # What the list claims of the brick kiln is a whole stop; its first day gives half.
    need = found.needs.filter(level="red", need="nox").row(0, named=True)
    assert need["claimed_t"] - need["credible_t"] == pytest.approx(0.5 * 0.5)
    assert need["claimed_t"] == pytest.approx(0.5 * 1.0 + 0.5 * 0.3)
    assert {(m["key"].split("|")[0], m["after"]) for m in found.mends.to_dicts()} == {(BRICK, 0.5)}


def test_a_grade_that_is_not_in_force_and_a_closed_enterprise_are_found(own: Workspace) -> None:
    take(own, "performance-grades", assessed(CEMENT, "试水泥", "cement", "B", assessed_on="2025-12-01"))
    take(own, "air-enterprises", {"uscc": GLASS, "name": "试玻璃", "county": "630106", "industry": "30",
                                  "industry_class": "3041", "permit_no": f"{GLASS}001V", "status": "closed",
                                  "closed_on": "2025-12-01"})  # fmt: skip
    told = {(r["check"], r["key"].split("|")[0]) for r in emergency.check(own, TODAY).findings.to_dicts()}
    assert ("grade", CEMENT) in told
    assert ("stranger", GLASS) in told


def test_what_is_not_in_use_cuts_nothing(own: Workspace) -> None:
    """A listed line that no ledger knows: claimed, not credible, and no part of the completion."""
    before = emergency.check(own, TODAY)
    row = small.listed(CEMENT, "L-999", "试水泥", "cement", "C", **small.STOP | {"nox_day": 1000})
    take(own, "emergency-list", row)
    after = emergency.check(own, TODAY)
    assert after.idle == {f"{CEMENT}|L-999|2025"}
    first, then = (c.needs.filter(level="red", need="nox").row(0, named=True) for c in (before, after))
    assert then["claimed_t"] - first["claimed_t"] == pytest.approx(1.0)
    assert then["credible_t"] == pytest.approx(first["credible_t"])
    found = emergency.propose(own, TODAY)
    assert "L-999" not in found.rows["line_no"].to_list()
    assert found.needs.filter(level="red", need="nox")["credible_t"][0] == pytest.approx(first["credible_t"])


def test_the_completion_says_a_reason_for_each_line_and_keeps_what_it_must(space: Workspace) -> None:
    found = emergency.propose(space, TODAY)
    rows = {r["uscc"]: r for r in found.rows.iter_rows(named=True)}
    assert set(rows) == {CEMENT, GLASS, BRICK, LIME, HEAT}
    for level in LEVELS:
        assert rows[GLASS][f"{level}_cut"] == 0, "grade A chooses for itself"
        assert rows[HEAT][f"{level}_cut"] == 0, "needed by the people"
        assert rows[BRICK][f"{level}_cut"] <= 50, "72 hours: half of the first day"
    assert rows[CEMENT]["red_cut"] >= 30, "the least of grade C"
    assert all(r["yellow_cut"] <= r["orange_cut"] <= r["red_cut"] for r in rows.values())
    changes = {r["uscc"]: r for r in found.changes.iter_rows(named=True)}
    assert {u: c["kind"] for u, c in changes.items()}.items() >= {
        LIME: "added",
        HEAT: "added",
        BRICK: "changed",
    }.items()
    assert GLASS not in changes
    assert all(c["zh"] and c["en"] for c in changes.values())
    assert "72小时" in changes[BRICK]["zh"]
    assert "民生保障类" in changes[HEAT]["zh"]
    for need in found.needs.iter_rows(named=True):
        assert need["holds"] or found.held.filter(level=need["level"], need=need["need"]).height


def test_an_accepted_proposal_is_one_change_with_its_history_and_leaves_nothing_to_do(own: Workspace) -> None:
    me = ledgers.local_office(own, "王")
    found = emergency.propose(own, TODAY)
    with pytest.raises(UsageError, match="reason"):
        emergency.accept(own, found.digest, reason=" ", me=me, today=TODAY, now=NOW)
    done = emergency.accept(own, found.digest, reason="年度补足", me=me, today=TODAY, now=NOW)
    assert (done.changed, done.refused) == (found.changes.height, 0)
    base = ledgers.frame(own, "emergency-list").rows
    assert base.height == 5
    assert (
        base.select("_key", "red_cut").sort("_key").rows()
        == found.rows.select("_key", "red_cut").sort("_key").rows()
    )
    brick = ledgers.number_of(own, "emergency-list", f"{BRICK}|L-003|2025")
    past = ledgers.history(own, "emergency-list", brick, me=me)
    assert [v["version"] for v in past] == [2, 1]
    assert past[0]["reason"] == "年度补足"
    after = emergency.propose(own, TODAY)
    assert after.changes.is_empty()
    assert not emergency.check(own, TODAY).findings.filter(pl.col("check").is_in(["ramp", "coverage"])).height
    with pytest.raises(Overtaken):
        emergency.accept(own, found.digest, reason="又一次", me=me, today=TODAY, now=NOW)
    with pytest.raises(UsageError, match="nothing to accept"):
        emergency.accept(own, after.digest, reason="又一次", me=me, today=TODAY, now=NOW)


def test_some_rows_of_a_proposal_are_accepted_and_others_wait(own: Workspace) -> None:
    me = ledgers.local_office(own, "王")
    found = emergency.propose(own, TODAY)
    key = f"{HEAT}|GL-001|2025"
    with pytest.raises(UsageError, match="no row X"):
        emergency.accept(own, found.digest, reason="r", me=me, today=TODAY, now=NOW, keys=["X"])
    assert emergency.accept(own, found.digest, reason="r", me=me, today=TODAY, now=NOW, keys=[key]).changed == 1
    row = ledgers.frame(own, "emergency-list").rows.filter(_key=key).row(0, named=True)
    assert (row["guaranteed"], row["red_cut"], row["status"], row["plan_updated"]) == (True, 0, "listed", TODAY)
    assert row["nox_day"] == pytest.approx(
        1000 * emergency.gathered(own, 2025, TODAY).lines.filter(uscc=HEAT)["nox"][0], abs=0.01
    )
    assert key not in emergency.propose(own, TODAY).changes["key"].to_list()


def test_an_empty_list_is_built_from_the_ledgers(own: Workspace, tmp_path: Path) -> None:
    """A year without rows: everything that emits is missing, and the proposal is the list."""
    found = emergency.propose(own, TODAY, 2026)
    assert emergency.check(own, TODAY, 2026).rows.is_empty()
    assert found.checked.gathered.year == 2025, "the newest inventory up to the year"
    assert set(found.changes["kind"]) == {"added"}
    assert found.rows.height == 5
    with pytest.raises(NotFound, match="list is empty"):
        emergency.check(init(tmp_path / "none"), TODAY)


def test_a_frozen_inventory_of_the_year_is_what_counts(own: Workspace) -> None:
    made = inventory.freeze(own, 2025, by="王", reason="年度", now=NOW)
    assert emergency.check(own, TODAY).gathered.inventory == made.id


def test_the_ledgers_own_check_of_the_ramp_says_what_the_pure_rule_says() -> None:
    """`cut_in_time` is SQL, `reachable` is Python: the same at every hour."""
    from qinglan.episode.requirement import reachable
    from qinglan.plan.rules import load_book

    book = load_book("emergency_cuts", TODAY)
    rule = next(c for c in load_ledger("emergency-list").checks if c.id == "cut_in_time")
    hours = [24.5, 30.0, 47.9, 48.0, 60.0, 72.0, 240.0]
    for share, holds in ((0.04, True), (0.06, False)):
        cells = pl.DataFrame({"lead_hours": hours, "red_cut": [100 * reachable(book, h) + share for h in hours]})
        assert cells.select(pl.sql_expr(rule.holds)).to_series().to_list() == [holds] * len(hours)


def test_grades_end_on_the_day_after_their_last(space: Workspace) -> None:
    books = emergency.books_on(TODAY)
    last = ledgers.frame(space, "performance-grades").rows.filter(uscc=CEMENT)["valid_to"][0]
    assert emergency.grades_of(space, books, last)[CEMENT] == ("C", "assessed")
    assert emergency.grades_of(space, books, last + timedelta(days=1))[CEMENT] == ("none", "expired")
