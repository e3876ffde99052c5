"""What reviewers do: sign days, decide on runs of hours, lock and reopen months, record checks of instruments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import polars as pl

from qinglan.air import qc
from qinglan.air.review import deviation, doubtful
from qinglan.core.clock import Period, day_and_hour, from_day_and_hour, today
from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.core.names import HOURLY_ITEMS
from qinglan.core.provenance import fingerprint
from qinglan.flow.workspace import Workspace
from qinglan.plan import content
from qinglan.store import decisions, loads, review, stations
from qinglan.store.files import Files
from qinglan.store.review import LEVELS, ReviewRefused, StationDay
from qinglan.store.station_day import station_days as lake_days

__all__ = [
    "LEVELS",
    "Check",
    "ReviewRefused",
    "check_kinds",
    "decide_run",
    "doubt",
    "lock",
    "record",
    "reopen",
    "sign",
]

Row = dict[str, Any]
#: The rule under which hours stand in the queue that somebody put there because of a failed check.
CHECK_RULE = "instrument_check"
#: Seconds that locking a month waits for a load to end.
_PATIENCE = 5.0


@cache
def check_kinds() -> Mapping[str, Any]:
    """Kinds of checks with their tolerances, and the option by which limit a record is judged."""
    found: Mapping[str, Any] = content.read("review", "checks")
    return found


@cache
def levels() -> tuple[Mapping[str, str], ...]:
    """The levels of review with their names, in order."""
    return tuple(content.read("review", "levels")["levels"])


def station_row(workspace: Workspace, name: str) -> Row:
    """The register's row of a station by code, name or alias; UnknownName otherwise."""
    code = workspace.station_lookup()(name)
    found = [r for r in stations.stations(workspace.registry) if r["station"] == code]
    if not found:
        raise UnknownName("station", name)
    return found[0]


def gathered(workspace: Workspace, codes: Sequence[str], first: date, last: date) -> dict[tuple[str, date], Row]:
    """For each station day that has hours: `seen` (their fingerprint) and `gatherers` (who loaded, by which load).

    Who loaded a value that a later load replaced gathered these hours too.
    """
    names = ["station", "day", "hour", *HOURLY_ITEMS, "load_id"]
    span: dict[str, Any] = {"first": first, "last": last, "stations": codes}
    now = lake_days(workspace.lake, "hours", names, **span)
    old = lake_days(workspace.lake, "hours_superseded", ["station", "day", "load_id"], **span)
    pairs = pl.concat([now.select("station", "day", "load_id"), old.select("station", "day", "load_id")]).unique()
    who = loads.loaders(workspace.registry, pairs["load_id"].unique().to_list())
    found: dict[tuple[str, date], Row] = {}
    for (station, day), rows in now.sort("hour").partition_by("station", "day", as_dict=True).items():
        said = rows.select("hour", *HOURLY_ITEMS).rows()
        found[str(station), _as_date(day)] = {"seen": fingerprint([list(r) for r in said]), "gatherers": {}}
    for station, day, load in pairs.sort("load_id").iter_rows():
        row = found.setdefault((station, day), {"seen": "", "gatherers": {}})
        if load in who:
            row["gatherers"][who[load]] = load
    return found


def _as_date(value: Any) -> date:
    assert isinstance(value, date)
    return value


def station_days(workspace: Workspace, rows: Sequence[Row], first: date, last: date) -> list[StationDay]:
    """The station days that should be reviewed: of stations in service, with what their hours say now."""
    facts = gathered(workspace, [r["station"] for r in rows], first, last)
    made = []
    for row in rows:
        begin, end = max(first, row["valid_from"] or first), min(last, row["valid_to"] or last)
        for k in range((end - begin).days + 1):
            day = begin + timedelta(days=k)
            fact = facts.get((row["station"], day), {"seen": "", "gatherers": {}})
            made.append(StationDay(row["station"], row["place"], day, fact["seen"], fact["gatherers"]))
    return made


def sign(
    workspace: Workspace,
    station: str,
    first: date,
    last: date,
    level: str,
    *,
    remark: str,
    who: str,
    now: datetime,
) -> int:
    """Sign a station's days at a level; how many. Raises ReviewRefused and UsageError (a day that is not over)."""
    if last < first:
        raise UsageError(f"the last day {last} is before the first {first}.")
    if last >= today(now):
        raise UsageError(f"{last} is not over yet.", remedy="Review days that are over.")
    if (last - first).days > 400:
        raise UsageError(f"{(last - first).days + 1} days at once.", remedy="Sign a year at most.")
    row = station_row(workspace, station)
    days = station_days(workspace, [row], first, last)
    return review.sign_days(workspace.registry, days, level, remark=remark, who=who, at=now)


def decide_run(
    workspace: Workspace, station: str, item: str, rule: str, first: datetime, last: datetime, decision: str, *,
    reason: str, who: str, level: str = "prefecture",
) -> int:  # fmt: skip
    """Decide on the hours of a run at once: those the rule flagged (or, for ``*`` and doubted hours, all that were
    reported) from `first` to `last` (UTC hour ends). How many hours; NotFound when there are none."""
    if item not in HOURLY_ITEMS:
        raise UnknownName("item", item, HOURLY_ITEMS)
    code = station_row(workspace, station)["station"]
    whole = rule in (decisions.ANY_RULE, CHECK_RULE)
    if not whole and rule not in qc.ALL_RULES:
        raise UnknownName("quality rule", rule, (decisions.ANY_RULE, *qc.ALL_RULES))
    con = workspace.lake.connect()
    try:
        days = (day_and_hour(first)[0], day_and_hour(last)[0])
        table = workspace.lake.table(
            "hours" if whole else "flags", con=con, first=days[0], last=days[1], stations=[code]
        )
        if not whole:
            table = table.filter((table.item == item) & (table.rule == rule))
        found = sorted(set(table.select("time").to_pyarrow()["time"].to_pylist()))
    finally:
        con.disconnect()
    times = [t for t in found if first <= t <= last]
    if not times:
        raise NotFound(f"{code} has no hour of {item} under {rule} from {first} to {last}.")
    decisions.decide_flags(
        workspace.registry, station=code, times=times, item=item, rule=decisions.ANY_RULE if whole else rule,
        decision=decision, reason=reason, who=who, level=level,
    )  # fmt: skip
    return len(times)


