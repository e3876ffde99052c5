"""Pages of the forecast over a small drawn run: they say what the flow says; files, charts, empty states."""

from __future__ import annotations

import csv
import io
import json
import runpy
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

from qinglan.access import DEMO, PUBLIC
from qinglan.core.clock import CST
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow import forecasts
from qinglan.flow.forecasts import hourly
from qinglan.web import create_app

drawn = SimpleNamespace(**runpy.run_path(str(Path(__file__).parent.with_name("flow") / "drawn_hours.py")))
FIRST, DAYS = date(2025, 11, 1), 130
MADE = datetime(2026, 3, 1, 16, tzinfo=CST)
NOW = datetime(2026, 3, 11, 2, tzinfo=UTC)
USUAL = {"so2": 12.0, "no2": 22.0, "co": 0.7, "mda8": 100.0, "pm10": 60.0, "pm2_5": 40.0}
PLACES = ("630100", "632800", "630121")


@dataclass(frozen=True)
class Bare:
    """A home without a registry."""

    home: Path

    def loads(self) -> list[dict[str, Any]]:
        """None."""
        return []


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Bare:
    """A run of 130 days of three places (one a county, one without SO2), and a forecast whose days have come."""
    home = tmp_path_factory.mktemp("forecast") / "home"
    folder = home / "results" / "drawn"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(8)
    frames = [
        pl.DataFrame(
            {
                "place": place,
                "day": [FIRST + timedelta(days=n) for n in range(DAYS)],
                **{i: USUAL[i] * np.exp(0.3 * rng.normal(size=DAYS)) for i in DAILY_ITEMS},
            }
        )
        for place in PLACES
    ]
    days = pl.concat(frames)
    days = days.with_columns(so2=pl.when(pl.col("place") == "632800").then(None).otherwise(pl.col("so2")))
    days.write_parquet(folder / "place_days.parquet")
    days.select(
        "place", "day", aqi=pl.lit(85), level=pl.lit(2), primary_pollutant=pl.lit("pm10"), in_force=pl.lit(True)
    ).write_parquet(folder / "place_aqi.parquet")
    said = {"run": {"id": "drawn", "code_version": "0"}, "as_of": "2026-03-10", "simulated": True}
    (folder / "verdict.json").write_text(json.dumps(said))
    made = Bare(home)
    forecasts.run(made, MADE, now=NOW)
    return made


@pytest.fixture(scope="module")
def pages(space: Bare) -> TestClient:
    app = create_app(space, clock=lambda: NOW, identify=lambda r: PUBLIC if r.headers.get("x-who") else DEMO)
    return TestClient(app, base_url="http://127.0.0.1")


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))


def test_the_first_screen_says_what_is_expected(space: Bare, pages: TestClient) -> None:
    aqi = forecasts.latest(space).aqi
    soon = aqi.filter((pl.col("lead_day") <= 3) & (pl.col("place") != "630121")).sort("q50", descending=True)
    worst = soon.row(0, named=True)
    text = pages.get("/forecast?lang=en").text
    assert f"on {worst['day']}, AQI {worst['low']}–{worst['high']}" in text
    assert "up to the end of 2026-02-28" in text
    assert "Computed afterwards, on 2026-03-11" in text
    assert 'href="/forecast/630100"' in text
    assert 'href="/forecast/630121"' not in text
    assert 'href="/forecast/630121"' in pages.get("/forecast?level=county&lang=en").text
    assert "No weather forecast was used" in text
    assert "未来3天最差" in pages.get("/forecast?lang=zh").text


def test_files_hold_what_the_flow_says(space: Bare, pages: TestClient) -> None:
    values, aqi = forecasts.latest(space, ["630100"])
    rows = table(pages.get("/forecast/630100/aqi.csv?lang=en").text)
    assert [int(r["AQI from"]) for r in rows] == aqi["low"].to_list()
    assert {r["Rule"] for r in rows} == {"HJ 633-2026"}
    rows = table(pages.get("/forecast/630100/values.csv?lang=en").text)
    assert [float(r["50 %"]) for r in rows] == pytest.approx(values.sort("item", "day")["q50"].to_list())
    assert len(table(pages.get("/forecast.csv?lang=en").text)) == 30
    assert pages.get("/forecast.xlsx").status_code == 200


