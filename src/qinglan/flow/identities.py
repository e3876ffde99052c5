"""Enterprises out of the ledgers as they are now: who said what of each, who won, and what a person decided.

Decisions are events of the audit chain (``linkage.decided``, ``linkage.bound``): the newest about a fact of an
enterprise, or about a row without an identity, holds.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from qinglan.access import Forbidden, Principal
from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.emission.linkage import LACKING, Fused, fuse, identity_of, trust
from qinglan.flow.ledgers import rights
from qinglan.flow.ledgers.frames import frame
from qinglan.flow.memory import Memory
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import load_ledger
from qinglan.store import ledgers as store
from qinglan.store.registry import append_event, events

DECIDED, BOUND = "linkage.decided", "linkage.bound"
#: The ledger whose right to merge rows is the right to decide between ledgers.
_OF = "air-enterprises"
#: What a process keeps: fusions by year and by what their readers may see, made anew when a ledger changes.
_kept = Memory[Fused](12)


def records_of(
    workspace: Workspace, me: Principal, year: int, *, permission: str = rights.VIEW
) -> dict[str, pl.DataFrame]:
    """Rows of every origin that is a ledger, as far as somebody may see them, in the form that `fuse` reads.

    year : of the ledgers that are kept by years or months; others stand as they are now
    """
    found = {}
    for origin, told in trust()["origins"].items():
        if "ledger" not in told:
            continue
        ledger = load_ledger(told["ledger"])
        scope = rights.scope(me, ledger, permission)
        if scope:
            rows = _of_year(frame(workspace, ledger).rows.filter(scope.of(ledger)), told, year)
            found[origin] = _record(rows, told)
    return found


def fused(
    workspace: Workspace, me: Principal, year: int, *, extra: Mapping[str, pl.DataFrame] | None = None
) -> Fused:
    """The enterprises that somebody may see, with their conflicts and the decisions that hold.

    extra : frames of origins in place of their ledger (a table that is not imported), for offices that see
        everything of their province; Forbidden for others, since such a table has no rights of its own
    """
    if extra and not rights.scope(me, load_ledger(_OF), rights.IMPORT):
        raise Forbidden(rights.IMPORT, signed_in=me.signed_in)
    records = records_of(workspace, me, year) | dict(extra or {})
    known = set().union(*(r["uscc"].drop_nulls().to_list() for r in records.values() if "uscc" in r.columns), ())
    mine = [d for d in decisions(workspace) if d["identity"] in known]
    return fuse(records, decisions=mine, bindings=_that_hold(records, bindings(workspace)))


def _that_hold(records: Mapping[str, pl.DataFrame], told: list[dict[str, str]]) -> list[dict[str, str]]:
    """Bindings of rows in sight that still tell no identity themselves: a row that was corrected needs none."""
    found = []
    for one in told:
        rows = (
            records[one["origin"]].filter(row_key=one["row_key"]) if one["origin"] in records else pl.DataFrame()
        )
        if rows.height and not identity_of(rows.row(0, named=True))[0]:
            found.append(one)
    return found


def held(workspace: Workspace, me: Principal, year: int) -> Fused:
    """The same without `extra`, kept in memory until a ledger of it changes or somebody decides."""
    return _kept.get((*stands(workspace, me), year), lambda: fused(workspace, me, year))


def stands(workspace: Workspace, me: Principal) -> tuple[Hashable, ...]:
    """What a fusion is made of: the newest change of each origin, decisions, and which rows somebody sees."""
    newest = store.newest(workspace.registry)
    seen = tuple((n, newest.get(n, 0), rights.scope(me, load_ledger(n), rights.VIEW)) for n in origins().values())
    last = [(d["identity"], d["fact"], d["origin"], d["at"]) for d in decisions(workspace)]
    rows = [(b["identity"], b["origin"], b["row_key"], b["at"]) for b in bindings(workspace)]
    return workspace.home, seen, tuple(last), tuple(rows)


def origins() -> Mapping[str, str]:
    """Of each origin that is a ledger, which."""
    return {origin: told["ledger"] for origin, told in trust()["origins"].items() if "ledger" in told}


def years(workspace: Workspace, me: Principal) -> list[int]:
    """Years of which yearly and monthly origins tell somebody something, newest first."""
    found: set[int] = set()
    for told in trust()["origins"].values():
        if "ledger" in told and "year" in told:
            ledger = load_ledger(told["ledger"])
            rows = frame(workspace, ledger).rows.filter(rights.scope(me, ledger, rights.VIEW).of(ledger))
            column = rows[told["year"]]
            found |= set((column.dt.year() if column.dtype == pl.Date else column).drop_nulls().to_list())
    return sorted(found, reverse=True)


def decisions(workspace: Workspace) -> list[dict[str, str]]:
    """What people decided, oldest first: `identity, fact, origin, reason, by, at` (ISO)."""
    return [
        {"identity": e["subject"], "by": e["who"], "at": e["at"].isoformat(),
         **{n: e["detail"][n] for n in ("fact", "origin", "reason")}}
        for e in events(workspace.registry, what=DECIDED)
    ]  # fmt: skip


def bindings(workspace: Workspace) -> list[dict[str, str]]:
    """Rows to which people gave an identity, oldest first: `identity, origin, row_key, reason, by, at` (ISO)."""
    return [
        {"identity": e["subject"], "by": e["who"], "at": e["at"].isoformat(),
         **{n: e["detail"][n] for n in ("origin", "row_key", "reason")}}
        for e in events(workspace.registry, what=BOUND)
    ]  # fmt: skip


def bind(
    workspace: Workspace, me: Principal, origin: str, row_key: str, identity: str, *, reason: str, now: datetime,
    year: int,
) -> None:  # fmt: skip
    """Say to which enterprise a row without an identity belongs. Written into the audit chain.

    year : of the yearly ledger that the row is of. Raises Forbidden, UnknownName (origin), UsageError (no reason,
    a row that tells its identity itself) and NotFound (row, or enterprise, that is not within one's reach).
    """
    rights.need(me, load_ledger(_OF), rights.MERGE)
    if origin not in origins():
        raise UnknownName("origin", origin, tuple(origins()))
    if not reason.strip():
        raise UsageError("a decision needs a reason.", remedy="Say why the row is this enterprise's.")
    reach = records_of(workspace, me, year, permission=rights.MERGE)
    rows = reach[origin].filter(row_key=row_key) if origin in reach else pl.DataFrame()
    if rows.is_empty():
        raise NotFound(f"{origin} has no row {row_key!r} within your reach.", remedy="See /sources/conflicts.")
    if told := identity_of(rows.row(0, named=True))[0]:
        raise UsageError(
            f"the row is of {told} by its own code.", remedy="Correct the row where its code is wrong."
        )
    if not any((r["uscc"] == identity).any() for r in reach.values()):
        raise NotFound(f"no enterprise {identity!r} is within your reach.", remedy="Look it up in the ledger.")
    detail = {"origin": origin, "row_key": row_key, "reason": reason.strip()}
    with workspace.registry.begin() as con:
        append_event(con, BOUND, identity, detail, who=me.id, at=now)


def decide(
    workspace: Workspace, me: Principal, identity: str, fact: str, origin: str, *, reason: str, now: datetime
) -> None:
    """Believe an origin about a fact of an enterprise, from now on. Written into the audit chain.

    Raises Forbidden (who may not merge rows of enterprises), UnknownName (fact, or an origin that is not asked
    about it), UsageError (no reason), NotFound (no enterprise of this code among the rows in one's reach).
    """
    rights.need(me, load_ledger(_OF), rights.MERGE)
    facts = trust()["facts"]
    if fact not in facts:
        raise UnknownName("fact", fact, tuple(facts))
    if origin not in facts[fact]["order"]:
        raise UnknownName("origin", origin, tuple(facts[fact]["order"]))
    if not reason.strip():
        raise UsageError(
            "a decision needs a reason.", remedy="Say why this ledger is right and the others are not."
        )
    reach = records_of(workspace, me, now.year, permission=rights.MERGE).values()
    if not any((r["uscc"] == identity).any() for r in reach):
        raise NotFound(f"no enterprise {identity!r} is within your reach.", remedy="Look it up in the ledger.")
    detail = {"fact": fact, "origin": origin, "reason": reason.strip()}
    with workspace.registry.begin() as con:
        append_event(con, DECIDED, identity, detail, who=me.id, at=now)


def _of_year(rows: pl.DataFrame, told: Mapping[str, Any], year: int) -> pl.DataFrame:
    if "where" in told:
        rows = rows.filter(pl.sql_expr(told["where"]))
    if "year" in told:
        column = pl.col(told["year"])
        rows = rows.filter((column.dt.year() if rows.schema[told["year"]] == pl.Date else column) == year)
    if "newest" in told:
        rows = rows.sort(told["newest"], "_key", nulls_last=False).unique("uscc", keep="last", maintain_order=True)
    return rows


def _record(rows: pl.DataFrame, told: Mapping[str, Any]) -> pl.DataFrame:
    times = told.get("times", {})
    made = rows.select(
        pl.col("_key").alias("row_key"),
        "uscc",
        *(
            (pl.col(column) * times[name] if name in times else pl.col(column)).alias(name)
            for name, column in told["columns"].items()
        ),
    )
    if "whole" not in told:
        return made
    by, count = told["whole"]["by"], told["whole"]["rows"]
    first = pl.int_range(pl.len()).over("uscc", by) == 0
    absent = (count - pl.len().over("uscc", by)).clip(0)
    lacking = rows.select(pl.when(first).then(absent).otherwise(0).cast(pl.Int64).alias(LACKING))
    return made.hstack(lacking)
