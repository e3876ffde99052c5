"""Simulated ledgers: every row passes its ledger's own check, refers to rows that are there, and comes again.

The declarations (content/ledgers) are the source of what is right; docs/design/0012-ledgers.md of the interface.
"""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from qinglan.core.errors import UnknownName
from qinglan.emission.build import build, stationary
from qinglan.emission.categories import categories
from qinglan.ledger.activity import activities
from qinglan.ledger.check import check_rows
from qinglan.ledger.declare import ledgers as declared_ledgers
from qinglan.ledger.declare import load_ledger
from qinglan.ledger.identifiers import uscc_fault
from qinglan.plan.outlines import county_outlines, inside
from qinglan.plan.pack import load_plan
from qinglan.plan.places import load_places
from qinglan.sim.enterprises import counties, credit_code, enterprises
from qinglan.sim.ledgers import SEED, faulty, ledger_ids, rows, truth, typed

TODAY = date(2026, 3, 1)


@pytest.fixture(scope="module")
def known():
    return {"air-enterprises.uscc": set(rows("air-enterprises")["uscc"])}


def checked(ledger_id, raw, known):
    key_region = load_plan("qinghai-2024").regions["key-region"].places
    ledger = load_ledger(ledger_id)
    return check_rows(ledger, raw, today=TODAY, places=load_places(), key_region=key_region, known=known)


@pytest.fixture(scope="module")
def taken(known):
    """Every ledger's rows, checked once for all tests."""
    return {ledger_id: checked(ledger_id, rows(ledger_id), known) for ledger_id in ledger_ids()}


@pytest.mark.parametrize("ledger_id", ledger_ids())
def test_rows_pass_the_check_of_their_ledger(ledger_id, taken):
    """No error and no warning; a finding (a breach of the plan) is planted on purpose in some ledgers."""
    found = taken[ledger_id]
    wrong = found.faults.filter(pl.col("level").is_in(["error", "warning"]))
    assert wrong.select("line", "column", "code", "check", "value").rows() == []
    assert (found.read, found.aside) == (found.taken, 0)
    assert found.taken > 0


def test_every_declared_ledger_is_simulated():
    assert set(declared_ledgers()) - set(ledger_ids()) == set()


def test_some_rows_breach_the_plan_so_that_pages_show_something(taken):
    with_findings = {i for i, found in taken.items() if "finding" in found.faults["level"].unique().to_list()}
    assert len(with_findings) >= 20


def test_planted_mistakes_are_all_found(known):
    """Each planted mistake gives its fault at its line and column (contract: nothing is lost silently)."""
    for ledger_id in ("production-lines", "construction-sites", "petrol-stations"):
        raw, planted = faulty(ledger_id)
        assert planted.height > 5
        found = checked(ledger_id, raw, known).faults.select("line", "column", "code").unique()
        missed = planted.select("line", "column", "code").join(found, on=["line", "column", "code"], how="anti")
        assert missed.rows() == [], ledger_id
        assert rows(ledger_id, faults=True).equals(raw)


def test_the_same_seed_gives_the_same_rows_and_another_seed_others():
    first = rows("outlets")
    typed.cache_clear()
    assert rows("outlets").equals(first)
    assert not rows("outlets", seed=SEED + 1).equals(first)


def test_sizes_are_those_of_a_province():
    assert 250 <= enterprises(SEED).height <= 350
    assert 500 <= rows("outlets").height <= 750
    assert 200 <= rows("boilers").height <= 300
    assert rows("nonroad-machines").height == 20_000
    assert rows("nonroad-machines", size=500).height == 500


def test_enterprises_are_invented_valid_and_inside_their_county():
    """GB 32100-2015: a right check digit; the body MAQL marks the invented ones."""
    frame = enterprises(SEED)
    assert frame["uscc"].n_unique() == frame["enterprise"].n_unique() == frame.height
    assert all(uscc_fault(code) is None for code in frame["uscc"])
    assert frame["uscc"].str.contains("MAQL").all()
    for (county,), mine in frame.group_by("county"):
        assert inside(county_outlines()[county], mine["lon"].to_numpy(), mine["lat"].to_numpy()).all(), county


