"""Periods against fractions and numpy. Sources: HJ 663-2013, GB 3095 tables 1 and 4, 环办监测〔2016〕120号."""

import random
from datetime import date, timedelta
from fractions import Fraction

import ibis
import numpy as np
import pyarrow as pa
import pytest

from qinglan.air import evaluate
from qinglan.core.clock import Period
from qinglan.core.names import DAILY_ITEMS
from qinglan.core.rounding import exact, half_even

ON = "2025-06-30"
PERCENTILES = {"so2": 98, "no2": 98, "co": 95, "mda8": 90, "pm10": 95, "pm2_5": 95}


def day_table(engine, rows):
    """rows: (place, day, {item: value})."""
    return engine.load(
        {
            "place": pa.array([r[0] for r in rows]),
            "day": pa.array([r[1] for r in rows], pa.date32()),
            **{i: pa.array([r[2].get(i) for r in rows], pa.float64()) for i in DAILY_ITEMS},
        }
    )


def days_from(start: date, number: int) -> list[date]:
    return [start + timedelta(days=n) for n in range(number)]


def percentile(values: list[Fraction], p: int) -> Fraction:
    """HJ 663-2013 annex A as printed: k = 1 + (n - 1) p; between X(s) and X(s + 1) in proportion."""
    x = sorted(values)
    k = 1 + Fraction((len(x) - 1) * p, 100)
    s = int(k)
    return x[s - 1] if s == len(x) else x[s - 1] + (x[s] - x[s - 1]) * (k - s)


def by_key(rows):
    return {(r["place"], r["period"], r["item"], r["statistic"]): r for r in rows}


def test_check_vectors_of_the_percentile(engine, rules):
    # Fact sheet 3: X = 1..365 and X = 1..10.
    year = days_from(date(2025, 1, 1), 365)
    order = random.Random(1).sample(range(1, 366), 365)
    rows = [("a", d, dict.fromkeys(DAILY_ITEMS, float(x))) for d, x in zip(year, order, strict=True)]
    rows += [("b", d, {"pm10": float(x)}) for d, x in zip(year, range(1, 11), strict=False)]
    rows += [("c", year[0], {"pm10": 7.5})]  # a single day: its own percentile
    got = by_key(engine.rows(evaluate.statistics(day_table(engine, rows), [Period.year(2025)], rules(ON))))
    assert [got["a", "2025", i, f"p{PERCENTILES[i]}"]["value"] for i in DAILY_ITEMS] == [
        *(357.72, 357.72, 346.8, 328.6, 346.8, 346.8)
    ]
    assert got["a", "2025", "so2", "mean"]["value"] == 183.0
    assert got["b", "2025", "pm10", "p95"]["value"] == 9.55
    assert got["c", "2025", "pm10", "p95"]["value"] == 7.5
    assert len(got) == 12 + 2 + 2


def test_percentiles_equal_fractions_and_numpy_for_every_number_of_days(duckdb_engine, rules):
    rng = random.Random(2)
    rows, values = [], {}
    for n in range(1, 101):
        own = [rng.randrange(0, 400) / 10 for _ in range(n)]  # with ties
        values[f"{n:03d}"] = own
        rows += [
            (f"{n:03d}", d, {"so2": v, "mda8": v, "pm10": v})
            for d, v in zip(days_from(date(2025, 1, 1), n), own, strict=True)
        ]
    period = [Period.year(2025)]
    got = duckdb_engine.rows(evaluate.statistics(day_table(duckdb_engine, rows), period, rules(ON)))
    assert len(got) == 600
    for row in got:
        own = values[row["place"]]
        if row["statistic"] == "mean":
            want = sum(map(exact, own)) / len(own)
        else:
            p = PERCENTILES[row["item"]]
            want = percentile([exact(v) for v in own], p)
            assert row["value"] == pytest.approx(float(np.percentile(own, p, method="linear")), abs=1e-9)
        assert exact(row["value"]) == half_even(want, 6), row


def year_without(year: int, gaps: list[date]) -> list[date]:
    every = days_from(date(year, 1, 1), Period.year(year).days)
    return [d for d in every if d not in set(gaps)]


