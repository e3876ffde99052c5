"""Trends against hand work, the standard's formula, and openair's published numbers for its own data."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from qinglan.air import trend
from qinglan.core.errors import RuleError, UsageError
from qinglan.plan.rules import load_book

HJ663 = load_book("hj663", date(2025, 12, 31))
CRITICAL = HJ663.get("spearman.critical").value
LEAST = int(HJ663.number("spearman.years_min"))


def test_spearman_by_hand():
    # HJ 663: ranks 5 3 4 2 1 against 1..5: D = 4 1 1 -2 -4, sum of squares 38, rs = 1 - 6*38/120 = -0.9.
    found = trend.spearman(range(2016, 2021), [50, 47, 48, 45, 44], CRITICAL, years_min=LEAST)
    assert found.coefficient == -0.9
    assert (found.direction, found.significant, found.critical) == ("falling", True, 0.9)


def test_spearman_ties_by_mean_ranks_or_by_year():
    # Ranks 1, 2.5, 2.5, 4, 5: sum of squares 0.5, rs = 1 - 3/120 = 0.975; by year the ranks are 1..5.
    values = [1.0, 2.0, 2.0, 3.0, 4.0]
    assert trend.spearman(range(5), values, CRITICAL, years_min=LEAST).coefficient == 0.975
    by_year = trend.spearman(range(5), values, CRITICAL, years_min=LEAST, ties="order_of_years")
    assert by_year.coefficient == 1.0


def test_spearman_below_the_critical_value_is_no_change():
    found = trend.spearman(range(2016, 2021), [50, 44, 48, 45, 47], CRITICAL, years_min=LEAST)
    assert (found.direction, found.significant) == ("no_change", False)


def test_spearman_refuses_few_years_and_years_beyond_the_table():
    with pytest.raises(RuleError, match="needs 5 years with a value; there are 4"):
        trend.spearman(range(5), [1, 2, 3, 4, float("nan")], CRITICAL, years_min=LEAST)
    with pytest.raises(RuleError, match="no critical value for 11 years"):
        trend.spearman(range(11), range(11), CRITICAL, years_min=LEAST)


def test_mann_kendall_by_hand_with_and_without_ties():
    # S = 10 of 10 pairs; var = 5*4*15/18 = 16.667; z = 9/4.0825 = 2.2045.
    plain = trend.mann_kendall([1, 2, 3, 4, 5])
    assert (plain.s, plain.tau) == (10, 1.0)
    assert plain.variance == pytest.approx(300 / 18)
    assert plain.z == pytest.approx(2.204541)
    # 1 2 2 3: S = 5, ties of two take 2*1*9 from 4*3*13: (156 - 18)/18 = 7.6667.
    tied = trend.mann_kendall([1, 2, 2, 3])
    assert (tied.s, tied.variance) == (5, pytest.approx(138 / 18))


def test_seasonal_test_adds_the_seasons_and_does_not_see_the_cycle():
    # Two seasons, each falling through 3 years: S = -3 + -3; variance 2 * 3*2*11/18.
    found = trend.seasonal_mann_kendall([10, 1, 9, 0.5, 8, 0.2], [1, 2, 1, 2, 1, 2])
    assert (found.s, found.variance) == (-6, pytest.approx(2 * 66 / 18))
    assert trend.mann_kendall([10, 1, 9, 0.5, 8, 0.2]).s > -15


def test_slope_of_a_line_with_an_outlier_is_the_lines():
    t = np.arange(20.0)
    x = 3 - 0.5 * t
    x[7] = 100
    found = trend.theil_sen(t, x, rng=np.random.default_rng(1), resamples=200)
    assert found.slope == pytest.approx(-0.5)
    assert found.significant
    again = trend.theil_sen(t, x, rng=np.random.default_rng(1), resamples=200)
    assert (again.low, again.high) == (found.low, found.high)


def test_interval_of_the_block_bootstrap_is_wider_where_neighbours_depend():
    rng = np.random.default_rng(3)
    noise = np.zeros(120)
    for i in range(1, 120):
        noise[i] = 0.8 * noise[i - 1] + rng.normal()
    t = np.arange(120) / 12
    free = trend.theil_sen(t, noise, rng=np.random.default_rng(5), resamples=300)
    held = trend.theil_sen(t, noise, rng=np.random.default_rng(5), resamples=300, block=12)
    assert held.high - held.low > 1.3 * (free.high - free.low)


def test_too_short_or_uneven_series_say_so():
    with pytest.raises(UsageError, match="4 values or more; there are 3"):
        trend.theil_sen([1, 2, 3, 4], [1, 2, 3, np.nan], rng=np.random.default_rng(0))
    with pytest.raises(UsageError, match="2 times stand against 3 values"):
        trend.theil_sen([1, 2], [1, 2, 3], rng=np.random.default_rng(0))


@pytest.fixture(scope="module")
def mydata(test_data: Path) -> pl.DataFrame:
    """Monthly means of openair's mydata (London Marylebone Road, 1998-2005)."""
    frame = pl.read_csv(test_data / "openair_mydata" / "openair_mydata.csv.gz", null_values=["NA", ""])
    frame = frame.with_columns(pl.col("date").str.to_datetime())
    months = frame.group_by_dynamic("date", every="1mo").agg(pl.col("nox", "no2").cast(float).mean())
    stamp = pl.col("date").dt
    return months.with_columns(t=stamp.year() + (stamp.month() - 1) / 12, month=stamp.month())


def test_openair_nox_deseasonalised(mydata: pl.DataFrame):
    # openair 2.18: TheilSen(nox, deseason = TRUE) -8.610 [-10.845, -6.694] ppb/yr (its cycle is by STL).
    month = mydata["month"].to_numpy()
    values = trend.deseasonalise(mydata["nox"].to_numpy(), month)
    found = trend.theil_sen(mydata["t"].to_numpy(), values, rng=np.random.default_rng(8), resamples=400)
    assert found.slope == pytest.approx(-8.610, abs=0.35)
    assert found.low == pytest.approx(-10.845, abs=1.3)
    assert found.high == pytest.approx(-6.694, abs=1.3)
    assert found.p < 0.001


def test_openair_no2_with_autocorrelation(mydata: pl.DataFrame):
    # openair 2.18: TheilSen(no2, autocor = TRUE) +1.098 [-0.277, 2.008], p 0.087.
    values = mydata["no2"].to_numpy()
    block = round(len(values) ** (1 / 3))
    found = trend.theil_sen(
        mydata["t"].to_numpy(), values, rng=np.random.default_rng(8), resamples=600, block=block
    )
    assert found.slope == pytest.approx(1.098, abs=0.05)
    assert found.low == pytest.approx(-0.277, abs=0.8)
    assert found.high == pytest.approx(2.008, abs=0.8)
    assert 0.005 < found.p < 0.3
