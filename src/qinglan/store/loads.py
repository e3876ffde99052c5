"""Loads, their files and what they set aside."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from qinglan import __version__
from qinglan.core.batch import Reject
from qinglan.core.errors import NotFound, UnknownName
from qinglan.store import schema
from qinglan.store.registry import Registry, Row, append_event, moment

RUNNING, DONE, FAILED, INTERRUPTED = "running", "done", "failed", "interrupted"
#: `repeated`: a retry set the same thing aside again, and its entry stands for this one now.
OPEN, REPAIRED, DISMISSED, REPEATED = "open", "repaired", "dismissed", "repeated"
REJECT_STATES = (OPEN, REPAIRED, DISMISSED, REPEATED)
#: Code of rows that were kept out of a locked month.
LOCKED_MONTH = "locked_month"
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file that a load has dealt with. `recipe` stands for layout and options: a file read by another recipe is
    another file."""

    path: str
    name: str
    sha256: str
    size: int
    recipe: str
    status: str
    counts: Mapping[str, Any]
    message: str = ""
    rejects: Sequence[Reject] = ()


def begin_load(
    registry: Registry, layout: str, arguments: Mapping[str, Any], *, who: str, at: datetime | None = None
) -> str:
    """Open a load and return its id."""
    now = moment(at)
    load_id = f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
    with registry.begin() as con:
        con.execute(
            insert(schema.loads).values(
                id=load_id,
                layout=layout,
                arguments=dict(arguments),
                started_at=now,
                status=RUNNING,
                counts={},
                code_version=__version__,
            )
        )
        append_event(con, "load.begun", load_id, {"layout": layout}, who=who, at=now)
    return load_id


def close_dead_loads(registry: Registry, *, who: str, at: datetime | None = None) -> list[str]:
    """Mark loads that still run as interrupted. Call it only while holding the lake's writer lock."""
    now = moment(at)
    with registry.begin() as con:
        dead = list(con.execute(select(schema.loads.c.id).where(schema.loads.c.status == RUNNING)).scalars())
        for load_id in dead:
            con.execute(
                update(schema.loads)
                .where(schema.loads.c.id == load_id)
                .values(status=INTERRUPTED, finished_at=now)
            )
            append_event(con, "load.interrupted", load_id, {}, who=who, at=now)
    return dead


def checkpoint(
    registry: Registry, load_id: str, records: Iterable[FileRecord], at: datetime | None = None
) -> list[int]:
    """Write down in one transaction that files are dealt with, and what they set aside; ids of the files."""
    now, ids = moment(at), []
    with registry.begin() as con:
        for record in records:
            made = con.execute(
                insert(schema.load_files).values(
                    load_id=load_id,
                    path=record.path,
                    name=record.name,
                    sha256=record.sha256,
                    size=record.size,
                    recipe=record.recipe,
                    status=record.status,
                    counts=dict(record.counts),
                    message=record.message,
                    at=now,
                )
            )
            file_id = int((made.inserted_primary_key or (0,))[0])
            ids.append(file_id)
            _insert_rejects(con, load_id, file_id, record)
    return ids


def _insert_rejects(con: Connection, load_id: str, file_id: int, record: FileRecord) -> None:
    rows = [
        {
            "load_id": load_id,
            "file_id": file_id,
            "source": record.name,
            "line": r.line,
            "code": r.code,
            "field": r.field,
            "value": r.value,
            "raw": r.raw,
            "detail": r.detail,
            "rows": r.rows,
            "reason": r.reason,
            "reason_zh": r.reason_zh,
            "remedy": r.remedy,
            "remedy_zh": r.remedy_zh,
            "status": OPEN,
        }
        for r in record.rejects
    ]
    if rows:
        con.execute(insert(schema.rejects), rows)


def finish_load(
    registry: Registry,
    load_id: str,
    status: str,
    counts: Mapping[str, Any],
    *,
    who: str,
    at: datetime | None = None,
) -> None:
    """Close a load with its counts."""
    now = moment(at)
    with registry.begin() as con:
        con.execute(
            update(schema.loads)
            .where(schema.loads.c.id == load_id)
            .values(status=status, counts=dict(counts), finished_at=now)
        )
        append_event(con, f"load.{status}", load_id, counts, who=who, at=now)


def already_loaded(registry: Registry, recipe: str, hashes: Iterable[str]) -> dict[str, str]:
    """Of these hashes, the files wholly loaded by this recipe before: hash to load id.

    A file of which rows were kept out of a locked month, and still are, is not wholly loaded.
    """
    wanted = list(hashes)
    found: dict[str, str] = {}
    files, aside = schema.load_files.c, schema.rejects.c
    other = schema.load_files.alias()
    waiting = (
        select(other.c.sha256)
        .join(schema.rejects, aside.file_id == other.c.id)
        .where(aside.code == LOCKED_MONTH, aside.status == OPEN)
    )
    with registry.read() as con:
        for start in range(0, len(wanted), _CHUNK):
            query = select(files.sha256, files.load_id).where(
                files.recipe == recipe, files.status == DONE, files.sha256.in_(wanted[start : start + _CHUNK]),
                files.sha256.not_in(waiting),
            )  # fmt: skip
            found.update((sha, load) for sha, load in con.execute(query))
    return found


