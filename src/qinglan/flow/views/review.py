"""What the pages of review show: the queue, a run beside its neighbours, a day, months, instruments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from qinglan.access.principal import within
from qinglan.air.neighbours import nearest
from qinglan.air.review import flag_runs
from qinglan.core.clock import DAY_SHIFT, HOUR, Period, day_and_hour, from_day_and_hour
from qinglan.core.errors import NotFound, UsageError
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow import review as acts
from qinglan.flow import workspace as opened
from qinglan.flow.views.result import Row
from qinglan.plan.rules import load_book
from qinglan.store import decisions, review, stations
from qinglan.store.files import Files
from qinglan.store.station_day import station_days

Workspace = opened.Workspace
STATUSES = ("open", "decided", "signed", "closed")
PROVISIONAL, REVIEWED, FINAL = "provisional", "reviewed", "final"
_CELL = ("station", "time", "item")
_UTC = pl.Datetime("us", "UTC")
_FLAGS = pl.Schema(
    [
        *((n, pl.String()) for n in ("station", "item", "rule", "state", "detail")),
        ("time", _UTC),
        ("value", pl.Float64()),
    ]
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What of the queue is asked for; empty: all. `place` holds for all places inside it."""

    place: str = ""
    station: str = ""
    item: str = ""
    rule: str = ""
    status: str = ""
    day: date | None = None


def queue(workspace: Workspace, asked: Asked, *, after: str = "", limit: int = 20) -> dict[str, Any]:
    """A page of the queue: `rows` (newest run first), `next` (cursor or empty), `total`, `counts` by status.

    after : the cursor of the page before; a cursor stays good while others decide.
    """
    runs = _queue(workspace)
    if asked.place:
        codes = {p for p in runs["place"].unique().to_list() if within(p, asked.place)}
        runs = runs.filter(pl.col("place").is_in(list(codes)))
    for name in ("station", "item", "rule"):
        if wanted := getattr(asked, name):
            runs = runs.filter(pl.col(name) == wanted)
    if asked.day is not None:
        runs = runs.filter((pl.col("first_day") <= asked.day) & (pl.col("last_day") >= asked.day))
    counts = {str(s): int(n) for s, n in runs["status"].value_counts().iter_rows()}
    if asked.status:
        runs = runs.filter(pl.col("status") == asked.status)
    total = runs.height
    if after:
        moment, name = _cursor(after)
        later = (pl.col("first") < moment) | ((pl.col("first") == moment) & (pl.col("name") > name))
        runs = runs.filter(later)
    rows = runs.head(limit).to_dicts()
    more = f"{rows[-1]['first'].isoformat()}~{rows[-1]['name']}" if runs.height > limit else ""
    return {"rows": rows, "next": more, "total": total, "counts": {s: counts.get(s, 0) for s in STATUSES}}


def _cursor(text: str) -> tuple[datetime, str]:
    """Where the page before ended; UsageError when that is no cursor of ours."""
    first, _, name = text.partition("~")
    try:
        moment: datetime | None = datetime.fromisoformat(first)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not name:
        raise UsageError(f"cursor {text!r} cannot be read.", remedy="Begin again at the first page.")
    return moment, name


def _queue(workspace: Workspace) -> pl.DataFrame:
    """All runs with their status; kept until flags or reviews change."""
    key = (workspace.lake.fingerprint("flags"), review.version(workspace.registry))
    return _judged(_Kept(workspace, key[0]), key)


@dataclass(frozen=True)
class _Kept:
    """A workspace as a key of a cache: equal when its folder and its flags are."""

    workspace: Workspace
    flags: str

    def __hash__(self) -> int:
        return hash((self.workspace.home, self.flags))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kept) and (self.workspace.home, self.flags) == (
            other.workspace.home,
            other.flags,
        )


@lru_cache(maxsize=2)
def _flags(kept: _Kept) -> pl.DataFrame:
    """All flags of the lake with the raw value that each speaks of."""
    lake = kept.workspace.lake
    paths: list[Path] = lake.paths("flags")
    if not paths:
        return pl.DataFrame(schema=_FLAGS)
    flags = pl.read_parquet(paths, hive_partitioning=False).with_columns(pl.col("time").cast(_UTC))
    hours = pl.scan_parquet(lake.paths("hours"), hive_partitioning=False)
    hours = hours.select("station", pl.col("time").cast(_UTC), *HOURLY_ITEMS)
    cells = flags.lazy().select("station", "time").unique()
    found = flags.join(
        hours.join(cells, on=["station", "time"], how="semi").collect(), on=["station", "time"], how="left"
    )
    value = pl.coalesce(*(pl.when(pl.col("item") == i).then(pl.col(i)) for i in HOURLY_ITEMS))
    return found.with_columns(value.alias("value")).select(*_FLAGS)


