"""Rows set aside at the door, mended by people: edited, their station named, read again, or accepted as unusable.

A repair is a load of its own (layout ``repair``) that says who did it, why, and which rejects it answers; the
mended row passes the same door (:func:`qinglan.core.contracts.judge`) and enters the lake as any other. When it
does not pass, nothing is written. Doing a repair again changes nothing: the row is there, the reject is settled.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from qinglan.core.batch import ReadContext, Reject
from qinglan.core.contracts import judge
from qinglan.core.errors import LayoutError, NotFound, UnknownName, UsageError
from qinglan.core.tables import DATASETS, dataset
from qinglan.flow import ingest, locked
from qinglan.flow.sources import guess_layout, layout_named, layouts, opened_sources
from qinglan.flow.uploads import whereabouts
from qinglan.flow.workspace import Workspace
from qinglan.store import loads
from qinglan.store.merge import SOURCE
from qinglan.store.stations import register_stations, stations

Row = dict[str, Any]
LAYOUT = "repair"
_TEXT = (".csv", ".txt", ".tsv", ".dat")
#: Lines of a file that are looked through for the one to mend.
_MOST_LINES = 5_000_000


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did: its load, and rows by outcome (inserted, unchanged, superseded, filled)."""

    load_id: str
    outcomes: Mapping[str, int]


def reject(workspace: Workspace, number: int) -> Row:
    """One reject with `layout` and `path` of its file, and how it can be mended.

    ``how``: ``fields`` (its raw text is a record: `fields` by name), ``line`` (a line of a text file: `text`), or
    empty when only its station can be named or it can be set aside for good. NotFound when there is none.
    """
    found = [r for r in loads.rejects(workspace.registry, status=None) if r["id"] == number]
    if not found:
        raise NotFound(f"no reject {number}.", remedy="The list of rejects shows their numbers.")
    row = found[0]
    load = loads.load(workspace.registry, row["load_id"])
    file: Row = next((f for f in load["files"] if f["id"] == row["file_id"]), {})
    path = str(file.get("path", ""))
    row |= {
        "layout": load["layout"],
        "options": load["arguments"].get("options", {}),
        "path": path if not path or "!" in path else str(whereabouts(workspace, path)),
    }
    record = _record(row["raw"])
    if record is not None:
        return {**row, "how": "fields", "fields": record, "text": ""}
    text = _line(row)
    return {**row, "how": "line" if text else "", "fields": {}, "text": text}


def _record(raw: str) -> Row | None:
    """The record that a raw text is, when it has the keys of a data set."""
    try:
        found = json.loads(raw)
    except ValueError:
        return None
    return found if isinstance(found, dict) and _dataset_of(found) else None


def _dataset_of(record: Mapping[str, Any]) -> str | None:
    """The data set that a record's columns fit."""
    for name, contract in DATASETS.items():
        if not contract.derived and all(k in record for k in contract.key) and set(record) <= set(contract.handed):
            return name
    return None


def _line(row: Mapping[str, Any]) -> str:
    """The line of the source that a reject names; empty when the file is gone or not a text file."""
    head = _head(row)
    return head[1] if head else ""


def _head(row: Mapping[str, Any]) -> tuple[str, str] | None:
    """First line of the file and the line in question, as text."""
    plain = Path(str(row["path"]))
    if not row["line"] or row["line"] < 2 or plain.suffix.lower() not in _TEXT or not plain.is_file():
        return None
    with plain.open("rb") as handle:
        first = handle.readline()
        wanted = b""
        for number, line in enumerate(handle, start=2):
            if number == row["line"]:
                wanted = line
                break
            if number > _MOST_LINES:
                return None
    encoding = "utf-8-sig"
    try:
        (first + wanted).decode(encoding)
    except UnicodeDecodeError:
        encoding = "gb18030"
    return first.decode(encoding, "replace").rstrip("\r\n"), wanted.decode(encoding, "replace").rstrip("\r\n")


