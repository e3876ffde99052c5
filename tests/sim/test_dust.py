"""Dust events: what an event does to a place, and the truth table against the reported hours."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from qinglan.sim.dust import Event, events, station_dust
from qinglan.sim.streams import Calendar


@pytest.fixture(scope="module")
def event(parameters):
    return Event("x", parameters.routes["qaidam"], onset=100.0, peak=1500.0, rise=2.0, decay=10.0)


def test_dust_travels_from_the_basin_to_the_valley(event, parameters):
    hours = np.arange(0, 300, dtype=float)
    found = {n: event.added(parameters.profiles[n], hours) for n in ("qaidam", "haixi", "hainan", "xining")}
    peaks = [int(v.argmax()) for v in found.values()]
    assert peaks == sorted(peaks)
    assert peaks[-1] - peaks[0] == pytest.approx(18, abs=1)  # the delay written in the parameters
    assert [v.max() for v in found.values()] == sorted((v.max() for v in found.values()), reverse=True)


def test_the_fine_share_falls_as_dust_grows(event, parameters):
    profile = parameters.profiles["haixi"]
    weak = Event("w", event.route, 100.0, 150.0, 2.0, 10.0)
    ratios = []
    for each in (weak, event):
        coarse, fine = station_dust([each], profile, profile.lon, parameters, np.zeros(400))
        top = coarse.argmax()
        ratios.append(fine[top] / coarse[top])
    assert ratios[1] < ratios[0] < 0.25


def test_most_events_fall_into_spring(parameters):
    calendar = Calendar(parameters.anchor, 1096)
    months = []
    for seed in range(8):
        found = events(parameters, calendar, seed)
        months += [int(e.number.split("-")[1]) for e in found]
    spring = sum(m in (2, 3, 4, 5) for m in months) / len(months)
    assert spring > 0.65
    assert any(m in (9, 10, 11) for m in months)


def test_dust_truth_stands_out_of_the_hours(province):
    """Synthetic truth: in strong events PM10 rises at least threefold and PM2.5/PM10 falls."""
    hours = pl.DataFrame(province.hours).filter(pl.col("station") == "2676A")
    truth = pl.DataFrame(province.truth_dust).filter((pl.col("place") == "632800") & (pl.col("peak") > 300))
    assert truth.height >= 4
    for row in truth.iter_rows(named=True):
        inside = hours.filter(pl.col("time").is_between(row["start"], row["end"]))
        # The fortnight's median: another event may lie just before.
        before = hours.filter(pl.col("time").is_between(row["start"] - timedelta(days=14), row["start"]))
        if inside["pm10"].count() < 5 or before["pm10"].count() < 5:
            continue
        assert inside["pm10"].max() > 3 * before["pm10"].median()
        assert (inside["pm2_5"] / inside["pm10"]).min() < 0.35


def test_peaks_reach_from_hundreds_to_beyond_1500(province):
    """Xining 2017-04-18 reached 2,048 µg/m³ (China News Service): the simulated years hold such a day."""
    peaks = pl.DataFrame(province.truth_dust).filter(pl.col("place").str.ends_with("00"))["peak"]
    assert peaks.max() > 1300
    assert (peaks < 400).sum() > 20
