"""Patterns and roses: values by hand, against pandas, and the rules that openair documents."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from qinglan.air import patterns, rose
from qinglan.core.errors import UsageError

HOUR = np.timedelta64(3600, "s")


@pytest.fixture
def year() -> tuple[np.ndarray, np.ndarray]:
    """A leap year of hours with gaps: labels 2024-01-01 01:00 to 2024-12-31 24:00."""
    rng = np.random.default_rng(7)
    time = np.datetime64("2023-12-31T17:00", "us") + np.arange(366 * 24) * HOUR
    values = rng.lognormal(3, 0.6, len(time))
    values[rng.random(len(time)) < 0.1] = np.nan
    return time, values


def test_the_clock_closes_the_day_with_hour_24() -> None:
    """HJ 633-2026 and GB 3095: a natural day is the labels 01:00 to 24:00 of China Standard Time."""
    at = patterns.clock(np.array(["2024-12-31T16:00", "2024-12-31T17:00"], "datetime64[us]"))
    assert [str(d) for d in at.day] == ["2024-12-31", "2025-01-01"]
    assert at.hour.tolist() == [24, 1]
    assert at.weekday.tolist() == [1, 2], "31 December 2024 was a Tuesday"
    assert (at.month.tolist(), at.year.tolist()) == ([12, 1], [2024, 2025])


def test_panels_are_the_group_means_of_pandas(year) -> None:
    """Independent: pandas groups by the shifted wall clock."""
    time, values = year
    made = patterns.time_variation(time, values, np.random.default_rng(1))
    wall = pd.DatetimeIndex(time) + pd.Timedelta(hours=7)
    frame = pd.DataFrame({"v": values, "hour": wall.hour + 1, "weekday": wall.day_of_week, "month": wall.month})
    for panel, by in ((made.hour, ["hour"]), (made.weekday, ["weekday"]), (made.month, ["month"]),
                      (made.week, ["weekday", "hour"])):  # fmt: skip
        found = frame.groupby(by)["v"].agg(["mean", "count"])
        np.testing.assert_allclose(panel.mean, found["mean"].to_numpy(), rtol=1e-12)
        assert panel.n.tolist() == found["count"].tolist()


def test_the_interval_is_that_of_the_mean(year) -> None:
    """For many values the bootstrap comes near mean ± 1.96 s/√n (central limit theorem)."""
    time, values = year
    made = patterns.means(
        patterns.clock(time).month, values, patterns.MONTHS, np.random.default_rng(3), draws=2000
    )
    for k, month in enumerate(patterns.MONTHS):
        part = values[(patterns.clock(time).month == month) & ~np.isnan(values)]
        half = 1.96 * part.std(ddof=1) / np.sqrt(len(part))
        assert made.low[k] == pytest.approx(part.mean() - half, abs=0.15 * half)
        assert made.high[k] == pytest.approx(part.mean() + half, abs=0.15 * half)


def test_small_groups_by_hand() -> None:
    """Equal values have no spread; one value has no interval; no value has no mean (openair's bootMeanDF)."""
    groups = np.array([1, 1, 1, 2, 3])
    made = patterns.means(groups, np.array([5.0, 5.0, np.nan, 7.0, np.nan]), (1, 2, 3), np.random.default_rng(0))
    assert made.n.tolist() == [2, 1, 0]
    assert (made.mean[0], made.low[0], made.high[0], made.mean[1]) == (5, 5, 5, 7)
    assert np.isnan([made.low[1], made.high[1], made.mean[2]]).all()
    with pytest.raises(UsageError, match="shape"):
        patterns.means(groups, np.ones(3), (1,), np.random.default_rng(0))


def test_the_same_seed_gives_the_same_bounds(year) -> None:
    one, two = (patterns.time_variation(*year, np.random.default_rng(9)) for _ in range(2))
    assert one.hour.low.tolist() == two.hour.low.tolist()


def test_statistics_against_numpy_and_pandas(year) -> None:
    """HJ 663-2013 annex A: k = 1 + (n-1)p, linear between ranks; pandas' default is the same."""
    time, values = year
    made, frame = patterns.describe(values, len(time)), pd.Series(values)
    assert made.n == frame.count()
    assert made.capture == pytest.approx(100 * frame.count() / 8784)
    for q, name in ((0.5, "median"), (0.95, "p95"), (0.98, "p98")):
        assert getattr(made, name) == pytest.approx(frame.quantile(q))
    assert made.at == frame.idxmax()
    assert patterns.describe(np.array([np.nan]), 1).at is None
    assert sum(patterns.month_counts(time, values, 2024)) == frame.count()
    assert sum(patterns.month_counts(time, values, 2023)) == 0, "hour 01 of New Year belongs to the new year"


def test_a_wind_rose_by_hand() -> None:
    """Ten hours: three calm, one without direction; shares are of all ten (openair: prop.count)."""
    direction = np.array([0, 359, 90, 90, 91, 180, 10, 20, 30, np.nan])
    speed = np.array([1.0, 2.0, 2.1, 4.0, 9.0, 8.0, 0.0, 0.2, 0.1, 3.0])
    made = rose.wind_rose(direction, speed)
    assert (made.n, made.calm, made.undirected) == (10, 30.0, 1)
    assert made.share[0].tolist() == [20, 0, 0, 0, 0], "a speed of 2.0 is in (0, 2]"
    assert made.share[4].tolist() == [0, 20, 0, 0, 10], "2.1 and 4.0 are in (2, 4], 9.0 above 8"
    assert made.share[8].tolist() == [0, 0, 0, 10, 0], "8.0 is in (6, 8]"
    assert made.share.sum() == 60
    assert not made.corrected


def test_a_pollution_rose_by_hand() -> None:
    direction, speed = np.array([90.0, 91, 270, 270]), np.array([1.0, 1, 1, np.nan])
    made = rose.pollution_rose(direction, speed, np.array([10.0, 50, 20, 99]), edges=(0, 20, 40))
    assert (made.n, made.mean) == (3, pytest.approx(80 / 3)), "the hour without wind is left out"
    assert made.sector_mean[4] == 30
    assert np.isnan(made.sector_mean[0])
    np.testing.assert_allclose(made.share[4], [100 / 3, 0, 100 / 3])
    np.testing.assert_allclose(made.share[12], [100 / 3, 0, 0])
    drawn = rose.pollution_rose(direction, speed, np.array([-2.0, 50, 20, 99]))
    assert drawn.share.sum() == pytest.approx(100), "a value below the first bound is in the first class"


def test_rounded_directions_do_not_favour_the_cardinal_points() -> None:
    """Applequist 2012: of 36 tens, N, E, S and W of 16 sectors hold three, the others two."""
    direction = np.tile(np.arange(10.0, 361, 10), 100)
    made = rose.wind_rose(direction, np.full(len(direction), 3.0))
    np.testing.assert_allclose(made.share.sum(axis=1), 100 / 16)
    assert made.corrected
    assert made.sector_n.tolist() == [300, 200, 200, 200] * 4


def test_sectors_against_openair_formula() -> None:
    """openair windRose: wd = angle * ceiling(wd / angle - 0.5), and 0 becomes 360."""
    direction = np.arange(0, 361.0, 0.5)
    for sectors in (8, 12, 16, 36):
        angle = 360 / sectors
        theirs = angle * np.ceil(direction / angle - 0.5)
        assert (rose.sector_of(direction, sectors) * angle % 360 == theirs % 360).all()


def test_wrong_roses_are_refused() -> None:
    with pytest.raises(UsageError, match="do not rise"):
        rose.wind_rose(np.ones(2), np.ones(2), edges=(0, 0))
    with pytest.raises(UsageError, match="differ"):
        rose.wind_rose(np.ones(2), np.ones(3))
    empty = rose.pollution_rose(np.full(3, np.nan), np.full(3, np.nan), np.ones(3))
    assert empty.n == 0
    assert np.isnan(empty.calm)
