"""Forecasts that were made: which there are, and what the newest one says."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from qinglan.core.clock import midnight
from qinglan.core.errors import NotFound, StoreError
from qinglan.flow.views import result
from qinglan.forecast.air_index import QUANTILES

FOLDER = Path("forecasts") / "runs"
ABOUT, VALUES, AQI = "forecast.json", "values.parquet", "aqi.parquet"
#: Name of the blend among the models of a forecast: what the office says.
ISSUED = "issued"


class Latest(NamedTuple):
    """A forecast as two frames.

    values : (place, item, day) `place, made_at, day, lead_day, item, mean, q05..q95` [µg/m³; CO mg/m³].
    aqi : (place, day) `place, made_at, day, lead_day, q05..q95` of AQI, `low, high, level, level_low, level_high,
    primary, p1..p6, p_over, p_dust, p_ozone, dust, ozone, edition, without`.
    """

    values: pl.DataFrame
    aqi: pl.DataFrame


@dataclass(frozen=True)
class Forecast:
    """One forecast: its folder and what ``forecast.json`` says (made_at, cut_off, training, notes ...)."""

    folder: Path
    about: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Name of its folder."""
        return self.folder.name

    @property
    def made_at(self) -> datetime:
        """The instant it stands for."""
        return datetime.fromisoformat(self.about["made_at"])

    @property
    def notes(self) -> list[Mapping[str, Any]]:
        """How it was degraded: `code` and what belongs to it."""
        return list(self.about["notes"])

    def models(self) -> pl.DataFrame:
        """Every model's values; column `model`."""
        return _frame(self.folder / VALUES)

    def index(self) -> pl.DataFrame:
        """What is said of AQI, as it was kept."""
        return _frame(self.folder / AQI)

    def read(self, places: Sequence[str] | None = None) -> Latest:
        """What is said, of all places or of some."""
        values = self.models().filter(model=ISSUED).select(
            "place", "made_at", "day", "lead_day", "item", "mean", *QUANTILES
        )  # fmt: skip
        index = self.index()
        index = index.select("place", "made_at", pl.exclude("place", "made_at"))
        if places is not None:
            values, index = (f.filter(pl.col("place").is_in(list(places))) for f in (values, index))
        return Latest(values, index)


@lru_cache(maxsize=64)
def _frame(path: Path) -> pl.DataFrame:
    """A file of a forecast, which never changes."""
    return pl.read_parquet(path)


@lru_cache(maxsize=512)
def read(folder: Path) -> Forecast:
    """A forecast by its folder; StoreError when it cannot be read."""
    try:
        return Forecast(folder, json.loads((folder / ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError) as cause:
        raise StoreError(
            f"{folder.parent.parent.name}/{folder.parent.name}/{folder.name}/{ABOUT} cannot be read: {cause}.",
            remedy="Move the folder away.",
        ) from cause


def forecasts(workspace: result.Workspace, kept: Path = FOLDER) -> tuple[Forecast, ...]:
    """All forecasts, the newest first (by the instant that they stand for, then by when they were computed).

    kept : their folder within the home; those of days by default.
    """
    root = workspace.home / kept
    folders = [p for p in root.iterdir() if not p.name.startswith(".")] if root.is_dir() else []
    found = [read(p) for p in folders]
    return tuple(sorted(found, key=lambda f: (f.made_at, f.about["computed_at"]), reverse=True))


def newest(workspace: result.Workspace, as_of: date | datetime | None = None) -> Forecast:
    """The newest forecast, or that of an instant (a date: its end); NotFound says how to make one."""
    until = as_of
    if isinstance(as_of, date) and not isinstance(as_of, datetime):
        until = midnight(as_of + timedelta(days=1)) - timedelta(microseconds=1)
    for found in forecasts(workspace):
        if until is None or found.made_at <= until:
            return found
    when = "" if as_of is None else f" up to {as_of}"
    raise NotFound(f"no forecast was made{when}.", remedy="Make one: qinglan forecast run.")


def latest(
    workspace: result.Workspace, places: Sequence[str] | None = None, as_of: date | datetime | None = None
) -> Latest:
    """What the newest forecast says (see :class:`Latest`); NotFound when there is none.

    places : only these codes. as_of : the newest made until then.
    """
    return newest(workspace, as_of).read(places)