def test_annual_minimum_of_valid_days(engine, rules):
    """GB 3095 table 4: 324 days, 27 in each month, 25 in February, also in a leap year."""
    y = 2025
    one_a_month = [date(y, m, 1) for m in range(1, 13)]
    cases = {
        # 324: three days out of each month but February (33), and eight more from the months of 31 days.
        "ok_324": [date(y, m, d) for m in range(1, 13) if m != 2 for d in (1, 2, 3)]
        + [date(y, m, 4) for m in (1, 3, 5, 7, 8, 10, 12)]
        + [date(y, 2, 1)],
        "short_323": [date(y, m, d) for m in range(1, 13) if m != 2 for d in (1, 2, 3)]
        + [date(y, m, 4) for m in (1, 3, 5, 7, 8, 10, 12)]
        + [date(y, 2, 1), date(y, 2, 2)],
        "ok_month_27": [date(y, 4, d) for d in (1, 2, 3)],
        "short_month_26": [date(y, 4, d) for d in (1, 2, 3, 4)],
        "ok_february_25": [date(y, 2, d) for d in (1, 2, 3)],
        "short_february_24": [date(y, 2, d) for d in (1, 2, 3, 4)],
        "whole": [],
        "one_a_month": one_a_month,
        "month_missing": days_from(date(y, 6, 1), 30),
    }
    rows = [(name, d, {"pm10": 10.0}) for name, gaps in cases.items() for d in year_without(y, gaps)]
    # 2024: 29 - 4 = 25 days of February are enough, 24 are not.
    leap = {
        "leap_ok_25": [date(2024, 2, d) for d in (1, 2, 3, 29)],
        "leap_short_24": [date(2024, 2, d) for d in (1, 2, 3, 4, 29)],
    }
    rows += [(name, d, {"pm10": 10.0}) for name, gaps in leap.items() for d in year_without(2024, gaps)]
    table = day_table(engine, rows)
    got = by_key(engine.rows(evaluate.statistics(table, [Period.year(2024), Period.year(2025)], rules(ON))))
    judged = {k[0]: (r["valid_days"], r["data_valid"]) for k, r in got.items() if k[3] == "mean"}
    assert judged == {
        "ok_324": (324, True),
        "short_323": (323, False),
        "ok_month_27": (362, True),
        "short_month_26": (361, False),
        "ok_february_25": (362, True),
        "short_february_24": (361, False),
        "whole": (365, True),
        "one_a_month": (353, True),
        "month_missing": (335, False),
        "leap_ok_25": (362, True),
        "leap_short_24": (361, False),
    }
    assert got["month_missing", "2025", "pm10", "mean"]["short_months"] == 1
    assert got["leap_ok_25", "2024", "pm10", "mean"]["expected_days"] == 366
    assert all(r["data_valid"] == got[(*k[:3], "mean")]["data_valid"] for k, r in got.items())


def test_a_month_is_judged_by_its_own_days_only(duckdb_engine, rules):
    """Days of a neighbouring period must not fill a month: a period that begins inside one does not ask for it."""
    rows = [("a", d, {"no2": 10.0}) for d in year_without(2025, [date(2025, 3, d) for d in range(1, 11)])]
    spans = ["2025-03", "2025-02", "2025Q1", "2025Q2", "2025H1", "2025H2", "2025-03-11..2025-04-30"]
    spans += ["2025-03-05..2025-03-24", "2025-03-06..2025-03-16", "2024-12-20..2025-01-31"]
    periods = [Period.parse(s) for s in spans]
    got = by_key(duckdb_engine.rows(evaluate.statistics(day_table(duckdb_engine, rows), periods, rules(ON))))
    found = {
        k[1]: (r["valid_days"], r["expected_days"], r["data_valid"]) for k, r in got.items() if k[3] == "mean"
    }
    assert found == {
        "2025-03": (21, 31, False),
        "2025-02": (28, 28, True),
        "2025Q1": (80, 90, False),
        "2025Q2": (91, 91, True),
        "2025H1": (171, 181, False),
        "2025H2": (184, 184, True),
        "2025-03-11..2025-04-30": (51, 51, True),  # April whole; March only in part, so not asked
        "2025-03-05..2025-03-24": (14, 20, True),  # no whole month: half of its days
        "2025-03-06..2025-03-16": (6, 11, True),
        "2024-12-20..2025-01-31": (31, 43, True),
    }
    lax = rules(ON, hj663={"percentile_validity": "any_days"})
    got = by_key(duckdb_engine.rows(evaluate.statistics(day_table(duckdb_engine, rows), periods[:1], lax)))
    assert [got["a", "2025-03", "no2", s]["data_valid"] for s in ("mean", "p98")] == [False, True]


