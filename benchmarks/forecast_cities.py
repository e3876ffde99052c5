"""Daily forecasts of cities: Xining and Lanzhou beside simpler ways, and the time that large jobs take.

Xining and Lanzhou are scored for one to three days ahead over the last year, each day an origin, with observed
weather in place of a perfect forecast and with weather known up to the cut-off only; all learn from the same 39
cities. AQI is that of the medians by HJ 633-2012, and so is what came: by the day's items, not the published mean
of hourly indices. Days of dust are told apart by the forecast's own rule (`dust.ratio_max`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import polars as pl

from benchmarks.ours.cities import FIRST, ITEMS
from benchmarks.racing import Bench, Contestant, Result
from qinglan.air.aqi import daily_aqi
from qinglan.core.names import DAILY_ITEMS
from qinglan.forecast.scores import coverage, crps, mae, rmse
from qinglan.forecast.series import LEVELS
from qinglan.plan.rules import load_book, rules_on

AIR = "cn_city_daily_aqistudy_2013_2017/all_366_cities_daily.csv.gz"
WEATHER = "cn_cities_daily_met_2014_2021/cities_daily_met.csv.gz"
LEADS = [1, 2, 3]
THIN = 4
PLACES = ("Xining", "Lanzhou")
#: The rule of every valid day of the year that is scored.
RULES = date(2016, 7, 1)
SHOWN = ("pm2_5", "pm10", "mda8")


def run(bench: Bench) -> list[Result]:
    """Race the two cities in each mode, then time the large jobs."""
    data = Path(os.environ.get("QINGLAN_TEST_DATA", "../shared/data"))
    if not (data / AIR).exists() or not (data / WEATHER).exists():
        bench.say(f"\nforecast_cities: left out, no {AIR} and {WEATHER} in QINGLAN_TEST_DATA")
        return []
    rounds = 5 if bench.quick else 150
    size = {"cities": 4 if bench.quick else 39, "back": 20 if bench.quick else 365, "leads": LEADS}
    files = {"air": str((data / AIR).resolve()), "weather": str((data / WEATHER).resolve())}
    once, tail = replace(bench, rounds=1), 12 if bench.quick else 365
    absent = "left out of a quick run: its compiler takes longer than the race" if bench.quick else ""
    if find_spec("statsforecast") is None:
        absent = "not installed: pip install statsforecast"
    results: list[Result] = []
    plain = str(bench.scratch("forecast-cities-plain"))
    for ahead in (True,) if bench.quick else (False, True):
        folder = str(bench.scratch(f"forecast-cities-{'ahead' if ahead else 'none'}"))
        job = {**files, **size, "folder": folder, "rounds": rounds, "ahead": ahead}
        ours = {**job, "tail": tail}
        simple = {**files, **size, "folder": plain}
        series = [
            Contestant(
                f"statsforecast {model}",
                "benchmarks.peers.city_series:statsforecast",
                {**simple, "thin": THIN, "model": model},
                absent=absent,
            )
            for model in ("AutoTheta", "AutoETS")
        ]
        mode = "observed weather as a perfect forecast" if ahead else "weather up to the cut-off only"
        results += once.race(
            f"forecast_cities: Xining and Lanzhou, {mode}",
            [
                Contestant("Qinglan", "benchmarks.ours.cities:blended", ours),
                Contestant("plain LightGBM", "benchmarks.peers.city_series:lightgbm", job),
                *(
                    []
                    if results
                    else [Contestant("simple ways", "benchmarks.ours.cities:baselines", simple), *series]
                ),
            ],
        )
        said = {name: Path(r.contestant.arguments["folder"]) / name for r in results for name in r.answer}
        mine = {name: place for name, place in said.items() if place.parent in (Path(folder), Path(plain))}
        report(bench, mine)
    large = {
        "air": files["air"],
        "back": size["back"],
        "leads": list(range(1, 11)),
        "rounds": rounds,
        "tail": tail,
    }
    network = {
        "stations": 4 if bench.quick else 100,
        "days": 8 if bench.quick else 730,
        "rounds": rounds,
        "pollutants": 6,
    }
    for title, contestant in (
        (
            "train on all cities and forecast every day of a year, six pollutants, ten days",
            Contestant(
                "366 cities", "benchmarks.ours.cities:year", {**large, "cities": 4 if bench.quick else 400}
            ),
        ),
        (
            "an invented network: fit one pollutant on two years of hours, forecast six to 72 h",
            Contestant(f"{network['stations']} stations", "benchmarks.ours.forecasting:operation", network),
        ),
    ):
        (done,) = once.race(f"forecast_cities: {title}", [contestant])
        bench.say(f"  {json.dumps(done.answer)}")
        results.append(done)
    return results


def read(place: Path) -> dict[str, dict[str, Any]]:
    """By item: values (origin, city, lead, level), mean, observed and origins of one contestant."""
    return {item: dict(np.load(place / f"{item}.npz")) for item in ITEMS}


def index(values: Mapping[str, Any], origins: Any) -> pl.DataFrame:
    """AQI, level and primary pollutant of (origin, city, lead) values, in that order; null where an item lacks."""
    shape = values["pm2_5"].shape
    days = [
        (FIRST + timedelta(days=int(origin) - 1 + lead)).date()
        for origin in origins
        for _ in range(shape[1])
        for lead in LEADS
    ]
    table = pl.DataFrame(
        {
            "case": range(len(days)),
            "day": days,
            "o3_1h": pl.Series([None] * len(days), dtype=pl.Float64),
            **{item: pl.Series(values[item].ravel(), nan_to_null=True) for item in DAILY_ITEMS},
        }
    )
    whole = table.drop_nulls(DAILY_ITEMS)
    con = ibis.duckdb.connect()
    found = con.to_pyarrow(
        daily_aqi(ibis.memtable(whole), rules_on(RULES), key="case").select(
            "case", "aqi", "level", "primary_pollutant"
        )
    )
    return table.join(pl.DataFrame(pl.from_arrow(found)), on="case", how="left", maintain_order="left")


def dusty(came: pl.DataFrame, ratio: float) -> pl.Series:
    """Days that count as dust: AQI above 100 by PM10, of which little is PM2.5."""
    return came.select(
        (
            (pl.col("aqi") > 100)
            & pl.col("primary_pollutant").str.contains("pm10")
            & (pl.col("pm2_5") <= ratio * pl.col("pm10"))
        ).fill_null(value=False)
    ).to_series()


def report(bench: Bench, said: Mapping[str, Path]) -> None:
    """Scores by city, lead and pollutant with dust days apart, level hits, and skill over the best peer."""
    ratio = load_book("forecast", RULES).number("dust.ratio_max")
    made = {name: read(place) for name, place in said.items()}
    origins = made["Qinglan"]["pm2_5"]["origins"]
    came = index({item: made["Qinglan"][item]["observed"] for item in ITEMS}, origins)
    shape = made["Qinglan"]["pm2_5"]["observed"].shape
    dust = dusty(came, ratio).to_numpy().reshape(shape)
    thinned = np.isin(origins, origins[::THIN])
    for at, place in enumerate(PLACES):
        bench.say(
            f"  {place}: {len(origins)} origins, {len(origins[thinned])} thinned; "
            f"{int(dust[:, at, 0].sum())} days of dust"
        )
        for part in ("all", "thinned"):
            rows = thinned if part == "thinned" else np.ones(len(origins), dtype=bool)
            there = {
                n: m for n, m in made.items() if part == "thinned" or len(m["pm2_5"]["origins"]) == len(origins)
            }
            scores = {name: _scores(m, at, origins[rows], came, dust[rows], shape) for name, m in there.items()}
            _tell(bench, scores, part)


def _scores(
    made: Mapping[str, Mapping[str, Any]], at: int, asked: Any, came: pl.DataFrame, dust: Any, shape: Sequence[int]
) -> dict[str, list[float]]:
    """Each score by lead."""
    own = made["pm2_5"]["origins"]
    rows = np.isin(own, asked)
    found: dict[str, list[float]] = {}
    for item in SHOWN:
        values, mean = made[item]["values"][rows][:, at], made[item]["mean"][rows][:, at]
        seen = made[item]["observed"][rows][:, at]
        for kind, kept in (("", ~dust[:, at]), (" dust", dust[:, at])):
            for lead in range(len(LEADS)):
                days = kept[:, lead]
                spread, truth = values[days, lead], seen[days, lead]
                median = spread[:, LEVELS.index(0.5)]
                if days.sum() < 3:
                    continue
                for name, value in (
                    ("rmse", rmse(mean[days, lead], truth)),
                    ("mae", mae(median, truth)),
                    ("crps", crps(spread, LEVELS, truth)),
                    ("in 90 %", coverage(spread[:, 0], spread[:, -1], truth)),
                ):
                    found.setdefault(f"{item}{kind} {name}", []).append(value)
    middle = {item: made[item]["values"][rows][:, :, :, LEVELS.index(0.5)] for item in ITEMS}
    levels = index(middle, own[rows])["level"].to_numpy().reshape(middle["pm2_5"].shape)[:, at]
    truth = came["level"].to_numpy().reshape(shape)[np.isin(_origins(shape, came), asked)][:, at]
    for kind, kept in (("", ~dust[:, at]), (" dust", dust[:, at])):
        known = np.isfinite(truth) & np.isfinite(levels) & kept
        if known[:, 0].sum() >= 3:
            found[f"aqi{kind} level hit"] = [
                float((truth == levels)[known[:, lead], lead].mean()) for lead in range(len(LEADS))
            ]
    return found


def _origins(shape: Sequence[int], came: pl.DataFrame) -> Any:
    """The origin of each row of (origin, city, lead), from the day of its first lead."""
    first = came["day"].to_numpy().reshape(shape)[:, 0, 0]
    return (first - np.datetime64(FIRST.date())).astype(int) + 1 - LEADS[0]


def _tell(bench: Bench, scores: Mapping[str, Mapping[str, Sequence[float]]], part: str) -> None:
    """A table for each score, and where ours is ahead of the best peer."""
    peers = [name for name in scores if not name.startswith(("Qinglan", "its "))]
    for score in scores["Qinglan"]:
        bench.say(f"    {score}, {part}")
        for name, found in scores.items():
            bench.say(f"      {name:28s}" + "".join(f"{value:9.3f}" for value in found[score]))
        if score.endswith("in 90 %"):
            continue
        ours = scores["Qinglan"][score]
        best = [(max if "hit" in score else min)(scores[p][score][at] for p in peers) for at in range(len(ours))]
        skill = [
            mine - other if "hit" in score else 1 - mine / other for mine, other in zip(ours, best, strict=True)
        ]
        bench.say(f"      {'ours over the best, %':28s}" + "".join(f"{100 * value:9.1f}" for value in skill))