def _month(month: str) -> Period:
    period = Period.parse(month)
    if period.label != month or len(month) != 7:
        raise UsageError(f"{month!r} is not a month.", remedy="Write YYYY-MM.")
    return period


def lock(
    workspace: Workspace, place: str, month: str, *, exceptions: Mapping[str, str], who: str, now: datetime
) -> None:
    """Make a month of a place final; `exceptions` gives reasons by station.

    Raises ReviewRefused, UsageError, and StoreError while a load goes on.
    """
    period = _month(month)
    if period.end >= today(now):
        raise UsageError(f"{month} is not over yet.", remedy="Lock a month when it is over.")
    rows = [r for r in stations.stations(workspace.registry) if r["place"] == place]
    if not rows:
        raise UnknownName("place with stations", place)
    # No load may slip in between the look at the hours and the lock, which keeps the loads after it out.
    with workspace.lake.writing(patience=_PATIENCE):
        days = station_days(workspace, rows, period.start, period.end)
        review.lock_month(workspace.registry, place, month, days, exceptions=exceptions, who=who, at=now)


def reopen(workspace: Workspace, place: str, month: str, *, reason: str, who: str, now: datetime) -> None:
    """Make a locked month provisional again, which supersedes what was published of it."""
    review.reopen_month(workspace.registry, place, _month(month).label, reason=reason, who=who, at=now)


@dataclass(frozen=True, slots=True)
class Check:
    """A calibration, a check or an audit of an instrument, as it was read off.

    reference, reading : in the unit of the kind and item. choice : the limit that judges it; empty: the default.
    attachment : bytes of a protocol, or none.
    """

    station: str
    item: str
    serial: str
    kind: str
    checked_at: datetime
    reference: float
    reading: float
    choice: str = ""
    remark: str = ""
    attachment: bytes = b""


def record(workspace: Workspace, check: Check, *, who: str, now: datetime) -> Row:
    """Enter a check; deviation, drift and whether it passed are computed here. The record with its `id`."""
    book = check_kinds()
    kind = book["kinds"].get(check.kind)
    if kind is None:
        raise UnknownName("kind of check", check.kind, tuple(book["kinds"]))
    if check.item not in kind["limits"]:
        raise UnknownName(f"item of a {check.kind} check", check.item, tuple(kind["limits"]))
    option = book["options"]["limit"]
    choice = check.choice or option["default"]
    if choice not in option["choices"]:
        raise UnknownName("limit of a check", choice, tuple(option["choices"]))
    if not check.serial.strip():
        raise UsageError("serial must not be empty.", remedy="Give the instrument's serial number.")
    if check.checked_at.tzinfo is None or check.checked_at > now:
        raise UsageError(f"checked_at {check.checked_at.isoformat()} lies ahead.", remedy="Enter it afterwards.")
    away, drift = deviation(check.reference, check.reading)
    relative = kind["measure"] == "relative"
    if relative and drift is None:
        raise UsageError("reference is 0.", remedy="Drift in % needs a reference above zero; use a zero check.")
    limits = kind["limits"][check.item]
    row = {
        "station": (home := station_row(workspace, check.station))["station"], "place": home["place"],
        "item": check.item, "serial": check.serial.strip(), "kind": check.kind, "checked_at": check.checked_at,
        "reference": check.reference, "reading": check.reading, "unit": limits["unit"], "deviation": away,
        "drift": drift, "tolerance": float(limits[choice]), "choice": choice,
        "passed": abs(drift if relative and drift is not None else away) <= limits[choice],
        "remark": check.remark,
        "attachment": Files(workspace.home).put(check.attachment) if check.attachment else "",
    }  # fmt: skip
    return {**row, "id": review.record_check(workspace.registry, row, who=who, at=now)}


def doubtful_hours(workspace: Workspace, number: int) -> tuple[Row, datetime, datetime]:
    """A failed check with the first and last hour end that it makes doubtful; NotFound for an unknown or passed.

    Where no check passed before, those of the day of the check alone: how far back one must go a person decides.
    """
    rows = review.checks(workspace.registry)
    found = next((r for r in rows if r["id"] == number), None)
    if found is None or found["passed"]:
        raise NotFound(f"no failed check {number}.", remedy="The page of instruments lists them.")
    first, last = doubtful(found, rows)
    return found, first or from_day_and_hour(day_and_hour(last)[0], 1), last


def doubt(workspace: Workspace, number: int, *, who: str, now: datetime) -> Row:
    """Put the hours that a failed check makes doubtful into the queue; the check."""
    found, first, last = doubtful_hours(workspace, number)
    review.doubt_hours(workspace.registry, number, first, last, who=who, at=now)
    return found


def final_months(workspace: Workspace) -> dict[str, list[str]]:
    """Months that are locked now, by place."""
    made: dict[str, list[str]] = {}
    for row in review.locks(workspace.registry):
        if row["state"] == review.LOCKED:
            made.setdefault(row["place"], []).append(row["month"])
    return {place: sorted(months) for place, months in sorted(made.items())}
