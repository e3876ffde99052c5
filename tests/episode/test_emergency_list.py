"""Checks of a list and its way into the programme. Source (d): each fault is planted and found."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from qinglan.core.errors import NotFound
from qinglan.episode import emergency_list as lists
from qinglan.episode.completion import LEVELS, SPECIES, complete
from qinglan.episode.requirement import reachable, terms
from qinglan.plan.rules import load_book

GRADES, CUTS = (load_book(name, date(2025, 12, 1)) for name in ("performance_grades", "emergency_cuts"))


def row(number: int, **changes: Any) -> dict[str, Any]:
    """A line of grade C that emits 1 t of each species a day."""
    made: dict[str, Any] = {
        "_key": f"K{number}", "uscc": f"U{number}", "line_no": f"L{number}", "year": 2025, "sector": "cement",
        "grade": "C", "guaranteed": False, "status": "listed", "lead_hours": 12.0,
        **{f"{s}_day": 1000.0 for s in SPECIES},
        "yellow": "load", "yellow_cut": 20.0, "orange": "stop_lines", "orange_cut": 40.0, "red": "stop",
        "red_cut": 60.0,
    }  # fmt: skip
    return {**made, **changes}


def found(*rows: dict[str, Any], base: float = 2.0, emitting: Any = ()) -> list[tuple[str, str, str]]:
    frame = lists.listed(pl.DataFrame(rows), 2025)
    told = lists.findings(frame, terms(CUTS, dict.fromkeys(SPECIES, base)), CUTS, emitting)
    assert told.null_count().sum_horizontal().item() == 0
    return [(r["check"], r["key"], r["level"]) for r in told.to_dicts()]


#: Grade B: load is cut, less than grade C at each level.
MILD: dict[str, Any] = {"grade": "B", "yellow_cut": 15.0, "orange_cut": 38.0, "red_cut": 50.0}


def test_a_good_list_has_no_findings() -> None:
    assert found(row(1), row(2, **MILD), emitting=[("U1", "a"), ("U2", "b")]) == []


def test_planted_faults_are_found_and_nothing_else() -> None:
    assert found(row(1), base=4.0) == [("reduction", "", level) for level in LEVELS for _ in SPECIES]
    assert found(row(1), emitting=[("U1", "a"), ("U9", "forgotten")]) == [("coverage", "", "")]
    assert found(row(1), row(2, grade="B")) == [("one_size", "", level) for level in LEVELS]
    assert found(row(1), row(2, guaranteed=True)) == [("protected", "K2", level) for level in LEVELS]
    assert found(row(1), row(2, **MILD, lead_hours=96.0)) == [
        ("ramp", "K2", "orange"), ("ramp", "K2", "red")
    ]  # fmt: skip
    assert found(row(1), row(2, line_no="L1", uscc="U1")) == [("twice", "K2", "")]


def test_what_is_not_listed_does_not_count() -> None:
    with pytest.raises(NotFound, match="2025"):
        lists.listed(pl.DataFrame([row(1, status="missing"), row(2, year=2024)]), 2025)


def test_a_short_list_is_completed_within_grade_protection_and_time() -> None:
    pytest.importorskip("linopy", reason="extra `optimise` is not installed")
    none = {f"{level}_cut": 0.0 for level in LEVELS}
    rows = [
        row(1, **none), row(2, **none, grade="A"), row(3, **none, guaranteed=True),
        row(4, **none, sector="coking", grade="D", lead_hours=96.0),
    ]  # fmt: skip
    asked = terms(CUTS, dict.fromkeys(SPECIES, 4.0))
    lines = lists.bounded(lists.listed(pl.DataFrame(rows), 2025), GRADES, CUTS, {"*": 1000.0, "coking": 50.0})
    made = complete(lines, asked)
    cut = {(r["key"], r["level"]): r["cut"] for r in made.cuts.to_dicts()}
    assert made.met
    assert all(cut[key, level] == 0 for key in ("K2", "K3") for level in LEVELS), "grade A and protected"
    # Coking is cheaper, so it gives all that it can in time, and cement the rest or what its grade demands.
    reach = reachable(CUTS, 96)
    assert cut["K4", "red"] == pytest.approx(reach)
    assert cut["K1", "red"] == pytest.approx(max(0.3, 4 * 0.3 - reach))
