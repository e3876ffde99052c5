"""Sources of data and how they keep their time: each feed (data set and layout), each prefecture's stations.

What is expected comes from the register (stations in service, hour by hour) and from the law: a day counts with
the hours that GB 3095 asks for. When a source is called late, silent or failing stands in the console's settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import ibis
import polars as pl

from qinglan.core.clock import CST, HOUR, day_and_hour, midnight
from qinglan.core.tables import dataset
from qinglan.flow import console_settings, operations
from qinglan.flow.workspace import Workspace
from qinglan.plan.rules import load_book
from qinglan.store import loads, stations

Row = dict[str, Any]
OK, LATE, SILENT, FAILING, IDLE = "ok", "late", "silent", "failing", "idle"
#: The worst first: in this order a page lists them.
STATES = (FAILING, SILENT, LATE, IDLE, OK)
_DATASETS = ("hours", "city_days", "published", "weather")
#: A layout that loaded on fewer days than this was brought in by hand: nothing says that more will come.
_REGULAR = 3
_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_SCHEMA: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "unit": pl.String,
    "load_id": pl.String,
    "newest": pl.Datetime("us", "UTC"),
    "day": pl.Int64,
    "week": pl.Int64,
}


@dataclass(frozen=True, slots=True)
class _Expected:
    """Rows that should have come in the last day and week, of the units that are in service."""

    day: int
    week: int


def feeds(workspace: Workspace, now: datetime) -> list[Row]:
    """Every source, the worst first.

    ``kind`` (feed or group), ``id``, ``place`` (of a group), ``dataset``, ``layout``, ``cadence`` (hour, day or
    irregular), ``units`` (stations or places expected), ``newest`` (end of the newest hour or day), ``arrived``
    (end of the load that brought it), ``lag`` [h], ``share_day`` and ``share_week`` [% of what was expected],
    ``load`` (the last one, with its rows and rejects; None for a group), ``next`` (when a job fetches it next),
    ``state`` and ``reasons`` (name and numbers of each thing that is wrong).
    """
    limits = console_settings.numbers(workspace)
    whole = float(load_book("gb3095", day_and_hour(now)[0]).number("validity.day.hours_min"))
    judge = _Judge(now, limits, round(100 * whole / 24, 1))
    book = {row["id"]: row for row in loads.loads(workspace.registry)}
    register = stations.stations(workspace.registry)
    found: list[Row] = []
    for name in _DATASETS:
        arrived = _arrivals(workspace, name, now)
        if arrived.height:
            found += _feeds_of(name, arrived, book, register, judge)
    found += _groups(_arrivals(workspace, "hours", now), book, register, judge)
    fetched = _fetched(workspace, now)
    for row in found:
        row["next"] = fetched.get(row["layout"])
    return sorted(found, key=lambda r: (STATES.index(r["state"]), r["kind"], r["id"]))


def _arrivals(workspace: Workspace, name: str, now: datetime) -> pl.DataFrame:
    """For each station (or place) and load: its newest time, and its rows of the last day and week."""
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    version = tuple(f.path for f in workspace.lake.catalogue.live(name))
    return _read(workspace, name, version, hour) if version else pl.DataFrame(schema=_SCHEMA)


@lru_cache(maxsize=8)
def _read(workspace: Workspace, name: str, version: tuple[str, ...], hour: datetime) -> pl.DataFrame:
    """`version` only keys the cache: the files that were there."""
    contract = dataset(name)
    con = workspace.lake.connect()
    try:
        table = workspace.lake.table(name, con=con)
        when = contract.key[1]
        # A day is there when it is over: what is read of it lies within the day that ends at its midnight.
        edge = day_and_hour(hour)[0] if when == "day" else hour
        mark = table[when]
        said = ibis.or_(*(table[v].notnull() for v in contract.values))
        counts = {
            n: (said & ((mark >= edge - span) & (mark < edge) if when == "day" else
                        (mark > edge - span) & (mark <= edge))).sum()
            for n, span in (("day", _DAY), ("week", _WEEK))
        }  # fmt: skip
        made = table.group_by(unit=table[contract.key[0]], load_id=table.load_id).aggregate(
            newest=mark.max(), **counts
        )
        frame = pl.DataFrame(con.to_pyarrow(made))
    finally:
        con.disconnect()
    if when == "day":
        end = pl.col("newest").cast(pl.Date).cast(pl.Datetime("us", "UTC")) + (_DAY - CST.utcoffset(None))
        frame = frame.with_columns(end.alias("newest"))
    return frame.select(pl.col(n).cast(kind) for n, kind in _SCHEMA.items())


def _feeds_of(
    name: str, arrived: pl.DataFrame, book: Mapping[str, Row], register: Sequence[Row], judge: _Judge
) -> list[Row]:
    """A row for each layout that ever brought rows of a data set."""
    layout = {load: row["layout"] for load, row in book.items() if row["layout"] != "repair"}
    frame = arrived.with_columns(pl.col("load_id").replace_strict(layout, default="").alias("layout"))
    newest = frame.filter(pl.col("layout") != "").sort("newest").group_by("unit").last()
    daily, made = dataset(name).key[1] == "day", []
    for (each,), part in sorted(frame.filter(pl.col("layout") != "").partition_by("layout", as_dict=True).items()):
        own = set(newest.filter(pl.col("layout") == each)["unit"].to_list())
        every = [row for row in book.values() if row["layout"] == each]
        days = {row["started_at"].date() for row in every}
        known = [r for r in register if r["station"] in own]
        expected = _Expected(len(own), 7 * len(own)) if daily else judge.expected(known)
        last = max(every, key=lambda row: row["started_at"])
        made.append(
            judge.row(
                {"kind": "feed", "id": f"{name}:{each}", "place": "", "dataset": name, "layout": each,
                 "cadence": "irregular" if len(days) < _REGULAR else "day" if daily else "hour",
                 "units": len(own)},
                part.filter(pl.col("unit").is_in(list(own))) if own else part, book, expected, last,
            )
        )  # fmt: skip
    return made


def _groups(arrived: pl.DataFrame, book: Mapping[str, Row], register: Sequence[Row], judge: _Judge) -> list[Row]:
    """A row for the stations in service of each prefecture."""
    today, made = day_and_hour(judge.now)[0], []
    serving = [r for r in register if (r["valid_from"] or today) <= today <= (r["valid_to"] or today)]
    for home in sorted({f"{r['place'][:4]}00" for r in serving}):
        own = [r for r in serving if r["place"].startswith(home[:4])]
        part = arrived.filter(pl.col("unit").is_in([r["station"] for r in own]))
        brought = part.sort("newest")["load_id"].to_list()
        layout = book[brought[-1]]["layout"] if brought and brought[-1] in book else ""
        row = {"kind": "group", "id": home, "place": home, "dataset": "hours", "layout": layout, "cadence": "hour",
               "units": len(own), "quiet": judge.quiet(part, own)}  # fmt: skip
        made.append(judge.row(row, part, book, judge.expected(own), None))
    return made


@dataclass(frozen=True, slots=True)
class _Judge:
    """now, the console's thresholds, and the share of hours that makes a day valid [%], rounded as shares are."""

    now: datetime
    limits: Mapping[str, float]
    share: float

    def expected(self, rows: Sequence[Row]) -> _Expected:
        """Hours that ended in the last day and week within the service of these stations."""
        edge = self.now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)

        def due(row: Row, span: timedelta) -> int:
            begin, end = edge - span, edge
            if row["valid_from"]:
                begin = max(begin, midnight(row["valid_from"]))
            if row["valid_to"]:
                end = min(end, midnight(row["valid_to"]) + _DAY)
            return max(0, round((end - begin) / HOUR))

        return _Expected(sum(due(r, _DAY) for r in rows), sum(due(r, _WEEK) for r in rows))

    def quiet(self, part: pl.DataFrame, rows: Sequence[Row]) -> list[str]:
        """Stations of which nothing came for longer than an hourly source may be silent."""
        edge = self.now - self.limits["health.hourly_silent"] * HOUR
        heard = set(part.filter(pl.col("newest") >= edge)["unit"].to_list())
        return [r["station"] for r in rows if r["station"] not in heard]

    def row(
        self, row: Row, part: pl.DataFrame, book: Mapping[str, Row], expected: _Expected, last: Row | None
    ) -> Row:
        """The row with what came, what was expected, and what to call that."""
        newest = part.sort("newest").tail(1).to_dicts()
        at = newest[0]["newest"] if newest else None
        load = book.get(newest[0]["load_id"]) if newest else None
        made = {
            **row,
            "newest": at,
            "arrived": load["finished_at"] if load else None,
            "lag": None if at is None else max(0.0, (self.now - at) / HOUR),
            "share_day": _percent(part["day"].sum(), expected.day),
            "share_week": _percent(part["week"].sum(), expected.week),
            "load": None if last is None else _told(last),
        }
        state, reasons = self._state(made)
        return {**made, "state": state, "reasons": reasons}

    def _state(self, row: Row) -> tuple[str, list[tuple[str, Row]]]:
        reasons: list[tuple[str, Row]] = []
        load, kind = row["load"], "daily" if row["cadence"] == "day" else "hourly"
        broken = load is not None and load["status"] in (loads.FAILED, loads.INTERRUPTED)
        if broken:
            reasons.append(("failed", {"load": load["id"]}))
        share = None if load is None or not load["read"] else 100 * load["rejected"] / load["read"]
        spoilt = share is not None and share > self.limits["health.reject_share"]
        if spoilt and share is not None:
            reasons.append(("rejects", {"share": round(share, 1)}))
        if row["lag"] is None:
            reasons.append(("never", {}))
            return SILENT, reasons
        if row["cadence"] == "irregular":
            return (FAILING if broken or spoilt else IDLE), reasons or [("once", {})]
        silent, late = (row["lag"] > self.limits[f"health.{kind}_{n}"] for n in ("silent", "late"))
        if silent or late:
            reasons.append(("silent" if silent else "late", {"hours": round(row["lag"])}))
        quiet = row.get("quiet", ())
        if quiet and not silent:
            reasons.append(("stations", {"n": len(quiet), "names": ", ".join(quiet[:5])}))
        thin = not silent and row["share_day"] is not None and row["share_day"] < self.share
        if thin:
            reasons.append(("thin", {"share": row["share_day"], "least": self.share}))
        state = FAILING if broken or spoilt else SILENT if silent else LATE if late or thin or quiet else OK
        return state, reasons


def _percent(count: Any, of: int) -> float | None:
    return None if of <= 0 else round(min(100.0, 100 * int(count or 0) / of), 1)


def _told(load: Row) -> Row:
    counts = load["counts"] or {}
    return {
        "id": load["id"], "status": load["status"], "at": load["finished_at"] or load["started_at"],
        "read": int(counts.get("read") or 0), "rejected": int(counts.get("rejected") or 0),
    }  # fmt: skip


def _fetched(workspace: Workspace, now: datetime) -> dict[str, datetime]:
    """When a job next loads files of a layout."""
    return {
        str(job["arguments"].get("layout", "")): job["next"]
        for job in operations.jobs(workspace, now)
        if job["action"] == "ingest" and job["next"] is not None
    }
