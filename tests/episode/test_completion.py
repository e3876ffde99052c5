"""The cheapest fair completion: by hand, against scipy, against two rules of thumb, and where it cannot be.

Sources: (a) two cases solved by hand; (b) `scipy.optimize.linprog` on the same programme, whose matrices are
written here a second time from the equations of docs/explanation/emergency-list.md; (c) the constraints.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from benchmarks.ours.emergency_list import arrays, invented, terms_of
from benchmarks.peers import list_rules

from qinglan.core.errors import LayoutError
from qinglan.episode.completion import LEVELS, SPECIES, Terms, complete, rows_of
from qinglan.episode.reasons import explained, held_back, needs_in_words

pytest.importorskip("linopy", reason="extra `optimise` is not installed")
scipy_optimize = pytest.importorskip("scipy.optimize", reason="extra `grid` is not installed")


def line(key: str, tonnes: float, cost: float, **changes: Any) -> dict[str, Any]:
    """A line that emits as much of each species, and may cut all."""
    row: dict[str, Any] = {
        "key": key, "enterprise": key, "group": "cement|C", **dict.fromkeys(SPECIES, tonnes), "cost": cost,
        "whole": False,
    }  # fmt: skip
    for level in LEVELS:
        row |= {
            f"low_{level}": 0.0,
            f"high_{level}": 1.0,
            f"low_why_{level}": "none",
            f"high_why_{level}": "whole",
        }
    return {**row, **changes}


def asking(base: float, *ratios: float, **how: Any) -> Terms:
    """As many tonnes of each species, and the same ratio of each."""
    wanted = {level: dict.fromkeys(SPECIES, r) for level, r in zip(LEVELS, ratios, strict=True)}
    return Terms(dict.fromkeys(SPECIES, base), wanted, **how)


def cuts(found: Any) -> dict[str, list[float]]:
    made: dict[str, list[float]] = {}
    for row in found.cuts.iter_rows(named=True):
        made.setdefault(row["key"], []).append(row["cut"])
    return made


def test_by_hand_without_fairness() -> None:
    """Of 10 t, 1, 2, 3 t are asked for. The cheap line (4 t, 100 CNY a tonne) gives all; the dear one nothing."""
    lines = pl.DataFrame([line("cheap", 4, 400), line("dear", 4, 4000)])
    found = complete(lines, asking(10, 0.1, 0.2, 0.3))
    assert found.met
    assert cuts(found)["cheap"] == pytest.approx([0.25, 0.5, 0.75], abs=1e-6)
    assert cuts(found)["dear"] == pytest.approx([0, 0, 0], abs=1e-6)
    assert found.cost["red"] == pytest.approx(300, rel=1e-6)
    # The last tonne comes from the cheap line: 100 CNY, in whichever species HiGHS puts it.
    red = found.needs.filter(level="red")
    assert red["price_point"].sum() == pytest.approx(10, rel=1e-6), "a point is 0.1 t, which costs 10 CNY"


def test_by_hand_with_fairness() -> None:
    """3 t of 4 + 4 within a band of 0.25: x + y = 0.75 and x - y = 0.25, so 0.5 and 0.25 of each."""
    lines = pl.DataFrame([line("cheap", 4, 400), line("dear", 4, 4000)])
    found = complete(lines, asking(10, 0.1, 0.2, 0.3, spread=0.25))
    assert cuts(found)["cheap"][2] == pytest.approx(0.5, abs=1e-6)
    assert cuts(found)["dear"][2] == pytest.approx(0.25, abs=1e-6)
    assert found.cost["red"] == pytest.approx(1200, rel=1e-6)
    why = {
        (r["key"], r["level"]): r["why"]
        for r in explained(lines, asking(10, 0.1, 0.2, 0.3, spread=0.25), found).to_dicts()
    }
    assert why["cheap", "red"] == "band_above"
    assert why["dear", "red"] == "band_below"


def test_trade_keeps_the_sum() -> None:
    """Asked are 30 % of SO2 and of NOx. The only line has no NOx: with trade 60 % of SO2 stand for both."""
    only = line("only", 0, 100, so2=10.0)
    wanted = {
        level: {"pm": 0.0, "voc": 0.0, "so2": r, "nox": r}
        for level, r in zip(LEVELS, (0.1, 0.2, 0.3), strict=True)
    }
    base = {"pm": 0.0, "so2": 10.0, "nox": 10.0, "voc": 0.0}
    apart = complete(pl.DataFrame([only]), Terms(base, wanted))
    assert not apart.met
    assert apart.needs.filter(level="red", need="nox")["short"].item() == pytest.approx(0.3)
    traded = complete(pl.DataFrame([only]), Terms(base, wanted, trade=True))
    assert traded.met
    assert cuts(traded)["only"] == pytest.approx([0.2, 0.4, 0.6], abs=1e-6)
    assert [r.name for r in rows_of(Terms(base, wanted, trade=True))] == ["so2+nox"] * 3


def test_other_parts_count() -> None:
    """What trucks and sites give already need not be given by lines: 3 t less 1 t are 2 t."""
    done = {level: dict.fromkeys(SPECIES, 1.0) for level in LEVELS}
    found = complete(pl.DataFrame([line("a", 8, 80)]), asking(10, 0.1, 0.2, 0.3, done=done))
    assert cuts(found)["a"] == pytest.approx([0, 0.125, 0.25], abs=1e-6)


def peer(lines: pl.DataFrame, terms: Terms) -> float:
    """Least cost by scipy, from the equations (cuts by line and level, then bases by group and level)."""
    n, groups = lines.height, sorted(set(lines["group"].to_list()))
    case = arrays(lines, terms)
    index = lambda i, level: 3 * i + level  # noqa: E731
    bases = lambda g, level: 3 * n + 3 * g + level  # noqa: E731
    rows, right = [], []
    for level in range(3):
        for s in range(4):
            row = np.zeros(3 * n + 3 * len(groups))
            row[[index(i, level) for i in range(n)]] = -case["tonnes"][:, s] / case["base"][s]
            rows.append(row)
            right.append(-case["ratio"][level][s])
        for g, name in enumerate(groups):
            members = np.flatnonzero((lines["group"] == name).to_numpy() & (case["high"][:, level] > 0))
            most = max((case["high"][i, level] for i in members), default=0)
            for i in members:
                above, below = np.zeros(len(rows[0])), np.zeros(len(rows[0]))
                above[index(i, level)], above[bases(g, level)] = 1, -1
                rows.append(above)
                right.append(terms.spread)
                if case["high"][i, level] == most:
                    below[index(i, level)], below[bases(g, level)] = -1, 1
                    rows.append(below)
                    right.append(0)
    for i in range(n):
        for level in range(2):
            row = np.zeros(len(rows[0]))
            row[index(i, level)], row[index(i, level + 1)] = 1, -1
            rows.append(row)
            right.append(0)
    bounds = [(case["low"][i, v], case["high"][i, v]) for i in range(n) for v in range(3)]
    cost = np.concatenate([np.repeat(case["cost"], 3), np.zeros(3 * len(groups))])
    solved = scipy_optimize.linprog(
        cost, A_ub=np.array(rows), b_ub=right, bounds=bounds + [(0, 1)] * (3 * len(groups)), method="highs-ipm"
    )
    assert solved.status == 0
    return float(solved.fun)


@pytest.mark.parametrize("seed", range(3))
def test_no_cheaper_one_is_found_by_scipy(seed: int) -> None:
    lines = invented(120, seed)
    terms = terms_of(lines)
    assert complete(lines, terms).optimum == pytest.approx(peer(lines, terms), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_constraints_hold_and_rules_of_thumb_cost_more(seed: int) -> None:
    lines = invented(300, seed)
    terms = terms_of(lines)
    found = complete(lines, terms)
    case = arrays(lines, terms)
    x = np.array([cuts(found)[key] for key in lines["key"]])
    assert found.met
    for level in range(3):
        assert list_rules.met({**case, "ratio": case["ratio"] - 2e-9}, x[:, level], level), "the reduction is met"
    assert (x >= case["low"] - 1e-9).all()
    assert (x <= case["high"] + 1e-9).all()
    assert (np.diff(x, axis=1) >= -1e-12).all(), "levels are nested"
    exempt = (case["high"] == 0).all(axis=1)
    assert exempt.sum() > 20, "the case has protected lines and grade A"
    assert (x[exempt] == 0).all()
    for level in range(3):
        for (_,), members in lines.with_row_index("i").group_by("group"):
            own = [i for i in members["i"] if case["high"][i, level] > 0]
            if own:
                assert np.ptp(x[own, level]) <= terms.spread + 1e-6, "fair within an industry and grade"
    for rule in (list_rules.greedy, list_rules.proportional):
        other = rule(case)
        assert all(list_rules.met(case, other[:, level], level) for level in range(3))
        assert found.optimum <= (case["cost"][:, None] * other).sum() * (1 + 1e-9)


def test_prices_are_what_the_last_point_costs() -> None:
    """The dual is the slope of the cost: asking 0.01 points more of a priced need costs 0.01 prices (c)."""
    lines = invented(200, 5)
    terms = terms_of(lines)
    found = complete(lines, terms)
    priced = found.needs.filter(pl.col("price_point") > 0)
    assert priced.height > 0
    for need in priced.iter_rows(named=True):
        more = {level: dict(by) for level, by in terms.ratio.items()}
        more[need["level"]][need["need"]] += 1e-4
        dearer = complete(lines, Terms(terms.base, more, spread=terms.spread)).optimum - found.optimum
        assert dearer >= need["price_point"] * 0.01 * (1 - 1e-3), need
        assert dearer <= need["price_point"] * 0.01 * 1.5, need


def test_whole_lines_stop_or_run() -> None:
    """Of three lines of 4 t two must stop for 6 t; those that cost least, and an enterprise gives its floor."""
    rows = [line(k, 4, c, whole=True, enterprise=e) for k, c, e in (("a", 5, "E"), ("b", 2, "E"), ("c", 3, "F"))]
    found = complete(pl.DataFrame(rows), asking(20, 0.1, 0.2, 0.3), gap=0)
    assert cuts(found) == {"a": [0, 0, 0], "b": [1, 1, 1], "c": [0, 0, 1]}
    floors = {f"low_{level}": 0.5 for level in LEVELS}
    floored = complete(
        pl.DataFrame([{**r, **(floors if r["key"] == "c" else {})} for r in rows]), asking(20, 0, 0, 0)
    )
    assert cuts(floored) == {"a": [0, 0, 0], "b": [0, 0, 0], "c": [1, 1, 1]}, "half of one line is all of it"


def test_what_cannot_be_met_names_what_holds_it_back() -> None:
    held = {f"high_{level}": 0.0 for level in LEVELS} | {f"high_why_{level}": "protected" for level in LEVELS}
    slow = {f"high_{level}": 0.5 for level in LEVELS} | {f"high_why_{level}": "ramp" for level in LEVELS}
    lines = pl.DataFrame([line("hospital heat", 5, 1, **held), line("kiln", 4, 1, **slow), line("free", 1, 1)])
    terms = asking(10, 0.1, 0.2, 0.5)
    found = complete(lines, terms)
    assert not found.met
    assert found.needs.filter(level="orange")["short"].to_list() == [0] * 4
    assert found.needs.filter(level="red")["short"].to_list() == pytest.approx([0.2] * 4, abs=1e-5)
    told = held_back(lines, terms, found).filter(need="nox")
    assert told["why"].to_list() == ["protected", "ramp"]
    assert told["points"].to_list() == pytest.approx([50, 20], abs=1e-6)
    assert all(told[c].str.len_chars().min() > 5 for c in ("zh", "en", "remedy_zh", "remedy_en"))
    assert held_back(lines, asking(10, 0.1, 0.2, 0.3), complete(lines, asking(10, 0.1, 0.2, 0.3))).is_empty()


def test_each_line_is_told_why_in_both_languages() -> None:
    lines = invented(100, 2)
    terms = terms_of(lines)
    found = complete(lines, terms)
    said = explained(lines, terms, found)
    assert said.height == 3 * lines.height
    assert not said.filter(pl.col("zh").str.contains(r"[{}]") | pl.col("en").str.contains(r"[{}]")).height
    floored = said.filter(why="at_least", level="red")
    assert floored.height > 10
    # Who gives only what it must would cost more than its cut is worth, by the prices (the last level: nothing
    # above it pulls).
    assert (floored["worth_cny"] <= floored["whole_cny"] * (1 + 1e-6)).mean() > 0.9
    assert len(needs_in_words(found)) == 12


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pm": float("nan")}, "missing or below zero"),
        ({"cost": -1.0}, "a cost"),
        ({"high_red": 1.5}, "outside 0 to 1"),
        ({"low_yellow": 0.6, "high_red": 0.5}, "least cut above the greatest"),
    ],
)
def test_a_wrong_line_is_named(changes: dict[str, Any], words: str) -> None:
    lines = pl.DataFrame([line("fine", 1, 1), {**line("odd", 1, 1), **changes}])
    with pytest.raises(LayoutError, match=words) as caught:
        complete(lines, asking(2, 0.1, 0.2, 0.3))
    assert "odd" in caught.value.message
