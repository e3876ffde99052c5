"""Reports of pollution from the public: received, moved on, read. Every change appends its event.

The event log never holds what a person wrote about himself: it is append-only and could not be erased.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from qinglan.core.errors import NotFound, StoreError, UsageError
from qinglan.store.registry import Registry, Row, append_event
from qinglan.store.schema.public import complaint_contacts, complaint_moves, complaints

_TRIES = 5


class AlreadySent(UsageError):
    """The same form came twice; `number` is the report that the first one made."""

    def __init__(self, number: str) -> None:
        self.number = number
        super().__init__(f"this form was already received as {number}.")


def receive(
    registry: Registry,
    row: Mapping[str, Any],
    *,
    contact: str,
    numbered: Callable[[int], str],
    code_hash: Callable[[str], str],
    at: datetime,
    day_start: datetime,
) -> str:
    """Write a report down and return its number; AlreadySent when its `once` is known.

    row : the columns of `complaints` but number, code_hash, handler, answer and moments.
    numbered : the number of the n-th report (from 1) of the day that begins at `day_start`.
    code_hash : what is kept of the secret code, given the number.
    """
    for _ in range(_TRIES):
        try:
            with registry.begin() as con:
                return _received(con, row, contact, numbered, code_hash, at, day_start)
        except IntegrityError:  # on a server two reports may take one number or one form: look again
            continue
    raise StoreError("no number could be given to the report.", remedy="Send it again in a moment.")


def _received(
    con: Connection,
    row: Mapping[str, Any],
    contact: str,
    numbered: Callable[[int], str],
    code_hash: Callable[[str], str],
    at: datetime,
    day_start: datetime,
) -> str:
    table = complaints.c
    known = con.execute(select(table.number).where(table.once == row["once"])).scalar()
    if known is not None:
        raise AlreadySent(known)
    count = con.execute(select(func.count()).select_from(complaints).where(table.at >= day_start)).scalar() or 0
    number = numbered(count + 1)
    made = {**row, "number": number, "code_hash": code_hash(number), "handler": "", "answer": ""}
    result = con.execute(insert(complaints).values(**made, at=at, changed_at=at))
    key = result.inserted_primary_key
    if contact and key is not None:
        con.execute(insert(complaint_contacts).values(complaint_id=key[0], contact=contact, at=at))
    detail = {name: row[name] for name in ("category", "place", "photo", "status")}
    append_event(con, "complaint.received", number, {**detail, "contact": bool(contact)}, who="public", at=at)
    return number


def move(
    registry: Registry,
    number: str,
    before: str,
    after: str,
    *,
    handler: str = "",
    note: str = "",
    answer: str = "",
    who: str,
    at: datetime,
) -> None:
    """Bring a report from one state to another; UsageError when it is no longer in the first."""
    values: Row = {"status": after, "changed_at": at}
    values |= {name: text for name, text in (("handler", handler), ("answer", answer)) if text}
    with registry.begin() as con:
        found = con.execute(select(complaints.c.id).where(complaints.c.number == number)).scalar()
        if found is None:
            raise NotFound(f"no report {number}.")
        where = (complaints.c.id == found) & (complaints.c.status == before)
        if con.execute(update(complaints).where(where).values(**values)).rowcount != 1:
            raise UsageError(f"report {number} is no longer {before}.", remedy="Look at it again and decide anew.")
        texts = {"handler": handler, "note": note, "answer": answer}
        moved = {"complaint_id": found, "before": before, "after": after, **texts, "by": who, "at": at}
        con.execute(insert(complaint_moves).values(**moved))
        detail = {"before": before, "handler": handler, "answered": bool(answer)}
        append_event(con, f"complaint.{after}", number, detail, who=who, at=at)


def get(registry: Registry, number: str) -> Row | None:
    """A report with its `moves` (oldest first), without who sent it; None when there is none."""
    with registry.read() as con:
        row = con.execute(select(complaints).where(complaints.c.number == number)).mappings().first()
        if row is None:
            return None
        query = select(complaint_moves).where(complaint_moves.c.complaint_id == row["id"])
        moves = con.execute(query.order_by(complaint_moves.c.id)).mappings().all()
        return {**row, "moves": [dict(m) for m in moves]}


def contact_of(registry: Registry, number: str) -> str:
    """How the sender asked to be reached; empty when he did not say."""
    query = select(complaint_contacts.c.contact).join(complaints).where(complaints.c.number == number)
    with registry.read() as con:
        return con.execute(query).scalar() or ""


def erase_contact(registry: Registry, number: str, status: str, *, who: str, at: datetime) -> bool:
    """Erase how the sender asked to be reached; whether there was anything. The event says that, not what.

    status : the state that the report must still be in; UsageError when it is in another.
    """
    with registry.begin() as con:
        if con.dialect.name == "sqlite":  # else the bytes would stay in the file until others take their place
            con.exec_driver_sql("PRAGMA secure_delete=ON")
        where = (complaints.c.number == number) & (complaints.c.status == status)
        found = con.execute(select(complaints.c.id).where(where)).scalar()
        if found is None:
            raise UsageError(f"report {number} is no longer {status}.", remedy="Look at it again and decide anew.")
        gone = con.execute(delete(complaint_contacts).where(complaint_contacts.c.complaint_id == found)).rowcount
        if gone:
            append_event(con, "complaint.contact_erased", number, {"status": status}, who=who, at=at)
        return bool(gone)


def listed(
    registry: Registry,
    *,
    places: Sequence[str] | None,
    status: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Row]:
    """Reports, newest first, without who sent them and without the moves.

    places : beginnings of division codes that may be seen; None: all. before : only with a smaller id.
    """
    table = complaints.c
    query = select(complaints).order_by(table.id.desc()).limit(limit)
    if places is not None:
        rules: list[ColumnElement[bool]] = [table.place.startswith(p, autoescape=True) for p in places]
        query = query.where(or_(*rules)) if rules else query.where(table.id < 0)
    if status is not None:
        query = query.where(table.status == status)
    if before is not None:
        query = query.where(table.id < before)
    with registry.read() as con:
        return [dict(row) for row in con.execute(query).mappings()]


def inside(registry: Registry, south: float, north: float, west: float, east: float) -> list[Row]:
    """Reports whose spot lies within a box [degrees], newest first, without who sent them."""
    table = complaints.c
    query = select(complaints).where(table.lat.between(south, north), table.lon.between(west, east))
    with registry.read() as con:
        return [dict(row) for row in con.execute(query.order_by(table.id.desc())).mappings()]


def counts(registry: Registry, *, places: Sequence[str] | None) -> dict[str, int]:
    """How many reports stand in each state."""
    table = complaints.c
    query = select(table.status, func.count()).group_by(table.status)
    if places is not None:
        rules: list[ColumnElement[bool]] = [table.place.startswith(p, autoescape=True) for p in places]
        query = query.where(or_(*rules)) if rules else query.where(table.id < 0)
    with registry.read() as con:
        return {str(row[0]): int(row[1]) for row in con.execute(query)}
