"""Daily forecasts of Chinese cities, rolled over the last year of 2013-2017, six pollutants each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.child import cpu_seconds, peak_mb
from benchmarks.ours.forecasting import ours, simple
from qinglan.core.clock import CST
from qinglan.forecast.backtest import Run
from qinglan.forecast.series import History

#: Pollutants and their columns.
ITEMS = {"pm2_5": "PM2.5", "pm10": "PM10", "so2": "SO2", "no2": "NO2", "co": "CO", "mda8": "O3"}
FIRST, LAST = datetime(2013, 12, 2, tzinfo=CST), datetime(2017, 1, 31, tzinfo=CST)
#: Cities with weather, as the file of weather spells them.
CITIES = {
    "xining": "西宁", "lanzhou": "兰州", "yinchuan": "银川", "urumqi": "乌鲁木齐", "lhasa": "拉萨", "xian": "西安",
    "chengdu": "成都", "hohhot": "呼和浩特", "taiyuan": "太原", "zhengzhou": "郑州", "beijing": "北京",
    "tianjin": "天津", "shijiazhuang": "石家庄", "baoding": "保定", "jinan": "济南", "qingdao": "青岛",
    "weifang": "潍坊", "nanyang": "南阳", "chongqing": "重庆", "guiyang": "贵阳", "kunming": "昆明",
    "nanning": "南宁", "haikou": "海口", "guangzhou": "广州", "shenzhen": "深圳", "dongguan": "东莞",
    "changsha": "长沙", "nanchang": "南昌", "fuzhou": "福州", "wuhan": "武汉", "hefei": "合肥", "nanjing": "南京",
    "suzhou": "苏州", "wuxi": "无锡", "shanghai": "上海", "hangzhou": "杭州", "shenyang": "沈阳",
    "changchun": "长春", "harbin": "哈尔滨",
}  # fmt: skip
#: The two that are scored come first.
ASKED = 2
_WEATHER = ("avgtemp", "maxtemp", "mintemp", "avgrh", "avgws", "maxws", "daylight", "precipitation", "avgp")


@cache
def _air(file: str) -> pl.DataFrame:
    """`city`, the items and `at`, the day counted from the first."""
    columns = ["city", "date", *ITEMS.values()]
    rows = pl.read_csv(file, columns=columns, schema_overrides=dict.fromkeys(ITEMS.values(), pl.Float64))
    return rows.with_columns(at=(pl.col("date").str.to_date() - FIRST.date()).dt.total_days())


def days_of(air: str, item: str, names: list[str] | None = None) -> tuple[History, list[str]]:
    """One pollutant of the cities named (all by default), and their order. The source writes 0 for missing."""
    column = ITEMS[item]
    rows = _air(air).with_columns(value=pl.col(column).replace(0.0, None))
    order = names or sorted(rows["city"].unique())
    rows = rows.filter(pl.col("city").is_in(order), pl.col("at").is_between(0, (LAST - FIRST).days))
    values = np.full((len(order), (LAST - FIRST).days + 1), np.nan)
    place = rows["city"].replace_strict({name: at for at, name in enumerate(order)}, return_dtype=pl.Int64)
    values[place.to_numpy(), rows["at"].to_numpy()] = rows["value"].cast(pl.Float64).to_numpy()
    return History(values, FIRST, timedelta(days=1)), order


@cache
def weather_of(file: str, length: int) -> dict[str, Any]:
    """Weather of `CITIES`; its dates are written in two ways."""
    rows = pl.read_csv(file, infer_schema_length=None).with_columns(
        day=pl.coalesce(
            pl.col("date").str.to_date("%Y-%m-%d", strict=False),
            pl.col("date").str.to_date("%Y/%m/%d", strict=False),
        )
    )
    rows = rows.with_columns(at=(pl.col("day") - FIRST.date()).dt.total_days())
    rows = rows.filter(pl.col("at").is_between(0, length - 1))
    place = rows["city"].replace_strict({name: at for at, name in enumerate(CITIES)}, return_dtype=pl.Int64)
    found = {}
    for name in _WEATHER:
        array = np.full((len(CITIES), length), np.nan)
        array[place.to_numpy(), rows["at"].to_numpy()] = rows[name].cast(pl.Float64).to_numpy()
        found[name] = array
    return found


def two(air: str, weather: str, item: str, cities: int, back: int) -> tuple[History, int, range]:
    """Cities with weather, Xining and Lanzhou first; the cut-off of the training and the origins after it."""
    history, _ = days_of(air, item, list(CITIES.values())[:cities])
    told = {name: array[:cities] for name, array in weather_of(weather, history.length).items()}
    cut = history.length - back
    return History(history.values, history.start, history.step, told), cut, range(cut, history.length - 3 + 1)


def keep(folder: str, item: str, runs: Mapping[str, Run], number: int = ASKED) -> list[str]:
    """Save what was said of the first cities; names of who said it."""
    for name, run in runs.items():
        place = Path(folder) / name
        place.mkdir(parents=True, exist_ok=True)
        np.savez(
            place / f"{item}.npz",
            values=run.values[:, :number],
            mean=run.mean[:, :number],
            observed=run.observed[:, :number],
            origins=run.origins,
        )
    return list(runs)


def blended(
    air: str,
    weather: str,
    folder: str,
    cities: int,
    back: int,
    leads: list[int],
    rounds: int,
    tail: int,
    ahead: bool,
) -> list[str]:
    """Ours, weighed and calibrated on the last ``tail`` days before, held out."""
    said: list[str] = []
    for item in ITEMS:
        history, cut, origins = two(air, weather, item, cities, back)
        said = keep(folder, item, ours(history, cut, origins, leads, tail, rounds, ahead))
    return said


def baselines(air: str, weather: str, folder: str, cities: int, back: int, leads: list[int]) -> list[str]:
    """Persistence and climatology."""
    said: list[str] = []
    for item in ITEMS:
        history, cut, origins = two(air, weather, item, cities, back)
        said = keep(folder, item, simple(history, cut, origins, leads))
    return said


def year(air: str, back: int, leads: list[int], rounds: int, tail: int, cities: int) -> dict[str, Any]:
    """Train on all cities and forecast each day of the last year, six pollutants, on two cores.

    Says how many values were forecast, CRPS by item and lead, CPU seconds, and the memory of both workers [MB].
    """
    jobs = [(item, air, back, leads, rounds, tail, cities) for item in ITEMS]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        told = list(pool.map(_year_of, jobs))
    peaks = {one["worker"]: one["peak_mb"] for one in told}
    return {
        "forecasts": sum(one["forecasts"] for one in told),
        "cities": told[0]["cities"],
        "cpu": sum(one["cpu"] for one in told),
        "workers_mb": sum(peaks.values()),
        "crps": {item: one["crps"] for item, one in zip(ITEMS, told, strict=True)},
    }


def _year_of(job: tuple[str, str, int, list[int], int, int, int]) -> dict[str, Any]:
    """One pollutant, in a process of its own."""
    item, air, back, leads, rounds, tail, cities = job
    begun = cpu_seconds()
    history, names = days_of(air, item)
    history = History(history.values[:cities], history.start, history.step)
    cut = history.length - back
    origins = range(cut, history.length - max(leads) + 1)
    run = ours(history, cut, origins, leads, tail, rounds, False)["Qinglan"]
    return {
        "forecasts": run.mean.size,
        "cities": min(len(names), cities),
        "crps": [row["crps"] for row in run.scores()],
        "cpu": cpu_seconds() - begun,
        "peak_mb": peak_mb(),
        "worker": os.getpid(),
    }