@lru_cache(maxsize=2)
def _judged(kept: _Kept, key: tuple[Any, ...]) -> pl.DataFrame:
    workspace = kept.workspace
    flags = pl.concat([_flags(kept), _doubted(workspace)])
    numbered = flag_runs(flags).join(_words(workspace), on=list(_CELL), how="left")
    # A word on the value (rule *) or on this rule; the newer counts.
    mine = numbered.filter(
        pl.col("word_rule").is_in([decisions.ANY_RULE]) | (pl.col("word_rule") == pl.col("rule"))
    )
    decided = mine.group_by("run").agg(pl.col("time").n_unique().alias("decided"))
    value = pl.col("value")
    runs = numbered.unique(["run", "time"]).group_by("run").agg(
        *(pl.col(c).first() for c in ("station", "item", "rule", "state")),
        pl.col("time").min().alias("first"), pl.col("time").max().alias("last"), pl.len().alias("hours"),
        value.min().alias("low"), value.max().alias("high"), pl.col("detail").sort_by("time").first(),
    ).join(decided, on="run", how="left").with_columns(pl.col("decided").fill_null(0))  # fmt: skip
    runs = runs.with_columns(
        (pl.col("first") + DAY_SHIFT).dt.date().alias("first_day"),
        (pl.col("last") + DAY_SHIFT).dt.date().alias("last_day"),
        pl.concat_str("station", "item", "rule", "state", separator="|").alias("name"),
    )
    return _with_status(workspace, runs).sort(["first", "name"], descending=[True, False])


def _with_status(workspace: Workspace, runs: pl.DataFrame) -> pl.DataFrame:
    register = {r["station"]: r["place"] for r in stations.stations(workspace.registry)}
    known = pl.DataFrame(
        {"station": list(register), "place": list(register.values())}, {"station": pl.String, "place": pl.String}
    )
    locked = {(r["place"], r["month"]) for r in review.locks(workspace.registry) if r["state"] == review.LOCKED}
    signed = [
        (s["station"], s["day"]) for s in review.signs(workspace.registry) if s["level"] == review.LEVELS[-1]
    ]
    last = {"station": pl.String, "last_day": pl.Date}
    days = pl.DataFrame(signed, last, orient="row").with_columns(pl.lit(True).alias("is_signed"))
    months = pl.DataFrame(sorted(locked), {"place": pl.String, "month": pl.String}, orient="row")
    months = months.with_columns(pl.lit(True).alias("is_locked"))
    runs = runs.join(known, on="station", how="left").with_columns(pl.col("place").fill_null(""))
    runs = runs.with_columns(pl.col("last_day").dt.strftime("%Y-%m").alias("month"))
    runs = runs.join(days, on=["station", "last_day"], how="left").join(months, on=["place", "month"], how="left")
    status = (
        pl.when(pl.col("decided") >= pl.col("hours")).then(pl.lit("decided"))
        .when(pl.col("is_locked")).then(pl.lit("closed"))
        .when(pl.col("is_signed")).then(pl.lit("signed")).otherwise(pl.lit("open"))
    )  # fmt: skip
    return runs.with_columns(status.alias("status")).drop("is_signed", "is_locked", "month", "run")


def _words(workspace: Workspace) -> pl.DataFrame:
    """Which values and rules people have spoken about."""
    rows = [(r["station"], r["time"], r["item"], r["rule"]) for r in decisions.flag_decisions(workspace.registry)]
    kinds = pl.Schema(
        [("station", pl.String()), ("time", _UTC), ("item", pl.String()), ("word_rule", pl.String())]
    )
    return pl.DataFrame(rows, kinds, orient="row")


def _doubted(workspace: Workspace) -> pl.DataFrame:
    """Hours put into the queue because of a failed check, as flags."""
    rows = [
        (d["station"], d["item"], acts.CHECK_RULE, "doubtful", f"#{d['record']}", d["first"] + k * HOUR, None)
        for d in review.doubts(workspace.registry)
        for k in range(int((d["last"] - d["first"]) / HOUR) + 1)
    ]
    return pl.DataFrame(rows, _FLAGS, orient="row")


