"""Composite index and ranking. Sources: the rule of 2018 with the vectors of the fact sheet 4; fractions."""

import random
from fractions import Fraction

import pyarrow as pa
import pytest

from qinglan.air import rank
from qinglan.core.clock import Period
from qinglan.core.names import DAILY_ITEMS
from qinglan.core.rounding import exact, half_even

OLD, NEW = "2025-06-30", "2026-06-30"
STANDARDS = {  # Si: class-2 limits of the year, of the day for CO and of 8 h for ozone
    OLD: {"so2": 60, "no2": 40, "co": 4, "mda8": 160, "pm10": 70, "pm2_5": 35},
    NEW: {"so2": 60, "no2": 40, "co": 4, "mda8": 160, "pm10": 60, "pm2_5": 30},
}
STATISTIC = {"so2": "mean", "no2": "mean", "co": "p95", "mda8": "p90", "pm10": "mean", "pm2_5": "mean"}
GOLDEN = {"so2": 12, "no2": 31, "pm10": 45, "pm2_5": 23, "co": 1.5, "mda8": 140}
HEYUAN = {"so2": 3, "no2": 13, "pm10": 16, "pm2_5": 13, "co": 0.9, "mda8": 87}


def evaluated(engine, rows, *, short=()):
    """rows: (place, period, {item: value}); the statistics that do not rank stand beside with other values.

    short : (place, period) whose PM10 lacks the minimum of valid days.
    """
    long = []
    for place, period, values in rows:
        for item, value in values.items():
            for statistic in ("mean", {"co": "p95", "mda8": "p90"}.get(item, "p98")):
                used = statistic == STATISTIC[item]
                long.append((place, period, item, statistic, "in", float(value) if used else 9999.0))
                long[-1] += (not (item == "pm10" and (place, period) in short),)
    names = ("place", "period", "item", "statistic", "dust", "value", "data_valid")
    types = [*(pa.string(),) * 5, pa.float64(), pa.bool_()]
    return engine.load(
        {n: pa.array([r[i] for r in long], t) for i, (n, t) in enumerate(zip(names, types, strict=True))}
    )


def index_of(values, standards, weights=None) -> Fraction:
    weights = weights or dict.fromkeys(DAILY_ITEMS, Fraction(1))
    return sum((weights[i] * exact(values[i]) / standards[i] for i in DAILY_ITEMS), Fraction(0))


def test_the_vectors_of_the_rule(engine, rules):
    """3.525 with the old Si is a tie and is shown as 3.52; 3.7416 with the new; Heyuan 1.744."""
    assert index_of(GOLDEN, STANDARDS[OLD]) == Fraction("3.525")
    table = evaluated(engine, [("golden", "2022-02", GOLDEN), ("heyuan", "2022-02", HEYUAN)])
    found = {}
    for on in (OLD, NEW):
        rows = engine.rows(rank.composite_index(table, rules(on)), "place")
        found[on] = [(r["place"], r["composite_index"], r["max_index"], r["main_pollutant"]) for r in rows]
    assert found == {
        OLD: [("golden", 3.52, 0.88, "mda8"), ("heyuan", 1.74, 0.54, "mda8")],  # 0.875 -> 0.88, 0.54375
        NEW: [("golden", 3.74, 0.88, "mda8"), ("heyuan", 1.84, 0.54, "mda8")],
    }
    unit = 3360 * 10**6  # least common multiple of the old Si, in millionths
    unrounded = rules(OLD, ranking={"rank_on": "unrounded"})
    counts = {r["place"]: int(r["index_count"]) for r in engine.rows(rank.composite_index(table, unrounded))}
    assert {p: Fraction(n, unit) for p, n in counts.items()} == {
        "golden": Fraction("3.525"),
        "heyuan": index_of(HEYUAN, STANDARDS[OLD]),
    }
    assert float(Fraction(counts["heyuan"], unit)) == pytest.approx(1.744, abs=5e-4)


def test_random_cities_equal_exact_fractions(duckdb_engine, rules):
    rng = random.Random(4)
    decimals = {i: (1 if i == "co" else 0) for i in DAILY_ITEMS}
    rows = [
        (f"c{n:03d}", "2025", {i: round(rng.uniform(0.1, 2 * STANDARDS[OLD][i]), 6) for i in DAILY_ITEMS})
        for n in range(150)
    ]
    table = evaluated(duckdb_engine, rows)
    for on, stage in ((OLD, "unrounded"), (NEW, "one_more_decimal"), (OLD, "display")):
        book = rules(on, hj663={"intermediate_rounding": stage})
        extra = {"display": 0, "one_more_decimal": 1}.get(stage)
        got = {r["place"]: r for r in duckdb_engine.rows(rank.composite_index(table, book))}
        for place, _, values in rows:
            kept = {i: half_even(v, 6 if extra is None else decimals[i] + extra) for i, v in values.items()}
            terms = {i: kept[i] / STANDARDS[on][i] for i in DAILY_ITEMS}
            top = max(terms.values())
            row = got[place]
            assert exact(row["composite_index"]) == half_even(sum(terms.values()), 2)
            assert exact(row["max_index"]) == half_even(top, 2)
            assert row["main_pollutant"] == ",".join(i for i in DAILY_ITEMS if terms[i] == top)


