"""Recipes of simulated rows: streams by name, draws that are what they say, clear words for a bad recipe."""

from __future__ import annotations

import polars as pl
import pytest

from qinglan.core.errors import ContentError
from qinglan.plan.outlines import county_outlines, inside
from qinglan.sim.enterprises import counties
from qinglan.sim.recipes import Drawer


@pytest.fixture
def drawer():
    return Drawer("things", 9, county_outlines())


def test_a_column_added_moves_no_other(drawer):
    recipe = {"over": "counties", "each": 2.5, "columns": {"a": {"uniform": [0, 1]}, "b": {"chance": 0.5}}}
    more = {**recipe, "columns": {"new": {"lognormal": [10, 0.5]}, **recipe["columns"]}}
    assert drawer.rows(recipe, counties()).select("a", "b").equals(drawer.rows(more, counties()).select("a", "b"))


def test_draws_are_what_they_say(drawer):
    """Means of 20,000 draws against the distributions' own, within four standard errors."""
    recipe = {
        "over": "counties",
        "total": 20_000,
        "columns": {
            "half": {"chance": 0.25},
            "share": {"pick": {"x": 3, "y": 1}},
            "whole": {"whole": [1, 6]},
            "log": {"lognormal": [100, 0.3], "min": 60, "decimals": 1},
            "day": {"day": ["2025-01-01", "2025-12-31"]},
            "some": {"uniform": [5, 7], "where": "half"},
        },
    }
    made = drawer.rows(recipe, counties())
    assert made["half"].mean() == pytest.approx(0.25, abs=0.013)
    assert (made["share"] == "x").mean() == pytest.approx(0.75, abs=0.013)
    assert (made["whole"].min(), made["whole"].max()) == (1, 6)
    assert made["whole"].mean() == pytest.approx(3.5, abs=0.05)
    assert made["log"].min() == 60
    assert made["log"].median() == pytest.approx(100, rel=0.02)
    assert made["day"].dt.year().unique().to_list() == [2025]
    assert made["some"].null_count() == (~made["half"]).sum()
    assert made["some"].min() >= 5


def test_rows_for_each_year_and_each_value(drawer):
    recipe = {
        "over": "counties",
        "cross": {"kind": ["a", "b"]},
        "columns": {},
        "years": [2024, 2025],
        "yearly": {},
    }
    made = drawer.rows(recipe, counties())
    assert made.height == counties().height * 4
    assert made.group_by("county", "kind", "year").len()["len"].unique().to_list() == [1]


def test_points_lie_in_their_county(drawer):
    made = drawer.rows({"over": "counties", "each": 20, "columns": {"point": {"near": 30}}}, counties())
    for (county,), mine in made.group_by("county"):
        assert inside(county_outlines()[county], mine["lon"].to_numpy(), mine["lat"].to_numpy()).all()


def test_breaches_touch_their_share_of_the_rows_asked_for(drawer):
    recipe = {
        "over": "counties",
        "total": 5000,
        "columns": {"good": "true", "odd": "n % 2 = 1"},
        "breaches": [{"share": 0.2, "where": "odd", "set": {"good": "false"}}],
    }
    made = drawer.rows(recipe, counties())
    assert made.filter(~pl.col("good"))["odd"].all()
    assert made.filter("odd")["good"].not_().mean() == pytest.approx(0.2, abs=0.04)


def test_a_bad_recipe_names_its_column(drawer):
    with pytest.raises(ContentError, match=r"things\.x"):
        drawer.rows({"over": "counties", "columns": {"x": {"dice": 6}}}, counties())
    with pytest.raises(ContentError, match=r"things\.y"):
        drawer.rows({"over": "counties", "columns": {"y": "nothing_there + 1"}}, counties())
