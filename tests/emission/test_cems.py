"""Sums of continuous monitoring, worked by hand: T/CSES 144-2024 (n >= 18), HJ 75-2017 as in fact sheet 9.2."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from qinglan.core.errors import LayoutError
from qinglan.emission.cems import annual, days, hourly, quarters
from qinglan.plan.rules import load_book

GUIDE = load_book("tcses144", date(2024, 12, 31))
HJ75 = load_book("hj75", date(2024, 12, 31))
START = datetime(2024, 1, 1)  # noqa: DTZ001 (local time of the plant, as HJ 212 labels hours)


def monitored(n: int, start: datetime = START, **columns: Any) -> pl.DataFrame:
    """`n` hours of 100 mg/m3 and 10,000 m3/h: 1 kg an hour."""
    base = {
        "source_id": "DA001",
        "species": "so2",
        "time": [start + timedelta(hours=i) for i in range(n)],
        "concentration": np.full(n, 100.0),
        "flow": np.full(n, 1e4),
    }
    return pl.DataFrame(base | columns)


def gaps(n: int, *holes: range, high: tuple[int, float] = (0, 100.0)) -> np.ndarray[Any, Any]:
    values = np.full(n, 100.0)
    values[high[0]] = high[1]
    for hole in holes:
        values[list(hole)] = np.nan
    return values


def test_an_hour_weighs_what_the_equation_says() -> None:
    assert hourly(monitored(3))["mass_t"].to_list() == pytest.approx([1e-3] * 3)


def test_a_day_needs_eighteen_hours_and_borrows_from_its_weekday() -> None:
    """January 2024, 1st (Monday) to 14th; Tuesday the 9th has 17 hours and takes Tuesday the 2nd."""
    concentration = np.full(14 * 24, 100.0)
    concentration[24:48] = 50.0  # Tuesday the 2nd
    concentration[8 * 24 : 8 * 24 + 7] = np.nan
    concentration[0:6] = np.nan  # Monday the 1st keeps 18
    table = days(monitored(14 * 24, concentration=concentration), GUIDE)
    assert table.height == 14
    mass = dict(zip(table["day"], table["emission_t"], strict=True))
    assert mass[date(2024, 1, 1)] == pytest.approx(0.024)
    assert mass[date(2024, 1, 9)] == mass[date(2024, 1, 2)] == pytest.approx(0.012)
    assert table.filter("filled")["day"].to_list() == [date(2024, 1, 9)]
    assert table.filter("filled")["hours"].to_list() == [17]


def test_a_day_without_any_hour_is_in_the_table() -> None:
    hours = monitored(72).filter(pl.col("time").dt.day() != 2)
    table = days(hours, GUIDE)
    assert table.select("emission_t", "hours", "filled").row(1) == (None, 0, True)


def test_a_short_gap_takes_the_largest_of_the_last_180_hours() -> None:
    """90 days, 10 h missing: capture 99.5 %. A peak 100 h back counts; one 200 h back does not."""
    n, first = 91 * 24, 1000
    hole = range(first, first + 10)
    near = quarters(monitored(n, concentration=gaps(n, hole, high=(first - 100, 500.0))), HJ75).row(0, named=True)
    assert near["emission_t"] == pytest.approx((n - 11 + 5 + 10 * 5) * 1e-3)
    far = quarters(monitored(n, concentration=gaps(n, hole, high=(first - 200, 500.0))), HJ75).row(0, named=True)
    assert far["emission_t"] == pytest.approx((n - 11 + 5 + 10 * 1) * 1e-3)
    assert (near["gap_hours"], near["valid_hours"], near["usable"]) == (10, n - 10, True)


def test_a_long_gap_looks_back_720_hours_and_a_poor_quarter_2160() -> None:
    n, first = 91 * 24, 1500
    long = range(first, first + 30)
    table = quarters(monitored(n, concentration=gaps(n, long, high=(first - 700, 500.0))), HJ75)
    assert table["emission_t"][0] == pytest.approx((n - 31 + 5 + 30 * 5) * 1e-3)
    beyond = quarters(monitored(n, concentration=gaps(n, long, high=(first - 730, 500.0))), HJ75)
    assert beyond["emission_t"][0] == pytest.approx((n - 31 + 5 + 30) * 1e-3)
    poor = range(first, first + 300)  # 86 % valid
    found = quarters(monitored(n, concentration=gaps(n, poor, high=(10, 500.0))), HJ75).row(0, named=True)
    assert 75 < found["valid"] < 90
    assert found["emission_t"] == pytest.approx((n - 301 + 5 + 300 * 5) * 1e-3)


def test_a_quarter_below_75_percent_is_not_usable() -> None:
    n = 91 * 24
    found = quarters(monitored(n, concentration=gaps(n, range(1000, 1600))), HJ75).row(0, named=True)
    assert found["valid"] == pytest.approx(100 * (n - 600) / n)
    assert not found["usable"]


def test_standing_still_is_no_gap_and_gives_off_nothing() -> None:
    n = 91 * 24
    running = np.ones(n, dtype=bool)
    running[500:1500] = False
    found = quarters(monitored(n, running=running, concentration=gaps(n, range(500, 1500))), HJ75).row(
        0, named=True
    )
    assert (found["valid"], found["gap_hours"], found["usable"]) == (100.0, 0, True)
    assert found["emission_t"] == pytest.approx((n - 1000) * 1e-3)


def test_a_gap_before_any_valid_hour_stays_and_is_said() -> None:
    found = quarters(monitored(91 * 24, concentration=gaps(91 * 24, range(5), high=(50, 100.0))), HJ75)
    assert found.select("unfilled_hours", "usable").row(0) == (5, False)


def test_an_hour_that_was_not_reported_is_a_gap() -> None:
    found = quarters(monitored(91 * 24).filter(pl.col("time") != START + timedelta(hours=700)), HJ75)
    assert found.select("gap_hours", "emission_t").row(0) == (1, pytest.approx(91 * 24 * 1e-3))


def test_a_year_is_as_good_as_its_worst_quarter() -> None:
    n = 366 * 24
    whole = annual(monitored(n), HJ75).row(0, named=True)
    assert (whole["year"], whole["emission_t"], whole["valid"]) == (2024, pytest.approx(8.784), 100.0)
    worse = annual(monitored(n, concentration=gaps(n, range(1000, 1600))), HJ75).row(0, named=True)
    assert worse["valid"] == pytest.approx(100 * (2184 - 600) / 2184)
    short = annual(monitored(n).filter(pl.col("time") < pl.datetime(2024, 10, 1)), HJ75).row(0, named=True)
    assert short["valid"] == 0.0


def test_an_hour_that_stands_twice_and_a_missing_column() -> None:
    with pytest.raises(LayoutError, match="so2 of DA001 at 2024-01-01"):
        hourly(pl.concat([monitored(2), monitored(1)]))
    with pytest.raises(LayoutError, match="no column flow"):
        hourly(monitored(2).drop("flow"))
