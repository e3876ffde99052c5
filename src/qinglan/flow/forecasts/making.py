"""Making a forecast: models that were trained, what is known, one blend that is calibrated, the AQI from it.

``forecasts/runs/<id>/`` holds ``forecast.json`` (who, when, from what, by which rules, with what missing),
``values.parquet`` (every model's quantiles; ``issued`` is the forecast) and ``aqi.parquet``. Never overwritten:
the same instant and the same data are the same forecast.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from qinglan.core.clock import CST, today
from qinglan.core.errors import UsageError
from qinglan.core.names import DAILY_ITEMS
from qinglan.core.provenance import Run as Making
from qinglan.core.rulebook import RuleBook
from qinglan.flow import console_settings
from qinglan.flow.forecasts.history import Known, known
from qinglan.flow.forecasts.reading import ABOUT, AQI, FOLDER, ISSUED, VALUES, Forecast, read
from qinglan.flow.forecasts.training import FOLDER as MODELS
from qinglan.flow.forecasts.training import Training, fitting, models_of, train
from qinglan.flow.views import result
from qinglan.flow.workspace import Workspace
from qinglan.forecast.air_index import QUANTILES, Joint, air_index, joint
from qinglan.forecast.backtest import Run
from qinglan.forecast.blend import blend
from qinglan.forecast.conformal import calibrate
from qinglan.forecast.models import Model
from qinglan.forecast.series import Floats, Quantiles
from qinglan.plan.rules import load_book, rules_on
from qinglan.store.registry import append_event

Progress = Callable[[str], None]
Note = Mapping[str, Any]

#: Event of the audit chain: a forecast was made.
MADE = "forecast.made"


def run(
    workspace: result.Workspace, made_at: datetime, *, who: str = "qinglan", now: datetime | None = None,
    progress: Progress = lambda _: None,
) -> Forecast:  # fmt: skip
    """Forecast the six pollutants and AQI of every place for the days after today, from what was known then.

    made_at : the instant it stands for; its cut-off is 24:00 of the day before. now : when it is really computed
    (default: `made_at`); a forecast computed on a later day says so (`hindcast`).

    Models are trained first when there are none, or their data are too old. Raises NotFound without daily values.
    """
    if made_at.tzinfo is None:
        raise UsageError(f"instant {made_at.isoformat()} carries no zone.", remedy="Pass an aware datetime.")
    book = load_book("forecast", made_at.date())
    data = known(workspace, made_at)
    training, age = fitting(workspace, data, book)
    if training is None or age > book.number("retrain.days"):
        training, age = train(workspace, made_at, progress=progress), 0
    chosen = console_settings.options(workspace, None) if isinstance(workspace, Workspace) else {}
    days = [today(made_at) + timedelta(days=n + 1) for n in range(int(book.number("horizon.days")))]
    rules = {day: rules_on(day, chosen) for day in days}
    uses = {(use.book, use.edition): use for rule in rules.values() for use in (rule.aqi.use(),)}
    making = Making(
        "forecast", made_at, {"history": data.hash, "training": training.id}, (book.use(), *uses.values()),
        {"made_at": made_at.isoformat(), "days": len(days)},
    )  # fmt: skip
    name = f"{made_at.astimezone(CST):%Y%m%dT%H%M}-{making.id[:8]}"
    folder = workspace.home / FOLDER / name
    if folder.is_dir():
        return read(folder)
    progress(f"forecast of {days[0]}..{days[-1]}")
    values, notes = _values(workspace, data, training, book, days)
    values = values.with_columns(made_at=pl.lit(made_at).cast(pl.Datetime("us", "UTC")))
    issued = values.filter(model=ISSUED)
    together, told = _together(data, issued, days, book)
    index = air_index(issued, together, rules, book).with_columns(
        made_at=pl.lit(made_at).cast(pl.Datetime("us", "UTC"))
    )
    about = {
        "id": name,
        "making": making.as_dict(),
        "made_at": made_at.isoformat(),
        "computed_at": (now or made_at).isoformat(),
        "hindcast": now is not None and today(now) > today(made_at),
        "by": who,
        "cut_off": data.cut_off.isoformat(),
        "last_day": data.last.isoformat(),
        "run": data.run,
        "training": training.id,
        "places": sorted(issued["place"].unique()),
        "days": [day.isoformat() for day in days],
        "notes": [*training.notes, *notes, *told],
    }
    keep(workspace, folder, about, {VALUES: values, AQI: index}, who)
    return read(folder)


def _values(
    workspace: result.Workspace, data: Known, training: Training, book: RuleBook, days: Sequence[date]
) -> tuple[pl.DataFrame, list[Note]]:
    """Every model's quantiles for every place, item and day, and the blend that is issued."""
    models, checks = models_of(workspace.home / MODELS / training.id)
    late = (data.cut_off - data.last).days
    leads = tuple((day - data.last).days for day in days)
    notes: list[Note] = [{"code": "no_weather_ahead"}]
    stale = late > book.number("history.late_days_max")
    if late:
        notes.append({"code": "data_stale" if stale else "data_late", "days": late, "last": data.last.isoformat()})
    parts: list[pl.DataFrame] = []
    lacking: dict[str, list[str]] = {}
    for item in DAILY_ITEMS:
        places = training.series.get(item, ())
        for place in data.places:
            if place not in places:
                lacking.setdefault(place, []).append(item)
        if not places:
            continue
        history = data.history(item, places, training.first)
        used: dict[str, Model] = {n: m for n, m in models[item].items() if not stale or n == "climatology"}
        made = {name: model.predict(history, leads) for name, model in used.items()}
        made[ISSUED] = issued_of(made, checks.get(item, {}), history.length)
        parts += [
            frame(forecast, ("place", places), ("day", days), "lead_day", item, name)
            for name, forecast in made.items()
        ]
        if not checks.get(item):
            notes.append({"code": "not_weighed", "item": item})
    notes += [{"code": "item_missing", "place": p, "missing": items} for p, items in sorted(lacking.items())]
    return pl.concat(parts).sort("place", "item", "model", "day"), notes


