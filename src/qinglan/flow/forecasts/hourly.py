"""Forecasts of stations hour by hour, to three days: trained, made, kept and read.

``forecasts/hour_models/<id>/`` is a training as :mod:`training` keeps it; its `start` and `cut_off` are hours.
``forecasts/hours/<id>/`` holds ``forecast.json``, ``values.parquet`` (the blend that is issued, and those that it
is held against) and ``aqi.parquet``. Never overwritten: the same hour and the same data are the same forecast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import polars as pl

from qinglan import __version__
from qinglan.core.clock import CST, HOUR, today
from qinglan.core.errors import NotFound, StoreError, UsageError
from qinglan.core.names import HOURLY_ITEMS
from qinglan.core.provenance import Run as Making
from qinglan.core.rulebook import Rules
from qinglan.flow import console_settings
from qinglan.flow.forecasts import keeping, making, reading, training
from qinglan.flow.forecasts.station_hours import KnownHours, known_hours
from qinglan.flow.forecasts.training import Training
from qinglan.flow.views import result
from qinglan.flow.workspace import Workspace
from qinglan.forecast.hour_index import BEFORE, hour_index
from qinglan.plan.rules import load_book, rules_on

Progress = Callable[[str], None]

MODELS, FOLDER = Path("forecasts") / "hour_models", Path("forecasts") / "hours"
#: Models beside the blend whose values are kept, to hold it against them.
PEERS = ("persistence", "climatology")
#: Hours between two origins of the check: all hours of the day have their turn.
_STEP = 37
_DAY = 24


class LatestHours(NamedTuple):
    """A forecast as two frames.

    values : (station, item, time) `station, time, lead_hour, item, mean, q05..q95` [µg/m³; CO mg/m³].
    aqi : (station, time) `station, time, lead_hour, q05..q95` of AQI, `level`, `primary`, `edition`.
    """

    values: pl.DataFrame
    aqi: pl.DataFrame


def train(workspace: result.Workspace, made_at: datetime, *, progress: Progress = lambda _: None) -> Training:
    """Fit every model on the hours known at an instant; the training that is there when nothing has changed.

    Raises NotFound without hours, UsageError when no station knows any pollutant long enough.
    """
    book = load_book("forecast", made_at.date())
    data = known_hours(workspace, made_at, int(book.number("hours.learn_days_max")) * _DAY)
    trained = Making(
        "forecast-training-hours", made_at, {"history": data.hash}, (book.use(),), {"trees": keeping.has_trees()}
    )
    name = f"{data.last.astimezone(CST):%Y%m%dT%H}-{trained.id[:8]}"
    folder = workspace.home / MODELS / name
    if folder.is_dir():
        return training.read(folder)
    leads = tuple(range(1, int(book.number("hours.horizon") + book.number("hours.late_max")) + 1))
    least = book.number("history.days_min") * _DAY
    series = {item: data.with_item(item, least) for item in HOURLY_ITEMS}
    if not any(series.values()):
        raise UsageError(
            f"no station knows any pollutant in {least:g} hours up to {data.last.isoformat()}.",
            remedy="Load more hours of observations.",
        )
    length = round((data.last - data.first) / HOUR) + 1
    names, notes = training.allowed(length // _DAY, book)
    check = min(int(book.number("hours.check_days")) * _DAY, length // 4)
    models, checks = {}, {}
    for item, stations in series.items():
        if stations:
            progress(item)
            history = data.history(item, stations, data.first)
            checks[item] = training.checked(history, names, leads, check, _STEP)
            models[item] = {n: training.fitted(n, history, leads) for n in names}
    begun = (data.last - (check - 1) * HOUR).isoformat() if any(checks.values()) else None
    card = Training(
        name, made_at.isoformat(), data.first.isoformat(), data.last.isoformat(), begun, leads, series, names,
        training.scores_of(checks), notes, {"history": data.hash, "run": data.run},
    )  # fmt: skip
    training.keep(folder, card, models, checks)
    return card


def run(
    workspace: result.Workspace, made_at: datetime, *, who: str = "qinglan", now: datetime | None = None,
    progress: Progress = lambda _: None,
) -> reading.Forecast:  # fmt: skip
    """Forecast the six pollutants and the hourly AQI of every station, from the hours that ended by an instant.

    made_at : the instant it stands for. now : when it is really computed (default: `made_at`).

    Models are trained first when there are none, or their data are too old. Raises NotFound without hours.
    """
    if made_at.tzinfo is None:
        raise UsageError(f"instant {made_at.isoformat()} carries no zone.", remedy="Pass an aware datetime.")
    book = load_book("forecast", made_at.date())
    data = known_hours(workspace, made_at, int(book.number("hours.learn_days_max")) * _DAY)
    card = _fitting(workspace, data, book.number("retrain.days"))
    if card is None:
        card = train(workspace, made_at, progress=progress)
    chosen = console_settings.options(workspace, None) if isinstance(workspace, Workspace) else {}

    @lru_cache
    def rules(day: date) -> Rules:
        return rules_on(day, chosen)

    made = Making(
        "forecast-hours", made_at, {"history": data.hash, "training": card.id},
        (book.use(), rules(today(made_at)).aqi.use()), {"made_at": data.cut_off.isoformat()},
    )  # fmt: skip
    name = f"{data.cut_off.astimezone(CST):%Y%m%dT%H%M}-{made.id[:8]}"
    folder = workspace.home / FOLDER / name
    if folder.is_dir():
        return reading.read(folder)
    ends = [data.cut_off + n * HOUR for n in range(1, int(book.number("hours.horizon")) + 1)]
    late = round((data.cut_off - data.last) / HOUR)
    stale = late > book.number("hours.late_max")
    progress(f"forecast of {ends[0].isoformat()}..{ends[-1].isoformat()}")
    values = _values(workspace, data, card, ends, stale=stale)
    issued = values.filter(model=reading.ISSUED)
    index = hour_index(data.frame(BEFORE), issued, rules)
    late_note = {"code": "hours_stale" if stale else "hours_late", "hours": late, "last": data.last.isoformat()}
    about = {
        "id": name,
        "making": made.as_dict(),
        "made_at": data.cut_off.isoformat(),
        "computed_at": (now or made_at).isoformat(),
        "hindcast": now is not None and now - made_at > _DAY * HOUR,
        "by": who,
        "cut_off": data.cut_off.isoformat(),
        "last_hour": data.last.isoformat(),
        "run": data.run,
        "training": card.id,
        "stations": sorted(issued["station"].unique()),
        "hours": [end.isoformat() for end in ends],
        "notes": [*card.notes, *([late_note] if late else []), {"code": "no_weather_ahead"}],
    }
    making.keep(workspace, folder, about, {reading.VALUES: values, reading.AQI: index}, who)
    return reading.read(folder)


def _fitting(workspace: result.Workspace, data: KnownHours, days: float) -> Training | None:
    """The newest training that knew nothing after the last hour, is not too old and knows all the stations."""
    root = workspace.home / MODELS
    folders = [p for p in root.iterdir() if not p.name.startswith(".")] if root.is_dir() else []
    for card in sorted((training.read(p) for p in folders), key=lambda c: (c.cut_off, c.made_at), reverse=True):
        age = data.last - datetime.fromisoformat(card.cut_off)
        fresh = 0 <= age / HOUR <= days * _DAY and card.code_version == __version__
        if fresh and {s for names in card.series.values() for s in names} <= set(data.stations):
            return card
    return None


def _values(
    workspace: result.Workspace, data: KnownHours, card: Training, ends: Sequence[datetime], *, stale: bool
) -> pl.DataFrame:
    """Quantiles of every station, item and hour: of the blend, and of the models that it is held against."""
    models, checks = training.models_of(workspace.home / MODELS / card.id)
    leads = tuple(round((end - data.last) / HOUR) for end in ends)
    begun = datetime.fromisoformat(card.start)
    parts: list[pl.DataFrame] = []
    for item in HOURLY_ITEMS:
        stations = card.series.get(item, ())
        if not stations:
            continue
        history = data.history(item, stations, begun)
        used = {n: m for n, m in models[item].items() if not stale or n == "climatology"}
        said = {name: model.predict(history, leads) for name, model in used.items()}
        said[reading.ISSUED] = making.issued_of(said, checks.get(item, {}), history.length)
        parts += [
            making.frame(said[n], ("station", stations), ("time", ends), "lead_hour", item, n)
            for n in (reading.ISSUED, *PEERS)
            if n in said
        ]
    return pl.concat(parts).sort("station", "item", "model", "time")


def forecasts(workspace: result.Workspace) -> tuple[reading.Forecast, ...]:
    """All forecasts of hours, the newest first."""
    return reading.forecasts(workspace, FOLDER)


def newest(workspace: result.Workspace) -> reading.Forecast:
    """The newest one; NotFound says how to make one."""
    for found in forecasts(workspace):
        return found
    raise NotFound("no forecast of hours was made.", remedy="Make one: qinglan forecast run --hours.")


def read(found: reading.Forecast, stations: Sequence[str] | None = None) -> LatestHours:
    """What is said, of all stations or of some; StoreError for a forecast of days."""
    if "stations" not in found.about:
        raise StoreError(f"{found.id} is no forecast of hours.", remedy="Make one: qinglan forecast run --hours.")
    values = found.models().filter(model=reading.ISSUED).drop("model")
    index = found.index()
    if stations is not None:
        values, index = (f.filter(pl.col("station").is_in(list(stations))) for f in (values, index))
    return LatestHours(values, index)