def mend(
    workspace: Workspace,
    number: int,
    *,
    reason: str,
    who: str,
    fields: Mapping[str, str] | None = None,
    text: str = "",
) -> Repaired:
    """Let one corrected row in: its `fields`, or the corrected `text` of its line.

    Raises UsageError when the reject is settled already, when no reason is given, or when the row does not pass
    the door (with all that is wrong with it), and ReviewRefused when it would change a locked month; then nothing
    is written.
    """
    row = reject(workspace, number)
    if row["status"] != loads.OPEN:
        raise UsageError(f"reject {number} is {row['status']} already.", remedy="Nothing more is needed.")
    if not reason.strip():
        raise UsageError("reason is empty.", remedy="Say why this is the right value.")
    if row["how"] == "fields" and fields is not None:
        parts = [_from_fields(fields, row["fields"])]
        said = json.dumps(dict(fields), ensure_ascii=False, sort_keys=True)
    elif row["how"] == "line" and text.strip():
        parts, said = _from_line(workspace, row, text), text
    else:
        raise UsageError(f"reject {number} cannot be edited here.", remedy=row["remedy"])
    good = [(name, _passed(name, frame)) for name, frame in parts]
    return _write(workspace, good, [row], said, reason, who)


def _from_fields(given: Mapping[str, str], before: Mapping[str, Any]) -> tuple[str, pl.DataFrame]:
    name = str(_dataset_of(before))
    contract = dataset(name)
    kinds: dict[str, Any] = {"float": pl.Float64, "int": pl.Int32, "date": pl.Date}
    frame: dict[str, pl.Series] = {}
    for column in (contract.column(n) for n in contract.handed if n in before):
        value = given.get(column.name, str(before[column.name])).strip()
        series = pl.Series(column.name, [value or None], pl.String)
        try:
            if column.kind == "time":
                series = series.str.to_datetime(time_zone="UTC")
            elif column.kind in kinds:
                series = series.str.to_date() if column.kind == "date" else series.cast(kinds[column.kind])
        except pl.exceptions.PolarsError:
            raise UsageError(
                f"{column.name} {value!r} cannot be read.", remedy="Write a number or time."
            ) from None
        frame[column.name] = series
    return name, pl.DataFrame(frame)


def _from_line(workspace: Workspace, row: Mapping[str, Any], text: str) -> list[tuple[str, pl.DataFrame]]:
    """Rows that the file's own layout makes of its heading and the corrected line."""
    head = _head(row)
    if head is None:
        raise UsageError(f"the file {row['source']} is no longer there.", remedy="Load the corrected file.")
    options = {k: v for k, v in row["options"].items() if k != "accept_units"}
    context = ReadContext(workspace.station_lookup(), workspace.place_of, options)
    frames: list[tuple[str, pl.DataFrame]] = []
    with tempfile.TemporaryDirectory(prefix="qinglan-") as folder:
        path = Path(folder) / Path(str(row["path"])).name
        path.write_text("\n".join([head[0], *text.splitlines()]) + "\n", encoding="utf-8")
        for batch in layout_named(str(row["layout"])).read(path, context):
            if batch.rejects:
                raise UsageError(_told(batch.rejects), remedy="Correct it further, or accept the row as unusable.")
            frames.append((batch.dataset, pl.DataFrame(batch.rows)))
    if not any(frame.height for _, frame in frames):
        raise UsageError("the corrected line holds no row.", remedy="Keep the number and order of its cells.")
    return frames


