"""Sign-offs of station days, decisions on runs of hours, months locked and reopened, instrument records.

What must hold is asked again inside the transaction that writes, so that two people who act at once cannot both
be right. Sign-offs and locks are superseded, never deleted.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from qinglan.core.clock import day_and_hour
from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.core.provenance import fingerprint
from qinglan.store import schema
from qinglan.store.publications import mark_reopened
from qinglan.store.registry import Registry, Row, append_event, moment

#: The levels of review, in the order in which they sign.
LEVELS = ("operator", "prefecture", "province")
LOCKED, REOPENED = "locked", "reopened"
_DAYS, _LOCKS = schema.review.day_reviews, schema.review.month_locks
_RECORDS, _DOUBTS = schema.review.instrument_records, schema.review.doubted_hours


class ReviewRefused(UsageError):
    """The rules of review forbid it. `code` names the rule, `said` who did what, for a page in any language."""

    def __init__(self, code: str, message: str, *, remedy: str = "", **said: Any) -> None:
        self.code, self.said = code, said
        super().__init__(message, remedy=remedy)


@dataclass(frozen=True, slots=True)
class StationDay:
    """A station's day as a reviewer saw it.

    seen : fingerprint of its hours at that moment. gatherers : who loaded them, with the load.
    """

    station: str
    place: str
    day: date
    seen: str = ""
    gatherers: Mapping[str, str] | None = None


def sign_days(
    registry: Registry,
    days: Sequence[StationDay],
    level: str,
    *,
    remark: str,
    who: str,
    at: datetime | None = None,
) -> int:
    """Sign station days at a level, all or none; how many.

    Raises ReviewRefused: month locked, a lower level missing, already signed, by a gatherer of the hours, or by
    somebody who signed (even if it was withdrawn) the day at another level. UsageError when nobody is named.
    """
    _level(level)
    _named(who)
    if not days:
        raise UsageError("no station day to sign.", remedy="Name a station and its days.")
    now = moment(at)
    with registry.begin() as con:
        for each in days:
            refuse_locked(con, each.place, [each.day])
            _may_sign(each, level, who, _signed(con, each.station, each.day))
            con.execute(
                insert(_DAYS).values(
                    station=each.station, place=each.place, day=each.day, level=level, remark=remark,
                    seen=each.seen, by=who, at=now, live=True,
                )
            )  # fmt: skip
        stations = sorted({d.station for d in days})
        first, last = min(d.day for d in days), max(d.day for d in days)
        subject = f"{','.join(stations[:5])} {first}" + ("" if first == last else f"..{last}")
        detail = {"level": level, "remark": remark, "days": len(days), "stations": stations}
        append_event(con, "review.signed", subject, detail, who=who, at=now)
    return len(days)


def _may_sign(each: StationDay, level: str, who: str, signed: Sequence[Row]) -> None:
    name, live = f"{each.station} {each.day}", {r["level"]: r for r in signed if r["live"]}
    said = {"station": each.station, "day": each.day.isoformat(), "who": who}
    if level in live:
        other = live[level]
        raise ReviewRefused(
            "signed", f"{name} was signed at level {level} by {other['by']} on {other['at']:%Y-%m-%d %H:%M} UTC.",
            remedy="Nothing is left to sign at this level.", level=level, other=other["by"], **said,
        )  # fmt: skip
    if who in (each.gatherers or {}):
        load = (each.gatherers or {})[who]
        raise ReviewRefused(
            "gatherer", f"{name}: {who} loaded these hours (load {load}).",
            remedy="Who gathers does not review: somebody else signs.", load=load, **said,
        )  # fmt: skip
    for row in signed:
        if row["by"] == who and row["level"] != level:
            raise ReviewRefused(
                "twice", f"{name}: {who} signed it at level {row['level']}.",
                remedy="One person never reviews the same hours at two levels.", level=row["level"], **said,
            )  # fmt: skip
    for lower in LEVELS[: LEVELS.index(level)]:
        if lower not in live:
            raise ReviewRefused(
                "order", f"{name} is not signed at level {lower} yet.",
                remedy=f"The order is {', '.join(LEVELS)}.", level=lower, **said,
            )  # fmt: skip


def _level(level: str) -> None:
    if level not in LEVELS:
        raise UnknownName("level of review", level, LEVELS)


def _named(who: str, **texts: str) -> None:
    empty = [name for name, text in {"who": who, **texts}.items() if not str(text).strip()]
    if empty:
        raise UsageError(f"{', '.join(empty)} must not be empty.", remedy="Every decision names who and why.")


def _signed(con: Connection, station: str, day: date) -> list[Row]:
    query = select(_DAYS).where(_DAYS.c.station == station, _DAYS.c.day == day).order_by(_DAYS.c.id)
    return [dict(row) for row in con.execute(query).mappings()]


def _newest_lock(con: Connection, place: str, month: str) -> Row | None:
    query = select(_LOCKS).where(_LOCKS.c.place == place, _LOCKS.c.month == month).order_by(_LOCKS.c.id.desc())
    row = con.execute(query.limit(1)).mappings().first()
    return None if row is None else dict(row)


def locked(lock: Row) -> ReviewRefused:
    """What is said of an act that a lock forbids."""
    month, place = lock["month"], lock["place"]
    return ReviewRefused(
        "locked", f"{month} of {place} was locked by {lock['by']} on {lock['at']:%Y-%m-%d %H:%M} UTC.",
        remedy="Reopen the month with a reason first.", month=month, place=place, who=lock["by"],
    )  # fmt: skip


def refuse_locked(con: Connection, place: str, days: Iterable[date]) -> None:
    """ReviewRefused when the month of one of these days is locked at a place. For use inside a transaction."""
    for month in sorted({f"{day:%Y-%m}" for day in days}):
        lock = _newest_lock(con, place, month)
        if lock is not None and lock["state"] == LOCKED:
            raise locked(lock)


def guard_decision(
    con: Connection, station: str, times: Sequence[datetime], *, level: str, who: str, why: str, at: datetime
) -> None:
    """Before a decision on hours of a station: refuse locked months, withdraw the sign-offs that it makes stale.

    level : of the one who decides; sign-offs at this level and above must be given again.
    """
    if not any(time.tzinfo is None for time in times):
        days = sorted({day_and_hour(time)[0] for time in times})
        place = con.execute(select(schema.stations.c.place).where(schema.stations.c.station == station)).scalar()
        if place is not None:
            refuse_locked(con, place, days)
        _level(level)
        stale = LEVELS[LEVELS.index(level) :]
        withdrawn = con.execute(
            update(_DAYS)
            .where(_DAYS.c.station == station, _DAYS.c.day.in_(days), _DAYS.c.level.in_(stale), _DAYS.c.live)
            .values(live=None, withdrawn_by=who, withdrawn_at=at, withdrawn_why=why)
        ).rowcount
        if withdrawn:
            subject = f"{station} {days[0]}" + ("" if len(days) == 1 else f"..{days[-1]}")
            append_event(con, "review.withdrawn", subject, {"signs": withdrawn, "why": why}, who=who, at=at)


def signs(
    registry: Registry, *, station: str | None = None, place: str | None = None,
    first: date | None = None, last: date | None = None, history: bool = False,
) -> list[Row]:  # fmt: skip
    """Sign-offs, oldest first; with `history` also those that were withdrawn."""
    query = select(_DAYS).order_by(_DAYS.c.id)
    if not history:
        query = query.where(_DAYS.c.live)
    for column, wanted in ((_DAYS.c.station, station), (_DAYS.c.place, place)):
        if wanted is not None:
            query = query.where(column == wanted)
    if first is not None:
        query = query.where(_DAYS.c.day >= first)
    if last is not None:
        query = query.where(_DAYS.c.day <= last)
    return _rows(registry, query)


def _rows(registry: Registry, query: Any) -> list[Row]:
    with registry.read() as con:
        return [dict(row) for row in con.execute(query).mappings()]


def version(registry: Registry) -> tuple[int, ...]:
    """Changes whenever a decision, a sign-off, a lock, a record or a doubt is written."""
    tables = (schema.flag_decisions, _DAYS, _LOCKS, _RECORDS, _DOUBTS)
    with registry.read() as con:
        newest = [con.execute(select(func.max(t.c.id))).scalar() or 0 for t in tables]
        gone = con.execute(select(func.count()).select_from(_DAYS).where(_DAYS.c.live.is_(None))).scalar() or 0
    return (*newest, gone)


def lock_month(
    registry: Registry,
    place: str,
    month: str,
    days: Sequence[StationDay],
    *,
    exceptions: Mapping[str, str],
    who: str,
    at: datetime | None = None,
) -> None:
    """Make a month of a place final.

    days : every station day that should be reviewed, `seen` as the hours are now.
    exceptions : reason by station, for its days that the province has not signed.

    Raises ReviewRefused naming the first days that stand against it.
    """
    _named(who)
    now = moment(at)
    with registry.begin() as con:
        refuse_locked(con, place, [date.fromisoformat(f"{month}-01")])
        signed = {
            (r["station"], r["day"]): r["seen"]
            for r in con.execute(
                select(_DAYS).where(_DAYS.c.place == place, _DAYS.c.level == LEVELS[-1], _DAYS.c.live)
            ).mappings()
        }
        open_days = [d for d in days if signed.get((d.station, d.day)) != d.seen]
        bare = [d for d in open_days if not exceptions.get(d.station, "").strip()]
        if bare:
            named = ", ".join(f"{d.station} {d.day}" for d in bare[:3])
            raise ReviewRefused(
                "unsigned",
                f"{month} of {place}: {len(bare)} station days are not signed by the province as they are now "
                f"({named}{' …' if len(bare) > 3 else ''}).",
                remedy="Review them, or name the exception with its reason.", month=month, place=place,
                days=len(bare), named=named,
            )  # fmt: skip
        kept = [
            {"station": d.station, "day": d.day.isoformat(), "reason": exceptions[d.station].strip()}
            for d in open_days
        ]
        row = {"place": place, "month": month, "state": LOCKED, "reason": "", "exceptions": kept}
        con.execute(insert(_LOCKS).values(**row, seen=seen_of(days), days=len(days), by=who, at=now))
        detail = {"place": place, "month": month, "days": len(days), "exceptions": kept[:100]}
        append_event(con, "month.locked", f"{place} {month}", detail, who=who, at=now)


def seen_of(days: Sequence[StationDay]) -> str:
    """What a month's hours said in one fingerprint."""
    return fingerprint(sorted((d.station, d.day.isoformat(), d.seen) for d in days))


