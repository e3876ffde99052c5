"""One row of a ledger: entered, corrected, moved on, withdrawn, brought back, merged; and many rows at once.

Everything passes the same checks as a workbook's line. A row is changed against the version that its reader saw:
whoever comes second is told (:class:`qinglan.store.ledgers.Overtaken`), and what he typed is still his.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import polars as pl

from qinglan.access import Forbidden, Principal
from qinglan.core.errors import NotFound, UsageError
from qinglan.flow.ledgers import rights
from qinglan.flow.ledgers.asking import Asked, wanted
from qinglan.flow.ledgers.frames import Frame, frame, typed
from qinglan.flow.ledgers.importing import KEY_SEPARATOR, Prepared, prepare, standing_writes
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import Ledger, load_ledger
from qinglan.store import ledgers as store

Row = dict[str, Any]


class RowRefused(UsageError):
    """A row that cannot be taken as it is. `faults` says what is wrong with which column, in both languages."""

    def __init__(self, faults: Sequence[Mapping[str, Any]]) -> None:
        self.faults = tuple(faults)
        said = "; ".join(f"{f['column']}: {f['en']}" for f in self.faults[:5])
        super().__init__(f"the row was not taken in: {said}.", remedy="Mend these cells; the others are kept.")


@dataclass(frozen=True, slots=True)
class Bulk:
    """What setting a column of many rows would do, or did. `matched` = changed + same + refused."""

    matched: int
    changed: int
    same: int
    refused: int
    faults: pl.DataFrame
    change: int = 0


def as_cells(ledger: Ledger, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows as the text cells that a workbook would hold, with ``_line`` counted from 1."""
    texts = []
    for column in ledger.columns:
        cell = pl.col(column.name)
        if column.type == "month":
            cell = cell.dt.strftime("%Y-%m")
        texts.append(cell.cast(pl.String))
    return rows.select(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("_line"), *texts)


def one(workspace: Workspace, ledger_id: str, number: int, *, me: Principal) -> Row:
    """A row of a ledger with its typed `data`; NotFound also when it is not one's to see.

    Beside what the store gives: `data` (typed, personal columns only for those who may edit), `editable`,
    `withdrawable`.
    """
    ledger = load_ledger(ledger_id)
    found = store.row(workspace.registry, ledger.id, number)
    rows = _typed_row(ledger, found)
    if not _reaches(rights.need(me, ledger, rights.VIEW), ledger, rows):
        raise NotFound(f"{ledger.id} has no row {number}.", remedy="The ledger's page lists its rows.")
    data = rows.row(0, named=True)
    hidden = () if rights.sees_personal(me, ledger) else [c.name for c in ledger.columns if c.personal]
    live = found["standing"] == store.LIVE
    return {
        **found,
        "data": {c: data[c] for c in ledger.schema if c not in hidden},
        "editable": live and _reaches(rights.scope(me, ledger, rights.EDIT), ledger, rows),
        "withdrawable": _reaches(rights.scope(me, ledger, rights.WITHDRAW), ledger, rows),
    }


def _typed_row(ledger: Ledger, found: Row) -> pl.DataFrame:
    raw = pl.DataFrame(
        [(found["id"], found["key"], found["version"], found["standing"], found["into"], found["change"],
          found["data"])],
        schema=dict(store.READ_SCHEMA), orient="row",
    )  # fmt: skip
    return typed(ledger, raw)


def _reaches(scope: rights.Scope, ledger: Ledger, rows: pl.DataFrame) -> bool:
    return bool(scope) and bool(rows.select(scope.of(ledger).all()).item())