def file_paths(registry: Registry) -> list[str]:
    """Where every file that a load names lay."""
    with registry.read() as con:
        return list(con.execute(select(schema.load_files.c.path).distinct()).scalars())


def loads(registry: Registry) -> list[Row]:
    """All loads, newest first."""
    query = select(schema.loads).order_by(schema.loads.c.started_at.desc(), schema.loads.c.id.desc())
    with registry.read() as con:
        return [dict(row) for row in con.execute(query).mappings()]


def load(registry: Registry, load_id: str) -> Row:
    """One load with its `files`; NotFound when there is none of that id."""
    files = (
        select(schema.load_files).where(schema.load_files.c.load_id == load_id).order_by(schema.load_files.c.id)
    )
    with registry.read() as con:
        row = con.execute(select(schema.loads).where(schema.loads.c.id == load_id)).mappings().first()
        if row is None:
            raise NotFound(f"no load {load_id!r}.", remedy="`qinglan loads` lists them.")
        return {**row, "files": [dict(f) for f in con.execute(files).mappings()]}


def loaders(registry: Registry, load_ids: Iterable[str]) -> dict[str, str]:
    """Who began each of these loads; a load that nobody wrote down is left out."""
    wanted = list(load_ids)
    found: dict[str, str] = {}
    log = schema.events.c
    with registry.read() as con:
        for start in range(0, len(wanted), _CHUNK):
            part = wanted[start : start + _CHUNK]
            query = select(log.subject, log.who).where(log.what == "load.begun", log.subject.in_(part))
            found.update((str(load), str(who)) for load, who in con.execute(query))
    return found


def rejects(
    registry: Registry,
    *,
    load_id: str | None = None,
    code: str | None = None,
    status: str | None = OPEN,
    limit: int | None = None,
) -> list[Row]:
    """What was set aside, oldest first, with the text it had."""
    query = select(schema.rejects).order_by(schema.rejects.c.id)
    for column, wanted in (("load_id", load_id), ("code", code), ("status", status)):
        if wanted is not None:
            query = query.where(schema.rejects.c[column] == wanted)
    with registry.read() as con:
        return [dict(row) for row in con.execute(query.limit(limit)).mappings()]


def reject_counts(registry: Registry, *, status: str | None = None) -> list[Row]:
    """Rejects counted by load, code, field and status, newest load first, each with one reason and remedy."""
    table = schema.rejects.c
    by = (table.load_id, table.code, table.field, table.status)
    query = (
        select(
            *by,
            func.count().label("count"),
            func.sum(table.rows).label("rows"),
            *(func.min(table[n]).label(n) for n in ("source", "reason", "reason_zh", "remedy", "remedy_zh")),
        )
        .group_by(*by)
        .order_by(table.load_id.desc(), func.count().desc(), table.code)
    )
    if status is not None:
        query = query.where(table.status == status)
    with registry.read() as con:
        return [dict(row) for row in con.execute(query).mappings()]


def kept_out(registry: Registry, hashes: Iterable[str]) -> list[Row]:
    """Open rejects of rows kept out of locked months, of these files: ``id, load_id, value, sha256``."""
    wanted, found = list(hashes), []
    files, aside = schema.load_files.c, schema.rejects.c
    with registry.read() as con:
        for start in range(0, len(wanted), _CHUNK):
            query = (
                select(aside.id, aside.load_id, aside.value, files.sha256)
                .join(schema.load_files, files.id == aside.file_id)
                .where(aside.code == LOCKED_MONTH, aside.status == OPEN)
                .where(files.sha256.in_(wanted[start : start + _CHUNK]))
            )
            found += [dict(row) for row in con.execute(query).mappings()]
    return found


def settle_rejects(
    registry: Registry, ids: Iterable[int], status: str, *, reason: str, who: str, at: datetime | None = None
) -> int:
    """Mark rejects repaired or dismissed (or open again), with a reason; how many changed."""
    if status not in REJECT_STATES:
        raise UnknownName("state of a reject", status, REJECT_STATES)
    wanted, now, changed = list(ids), moment(at), 0
    table = schema.rejects
    with registry.begin() as con:
        for start in range(0, len(wanted), _CHUNK):
            part = wanted[start : start + _CHUNK]
            done = con.execute(
                update(table).where(table.c.id.in_(part), table.c.status != status).values(status=status)
            )
            changed += done.rowcount
        if changed:
            detail = {"ids": wanted[:1000], "count": changed, "reason": reason}
            append_event(con, f"rejects.{status}", f"{changed} rejects", detail, who=who, at=now)
    return changed