def test_attainment_and_exceedance_are_judged_on_the_shown_value(engine, rules):
    """Limits of GB 3095-2012 class 2. Rounded once, half to even, then compared; (C - S) / S to two decimals."""
    means = {  # place -> PM10 of two days, expected shown mean, attained, factor
        "a": ((70, 71), 70, True, None),  # 70.5 -> 70
        "b": ((70, 71.02), 71, False, 0.01),  # 70.51 -> 71: 1/70 = 0.0142...
        "c": ((71, 72), 72, False, 0.03),  # 71.5 -> 72: 2/70 = 0.0285...
        "d": ((119, 119), 119, False, 0.7),
        "e": ((70.35, 70.35), 70, True, None),
    }
    rows = [
        (p, date(2025, 1, 1 + n), {"pm10": float(v)}) for p, (vs, *_) in means.items() for n, v in enumerate(vs)
    ]
    # CO 95th percentile of 4.05 is shown as 4.0 (even) and attains; 4.15 as 4.2: 0.2 / 4 = 0.05.
    rows += [("co_even", date(2025, 1, 1), {"co": 4.05, "mda8": 160.5, "so2": 64.125}),
             ("co_over", date(2025, 1, 1), {"co": 4.15, "mda8": 161.5, "so2": 67.5})]  # fmt: skip
    table = day_table(engine, rows)
    got = by_key(engine.rows(evaluate.evaluation(table, [Period.month(2025, 1)], rules(ON), dust="in")))
    for place, (_, shown, attained, factor) in means.items():
        row = got[place, "2025-01", "pm10", "mean"]
        assert (row["shown"], row["limit"], row["attained"], row["exceedance_factor"]) == (
            shown,
            70,
            attained,
            factor,
        )
    facts = {
        ("co_even", "co", "p95"): (4.0, 4.0, True, None),
        ("co_over", "co", "p95"): (4.2, 4.0, False, 0.05),
        ("co_even", "mda8", "p90"): (160.0, 160.0, True, None),
        ("co_over", "mda8", "p90"): (162.0, 160.0, False, 0.01),  # 2 / 160 = 0.0125 -> 0.01
        ("co_even", "so2", "mean"): (64.0, 60.0, False, 0.07),  # 4 / 60
        ("co_over", "so2", "mean"): (68.0, 60.0, False, 0.13),  # 8 / 60
        ("co_over", "so2", "p98"): (68.0, 150.0, True, None),
        ("co_over", "co", "mean"): (4.2, None, None, None),
        ("co_over", "mda8", "mean"): (162.0, None, None, None),
    }
    for (place, item, statistic), want in facts.items():
        row = got[place, "2025-01", item, statistic]
        assert (row["shown"], row["limit"], row["attained"], row["exceedance_factor"]) == want, (place, item)
    assert {(r["dust"], r["edition"]) for r in got.values()} == {("in", "GB 3095-2012")}


def test_exceedance_factor_decides_ties_to_even(duckdb_engine, rules):
    # (4.1 - 4) / 4 = 0.025 -> 0.02; 0.075 -> 0.08; 0.125 -> 0.12; 0.175 -> 0.18.
    rows = [(p, date(2025, 1, 1), {"co": v}) for p, v in (("a", 4.1), ("b", 4.3), ("c", 4.5), ("d", 4.7))]
    table = day_table(duckdb_engine, rows)
    got = by_key(duckdb_engine.rows(evaluate.evaluation(table, [Period.month(2025, 1)], rules(ON))))
    assert [got[p, "2025-01", "co", "p95"]["exceedance_factor"] for p in "abcd"] == [0.02, 0.08, 0.12, 0.18]