def save(
    workspace: Workspace,
    ledger_id: str,
    cells: Mapping[str, str],
    *,
    number: int | None,
    version: int | None,
    reason: str,
    me: Principal,
    today: date,
    now: datetime,
    settles: int | None = None,
    replacing: bool = False,
) -> int:
    """Enter a new row (`number` None) or correct one; its number. Columns that are not given stay as they are.

    version : of the row as its reader saw it. settles : number of a line kept aside that this entry repairs.
    replacing : a row of the same identity is corrected, as a workbook's line would.

    Raises RowRefused, Overtaken, Forbidden, UsageError (nothing changed; identity of a row changed; no reason).
    """
    ledger = load_ledger(ledger_id)
    scope = rights.need(me, ledger, rights.EDIT)
    for name in cells:
        ledger.column(name)
    base = frame(workspace, ledger)
    given: dict[str, str | None] = {n: (str(v).strip() or None) for n, v in cells.items()}
    if number is not None:
        if not reason.strip():
            raise UsageError("a reason must be given.", remedy="Say why the row is corrected.")
        before = _current(workspace, ledger, base, number, version)
        known = as_cells(ledger, before).row(0, named=True)
        changed = [c for c in ledger.identity if c in given and given[c] != known[c]]
        if changed:
            raise UsageError(
                f"{', '.join(changed)} identifies the row and cannot be changed.",
                remedy="Enter the row under the right identity and merge this one into it.",
            )
        given = {**{k: v for k, v in known.items() if k != "_line"}, **given}
    made = prepare(workspace, base, _one_line(ledger, given), today=today, scope=scope)
    if made.aside or not made.counts["read"] - made.counts["aside"]:
        errors = made.faults.filter(pl.col("level") == "error")
        raise RowRefused(errors.to_dicts())
    if number is None and not replacing and not (made.counts["added"] or made.counts["back"]):
        raise UsageError("a row with this identity is there already.", remedy="Open that row and correct it.")
    if not made.writes.height and settles is None:
        raise UsageError("nothing was changed.", remedy="Nothing more is needed.")
    lines = () if settles is None else (settles,)
    _record(workspace, ledger, "form", reason, made, me, now, settles=lines)
    return store.row_of_key(workspace.registry, ledger.id, made.keys[0])


def _current(workspace: Workspace, ledger: Ledger, base: Frame, number: int, version: int | None) -> pl.DataFrame:
    """The row as the frame has it; Overtaken when that is not the version read, NotFound when not live."""
    found = base.rows.filter(pl.col("_row") == number)
    if not found.height:
        raise NotFound(f"{ledger.id} has no live row {number}.", remedy="It may have been withdrawn or merged.")
    if version is not None and found["_version"][0] != version:
        raise store.Overtaken(ledger.id, [store.row(workspace.registry, ledger.id, number)])
    return found


def _one_line(ledger: Ledger, given: Mapping[str, str | None]) -> pl.DataFrame:
    names = {"_line": pl.Int64(), **dict.fromkeys(ledger.schema, pl.String())}
    return pl.DataFrame([{"_line": 1, **{c: given.get(c) for c in ledger.schema}}], schema=names)


def _record(
    workspace: Workspace,
    ledger: Ledger,
    kind: str,
    reason: str,
    made: Prepared,
    me: Principal,
    now: datetime,
    settles: Sequence[int] = (),
) -> int:
    lines = tuple(dict.fromkeys((*made.settles, *settles)))
    change = store.Change(ledger.id, kind, reason.strip(), counts=made.counts, settles=lines)
    return store.record(workspace.registry, change, made.writes, who=me.id, at=now)


def move(
    workspace: Workspace,
    ledger_id: str,
    number: int,
    to: str,
    *,
    version: int | None,
    reason: str,
    me: Principal,
    today: date,
    now: datetime,
    cells: Mapping[str, str] | None = None,
) -> None:
    """Move a row to another state, as far as the declaration allows it. `cells` : what must be told with it."""
    ledger = load_ledger(ledger_id)
    if not ledger.state:
        raise UsageError(f"rows of {ledger.id} have no state.", remedy="Correct the row instead.")
    save(
        workspace, ledger_id, {**(cells or {}), ledger.state: to}, number=number, version=version, reason=reason,
        me=me, today=today, now=now,
    )  # fmt: skip


def withdraw(
    workspace: Workspace,
    ledger_id: str,
    numbers: Sequence[int],
    *,
    reason: str,
    me: Principal,
    now: datetime,
    version: int | None = None,
) -> int:
    """Take rows out of the ledger with a reason: they stay with their history. How many."""
    ledger = load_ledger(ledger_id)
    scope = rights.need(me, ledger, rights.WITHDRAW)
    _need_reason(reason)
    base = frame(workspace, ledger)
    found = base.rows.filter(pl.col("_row").is_in(list(numbers)))
    if found.height != len(set(numbers)):
        raise NotFound(
            f"{ledger.id} has no such live row.", remedy="It may have been withdrawn or merged already."
        )
    if version is not None and found["_version"].to_list() != [version]:
        raise store.Overtaken(ledger.id, [store.row(workspace.registry, ledger.id, numbers[0])])
    if not _reaches(scope, ledger, found):
        raise Forbidden(rights.WITHDRAW, signed_in=me.signed_in)
    writes = standing_writes(ledger, found, "withdrawn", store.WITHDRAWN)
    change = store.Change(ledger.id, "withdraw", reason.strip(), counts={"withdrawn": found.height})
    store.record(workspace.registry, change, writes, who=me.id, at=now)
    return found.height


