"""The life of a warning: drafted, consulted on, approved by the right rank, issued, changed, lifted, reviewed.

Which move is legal from which state, and whom it asks, is content/episode/moves.yaml. A move that puts a level in
force writes its frozen notice and its orders in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from qinglan.access import Grant, Principal
from qinglan.core.clock import today
from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.episode.triggers import LEVELS, NONE
from qinglan.flow.warnings.notices import freeze
from qinglan.flow.warnings.orders import orders_for
from qinglan.flow.warnings.proposing import asked, evidence
from qinglan.flow.warnings.reviewing import review_of
from qinglan.flow.warnings.rules import IN_FORCE, OPEN, jurisdiction, moves, rank_of
from qinglan.flow.workspace import Workspace
from qinglan.plan.rules import load_book
from qinglan.store import warnings as store
from qinglan.store.files import Files
from qinglan.store.warnings import Made

Row = dict[str, Any]
#: The part of a change's maker that may not approve it, by the move that approves.
_MAKERS = {"approve": ("draft", "redraft", "submit"), "change": ("propose",)}


def draft(
    workspace: Workspace,
    place: str,
    level: str,
    *,
    starts_at: datetime | None = None,
    reason: str,
    me: Principal,
    at: datetime,
) -> str:
    """Draft a warning of a place with the evidence of this moment; its id.

    starts_at : when its level is to hold; without one, when the evidence says, or now. UsageError when the place
    has a warning that is still open.
    """
    me.need("warning.draft", place)
    jurisdiction(workspace, place)
    _level(level)
    if not reason.strip():
        raise UsageError("a draft needs its reason.", remedy="Say why this level is proposed.")
    content, start = _evidence(workspace, place, at)

    def check(others: list[Row]) -> None:
        still = [r for r in others if r["state"] in OPEN]
        if still:
            raise UsageError(
                f"{place} has a warning that is {still[0]['state']}: {still[0]['warning']}.",
                remedy="Move that one on, propose another level for it, or drop it.",
            )

    made = Made(
        "draft",
        "draft",
        level,
        me.id,
        at,
        starts_at=starts_at or start or at,
        content=content,
        reason=reason.strip(),
    )
    return store.begin(workspace.registry, place, f"{place}-{today(at):%Y%m%d}", check, made)


def _level(level: str, *, lifting: bool = False) -> None:
    known = (*LEVELS, NONE) if lifting else LEVELS
    if level not in known:
        raise UnknownName("level of a warning", level, known)


def _evidence(workspace: Workspace, place: str, at: datetime) -> tuple[str, datetime | None]:
    """Digest of the evidence of a moment, and when its level begins."""
    found = asked(workspace, at)[place]
    told = evidence(found, workspace, at)
    data = json.dumps(told, ensure_ascii=False, sort_keys=True, default=str).encode()
    return Files(workspace.home).put(data), found.proposal.outcome.start


def one(workspace: Workspace, warning: str) -> Row:
    """A warning as :func:`store.warnings.listed` gives it; NotFound."""
    found = [r for r in store.listed(workspace.registry) if r["id"] == warning]
    if not found:
        raise NotFound(f"no warning {warning!r}.", remedy="See `qinglan warn list`.")
    return found[0]


def permission(row: Row, name: str, goal: str = "") -> str:
    """The permission that a move asks; where that is a rank, of the strictest level that it touches."""
    if name not in moves():
        raise UnknownName("move", name, tuple(moves()))
    rule = moves()[name]
    return rank_of(row["level"], row["goal"], goal) if rule.permission == "rank" else rule.permission


def possible(row: Row, me: Principal) -> list[str]:
    """Moves that are legal from a warning's state and that somebody may do there."""
    return [
        name
        for name, rule in moves().items()
        if row["state"] in rule.sources and me.may(permission(row, name), row["place"])
    ]


