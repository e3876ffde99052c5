"""What the pages of bulletins show: the list, one version with its history, and what changed between two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qinglan.flow import publications as life
from qinglan.flow.views.result import Row
from qinglan.flow.workspace import Workspace
from qinglan.report import STATES, differences, kinds, moves
from qinglan.store import publications as store


def listing(
    workspace: Workspace, *, kind: str = "", state: str = "", year: str = "", newest: bool = True
) -> list[Row]:
    """Publications, newest period first; of a kind, a state, a year. newest : only the last version of each."""
    seen: set[str] = set()
    rows = []
    for row in store.listed(workspace.registry):
        first = row["id"] not in seen
        seen.add(row["id"])
        if (first or not newest) and kind in ("", row["kind"]) and state in ("", row["state"]):
            rows += [row] if year in ("", row["first_day"][:4]) else []
    return rows


def choices(workspace: Workspace) -> dict[str, list[str]]:
    """What a list can be narrowed to: `kinds`, `states`, `years`."""
    rows = store.listed(workspace.registry)
    years = sorted({r["first_day"][:4] for r in rows}, reverse=True)
    there = {r["state"] for r in rows}
    return {"kinds": list(kinds()), "states": [s for s in STATES if s in there], "years": years}


def published(workspace: Workspace) -> list[Row]:
    """What the public may read: issued versions, newest period first."""
    return [r for r in store.listed(workspace.registry) if r["state"] == "issued"]


def shown(workspace: Workspace, publication: str, version: int | None, language: str) -> dict[str, Any]:
    """One version: `row`, `versions`, `history`, `document`, `files`, `changes` against the version it follows."""
    row = life.one(workspace, publication, version)
    versions = [r for r in store.listed(workspace.registry) if r["id"] == publication]
    return {
        "row": row,
        "versions": versions,
        "history": store.history(workspace.registry, publication),
        "document": life.document(workspace, row, language, life.issued_on(workspace, row)),
        "files": store.frozen(workspace.registry, publication, row["version"]),
        "changes": changes(workspace, row, versions),
    }


def changes(workspace: Workspace, row: Row, versions: Sequence[Row]) -> list[dict[str, Any]]:
    """Numbers that differ from the version that this one replaces, or else the one before; none of a first."""
    earlier = [r for r in versions if r["version"] < row["version"]]
    named = [r for r in earlier if r["version"] == row["replaces"]] or earlier[:1]
    if not named:
        return []
    return differences(life.numbers_of(workspace, named[0]), life.numbers_of(workspace, row))


def possible(row: Row, may: Any) -> list[str]:
    """Moves that a version's state allows and a reader (``may(permission, place)``) is permitted."""
    return [m.id for m in moves().values() if row["state"] in m.sources and may(m.permission, row["place"])]


def moves_of(workspace: Workspace, publication: str) -> list[Row]:
    """Every move of a publication, oldest first."""
    return store.history(workspace.registry, publication)