def history(workspace: Workspace, station: str, item: str, first: datetime, last: datetime) -> list[Row]:
    """Decisions ever taken on hours of an item, oldest first, one row for each act."""
    found: dict[tuple[Any, ...], Row] = {}
    for row in decisions.decisions_between(workspace.registry, station, first, last):
        if item and row["item"] != item:
            continue
        key = tuple(row[n] for n in ("item", "rule", "decision", "reason", "by", "at"))
        act = found.setdefault(key, {**row, "first": row["time"], "last": row["time"], "hours": 0})
        act["first"], act["last"] = min(act["first"], row["time"]), max(act["last"], row["time"])
        act["hours"] += 1
    return list(found.values())


def plot(
    workspace: Workspace, station: str, item: str, first: datetime, last: datetime, *, margin: int = 36
) -> dict[str, Any]:
    """Hours around a run: `times`; `station` as reported, each item's values in this order; `around` the median of
    the item at the `others` (stations of the place, or the nearest); `span` first and last of the run.

    margin : hours on either side.
    """
    day = day_and_hour(last)[0]
    rows = stations.stations(workspace.registry)
    home = next((r for r in rows if r["station"] == station), None)
    rows = [r for r in rows if (r["valid_from"] or day) <= day <= (r["valid_to"] or day) or r is home]
    near: list[str] = []
    if home is not None:
        near = [r["station"] for r in rows if r["place"] == home["place"] and r["station"] != station]
        if len(near) < 2:
            positions = {
                r["station"]: (r["lon"], r["lat"]) for r in rows if r["lon"] is not None and r["lat"] is not None
            }
            near = list(nearest(positions, book=load_book("qc", day)).get(station, ()))
    begin, end = first - margin * HOUR, last + margin * HOUR
    frame = station_days(
        workspace.lake, "hours", ("station", "time", *HOURLY_ITEMS), first=day_and_hour(begin)[0],
        last=day_and_hour(end)[0], stations=[station, *near],
    )  # fmt: skip
    frame = frame.filter((pl.col("time") >= begin) & (pl.col("time") <= end)).sort("time")
    own = frame.filter(pl.col("station") == station)
    others = frame.filter((pl.col("station") != station) & pl.col(item).is_not_null())
    middle = others.group_by("time").agg(pl.col(item).median()).sort("time")
    around: dict[datetime, float] = dict(middle.iter_rows())
    times = [begin + k * HOUR for k in range(int((end - begin) / HOUR) + 1)]
    values = {i: dict(zip(own["time"].to_list(), own[i].to_list(), strict=True)) for i in HOURLY_ITEMS}
    return {
        "times": times,
        "station": {i: [values[i].get(t) for t in times] for i in HOURLY_ITEMS},
        "around": [around.get(t) for t in times],
        "others": near,
        "span": (first, last),
    }


def day_review(workspace: Workspace, station: str, day: date) -> dict[str, Any]:
    """A station's day as its reviewers see it: `signs` by level (with `stale` where the hours changed since), all
    that was withdrawn, decisions, `gatherers`, the state."""
    facts = acts.gathered(workspace, [station], day, day).get((station, day), {"seen": "", "gatherers": {}})
    signed = review.signs(workspace.registry, station=station, first=day, last=day, history=True)
    live = {s["level"]: {**s, "stale": s["seen"] != facts["seen"]} for s in signed if s["live"]}
    first, last = from_day_and_hour(day, 1), from_day_and_hour(day, 24)
    return {
        "signs": live,
        "withdrawn": [s for s in signed if not s["live"]],
        "gatherers": facts["gatherers"],
        "history": history(workspace, station, "", first, last),
        "state": state_of(workspace, station=station, day=day),
    }


def state_of(
    workspace: Any, *, place: str | None = None, station: str | None = None,
    day: date | None = None, month: str | None = None,
) -> Row:  # fmt: skip
    """What a number stands on: ``{"state": provisional|reviewed|final, "by", "at", "exceptions"}``.

    A station and a day; a place (all places inside it that have stations) and a day or a month ``YYYY-MM``.
    A day is `reviewed` when the province has signed it and `final` when its month is locked.
    """
    nothing: Row = {"state": PROVISIONAL, "by": "", "at": None, "exceptions": 0}
    if not isinstance(workspace, Workspace):
        return nothing
    wanted = month or (f"{day:%Y-%m}" if day else "")
    register = stations.stations(workspace.registry)
    chosen = [r for r in register if (r["station"] == station if station else within(r["place"], place or ""))]
    if not chosen or not wanted:
        return nothing
    places = {r["place"] for r in chosen}
    held = {r["place"]: r for r in review.locks(workspace.registry, month=wanted) if r["state"] == review.LOCKED}
    if places <= set(held):
        newest = max((held[p] for p in places), key=lambda r: r["at"])
        said = sum(len(held[p]["exceptions"]) for p in places)
        return {"state": FINAL, "by": newest["by"], "at": newest["at"], "exceptions": said}
    if day is not None:
        names = {r["station"] for r in chosen}
        signed = review.signs(workspace.registry, station=station, first=day, last=day)
        top = [s for s in signed if s["level"] == review.LEVELS[-1] and s["station"] in names]
        if {s["station"] for s in top} == names:
            return {**nothing, "state": REVIEWED, "by": top[-1]["by"], "at": top[-1]["at"]}
    return nothing


