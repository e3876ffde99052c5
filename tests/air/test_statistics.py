"""Hours to days against fractions, over random gaps. Sources: GB 3095 table 4; HJ 663-2013 6.1.2; GB/T 8170."""

import random
from datetime import date, timedelta
from fractions import Fraction

import pyarrow as pa
import pytest

from qinglan.air.statistics import sliding_mean, station_days
from qinglan.core.clock import from_day_and_hour
from qinglan.core.names import HOURLY_ITEMS, MEAN_ITEMS
from qinglan.core.rounding import exact, half_even

ON = "2025-06-30"
Day = dict[int, dict[str, float]]  # hour label -> item -> value
Hours = dict[tuple[str, date], Day]


def table(engine, hours: Hours):
    """The hours as the lake holds them; an hour without any value may have a row or none."""
    rows = [(s, d, h, hours[s, d][h]) for s, d in sorted(hours) for h in sorted(hours[s, d])]
    columns = {i: pa.array([r[3].get(i) for r in rows], pa.float64()) for i in HOURLY_ITEMS}
    return engine.load(
        {
            "station": pa.array([r[0] for r in rows]),
            "time": pa.array([from_day_and_hour(r[1], r[2]) for r in rows], pa.timestamp("us", "UTC")),
            "day": pa.array([r[1] for r in rows], pa.date32()),
            "hour": pa.array([r[2] for r in rows], pa.int8()),
            **columns,
        }
    )


def reference(hours: Hours, key: tuple[str, date], *, first: int = 8, partial: bool = True) -> dict:
    """The rules of GB 3095 table 4 and HJ 663 6.1.2 as a person would apply them, on exact fractions."""
    own = hours[key]
    found: dict = {}
    for item in HOURLY_ITEMS:
        values = [exact(v[item]) for v in own.values() if v.get(item) is not None]
        found[f"{item}_n"] = len(values)
        if item in MEAN_ITEMS:
            found[item] = sum(values) / len(values) if len(values) >= 20 else None
    station, day = key
    before = hours.get((station, day - timedelta(days=1)), {})
    line = {h - 24: v.get("o3") for h, v in before.items()} | {h: v.get("o3") for h, v in own.items()}
    means = []
    for last in range(first, 25):
        values = [exact(line[h]) for h in range(last - 7, last + 1) if line.get(h) is not None]
        if len(values) >= 6:
            means.append(sum(values) / len(values))
    found["mda8_n"] = len(means)
    largest = max(means, default=None)
    valid = largest is not None and (len(means) >= 14 or (partial and half_even(largest) > 160))
    found["mda8"] = largest if valid else None
    ozone = [v["o3"] for v in own.values() if v.get("o3") is not None]
    found["o3_1h"] = max(ozone, default=None)
    return found


def random_hours(seed: int, stations: int = 6, days: int = 40) -> Hours:
    """Series with all kinds of gaps: single hours, blocks, whole days, rows without a value; over 29 February."""
    rng = random.Random(seed)
    hours: Hours = {}
    for s in range(stations):
        start = date(2024, 2, 1)
        for d in range(days):
            if rng.random() < 0.05:
                continue
            density = rng.choice([1.0, 0.97, 0.85, 0.8, 0.6])
            ozone_level = rng.choice([60, 155, 165])
            own: Day = {}
            for h in range(1, 25):
                if rng.random() > 0.98:
                    continue  # no row at all
                decimals = {i: (1 if i == "co" else 0) for i in HOURLY_ITEMS}
                row = {i: round(rng.uniform(0, 200), decimals[i]) for i in HOURLY_ITEMS if rng.random() < density}
                if "o3" in row:
                    row["o3"] = float(round(ozone_level + rng.gauss(0, 12)))
                own[h] = row
            if own:
                hours[f"S{s}", start + timedelta(days=d)] = own
    return hours


def check(rows: list[dict], hours: Hours, **how) -> None:
    assert {(r["station"], r["day"]) for r in rows} == set(hours)
    micro = Fraction(1, 10**6)
    for row in rows:
        want = reference(hours, (row["station"], row["day"]), **how)
        for name, value in want.items():
            got = row[name]
            if isinstance(value, Fraction):
                assert got is not None, (row["station"], row["day"], name, value)
                assert exact(got) == half_even(value, 6), (
                    row["station"],
                    row["day"],
                    name,
                    abs(exact(got) - value) / micro,
                )
            else:
                assert got == value, (row["station"], row["day"], name, got, value)


def test_days_equal_exact_fractions_over_random_gaps(engine, rules):
    hours = random_hours(1)
    want = [reference(hours, key) for key in hours]
    # The cases that matter are among them: too few hours, a rescued MDA8, a refused one.
    assert any(w["pm10"] is None for w in want)
    assert any(w["pm10_n"] == 20 for w in want)
    assert any(w["mda8_n"] < 14 and w["mda8"] is not None for w in want)
    assert any(0 < w["mda8_n"] < 14 and w["mda8"] is None for w in want)
    check(engine.rows(station_days(table(engine, hours), rules(ON))), hours)


@pytest.mark.parametrize("seed", [2, 3])
def test_all_24_labels_take_the_evening_before(duckdb_engine, rules, seed):
    hours = random_hours(seed, stations=3)
    book = rules(ON, hj663={"mda8_window": "labels_01_24", "mda8_partial": "invalid"})
    check(duckdb_engine.rows(station_days(table(duckdb_engine, hours), book)), hours, first=1, partial=False)


def ozone(values: dict[int, float]) -> Day:
    return {h: {"o3": v} for h, v in values.items()}