def test_limits_of_the_class_and_of_the_date(duckdb_engine, rules):
    rows = [("a", date(2026, 6, 1), dict.fromkeys(DAILY_ITEMS, 32.0) | {"co": 1.0})]
    table, month = day_table(duckdb_engine, rows), [Period.month(2026, 6)]
    attained = {}
    for on in ("2025-06-30", "2026-06-30", "2031-06-30"):
        for area in ("1", "2"):
            book = rules(on, hj663={"area_class": area})
            got = by_key(duckdb_engine.rows(evaluate.evaluation(table, month, book)))
            row = got["a", "2026-06", "pm2_5", "mean"]
            attained[on[:4], area] = (row["limit"], row["attained"], row["edition"])
    assert attained == {
        ("2025", "1"): (15, False, "GB 3095-2012"),
        ("2025", "2"): (35, True, "GB 3095-2012"),
        ("2026", "1"): (15, False, "GB 3095-2026 (transition)"),
        ("2026", "2"): (30, False, "GB 3095-2026 (transition)"),
        ("2031", "1"): (10, False, "GB 3095-2026 (final)"),
        ("2031", "2"): (25, False, "GB 3095-2026 (final)"),
    }


def aqi_table(engine, rows):
    """rows: (place, day, aqi)."""

    def level(aqi):
        return None if aqi is None else 1 + sum(aqi > top for top in (50, 100, 150, 200, 300))

    return engine.load(
        {
            "place": pa.array([r[0] for r in rows]),
            "day": pa.array([r[1] for r in rows], pa.date32()),
            "aqi": pa.array([r[2] for r in rows], pa.int16()),
            "level": pa.array([level(r[2]) for r in rows], pa.int8()),
        }
    )


def test_good_days_levels_and_the_rate_with_its_ties(engine, rules):
    days = days_from(date(2025, 1, 1), 365)
    # a: each bound of a level once, and a day without index.
    bounds = [0, 50, 51, 100, 101, 150, 151, 200, 201, 300, 301, 500, None]
    rows = [("a", d, v) for d, v in zip(days, bounds, strict=False)]
    # Rates with a lone 5 in the second place: 1/16 = 6.25 %, 3/16 = 18.75 %, 77/80 = 96.25 %, 7/32 = 21.875 %.
    shares = {"b": (1, 16), "c": (3, 16), "d": (77, 80), "e": (7, 32)}
    for place, (good, valid) in shares.items():
        rows += [(place, d, 100 if n < good else 101) for n, d in enumerate(days[:valid])]
    table = aqi_table(engine, rows)
    got = {r["place"]: r for r in engine.rows(evaluate.day_counts(table, [Period.year(2025)], rules(ON)))}
    a = got["a"]
    assert (a["valid_days"], a["good_days"], a["heavy_days"], a["max_aqi"], a["expected_days"]) == (
        12,
        4,
        4,
        500,
        365,
    )
    assert [a[f"level_{n}"] for n in range(1, 7)] == [2, 2, 2, 2, 2, 2]
    assert [got[p]["good_rate"] for p in "bcde"] == [6.2, 18.8, 96.2, 21.9]


def test_rate_of_days_within_the_daily_limit(engine, rules):
    day = date(2025, 1, 1)
    values = {
        "pm10": [150.0, 150.5, 150.51, 151.0],
        "co": [4.0, 4.05, 4.15, None],
        "mda8": [160.5, 161.5, None, None],
    }
    rows = [("a", day + timedelta(days=n), {i: v[n] for i, v in values.items()}) for n in range(4)]
    found = engine.rows(
        evaluate.exceedance_days(day_table(engine, rows), [Period.month(2025, 1)], rules(ON)), "item"
    )
    assert [(r["item"], r["valid_days"], r["exceeding_days"], r["attainment_rate"]) for r in found] == [
        ("co", 3, 1, 66.7),  # 4.05 is shown as 4.0
        ("mda8", 2, 1, 50.0),
        ("pm10", 4, 2, 50.0),  # 150.5 is shown as 150
    ]


