"""No leakage, scores of known distributions, calibration and blending of forecasts of known truth."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from qinglan.core.clock import CST
from qinglan.core.errors import UsageError
from qinglan.forecast.backtest import Run, join, roll
from qinglan.forecast.blend import blend
from qinglan.forecast.conformal import calibrate
from qinglan.forecast.features import moving_mean, neighbours
from qinglan.forecast.models import Model
from qinglan.forecast.models.boosted import Boosted
from qinglan.forecast.models.climatology import Climatology
from qinglan.forecast.models.direct import Direct
from qinglan.forecast.models.linear import Linear
from qinglan.forecast.models.persistence import Persistence
from qinglan.forecast.models.season import Season
from qinglan.forecast.scores import coverage, crps, mae, rmse
from qinglan.forecast.series import LEVELS, History

LEADS = (1, 6, 24)


def made(steps: int = 1500) -> History:
    """Three series that share a daily wave and a memory, with 2 % missing."""
    rng = np.random.default_rng(7)
    logs = np.zeros((3, steps))
    for at in range(1, steps):
        logs[:, at] = 0.95 * logs[:, at - 1] + 0.2 * rng.normal(size=3)
    values = np.exp(3 + logs + 0.4 * np.sin(np.arange(steps) * 2 * np.pi / 24))
    values[rng.random(values.shape) < 0.02] = np.nan
    return History(values, datetime(2024, 1, 1, tzinfo=CST), timedelta(hours=1), {"wind": rng.random((3, steps))})


def drawn(error: float, origins: int = 400) -> Run:
    """Forecasts of a lognormal truth whose spread is wrong by the factor ``error``."""
    rng = np.random.default_rng(3)
    seen = np.exp(3 + 0.5 * rng.normal(size=(origins, 4, 1)))
    score = np.quantile(rng.normal(size=200_000), LEVELS)
    values = np.broadcast_to(np.exp(3 + 0.5 * error * score), (origins, 4, 1, len(LEVELS))).copy()
    return Run(
        "drawn", values, np.full(seen.shape, np.exp(3.125)), seen, tuple(range(1, origins + 1)), (1,), LEVELS
    )


@pytest.mark.parametrize(
    "model",
    [
        Persistence(),
        Climatology(),
        Season(),
        Linear(),
        Boosted(rounds=5),
        Boosted(ahead=True, rounds=5),
        Direct(rounds=5),
        Direct(ahead=True, rounds=5),
    ],
    ids=lambda one: one.name,
)
def test_what_comes_after_the_cut_off_changes_nothing(model: Model) -> None:
    history = made()
    model.fit(history.until(1200), LEADS)
    before = roll(model, history, [1300], LEADS)
    values = history.values.copy()
    values[:, 1300:] *= 9
    wind = history.weather["wind"].copy()
    wind[:, 1300:] += 50
    after = roll(model, replace(history, values=values, weather={"wind": wind}), [1300], LEADS)
    np.testing.assert_array_equal(before.values, after.values)
    np.testing.assert_array_equal(before.mean, after.mean)
    values[:, 1299] = history.values[:, 1299] * 9
    moved = roll(model, replace(history, values=values), [1300], LEADS)
    assert model.name in ("climatology", "season") or not np.array_equal(before.values, moved.values)


def test_weather_that_is_wanted_and_missing_is_said() -> None:
    history, model = made(), Boosted(ahead=True, rounds=5)
    model.fit(history.until(1200), LEADS)
    assert model.predict(history.until(1300), LEADS).notes == ("no_weather_ahead",)
    assert model.predict(history.until(1300, ahead=24), LEADS).notes == ()


def test_trees_beat_persistence_and_climatology_from_six_hours_on() -> None:
    """A wave with memory, 2 % missing. One hour ahead, persistence is hard to beat and nothing is claimed."""
    history = made(3000)
    runs = []
    for model in (Boosted(every=5, rounds=40), Persistence(), Climatology()):
        model.fit(history.until(2400), LEADS)
        runs.append(roll(model, history, range(2400, 2970, 11), LEADS))
    mine, *others = ([row["crps"] for row in run.scores()] for run in runs)
    assert all(one < min(rest) for one, *rest in zip(mine[1:], *(other[1:] for other in others), strict=True))


def test_the_season_is_that_of_the_days_around_and_goes_on_over_new_year() -> None:
    """Four years that rise by one a day, from 0 on 1 January: within a month of a day it is the day itself."""
    days = np.arange(4 * 365)
    values = ((days % 365) * 1.0)[None]
    history = History(values, datetime(2021, 1, 1, tzinfo=CST), timedelta(days=1))
    model = Season()
    model.fit(history, (1,))
    found = model.predict(history.until(1095 + 180), (1,))
    assert found.mean[0, 0] == pytest.approx(180, abs=1)
    assert found.values[0, 0, 0] == pytest.approx(150, abs=5)
    turn = model.predict(history.until(1095), (1,))
    assert turn.values[0, 0, 0] < 31 < 334 < turn.values[0, 0, -1]


def test_crps_of_a_normal_distribution_is_its_closed_form() -> None:
    """Gneiting and Raftery (2007), eq. 21: at the mean of N(0, 1) it is 2 phi(0) - 1/sqrt(pi)."""
    levels = (np.arange(999) + 1) / 1000
    quantiles = np.quantile(np.random.default_rng(1).normal(size=400_000), levels)
    expected = 2 / np.sqrt(2 * np.pi) - 1 / np.sqrt(np.pi)
    assert crps(quantiles[None], list(levels), np.zeros(1)) == pytest.approx(expected, abs=0.003)


def test_scores_leave_gaps_out() -> None:
    seen, said = np.array([1.0, np.nan, 3.0]), np.array([2.0, 5.0, 6.0])
    assert mae(said, seen) == pytest.approx(2.0)
    assert rmse(said, seen) == pytest.approx(5**0.5)
    assert coverage(said - 1, said, seen) == pytest.approx(0.5)
    assert np.isnan(mae(said, np.full(3, np.nan)))


@pytest.mark.parametrize("error", [0.5, 1.6])
def test_calibration_brings_wrong_intervals_to_nominal(error: float) -> None:
    raw = drawn(error)
    assert abs(raw.scores()[0]["coverage_80"] - 0.8) > 0.1
    done = calibrate(raw)
    kept = replace(done, values=done.values[100:], mean=done.mean[100:], observed=done.observed[100:])
    assert kept.scores()[0]["coverage_80"] == pytest.approx(0.8, abs=0.03)


def test_calibration_and_blend_know_only_what_was_observed_by_then() -> None:
    raw, other = drawn(0.5), drawn(1.6)
    seen = raw.observed.copy()
    seen[300:] *= 10
    late, late_other = replace(raw, observed=seen), replace(other, observed=seen)
    np.testing.assert_array_equal(calibrate(raw).values[:301], calibrate(late).values[:301])
    np.testing.assert_array_equal(blend([raw, other]).values[:301], blend([late, late_other]).values[:301])
    assert not np.array_equal(calibrate(raw).values[350:], calibrate(late).values[350:])


def test_a_run_joined_to_an_earlier_one_is_calibrated_from_its_first_day() -> None:
    raw = drawn(0.5)
    later = replace(raw, origins=tuple(origin + 400 for origin in raw.origins))
    both = calibrate(join(raw, later)).since(401)
    assert both.origins == later.origins
    first = replace(both, values=both.values[:20], mean=both.mean[:20], observed=both.observed[:20])
    assert first.scores()[0]["coverage_80"] == pytest.approx(0.8, abs=0.08)
    cold = replace(first, values=calibrate(later).values[:20])
    assert cold.scores()[0]["coverage_80"] < 0.7
    np.testing.assert_allclose(both.values[..., 3], later.values[..., 3])
    with pytest.raises(UsageError, match="the earlier one first"):
        join(later, raw)


def test_a_blend_passes_over_who_says_nothing_and_over_gaps() -> None:
    good = drawn(1.0)
    silent = replace(good, values=np.full_like(good.values, np.nan), mean=np.full_like(good.mean, np.nan))
    seen = good.observed.copy()
    seen[5:9] = np.nan
    both = blend([replace(good, observed=seen), replace(silent, observed=seen)])
    np.testing.assert_allclose(both.values, good.values)
    np.testing.assert_allclose(both.mean, good.mean)


def test_history_cut_at_its_head_gives_the_same_forecast() -> None:
    history, model = made(), Boosted(rounds=5)
    model.fit(history.until(1200), LEADS)
    whole, cut = history.until(1490), history.until(1490).last(900)
    assert cut.clock(np.array([0]))[0] == whole.clock(np.array([590]))[0]
    np.testing.assert_allclose(model.predict(whole, LEADS).values, model.predict(cut, LEADS).values)


def test_a_blend_leans_to_the_better_one() -> None:
    good, poor = drawn(1.0), drawn(1.0)
    poor = replace(poor, values=poor.values * 3)
    both = blend([good, poor])
    away = np.abs(both.values - good.values)[300:].max() / np.abs(poor.values - good.values).max()
    assert away < 0.05
    assert crps(both.values[100:], LEVELS, good.observed[100:]) < 1.01 * crps(
        good.values[100:], LEVELS, good.observed[100:]
    )


def test_means_and_neighbours_pass_over_gaps() -> None:
    values = np.array([[1.0, np.nan, 3.0, 5.0], [2.0, 4.0, np.nan, np.nan]])
    np.testing.assert_allclose(moving_mean(values, 2), [[1, 1, 3, 4], [2, 3, 4, np.nan]])
    np.testing.assert_allclose(neighbours(values), [[2, 4, np.nan, np.nan], [1, np.nan, 3, 5]])


def test_a_cut_off_outside_and_weather_that_does_not_fit_are_refused() -> None:
    history = made()
    with pytest.raises(UsageError, match="cut-off 1501"):
        history.until(1501)
    with pytest.raises(UsageError, match="weather wind"):
        replace(history, weather={"wind": np.zeros((2, 1500))})
    with pytest.raises(UsageError, match="beyond the 1500"):
        roll(Persistence(), history, [1490], LEADS)


def test_direct_trees_know_more_where_the_season_is_not_known() -> None:
    """One year of days with a season that shifts: what was usual in it is wrong in the next."""
    rng = np.random.default_rng(4)
    days = 365 + 150
    walk = np.zeros((6, days))
    for at in range(1, days):
        walk[:, at] = 0.8 * walk[:, at - 1] + 0.3 * rng.normal(size=6)
    wave = np.where(np.arange(days) < 365, np.sin(2 * np.pi * np.arange(days) / 365), 0.0)
    history = History(np.exp(3 + wave + walk), datetime(2024, 1, 1, tzinfo=CST), timedelta(days=1))
    found = {}
    for model in (Boosted(every=2, rounds=60), Direct(every=2, rounds=60)):
        model.fit(history.until(365), (3,))
        found[model.name] = roll(model, history, range(365, days - 3, 5), (3,)).scores()[0]["crps"]
    assert found["direct"] < found["boosted"]