def bring_back(
    workspace: Workspace, ledger_id: str, number: int, *, reason: str, me: Principal, now: datetime
) -> None:
    """Put a withdrawn row back as it last stood."""
    ledger = load_ledger(ledger_id)
    scope = rights.need(me, ledger, rights.WITHDRAW)
    _need_reason(reason)
    found = store.row(workspace.registry, ledger.id, number)
    if found["standing"] != store.WITHDRAWN:
        raise UsageError(f"row {number} is {found['standing']}.", remedy="Only a withdrawn row can be put back.")
    rows = _typed_row(ledger, found)
    if not _reaches(scope, ledger, rows):
        raise Forbidden(rights.WITHDRAW, signed_in=me.signed_in)
    change = store.Change(ledger.id, "back", reason.strip(), counts={"back": 1})
    writes = standing_writes(ledger, rows, "back", store.LIVE)
    store.record(workspace.registry, change, writes, who=me.id, at=now)


def _need_reason(reason: str) -> None:
    if not reason.strip():
        raise UsageError("a reason must be given.", remedy="Say why.")


def bulk_set(
    workspace: Workspace,
    ledger_id: str,
    asked: Asked,
    column: str,
    value: str,
    *,
    reason: str,
    me: Principal,
    today: date,
    now: datetime,
    dry: bool = True,
) -> Bulk:
    """Set a column of all rows asked for; only those of one's scope. A dry run counts and writes nothing."""
    ledger = load_ledger(ledger_id)
    scope = rights.need(me, ledger, rights.EDIT)
    name = ledger.column(column).name
    if name in ledger.identity:
        raise UsageError(f"{name} identifies the row and cannot be set.", remedy="Choose another column.")
    if not asked:
        raise UsageError("no filter is set.", remedy="Choose the rows first: by place, state, code or search.")
    if not dry:
        _need_reason(reason)
    base = frame(workspace, ledger)
    found = wanted(ledger, base.rows.filter(scope.of(ledger)), replace(asked, sort=""))
    if not found.height:
        raise UsageError("no row fits the filter.", remedy="Choose other rows.")
    cells = as_cells(ledger, found).with_columns(pl.lit(value.strip() or None, dtype=pl.String).alias(name))
    made = prepare(workspace, base, cells, today=today, scope=scope)
    number = 0 if dry or not made.writes.height else _record(workspace, ledger, "bulk", reason, made, me, now)
    counts = made.counts
    errors = made.faults.filter(pl.col("level") == "error")
    refused = found.height - counts["changed"] - counts["same"]
    return Bulk(found.height, counts["changed"], counts["same"], refused, errors, number)


def set_rows(
    workspace: Workspace,
    ledger_id: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    reason: str,
    me: Principal,
    today: date,
    now: datetime,
) -> Bulk:
    """Enter and correct many rows as one change; each names its identity and the typed columns that it sets.

    Columns that a row does not name stay as they are. A row that its checks or the writer's rights refuse is left,
    with its faults; UsageError when none can be taken or nothing changes.
    """
    ledger = load_ledger(ledger_id)
    scope = rights.need(me, ledger, rights.EDIT)
    _need_reason(reason)
    base = frame(workspace, ledger)
    wanted = {KEY_SEPARATOR.join(str(row[c]) for c in ledger.identity): row for row in rows}
    there = base.rows.filter(pl.col("_key").is_in(list(wanted)))
    known = {r["_key"]: r for r in there.iter_rows(named=True)}
    whole = [{c: {**known.get(k, {}), **row}.get(c) for c in ledger.schema} for k, row in wanted.items()]
    cells = as_cells(ledger, pl.DataFrame(whole, schema=dict(ledger.schema)))
    made = prepare(workspace, base, cells, today=today, scope=scope)
    counts, errors = made.counts, made.faults.filter(pl.col("level") == "error")
    refused = len(whole) - counts["added"] - counts["changed"] - counts["same"] - counts["back"]
    if not made.writes.height:
        if refused:
            raise RowRefused(errors.to_dicts())
        raise UsageError("nothing was changed.", remedy="Nothing more is needed.")
    number = _record(workspace, ledger, "bulk", reason, made, me, now)
    taken = counts["added"] + counts["changed"] + counts["back"]
    return Bulk(len(whole), taken, counts["same"], refused, errors, number)


