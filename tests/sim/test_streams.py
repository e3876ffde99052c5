"""Random streams and memory: synthetic truth (statistics of an AR(1) process) and the official clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np

from qinglan.core.clock import day_and_hour
from qinglan.sim.streams import Calendar, bell, fading_sum, noise, stream


def test_noise_has_unit_variance_and_the_memory_it_was_given():
    series = noise(stream(7, "a"), 400_000, memory=5.0)
    assert abs(series.mean()) < 0.03
    assert abs(series.var() - 1) < 0.03
    # Autocorrelation of an AR(1) process at lag k is exp(-k / memory).
    for lag in (1, 5, 10):
        assert abs(np.corrcoef(series[:-lag], series[lag:])[0, 1] - np.exp(-lag / 5)) < 0.02


def test_a_longer_series_begins_with_the_shorter_one():
    assert np.array_equal(noise(stream(7, "a"), 50, 5.0), noise(stream(7, "a"), 500, 5.0)[:50])


def test_names_separate_streams():
    draws = {float(stream(7, *names).random()) for names in (("a",), ("b",), ("a", "b"), ("ab",), ("a", 1))}
    assert len(draws) == 5


def test_a_single_load_fades_by_its_memory():
    load = np.zeros(30)
    load[3] = 2.0
    assert np.allclose(fading_sum(load, 8.0)[3:], 2 * np.exp(-np.arange(27) / 8))


def test_calendar_agrees_with_the_clock():
    calendar = Calendar(date(2024, 2, 28), 4)  # over a leap day
    for index in range(calendar.hours):
        instant = datetime.fromtimestamp(0, UTC) + timedelta(
            seconds=int(calendar.time[index].astype("int64") // 10**6)
        )
        day, hour = day_and_hour(instant)
        assert day == calendar.dates[calendar.day_index[index]].astype(date)
        assert hour == calendar.label[index]
    assert [int(w) for w in calendar.weekday] == [2, 3, 4, 5]  # 2024-02-28 was a Wednesday


def test_the_day_is_a_circle():
    assert np.isclose(bell(np.array([24.0]), 1, 2)[0], bell(np.array([2.0]), 1, 2)[0])
