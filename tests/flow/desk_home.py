"""A small office for the desk: hand-written machine forecasts, and air that came, without a model or a lake."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from qinglan.access import Grant, Principal
from qinglan.core.clock import CST
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.forecast.air_index import QUANTILES
from qinglan.store import runs

TODAY = date(2026, 3, 10)
PLACES = ("630100", "630200", "630105")


def at(hour: int, minute: int = 0, day: date = TODAY) -> datetime:
    """A moment of the office's clock."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=CST)


NOW = at(16, 30)


def person(name: str, *roles: str, place: str = "630000") -> Principal:
    """Somebody with roles for a place."""
    return Principal(name, name, tuple(Grant(role, place=place) for role in roles), via="session")


CLERK, SECOND, CHIEF = person("王", "province"), person("李", "province"), person("陈", "chief")
XINING, COUNTY = person("马", "prefecture", place="630100"), person("钱", "county", place="630105")


def forecast(
    home: Path, made_at: datetime, cells: Mapping[tuple[str, int], tuple[int, int, int, str]] | None = None,
    places: tuple[str, ...] = PLACES, days: int = 10, pm2_5: tuple[float, float] = (30.0, 30.0), over: float = 0.0,
) -> str:  # fmt: skip
    """Write a forecast of (place, lead) to (low, median, high, primary); 60–70–80 by PM10 where none is said.

    pm2_5 : its lowest and highest quantile. over : chance of AQI above 100, beside that of the cells.
    """
    name = f"{made_at.astimezone(CST):%Y%m%dT%H%M}-handmade"
    folder = home / "forecasts" / "runs" / name
    folder.mkdir(parents=True)
    rows = []
    for place in places:
        for lead in range(1, days + 1):
            low, mid, high, primary = (cells or {}).get((place, lead), (60, 70, 80, "pm10"))
            day = made_at.astimezone(CST).date() + timedelta(days=lead)
            level = {k: 1 + sum(v > top for top in (50, 100, 150, 200, 300)) for k, v in
                     (("level", mid), ("level_low", low), ("level_high", high))}  # fmt: skip
            rows.append(
                {"place": place, "day": day, "lead_day": lead, **dict.fromkeys(QUANTILES, mid), "low": low,
                 "high": high, **level, "primary": primary,
                 **{f"p{n}": float(n == level["level"]) for n in range(1, 7)},
                 "p_over": over or float(mid > 100), "p_dust": 0.0, "p_ozone": 0.0, "dust": False, "ozone": False,
                 "edition": "HJ 633-2026", "without": "", "made_at": made_at}
            )  # fmt: skip
    pl.DataFrame(rows).write_parquet(folder / "aqi.parquet")
    values = [
        {**{k: r[k] for k in ("place", "day", "lead_day", "made_at")}, "item": "pm10", "model": model,
         "mean": 70.0, **dict.fromkeys(QUANTILES, 70.0)}
        for r in rows for model in ("issued", "persistence", "climatology")
    ]  # fmt: skip
    spread = {q: pm2_5[0] + (pm2_5[1] - pm2_5[0]) * n / (len(QUANTILES) - 1) for n, q in enumerate(QUANTILES)}
    values += [v | {"item": "pm2_5", "mean": sum(pm2_5) / 2, **spread} for v in values]
    pl.DataFrame(values).write_parquet(folder / "values.parquet")
    first = made_at.astimezone(CST).date()
    about = {
        "id": name, "made_at": made_at.isoformat(), "computed_at": made_at.isoformat(), "hindcast": False,
        "by": "tests", "cut_off": str(first - timedelta(days=1)), "last_day": str(first - timedelta(days=1)),
        "run": "r", "training": "t", "places": list(places),
        "days": [str(first + timedelta(days=n)) for n in range(1, days + 1)],
        "notes": [{"code": "no_weather_ahead"}],
    }  # fmt: skip
    (folder / "forecast.json").write_text(json.dumps(about), encoding="utf-8")
    return name


def air(workspace: Workspace, seen: Mapping[tuple[str, date], tuple[int, str]], run: str = "drawn") -> None:
    """Make a current run that evaluated these days: (place, day) to (AQI, primary pollutant)."""
    folder = workspace.home / "results" / run
    folder.mkdir(parents=True)
    rows = [
        {"place": place, "day": day, "edition": "HJ 633-2026", "aqi": aqi, "aqi_state": "complete",
         "level": 1 + sum(aqi > top for top in (50, 100, 150, 200, 300)), "primary_pollutant": primary,
         "in_force": True}
        for (place, day), (aqi, primary) in seen.items()
    ]  # fmt: skip
    pl.DataFrame(rows).write_parquet(folder / "place_aqi.parquet")
    days = [{"place": p, "day": d, **dict.fromkeys(DAILY_ITEMS, 50.0)} for p, d in seen]
    pl.DataFrame(days).write_parquet(folder / "place_days.parquet")
    said: dict[str, Any] = {"run": {"id": run, "code_version": "0"}, "as_of": str(max(d for _, d in seen))}
    (folder / "verdict.json").write_text(
        json.dumps(said | {"simulated": True, "places": [{"place": p} for p in (*PLACES, "632800")]}),
        encoding="utf-8",
    )
    runs.record_run(workspace.registry, run, "run", said["run"], who="tests", at=NOW)


def office(home: Path) -> Workspace:
    """An office of the province with one forecast made at 16:00 of :data:`TODAY`."""
    made = init(home, Settings(simulated=True))
    forecast(made.home, at(16), {("630100", 1): (80, 95, 110, "pm2_5"), ("630200", 2): (30, 40, 48, "")})
    return made