def test_charts_show_the_same_numbers(space: Bare, pages: TestClient) -> None:
    values, aqi = forecasts.latest(space, ["630100"])
    option = pages.get("/forecast/630100/fan.json?item=pm10&lang=en").json()
    median = next(s for s in option["series"] if s["name"] == "median")["data"]
    wanted = values.filter(item="pm10").sort("day")["q50"].to_list()
    assert [v for v in median if v != "-"] == pytest.approx(wanted, abs=0.006)
    observed = next(s for s in option["series"] if s["name"] == "observed")["data"]
    assert sum(v != "-" for v in observed) == 30 + 1 + 9, (
        "the month before, the day it was made, and the days that have come"
    )
    stacked = pages.get("/forecast/630100/levels.json").json()["series"]
    assert stacked[1]["data"] == pytest.approx([100 * p for p in aqi.sort("day")["p2"]], abs=0.06)
    assert pages.get("/forecast/632800/fan.json?item=so2").status_code == 404


def test_a_place_says_what_is_missing(pages: TestClient) -> None:
    text = pages.get("/forecast/632800?item=so2&lang=en").text
    assert "There is no forecast of SO₂" in text
    assert "Nothing is said of:" in text
    assert pages.get("/forecast/999999").status_code == 404
    assert pages.get("/forecast/630100?item=moon").status_code in (404, 422)


@pytest.mark.parametrize("by", ["lead_day", "place", "season"])
def test_verification_holds_forecasts_to_what_came(space: Bare, pages: TestClient, by: str) -> None:
    found = forecasts.verify(space, by=(by,))
    text = pages.get(f"/forecast/verification?by={by}&lang=en").text
    assert "1 forecasts (1 of them computed afterwards), valid days 2026-03-02 to 2026-03-10" in text
    rows = table(pages.get(f"/forecast/verification.csv?by={by}&lang=en").text)
    assert [float(r["Level hit"]) for r in rows] == pytest.approx(found.aqi["level_hit"].to_list())
    rows = table(pages.get(f"/forecast/verification.csv?by={by}&of=skill&lang=en").text)
    assert len(rows) == 2 * found.aqi.height
    assert pages.get(f"/forecast/verification.json?by={by}").json()["series"]


def test_without_a_forecast_the_pages_say_how_to_make_one(space: Bare, tmp_path: Path) -> None:
    (tmp_path / "results").symlink_to(space.home / "results")
    app = create_app(Bare(tmp_path), clock=lambda: NOW, identify=lambda r: DEMO)
    client = TestClient(app, base_url="http://127.0.0.1")
    for path in ("/forecast", "/forecast/630100"):
        assert "qinglan forecast run" in client.get(f"{path}?lang=en").text
    assert "No day that was forecast has come" in client.get("/forecast/verification?lang=en").text
    assert client.get("/forecast.csv").status_code == 404


def test_the_public_does_not_see_it(pages: TestClient) -> None:
    assert pages.get("/forecast", headers={"x-who": "public"}).status_code == 401


def test_stations_by_the_hour_say_what_the_flow_says(space: Bare, tmp_path: Path) -> None:
    """Empty before the first one; then the table, the fan and the files hold the flow's numbers."""
    app = create_app(space, clock=lambda: NOW, identify=lambda r: DEMO)
    before = TestClient(app, base_url="http://127.0.0.1")
    assert "No hourly forecast yet" in before.get("/forecast/hours?lang=en").text
    home = drawn.fabricate(tmp_path / "home")
    found = hourly.run(home, drawn.MADE, now=drawn.MADE + timedelta(days=3))
    pages = TestClient(create_app(home, clock=lambda: NOW, identify=lambda r: DEMO), base_url="http://127.0.0.1")
    values, aqi = hourly.read(found, [drawn.STATIONS[0]])
    row = aqi.filter(lead_hour=6).row(0, named=True)
    text = pages.get("/forecast/hours?lang=en").text
    assert f"<b>{row['q25']}–{row['q75']}</b>" in text
    assert "up to 24 h" in text, "two of the three days have come"
    assert "Computed afterwards" in text
    at = f"/forecast/hours/{drawn.STATIONS[0]}"
    rows = table(pages.get(f"{at}/values.csv?lang=en").text)
    assert [float(r["50 %"]) for r in rows] == pytest.approx(values.sort("item", "time")["q50"].to_list())
    option = pages.get(f"{at}/fan.json?item=o3&lang=en").json()
    median = next(s for s in option["series"] if s["name"] == "median")["data"]
    told = values.filter(item="o3").sort("time")["q50"].round(2).to_list()
    assert [v for v in median if v != "-"] == pytest.approx(told)
    assert len(table(pages.get("/forecast/hours.csv?lang=en").text)) == 72 * len(drawn.STATIONS)
    assert pages.get("/forecast/hours.xlsx").status_code == 200
    assert pages.get("/forecast/hours/nowhere").status_code == 404
    assert pages.get(f"{at}?item=pm1").status_code == 404