def test_evening_before_counts_only_when_it_is_the_day_before(engine, rules):
    flat = dict.fromkeys(range(1, 25), 50.0)
    late = flat | dict.fromkeys(range(18, 25), 150.0)
    first = date(2025, 3, 1)
    hours = {
        ("A", first): ozone(late),
        ("A", first + timedelta(days=1)): ozone(flat),  # label 01 reaches back to 18:00-24:00 of the 1st
        ("A", first + timedelta(days=3)): ozone(flat),  # the 3rd is not there: the 2nd must not stand in for it
        ("B", first + timedelta(days=1)): ozone(flat),  # another station's evening is not this one's
    }
    book = rules(ON, hj663={"mda8_window": "labels_01_24"})
    rows = engine.rows(station_days(table(engine, hours), book), "station", "day")
    # Both 137.5 = (7 x 150 + 50) / 8: label 24 of the 1st (17:00-24:00) and label 01 of the 2nd (18:00-01:00).
    assert [(r["station"], r["mda8"], r["mda8_n"]) for r in rows] == [
        ("A", 137.5, 19),
        ("A", 137.5, 24),
        ("A", 50.0, 19),
        ("B", 50.0, 19),
    ]


def test_bounds_of_validity(engine, rules):
    """19 and 20 hours; 13 and 14 eight-hour means; a rounded 160 is not above the limit, 160.51 is."""
    day = date(2025, 7, 1)

    def every(item: str, number: int, value: float = 10.0) -> Day:
        return {h: {item: value} for h in range(1, number + 1)}

    hours = {
        ("a19", day): every("pm10", 19),
        ("b20", day): every("pm10", 20),
        # Hours 1..n give windows ending 08..n with 8 hours, then n+1 with 7 and n+2 with 6.
        ("c13", day): every("o3", 18),
        ("d14", day): every("o3", 19),
        ("e13high", day): every("o3", 18, 161.0),
        ("f13even", day): every("o3", 18, 160.5),
        ("g13over", day): every("o3", 18, 160.51),
    }
    rows = {r["station"]: r for r in engine.rows(station_days(table(engine, hours), rules(ON)))}
    assert rows["a19"]["pm10"] is None
    assert rows["b20"]["pm10"] == 10.0
    assert [(k, rows[k]["mda8_n"], rows[k]["mda8"]) for k in sorted(rows) if k[1:3] in ("13", "14")] == [
        ("c13", 13, None),
        ("d14", 14, 10.0),
        ("e13high", 13, 161.0),
        ("f13even", 13, None),
        ("g13over", 13, 160.51),
    ]


def test_label_24_closes_its_own_day(duckdb_engine, rules):
    """The hour ending at midnight belongs to the day it closes; core.clock wrote `day` and `hour` at the door."""
    day = date(2024, 2, 29)
    hours = {
        ("A", day): {h: {"pm10": 10.0} for h in range(1, 20)} | {24: {"pm10": 210.0}},
        ("A", day + timedelta(days=1)): {1: {"pm10": 1000.0}},
    }
    rows = duckdb_engine.rows(station_days(table(duckdb_engine, hours), rules(ON)), "day")
    assert [(r["day"], r["pm10"], r["pm10_n"]) for r in rows] == [
        (day, 20.0, 20),
        (date(2024, 3, 1), None, 1),
    ]


@pytest.mark.parametrize(
    ("choice", "decimals"), [("display", {"co": 1, "pm10": 0}), ("one_more_decimal", {"co": 2, "pm10": 1})]
)
def test_intermediate_rounding_is_half_to_even_on_the_exact_mean(duckdb_engine, rules, choice, decimals):
    rng = random.Random(7)
    day, hours = date(2025, 5, 1), {}
    for n in range(200):
        # 20 values with one decimal: their mean often ends in a lone 5.
        values = [rng.randrange(0, 400) / 10 for _ in range(20)]
        hours[f"S{n:03d}", day] = {h: {"co": values[h - 1], "pm10": values[h - 1]} for h in range(1, 21)}
    book = rules(ON, hj663={"intermediate_rounding": choice})
    ties = 0
    for row in duckdb_engine.rows(station_days(table(duckdb_engine, hours), book)):
        want = reference(hours, (row["station"], day))
        for item, places in decimals.items():
            assert exact(row[item]) == half_even(want[item], places), (row["station"], item)
            ties += (want[item] * 10**places * 2).denominator == 1 and (want[item] * 10**places).denominator == 2
    assert ties > 10, "the sample holds no ties to decide"


def test_sliding_mean_ranges_over_the_clock_not_over_rows(engine, rules):
    """24-h means of PM (HJ 633-2012 5.1): hours without a row leave the frame like hours without a value."""
    rng = random.Random(11)
    start = date(2025, 1, 1)
    hours: Hours = {}
    for station in "AB":
        for n in range(4 * 24):
            if rng.random() < 0.12 or 30 <= n < 45:
                continue
            value = float(rng.randrange(0, 300))
            hours.setdefault((station, start + timedelta(days=n // 24)), {})[n % 24 + 1] = {
                "pm10": None if rng.random() < 0.05 else value
            }
    t = table(engine, hours)
    rows = engine.rows(t.mutate(mean=sliding_mean(t, "pm10", 24, 20)).select("station", "time", "pm10", "mean"))
    series = {(r["station"], r["time"]): r["pm10"] for r in rows}
    seen = set()
    for row in rows:
        frame = [series.get((row["station"], row["time"] - timedelta(hours=h))) for h in range(24)]
        values = [exact(v) for v in frame if v is not None]
        want = half_even(sum(values) / len(values), 6) if len(values) >= 20 else None
        seen.add(want is None)
        assert (None if row["mean"] is None else exact(row["mean"])) == want, row
    assert seen == {True, False}
