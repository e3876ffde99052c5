"""Hourly AQI against what a platform published. Sources: real data (cn_stations_hourly_2020); HJ 633-2012."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import math
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.data, pytest.mark.xdist_group("real")]

#: HJ 633-2012 table 1, typed here once more: IAQI 0..500 and the points of each item (particles: of the day).
IAQI = (0, 50, 100, 150, 200, 300, 400, 500)
POINTS = {
    "SO2": (0, 150, 500, 650, 800),
    "NO2": (0, 100, 200, 700, 1200, 2340, 3090, 3840),
    "CO": (0, 5, 10, 35, 60, 90, 120, 150),
    "O3_1h": (0, 160, 200, 300, 400, 800, 1000, 1200),
    "PM10": (0, 50, 150, 250, 350, 420, 500, 600),
    "PM2.5": (0, 35, 75, 115, 150, 250, 350, 500),
}
WORDS = {"颗粒物(PM10)": "PM10", "细颗粒物(PM2.5)": "PM2.5", "臭氧1小时": "O3_1h"}
LEVELS = ("优", "良", "轻度污染", "中度污染", "重度污染", "严重污染")


def load_script() -> ModuleType:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("explain_real_data", ROOT / "docs" / "explain_real_data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script()


@pytest.fixture(scope="module")
def found(script: ModuleType, test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return script.published_hours(test_data, tmp_path_factory.mktemp("published") / "home")


@pytest.fixture(scope="module")
def raw(test_data: Path) -> list[dict[str, str]]:
    path = test_data / "cn_stations_hourly_2020" / "qinghai_lanzhou_hourly_raw.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def index(row: dict[str, str]) -> tuple[int, set[str]] | None:
    """AQI and primary pollutants of a raw row by exact fractions; None when nothing was measured."""
    parts: dict[str, int] = {}
    for item, points in POINTS.items():
        if row[item] in ("NaN", ""):
            continue
        value = Fraction(row[item])
        for low, high, below, above in zip(points, points[1:], IAQI, IAQI[1:], strict=False):
            if value <= high:
                parts[item] = math.ceil((value - low) * (above - below) / (high - low) + below)
                break
        else:
            assert item != "SO2", "above 800 the hour of SO2 has no index"
            parts[item] = 500
    if not parts:
        return None
    aqi = max(parts.values())
    return aqi, ({i for i, v in parts.items() if v == aqi} if aqi > 50 else set())


def test_every_disagreement_is_explained(found: Any) -> None:
    classes = found.classes
    assert classes["unexplained"] == 0
    assert sum(classes.values()) == found.rows.height == 2909
    both = found.rows.filter(found.rows["printed_aqi"].is_not_null())
    assert both.height == 2280
    assert (both["aqi"] == both["printed_aqi"]).all(), "not one published AQI differs"
    assert classes["agrees"] == 2279
    assert classes["order_of_ties"] == 1
    # The platform's rule, seen from both sides: no particle, no AQI; one particle, an AQI.
    lacking = found.rows["pm10"].is_null() & found.rows["pm2_5"].is_null()
    assert (lacking == found.rows["printed_aqi"].is_null()).all()


def test_the_classes_can_fail(script: ModuleType) -> None:
    """The classifier says `unexplained` when an index, a level, a pollutant or a missing value does not fit."""
    levels = dict(enumerate(LEVELS, 1))
    row = {"aqi": 79, "level": 2, "primary_pollutant": "pm10", "printed_aqi": 79, "printed_level": "良"}
    row |= {"printed": "pm10", **dict.fromkeys(("so2", "no2", "co", "o3", "pm10", "pm2_5"), 1.0)}
    assert script.explained(row, levels) == "agrees"
    assert (
        script.explained(row | {"primary_pollutant": "o3,pm10", "printed": "pm10,o3"}, levels) == "order_of_ties"
    )
    for fault in ({"aqi": 80}, {"level": 3}, {"printed": "pm2_5"}, {"printed_aqi": None}, {"printed_level": None}):
        assert script.explained(row | fault, levels) == "unexplained", fault


def test_raw_rows_recomputed_by_fractions_agree_with_the_lake_and_the_platform(
    found: Any, raw: list[dict[str, str]]
) -> None:
    """Another road: the CSV by the standard library and fractions, frozen and unregistered stations included."""
    verdicts: Counter[str] = Counter()
    lake = {
        (r["time"], r["aqi"], tuple(r[i] for i in ("pm2_5", "pm10", "co", "no2", "o3", "so2")))
        for r in found.rows.iter_rows(named=True)
    }
    for row in raw:
        made = index(row)
        if row["AQI"] == "NaN":
            verdicts["withheld" if made else "nothing"] += 1
            continue
        assert made is not None
        aqi, primary = made
        words = {w.strip() for w in row["PrimaryPollution"].split("\n") if w.strip() and w.strip() != "NaN"}
        level = LEVELS[sum(aqi > top for top in (50, 100, 150, 200, 300))]
        same = aqi == int(row["AQI"]) and level == row["Level"] and {WORDS[w] for w in words} == primary
        verdicts["agrees" if same else "differs"] += 1
    assert verdicts["differs"] == 0
    assert sum(verdicts.values()) == 3381
    # Every published row of a station that the lake took stands in it with the same hour, values and index.
    kept = 0
    for row in raw:
        made = index(row)
        label = datetime.strptime(f"{row['Date']} {int(row['Hour']):02d}", "%Y%m%d %H").replace(tzinfo=UTC)
        values = tuple(
            None if row[i] in ("NaN", "") else float(row[i])
            for i in ("PM2.5", "PM10", "CO", "NO2", "O3_1h", "SO2")
        )
        kept += (label - timedelta(hours=8), made[0] if made else None, values) in lake
    assert kept >= found.rows.height


def test_rows_met_are_rows_taken_or_set_aside(found: Any, raw: list[dict[str, str]]) -> None:
    aside = {r["code"]: r["rows"] for r in found.set_aside.iter_rows(named=True)}
    assert aside == {"unknown_station": 314, "frozen_double": 157, "duplicate_identical": 2}
    # The one row that repeats is met twice: among the hours and among what was printed beside them.
    assert found.rows.height + 314 + 157 + 1 == len(raw)


def test_only_the_hourly_reading_fits(found: Any) -> None:
    share = {(pm, o3): agree / of for pm, o3, of, agree in found.options}
    assert share["one_hour", "one_hour"] == 1.0
    assert all(s < 0.8 for how, s in share.items() if how != ("one_hour", "one_hour"))


def test_the_page_says_what_the_data_say(script: ModuleType, found: Any) -> None:
    assert script.HOURS_PAGE.read_text(encoding="utf-8") == script.hours_page(found), (
        "run python docs/explain_real_data.py"
    )