def reopen_month(
    registry: Registry, place: str, month: str, *, reason: str, who: str, at: datetime | None = None
) -> None:
    """Make a locked month provisional again. The event ``month.reopened`` tells publications what it supersedes.

    The province's sign-offs of its days are withdrawn (their history stays): the days are provisional until the
    province signs them anew; the levels below need not, unless their hours change.

    Raises NotFound when it is not locked and UsageError without a reason.
    """
    _named(who, reason=reason)
    now = moment(at)
    with registry.begin() as con:
        lock = _newest_lock(con, place, month)
        if lock is None or lock["state"] != LOCKED:
            raise NotFound(f"{month} of {place} is not locked.", remedy="Only a locked month can be reopened.")
        row = {"place": place, "month": month, "state": REOPENED, "reason": reason, "exceptions": []}
        con.execute(insert(_LOCKS).values(**row, seen="", days=lock["days"], by=who, at=now))
        last_day = monthrange(int(month[:4]), int(month[5:]))[1]
        span = (date.fromisoformat(f"{month}-01"), date.fromisoformat(f"{month}-{last_day:02d}"))
        withdrawn = con.execute(
            update(_DAYS)
            .where(_DAYS.c.place == place, _DAYS.c.day.between(*span), _DAYS.c.level == LEVELS[-1], _DAYS.c.live)
            .values(live=None, withdrawn_by=who, withdrawn_at=now, withdrawn_why=f"{month}: {reason}")
        ).rowcount
        detail = {
            "place": place, "month": month, "reason": reason, "signs_withdrawn": withdrawn,
            "locked_by": lock["by"], "locked_at": lock["at"].isoformat(),
        }  # fmt: skip
        append_event(con, "month.reopened", f"{place} {month}", detail, who=who, at=now)
        above = sorted({place, f"{place[:4]}00", f"{place[:2]}0000"})  # its prefecture and province print it too
        mark_reopened(con, f"{month}-01", f"{month}-{last_day:02d}", places=above, who=who, reason=reason, at=now)


