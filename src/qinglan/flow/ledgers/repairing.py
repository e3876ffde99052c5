"""Lines of workbooks that were kept aside: who may see them, and how each is repaired or let go."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from qinglan.access import Principal
from qinglan.access.principal import within
from qinglan.core.errors import NotFound
from qinglan.flow.ledgers import rights
from qinglan.flow.ledgers.editing import save
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import load_ledger
from qinglan.store import ledgers as store

Row = dict[str, Any]


def aside(workspace: Workspace, ledger_id: str, *, me: Principal, status: str | None = "open") -> list[Row]:
    """Lines kept aside that somebody may repair: his own imports' and those of his places; cells and faults read.

    `cells` is the raw line by column, `faults` a list of what is wrong with it.
    """
    ledger = load_ledger(ledger_id)
    scope = rights.scope(me, ledger, rights.IMPORT)
    if not scope:
        return []
    who: dict[int, str] = {}
    found = []
    for line in store.aside(workspace.registry, ledger.id, status=status):
        if line["change"] not in who:
            who[line["change"]] = store.change(workspace.registry, ledger.id, line["change"])["by"]
        mine = who[line["change"]] == me.id or scope.everything or line["enterprise"] in scope.sources
        if mine or any(within(line["place"], code) for code in scope.places) or (
            not line["place"] and workspace.settings.place in scope.places
        ):  # fmt: skip
            found.append({**line, "cells": json.loads(line["raw"]), "faults": json.loads(line["faults"])})
    return found


def aside_line(workspace: Workspace, ledger_id: str, number: int, *, me: Principal) -> Row:
    """One open line kept aside; NotFound when there is none that is one's to repair."""
    for line in aside(workspace, ledger_id, me=me):
        if line["id"] == number:
            return line
    raise NotFound(f"{ledger_id} keeps no line {number} aside.", remedy="It may have been repaired or dismissed.")


def dismiss(
    workspace: Workspace, ledger_id: str, numbers: Sequence[int], *, reason: str, me: Principal, now: datetime
) -> int:
    """Accept lines kept aside as not needed, with the reason; how many."""
    ledger = load_ledger(ledger_id)
    rights.need(me, ledger, rights.IMPORT)
    mine = {line["id"] for line in aside(workspace, ledger_id, me=me)}
    if not set(numbers) <= mine:
        raise NotFound("a line is not there, or not yours.", remedy="Look at the list again.")
    return store.dismiss(workspace.registry, ledger.id, list(numbers), reason=reason, who=me.id, at=now)


def repair(
    workspace: Workspace,
    ledger_id: str,
    number: int,
    cells: Mapping[str, str],
    *,
    reason: str,
    me: Principal,
    today: date,
    now: datetime,
) -> int:
    """Enter a line kept aside with its cells mended; the number of the row that it adds or corrects.

    Cells that are not given stay as the line has them. Raises RowRefused with what is still wrong.
    """
    line = aside_line(workspace, ledger_id, number, me=me)
    ledger = load_ledger(ledger_id)
    raw = {k: v for k, v in line["cells"].items() if k in ledger.schema}
    return save(
        workspace, ledger_id, {**raw, **cells}, number=None, version=None, reason=reason or f"repair {number}",
        me=me, today=today, now=now, settles=number, replacing=True,
    )  # fmt: skip
