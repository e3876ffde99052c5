"""Orders of a warning: what each enterprise must do, its answer, what was found, and what is kept of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from qinglan.access import Forbidden, Principal
from qinglan.core.clock import today
from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.core.rulebook import RuleBook
from qinglan.episode.completion import SPECIES
from qinglan.flow.electricity import normal_day
from qinglan.flow.ledgers.frames import frame
from qinglan.flow.ledgers.rights import Scope
from qinglan.flow.warnings.rules import IN_FORCE
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import load_ledger
from qinglan.plan.rules import load_book
from qinglan.store import warnings as store

Row = dict[str, Any]
LIST = "emergency-list"
ANSWERS = ("acknowledged", "refused")
#: How the cut of a line is found; the mean over what was found last by each counts.
METHODS = ("electricity", "stack", "inspection")
ANSWER, VERIFY, VIEW = "order.answer", "order.verify", "warning.view"


def orders_for(workspace: Workspace, place: str, level: str) -> list[Row]:
    """Orders of a level for a place, by its newest list: `uscc, enterprise, place, level, lines`.

    A line says what the list says of it; one that does nothing at this level is not ordered. A line that is needed
    by the people is left alone.
    """
    rows = frame(workspace, LIST).rows.filter(pl.col("status") == "listed")
    if rows.is_empty():
        return []
    rows = rows.filter(pl.col("year") == rows["year"].max(), Scope(places=(place,)).of(load_ledger(LIST)))
    made: dict[str, Row] = {}
    for row in rows.sort("uscc", "line_no").iter_rows(named=True):
        if row["guaranteed"] or (row[level] in (None, "none") and not row[f"{level}_cut"]):
            continue
        order = made.setdefault(
            row["uscc"],
            {
                "uscc": row["uscc"],
                "enterprise": row["enterprise"],
                "place": row["county"],
                "level": level,
                "lines": [],
            },
        )
        order["lines"].append(
            {
                **{k: row[k] for k in ("line_no", "line", "sector", "grade", "lead_hours", "verified_by")},
                "measure": row[level], "cut": row[f"{level}_cut"] or 0.0,
                **{s: row[f"{s}_day"] or 0.0 for s in SPECIES},
            }
        )  # fmt: skip
    return list(made.values())


def in_force(orders: Sequence[Row]) -> list[Row]:
    """Of several orders of one enterprise the newest: another level takes the place of the former."""
    return list({row["uscc"]: row for row in orders}.values())


def standing(order: Row, now: datetime, book: RuleBook) -> Row:
    """An order with its `state` (sent, overdue, acknowledged, refused), `due_at`, and what is found by line."""
    answers = [r for r in order["replies"] if r["kind"] in ANSWERS]
    due = order["at"] + timedelta(hours=book.number("limit.order"))
    state = answers[-1]["kind"] if answers else "overdue" if now > due else "sent"
    late = bool(answers) and answers[0]["at"] > due
    least = book.number("kept.least") / 100
    lines = [{**line, **_found(order, line, least)} for line in order["lines"]]
    return {**order, "state": state, "late": late, "due_at": due, "lines": lines, **totals(lines)}


def _found(order: Row, line: Row, least: float) -> Row:
    """What was found of a line: `done` [%] (None: nothing is known), `checks`, `kept` (None: not known)."""
    last = {r["kind"]: r for r in order["replies"] if r["kind"] in METHODS and r["line"] == line["line_no"]}
    cuts = [float(r["cut"]) for r in last.values() if r["cut"] is not None]
    done = sum(cuts) / len(cuts) if cuts else None
    kept = None if done is None else done >= least * line["cut"]
    return {"done": done, "checks": list(last.values()), "kept": kept}


def totals(lines: Sequence[Row]) -> Row:
    """`promised` and `found` cut of lines by species [t/d]; where nothing is known nothing is found."""
    promised = {s: sum(x[s] * x["cut"] for x in lines) / 1e5 for s in SPECIES}
    found = {s: sum(x[s] * (x["done"] or 0.0) for x in lines) / 1e5 for s in SPECIES}
    return {"promised": promised, "found": found}


def orders_of(workspace: Workspace, warning: str, now: datetime) -> list[Row]:
    """The orders of a warning that stand now, those without an answer first."""
    book = load_book("heavy_pollution", today(now))
    rows = [standing(o, now, book) for o in in_force(store.orders(workspace.registry, warning=warning))]
    order = ("refused", "overdue", "sent", "acknowledged")
    return sorted(rows, key=lambda r: (order.index(r["state"]), r["place"], r["enterprise"]))


def orders_to(workspace: Workspace, me: Principal, now: datetime) -> list[Row]:
    """Orders to the enterprises of who asks, newest first, with the `warning_state` of their warning."""
    return _told_to(workspace, own_sources(me), now)


def orders_about(workspace: Workspace, me: Principal, uscc: str, now: datetime) -> list[Row]:
    """The same to one enterprise, for who may see warnings or speaks for it; nothing for others."""
    return _told_to(workspace, (uscc,), now) if me.may("warning.view") or uscc in own_sources(me) else []


def _told_to(workspace: Workspace, sources: Sequence[str], now: datetime) -> list[Row]:
    if not sources:
        return []
    states = {r["id"]: r for r in store.listed(workspace.registry)}
    book = load_book("heavy_pollution", today(now))
    rows = store.orders(workspace.registry, uscc=sources)
    newest = {(r["warning"], r["uscc"]): r["id"] for r in rows}
    made = []
    for row in reversed(rows):
        head = states[row["warning"]]
        live = head["state"] in IN_FORCE and newest[row["warning"], row["uscc"]] == row["id"]
        made.append({**standing(row, now, book), "live": live, "warning_state": head["state"]})
    return made


def own_sources(me: Principal) -> tuple[str, ...]:
    """Credit codes that somebody speaks for."""
    if not me.may(ANSWER):
        return ()
    return tuple(sorted({s for g in me.grants for s in g.sources}))


def answer(workspace: Workspace, order: int, kind: str, *, note: str = "", me: Principal, at: datetime) -> None:
    """An enterprise acknowledges its order, or refuses it saying why. UsageError when it may not any more."""
    if kind not in ANSWERS:
        raise UnknownName("answer", kind, ANSWERS)
    if kind == "refused" and not note.strip():
        raise UsageError("a refusal needs its reason.", remedy="Say why the order cannot be carried out.")

    def check(row: Row) -> None:
        if row["uscc"] not in own_sources(me):
            raise Forbidden(ANSWER, signed_in=me.signed_in, place=row["place"])
        _live(row)

    values = {"kind": kind, "line": "", "cut": None, "note": note.strip()}
    store.reply(workspace.registry, order, values, check, who=me.id, at=at)


def verify(
    workspace: Workspace,
    order: int,
    line: str,
    method: str,
    cut: float,
    *,
    note: str = "",
    me: Principal,
    at: datetime,
) -> None:
    """Write down what was found of a line: its cut [%] against its normal working, by electricity, stack or visit.

    UsageError for a cut outside 0 to 100 and for a line that the order does not name.
    """
    if method not in METHODS:
        raise UnknownName("way of checking", method, METHODS)
    if not 0 <= cut <= 100:  # false of a NaN too
        raise UsageError(f"the cut found is {cut:g} %.", remedy="From 0 (works as ever) to 100 (stands still).")

    def check(row: Row) -> None:
        me.need(VERIFY, row["place"])
        if row["state"] not in (*IN_FORCE, "lifted"):
            raise UsageError(
                f"the warning is {row['state']}.", remedy="Only while it is in force, or just lifted."
            )
        named = [x["line_no"] for x in row["lines"]]
        if line not in named:
            raise UnknownName(f"line of order {order}", line, named)

    values = {"kind": method, "line": line, "cut": float(cut), "note": note.strip()}
    store.reply(workspace.registry, order, values, check, who=me.id, at=at)


def normal_use(workspace: Workspace, order: int, line: str) -> tuple[float, str]:
    """kWh of a normal day of an order's line, as :func:`qinglan.flow.electricity.normal_day`; NotFound."""
    found = next((o for o in store.orders(workspace.registry) if o["id"] == order), None)
    if found is None:
        raise NotFound(f"no order {order}.", remedy="See `qinglan warn orders`.")
    return normal_day(workspace, found["uscc"], line)


