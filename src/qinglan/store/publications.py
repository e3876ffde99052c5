"""Bulletins in the registry: what exists, its versions, every move, and the frozen files of what was issued.

A state is the state of a version's last move. Each function that writes does it in one transaction with its event,
and reads the state it relies on inside that transaction, so that two people cannot both move one version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from qinglan.core.errors import NotFound, UsageError
from qinglan.store.registry import Registry, Row, append_event
from qinglan.store.schema import publications as schema

#: The move that the reopening of a month leaves on what was issued of it; its state stays what it was.
REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class Made:
    """What a move left: its `name`, the `state` after it, who, when, why, and the frozen numbers."""

    name: str
    state: str
    run_id: str
    content: str
    who: str
    at: datetime
    reason: str = ""


def _move(con: Connection, publication: str, version: int, made: Made) -> None:
    row = {
        "publication": publication, "version": version, "move": made.name, "state": made.state,
        "run_id": made.run_id, "content": made.content, "who": made.who, "reason": made.reason, "at": made.at,
    }  # fmt: skip
    con.execute(insert(schema.publication_moves).values(**row))
    detail = {k: row[k] for k in ("version", "state", "run_id", "content", "reason")}
    append_event(con, f"publication.{made.name}", publication, detail, who=made.who, at=made.at)


def _held(con: Connection, publication: str) -> Row:
    """The publication's row, held against other writers until the transaction ends."""
    table = schema.publications
    row = con.execute(select(table).where(table.c.id == publication).with_for_update()).mappings().first()
    if row is None:
        raise NotFound(f"no publication {publication!r}.", remedy="See `qinglan report list`.")
    return dict(row)


def _versions(con: Connection, publication: str) -> list[Row]:
    table = schema.publication_versions
    query = select(table).where(table.c.publication == publication).order_by(table.c.version)
    return [dict(r) for r in con.execute(query).mappings()]


def _moves(con: Connection, publication: str) -> list[Row]:
    table = schema.publication_moves
    query = select(table).where(table.c.publication == publication).order_by(table.c.id)
    return [dict(r) for r in con.execute(query).mappings()]


def add(registry: Registry, row: Mapping[str, Any], made: Made) -> int:
    """Make a publication (`id, kind, place, period, first_day, last_day`) with its first version; its number.

    One that exists gets a new version when its last one was withdrawn, else UsageError.
    """
    table = schema.publications
    with registry.begin() as con:
        found = con.execute(select(table.c.id).where(table.c.id == row["id"]).with_for_update()).first()
        if found is None:
            con.execute(insert(table).values(**row, at=made.at))
            number = 1
        else:
            last = _moves(con, row["id"])[-1]
            if last["state"] != "withdrawn":
                raise UsageError(
                    f"{row['id']} exists already: version {last['version']} is {last['state']}.",
                    remedy="Draft that version again, or correct it when it is issued.",
                )
            number = int(_versions(con, row["id"])[-1]["version"]) + 1
        _add_version(con, row["id"], number, None, "", made)
    return number


def _add_version(
    con: Connection, publication: str, number: int, replaces: int | None, reason: str, made: Made
) -> None:
    values = {"publication": publication, "version": number, "replaces": replaces, "reason": reason, "at": made.at}
    con.execute(insert(schema.publication_versions).values(**values))
    _move(con, publication, number, made)


def correct(
    registry: Registry, publication: str, version: int, made: Made, check: Callable[[list[Row]], None]
) -> int:
    """Begin a version that corrects an issued one, naming it and why; its number.

    check : called with the old version's moves inside the transaction; raises to refuse.
    """
    with registry.begin() as con:
        _held(con, publication)
        moves = _moves(con, publication)
        check([m for m in moves if m["version"] == version])
        number = int(_versions(con, publication)[-1]["version"]) + 1
        _add_version(con, publication, number, version, made.reason, made)
    return number