def merge(
    workspace: Workspace,
    ledger_id: str,
    stays: int,
    goes: int,
    *,
    take: Sequence[str] = (),
    reason: str,
    me: Principal,
    today: date,
    now: datetime,
) -> None:
    """Merge two rows that mean the same: one stays, the other points to it and keeps its history.

    take : columns in which the row that goes is right; an empty cell of the one that stays is filled anyway.
    """
    ledger = load_ledger(ledger_id)
    scope = rights.need(me, ledger, rights.MERGE)
    _need_reason(reason)
    if stays == goes:
        raise UsageError("a row cannot be merged into itself.", remedy="Choose two rows.")
    base = frame(workspace, ledger)
    keep, lose = (_current(workspace, ledger, base, n, None) for n in (stays, goes))
    if not (_reaches(scope, ledger, keep) and _reaches(scope, ledger, lose)):
        raise Forbidden(rights.MERGE, signed_in=me.signed_in)
    told, other = (as_cells(ledger, r).row(0, named=True) for r in (keep, lose))
    for name in take:
        if ledger.column(name).name in ledger.identity:
            raise UsageError(f"{name} identifies the row that stays.", remedy="Keep the other row instead.")
    cells = {
        c: other[c] if (c in take or told[c] is None) and c not in ledger.identity else told[c]
        for c in ledger.schema
    }
    moved = bool(ledger.state) and cells[ledger.state] != told[ledger.state]
    without = replace_rows(base, keep, lose, moved)
    made = prepare(workspace, without, _one_line(ledger, cells), today=today, scope=scope)
    if made.aside:
        raise RowRefused(made.faults.filter(pl.col("level") == "error").to_dicts())
    gone = standing_writes(ledger, lose, "merged", store.MERGED, stays)
    counts = {**made.counts, "merged": 1, "stays": stays, "goes": goes}
    change = store.Change(ledger.id, "merge", reason.strip(), counts=counts)
    store.record(workspace.registry, change, pl.concat([made.writes, gone]), who=me.id, at=now)


def replace_rows(base: Frame, keep: pl.DataFrame, lose: pl.DataFrame, moved: bool) -> Frame:
    """The frame without the row that goes; with `moved`, the one that stays takes the other's state before.

    A merge corrects which state is true, it is no move of the row: so moves are not held against it.
    """
    rows = base.rows.filter(pl.col("_row") != lose["_row"][0])
    if moved:
        name = base.ledger.state
        rows = rows.with_columns(
            pl.when(pl.col("_row") == keep["_row"][0])
            .then(pl.lit(lose[name][0]))
            .otherwise(pl.col(name))
            .alias(name)
        )
    return Frame(base.ledger, base.change, rows)


def history(workspace: Workspace, ledger_id: str, number: int, *, me: Principal) -> list[Row]:
    """Every version of a row, newest first: typed `data`, what each changed (`before`, `after` by column)."""
    one(workspace, ledger_id, number, me=me)  # NotFound when it is not one's to see
    ledger = load_ledger(ledger_id)
    hidden = set() if rights.sees_personal(me, ledger) else {c.name for c in ledger.columns if c.personal}
    versions = store.history(workspace.registry, ledger.id, number)
    said = [json.loads(v["data"]) for v in versions]
    for k, version in enumerate(versions):
        before = said[k + 1] if k + 1 < len(said) else {}
        version["data"] = {n: v for n, v in said[k].items() if n not in hidden}
        version["changes"] = [
            {"column": n, "before": before.get(n), "after": said[k].get(n)}
            for n in version.pop("columns").split(",") if n and n not in hidden and n in ledger.schema
        ] if before else []  # fmt: skip
    return versions
