"""Forecasts that were made, held to the air that came since, as the current run evaluates it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from qinglan.core.clock import today
from qinglan.core.errors import NotFound, UnknownName
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow.forecasts.reading import ISSUED, forecasts
from qinglan.flow.views import result
from qinglan.forecast import verify as pure
from qinglan.plan.rules import load_book

_SEED = 27
#: What each forecast is held against.
PEERS = ("persistence", "climatology")


@dataclass(frozen=True)
class Checked:
    """Scores of the forecasts of a span of valid days.

    values : by item and lead_day (and the groups asked): n, rmse, mae, bias, r, crps, coverage. skill : against
    each of :data:`PEERS` with its interval. aqi : hits. brier : of the probabilities of exceeding an AQI, by the
    groups; reliability : the same by class of probability, over all. forecasts : how many; hindcasts : how many of
    them were computed afterwards. days : first and last valid day that has come.
    """

    values: pl.DataFrame
    skill: pl.DataFrame
    aqi: pl.DataFrame
    brier: pl.DataFrame
    reliability: pl.DataFrame
    forecasts: int
    hindcasts: int
    days: tuple[date, date]


def verify(
    workspace: result.Workspace,
    *,
    by: Sequence[str] = ("lead_day",),
    places: Sequence[str] | None = None,
    since: date | None = None,
    until: date | None = None,
) -> Checked:
    """Scores of the forecasts whose days have come; of several made on a day, the last counts.

    by : of :data:`qinglan.forecast.verify.BY`; concentrations are always told by item too. NotFound when nothing
    can be compared yet.
    """
    for name in by:
        if name not in pure.BY:
            raise UnknownName("group of scores", name, pure.BY)
    made = {today(f.made_at): f for f in reversed(forecasts(workspace))}
    if not made:
        raise NotFound("no forecast was made.", remedy="Make one: qinglan forecast run.")
    current = result.current(workspace)
    models = pl.concat([f.models() for f in made.values()])
    said = pl.concat([f.read().aqi for f in made.values()])
    days = pl.read_parquet(current.folder / "place_days.parquet").select("place", "day", *DAILY_ITEMS)
    seen = days.unpivot(DAILY_ITEMS, index=["place", "day"], variable_name="item", value_name="observed")
    index = pl.read_parquet(current.folder / "place_aqi.parquet").filter("in_force").select(
        "place", "day", observed="aqi", observed_level="level", observed_primary="primary_pollutant"
    )  # fmt: skip
    pairs = _wanted(models.join(seen.drop_nulls(), on=["place", "day", "item"]), places, since, until)
    told = _wanted(said.join(index.drop_nulls("observed"), on=["place", "day"]), places, since, until)
    if pairs.is_empty():
        raise NotFound("no day that was forecast has come yet.", remedy="Wait for it, or run the evaluation.")
    groups = [*dict.fromkeys(("item", *by))]
    own = pairs.filter(model=ISSUED)
    rng = np.random.default_rng(_SEED)
    skills = [
        pure.skill(own, pairs.filter(model=peer), groups, rng=rng).with_columns(against=pl.lit(peer))
        for peer in PEERS
    ]
    span = (pairs["day"].min(), pairs["day"].max())
    book = load_book("forecast", span[1])  # type: ignore[arg-type]
    whole = [g for g in by if g != "item"]
    chances = pure.probabilities(told, book)
    return Checked(
        pure.scores(own, groups).sort(groups),
        pl.concat(skills, how="diagonal_relaxed").sort(*groups, "against"),
        pure.index_scores(told, whole, book),
        pure.brier(chances, whole).sort(*whole, "top"),
        pure.reliability(chances),
        len(made),
        sum(bool(f.about["hindcast"]) for f in made.values()),
        span,  # type: ignore[arg-type]
    )


def _wanted(
    rows: pl.DataFrame, places: Sequence[str] | None, since: date | None, until: date | None
) -> pl.DataFrame:
    if places is not None:
        rows = rows.filter(pl.col("place").is_in(list(places)))
    if since is not None:
        rows = rows.filter(pl.col("day") >= since)
    if until is not None:
        rows = rows.filter(pl.col("day") <= until)
    return pure.with_season(rows)
