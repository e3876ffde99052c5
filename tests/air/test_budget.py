"""Budgets: hand sums, edges of the year, and a climatology whose chance is known."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
import pytest

from qinglan.air import budget
from qinglan.air.budget import Ahead, Options, Record
from qinglan.core.clock import Period
from qinglan.core.errors import UnknownName, UsageError

Y2025 = Period.year(2025)


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def fill(first: date, last: date, value: float) -> dict[date, float | None]:
    return {first + timedelta(days=i): value for i in range((last - first).days + 1)}


def year(number: int, value: float) -> dict[date, float | None]:
    return fill(date(number, 1, 1), date(number, 12, 31), value)


def test_allowed_mean_balances_the_year():
    # Conservation: what is observed plus the allowed mean on every day left makes the limit exactly.
    values = fill(date(2025, 1, 1), date(2025, 6, 30), 26.0)
    found = budget.of_mean(Record(values, {}, Y2025, date(2025, 6, 30)), 21, rng=rng())
    assert found.days_left == 184
    assert found.allowed_mean is not None
    assert (181 * 26 + 184 * found.allowed_mean) / 365 == pytest.approx(21)
    assert found.possible
    assert found.probability is None
    assert "0 past year(s)" in found.basis["en"]
    assert found.projection is not None
    assert (found.projection.value, found.projection.low) == (26.0, None)


def test_a_target_that_cannot_be_met_any_more_says_so_without_a_climatology():
    values = fill(date(2025, 1, 1), date(2025, 11, 30), 40.0)
    found = budget.of_mean(Record(values, {}, Y2025, date(2025, 11, 30)), 21, rng=rng())
    assert found.allowed_mean is not None
    assert found.allowed_mean < 0
    assert (found.possible, found.probability) == (False, 0.0)


def test_a_finished_year_is_judged_with_certainty_and_with_its_rounding():
    # 21.5 rounds half-even to 22 (GB/T 8170), 20.5 to 20: judged with 0 decimals the second meets 20.
    for value, limit, decimals, chance in ((21.5, 21, 0, 0.0), (20.5, 20, 0, 1.0), (20.5, 20, None, 0.0)):
        record = Record(year(2025, value), year(2024, 1), Y2025, date(2026, 2, 1))
        found = budget.of_mean(record, limit, rng=rng(), decimals=decimals)
        assert (found.probability, found.days_left, found.allowed_mean) == (chance, 0, None)
        assert found.projection is not None
        assert (found.projection.low, found.projection.value, found.projection.high) == (value, value, value)


def test_chance_is_the_share_of_past_months_that_would_do():
    # The last month of three past years was 10, 20 or 90; only the 90 breaks the limit: 2 of 3 draws meet it.
    values = fill(date(2025, 1, 1), date(2025, 11, 30), 20.0)
    history = {**year(2022, 20), **year(2023, 20), **year(2024, 20)}
    for number, value in ((2022, 10.0), (2023, 20.0), (2024, 90.0)):
        history |= fill(date(number, 12, 1), date(number, 12, 31), value)
    record = Record(values, history, Y2025, date(2025, 11, 30))
    found = budget.of_mean(record, 21, rng=rng(), options=Options(draws=6000))
    assert found.probability == pytest.approx(2 / 3, abs=0.03)
    assert found.projection is not None
    assert found.projection.value == pytest.approx(20.0)
    assert found.projection.low == pytest.approx((334 * 20 + 31 * 10) / 365)
    assert found.projection.high == pytest.approx((334 * 20 + 31 * 90) / 365)
    assert "2022-2024" in found.basis["en"]
    again = budget.of_mean(record, 21, rng=rng(), options=Options(draws=6000))
    assert again == found


def test_whole_months_are_drawn_so_that_spells_stay_whole():
    # December of a past year is all bad or all fine; a draw never mixes them.
    values = fill(date(2025, 1, 1), date(2025, 11, 30), 0.0)
    history = {**year(2023, 0), **year(2024, 0)} | fill(date(2024, 12, 1), date(2024, 12, 31), 1.0)
    split = budget.split_year(Record(values, history, Y2025, date(2025, 11, 30)), rng(), Options(level="none"))
    assert set(split.future.sum(axis=1)) == {0.0, 31.0}


def test_past_days_are_moved_to_this_years_level_only_when_asked():
    values = fill(date(2025, 1, 1), date(2025, 6, 30), 10.0)
    history = {**year(2023, 20), **year(2024, 20)}
    record = Record(values, history, Y2025, date(2025, 6, 30))
    moved = budget.of_mean(record, 21, rng=rng())
    plain = budget.of_mean(record, 21, rng=rng(), options=Options(level="none"))
    assert moved.projection is not None
    assert plain.projection is not None
    assert moved.projection.value == pytest.approx(10)
    assert plain.projection.value == pytest.approx((181 * 10 + 184 * 20) / 365)
    with pytest.raises(UnknownName, match="level of the climatology 'best'"):
        Options(level="best")


def test_one_past_year_is_no_climatology():
    values = fill(date(2025, 1, 1), date(2025, 6, 30), 10.0)
    found = budget.of_mean(Record(values, year(2024, 20), Y2025, date(2025, 6, 30)), 21, rng=rng())
    assert found.probability is None
    assert found.basis["zh"].startswith("可用历史年份仅 1 个")


def test_leap_days_and_missing_days():
    # 2024 has a 29 February that 2022 and 2023 lack; a missing day leaves the mean of the others.
    history = {**year(2022, 5), **year(2023, 5)}
    leap = Period.year(2024)
    record = Record({date(2024, 1, 1): 5.0, date(2024, 1, 2): None}, history, leap, date(2024, 1, 31))
    split = budget.split_year(record, rng(), Options())
    assert (split.observed.size, split.days_left) == (1, 335)
    assert not np.isnan(split.future).any()
    found = budget.of_mean(record, 5, rng=rng())
    assert found.allowed_mean == pytest.approx(5)
    assert found.probability == 1.0


def test_bad_days_left_for_a_rate_are_the_most_that_still_round_up_to_it():
    # 96.3 % of 365 valid days: 13 bad days give 96.44, 14 give 96.16 -> 96.2; so 13 in all.
    bad = {d: i < 10 for i, d in enumerate(fill(date(2025, 1, 1), date(2025, 9, 30), 0))}
    found = budget.of_bad_days(Record(bad, {}, Y2025, date(2025, 9, 30)), rng=rng(), good_rate=96.3)
    assert (found.bad_days_left, found.possible) == (3, True)
    counts = [
        budget.of_bad_days(Record(bad, {}, Y2025, date(2025, 9, 30)), rng=rng(), good_rate=r).bad_days_left
        for r in (90.0, 95.0, 97.0, 99.0)
    ]
    assert all(a >= b for a, b in pairwise(counts))


def test_no_heavy_day_allowed_and_one_has_come():
    bad = {date(2025, 3, 3): True, date(2025, 3, 4): False}
    found = budget.of_bad_days(Record(bad, {}, Y2025, date(2025, 6, 30)), rng=rng(), most=0)
    assert (found.bad_days_left, found.possible, found.probability) == (-1, False, 0.0)
    with pytest.raises(UsageError, match="either `most`"):
        budget.of_bad_days(Record(bad, {}, Y2025, date(2025, 6, 30)), rng=rng())


def test_percentile_budget_of_a_finished_year():
    # HJ 663 percentile of 1..365 at 90 %: 328.6 (standards.md 3).
    values = {date(2025, 1, 1) + timedelta(days=i): float(i + 1) for i in range(365)}
    record = Record(values, {}, Y2025, date(2025, 12, 31))
    found = budget.of_statistic(record, 328.6, budget.percentile(90), rng=rng(), decimals=1)
    assert found.projection is not None
    assert found.projection.value == pytest.approx(328.6)
    assert found.probability == 1.0
    assert budget.of_statistic(record, 328.5, budget.percentile(90), rng=rng()).probability == 0.0


def test_a_day_before_the_period_is_refused():
    with pytest.raises(UsageError, match="as of 2024-12-30 lies before the period 2025"):
        Record({}, {}, Y2025, date(2024, 12, 30))


def test_a_forecast_stands_in_for_the_days_it_speaks_of():
    """By hand: 334 days at 20 and 31 of December at 20 make 20; ten forecast days at 40 in half the courses and at
    20 in the others make (355 * 20 + 10 * 40) / 365 = 20.55 or 20: half the courses keep 20.2.
    """
    values = fill(date(2025, 1, 1), date(2025, 11, 30), 20.0)
    history = {**year(2023, 20), **year(2024, 20)}
    days = tuple(date(2025, 12, 1) + timedelta(days=i) for i in range(10))
    ahead = Ahead(days, np.vstack([np.full((1, 10), 40.0), np.full((1, 10), 20.0)]), "f1")
    record = Record(values, history, Y2025, date(2025, 11, 30), ahead)
    found = budget.of_mean(record, 20.2, rng=rng(), options=Options(draws=4000))
    assert found.probability == pytest.approx(0.5, abs=0.03)
    assert found.projection is not None
    assert (found.projection.low, found.projection.high) == (
        pytest.approx(20),
        pytest.approx((355 * 20 + 10 * 40) / 365),
    ), "a course is drawn whole: days of both never mix"
    assert "of 10 days forecast f1" in found.basis["en"]
    without = budget.of_mean(Record(values, history, Y2025, date(2025, 11, 30)), 20.2, rng=rng())
    assert without.probability == 1.0
    assert "no forecast" in without.basis["en"]
    gone = Record(values, history, Y2025, date(2025, 12, 20), ahead)
    assert "no forecast" in budget.of_mean(gone, 20.2, rng=rng()).basis["en"], "its days have come"
    with pytest.raises(UsageError, match="for 9 days"):
        Ahead(days[:9], np.zeros((2, 10)), "f2")
