"""AQI against the golden vectors of the rule books and, for every concentration, against exact fractions."""

import math
from datetime import date
from fractions import Fraction

import pyarrow as pa
import pytest

from qinglan.air.aqi import daily_aqi, hourly_aqi, hourly_indicators, iaqi
from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS, quantity
from qinglan.core.rounding import exact, half_even
from qinglan.core.rulebook import RuleBook

EDITIONS = ["2025-06-30", "2026-06-30"]


def reference_iaqi(concentration: Fraction, item: str, averaging: str, book: RuleBook) -> int | None:
    """HJ 633 4.2 by exact fractions: the formula as printed, without any of our shortcuts."""
    value = half_even(concentration, quantity(item).decimals)
    bounds = [exact(b) for b in book.get(f"breakpoints.{item}.{averaging}").value if b is not None]
    indices = book.get("breakpoints.iaqi").value
    for i in range(1, len(bounds)):
        if value <= bounds[i]:
            slope = Fraction(indices[i] - indices[i - 1]) / (bounds[i] - bounds[i - 1])
            return math.ceil(slope * (value - bounds[i - 1]) + indices[i - 1])
    return book.get(f"above_top.{item}.{averaging}").value["iaqi"]


def _pairs(book: RuleBook):
    for item in DAILY_ITEMS:
        yield item, "day"
    for item, (_, averaging) in hourly_indicators(book).items():
        if averaging == "hour":
            yield item, averaging


@pytest.mark.parametrize("on", EDITIONS)
def test_every_concentration_to_over_the_top_equals_exact_fractions(duckdb_engine, rules, on):
    book = rules(on).aqi
    for item, averaging in _pairs(book):
        bounds = [b for b in book.get(f"breakpoints.{item}.{averaging}").value if b is not None]
        tenth = quantity(item).decimals == 1
        last = round(bounds[-1] * (10 if tenth else 1))
        values = [Fraction(n, 10 if tenth else 1) for n in range(last + 50)]
        # Beside each shown value: halves, and a hair on either side, which rounding must settle first.
        grain = Fraction(1, 1000)
        half = Fraction(1, 20 if tenth else 2)
        values += [v + half + d for v in values[:400] for d in (-grain, 0, grain)]
        table = duckdb_engine.load({"c": pa.array([float(v) for v in values], pa.float64())})
        rows = duckdb_engine.rows(table.mutate(got=iaqi(table.c, item, averaging, book)))
        wrong = [
            (row["c"], row["got"], want)
            for row, v in zip(rows, values, strict=True)
            if (want := reference_iaqi(v, item, averaging, book)) != row["got"]
        ]
        assert not wrong, (item, averaging, wrong[:5])


def golden_days():
    """Rows of standards.md 2.5: (SO2, NO2, CO, O3-8h, PM10, PM2.5), AQI and primaries under each edition."""
    return [
        ((12, 38, 1.2, 142, 118, 58), (85, "mda8"), (99, "pm10")),
        ((20, 45, 1.8, 98, 140, 70), (95, "pm10"), (110, "pm2_5")),
        ((60, 40, 4.0, 160, 150, 75), (100, "co,mda8,pm10,pm2_5"), (114, "pm2_5")),
        ((10, 20, 0.6, 110, 1250, 260), (500, "pm10"), (500, "pm10")),
    ]


def _day_table(engine, rows):
    order = ("so2", "no2", "co", "mda8", "pm10", "pm2_5")
    columns = {name: pa.array([r[i] for r in rows], pa.float64()) for i, name in enumerate(order)}
    days = {
        "place": pa.array([f"{n:06d}" for n in range(len(rows))]),
        "day": pa.array([date(2026, 1, 1)] * len(rows)),
    }
    return engine.load({**days, **columns, "o3_1h": pa.array([None] * len(rows), pa.float64())})


@pytest.mark.parametrize("edition", [0, 1])
def test_golden_days(engine, rules, edition):
    table = _day_table(engine, [row for row, *_ in golden_days()])
    got = engine.rows(daily_aqi(table, rules(EDITIONS[edition])), "place")
    assert [(r["aqi"], r["primary_pollutant"]) for r in got] == [g[1 + edition] for g in golden_days()]
    assert {r["aqi_state"] for r in got} == {"complete"}


def test_levels_and_no_primary_up_to_50(engine, rules):
    pm = [0, 35, 36, 60, 61, 115, 116, 150, 151, 250, 251, 500, 501]
    table = _day_table(engine, [(1, 1, 0.1, 1, 1, c) for c in pm])
    got = engine.rows(daily_aqi(table, rules("2026-06-30")), "place")
    assert [r["level"] for r in got] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 6]
    assert [r["primary_pollutant"] for r in got][:3] == ["", "", "pm2_5"]
    assert got[-1]["aqi"] == 500


def test_incomplete_day_of_2026_publishes_only_above_100(engine, rules):
    # HJ 633-2026 5.3.1. PM10 200: 100 + 50 x 80 / 130 = 130.8, up to 131. Last row: nothing at all was measured.
    table = _day_table(engine, [(10, 20, 1, 100, 50, None), (10, 20, 1, 100, 200, None), (None,) * 6])
    got = engine.rows(daily_aqi(table, rules("2026-06-30")), "place")
    assert [(r["aqi"], r["aqi_state"], r["level"]) for r in got] == [
        (None, "unavailable", None),
        (131, "incomplete", 3),
        (None, "unavailable", None),
    ]
    assert got[0]["iaqi_mda8"] == 50, "single indices stay published"
    assert got[0]["primary_pollutant"] is None