def cut_from_use(normal: float, used: float) -> float:
    """Cut [%] out of electricity, a day's use against a normal day's [kWh]; UsageError without the latter.

    >>> cut_from_use(1200, 300)
    75.0
    """
    if not normal > 0 or used < 0:
        raise UsageError(
            f"a normal day is {normal:g} kWh, the day {used:g} kWh.", remedy="Give kWh, of a normal day above 0."
        )
    return max(0.0, 100 * (1 - used / normal))


def _live(row: Row) -> None:
    if row["state"] not in IN_FORCE:
        raise UsageError(
            f"the warning is {row['state']}: its orders cannot be answered any more.",
            remedy="Nothing need be done.",
        )


def order_of(workspace: Workspace, warning: str, uscc: str) -> int:
    """The number of the order that stands for an enterprise; NotFound."""
    found = [o for o in in_force(store.orders(workspace.registry, warning=warning)) if o["uscc"] == uscc]
    if not found:
        raise NotFound(f"{warning} has no order to {uscc}.", remedy="See `qinglan warn orders`.")
    return int(found[0]["id"])


def summed(orders: Sequence[Row]) -> Row:
    """Over orders: how many in each state, lines, and `promised`, `found` [t/d] by species."""
    states = {state: sum(o["state"] == state for o in orders) for state in ("sent", "overdue", *ANSWERS)}
    lines: list[Mapping[str, Any]] = [x for o in orders for x in o["lines"]]
    return {
        "orders": len(orders), "states": states, "lines": len(lines),
        "checked": sum(x["done"] is not None for x in lines), "broken": sum(x["kept"] is False for x in lines),
        **{k: {s: sum(o[k][s] for o in orders) for s in SPECIES} for k in ("promised", "found")},
    }  # fmt: skip