def test_dust_out_takes_particles_only_and_may_credit_the_day(engine, rules):
    days = days_from(date(2025, 1, 1), 365)
    # April has 30 days: five dusty ones leave 25, fewer than 27, unless they count.
    dusty = [date(2025, 4, n) for n in range(1, 6)]
    rows = [("a", d, {"pm10": 600.0 if d in dusty else 50.0, "pm2_5": 20.0, "so2": 8.0}) for d in days]
    # A dust day without particles earns no credit: nothing was removed.
    rows = [(p, d, {"so2": 8.0} if d == dusty[0] else v) for p, d, v in rows]
    marks = engine.load(
        {"place": pa.array(["a"] * 6 + ["b"]), "day": pa.array([*dusty, dusty[0], dusty[0]], pa.date32())}
    )
    table = day_table(engine, rows)
    parts = []
    for choice in ("true", "false"):
        book = rules(ON, dust={"count_as_valid": choice})
        clean = evaluate.without_dust(table, marks, book)
        judged = evaluate.evaluation(clean, [Period.year(2025), Period.month(2025, 4)], book, dust="out")
        parts.append(judged.mutate(choice=ibis.literal(choice)))
    got = {
        (r["choice"], r["period"], r["item"]): (r["value"], r["valid_days"], r["data_valid"])
        for r in engine.rows(parts[0].union(parts[1]))
        if r["statistic"] == "mean"
    }
    assert got == {
        ("true", "2025", "pm10"): (50.0, 364, True),
        ("true", "2025", "pm2_5"): (20.0, 364, True),
        ("true", "2025", "so2"): (8.0, 365, True),
        ("true", "2025-04", "pm10"): (50.0, 29, True),
        ("true", "2025-04", "pm2_5"): (20.0, 29, True),
        ("true", "2025-04", "so2"): (8.0, 30, True),
        ("false", "2025", "pm10"): (50.0, 360, False),
        ("false", "2025", "pm2_5"): (20.0, 360, False),
        ("false", "2025", "so2"): (8.0, 365, True),
        ("false", "2025-04", "pm10"): (50.0, 25, False),
        ("false", "2025-04", "pm2_5"): (20.0, 25, False),
        ("false", "2025-04", "so2"): (8.0, 30, True),
    }


def test_a_province_both_ways(engine, rules):
    """Mean of the cities' rates and pooled days differ when valid days differ; every city weighs the same."""
    days = days_from(date(2025, 1, 1), 90)
    index, conc = [], []
    cities = {"a": (90, 90, 20.0), "b": (45, 90, 30.0), "c": (3, 10, 40.0)}
    for city, (good, valid, level) in cities.items():
        index += [(city, d, 60 if n < good else 160) for n, d in enumerate(days[:valid])]
        conc += [(city, d, {"pm2_5": level}) for d in days[:valid]]
    book, period = rules(ON), [Period.quarter(2025, 1)]
    judged = evaluate.evaluation(day_table(engine, conc), period, book)
    values, rates = evaluate.province_means(
        judged, evaluate.day_counts(aqi_table(engine, index), period, book), book
    )
    (rate,) = engine.rows(rates)
    assert rate["rate_mean_of_cities"] == 60.0  # (100 + 50 + 30) / 3
    assert rate["rate_pooled_days"] == 72.6  # 138 / 190
    assert (rate["good_days"], rate["valid_days"], rate["places"], rate["heavy_days"]) == (138, 190, 3, 0)
    means = {(r["item"], r["statistic"]): (r["value"], r["places"]) for r in engine.rows(values)}
    assert means == {("pm2_5", "mean"): (30.0, 3), ("pm2_5", "p95"): (30.0, 3)}


def test_a_period_across_the_change_of_standards_is_one_period(duckdb_engine, rules):
    """2026-03-01: the statistics do not depend on the ruler; the limits do (PM10 70 and 60, PM2.5 35 and 30)."""
    days = days_from(date(2026, 1, 1), 181)
    rows = [("a", d, {"pm10": 65.0, "pm2_5": 32.0}) for d in days]
    table, spans = day_table(duckdb_engine, rows), [Period.parse("2026H1"), Period.parse("2026-02-15..2026-03-15")]
    old, new = (
        by_key(duckdb_engine.rows(evaluate.evaluation(table, spans, rules(on))))
        for on in ("2026-02-28", "2026-03-01")
    )
    assert {k: r["value"] for k, r in old.items()} == {k: r["value"] for k, r in new.items()}
    assert [
        (r["limit"], r["attained"])
        for r in (old["a", "2026H1", "pm10", "mean"], new["a", "2026H1", "pm10", "mean"])
    ] == [
        (70, True),
        (60, False),
    ]
    crossing = new["a", "2026-02-15..2026-03-15", "pm2_5", "mean"]
    assert (crossing["valid_days"], crossing["expected_days"], crossing["data_valid"]) == (29, 29, True)