def test_item_outside_the_scheme_does_not_block(engine, rules):
    # HJ 633-2026 5.3.2: not monitored by design.
    table = _day_table(engine, [(10, 20, None, 100, 50, 30), (10, 20, None, 100, 50, 30)])
    exempt = engine.load({"place": pa.array(["000001"]), "item": pa.array(["co"])})
    got = engine.rows(daily_aqi(table, rules("2026-06-30"), exempt=exempt), "place")
    assert [(r["aqi"], r["aqi_state"]) for r in got] == [(None, "unavailable"), (50, "complete")]


def test_ozone_above_the_8h_table_takes_the_largest_hour_of_2012(engine, rules):
    # HJ 633-2012 table 1 note 3; 2026 stops at 300 (table 3 note c). 800.5 is shown as 800, 800.51 as 801.
    mda8 = [800.5, 800.51, 900.0, 900.0, None]
    hour = [1100.0, 900.0, 1201.0, None, 900.0]
    table = _day_table(engine, [(10, 20, 1, c, 50, 30) for c in mda8]).drop("o3_1h")
    peaks = engine.load({"place": pa.array([f"{n:06d}" for n in range(5)]), "o3_1h": pa.array(hour, pa.float64())})
    table = table.inner_join(peaks, "place")
    old = engine.rows(daily_aqi(table, rules("2025-06-30")), "place")
    new = engine.rows(daily_aqi(table, rules("2026-06-30")), "place")
    # The hour's table: 800..1000 is 300..400, so an hour of 900 is 350.
    assert [r["iaqi_mda8"] for r in old] == [300, 350, 500, None, None]
    assert [(r["aqi"], r["aqi_state"]) for r in old][3:] == [(50, "incomplete"), (50, "incomplete")]
    assert [r["iaqi_mda8"] for r in new] == [300, 300, 300, 300, None]


def _hour_table(engine, rows):
    from datetime import UTC, datetime

    columns = {name: pa.array([r[i] for r in rows], pa.float64()) for i, name in enumerate(HOURLY_ITEMS)}
    n = len(rows)
    return engine.load(
        {
            "station": pa.array([f"S{i}" for i in range(n)]),
            "time": pa.array([datetime(2026, 6, 1, tzinfo=UTC)] * n, pa.timestamp("us", "UTC")),
            "day": pa.array([date(2026, 6, 1)] * n),
            "hour": pa.array([8] * n, pa.int8()),
            **columns,
        }
    )


def test_hourly_caps_of_the_short_tables(engine, rules):
    # HJ 633-2026 table 3 note b: SO2 above 800 is 200. HJ 633-2012 note 2: not computed, the others decide.
    table = _hour_table(engine, [(801, 10, 1, 10, 10, 10), (800, 10, 1, 10, 10, 10)])
    new = engine.rows(hourly_aqi(table, rules("2026-06-30")), "station")
    old = engine.rows(hourly_aqi(table, rules("2025-06-30")), "station")
    assert [r["iaqi_so2"] for r in new] == [200, 200]
    assert [r["iaqi_so2"] for r in old] == [None, 200]
    assert [r["aqi"] for r in old] == [15, 200]
    assert [r["aqi_state"] for r in old] == ["incomplete", "complete"]


def test_hourly_with_sliding_means_of_the_letter_of_2012(engine, rules):
    from datetime import UTC, datetime, timedelta

    n = 30
    start = datetime(2020, 1, 1, tzinfo=UTC)
    table = engine.load(
        {
            "station": pa.array(["A"] * n),
            "time": pa.array([start + timedelta(hours=h) for h in range(n)], pa.timestamp("us", "UTC")),
            "day": pa.array([date(2020, 1, 1)] * n),
            "hour": pa.array([1] * n, pa.int8()),
            **{i: pa.array([10.0] * n) for i in ("so2", "no2", "co")},
            "o3": pa.array([float(10 * h) for h in range(n)]),
            "pm10": pa.array([None if h == 5 else float(h) for h in range(n)]),
            "pm2_5": pa.array([1.0] * n),
        }
    )
    letter = rules("2020-06-30", hj633={"hourly_pm": "sliding_24h", "hourly_o3": "one_hour_and_8h"})
    got = engine.rows(hourly_aqi(table, letter), "time")
    # Hour 23: mean of 23 values 0..23 without 5 = 271 / 23 = 11.78 -> 12; 19 values are too few at hour 19.
    assert got[23]["iaqi_pm10"] == 12
    assert got[19]["iaqi_pm10"] is None
    assert got[20]["iaqi_pm10"] == 10
    # 8 h to hour 20: mean 165 -> 100 + ceil(50 * 5 / 55) = 105, above the hour's own 200 -> 100.
    assert (got[20]["iaqi_o3_8h"], got[20]["iaqi_o3"]) == (105, 100)