def move(
    registry: Registry,
    publication: str,
    version: int,
    make: Callable[[list[Row]], Made],
    files: Sequence[Mapping[str, Any]] = (),
) -> Made:
    """Move a version. `make` is given its moves inside the transaction and returns what to write, or raises.

    files : frozen files (`language, form, digest, size`) of a version that is issued; the version that it replaces
    becomes ``corrected`` in the same transaction.
    """
    with registry.begin() as con:
        _held(con, publication)
        moves = _moves(con, publication)
        own = [m for m in moves if m["version"] == version]
        if not own:
            raise NotFound(f"{publication} has no version {version}.", remedy="See `qinglan report show`.")
        made = make(own)
        _move(con, publication, version, made)
        for row in files:
            values = {"publication": publication, "version": version, **row}
            con.execute(insert(schema.publication_files).values(**values))
        if made.name == "issue":
            _replace(con, publication, version, moves, made)
    return made


def _replace(con: Connection, publication: str, version: int, moves: Sequence[Row], made: Made) -> None:
    """What the issued version replaces is corrected from now on."""
    for row in _versions(con, publication):
        last = [m for m in moves if m["version"] == row["version"]][-1]
        if row["version"] != version and last["state"] == "issued":
            old = Made("corrected", "corrected", last["run_id"], last["content"], made.who, made.at,
                       f"replaced by version {version}")  # fmt: skip
            _move(con, publication, row["version"], old)


def mark_reopened(
    con: Connection,
    first_day: str,
    last_day: str,
    *,
    places: Sequence[str] | None,
    who: str,
    reason: str,
    at: datetime,
) -> list[str]:
    """Mark what is issued and touches these days (ISO, both included) as to be superseded; ids of what was.

    Called inside the transaction that reopens a month. places : division codes; None for all.
    """
    table = schema.publications
    query = select(table).where(table.c.first_day <= last_day, table.c.last_day >= first_day)
    marked = []
    for row in con.execute(query.order_by(table.c.id).with_for_update()).mappings().all():
        if places is not None and row["place"] not in places:
            continue
        moves = _moves(con, row["id"])
        for version in sorted({m["version"] for m in moves}):
            last = [m for m in moves if m["version"] == version][-1]
            if last["state"] == "issued" and last["move"] != REOPENED:
                made = Made(REOPENED, "issued", last["run_id"], last["content"], who, at, reason)
                _move(con, row["id"], version, made)
                marked.append(row["id"])
    return marked


def listed(registry: Registry) -> list[Row]:
    """Every version, newest period first: the publication's columns with `version, replaces, state, move, run_id`,
    `content, who, moved_at` of its last move and `pending` when its month was reopened."""
    pub, ver, mov = schema.publications, schema.publication_versions, schema.publication_moves
    with registry.read() as con:
        heads = {r["id"]: dict(r) for r in con.execute(select(pub)).mappings()}
        versions = [dict(r) for r in con.execute(select(ver)).mappings()]
        last = {
            (r["publication"], r["version"]): dict(r)
            for r in con.execute(select(mov).order_by(mov.c.id)).mappings()
        }
    found = []
    for row in versions:
        end = last[row["publication"], row["version"]]
        found.append(
            {**heads[row["publication"]], "version": row["version"], "replaces": row["replaces"],
             "correction": row["reason"], "state": end["state"], "move": end["move"], "run_id": end["run_id"],
             "content": end["content"], "who": end["who"], "moved_at": end["at"],
             "pending": end["move"] == REOPENED}
        )  # fmt: skip
    found.sort(key=lambda r: (r["last_day"], r["kind"], r["id"], r["version"]), reverse=True)
    return found


def history(registry: Registry, publication: str) -> list[Row]:
    """Moves of all versions, oldest first; NotFound for a publication that does not exist."""
    with registry.read() as con:
        moves = _moves(con, publication)
    if not moves:
        raise NotFound(f"no publication {publication!r}.", remedy="See `qinglan report list`.")
    return moves


def frozen(registry: Registry, publication: str, version: int) -> list[Row]:
    """Files of an issued version: `language, form, digest, size`."""
    table = schema.publication_files
    query = select(table).where(table.c.publication == publication, table.c.version == version)
    with registry.read() as con:
        return [dict(r) for r in con.execute(query.order_by(table.c.id)).mappings()]