def test_credit_codes_have_the_check_digits_of_the_standard():
    assert uscc_fault(credit_code("632801", 42)) is None
    wrong = credit_code("632801", 42)[:-1] + ("0" if credit_code("632801", 42)[-1] != "0" else "1")
    assert uscc_fault(wrong) is not None


def test_seats_lie_inside_their_counties():
    for row in counties().iter_rows(named=True):
        point = pl.DataFrame([row])
        assert inside(county_outlines()[row["county"]], point["lon"].to_numpy(), point["lat"].to_numpy()).all()


def test_references_between_ledgers_hold():
    lines = set(rows("production-lines")["line_no"])
    assert set(rows("outlets")["serves"]) <= lines
    assert set(rows("emergency-list")["line_no"]) <= lines
    assert set(rows("reduction-projects")["source_no"]) <= lines
    firms = set(rows("air-enterprises")["uscc"])
    for ledger_id in ("boilers", "production-lines", "outlets", "furnaces", "ldar", "coal-use"):
        assert set(rows(ledger_id)["uscc"].drop_nulls()) <= firms, ledger_id


def test_truth_is_the_arithmetic_of_its_row():
    """SO2 = 20 S (1 - 0.15) A (1 - eta run) (T/CSES 144-2024, fact sheet 7.2); one boiler by hand."""
    told = truth().filter(pl.col("ledger") == "boilers", pl.col("species") == "so2")
    source, given = told.select("source_id", "emission_t").row(0)
    row = typed("boilers").filter(pl.col("boiler_no") == source).row(0, named=True)
    removal = 0.0 if row["so2_control"] == "none" else 0.8 * row["control_running"] / 100
    assert given == pytest.approx(row["fuel_use"] * 20 * row["sulphur"] * 0.85 / 1000 * (1 - removal), rel=1e-12)
    assert truth().select("ledger", "source_id", "activity", "species").is_duplicated().sum() == 0


@pytest.fixture(scope="module")
def activity(taken):
    """All activities of 2025 that the simulated ledgers give, by ledger."""
    found = {}
    for ledger_id in ledger_ids():
        ledger = load_ledger(ledger_id)
        if ledger.activity:
            found[ledger_id] = activities(ledger, taken[ledger_id].rows, TODAY).filter(pl.col("year") == 2025)
    return found


def test_activities_carry_the_names_of_the_inventory(activity):
    """content/factors/categories.yaml: a name that is not there would be a source left out."""
    names = categories()
    assert len(activity) > 20
    for ledger_id, frame in activity.items():
        assert frame.height, ledger_id
        assert set(frame["sector"]) <= set(names.sectors), ledger_id
        assert set(frame["fuel"].drop_nulls()) - {""} <= set(names.fuels), ledger_id
        assert set(frame["technology"].drop_nulls()) - {""} <= set(names.technologies), ledger_id


def test_the_inventory_of_the_ledgers_is_the_truth_of_the_simulation(activity):
    """Issue 4, must show 4: where inputs are complete the inventory equals the simulator's truth."""
    told = truth()
    compared = 0
    for ledger_id in ("boilers", "clean-heating", "production-lines", "voc-facilities", "voc-substitution"):
        made = build(activity[ledger_id].filter(stationary())).emissions
        keys = ["ledger", "source_id", "activity", "species"]
        got = made.group_by(keys).agg(made=pl.col("emission_t").sum())
        both = told.filter(pl.col("ledger") == ledger_id).join(got, on=keys, how="left")
        assert both["made"].null_count() == 0, ledger_id
        off = ((both["made"] / both["emission_t"]) - 1).abs()
        assert float(off.max()) < 1e-9, ledger_id
        compared += both.height
    assert compared > 900


def test_sulphur_of_the_province_is_of_the_size_of_a_top_down_inventory(activity):
    """REAS 3.2 says 77.0 kt SO2 for Qinghai in 2015; ten years later at most that and not below two fifths."""
    made = [build(f.filter(stationary())).emissions for f in activity.values()]
    so2 = sum(float(m.filter(pl.col("species") == "so2")["emission_t"].sum()) for m in made) / 1000
    assert 0.4 * 77.0 < so2 < 77.0


def test_an_unknown_ledger_is_named():
    with pytest.raises(UnknownName, match="bolers"):
        rows("bolers")
