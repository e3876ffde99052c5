"""The account of reduction projects: no tonne counts twice (the plan's 重点工程减排量; issue 4, guard)."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qinglan.core.errors import LayoutError
from qinglan.emission.projects import COLUMNS, REASONS, STATES, Account, account

DAY = date(2024, 3, 1)


def project(name: str, before: float = 100.0, after: float = 40.0, **given: Any) -> dict[str, Any]:
    row = {
        "project": name,
        "source_id": "DA001",
        "species": "nox",
        "period": "14fyp",
        "baseline_year": 2020,
        "year": 2023,
        "before_t": before,
        "after_t": after,
        "verified_t": before - after,
        "verified_on": DAY,
    }
    return row | given


def accounted(*rows: dict[str, Any]) -> Account:
    return account(pl.DataFrame(list(rows), schema=COLUMNS))


def says(found: Account) -> list[tuple[float, str, str | None, str | None]]:
    return found.rows.select("credited_t", "state", "reason", "against").rows()


def test_one_project_counts_whole() -> None:
    found = accounted(project("P1"))
    assert says(found) == [(60.0, "counted", None, None)]
    assert found.totals().rows() == [("nox", "14fyp", 60.0, 0.0, 0.0)]


def test_the_same_source_baseline_species_and_period_counts_once() -> None:
    """The one verified first counts, whatever the order of the rows."""
    rows = [project("late", verified_on=date(2024, 9, 1)), project("early")]
    assert says(accounted(*rows)) == [(0.0, "refused", "counted_already", "early"), (60.0, "counted", None, None)]
    assert accounted(*rows).totals()["counted_t"].to_list() == [60.0]
    assert accounted(*rows).totals()["lost_t"].to_list() == [60.0]


@pytest.mark.parametrize("other", [{"source_id": "DA002"}, {"species": "nmvoc"}])
def test_another_source_or_species_counts_for_itself(other: dict[str, Any]) -> None:
    assert [row[1] for row in says(accounted(project("P1"), project("P2", **other)))] == ["counted", "counted"]


def test_a_second_project_starts_where_the_first_ended() -> None:
    """Boiler 100 to 40 t, then retired: counting 100 to 0 again would count 60 t twice; 40 t are left."""
    found = accounted(project("burner"), project("retired", 100.0, 0.0, year=2024, baseline_year=2021))
    assert says(found) == [(60.0, "counted", None, None), (40.0, "cut", "starts_too_high", "burner")]
    again = accounted(project("burner"), project("more", 100.0, 45.0, year=2024, baseline_year=2021))
    assert says(again)[1] == (0.0, "refused", "starts_too_high", "burner")
    honest = accounted(project("burner"), project("retired", 40.0, 0.0, year=2024, baseline_year=2023))
    assert [row[:2] for row in says(honest)] == [(60.0, "counted"), (40.0, "counted")]


def test_the_next_period_does_not_count_the_last_one_again() -> None:
    found = accounted(project("P1"), project("P2", 100.0, 30.0, period="15fyp", year=2026))
    assert says(found)[1] == (10.0, "cut", "starts_too_high", "P1")


def test_less_verified_and_not_verified() -> None:
    assert says(accounted(project("P1", verified_t=50.0))) == [(50.0, "cut", "verified_less", None)]
    waiting = accounted(project("P1", verified_on=None, verified_t=None), project("P2"))
    assert says(waiting) == [(0.0, "refused", "counted_already", "P2"), (60.0, "counted", None, None)]
    alone = accounted(project("P1", verified_on=None, verified_t=None))
    assert says(alone) == [(60.0, "pending", "not_verified", None)]
    assert alone.totals().row(0) == ("nox", "14fyp", 0.0, 60.0, 0.0)


@pytest.mark.parametrize(
    "broken", [{"before_t": None}, {"after_t": -1.0}, {"baseline_year": None}, {"period": None}]
)
def test_an_incomplete_project_is_refused(broken: dict[str, Any]) -> None:
    assert says(accounted(project("P1", **broken)))[0][1:3] == ("refused", "incomplete")


def test_no_reduction() -> None:
    assert says(accounted(project("P1", 40.0, 40.0)))[0][1:3] == ("refused", "no_reduction")


def test_a_missing_column_is_named() -> None:
    with pytest.raises(LayoutError, match="no column verified_on"):
        account(pl.DataFrame([project("P1")], schema=COLUMNS).drop("verified_on"))


masses = st.floats(0, 1000, allow_nan=False)


@given(
    st.lists(
        st.tuples(
            masses, masses, st.integers(2020, 2024), st.integers(2021, 2026), st.booleans(), st.none() | masses
        ),
        max_size=8,
    )
)
def test_a_source_never_counts_more_than_it_emitted(
    rows: list[tuple[float, float, int, int, bool, float | None]],
) -> None:
    """However projects overlap: the sum of credits is at most the largest baseline less the lowest emission."""
    made = [
        project(f"P{i}", b, a, baseline_year=base, year=y, verified_on=DAY if v else None, verified_t=t)
        for i, (b, a, base, y, v, t) in enumerate(rows)
    ]
    found = accounted(*made).rows
    assert found.height == len(made)
    assert set(found["state"]) <= set(STATES)
    assert set(found["reason"].drop_nulls()) <= set(REASONS)
    live = found.filter(pl.col("state").is_in(["counted", "cut"]))
    if live.height:
        most = live["before_t"].max() - live["after_t"].min()  # type: ignore[operator]
        assert live["credited_t"].sum() <= most + 1e-6
