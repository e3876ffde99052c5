"""The completion of an emergency list: proposed with a reason for each line, then accepted into the ledger.

A proposal is computed anew from the ledgers each time it is asked for; the same ledgers make the same one. Who
accepts names the proposal that was read (its digest): where the ledgers have moved on it is another, and refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl

from qinglan.access import Principal
from qinglan.core.errors import UsageError
from qinglan.episode.completion import LEVELS, SPECIES, complete
from qinglan.episode.emergency_list import bounded
from qinglan.episode.list_rows import EMITS, completed, drafted, grade_for, gridded, mended
from qinglan.episode.reasons import LEVEL_WORDS, explained, held_back, needs_in_words
from qinglan.flow.emergency.checking import LEDGER, Checked, check, needs_of, with_lines, year_of
from qinglan.flow.emergency.gathering import Gathered, gathered
from qinglan.flow.ledgers.editing import Bulk, set_rows
from qinglan.flow.ledgers.frames import frame
from qinglan.flow.memory import Memory
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import load_ledger
from qinglan.store.ledgers import Overtaken

Row = dict[str, Any]
#: What a proposal does with a row.
KINDS = ("added", "listed", "changed")
#: Columns of the ledger that a proposal may set on a row that is there.
_SET = (*LEVELS, *(f"{level}_cut" for level in LEVELS), "status")
_MOST = 4


@dataclass(frozen=True)
class Proposal:
    """A completion of the list of a year.

    rows : rows of the completed list in use, as the ledger would hold them, with `_row` (null: new). changes :
    `key, kind, uscc, enterprise, county, line_no, line, sector, grade, <level>, <level>_cut, <level>_before`
    of the rows that it changes, and the reason of each in `zh, en`. needs : as :class:`Checked`, with `completed`.
    held : of :func:`qinglan.episode.reasons.held_back`. cost : CNY a day by level. digest : names the proposal.
    """

    year: int
    met: bool
    digest: str
    rows: pl.DataFrame
    changes: pl.DataFrame
    needs: pl.DataFrame
    said: Sequence[tuple[str, str]]
    held: pl.DataFrame
    cost: dict[str, float]
    checked: Checked


_kept = Memory[Proposal](_MOST)


def propose(workspace: Workspace, today: date, year: int | None = None) -> Proposal:
    """The cheapest fair completion of the list of a year (None: its newest); nothing is written.

    Lines that emit and are not listed are added with what their grade demands; cuts that cannot be are put right;
    then the programme of docs/explanation/emergency-list.md says who cuts how much more.
    """
    asked = year_of(workspace, year)
    key = gathered(workspace, asked, today).stamp
    return _kept.get(key, lambda: _proposed(workspace, today, asked))


def _proposed(workspace: Workspace, today: date, year: int) -> Proposal:
    checked = check(workspace, today, year)
    found = checked.gathered
    before = _start(workspace, checked, today)
    good, mends = mended(before, found.books)
    lines = gridded(_bounded(good, found))
    made = complete(lines, checked.terms)
    after = completed(good, made.cuts, found.books)
    why = explained(lines, checked.terms, made)
    changes = _changes(before, after, mends, why)
    needs = needs_of(checked.terms, claimed=checked.rows, credible=checked.credible, completed=after)
    return Proposal(
        year, bool(needs["holds"].all()), _digest(checked.change, changes), after, changes, needs,
        needs_in_words(made), held_back(lines, checked.terms, made), dict(made.cost), checked,
    )  # fmt: skip


def _start(workspace: Workspace, checked: Checked, today: date) -> pl.DataFrame:
    """What is completed: rows listed, rows due and not listed, and drafts for lines that have no row."""
    found = checked.gathered
    own = with_lines(frame(workspace, LEDGER).rows, found).filter(
        (pl.col("year") == checked.year)
        & (pl.col("status") != "closed")
        & ~pl.col("_key").is_in(list(checked.idle))  # what does not run can cut nothing
    )
    own = own.with_columns(_was=pl.col("status"), status=pl.lit("listed"))
    there = own.select("uscc", "line_no")
    emitting = found.lines.filter(EMITS)
    if found.working:  # a closed enterprise is a finding, not a row
        emitting = emitting.filter(pl.col("uscc").is_in(list(found.working)))
    free = emitting.unique(["uscc", "line_no"], maintain_order=True).join(
        there, on=["uscc", "line_no"], how="anti", maintain_order="left"
    )
    fresh = drafted(free, found.books, checked.year, today)
    kept = [c for c in own.columns if c not in ("_version", "_change")]
    return pl.concat([own.select(kept), fresh], how="diagonal_relaxed").with_columns(
        (pl.col(f"{s}_day").fill_null(0.0) / 1000).alias(s) for s in SPECIES
    )


def _bounded(rows: pl.DataFrame, found: Gathered) -> pl.DataFrame:
    """Lines of the programme; those of industries outside the guide follow the grade that the option names."""
    grades = [grade_for(found.books, row) for row in rows.iter_rows(named=True)]
    # What is drafted stands on no list yet: its least is what the grade demands.
    drafts = pl.col("_row").is_null()
    graded = rows.with_columns(
        pl.Series("grade", grades, dtype=pl.String),
        *(pl.when(drafts).then(0.0).otherwise(pl.col(f"{n}_cut")).alias(f"{n}_cut") for n in LEVELS),
    )
    cost = {"*": found.books.cuts.number("cost.tonne")}
    return bounded(graded, found.books.grades, found.books.cuts, cost)


def _changes(before: pl.DataFrame, after: pl.DataFrame, mends: pl.DataFrame, why: pl.DataFrame) -> pl.DataFrame:
    reasons: dict[tuple[str, str], tuple[str, str]] = {
        (r["key"], r["level"]): (r["zh"], r["en"]) for r in why.iter_rows(named=True)
    }
    put_right: dict[str, list[tuple[str, str]]] = {}
    for m in mends.iter_rows(named=True):
        put_right.setdefault(m["key"], [])
        if (m["zh"], m["en"]) not in put_right[m["key"]]:
            put_right[m["key"]].append((m["zh"], m["en"]))
    made = []
    for old, new in zip(before.iter_rows(named=True), after.iter_rows(named=True), strict=True):
        kind = "added" if old["_row"] is None else "listed" if old["_was"] != "listed" else "changed"
        moved = [
            level for level in LEVELS if abs((old[f"{level}_cut"] or 0) - (new[f"{level}_cut"] or 0)) > 1e-6
            or old[level] != new[level]
        ]  # fmt: skip
        if kind == "changed" and not moved:
            continue
        # A new line says the reason of each level; one that is there those of the levels that move.
        told = [*put_right.get(new["_key"], []), *_by_level(new["_key"], reasons, moved or LEVELS)]
        made.append(
            {
                "key": new["_key"], "kind": kind,
                **{k: new[k] for k in ("uscc", "enterprise", "county", "line_no", "line", "sector", "grade")},
                **{f"{level}_before": None if kind == "added" else old[f"{level}_cut"] for level in LEVELS},
                **{level: new[level] for level in LEVELS},
                **{f"{level}_cut": new[f"{level}_cut"] for level in LEVELS},
                "zh": "".join(zh for zh, _ in told), "en": " ".join(en.strip() for _, en in told),
            }
        )  # fmt: skip
    return pl.DataFrame(made, schema=_CHANGES, infer_schema_length=None)


def _by_level(
    key: str, reasons: dict[tuple[str, str], tuple[str, str]], levels: Sequence[str]
) -> list[tuple[str, str]]:
    """The reason of each level, said once for levels that have the same."""
    same: dict[tuple[str, str], list[str]] = {}
    for level in levels:
        same.setdefault(reasons[key, level], []).append(level)
    return [
        (
            "、".join(LEVEL_WORDS[n][0] for n in of) + f"：{zh}",
            ", ".join(LEVEL_WORDS[n][1] for n in of) + f": {en}",
        )
        for (zh, en), of in same.items()
    ]


_CHANGES: dict[str, Any] = {
    **dict.fromkeys(
        ("key", "kind", "uscc", "enterprise", "county", "line_no", "line", "sector", "grade"), pl.String
    ),
    **{f"{level}_before": pl.Float64 for level in LEVELS},
    **dict.fromkeys(LEVELS, pl.String),
    **{f"{level}_cut": pl.Float64 for level in LEVELS},
    **dict.fromkeys(("zh", "en"), pl.String),
}


def _digest(change: int, changes: pl.DataFrame) -> str:
    told = changes.drop("zh", "en").to_dicts()
    return hashlib.sha256(json.dumps([change, told], sort_keys=True).encode()).hexdigest()[:16]


def accept(
    workspace: Workspace,
    digest: str,
    *,
    reason: str,
    me: Principal,
    today: date,
    now: datetime,
    year: int | None = None,
    keys: Sequence[str] | None = None,
) -> Bulk:
    """Write a proposal, or some of its rows (`keys`), into the ledger as one change with its history.

    Every row passes the ledger's own checks and rights; one that does not is left and told. Overtaken when the
    ledgers have moved on since the proposal was read, UsageError without a reason or for a key it does not have.
    """
    found = propose(workspace, today, year)
    if found.digest != digest:
        raise Overtaken(LEDGER, [])
    chosen = found.changes if keys is None else found.changes.filter(pl.col("key").is_in(list(keys)))
    lost = sorted(set(keys or ()) - set(chosen["key"]))
    if lost:
        raise UsageError(f"the proposal has no row {lost[0]}.", remedy="Choose rows of the proposal.")
    if chosen.is_empty():
        raise UsageError("there is nothing to accept.", remedy="The list holds as it is.")
    kinds = dict(chosen.select("key", "kind").iter_rows())
    schema = load_ledger(LEDGER).schema
    cells = []
    for row in found.rows.filter(pl.col("_key").is_in(list(kinds))).iter_rows(named=True):
        wanted = schema if kinds[row["_key"]] == "added" else (*load_ledger(LEDGER).identity, *_SET)
        cells.append({name: row[name] for name in wanted if name in row})
    return set_rows(workspace, LEDGER, cells, reason=reason, me=me, today=today, now=now)