def months(workspace: Workspace, month: str, place: str = "") -> list[Row]:
    """Each place with stations in a month: `expected` station days, how many are signed at each level, `lock`
    (the newest act, or None), `open_stations` with days that the province has not signed."""
    period = Period.parse(month)
    signed: dict[tuple[str, str], set[date]] = {}
    for s in review.signs(workspace.registry, first=period.start, last=period.end):
        signed.setdefault((s["station"], s["level"]), set()).add(s["day"])
    held = {r["place"]: r for r in review.locks(workspace.registry, month=month)}
    by_place: dict[str, list[Row]] = {}
    for row in stations.stations(workspace.registry):
        if not place or within(row["place"], place):
            by_place.setdefault(row["place"], []).append(row)
    made = []
    for code, rows in sorted(by_place.items()):
        expected = {r["station"]: _in_service(r, period) for r in rows}
        total = sum(expected.values())
        if not total:
            continue
        done = {level: sum(len(signed.get((r["station"], level), ())) for r in rows) for level in review.LEVELS}
        missing = [
            {
                "station": r["station"],
                "name": r["name"],
                "days": n - len(signed.get((r["station"], review.LEVELS[-1]), ())),
            }
            for r in rows
            if (n := expected[r["station"]]) > len(signed.get((r["station"], review.LEVELS[-1]), ()))
        ]
        made.append(
            {"place": code, **workspace.named(code), "stations": len(rows), "expected": total, "signed": done,
             "lock": held.get(code), "open_stations": missing}
        )  # fmt: skip
    return made


def _in_service(row: Mapping[str, Any], period: Period) -> int:
    begin = max(period.start, row["valid_from"] or period.start)
    return max(0, (min(period.end, row["valid_to"] or period.end) - begin).days + 1)


def instruments(workspace: Workspace, *, station: str = "", item: str = "") -> list[Row]:
    """Checks of instruments, newest first; a failed one with `doubtful` (first, last hour end) and `queued`."""
    rows = review.checks(workspace.registry, station=station or None, item=item or None)
    queued = {d["record"] for d in review.doubts(workspace.registry)}
    made = []
    for row in rows:
        span = None if row["passed"] else acts.doubtful_hours(workspace, row["id"])[1:]
        made.append({**row, "doubtful": span, "queued": row["id"] in queued})
    return made


def locks(workspace: Workspace, place: str = "", month: str | None = None) -> list[Row]:
    """Every locking and reopening, newest first."""
    rows = review.locks(workspace.registry, month=month, history=True)
    return [r for r in reversed(rows) if not place or within(r["place"], place)]


def register(workspace: Workspace) -> list[Row]:
    """The stations as they are registered now."""
    return stations.stations(workspace.registry)


def hours(workspace: Workspace, station: str, day: date) -> list[Row]:
    """A station's 24 hours as reported, each with `states` after control: ``{hour, values, states, load_id}``."""
    reported = {r["hour"]: r for r in workspace.station_hours("hours", station, day)}
    checked = {r["hour"]: r for r in workspace.station_hours("checked", station, day)}
    nothing: Row = {}
    return [
        {
            "hour": hour,
            "values": {i: reported.get(hour, nothing).get(i) for i in HOURLY_ITEMS},
            "states": {i: checked.get(hour, nothing).get(f"{i}_state") for i in HOURLY_ITEMS},
            "load_id": reported.get(hour, nothing).get("load_id"),
        }
        for hour in range(1, 25)
    ]


def attachment(workspace: Workspace, number: int) -> bytes:
    """The bytes handed in with a check; NotFound when there are none."""
    found = next((r for r in review.checks(workspace.registry) if r["id"] == number), None)
    if found is None or not found["attachment"]:
        raise NotFound(f"check {number} has no attachment.")
    return Files(workspace.home).open(found["attachment"])
