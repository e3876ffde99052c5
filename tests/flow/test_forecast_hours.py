"""Forecasts of stations by the hour: what they knew, what they say, late data, and how they came out."""

from __future__ import annotations

import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from qinglan.core.errors import NotFound, UsageError
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow import series
from qinglan.flow.forecasts import hourly, hourly_checking, keeping
from qinglan.forecast.air_index import QUANTILES
from qinglan.forecast.hour_index import hour_index
from qinglan.plan.rules import rules_on

drawn = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("drawn_hours.py"))))
fabricate, FIRST, HOURS, STATIONS, MADE = drawn.fabricate, drawn.FIRST, drawn.HOURS, drawn.STATIONS, drawn.MADE


@pytest.fixture(scope="module", autouse=True)
def _few_rows() -> Any:
    """Few trees on few rows: what is tested here is not how good they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeping, "HOUR_ROWS", 400)
        patch.setattr(keeping, "ROUNDS", 4)
        patch.setattr(hourly, "_STEP", 111)
        patch.setattr(keeping, "MAKERS", {n: m for n, m in keeping.MAKERS.items() if n != "boosted"})
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A home with one forecast."""
    made = fabricate(tmp_path_factory.mktemp("hours") / "home")
    hourly.run(made, MADE)
    return made


def test_every_station_is_forecast_for_three_days(home: Any) -> None:
    found = hourly.newest(home)
    values, aqi = hourly.read(found)
    assert values.columns == ["station", "time", "lead_hour", "item", "mean", *QUANTILES]
    assert values.height == len(STATIONS) * 72 * len(HOURLY_ITEMS)
    assert values["time"].min() == MADE.replace(minute=0) + timedelta(hours=1), "the hour after the cut-off"
    assert (values["q05"] <= values["q50"]).all()
    assert (values["q50"] <= values["q95"]).all()
    assert aqi.height == len(STATIONS) * 72
    assert (aqi["q05"] <= aqi["q95"]).all()
    assert hourly.read(found, ["2902A"]).aqi["station"].unique().to_list() == ["2902A"]
    assert {note["code"] for note in found.notes} == {"short_history", "no_weather_ahead"}


def test_nothing_after_the_hour_reaches_it(home: Any, tmp_path: Path) -> None:
    """From the file of hours to the file of the forecast, with training in between."""
    first = hourly.newest(home)
    later = hourly.run(fabricate(tmp_path / "later", after=9.0), MADE)
    assert later.id == first.id
    assert later.models().equals(first.models())
    assert later.index().equals(first.index())
    moved = hourly.run(fabricate(tmp_path / "moved", before=9.0), MADE)
    assert moved.id != first.id


def test_a_forecast_is_made_once(home: Any) -> None:
    first = hourly.newest(home)
    stamp = (first.folder / "values.parquet").stat().st_mtime_ns
    assert hourly.run(home, MADE + timedelta(minutes=30)).id == first.id, (
        "within the same hour nothing new is known"
    )
    assert (first.folder / "values.parquet").stat().st_mtime_ns == stamp


def test_hours_that_have_come_are_scored(home: Any) -> None:
    """Two of the three days have come: three stations, 48 hours."""
    found = hourly_checking.verify(home)
    of = found.scores.filter(item="pm2_5")
    assert of["lead_group"].to_list() == [1, 6, 12, 24, 48]
    assert of["n"].to_list() == [3, 15, 18, 36, 69]
    assert (of["crps"] > 0).all()
    values, _ = hourly.read(hourly.newest(home))
    mine = values.filter((pl.col("lead_hour") == 1) & (pl.col("item") == "pm2_5"))
    errors = []
    for station in STATIONS:
        part = series.open_series(home, home.home / "results" / "drawn").hours(station)
        seen = dict(zip(part.time.tolist(), part.values["pm2_5"].tolist(), strict=True))
        row = mine.row(by_predicate=pl.col("station") == station, named=True)
        errors.append(abs(row["q50"] - seen[row["time"].replace(tzinfo=None)]))
    assert of["mae"][0] == pytest.approx(np.mean(errors))


def test_late_hours_degrade_it_by_rule(home: Any) -> None:
    end = FIRST + (HOURS - 1) * timedelta(hours=1)
    late = hourly.run(home, end + timedelta(hours=5))
    assert {"code": "hours_late", "hours": 5, "last": end.isoformat()} in late.notes
    assert hourly.read(late).values["q50"].null_count() == 0
    stale = hourly.run(home, end + timedelta(hours=13))
    assert "hours_stale" in [note["code"] for note in stale.notes]
    assert set(stale.models()["model"]) == {"climatology", "issued"}
    with pytest.raises(NotFound, match="no station has hours up to 2024-11-30"):
        hourly.run(home, datetime(2024, 11, 30, tzinfo=UTC))
    with pytest.raises(UsageError, match="in 720 hours up to"):
        hourly.run(home, FIRST + timedelta(days=10))
    with pytest.raises(UsageError, match="carries no zone"):
        hourly.run(home, datetime(2025, 1, 1))  # noqa: DTZ001


def test_the_index_of_hours_is_that_of_their_items() -> None:
    """HJ 633-2012 table 1, one hour of PM10 alone: 150 µg/m³ is AQI 100, 350 is 200; a quantile for each."""
    time = datetime(2025, 6, 1, 4, tzinfo=UTC)
    low, high = dict.fromkeys(QUANTILES, 150.0), {**dict.fromkeys(QUANTILES, 150.0), "q95": 350.0}
    said = pl.DataFrame(
        [
            {"station": "a", "time": time, "lead_hour": 1, "item": "pm10", **low},
            {"station": "b", "time": time, "lead_hour": 1, "item": "pm10", **high},
        ]
    )
    observed = pl.DataFrame(
        schema={"station": pl.String, "time": pl.Datetime("us", "UTC"), **dict.fromkeys(HOURLY_ITEMS, pl.Float64)}
    )
    found = hour_index(observed, said, rules_on)
    assert found["q50"].to_list() == [100, 100]
    assert found["q95"].to_list() == [100, 200]
    assert found["level"].to_list() == [2, 2]
    assert found["primary"].to_list() == ["pm10", "pm10"]
