"""Breaches, deadlines, indicators and activity of rows. Source: the declaration of boilers; counted by hand."""

from datetime import date

import polars as pl
import pytest
from tests.ledger.rows import checked, raw_of

from qinglan.ledger.activity import activities
from qinglan.ledger.change import difference, missing_keys
from qinglan.ledger.declare import load_ledger
from qinglan.ledger.watch import due, findings, indicators, making

BOILERS = load_ledger("boilers")
SMALL = {"capacity": 6, "hard_area": False, "built_up": True}


@pytest.fixture(scope="module")
def rows():
    base = BOILERS.good[0]
    made = [
        base,
        {**base, **SMALL, "boiler_no": "B-OLD"},
        {**base, **SMALL, "boiler_no": "B-NEW", "commissioned": "2024-11-01", "county": "632801"},
        {**base, **SMALL, "boiler_no": "B-GONE", "status": "retired", "retired_on": "2025-03-01"},
        {**base, **SMALL, "boiler_no": "B-LONG-GONE", "status": "retired", "retired_on": "2023-03-01"},
        {**base, **SMALL, "boiler_no": "B-HARD", "hard_area": True},
    ]
    return checked(BOILERS, raw_of(made), today=date(2025, 12, 1)).rows


def test_findings_of_a_day(rows):
    before = findings(BOILERS, rows, date(2025, 12, 1))
    after = findings(BOILERS, rows, date(2026, 1, 1))
    assert before.select("_key", "check").rows() == [("B-NEW", "no_small_coal_in_built_up")]
    assert set(after.filter(check="small_coal_outlasted")["_key"]) == {"B-OLD", "B-NEW"}
    assert before["article"].to_list() == [11]


def test_what_is_due_counts_its_days(rows):
    told = due(BOILERS, rows, date(2025, 12, 1))
    assert told.select("_key", "days", "stands").rows() == [("B-NEW", 30, "soon"), ("B-OLD", 30, "soon")]
    assert due(BOILERS, rows, date(2026, 1, 1))["stands"].to_list() == ["overdue"] * 2
    assert due(BOILERS, rows, date(2025, 1, 1))["stands"].to_list() == ["later"] * 2


def test_an_indicator_with_its_baseline(rows):
    """In use at the end of 2024: OLD, NEW, GONE (retired in 2025); now: OLD, NEW."""
    told = indicators(BOILERS, rows, date(2025, 12, 1)).filter(indicator="small_coal_boilers_left")
    assert told.select("value", "baseline", "change", "rows", "known", "coverage").rows() == [
        (2, 3, -1, 4, 4, 100)
    ]
    new = indicators(BOILERS, rows, date(2025, 12, 1), by="place").filter(indicator="new_small_boilers")
    assert new.select("place", "value").rows() == [("", 1), ("630105", 0), ("632801", 1)]


def test_the_rows_that_made_a_number(rows):
    told = making(BOILERS, rows, "small_coal_boilers_left", date(2025, 12, 1))
    assert dict(told.select("_key", "state").rows()) == {
        "B-OLD": "counted", "B-NEW": "counted", "B-GONE": "not_counted", "B-LONG-GONE": "not_counted",
    }  # fmt: skip


def test_a_share_is_of_what_is_known_and_says_what_is_lacking():
    ledger = load_ledger("air-enterprises")
    base = {**ledger.good[0], "key_unit": True}
    made = [{**base, "online_monitoring": True}, {**base, "online_monitoring": False}, {**base}]
    frame = pl.concat([checked(ledger, raw_of([row])).rows for row in made])
    frame = frame.with_columns(_key=pl.Series(["a", "b", "c"]), online_monitoring=pl.Series([True, False, None]))
    told = indicators(ledger, frame, date(2026, 3, 1)).filter(indicator="key_units_online")
    assert told.select("value", "rows", "known", "lacking").rows() == [(50.0, 3, 2, 1)]
    assert told["coverage"].item() == pytest.approx(200 / 3)


def test_an_empty_ledger_has_no_share_and_a_count_of_nothing(rows):
    told = indicators(BOILERS, rows.clear(), date(2025, 12, 1))
    assert dict(told.select("indicator", "value").rows())["small_coal_boilers_left"] == 0
    empty = indicators(load_ledger("nonroad-machines"), checked(load_ledger("nonroad-machines"),
                       raw_of(load_ledger("nonroad-machines").good)).rows.clear(), date(2025, 12, 1))  # fmt: skip
    assert empty.filter(indicator="electric_share")["value"].to_list() == [None]


def test_rows_as_activity_data(rows):
    told = activities(BOILERS, rows)
    first = told.row(0, named=True)
    assert told.height == 6
    assert (first["sector"], first["fuel"], first["technology"]) == ("heat", "coal", "automatic_grate")
    assert (first["amount"], first["unit"], first["year"]) == (8600, "t", 2025)
    assert first["terms"]["so2_control"] == "limestone_gypsum"
    assert first["terms"]["sulphur"] == 0.52
    assert first["stack"]["height"] == 45


def test_difference_knows_added_changed_and_same(rows):
    now = rows.with_columns(
        capacity=pl.when(pl.col("_key") == "B-OLD").then(7.0).otherwise("capacity"),
        contact=pl.lit(None, pl.String),
    )  # fmt: skip
    before = rows.filter(pl.col("_key") != "B-NEW").with_columns(contact=pl.lit("somebody"))
    told = difference(BOILERS, before, now.drop("contact"))
    kinds = {row["_key"]: (row["kind"], row["columns"]) for row in told.iter_rows(named=True)}
    assert kinds["B-OLD"] == ("changed", ["capacity"])
    assert kinds["B-NEW"] == ("added", [])
    assert [k for k, _ in kinds.values()].count("same") == 4
    # An empty cell of a column that the file has does change the row.
    assert set(difference(BOILERS, before, now)["kind"]) == {"changed", "added"}
    assert missing_keys(rows, now.filter(pl.col("_key") != "B-GONE")).to_list() == ["B-GONE"]