def issued_of(made: Mapping[str, Quantiles], checks: Mapping[str, Run], length: int) -> Quantiles:
    """The blend of the models, calibrated by the forecasts of the check: they go before, this one is the last."""
    names = list(made)
    first = made[names[0]]
    runs = []
    for name in names:
        forecast = made[name]
        values, mean = forecast.values[None], forecast.mean[None]
        observed: Floats = np.full(mean.shape, np.nan)
        origins: tuple[int, ...] = (length,)
        if set(checks) >= set(names) and set(first.leads) <= set(checks[name].leads):
            past = checks[name]
            kept = [at for at, origin in enumerate(past.origins) if origin < length]
            at = [past.leads.index(lead) for lead in first.leads]
            values = np.concatenate([past.values[kept][:, :, at], values])
            mean = np.concatenate([past.mean[kept][:, :, at], mean])
            observed = np.concatenate([past.observed[kept][:, :, at], observed])
            origins = (*(past.origins[n] for n in kept), length)
        runs.append(Run(name, values, mean, observed, origins, first.leads, first.levels))
    whole = calibrate(blend(runs))
    return replace(first, values=whole.values[-1], mean=whole.mean[-1])


def frame(
    forecast: Quantiles,
    of: tuple[str, Sequence[str]],
    at: tuple[str, Sequence[date] | Sequence[datetime]],
    lead: str,
    item: str,
    model: str,
) -> pl.DataFrame:
    """A forecast in rows: series named by ``of``, instants by ``at`` (name of the column, what it holds), ``lead``
    counted from 1, `item`, `model`, `mean` and the quantiles.
    """
    (who, names), (when, instants) = of, at
    count = len(names) * len(instants)
    spread = np.sort(forecast.values, axis=2).reshape(count, -1)
    return pl.DataFrame(
        {
            who: np.repeat(np.array(names), len(instants)),
            when: list(instants) * len(names),
            lead: list(range(1, len(instants) + 1)) * len(names),
            "item": [item] * count,
            "model": [model] * count,
            "mean": forecast.mean.ravel(),
            **{name: spread[:, level] for level, name in enumerate(QUANTILES)},
        },
        schema_overrides={when: pl.Datetime("us", "UTC") if isinstance(instants[0], datetime) else pl.Date},
    ).with_columns(pl.col("mean", *QUANTILES).fill_nan(None))


def _together(
    data: Known, issued: pl.DataFrame, days: Sequence[date], book: RuleBook
) -> tuple[dict[str, Joint], list[Note]]:
    """How the pollutants of each place go together, and where the past does not tell."""
    found: dict[str, Joint] = {}
    middle = days[len(days) // 2]
    for place in sorted(issued["place"].unique()):
        items = [i for i in DAILY_ITEMS if i in set(issued.filter(place=place).drop_nulls("q50")["item"])]
        if items:
            found[place] = joint(data.days.filter(place=place), items, middle, book)
    untold = [place for place, tied in found.items() if not tied.told]
    return found, [{"code": "together", "places": untold}] if untold else []


def keep(
    workspace: result.Workspace, folder: Path, about: Mapping[str, Any], frames: Mapping[str, pl.DataFrame],
    who: str,
) -> None:  # fmt: skip
    """The whole folder or nothing; what is there stays."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
    try:
        for file, frame in frames.items():
            frame.write_parquet(draft / file)
        (draft / ABOUT).write_text(json.dumps(about, ensure_ascii=False, indent=1), encoding="utf-8")
        if isinstance(workspace, Workspace):
            detail = {"training": about["training"], "cut_off": about["cut_off"], "hindcast": about["hindcast"]}
            with workspace.registry.begin() as con:
                at = datetime.fromisoformat(about["computed_at"])
                append_event(con, MADE, about["id"], detail, who=who, at=at)
                draft.rename(folder)
        else:
            draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
