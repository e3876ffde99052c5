"""Forecasts of hours held to the hours that came since, by groups of lead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from qinglan.core.clock import HOUR
from qinglan.core.errors import NotFound
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow.forecasts import hourly
from qinglan.flow.forecasts.reading import ISSUED
from qinglan.flow.forecasts.station_hours import known_hours
from qinglan.flow.views import result
from qinglan.forecast import verify as pure

#: Ends of the groups of leads [h].
GROUPS = (1, 6, 12, 24, 48, 72)
#: Newest forecasts that are looked at: those of two months, one each day.
MOST = 60


@dataclass(frozen=True)
class CheckedHours:
    """Scores by item and `lead_group` (its last hour): of :func:`forecast.verify.scores`, and `skill_<peer>`.

    forecasts : how many; since, until : first and last hour that has come.
    """

    scores: pl.DataFrame
    forecasts: int
    since: datetime
    until: datetime


def verify(workspace: result.Workspace) -> CheckedHours:
    """Scores of the newest forecasts whose hours have come; NotFound when there is nothing to compare yet."""
    made = hourly.forecasts(workspace)[:MOST]
    if not made:
        raise NotFound("no forecast of hours was made.", remedy="Make one: qinglan forecast run --hours.")
    first = min(found.made_at for found in made)
    last = max(datetime.fromisoformat(found.about["hours"][-1]) for found in made)
    data = known_hours(workspace, last, round((last - first) / HOUR))
    seen = data.frame(round((last - first) / HOUR)).unpivot(
        HOURLY_ITEMS, index=["station", "time"], variable_name="item", value_name="observed"
    )
    said = pl.concat([found.models() for found in made])
    group = pl.lit(None, pl.Int64)
    for end in reversed(GROUPS):
        group = pl.when(pl.col("lead_hour") <= end).then(end).otherwise(group)
    pairs = said.join(seen.drop_nulls(), on=["station", "time", "item"]).with_columns(lead_group=group)
    if pairs.is_empty():
        raise NotFound("no hour that was forecast has come yet.", remedy="Wait for it, or run the evaluation.")
    by = ["item", "lead_group"]
    scores = pure.scores(pairs.filter(model=ISSUED), by)
    for peer in hourly.PEERS:
        theirs = pairs.filter(model=peer)
        if theirs.is_empty():
            continue
        other = pure.scores(theirs, by).select(*by, other="crps")
        skill = (1 - pl.col("crps") / pl.col("other")).alias(f"skill_{peer}")
        scores = scores.join(other, on=by, how="left").with_columns(skill).drop("other")
    return CheckedHours(scores.sort(by), len(made), pairs["time"].min(), pairs["time"].max())  # type: ignore[arg-type]