def act(
    workspace: Workspace,
    warning: str,
    name: str,
    *,
    me: Principal,
    at: datetime,
    reason: str = "",
    level: str = "",
) -> Row:
    """Move a warning and return it as it then stands.

    level : of `propose` and `redraft`; ``none`` proposes lifting. Forbidden for who lacks the rank; UsageError for
    a move that is not legal from its state (naming those that are), that lacks its reason or level, or that would
    be approved by who drafted or proposed it. Move, notice and orders are written together, or nothing.
    """
    row = one(workspace, warning)
    me.need(permission(row, name, level), row["place"])
    rule = moves()[name]
    _legal(row, name)
    if rule.reason and not reason.strip():
        raise UsageError(f"{name} needs a reason.", remedy="Say why.")
    if rule.level:
        _level(level, lifting=name == "propose")
        if name == "propose" and level == row["level"]:
            raise UsageError(f"{level} is in force already.", remedy="Name another level, or none to lift it.")
    after = _after(row, name, level)
    content = row["content"] if name not in ("redraft", "propose") else _evidence(workspace, row["place"], at)[0]
    if name == "review":
        told = review_of(workspace, row, at)
        content = Files(workspace.home).put(json.dumps(told, ensure_ascii=False, default=str).encode())
    made = Made(
        name, after["state"], after["level"], me.id, at, goal=after["goal"], starts_at=row["starts_at"],
        content=content, reason=reason.strip(),
    )  # fmt: skip
    if name in ("issue", "change"):
        made = _in_force(workspace, row, made)

    def checked(history: list[Row]) -> Made:
        last = history[-1]
        _legal({**row, "state": last["state"]}, name)
        if (last["level"], last["goal"], last["content"]) != (row["level"], row["goal"], row["content"]):
            raise UsageError(f"{warning} changed meanwhile.", remedy="Look at it again.")
        if rule.other:
            _another(history, name, me)
        return made

    store.move(workspace.registry, warning, checked)
    return one(workspace, warning)


def _after(row: Row, name: str, level: str) -> Row:
    """State, level and goal after a move."""
    state = moves()[name].goal
    if name == "propose":
        return {"state": state, "level": row["level"], "goal": level}
    if name == "redraft":
        return {"state": state, "level": level, "goal": ""}
    if name == "change":
        lifted = row["goal"] == NONE
        return {
            "state": "lifted" if lifted else state,
            "level": row["level"] if lifted else row["goal"],
            "goal": "",
        }
    return {"state": state, "level": row["level"], "goal": ""}


def _in_force(workspace: Workspace, row: Row, made: Made) -> Made:
    """A move that puts a level in force, or lifts it, with its notice and orders."""
    kind = "issue" if made.name == "issue" else _kind_of_change(row)
    starts = max(row["starts_at"] or made.at, made.at) if kind == "issue" else made.at
    made = replace(made, starts_at=starts)
    orders = [] if kind == "lift" else orders_for(workspace, row["place"], made.level)
    notices = freeze(workspace, {**row, "level": made.level, "starts_at": starts}, kind, made, orders)
    return replace(made, orders=orders, notices=notices)


def _kind_of_change(row: Row) -> str:
    if row["goal"] == NONE:
        return "lift"
    up = LEVELS.index(row["goal"]) > LEVELS.index(row["level"])
    return "upgrade" if up else "downgrade"


def _legal(row: Row, name: str) -> None:
    if row["state"] not in moves()[name].sources:
        able = [m.id for m in moves().values() if row["state"] in m.sources]
        raise UsageError(
            f"{row['id']} is {row['state']}: {name} is not possible.",
            remedy=f"Possible: {', '.join(able)}." if able else "It is closed.",
        )


def _another(history: Sequence[Row], name: str, me: Principal) -> None:
    """Who approves did not make what he approves."""
    begun = max(
        (k for k, r in enumerate(history) if r["move"] in ("return", "decline", "change", "issue")), default=0
    )
    for row in history[begun:]:
        if row["move"] in _MAKERS[name] and row["who"] == me.id:
            raise UsageError(
                f"{me.id} may not approve it: {me.id} did {row['move']} it.", remedy="Another person approves."
            )


def clock(row: Row, history: Sequence[Row], now: datetime) -> Row:
    """The time limit of a warning's state: `entered`, `due` (None: none), `late`; the `notice` [h] it gave.

    A state is entered by the move that came from another one: opinions do not start it anew.
    """
    book = load_book("heavy_pollution", today(now))
    entered = history[-1]["at"]
    for move in reversed(history):
        if move["state"] != row["state"]:
            break
        entered = move["at"]
    key = f"limit.{row['state']}"
    due = entered + timedelta(hours=book.number(key)) if book.has(key) else None
    issued = [m for m in history if m["move"] == "issue"]
    notice = (issued[0]["starts_at"] - issued[0]["at"]) / timedelta(hours=1) if issued else None
    asks = load_book("emergency_cuts", today(now)).number("notice")
    return {
        "entered": entered, "due": due, "late": due is not None and now > due, "notice": notice,
        "short": notice is not None and notice < asks, "asks": asks,
        "running": (now - issued[0]["starts_at"]) / timedelta(hours=1) if row["state"] in IN_FORCE else None,
    }  # fmt: skip


def local_command(workspace: Workspace, who: str) -> Principal:
    """Who acts on this machine's command line: the office and its headquarters, under the name of the account."""
    code = workspace.settings.place
    roles = ("province" if code.endswith("0000") else "prefecture", "leader")
    return Principal(who, who, tuple(Grant(role, place=code) for role in roles), via="command")
