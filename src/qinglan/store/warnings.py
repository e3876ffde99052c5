"""Warnings of heavy pollution in the registry: each move with its event, its frozen notice and its orders.

The state of a warning is that of its last move. Who moves one reads its moves inside the transaction, so that two
people cannot both move it; notice and orders are written with the move that makes them, or none of it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, insert, select

from qinglan.core.errors import NotFound
from qinglan.store.registry import Registry, Row, append_event
from qinglan.store.schema import warnings as schema


@dataclass(frozen=True, slots=True)
class Made:
    """What a move leaves: its name, the state, the level in force or asked for, and the `goal` that is proposed.

    content : digest of the evidence. notices : `language, form, digest, size`. orders : `uscc, enterprise, place,
    level, lines`.
    """

    name: str
    state: str
    level: str
    who: str
    at: datetime
    goal: str = ""
    starts_at: datetime | None = None
    content: str = ""
    reason: str = ""
    notices: Sequence[Mapping[str, Any]] = ()
    orders: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


def _move(con: Connection, warning: str, made: Made) -> int:
    row = {
        "warning": warning, "move": made.name, "state": made.state, "level": made.level, "goal": made.goal,
        "starts_at": made.starts_at, "content": made.content, "who": made.who, "reason": made.reason,
        "at": made.at,
    }  # fmt: skip
    key = con.execute(insert(schema.warning_moves).values(**row)).inserted_primary_key
    assert key is not None
    number = int(key[0])
    for notice in made.notices:
        con.execute(insert(schema.warning_notices).values(move=number, **notice))
    for order in made.orders:
        con.execute(insert(schema.warning_orders).values(warning=warning, move=number, at=made.at, **order))
    detail = {k: row[k] for k in ("state", "level", "goal", "content", "reason")}
    append_event(
        con, f"warning.{made.name}", warning, {**detail, "orders": len(made.orders)}, who=made.who, at=made.at
    )
    return number


def _moves(con: Connection, warning: str) -> list[Row]:
    table = schema.warning_moves
    query = select(table).where(table.c.warning == warning).order_by(table.c.id)
    return [dict(r) for r in con.execute(query).mappings()]


def begin(registry: Registry, place: str, stem: str, check: Callable[[list[Row]], None], made: Made) -> str:
    """Begin a warning of a place and return its id (`stem` with a number).

    check : called inside the transaction with the last move of every warning of the place; raises to refuse.
    """
    table = schema.warnings
    with registry.begin() as con:
        own = [r[0] for r in con.execute(select(table.c.id).where(table.c.place == place).with_for_update())]
        check([_moves(con, name)[-1] for name in own])
        like = select(func.count()).select_from(table).where(table.c.id.startswith(f"{stem}-", autoescape=True))
        name = f"{stem}-{int(con.execute(like).scalar() or 0) + 1}"
        con.execute(insert(table).values(id=name, place=place, at=made.at))
        _move(con, name, made)
    return name


def move(registry: Registry, warning: str, make: Callable[[list[Row]], Made]) -> Made:
    """Move a warning. `make` is given its moves inside the transaction and returns what to write, or raises."""
    table = schema.warnings
    with registry.begin() as con:
        if con.execute(select(table.c.id).where(table.c.id == warning).with_for_update()).first() is None:
            raise NotFound(f"no warning {warning!r}.", remedy="See `qinglan warn list`.")
        made = make(_moves(con, warning))
        _move(con, warning, made)
    return made


def reply(
    registry: Registry, order: int, row: Mapping[str, Any], check: Callable[[Row], None], *, who: str, at: datetime
) -> None:
    """Write what came of an order (`kind, line, cut, note`). `check` gets the order with its `state` of now."""
    orders, moves = schema.warning_orders, schema.warning_moves
    with registry.begin() as con:
        found = con.execute(select(orders).where(orders.c.id == order).with_for_update()).mappings().first()
        if found is None:
            raise NotFound(f"no order {order}.", remedy="See `qinglan warn orders`.")
        last = (
            select(moves.c.state).where(moves.c.warning == found["warning"]).order_by(moves.c.id.desc()).limit(1)
        )
        check({**found, "state": con.execute(last).scalar()})
        con.execute(insert(schema.warning_replies).values(order=order, **row, who=who, at=at))
        detail = {"order": order, "uscc": found["uscc"], **{k: row[k] for k in ("kind", "line", "cut", "note")}}
        append_event(con, f"warning.order_{row['kind']}", found["warning"], detail, who=who, at=at)


def listed(registry: Registry, place: str | None = None) -> list[Row]:
    """Warnings, newest first: `id, place, at, state, level, goal, move, who, moved_at, starts_at, content`."""
    heads, moves = schema.warnings, schema.warning_moves
    query = select(heads).order_by(heads.c.at.desc(), heads.c.id.desc())
    if place is not None:
        query = query.where(heads.c.place == place)
    with registry.read() as con:
        rows = [dict(r) for r in con.execute(query).mappings()]
        newest = select(func.max(moves.c.id)).group_by(moves.c.warning)
        last = {r["warning"]: r for r in con.execute(select(moves).where(moves.c.id.in_(newest))).mappings().all()}
    keys = ("state", "level", "goal", "move", "who", "starts_at", "content")
    return [{**row, **{k: last[row["id"]][k] for k in keys}, "moved_at": last[row["id"]]["at"]} for row in rows]


def history(registry: Registry, warning: str) -> list[Row]:
    """Moves of a warning, oldest first; NotFound when there is none."""
    with registry.read() as con:
        moves = _moves(con, warning)
    if not moves:
        raise NotFound(f"no warning {warning!r}.", remedy="See `qinglan warn list`.")
    return moves


def notices(registry: Registry, warning: str) -> list[Row]:
    """Frozen notices of a warning: `move, language, form, digest, size`, oldest first."""
    table, moves = schema.warning_notices, schema.warning_moves
    query = select(table).join(moves, moves.c.id == table.c.move).where(moves.c.warning == warning)
    with registry.read() as con:
        return [dict(r) for r in con.execute(query.order_by(table.c.id)).mappings()]


def orders(registry: Registry, *, warning: str | None = None, uscc: Sequence[str] | None = None) -> list[Row]:
    """Orders, oldest first, with their `replies` (oldest first); of a warning, of some enterprises, or all."""
    table, answers = schema.warning_orders, schema.warning_replies
    query = select(table).order_by(table.c.id)
    if warning is not None:
        query = query.where(table.c.warning == warning)
    if uscc is not None:
        query = query.where(table.c.uscc.in_(list(uscc)))
    with registry.read() as con:
        found = [dict(r) for r in con.execute(query).mappings()]
        told: dict[int, list[Row]] = {}
        wanted = select(answers).join(table, table.c.id == answers.c.order).order_by(answers.c.id)
        if warning is not None:
            wanted = wanted.where(table.c.warning == warning)
        for r in con.execute(wanted).mappings():
            told.setdefault(r["order"], []).append(dict(r))
    return [{**row, "replies": told.get(row["id"], [])} for row in found]
