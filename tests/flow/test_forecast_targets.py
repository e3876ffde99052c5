"""The chance of a target with the newest forecast, by hand. Source: plan of Qinghai, 96.3 % and 21 ug/m3."""

from __future__ import annotations

import json
import runpy
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from qinglan.core.names import DAILY_ITEMS
from qinglan.flow.forecasts import reading, targets
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.plan.pack import load_plan
from qinglan.store import runs

made = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("desk_home.py"))))
LAST = date(2025, 12, 15)
PREFECTURES = ("630100", "630200", "632200", "632300", "632500", "632600", "632700", "632800")


def home(path: Path, so_far: float = 20.0) -> Workspace:
    """Three years of eight prefectures: PM2.5 was 20 always (this year `so_far`), all days good; up to LAST."""
    space = init(path, Settings(simulated=True))
    folder = space.home / "results" / "drawn"
    folder.mkdir(parents=True)
    count = (LAST - date(2023, 1, 1)).days + 1
    days = [date(2023, 1, 1) + timedelta(days=n) for n in range(count)]
    grid = pl.DataFrame({"day": days}).join(pl.DataFrame({"place": list(PREFECTURES)}), how="cross")
    fine = pl.when(pl.col("day").dt.year() == LAST.year).then(so_far).otherwise(20.0)
    values = {**dict.fromkeys(DAILY_ITEMS, pl.lit(20.0)), "pm2_5": fine}
    grid.with_columns(**values).write_parquet(folder / "place_days.parquet")
    index = grid.with_columns(aqi=pl.lit(60), level=pl.lit(2), in_force=pl.lit(True))
    index.write_parquet(folder / "place_aqi.parquet")
    grid.head(0).write_parquet(folder / "dust_days.parquet")
    said = {"run": {"id": "drawn", "code_version": "0", "rules": []}, "as_of": str(LAST)}
    (folder / "verdict.json").write_text(json.dumps(said), encoding="utf-8")
    runs.record_run(space.registry, "drawn", "run", said["run"], who="tests", at=made.NOW)
    return space


def test_the_forecast_moves_the_chance_of_both_targets(tmp_path: Path) -> None:
    """349 of 365 days observed at 20.0, the last six of past years at 20; ten days of 45 each make
    (355 * 20 + 10 * 45) / 365 = 20.68, which rounds to 21 and meets it; of 75 each 21.5 and does not. Every day of
    the ten bad in every place: 355 / 365 = 97.3 % good, still at least 96.3 %.
    """
    space = home(tmp_path / "a")
    assert targets.chances(space) == {}, "no forecast yet"
    at = made.at(16, day=LAST)
    made.forecast(space.home, at, places=PREFECTURES, pm2_5=(45.0, 45.0), over=1.0)
    found = targets.chances(space)
    fine, good = found["pm2_5-2025"], found["good-day-rate-2025"]
    assert (fine["probability"], fine["without"], fine["days"]) == (1.0, 1.0, 10)
    assert fine["value"] == pytest.approx((355 * 20 + 10 * 45) / 365)
    assert good["value"] == pytest.approx(100 * 355 / 365)
    assert good["probability"] == 1.0
    assert "10 days forecast" in fine["basis"]["en"]
    made.forecast(space.home, made.at(17, day=LAST), places=PREFECTURES, pm2_5=(75.0, 75.0), over=1.0)
    assert targets.chances(space)["pm2_5-2025"]["probability"] == 0.0
    assert targets.chances(space)["pm2_5-2025"]["without"] == 1.0


def test_courses_keep_the_chance_of_each_day_and_go_together(tmp_path: Path) -> None:
    """A quarter of the courses of a day exceed where the forecast says 25 %; all places share the rank."""
    space = home(tmp_path / "b")
    made.forecast(space.home, made.at(16, day=LAST), places=PREFECTURES, pm2_5=(10.0, 50.0), over=0.25)
    found, plan = reading.newest(space), load_plan("qinghai-2024")
    days = [LAST + timedelta(days=n) for n in range(1, 11)]
    rate = next(t for t in plan.targets if t.id == "good-day-rate-2025")
    ahead = targets.courses(found, rate, PREFECTURES, days)
    assert ahead is not None
    assert set(np.unique(ahead.cases)) == {0.0, 100.0}, "the air of the region is one air"
    assert (ahead.cases == 0).mean() == pytest.approx(0.25, abs=0.03)
    both = ((ahead.cases[:, 0] == 0) & (ahead.cases[:, 1] == 0)).mean()
    assert both > 2 * 0.25**2, "a bad day is followed by a bad one more often than by chance"
    fine = next(t for t in plan.targets if t.id == "pm2_5-2025")
    courses = targets.courses(found, fine, PREFECTURES, days)
    assert courses is not None
    assert np.median(courses.cases) == pytest.approx(30, abs=2), "the middle of its quantiles"


def test_without_past_years_no_chance_is_given(tmp_path: Path) -> None:
    space = home(tmp_path / "c")
    path = space.home / "results" / "drawn" / "place_days.parquet"
    pl.read_parquet(path).filter(pl.col("day") >= date(2025, 1, 1)).write_parquet(path)
    made.forecast(space.home, made.at(16, day=LAST), places=PREFECTURES)
    assert "pm2_5-2025" not in targets.chances(space)