def locks(registry: Registry, *, month: str | None = None, history: bool = False) -> list[Row]:
    """What stands for each place and month (locked or reopened), or all that was ever decided, oldest first."""
    query = select(_LOCKS).order_by(_LOCKS.c.id)
    if not history:
        newest = select(func.max(_LOCKS.c.id)).group_by(_LOCKS.c.place, _LOCKS.c.month)
        query = query.where(_LOCKS.c.id.in_(newest))
    return _rows(registry, query if month is None else query.where(_LOCKS.c.month == month))


def record_check(registry: Registry, row: Mapping[str, Any], *, who: str, at: datetime | None = None) -> int:
    """Enter a record of an instrument (columns of ``instrument_records``); its number."""
    _named(who)
    now = moment(at)
    with registry.begin() as con:
        made = con.execute(insert(_RECORDS).values(**row, by=who, at=now))
        number = int((made.inserted_primary_key or (0,))[0])
        detail = {"record": number, "kind": row["kind"], "passed": row["passed"], "drift": row["drift"]}
        subject = f"{row['station']} {row['item']} {row['serial']}"
        append_event(con, "instrument.checked", subject, detail, who=who, at=now)
    return number


def checks(registry: Registry, *, station: str | None = None, item: str | None = None) -> list[Row]:
    """Instrument records, newest check first."""
    query = select(_RECORDS).order_by(_RECORDS.c.checked_at.desc(), _RECORDS.c.id.desc())
    for column, wanted in ((_RECORDS.c.station, station), (_RECORDS.c.item, item)):
        if wanted:
            query = query.where(column == wanted)
    return _rows(registry, query)


def doubt_hours(
    registry: Registry, record: int, first: datetime, last: datetime, *, who: str, at: datetime | None = None
) -> None:
    """Put the hours from `first` to `last` (UTC hour ends) into the queue because of a failed check, once."""
    _named(who)
    now = moment(at)
    with registry.begin() as con:
        found = con.execute(select(_RECORDS).where(_RECORDS.c.id == record)).mappings().first()
        if found is None:
            raise NotFound(f"no instrument record {record}.", remedy="The page of instruments lists them.")
        if con.execute(select(_DOUBTS.c.id).where(_DOUBTS.c.record == record)).first() is not None:
            raise ReviewRefused("queued", f"the hours before check {record} are in the queue already.")
        row = {"record": record, "station": found["station"], "item": found["item"], "first": first, "last": last}
        con.execute(insert(_DOUBTS).values(**row, by=who, at=now))
        detail = {"record": record, "first": first.isoformat(), "last": last.isoformat()}
        append_event(con, "hours.doubted", f"{found['station']} {found['item']}", detail, who=who, at=now)


def doubts(registry: Registry) -> list[Row]:
    """Spans of hours that were put into the queue, oldest first."""
    return _rows(registry, select(_DOUBTS).order_by(_DOUBTS.c.id))
