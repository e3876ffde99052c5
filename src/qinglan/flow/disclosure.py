"""The watch over disclosure: HJ 633's times for hourly, daily and forecast values, and how they were kept.

An hour is disclosed when the load that first brought it was finished; a day when the first run that covers it was
shown or, sooner, its daily bulletin was issued. What ended before the first load began is history that was brought
in later: it is counted apart and says nothing about timeliness.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from qinglan.core.clock import CST, HOUR, Period, day_and_hour, today
from qinglan.core.errors import UsageError
from qinglan.flow.workspace import Workspace
from qinglan.plan.rules import load_book
from qinglan.store import loads, registry, runs, stations
from qinglan.store.station_day import station_days

Row = dict[str, Any]
_UTC = pl.Datetime("us", "UTC")
#: Events of publications that disclose a day, and of a forecast.
ISSUED, FORECAST = "publication.issued", "forecast.issued"
_LISTED = 200


def limits(on: date) -> dict[str, Row | None]:
    """The times of HJ 633 on a date: value, unit and source by name; None where the edition says nothing."""
    book = load_book("hj633", on)
    found: dict[str, Row | None] = {}
    for name in ("hourly_lag_max", "daily_by_hour", "forecast_days_min", "forecast_by_hour"):
        key = f"timing.{name}"
        value = book.get(key) if book.has(key) else None
        found[name] = (
            None
            if value is None
            else {"value": value.value, "unit": value.unit, "source": value.source, "edition": book.edition}
        )
    return found


def watch(workspace: Workspace, first: date, last: date, *, now: datetime) -> dict[str, Any]:
    """How the times were kept from `first` to `last` (statistical days, at most 366).

    Returns ``limits``; ``since`` (when the first load began, None before); ``hours`` with `due`, `in_time`,
    `late`, `missing`, `history`, `share` [%], `worst` [hours]; the same ``by_place`` and ``by_day``; ``late`` (the
    worst, at most 200); ``days`` with `day, deadline, at, state` (in_time, late, waiting, history, no_limit);
    ``forecasts`` (events).
    """
    if last < first or (last - first).days > 366:
        raise UsageError(f"cannot watch {first} to {last}.", remedy="Ask for one day to a year.")
    done = [r for r in loads.loads(workspace.registry) if r["finished_at"] is not None]
    since = min((r["started_at"] for r in done), default=None)
    hours = _hours(workspace, Period(first, last), {r["id"]: r["finished_at"] for r in done}, since, now)
    return {
        "limits": limits(last),
        "since": since,
        "hours": _counted(hours),
        "by_place": _split(hours, "place"),
        "by_day": _split(hours, "day"),
        "late": _worst(hours),
        "days": _days(workspace, first, last, since, now),
        "forecasts": registry.events(workspace.registry, what=FORECAST),
    }


def _hours(
    workspace: Workspace, period: Period, finished: Mapping[str, datetime], since: datetime | None, now: datetime
) -> pl.DataFrame:
    """Every hour due: station, place, time, day, at (first brought, or null), lag [hours], state."""
    parts = [
        station_days(workspace.lake, name, ("station", "time", "load_id"), first=period.start, last=period.end)
        for name in ("hours", "hours_superseded")
    ]
    kinds = pl.Schema([("load_id", pl.String()), ("at", _UTC)])
    brought = pl.DataFrame(list(finished.items()), kinds, orient="row")
    came = (
        pl.concat(parts)
        .join(brought, on="load_id", how="left")
        .group_by("station", "time")
        .agg(pl.col("at").min())
    )
    frame = _due(workspace, period, now).join(came, on=["station", "time"], how="left")
    frame = frame.with_columns(
        ((pl.coalesce("at", pl.lit(now, _UTC)) - pl.col("time")).dt.total_seconds() / 3600).alias("lag")
    )
    limit = limits(period.end)["hourly_lag_max"]
    most = float(limit["value"]) if limit else float("inf")
    old = pl.lit(since is None) if since is None else pl.col("time") < pl.lit(since, _UTC)
    absent, prompt = pl.col("at").is_null(), pl.col("lag") <= most
    state = (
        pl.when(old).then(pl.lit("history"))
        .when(prompt & absent).then(pl.lit("waiting")).when(prompt).then(pl.lit("in_time"))
        .when(absent).then(pl.lit("missing")).otherwise(pl.lit("late"))
    )  # fmt: skip
    return frame.with_columns(state.alias("state"))


def _due(workspace: Workspace, period: Period, now: datetime) -> pl.DataFrame:
    """Station and hour of every station in service, up to now."""
    end = min(period.end, day_and_hour(now)[0])
    rows = []
    for row in stations.stations(workspace.registry):
        begin, until = max(period.start, row["valid_from"] or period.start), min(end, row["valid_to"] or end)
        if begin <= until:
            rows.append((row["station"], row["place"], begin, until))
    kinds = {"station": pl.String, "place": pl.String, "begin": pl.Date, "until": pl.Date}
    frame = pl.DataFrame(rows, kinds, orient="row").with_columns(pl.date_ranges("begin", "until").alias("day"))
    frame = frame.explode("day").drop("begin", "until").drop_nulls("day")
    hour = pl.DataFrame({"hour": list(range(1, 25))}, {"hour": pl.Int64})
    time = pl.col("day").cast(_UTC) + pl.duration(hours=pl.col("hour") - 8)
    frame = frame.join(hour, how="cross").with_columns(time.cast(_UTC).alias("time")).drop("hour")
    return frame.filter(pl.col("time") <= now)


def _counted(hours: pl.DataFrame) -> Row:
    counts = dict.fromkeys(("in_time", "late", "missing", "history", "waiting"), 0)
    counts.update({str(s): int(n) for s, n in hours["state"].value_counts().iter_rows()})
    due = counts["in_time"] + counts["late"] + counts["missing"]
    lag = hours.filter(pl.col("state").is_in(["in_time", "late"]))["lag"].max()
    share = round(100 * counts["in_time"] / due, 1) if due else None
    return {**counts, "due": due, "share": share, "worst": lag}


def _split(hours: pl.DataFrame, by: str) -> list[Row]:
    if hours.is_empty():
        return []
    return [{by: key, **_counted(part)} for (key,), part in sorted(hours.partition_by(by, as_dict=True).items())]


def _worst(hours: pl.DataFrame) -> list[Row]:
    late = hours.filter(pl.col("state").is_in(["late", "missing"])).sort(
        ["lag", "station"], descending=[True, False]
    )
    return late.head(_LISTED).to_dicts()


def _days(workspace: Workspace, first: date, last: date, since: datetime | None, now: datetime) -> list[Row]:
    """When each day's value was first shown, against the hour of the next day by which it must be."""
    shown = []
    for row in runs.runs(workspace.registry, "run"):
        said = (row["json"].get("arguments") or {}).get("as_of")
        if said:
            shown.append((date.fromisoformat(said), row["at"]))
    for event in registry.events(workspace.registry, what=ISSUED):
        detail = event["detail"]
        if detail.get("kind") == "daily" and detail.get("period"):
            shown.append((Period.parse(detail["period"]).end, event["at"]))
    made, day = [], first
    while day <= min(last, today(now) - timedelta(days=1)):
        limit = limits(day)["daily_by_hour"]
        due = None
        if limit is not None:
            due = datetime(day.year, day.month, day.day, tzinfo=CST) + timedelta(days=1) + limit["value"] * HOUR
        at = min((moment for until, moment in shown if until >= day), default=None)
        made.append({"day": day, "deadline": due, "at": at, "state": _state(due, at, since, now)})
        day += timedelta(days=1)
    return made


def _state(due: datetime | None, at: datetime | None, since: datetime | None, now: datetime) -> str:
    if due is None:
        return "no_limit"
    if since is None or due < since:
        return "history"
    if at is None:
        return "waiting" if now <= due else "missing"
    return "in_time" if at <= due else "late"
