"""Scores of forecasts that were worked by hand."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from qinglan.forecast.air_index import QUANTILES
from qinglan.forecast.verify import brier, index_scores, probabilities, reliability, scores, skill, with_season
from qinglan.plan.rules import load_book

FIRST = date(2025, 11, 29)


def pairs(error: float, days: int = 40) -> pl.DataFrame:
    """Certain forecasts of PM2.5 that are off by `error` on every day, of a truth that wanders."""
    seen = 50 + 10 * np.sin(np.arange(days))
    frame = pl.DataFrame(
        {"place": "630100", "day": [FIRST + timedelta(days=n) for n in range(days)], "lead_day": 1,
         "item": "pm2_5", "observed": seen, "mean": seen + error, **dict.fromkeys(QUANTILES, seen + error)}
    )  # fmt: skip
    return with_season(frame)


def test_a_constant_error_is_every_error_at_once() -> None:
    (row,) = scores(pairs(-4), ["lead_day"]).rows(named=True)
    assert row["n"] == 40
    for name in ("rmse", "mae", "crps"):
        assert row[name] == pytest.approx(4, rel=1e-6), name
    assert row["bias"] == pytest.approx(-4)
    assert row["r"] == pytest.approx(1)
    assert row["coverage_90"] == 0


def test_seasons_part_at_the_month() -> None:
    found = scores(pairs(1), ["season"])
    assert dict(found.select("season", "n").rows()) == {"autumn": 2, "winter": 38}


def test_skill_of_half_the_error_is_a_half_and_of_the_same_is_none() -> None:
    rng = np.random.default_rng(1)
    (half,) = skill(pairs(2), pairs(4), ["lead_day"], rng=rng).rows(named=True)
    assert half["skill"] == pytest.approx(0.5)
    assert half["low"] == pytest.approx(0.5)
    (same,) = skill(pairs(4), pairs(4), ["lead_day"], rng=rng).rows(named=True)
    assert same["skill"] == pytest.approx(0)
    (few,) = skill(pairs(4, 3), pairs(4, 3), ["lead_day"], rng=rng).rows(named=True)
    assert few["low"] is None


def test_the_interval_holds_what_varies() -> None:
    noise = np.random.default_rng(2).normal(0, 3, 40)
    rough = pairs(0).with_columns([(pl.col(q) + pl.Series(noise)).alias(q) for q in QUANTILES])
    (row,) = skill(rough, pairs(4), ["lead_day"], rng=np.random.default_rng(3)).rows(named=True)
    assert row["low"] < row["skill"] < row["high"]
    assert row["skill"] == pytest.approx(1 - np.abs(noise).mean() / 4, abs=1e-6)


def test_hits_and_false_alarms_are_counted_day_by_day() -> None:
    rows = [  # observed, its level, its primary; said: median, low, high, level, span, primary
        (120, 3, "pm2_5", 110, 90, 130, 3, 2, 3, "pm2_5,pm10"),
        (120, 3, "pm10", 90, 80, 100, 2, 2, 2, "pm2_5"),
        (80, 2, "pm10", 160, 120, 180, 4, 3, 4, "pm10"),
        (40, 1, "", 45, 30, 60, 1, 1, 2, ""),
    ]
    names = ["observed", "observed_level", "observed_primary", "q50", "low", "high", "level", "level_low",
             "level_high", "primary"]  # fmt: skip
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(lead_day=pl.lit(1))
    book = load_book("forecast", FIRST)
    (row,) = index_scores(frame, ["lead_day"], book).rows(named=True)
    assert (row["hits_100"], row["misses_100"], row["false_alarms_100"]) == (1, 1, 1)
    assert (row["hits_150"], row["misses_150"], row["false_alarms_150"]) == (0, 0, 1)
    assert row["level_hit"] == 0.5
    assert row["range_hit"] == 0.5
    assert row["primary_hit"] == pytest.approx(2 / 3)
    assert row["bias"] == pytest.approx((110 - 120 + 90 - 120 + 160 - 80 + 45 - 40) / 4)
    (same,) = index_scores(frame, ["lead_day"], book.with_options(level_hit="same")).rows(named=True)
    assert same["level_hit"] == 0.5


def chances_of(said: list[float], came: list[int]) -> pl.DataFrame:
    """Days on which a probability above AQI 100 was said (all of it at level 3), and what AQI came."""
    count = len(said)
    return pl.DataFrame(
        {"place": "630100", "day": [FIRST + timedelta(days=n) for n in range(count)], "lead_day": [1] * count,
         "observed": came, "p1": [1 - p for p in said], "p2": [0.0] * count, "p3": said,
         **{f"p{n}": [0.0] * count for n in (4, 5, 6)}}
    )  # fmt: skip


def test_the_brier_score_and_its_skill_by_hand() -> None:
    """Said 0.8, 0.4, 0.1, 0.1; it came, came not, not, not: (0.04 + 0.16 + 0.01 + 0.01) / 4 = 0.055. The share of
    one in four scores 0.25 * 0.75 = 0.1875: the skill is 1 - 0.055 / 0.1875. Nothing above 150 was said or came.
    """
    told = probabilities(chances_of([0.8, 0.4, 0.1, 0.1], [120, 80, 60, 100]), load_book("forecast", FIRST))
    rows = {r["top"]: r for r in brier(told, ["lead_day"]).to_dicts()}
    assert rows[100]["brier"] == pytest.approx(0.055)
    assert rows[100]["skill"] == pytest.approx(1 - 0.055 / 0.1875)
    assert (rows[100]["n"], rows[100]["events"]) == (4, 1), "AQI 100 itself does not exceed 100"
    assert (rows[150]["brier"], rows[150]["skill"]) == (0.0, None)


def test_reliability_says_how_often_came_what_was_said() -> None:
    """Ten days at 15 % of which three came, two at 100 % that both came: classes 1 and 9."""
    said, came = [0.15] * 10 + [1.0, 1.0], [120] * 3 + [80] * 7 + [130, 140]
    found = reliability(probabilities(chances_of(said, came), load_book("forecast", FIRST))).filter(top=100)
    assert found.select("bin", "n", "came").rows() == [(1, 10, 0.3), (9, 2, 1.0)]
    assert found["said"].to_list() == pytest.approx([0.15, 1.0])
