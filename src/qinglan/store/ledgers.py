"""Rows of ledgers: written in bulk with every version kept, read back as frames. It knows no declaration.

A change is one transaction: its own row, the rows it touches, a version of each, the lines kept aside, and one
event in the audit log with the counts and a hash of the rows. Nothing is deleted: a row is withdrawn, or merged
into another, and stays with its history.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl
from sqlalchemy import BindParameter, Connection, Table, bindparam, func, insert, select, update

from qinglan.core.errors import NotFound, UsageError
from qinglan.store import schema
from qinglan.store.registry import Registry, Row, append_event, moment

LIVE, WITHDRAWN, MERGED = "live", "withdrawn", "merged"
OPEN, REPAIRED, DISMISSED = "open", "repaired", "dismissed"
#: What a change hands over for each row: `_row` and `_version` as they were read (null: a new row).
WRITE_SCHEMA: Mapping[str, pl.DataType] = {
    "_row": pl.Int64(), "_version": pl.Int64(), "key": pl.String(), "kind": pl.String(), "standing": pl.String(),
    "into": pl.Int64(), "state": pl.String(), "place": pl.String(), "enterprise": pl.String(),
    "source": pl.String(), "columns": pl.String(), "data": pl.String(),
}  # fmt: skip
#: A row as it is read back.
READ_SCHEMA: Mapping[str, pl.DataType] = {
    "_row": pl.Int64(), "_key": pl.String(), "_version": pl.Int64(), "_standing": pl.String(),
    "_into": pl.Int64(), "_change": pl.Int64(), "data": pl.String(),
}  # fmt: skip
#: Rows of a bundle that goes to the database at once.
_BUNDLE = 5000
#: Numbers that are asked for in one statement.
_NUMBERS = 500
_CHANGES, _ROWS = schema.ledgers.ledger_changes, schema.ledgers.ledger_rows
_VERSIONS, _ASIDE = schema.ledgers.ledger_versions, schema.ledgers.ledger_aside


class Overtaken(UsageError):
    """Somebody else changed the row (or the ledger) since it was read. `rows` are the ones concerned."""

    def __init__(self, ledger: str, rows: Sequence[Row]) -> None:
        self.ledger, self.rows = ledger, tuple(rows)
        who = "; ".join(f"{r['key']}: {r['by']} {r['at']:%Y-%m-%d %H:%M}Z" for r in rows[:3])
        super().__init__(
            f"{ledger} was changed meanwhile ({who or 'by another change'}). Nothing was written.",
            remedy="Look at the row as it is now, then make the change again.",
        )


@dataclass(frozen=True, slots=True)
class Change:
    """What a change says of itself.

    kind : import, form, bulk, move, withdraw, merge. name, file : of the workbook (digest in the files).
    counts : numbers for the event and the page. based_on : newest change that the writer knew; None when each
    row's own version decides. settles : numbers of lines kept aside that this change repairs.
    """

    ledger: str
    kind: str
    reason: str = ""
    name: str = ""
    file: str = ""
    counts: Mapping[str, Any] = field(default_factory=dict)
    based_on: int | None = None
    settles: Sequence[int] = ()


def newest(registry: Registry) -> dict[str, int]:
    """The newest change of each ledger that wrote a row."""
    query = select(_CHANGES.c.ledger, func.max(_CHANGES.c.id)).where(_CHANGES.c.written > 0)
    with registry.read() as con:
        return {str(name): int(number) for name, number in con.execute(query.group_by(_CHANGES.c.ledger))}


def _newest(con: Connection, ledger: str) -> int:
    query = select(func.max(_CHANGES.c.id)).where(_CHANGES.c.ledger == ledger, _CHANGES.c.written > 0)
    return int(con.execute(query).scalar() or 0)


def record(
    registry: Registry,
    change: Change,
    rows: pl.DataFrame,
    aside: Iterable[Mapping[str, Any]] = (),
    *,
    who: str,
    at: datetime | None = None,
) -> int:
    """Write a change with its rows (of :data:`WRITE_SCHEMA`) and the lines that it keeps aside; its number.

    Raises Overtaken when another change came first: nothing is written then.
    """
    if not who.strip():
        raise UsageError("who must not be empty.", remedy="Every change of a ledger says who made it.")
    now, kept = moment(at), list(aside)
    digest = _hash(rows)
    with registry.begin() as con:
        if change.based_on is not None and _newest(con, change.ledger) != change.based_on:
            raise Overtaken(change.ledger, ())
        _check_versions(con, change.ledger, rows)
        number = _begin_change(con, change, "done", rows.height, digest, who, now)
        _write_rows(con, change.ledger, number, rows)
        _keep_aside(con, change.ledger, number, kept)
        _settle(con, change.settles, REPAIRED, "", who, now, number)
        detail = {**change.counts, "change": number, "kind": change.kind, "rows": rows.height, "hash": digest,
                  "aside_kept": len(kept), "file": change.file, "name": change.name,
                  "reason": change.reason}  # fmt: skip
        append_event(con, "ledger.changed", change.ledger, detail, who=who, at=now)
    return number


def record_dry(registry: Registry, change: Change, *, who: str, at: datetime | None = None) -> int:
    """Note that somebody looked at what a workbook would do; its number, by which it can be confirmed."""
    now = moment(at)
    with registry.begin() as con:
        number = _begin_change(con, change, "dry", 0, "", who, now)
        detail = {**change.counts, "change": number, "file": change.file, "name": change.name}
        append_event(con, "ledger.tried", change.ledger, detail, who=who, at=now)
    return number


def _begin_change(
    con: Connection, change: Change, state: str, written: int, digest: str, who: str, at: datetime
) -> int:
    row = {
        "ledger": change.ledger, "kind": change.kind, "state": state, "name": change.name, "file": change.file,
        "counts": dict(change.counts), "written": written, "reason": change.reason, "hash": digest,
        "by": who, "at": at,
    }  # fmt: skip
    made = con.execute(insert(_CHANGES).values(**row))
    return int((made.inserted_primary_key or (0,))[0])


def _hash(rows: pl.DataFrame) -> str:
    """SHA-256 over key, standing and data of the rows, in the order of their keys."""
    digest = hashlib.sha256()
    for part in rows.select("key", "standing", "data").sort("key").iter_slices(_BUNDLE):
        for values in part.iter_rows():
            digest.update("\x1f".join(values).encode() + b"\n")
    return digest.hexdigest()


def _check_versions(con: Connection, ledger: str, rows: pl.DataFrame) -> None:
    """Overtaken unless every row still has the version that was read, and every new key is new."""
    known = rows.filter(pl.col("_row").is_not_null())
    stale: list[Row] = []
    query = (
        select(_ROWS.c.id, _ROWS.c.key, _ROWS.c.version, _CHANGES.c.by, _CHANGES.c.at)
        .join(_CHANGES, _CHANGES.c.id == _ROWS.c.change)
        .where(_ROWS.c.id.in_(bindparam("wanted", expanding=True)))
    )
    read = dict(known.select("_row", "_version").iter_rows())
    for part in known.iter_slices(500):
        found = con.execute(query, {"wanted": part["_row"].to_list()}).mappings()
        stale += [dict(r) for r in found if r["version"] != read[r["id"]]]
    fresh = rows.filter(pl.col("_row").is_null())
    taken = (
        select(_ROWS.c.key, _CHANGES.c.by, _CHANGES.c.at)
        .join(_CHANGES, _CHANGES.c.id == _ROWS.c.change)
        .where(_ROWS.c.ledger == ledger, _ROWS.c.key.in_(bindparam("wanted", expanding=True)))
    )
    for part in fresh.iter_slices(500):
        stale += [dict(r) for r in con.execute(taken, {"wanted": part["key"].to_list()}).mappings()]
    if stale:
        raise Overtaken(ledger, stale)


def _write_rows(con: Connection, ledger: str, number: int, rows: pl.DataFrame) -> None:
    """New rows, changed rows, and a version of each, in bundles of plain values."""
    first = int(con.execute(select(func.max(_ROWS.c.id))).scalar() or 0) + 1
    fresh = pl.col("_row").is_null()
    numbered = rows.with_columns(
        id=pl.when(fresh).then(first - 1 + fresh.cum_sum()).otherwise(pl.col("_row")),
        version=pl.col("_version").fill_null(0) + 1,
        change=pl.lit(number),
        ledger=pl.lit(ledger),
    )
    current = ["id", "ledger", "key", "standing", "into", "state", "place", "enterprise", "source", "data",
               "version", "change"]  # fmt: skip
    changing = [name for name in current if name not in ("id", "ledger", "key")]
    amended = (
        update(_ROWS).where(_ROWS.c.id == bindparam("number")).values({n: bindparam(f"new_{n}") for n in changing})
    )
    history = numbered.select(
        pl.col("id").alias("row"), "version", "change", "kind", "standing", "columns", "data"
    )
    insert_frame(con, _ROWS, numbered.filter(fresh).select(current))
    renamed = {"id": "number", **{n: f"new_{n}" for n in changing}}
    for part in (
        numbered.filter(~fresh).select(pl.col(n).alias(new) for n, new in renamed.items()).iter_slices(_BUNDLE)
    ):
        con.execute(amended, part.to_dicts())
    insert_frame(con, _VERSIONS, history)


def insert_frame(con: Connection, table: Table, frame: pl.DataFrame) -> None:
    """Append a frame of plain columns to a table: bundles of values, or COPY where the server takes it (5 times
    as fast there)."""
    if con.dialect.name != "postgresql":
        for part in frame.iter_slices(_BUNDLE):
            con.execute(insert(table), part.to_dicts())
        return
    names = ", ".join(con.dialect.identifier_preparer.quote(name) for name in frame.columns)
    # As elsewhere in a registry on a server: no NUL, which it refuses, but its picture.
    shown = frame.with_columns(pl.col(pl.String).str.replace_all("\0", "\u2400", literal=True))
    cursor = con.connection.cursor()
    with cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as stream:
        for values in shown.iter_rows():
            stream.write_row(values)


def _keep_aside(con: Connection, ledger: str, number: int, aside: Sequence[Mapping[str, Any]]) -> None:
    for start in range(0, len(aside), _BUNDLE):
        bundle = [
            {**row, "ledger": ledger, "change": number, "status": OPEN, "reason": ""}
            for row in aside[start : start + _BUNDLE]
        ]
        con.execute(insert(_ASIDE), bundle)


def _settle(
    con: Connection, numbers: Sequence[int], status: str, reason: str, who: str, at: datetime, change: int | None
) -> int:
    said = {"status": status, "reason": reason, "settled_by": who, "settled_at": at, "settled_change": change}
    wanted: BindParameter[Any] = bindparam("wanted", expanding=True)
    query = update(_ASIDE).where(_ASIDE.c.id.in_(wanted), _ASIDE.c.status == OPEN).values(**said)
    done = 0
    for start in range(0, len(numbers), 500):
        done += con.execute(query, {"wanted": list(numbers[start : start + 500])}).rowcount
    return done


def dismiss(
    registry: Registry, ledger: str, numbers: Sequence[int], *, reason: str, who: str, at: datetime | None = None
) -> int:
    """Accept lines kept aside as unusable, with the reason; how many. UsageError without one."""
    if not reason.strip() or not who.strip():
        raise UsageError("reason must not be empty.", remedy="Say why these lines are not needed.")
    now = moment(at)
    with registry.begin() as con:
        done = _settle(con, numbers, DISMISSED, reason.strip(), who, now, None)
        detail = {"lines": done, "reason": reason.strip(), "numbers": list(numbers[:100])}
        append_event(con, "ledger.dismissed", ledger, detail, who=who, at=now)
    return done


# -- reading ---------------------------------------------------------------------------------------------------


def rows(registry: Registry, ledger: str, *, standing: str | None = LIVE) -> tuple[int, pl.DataFrame]:
    """The newest change and the rows of a ledger (READ_SCHEMA), ordered by key; `standing` None: all of them."""
    query = select(
        _ROWS.c.id, _ROWS.c.key, _ROWS.c.version, _ROWS.c.standing, _ROWS.c.into, _ROWS.c.change, _ROWS.c.data
    ).where(_ROWS.c.ledger == ledger)
    if standing is not None:
        query = query.where(_ROWS.c.standing == standing)
    with registry.read() as con:
        number = _newest(con, ledger)
        found = con.execution_options(yield_per=_BUNDLE).execute(query.order_by(_ROWS.c.key))
        parts = [
            pl.DataFrame([tuple(r) for r in bundle], schema=dict(READ_SCHEMA), orient="row")
            for bundle in found.partitions()
        ]
    return number, pl.concat(parts) if parts else pl.DataFrame(schema=dict(READ_SCHEMA))


def gone(registry: Registry, ledger: str) -> pl.DataFrame:
    """Rows that were withdrawn or merged: ``_row, _key, _version, _standing, _into``, without their data."""
    columns = (_ROWS.c.id, _ROWS.c.key, _ROWS.c.version, _ROWS.c.standing, _ROWS.c.into)
    query = select(*columns).where(_ROWS.c.ledger == ledger, _ROWS.c.standing != LIVE)
    schema_ = {n: READ_SCHEMA[n] for n in ("_row", "_key", "_version", "_standing", "_into")}
    with registry.read() as con:
        return pl.DataFrame([tuple(r) for r in con.execute(query)], schema=schema_, orient="row")


def row(registry: Registry, ledger: str, number: int) -> Row:
    """One row with who changed it last and when; NotFound when the ledger has none of that number."""
    query = (
        select(_ROWS, _CHANGES.c.by, _CHANGES.c.at)
        .join(_CHANGES, _CHANGES.c.id == _ROWS.c.change)
        .where(_ROWS.c.ledger == ledger, _ROWS.c.id == number)
    )
    with registry.read() as con:
        found = con.execute(query).mappings().first()
    if found is None:
        raise NotFound(f"{ledger} has no row {number}.", remedy="The ledger's page lists its rows.")
    return dict(found)


def row_of_key(registry: Registry, ledger: str, key: str) -> int:
    """Number of the row with an identity; NotFound."""
    with registry.read() as con:
        found = con.execute(select(_ROWS.c.id).where(_ROWS.c.ledger == ledger, _ROWS.c.key == key)).scalar()
    if found is None:
        raise NotFound(f"{ledger} has no row {key!r}.", remedy="The ledger's page lists its rows.")
    return int(found)


def history(registry: Registry, ledger: str, number: int) -> list[Row]:
    """Every version of a row, newest first: what it said, which columns changed, who, when, why."""
    query = (
        select(
            _VERSIONS, _CHANGES.c.kind.label("act"), _CHANGES.c.reason, _CHANGES.c.name, _CHANGES.c.by,
            _CHANGES.c.at,
        )
        .join(_CHANGES, _CHANGES.c.id == _VERSIONS.c.change)
        .where(_VERSIONS.c.row == number, _CHANGES.c.ledger == ledger)
        .order_by(_VERSIONS.c.version.desc())
    )  # fmt: skip
    return _all(registry, query)


def merged_into(registry: Registry, ledger: str, number: int) -> list[Row]:
    """Rows that were merged into a row: their numbers and identities."""
    query = select(_ROWS.c.id, _ROWS.c.key).where(_ROWS.c.ledger == ledger, _ROWS.c.into == number)
    return _all(registry, query.order_by(_ROWS.c.id))


def changes(registry: Registry, ledger: str, *, limit: int = 50, dry: bool = False) -> list[Row]:
    """Changes of a ledger, newest first; with `dry` also what was only tried."""
    query = select(_CHANGES).where(_CHANGES.c.ledger == ledger).order_by(_CHANGES.c.id.desc()).limit(limit)
    return _all(registry, query if dry else query.where(_CHANGES.c.state == "done"))


def change(registry: Registry, ledger: str, number: int) -> Row:
    """One change of a ledger; NotFound."""
    found = _all(registry, select(_CHANGES).where(_CHANGES.c.ledger == ledger, _CHANGES.c.id == number))
    if not found:
        raise NotFound(f"{ledger} has no change {number}.", remedy="The ledger's page lists its changes.")
    return found[0]


def moments(registry: Registry, numbers: Iterable[int]) -> dict[int, datetime]:
    """When changes were made, by their number."""
    asked = sorted(set(numbers))
    found: dict[int, datetime] = {}
    for k in range(0, len(asked), _NUMBERS):
        query = select(_CHANGES.c.id, _CHANGES.c.at).where(_CHANGES.c.id.in_(asked[k : k + _NUMBERS]))
        found |= {r["id"]: r["at"] for r in _all(registry, query)}
    return found


def last_changes(registry: Registry) -> dict[str, Row]:
    """For each ledger that has any, its newest change that was done."""
    last = select(func.max(_CHANGES.c.id)).where(_CHANGES.c.state == "done").group_by(_CHANGES.c.ledger)
    return {r["ledger"]: r for r in _all(registry, select(_CHANGES).where(_CHANGES.c.id.in_(last)))}


def aside(registry: Registry, ledger: str, *, status: str | None = OPEN, change: int | None = None) -> list[Row]:
    """Lines kept aside, oldest first."""
    query = select(_ASIDE).where(_ASIDE.c.ledger == ledger).order_by(_ASIDE.c.id)
    if status is not None:
        query = query.where(_ASIDE.c.status == status)
    return _all(registry, query if change is None else query.where(_ASIDE.c.change == change))


def aside_counts(registry: Registry) -> dict[str, int]:
    """Open lines kept aside of each ledger that has any."""
    query = select(_ASIDE.c.ledger, func.count()).where(_ASIDE.c.status == OPEN).group_by(_ASIDE.c.ledger)
    with registry.read() as con:
        return {str(name): int(n) for name, n in con.execute(query)}


def _all(registry: Registry, query: Any) -> list[Row]:
    with registry.read() as con:
        return [dict(row) for row in con.execute(query).mappings()]
