"""The forecaster's desk in the registry: bulletins, each move and edit with its event, files of what was issued.

A bulletin has versions; the state of one is that of its last move. Who writes reads the moves and edits inside the
transaction, so that two people cannot both move a version, nor write over what they have not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from qinglan.core.errors import NotFound
from qinglan.store.registry import Registry, Row, append_event
from qinglan.store.schema import desk as schema

ISSUED, CORRECTED, DROPPED = "issued", "corrected", "dropped"


@dataclass(frozen=True, slots=True)
class Made:
    """What a move leaves: its name, the state, the version it is of and the one that this replaces.

    content : digest of the machine's table, or of what was issued. office : for whom somebody spoke. until : the
    end of a consultation. files : frozen ones, `language, form, digest, size`. late : minutes after the hour it
    was due, for the event; None when it was not.
    """

    name: str
    state: str
    version: int
    content: str
    who: str
    at: datetime
    reason: str = ""
    office: str = ""
    until: datetime | None = None
    replaces: int | None = None
    files: Sequence[Mapping[str, Any]] = ()
    late: int | None = None


def _move(con: Connection, bulletin: str, made: Made) -> None:
    row = {
        "bulletin": bulletin, "version": made.version, "replaces": made.replaces, "move": made.name,
        "state": made.state, "content": made.content, "office": made.office, "until": made.until, "who": made.who,
        "reason": made.reason, "at": made.at,
    }  # fmt: skip
    con.execute(insert(schema.desk_moves).values(**row))
    for file in made.files:
        con.execute(insert(schema.desk_files).values(bulletin=bulletin, version=made.version, **file))
    detail = {k: row[k] for k in ("version", "state", "content", "office", "reason")}
    if made.until is not None:
        detail["until"] = made.until.isoformat()
    if made.late is not None:
        detail["late_minutes"] = made.late
    append_event(con, f"desk.{made.name}", bulletin, detail, who=made.who, at=made.at)


def _rows(con: Connection, table: Any, bulletin: str) -> list[Row]:
    query = select(table).where(table.c.bulletin == bulletin).order_by(table.c.id)
    return [dict(r) for r in con.execute(query).mappings()]


def _held(con: Connection, bulletin: str) -> None:
    """Hold a bulletin against other writers until the transaction ends; NotFound."""
    table = schema.desk_bulletins
    if con.execute(select(table.c.id).where(table.c.id == bulletin).with_for_update()).first() is None:
        raise NotFound(f"no forecast bulletin {bulletin!r}.", remedy="See `qinglan forecast desk list`.")


def begin(registry: Registry, row: Mapping[str, Any], made: Made) -> int:
    """Open a bulletin (`id, place, day`) with its first version; the number of the version that is open.

    One that is there already stays as it is, unless its last version was dropped: then a new version begins.
    """
    table = schema.desk_bulletins
    with registry.begin() as con:
        found = con.execute(select(table.c.id).where(table.c.id == row["id"]).with_for_update()).first()
        if found is None:
            con.execute(insert(table).values(**row, at=made.at))
            _move(con, row["id"], made)
            return made.version
        moves = _rows(con, schema.desk_moves, row["id"])
        last, newest = moves[-1], max(m["version"] for m in moves)
        standing = {m["version"]: m["state"] for m in moves}
        if last["state"] == DROPPED and ISSUED not in standing.values():
            _move(con, row["id"], _as_version(made, newest + 1))
            return int(newest) + 1
        return max(int(v) for v, state in standing.items() if state != DROPPED)


def _as_version(made: Made, number: int) -> Made:
    return Made(made.name, made.state, number, made.content, made.who, made.at, made.reason)


def move(registry: Registry, bulletin: str, make: Callable[[list[Row], list[Row]], Made | None]) -> Made | None:
    """Move a version. `make` is given all moves and edits of the bulletin and returns what to write, or raises.

    What an issued version replaces becomes corrected in the same transaction. None when `make` found it done.
    """
    with registry.begin() as con:
        _held(con, bulletin)
        moves = _rows(con, schema.desk_moves, bulletin)
        made = make(moves, _rows(con, schema.desk_edits, bulletin))
        if made is None:
            return None
        _move(con, bulletin, made)
        if made.state == ISSUED:
            last = {m["version"]: m for m in moves}
            for version, old in last.items():
                if version != made.version and old["state"] == ISSUED:
                    why = f"replaced by version {made.version}"
                    _move(
                        con,
                        bulletin,
                        Made("corrected", CORRECTED, version, old["content"], made.who, made.at, why),
                    )
    return made


def edit(
    registry: Registry, bulletin: str, make: Callable[[list[Row], list[Row]], Mapping[str, Any] | None],
    *, who: str, at: datetime,
) -> bool:  # fmt: skip
    """Write an edit of a place's day: `make` is given moves and edits and returns its columns, None to write none.

    Columns: `version, place, day, low, high, level, primary, words, machine, reason`. True when one was written.
    """
    with registry.begin() as con:
        _held(con, bulletin)
        row = make(_rows(con, schema.desk_moves, bulletin), _rows(con, schema.desk_edits, bulletin))
        if row is None:
            return False
        con.execute(insert(schema.desk_edits).values(bulletin=bulletin, **row, who=who, at=at))
        append_event(con, "desk.edit", bulletin, dict(row), who=who, at=at)
    return True


def listed(registry: Registry, *, since: date | None = None, bulletin: str = "") -> list[Row]:
    """Versions (of bulletins of a day and later ones, or of one bulletin), newest day first.

    Rows: `id, place, day, version, replaces, state, move, content, who, moved_at`, `issued_at` (None: never).
    """
    heads, moves = schema.desk_bulletins, schema.desk_moves
    query = select(heads).where(heads.c.day >= (since.isoformat() if since is not None else ""))
    if bulletin:
        query = query.where(heads.c.id == bulletin)
    with registry.read() as con:
        known = {r["id"]: dict(r) for r in con.execute(query).mappings()}
        wanted = select(moves).order_by(moves.c.id)
        if since is not None or bulletin:
            wanted = wanted.where(moves.c.bulletin.in_(list(known)))
        every = [dict(r) for r in con.execute(wanted).mappings()]
    found: dict[tuple[str, int], Row] = {}
    for row in every:
        if row["bulletin"] not in known:
            continue
        key, before = (row["bulletin"], row["version"]), found.get((row["bulletin"], row["version"]))
        issued = row["at"] if row["move"] == "issue" else before["issued_at"] if before else None
        replaces = before["replaces"] if before else row["replaces"]
        found[key] = {
            **known[row["bulletin"]], **{k: row[k] for k in ("version", "state", "move", "content", "who")},
            "moved_at": row["at"], "issued_at": issued, "replaces": replaces,
        }  # fmt: skip
    return sorted(found.values(), key=lambda r: (r["day"], r["place"], r["version"]), reverse=True)


def history(registry: Registry, bulletin: str) -> tuple[list[Row], list[Row]]:
    """Moves and edits of all versions, oldest first; NotFound for a bulletin that does not exist."""
    with registry.read() as con:
        moves = _rows(con, schema.desk_moves, bulletin)
        edits = _rows(con, schema.desk_edits, bulletin)
    if not moves:
        raise NotFound(f"no forecast bulletin {bulletin!r}.", remedy="See `qinglan forecast desk list`.")
    return moves, edits


def frozen(registry: Registry, bulletin: str) -> list[Row]:
    """Files of what was issued: `version, language, form, digest, size`."""
    with registry.read() as con:
        return _rows(con, schema.desk_files, bulletin)