@pytest.mark.parametrize("divide", ["false", "true"])
def test_weights_are_an_option(duckdb_engine, rules, divide):
    """The rumoured weights: PM2.5 three, NO2 and ozone two (sum 10). Not the default."""
    weights = {i: Fraction({"pm2_5": 3, "no2": 2, "mda8": 2}.get(i, 1)) for i in DAILY_ITEMS}
    if divide == "true":
        weights = {i: w / 10 for i, w in weights.items()}
    book = rules(OLD, ranking={"weights": "rumoured", "divide_by_weights": divide})
    rows = [("golden", "2025", GOLDEN), ("heyuan", "2025", HEYUAN)]
    got = duckdb_engine.rows(rank.composite_index(evaluated(duckdb_engine, rows), book), "place")
    for row, (_, _, values) in zip(got, rows, strict=True):
        assert exact(row["composite_index"]) == half_even(index_of(values, STANDARDS[OLD], weights), 2)
    # 3 x 23/35 = 1.97 is the largest weighted term of the first.
    assert got[0]["main_pollutant"] == "pm2_5"


def test_ranks_ties_and_places_without_an_index(engine, rules):
    """Equal shown indices share a rank and the next is skipped; a place that lacks an item has no rank."""
    base = dict.fromkeys(DAILY_ITEMS, 0.0)
    rows = [(p, "2025", base | {"so2": v}) for p, v in (("a", 60.0), ("b", 60.2), ("c", 120.0), ("d", 30.0))]
    rows += [(p, "2024", base | {"so2": v}) for p, v in (("a", 60.0), ("b", 30.0), ("c", 90.0))]
    rows += [("e", "2025", {i: v for i, v in base.items() if i != "co"}), ("f", "2025", base | {"so2": 1.0})]
    table = evaluated(engine, rows)
    found = {}
    for how in ("shown", "unrounded"):
        indexed = rank.composite_index(table, rules(OLD, ranking={"rank_on": how}))
        ranked = rank.ranking(indexed, among=["a", "b", "c", "d", "e"])
        got = engine.rows(rank.with_change(ranked, [Period.year(2025), Period.year(2024)]), "period", "place")
        found[how] = {(r["period"], r["place"]): r for r in got}
    ranks = {how: [rows["2025", p]["rank"] for p in "abcde"] for how, rows in found.items()}
    assert ranks == {"shown": [2, 2, 4, 1, None], "unrounded": [2, 3, 4, 1, None]}  # 60.2 / 60 = 1.00333
    shown = found["shown"]
    assert ("2025", "f") not in shown, "outside the field of the ranking"
    assert shown["2025", "e"]["composite_index"] is None
    assert shown["2025", "e"]["main_pollutant"] is None
    # Against the year before: (1.00 - 1.00) / 1.00, (1.00 - 0.50) / 0.50, (2.00 - 1.50) / 1.50; d has none.
    change = [(shown["2025", p]["previous_index"], shown["2025", p]["change_percent"]) for p in "abcde"]
    assert change == [(1.0, 0.0), (0.5, 100.0), (1.5, 33.3), (None, None), (None, None)]
    assert [shown["2025", p]["change_rank"] for p in "abcde"] == [1, 3, 2, None, None]
    assert [shown["2025", p]["previous_rank"] for p in "abcde"] == [2, 1, 3, None, None]
    assert all(shown["2024", p]["previous_index"] is None for p in "abc"), "no data of 2023"


def test_change_ties_round_to_even_and_share_a_rank(duckdb_engine, rules):
    base = dict.fromkeys(DAILY_ITEMS, 0.0)
    # Index 8.00 -> 8.01: 0.125 % -> 0.1; 8.00 -> 8.03: 0.375 -> 0.4; 16.00 -> 16.06 likewise 0.375.
    pairs = {"a": (8.00, 8.01), "b": (8.00, 8.03), "c": (16.00, 16.06), "d": (8.00, 7.99)}
    rows = [(p, "2024Q1", base | {"so2": 60 * v[0]}) for p, v in pairs.items()]
    rows += [(p, "2025Q1", base | {"so2": 60 * v[1]}) for p, v in pairs.items()]
    ranked = rank.ranking(rank.composite_index(evaluated(duckdb_engine, rows), rules(OLD)))
    got = duckdb_engine.rows(rank.with_change(ranked, [Period.quarter(2025, 1)]), "place")
    assert [(r["place"], r["change_percent"], r["change_rank"]) for r in got] == [
        ("a", 0.1, 2),
        ("b", 0.4, 3),
        ("c", 0.4, 3),
        ("d", -0.1, 1),
    ]


def test_no_change_against_or_of_a_year_without_enough_data(duckdb_engine, rules):
    base = dict.fromkeys(DAILY_ITEMS, 10.0)
    rows = [(p, y, base) for p in "abc" for y in ("2024", "2025")]
    table = evaluated(duckdb_engine, rows, short=[("b", "2024"), ("c", "2025")])
    ranked = rank.ranking(rank.composite_index(table, rules(OLD)))
    got = duckdb_engine.rows(rank.with_change(ranked, [Period.year(2025)]), "place")
    assert [(r["place"], r["rank"], r["previous_index"], r["change_percent"], r["data_valid"]) for r in got] == [
        ("a", 1, got[0]["composite_index"], 0.0, True),
        ("b", 1, None, None, True),
        ("c", 1, None, None, False),
    ]
