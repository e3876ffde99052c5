"""The evaluation of 2015 and 2016 on real city days, recomputed with numpy and fractions straight from the CSV.

Sources: cn_city_daily_aqistudy_2013_2017 (real data); HJ 663-2013, HJ 633-2012, GB 3095-2012; ranking rule.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest

from qinglan.core.rounding import exact, half_even

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.data, pytest.mark.xdist_group("real")]

FILE_ITEMS = {"PM2.5": "pm2_5", "PM10": "pm10", "SO2": "so2", "CO": "co", "NO2": "no2", "O3": "mda8"}
ITEMS = ("so2", "no2", "co", "mda8", "pm10", "pm2_5")
PERCENTILE = {"so2": 98, "no2": 98, "co": 95, "mda8": 90, "pm10": 95, "pm2_5": 95}
YEARLY = {"so2": 60, "no2": 40, "pm10": 70, "pm2_5": 35}  # GB 3095-2012 class 2
DAILY = {"so2": 150, "no2": 80, "co": 4, "mda8": 160, "pm10": 150, "pm2_5": 75}
PLACES = {
    "西宁": "630100",
    "海东地区": "630200",
    "海北州": "632200",
    "黄南州": "632300",
    "海南州": "632500",
    "果洛州": "632600",
    "玉树州": "632700",
    "海西州": "632800",
}
IAQI = (0, 50, 100, 150, 200, 300, 400, 500)
POINTS = {  # HJ 633-2012 table 1, days
    "so2": (0, 50, 150, 475, 800, 1600, 2100, 2620),
    "no2": (0, 40, 80, 180, 280, 565, 750, 940),
    "co": (0, 2, 4, 14, 24, 36, 48, 60),
    "mda8": (0, 100, 160, 215, 265, 800),
    "pm10": (0, 50, 150, 250, 350, 420, 500, 600),
    "pm2_5": (0, 35, 75, 115, 150, 250, 350, 500),
}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location("explain_real_data", ROOT / "docs" / "explain_real_data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def found(script: ModuleType, test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return script.evaluate_years(test_data, tmp_path_factory.mktemp("years"))


def read(path: Path) -> pl.DataFrame:
    """The CSV with its zeros taken as missing: city, day, six items."""
    frame = pl.read_csv(path, infer_schema_length=0)
    items = [
        pl.when(pl.col(a).cast(pl.Float64) != 0).then(pl.col(a).cast(pl.Float64)).alias(b)
        for a, b in FILE_ITEMS.items()
    ]
    return frame.select("city", pl.col("date").str.to_date().alias("day"), *items)


@pytest.fixture(scope="module")
def days(test_data: Path) -> pl.DataFrame:
    folder = test_data / "cn_city_daily_aqistudy_2013_2017"
    frame = read(folder / "qinghai_8_prefectures_daily.csv.gz")
    assert set(frame["city"]) == set(PLACES)
    return frame.with_columns(place=pl.col("city").replace_strict(PLACES))


def daily_index(row: dict[str, Any]) -> int | None:
    """AQI of a day by exact fractions: rounded first, then up.

    Ozone above 800 by its 8 h has no index of its own (HJ 633-2012 table 1 note 3), and the archive has no hours.
    """
    found = []
    for item, points in POINTS.items():
        if row[item] is None:
            continue
        value = half_even(row[item], 1 if item == "co" else 0)
        for low, high, below, above in zip(points, points[1:], IAQI, IAQI[1:], strict=False):
            if value <= high:
                found.append(math.ceil((value - low) * (above - below) / (high - low) + below))
                break
        else:
            found += [] if item == "mda8" else [500]
    return max(found, default=None)


def year_of(days: pl.DataFrame, place: str, year: int) -> pl.DataFrame:
    return days.filter(pl.col("place") == place, pl.col("day").dt.year() == year)


def reckoned(values: list[float], item: str, statistic: str) -> Fraction:
    millionths = sorted(round(v * 10**6) for v in values)  # the archive prints three decimals at most
    if statistic == "mean":
        return Fraction(sum(millionths), len(millionths) * 10**6)
    numbers = [Fraction(m, 10**6) for m in millionths]
    k = 1 + Fraction((len(numbers) - 1) * PERCENTILE[item], 100)
    s = int(k)
    return numbers[s - 1] + ((numbers[s] - numbers[s - 1]) * (k - s) if s < len(numbers) else 0)


def enough(own: pl.DataFrame, item: str) -> bool:
    """324 days, and 27 in each month (25 in February)."""
    counts = dict(own.drop_nulls(item).group_by(pl.col("day").dt.month()).len().iter_rows())
    return sum(counts.values()) >= 324 and all(counts.get(m, 0) >= (25 if m == 2 else 27) for m in range(1, 13))


@pytest.mark.parametrize("dust", ["in", "out"])
def test_statistics_limits_and_attainment(found: Any, script: ModuleType, days: pl.DataFrame, dust: str) -> None:
    dusty = set(script.dust_days(found.events)) if dust == "out" else set()
    rows = found.evaluation.filter(pl.col("dust") == dust, pl.col("period").is_in(["2015", "2016"]))
    assert rows.height == 8 * 2 * 12
    seen = {True: 0, False: 0}
    for row in rows.iter_rows(named=True):
        item, place = row["item"], row["place"]
        own = year_of(days, place, int(row["period"]))
        counted = enough(own, item)
        if place == "630100" and item in ("pm10", "pm2_5"):
            own = own.filter(~pl.col("day").is_in(list(dusty)))
        values = own[item].drop_nulls().to_list()
        want = reckoned(values, item, row["statistic"])
        assert exact(row["value"]) == half_even(want, 6), row
        if row["statistic"] != "mean":
            assert row["value"] == pytest.approx(
                np.percentile(values, PERCENTILE[item], method="linear"), abs=1e-6
            )
        limit = YEARLY.get(item) if row["statistic"] == "mean" else DAILY[item]
        shown = half_even(half_even(want, 6), 1 if item == "co" else 0)
        assert row["limit"] == limit
        assert exact(row["shown"]) == shown
        assert row["attained"] == (None if limit is None else shown <= limit), row
        factor = None if limit is None or shown <= limit else half_even((shown - limit) / limit, 2)
        assert (None if row["exceedance_factor"] is None else exact(row["exceedance_factor"])) == factor
        assert row["data_valid"] == counted, "a removed dust day still counts as valid"
        seen[counted] += 1
    assert min(seen.values()) > 10, "both valid and short series are among them"


def test_good_days_by_the_daily_index(found: Any, script: ModuleType, days: pl.DataFrame) -> None:
    dusty = set(script.dust_days(found.events))
    for place in PLACES.values():
        for year in (2015, 2016):
            index = {r["day"]: daily_index(r) for r in year_of(days, place, year).iter_rows(named=True)}
            valid = {d: v for d, v in index.items() if v is not None}
            over = {d for d, v in valid.items() if v > 100}
            deducted = over & dusty if place == "630100" else set()
            (raw, out) = (
                found.summary.filter(
                    pl.col("place") == place, pl.col("period") == str(year), pl.col("dust") == treatment
                ).row(0, named=True)
                for treatment in ("in", "out")
            )
            good = len(valid) - len(over)
            assert (raw["valid_days"], raw["good_days"]) == (len(valid), good)
            assert raw["heavy_days"] == sum(v > 200 for v in valid.values())
            assert exact(raw["good_rate"]) == half_even(Fraction(100 * good, len(valid)), 1)
            rest = len(valid) - len(deducted)
            assert exact(out["adjusted_good_rate"]) == half_even(Fraction(100 * good, rest), 1)
            assert max(valid.values()) == raw["max_aqi"]
            attained = found.evaluation.filter(
                pl.col("place") == place, pl.col("period") == str(year), pl.col("dust") == "in"
            )["attained"].drop_nulls()
            assert raw["attained"] == attained.all()


def test_dust_days_of_xining_are_proposed(found: Any, script: ModuleType, days: pl.DataFrame) -> None:
    proposed = set(script.dust_days(found.events))
    known = [date(2015, 3, 3), date(2014, 4, 24), date(2014, 5, 9), date(2017, 1, 26), date(2017, 1, 27)]
    assert set(known) <= proposed
    xining = days.filter(pl.col("place") == "630100").drop_nulls(["pm10", "pm2_5"])
    worst = xining.sort("pm10", descending=True)["day"].head(5).to_list()
    assert set(worst) <= proposed, "the five worst days of PM10 in three years"
    # Conservative: a proposal is a day of its own, and most high days of winter smoke are not among them.
    smoke = xining.filter(pl.col("pm10") > 150, ~pl.col("day").is_in(list(proposed)))
    assert smoke.height > 2 * len(proposed)
    ratio = {d: f / c for d, f, c in xining.select("day", "pm2_5", "pm10").iter_rows()}
    assert np.median([ratio[d] for d in proposed]) < 0.75 * np.median([ratio[d] for d in smoke["day"]])


def test_the_province_both_ways(found: Any, days: pl.DataFrame) -> None:
    for year in (2015, 2016):
        means, rates, good, valid = [], [], 0, 0
        for place in PLACES.values():
            own = year_of(days, place, year)
            means.append(half_even(reckoned(own["pm2_5"].drop_nulls().to_list(), "pm2_5", "mean"), 6))
            index = [v for r in own.iter_rows(named=True) if (v := daily_index(r)) is not None]
            rates.append(Fraction(100 * sum(v <= 100 for v in index), len(index)))
            good, valid = good + sum(v <= 100 for v in index), valid + len(index)
        row = found.rates.filter(pl.col("period") == str(year)).row(0, named=True)
        assert exact(row["rate_mean_of_cities"]) == half_even(sum(rates) / 8, 1)
        assert exact(row["rate_pooled_days"]) == half_even(Fraction(100 * good, valid), 1)
        concentration = found.province.filter(
            pl.col("period") == str(year), pl.col("item") == "pm2_5", pl.col("statistic") == "mean"
        ).filter(pl.col("dust") == "in")
        assert exact(concentration["value"][0]) == half_even(sum(means) / 8, 6)


def test_366_cities_ranked_for_2016(found: Any, test_data: Path) -> None:
    frame = read(test_data / "cn_city_daily_aqistudy_2013_2017" / "all_366_cities_daily.csv.gz")
    wanted = {"so2": "mean", "no2": "mean", "pm10": "mean", "pm2_5": "mean", "co": "p95", "mda8": "p90"}
    standard = YEARLY | {"co": 4, "mda8": 160}

    def indices(year: int) -> tuple[dict[str, Fraction], set[str]]:
        made, sound = {}, set()
        for (city,), own in frame.filter(pl.col("day").dt.year() == year).group_by("city"):
            values = {i: own[i].drop_nulls().to_list() for i in ITEMS}
            if all(values.values()):
                terms = [half_even(reckoned(values[i], i, s), 6) / standard[i] for i, s in wanted.items()]
                made[str(city)] = half_even(sum(terms), 2)
                if all(enough(own, i) for i in ITEMS):
                    sound.add(str(city))
        return made, sound

    (now, sound_now), (before, sound_before) = indices(2016), indices(2015)
    assert len(now) == 366
    ours = found.national
    assert ours["rank"].to_list() == sorted(ours["rank"].to_list())
    ranks = {c: 1 + sum(other < value for other in now.values()) for c, value in now.items()}
    # The archive writes short names, the register full ones: cities are matched by their index and its company.
    assert sorted((r, float(now[c])) for c, r in ranks.items()) == sorted(
        zip(ours["rank"].to_list(), ours["composite_index"].to_list(), strict=True)
    )
    by_place = {r["place"]: r for r in ours.iter_rows(named=True)}
    for city, place in PLACES.items():
        row = by_place[place]
        assert (row["rank"], row["composite_index"]) == (ranks[city], float(now[city])), city
        assert row["data_valid"] == (city in sound_now)
        change = None
        if city in sound_now and city in sound_before:
            change = float(half_even((now[city] - before[city]) / before[city] * 100, 1))
        assert row["change_percent"] == change, city
    assert ours.filter(~pl.col("data_valid")).height == 366 - len(sound_now)


def test_zeros_are_missing_and_noted(found: Any, test_data: Path) -> None:
    raw = pl.read_csv(
        test_data / "cn_city_daily_aqistudy_2013_2017" / "qinghai_8_prefectures_daily.csv.gz",
        infer_schema_length=0,
    )
    zeros = {c: (raw[c].cast(pl.Float64) == 0).sum() for c in (*FILE_ITEMS, "AQI")}
    assert found.zeros == zeros
    assert zeros["O3"] > 40


def test_a_city_s_days_of_the_dust_event_are_its_statistical_days(found: Any, script: ModuleType) -> None:
    (event,) = [e for e in found.events if e["evidence"]["peak_pm10"] == 468.5]
    assert script.dust_days([event]) == [date(2015, 3, 3)]
    assert event["end"] - event["start"] == timedelta(hours=23)
    assert (event["status"], event["reviewer"]) == ("confirmed", script.REVIEWER)


def test_the_page_says_what_the_data_say(script: ModuleType, found: Any) -> None:
    assert script.YEARS_PAGE.read_text(encoding="utf-8") == script.years_page(found), (
        "run python docs/explain_real_data.py"
    )
