"""Grades and requirements. Sources: fact sheet 6.2-6.4 as the rule books hold it; integrals by sums (c)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest

from qinglan.core.errors import LayoutError, UnknownName, UsageError
from qinglan.episode import grades, requirement
from qinglan.episode.completion import LEVELS, SPECIES
from qinglan.plan.rules import load_book

OLD, NEW = load_book("performance_grades", date(2025, 6, 1)), load_book("performance_grades", date(2026, 6, 1))
CUTS = load_book("emergency_cuts", date(2025, 12, 1))


def judged(book: Any = NEW, sector: str = "cement", **changes: str) -> grades.Grade:
    indicators = {**dict.fromkeys(book.get("indicators").value, "A"), **changes}
    return grades.judge(book, "某厂", sector, indicators, date(2026, 3, 1), date(2029, 2, 28))


def test_the_guide_names_39_industries() -> None:
    """[YICAI; fact sheet 6.3]"""
    assert sum(key.startswith("industry.") for key in OLD.values) == 39


def test_the_lowest_indicator_sets_the_grade() -> None:
    assert judged().grade == "A"
    low = judged(transport="C", monitoring="B")
    assert low.grade == "C"
    assert grades.weakest(NEW, low) == ("transport",)
    assert judged(equipment="A+").grade == "A"
    with pytest.raises(UnknownName, match=r"A\+"):
        judged(OLD, equipment="A+")


def test_the_lowest_sector_is_the_enterprise_s_and_only_what_is_in_force_counts() -> None:
    days: dict[str, Any] = {
        "applied_on": date(2026, 1, 5), "checked_on": date(2026, 2, 5), "published_on": date(2026, 4, 1)
    }  # fmt: skip
    good, worse = replace(judged(), **days), replace(judged(sector="lime_kiln", control="B"), **days)
    assert grades.of_enterprise(NEW, [good, worse], date(2026, 5, 1)) == "B"
    assert [
        grades.state(good, d) for d in (date(2026, 1, 9), date(2026, 3, 1), date(2026, 4, 1), date(2029, 3, 1))
    ] == list(grades.STATES)
    assert grades.of_enterprise(NEW, [good, worse], date(2029, 3, 1)) == "none"
    with pytest.raises(UsageError, match="checked on the site"):
        grades.state(replace(good, checked_on=None), date(2026, 5, 1))


def test_wrong_grades_are_named() -> None:
    with pytest.raises(LayoutError, match="transport"):
        grades.judge(NEW, "某厂", "cement", {"equipment": "A"}, date(2026, 3, 1), date(2027, 3, 1))
    with pytest.raises(UnknownName, match="bakery"):
        judged(sector="bakery")
    with pytest.raises(UsageError, match="no grade"):
        grades.lowest(NEW, [])


def test_what_a_grade_must_and_may_cut_rises_with_the_level() -> None:
    order = NEW.get("order").value
    for grade in order:
        rising = [grades.action(NEW, grade, level) for level in LEVELS]
        assert all(a.least <= a.most for a in rising)
        assert [a.least for a in rising] == sorted(a.least for a in rising)
        assert [a.most for a in rising] == sorted(a.most for a in rising)
    assert grades.action(NEW, "A", "red").most == 0, "its own choice"
    assert grades.action(NEW, "D", "red").measure == "stop"


def test_options_say_how_the_ungraded_count() -> None:
    assert grades.action(NEW, "none", "red") == grades.action(NEW, "D", "red")
    lenient = NEW.with_options(ungraded_as="c", not_leading_as="b")
    assert grades.action(lenient, "none", "red") == grades.action(NEW, "C", "red")
    assert grades.action(lenient, "not_leading", "red") == grades.action(NEW, "B", "red")


def test_ten_twenty_thirty_per_cent() -> None:
    """[TJ plan; fact sheet 6.2]"""
    made = requirement.terms(CUTS, dict.fromkeys(SPECIES, 10.0))
    assert [made.ratio[n]["nox"] for n in LEVELS] == [0.1, 0.2, 0.3]
    assert not made.trade
    assert requirement.terms(CUTS.with_options(so2_nox="together"), dict.fromkeys(SPECIES, 1.0)).trade
    assert requirement.daily(CUTS, {"nox": 730.0}) == {"nox": 2.0}


@pytest.mark.parametrize("hours", [0, 12, 24, 30, 47, 48, 60, 200])
def test_what_a_kiln_can_give_on_the_first_day(hours: float) -> None:
    """Sums over minutes of the load that falls evenly from the warning on (c)."""
    t = (np.arange(24 * 60) + 0.5) / 60
    down = np.minimum(1, (24 + t) / hours) if hours else np.ones_like(t)
    assert requirement.reachable(CUTS, hours) == pytest.approx(down.mean(), abs=1e-6)
    strict = requirement.reachable(CUTS.with_options(ramp="stopped"), hours)
    assert strict == pytest.approx((down >= 1).mean(), abs=1e-3)
