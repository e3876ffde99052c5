"""A workbook into a ledger: looked at, taken in, repaired. What cannot be taken in is kept aside, line by line.

The same workbook twice changes nothing the second time. A column that a workbook leaves out is left as it is; a
row that it leaves out stays, unless the office says that the workbook is the whole ledger (`withdraw_missing`):
then the rows of its own scope that are not in it are withdrawn, with the reason.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl

from qinglan.access import Forbidden, Principal
from qinglan.core.errors import UsageError
from qinglan.flow.ledgers import rights
from qinglan.flow.ledgers.frames import Frame, encoded, frame
from qinglan.flow.workspace import Workspace
from qinglan.ledger.cells import place_of
from qinglan.ledger.change import difference
from qinglan.ledger.check import check_rows
from qinglan.ledger.declare import Ledger, ledgers, load_ledger
from qinglan.ledger.faults import fault_rows
from qinglan.ledger.geometry import load_outlines
from qinglan.ledger.workbook import marked, read_workbook
from qinglan.plan.pack import load_plan
from qinglan.store import ledgers as store
from qinglan.store.files import Files

#: How often an import is computed anew because another change came first.
_TRIES = 5
#: Largest workbook [byte]: 100,000 rows of a wide ledger take a tenth of it.
MOST_BYTES = 200 * 2**20


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or in a dry run would do. Lines: read = added + changed + same + back + aside.

    change : its number. file : digest of the workbook. back : rows that had been withdrawn and are in it again.
    withdrawn : rows of the ledger that the workbook left out. aside : lines not taken in; of them `known` were
    aside before. repaired : lines kept aside earlier that this import settles. findings, warnings : cells of the
    lines taken in. faults : what was found, as :data:`qinglan.ledger.faults.FAULT_SCHEMA`; line 0 is
    the head.
    """

    ledger: str
    change: int
    dry: bool
    name: str
    file: str
    read: int
    added: int
    changed: int
    same: int
    back: int
    withdrawn: int
    aside: int
    known: int
    repaired: int
    findings: int
    warnings: int
    faults: pl.DataFrame = field(repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """The numbers alone."""
        return {name: getattr(self, name) for name in COUNTS}


COUNTS = ("read", "added", "changed", "same", "back", "withdrawn", "aside", "known", "repaired", "findings",
          "warnings")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Prepared:
    """A workbook held against a ledger as it stands: what to write, what to keep aside, what to say.

    keys : identities of the lines that are taken in, changed or not.
    """

    base: Frame
    raw: pl.DataFrame
    writes: pl.DataFrame
    aside: Sequence[Mapping[str, Any]]
    settles: Sequence[int]
    faults: pl.DataFrame
    counts: Mapping[str, int]
    keys: Sequence[str]


def import_workbook(
    workspace: Workspace,
    ledger_id: str,
    data: bytes | Path,
    *,
    name: str,
    me: Principal,
    today: date,
    now: datetime,
    dry: bool = False,
    withdraw_missing: bool = False,
    reason: str = "",
    repairs: int | None = None,
) -> ImportReport:
    """Take a workbook (XLSX or CSV) into a ledger, or only look at what that would do (`dry`).

    withdraw_missing : the workbook is the whole of what this office keeps. repairs : number of an earlier import
    whose lines kept aside this workbook repairs, line by line (its marked workbook, sent back).

    Raises Forbidden, UnknownName (ledger), UsageError (too large, no workbook, no reason to withdraw).
    """
    ledger = load_ledger(ledger_id)
    scope = rights.need(me, ledger, rights.IMPORT)
    if withdraw_missing:
        scope_out = rights.need(me, ledger, rights.WITHDRAW)
        if not reason.strip():
            raise UsageError("a reason must be given.", remedy="Say why rows that are left out are withdrawn.")
    else:
        scope_out = rights.Scope()
    content = data.read_bytes() if isinstance(data, Path) else data
    if len(content) > MOST_BYTES:
        raise UsageError(f"{name} is larger than {MOST_BYTES // 2**20} MB.", remedy="Send it in parts.")
    raw = read_workbook(ledger, content)
    digest = Files(workspace.home).put(content)
    for attempt in range(_TRIES):
        base = frame(workspace, ledger)
        made = prepare(workspace, base, raw, today=today, scope=scope, scope_out=scope_out, repairs=repairs)
        counts = {**made.counts, **({} if repairs is None else {"repairs": repairs})}
        change = store.Change(
            ledger.id, "import", reason.strip(), name, digest, counts, made.base.change, made.settles
        )
        try:
            if dry:
                number = store.record_dry(workspace.registry, change, who=me.id, at=now)
            else:
                number = store.record(workspace.registry, change, made.writes, made.aside, who=me.id, at=now)
            break
        except store.Overtaken:
            if attempt == _TRIES - 1:
                raise
    return ImportReport(
        ledger=ledger.id, change=number, dry=dry, name=name, file=digest, faults=made.faults, **made.counts
    )


def again(workspace: Workspace, ledger_id: str, number: int, *, me: Principal, today: date) -> Prepared:
    """An import held once more against the ledger as it is: for the page of a dry run, and to mark its file."""
    ledger = load_ledger(ledger_id)
    scope = rights.need(me, ledger, rights.IMPORT)
    raw = read_workbook(ledger, workbook_of(workspace, ledger_id, number, me=me)[0])
    repairs = store.change(workspace.registry, ledger.id, number)["counts"].get("repairs")
    return prepare(workspace, frame(workspace, ledger), raw, today=today, scope=scope, repairs=repairs)


def workbook_of(workspace: Workspace, ledger_id: str, number: int, *, me: Principal) -> tuple[bytes, str]:
    """Bytes and name of an imported workbook: for who sent it, and for who keeps the whole ledger."""
    ledger = load_ledger(ledger_id)
    found = store.change(workspace.registry, ledger.id, number)
    scope = rights.need(me, ledger, rights.IMPORT)
    if found["by"] != me.id and not _whole(workspace, scope):
        raise Forbidden(rights.IMPORT, signed_in=me.signed_in)
    if not found["file"]:
        raise UsageError(f"change {number} of {ledger.id} has no workbook.", remedy="Only imports have one.")
    return Files(workspace.home).open(found["file"]), str(found["name"])


def _whole(workspace: Workspace, scope: rights.Scope) -> bool:
    return scope.everything or workspace.settings.place in scope.places


def marked_workbook(
    workspace: Workspace, ledger_id: str, number: int, *, me: Principal, today: date
) -> tuple[bytes, str]:
    """The workbook of an import (dry or done) with its faults marked at their cells, and a name for it."""
    ledger = load_ledger(ledger_id)
    data, name = workbook_of(workspace, ledger_id, number, me=me)
    made = again(workspace, ledger_id, number, me=me, today=today)
    return marked(ledger, data, made.faults), f"{Path(name).stem}-marked.xlsx"


def confirm(
    workspace: Workspace, ledger_id: str, number: int, *, me: Principal, today: date, now: datetime, **how: Any
) -> ImportReport:
    """Import the workbook that a dry run looked at."""
    data, name = workbook_of(workspace, ledger_id, number, me=me)
    repairs = store.change(workspace.registry, ledger_id, number)["counts"].get("repairs")
    return import_workbook(
        workspace, ledger_id, data, name=name, me=me, today=today, now=now, repairs=repairs, **how
    )


# -- holding a workbook against the ledger ----------------------------------------------------------------------


def prepare(
    workspace: Workspace,
    base: Frame,
    raw: pl.DataFrame,
    *,
    today: date,
    scope: rights.Scope,
    scope_out: rights.Scope | None = None,
    repairs: int | None = None,
) -> Prepared:
    """What taking these raw lines in would write. The registry is only read."""
    ledger = base.ledger
    checked = check_rows(
        ledger, raw, today=today, places=workspace.places, key_region=key_region(workspace),
        known=known_values(workspace, ledger), existing=base.rows, outlines=load_outlines(),
    )  # fmt: skip
    gone = store.gone(workspace.registry, ledger.id)
    rows, refused = _within(ledger, checked.rows, base.rows, gone, scope)
    faults = pl.concat([checked.faults, refused])
    aside = _aside(workspace, ledger, raw, {*checked.rejected["_line"], *refused["line"]}, faults)
    writes, counts = _writes(ledger, base.rows, rows, gone)
    if scope_out:
        left = base.rows.filter(scope_out.of(ledger)).join(rows, on="_key", how="anti")
        # What stands in the workbook but was refused is not left out.
        left = left.filter(~pl.col("_key").is_in(_raw_keys(ledger, raw).implode()))
        writes = pl.concat([writes, standing_writes(ledger, left, "withdrawn", "withdrawn")])
        counts["withdrawn"] = left.height
    before = store.aside(workspace.registry, ledger.id)
    digests = {r["digest"] for r in before}
    fresh = [line for line in aside if line["digest"] not in digests]
    taken = _origins(raw, rows["_line"].to_list())
    keys = set(rows["_key"].to_list())
    settles = [
        r["id"] for r in before
        if (r["key"] and r["key"] in keys) or (r["change"] == repairs and r["line"] in taken)
    ]  # fmt: skip
    inside = faults.filter(pl.col("line").is_in(rows["_line"].implode()))
    said = {
        "read": checked.read, **counts, "aside": len(aside), "known": len(aside) - len(fresh),
        "repaired": len(settles), "findings": inside.filter(pl.col("level") == "finding").height,
        "warnings": inside.filter(pl.col("level") == "warning").height,
    }  # fmt: skip
    return Prepared(base, raw, writes, fresh, settles, faults.sort("line"), said, rows["_key"].to_list())


def key_region(workspace: Workspace) -> frozenset[str]:
    """Places of the plan's key region."""
    plan = load_plan(workspace.settings.plan)
    return frozenset(plan.regions["key-region"].places) if "key-region" in plan.regions else frozenset()


def known_values(workspace: Workspace, ledger: Ledger) -> dict[str, set[str]]:
    """What the columns that others refer to hold: ``ledger.column`` to values. An empty ledger says nothing."""
    found: dict[str, set[str]] = {}
    declared = set(ledgers())
    for refers in {c.refers for c in ledger.columns if c.refers}:
        other, _, column = refers.partition(".")
        if other in declared and other != ledger.id:
            values = frame(workspace, other).rows[column].drop_nulls()
            if len(values):
                found[refers] = set(values.cast(pl.String).to_list())
    return found


def _within(
    ledger: Ledger, rows: pl.DataFrame, existing: pl.DataFrame, gone: pl.DataFrame, scope: rights.Scope
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows that may be written by who asks, and the faults of the others.

    A row counts as somebody else's by what it says now and by what it said before: nobody takes over a row by
    writing his own place into it.
    """
    held = existing.filter(~scope.of(ledger))["_key"].implode()
    owned = bool(scope.sources) and not scope.places
    foreign = rows.filter(~scope.of(ledger) | pl.col("_key").is_in(held))
    merged = gone.filter(pl.col("_standing") == store.MERGED)["_key"].implode()
    lost = rows.filter(pl.col("_key").is_in(merged)).join(foreign, on="_line", how="anti")
    column = (ledger.enterprise or ledger.source) if owned else ledger.place
    shown = foreign[column].cast(pl.String) if column else foreign["_key"]
    code = "not_yours" if owned else "out_of_scope"
    faults = [
        fault_rows(code, foreign["_line"], column or ledger.identity[0], shown),
        fault_rows("duplicate_identity", lost["_line"], ledger.identity[0], _told(lost, gone, existing), line="–"),
    ]
    kept = rows.join(foreign, on="_line", how="anti").join(lost, on="_line", how="anti")
    return kept, pl.concat(faults)


def _told(lost: pl.DataFrame, gone: pl.DataFrame, existing: pl.DataFrame) -> pl.Series:
    """Identities of rows that were merged, with the identity that they were merged into."""
    stays = existing.select(pl.col("_row").alias("_into"), pl.col("_key").alias("_stays"))
    into = gone.select("_key", "_into").join(stays, on="_into", how="left")
    both = lost.select("_key").join(into, on="_key", how="left", maintain_order="left")
    return both.select(pl.concat_str("_key", pl.lit(" → "), pl.col("_stays").fill_null("?"))).to_series()


def _writes(
    ledger: Ledger, existing: pl.DataFrame, rows: pl.DataFrame, gone: pl.DataFrame
) -> tuple[pl.DataFrame, dict[str, int]]:
    """Rows to write, and how many lines add, change, repeat or bring back a row."""
    # A ledger may have columns of its own that are called kind or columns.
    judged = difference(ledger, existing, rows).rename({"kind": "_kind", "columns": "_columns"})
    counted = dict(judged.group_by("_kind").len().iter_rows())
    told = rows.join(judged, on="_key", how="inner", maintain_order="left").filter(pl.col("_kind") != "same")
    numbers = pl.concat([existing.select("_key", "_row", "_version"), gone.select("_key", "_row", "_version")])
    told = told.join(numbers, on="_key", how="left", maintain_order="left")
    returned = (pl.col("_kind") == "added") & pl.col("_row").is_not_null()
    back = told.filter(returned)
    told = told.with_columns(_kind=pl.when(returned).then(pl.lit("back")).otherwise(pl.col("_kind")))
    return row_writes(ledger, told), {
        "added": counted.get("added", 0) - back.height, "changed": counted.get("changed", 0),
        "same": counted.get("same", 0), "back": back.height, "withdrawn": 0,
    }  # fmt: skip


def row_writes(ledger: Ledger, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with ``_key, _row, _version, _kind, _columns`` as the store takes them."""

    def part(column: str) -> pl.Expr:
        return (pl.col(column).cast(pl.String) if column else pl.lit(None, pl.String)).fill_null("")

    return rows.select(
        "_row", "_version", key=pl.col("_key"), kind=pl.col("_kind"),
        standing=pl.lit(store.LIVE), into=pl.lit(None, pl.Int64), state=part(ledger.state),
        place=part(ledger.place), enterprise=part(ledger.enterprise), source=part(ledger.source),
        columns=pl.col("_columns").list.join(",").fill_null(""), data=encoded(ledger, rows),
    ).cast(pl.Schema(store.WRITE_SCHEMA))  # fmt: skip


def standing_writes(
    ledger: Ledger, rows: pl.DataFrame, kind: str, standing: str, into: int | None = None
) -> pl.DataFrame:
    """Rows of a frame as the store takes them when only their standing changes."""
    told = rows.with_columns(_kind=pl.lit(kind), _columns=pl.lit([], dtype=pl.List(pl.String)))
    made = row_writes(ledger, told)
    return made.with_columns(standing=pl.lit(standing), into=pl.lit(into, pl.Int64))


def _origins(raw: pl.DataFrame, lines: list[int]) -> set[int]:
    """Where lines stood in the file that was repaired: a marked workbook of a large file says it itself."""
    told = raw.filter(pl.col("_line").is_in(lines))
    own = pl.col("_origin").cast(pl.Int64, strict=False) if "_origin" in raw.columns else pl.lit(None, pl.Int64)
    return set(told.select(pl.coalesce(own, "_line")).to_series().to_list())


def _raw_keys(ledger: Ledger, raw: pl.DataFrame) -> pl.Series:
    """Identities of raw lines as far as they can be read: as rows write them when the cells are plain."""
    if not set(ledger.identity) <= set(raw.columns):
        return pl.Series("_key", [""] * raw.height, dtype=pl.String)
    parts = [pl.col(c).str.strip_chars().fill_null("") for c in ledger.identity]
    return raw.select(pl.concat_str(parts, separator=KEY_SEPARATOR).alias("_key")).to_series()


#: Between the parts of an identity of several columns (as `ledger.check` joins them).
KEY_SEPARATOR = "|"


def _aside(
    workspace: Workspace, ledger: Ledger, raw: pl.DataFrame, lines: set[int], faults: pl.DataFrame
) -> list[dict[str, Any]]:
    """Lines not taken in, with their cells as they came and everything that is wrong with them."""
    if not lines:
        return []
    out = raw.with_columns(_raw_keys(ledger, raw)).filter(pl.col("_line").is_in(list(lines)))
    wrong: dict[int, list[dict[str, Any]]] = {}
    for entry in faults.filter(pl.col("line").is_in(out["_line"].implode())).iter_rows(named=True):
        wrong.setdefault(entry["line"], []).append(
            {k: v for k, v in entry.items() if k != "line" and v is not None}
        )
    places: dict[str, str] = {}
    made = []
    for cells in out.iter_rows(named=True):
        line, key = cells.pop("_line"), cells.pop("_key")
        told = {k: v for k, v in cells.items() if v not in (None, "") and not k.startswith("_")}
        text = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        where = str(told.get(ledger.place, "")) if ledger.place else ""
        if where not in places:
            found = place_of(where, workspace.places, "") if where else None
            places[where] = found.place if found else ""
        made.append(
            {"line": line, "key": key.strip(KEY_SEPARATOR + " "), "place": places[where],
             "enterprise": str(told.get(ledger.enterprise, ""))[:80] if ledger.enterprise else "",
             "digest": hashlib.sha256(text.encode()).hexdigest(), "raw": text,
             "faults": json.dumps(wrong.get(line, []), ensure_ascii=False)}
        )  # fmt: skip
    return made