def _passed(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    good, wrong = judge(frame, name)
    if wrong:
        raise UsageError(_told(wrong), remedy="Correct it further, or accept the row as unusable.")
    return good


def _told(rejects: Sequence[Reject]) -> str:
    return "; ".join(r.reason for r in rejects[:5]) + "."


def _write(
    workspace: Workspace,
    parts: Sequence[tuple[str, pl.DataFrame]],
    rows: Sequence[Row],
    said: str,
    reason: str,
    who: str,
) -> Repaired:
    """Merge the rows as a load that names what it repairs, and settle the rejects."""
    registry, ids = workspace.registry, [r["id"] for r in rows]
    totals: dict[str, int] = {}
    with workspace.lake.writing():
        for name, frame in parts:
            locked.refuse(workspace, name, frame, replace=True)
        arguments = {"options": {}, "rejects": ids, "reason": reason, "row": said, "paths": [], "replace": True}
        load_id = loads.begin_load(registry, LAYOUT, arguments, who=who)
        for name, frame in parts:
            table = frame.with_columns(pl.lit(0, pl.Int32).alias(SOURCE)).to_arrow()
            written = workspace.lake.upsert(name, table, load_id, replace=True)
            for outcome, count in written.by_source.get(0, {}).items():
                totals[outcome] = totals.get(outcome, 0) + count
        data = said.encode()
        digest = hashlib.sha256(data).hexdigest()
        counts = {"read": sum(f.height for _, f in parts), **totals, "rejected": 0, "cells": 0, "by_code": {}}
        name = f"repair of {rows[0]['source']}:{rows[0]['line'] or ''}"
        record = loads.FileRecord("", name, digest, len(data), LAYOUT, loads.DONE, counts, reason)
        loads.checkpoint(registry, load_id, [record])
        loads.settle_rejects(registry, ids, loads.REPAIRED, reason=f"{reason} (load {load_id})", who=who)
        loads.finish_load(registry, load_id, loads.DONE, {"files": {loads.DONE: 1}, **counts}, who=who)
    return Repaired(load_id, totals)


def name_station(workspace: Workspace, name: str, station: str, *, reason: str, who: str) -> ingest.RetryReport:
    """Say which station a name means, and read again what was set aside for want of it.

    The name becomes an alias in the register; every load with open rejects of that name is read again.
    """
    if not reason.strip():
        raise UsageError("reason is empty.", remedy="Say how you know which station it is.")
    known = {s["station"]: s for s in stations(workspace.registry)}
    if station not in known:
        raise UnknownName("station", station, list(known))
    wanted = [
        r for r in loads.rejects(workspace.registry)
        if r["code"] in ("unknown_station", "ambiguous_station") and r["value"] == name
    ]  # fmt: skip
    if not wanted:
        raise NotFound(f"nothing open was set aside for the name {name!r}.", remedy="Check the spelling.")
    row = {**known[station], "aliases": [*known[station]["aliases"], name]}
    register_stations(workspace.registry, [row], who=who)
    done = [retry(workspace, load_id, who=who) for load_id in sorted({r["load_id"] for r in wanted})]
    return ingest.RetryReport(
        sum(d.repaired for d in done),
        sum(d.still_open for d in done),
        tuple(path for d in done for path in d.lost),
        tuple(report for d in done for report in d.reports),
    )


def retry(workspace: Workspace, load_id: str, *, who: str) -> ingest.RetryReport:
    """Read the files of a load with open rejects once more, after the register was mended."""
    return ingest.retry_rejects(workspace, load_id, who=who)


def dismiss(workspace: Workspace, ids: Iterable[int], *, reason: str, who: str) -> int:
    """Accept rejects as unusable, with a reason; how many changed. Settled ones stay as they are."""
    if not reason.strip():
        raise UsageError("reason is empty.", remedy="Say why these rows cannot be used.")
    wanted = set(ids)
    open_ids = [r["id"] for r in loads.rejects(workspace.registry) if r["id"] in wanted]
    return loads.settle_rejects(workspace.registry, open_ids, loads.DISMISSED, reason=reason, who=who)


def dismiss_all(workspace: Workspace, load_id: str, code: str, *, reason: str, who: str) -> int:
    """Accept all open rejects of a load and code as unusable."""
    found = loads.rejects(workspace.registry, load_id=load_id, code=code)
    return dismiss(workspace, [r["id"] for r in found], reason=reason, who=who)


@dataclass(frozen=True, slots=True)
class Preview:
    """What loading a file would do: its layout, rows that would enter by data set, what would be set aside."""

    layout: str
    rows: Mapping[str, int]
    rejects: tuple[Reject, ...]
    sample: tuple[Row, ...]
    columns: tuple[str, ...]


def preview(workspace: Workspace, path: Path, layout: str = "") -> Preview:
    """Read and judge a file without writing anything. LayoutError when it cannot be read or recognised."""
    with opened_sources([path], sorted({e for x in layouts().values() for e in x.LAYOUT.extensions})) as sources:
        if len(sources) != 1:
            raise LayoutError(f"{path.name} holds {len(sources)} files.", remedy="Send them one by one.")
        name = layout or guess_layout(sources[0].path)
        context = ReadContext(workspace.station_lookup(), workspace.place_of, {})
        rows: dict[str, int] = {}
        wrong: list[Reject] = []
        sample: list[Row] = []
        for batch in layout_named(name).read(sources[0].path, context):
            wrong += batch.rejects
            frame = pl.DataFrame(batch.rows)
            if batch.dataset != "stations":
                frame, more = judge(frame, batch.dataset)
                frame, kept_out = locked.split(workspace, batch.dataset, frame)
                wrong += [*more, *locked.rejects(workspace, batch.dataset, kept_out)]
            rows[batch.dataset] = rows.get(batch.dataset, 0) + frame.height
            if len(sample) < 8:
                sample += frame.head(8 - len(sample)).to_dicts()
    columns = tuple(c for c in (sample[0] if sample else {}) if any(r.get(c) is not None for r in sample))
    return Preview(name, rows, tuple(wrong), tuple(sample), columns)
