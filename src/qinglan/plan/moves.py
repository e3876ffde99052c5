"""Tables of moves: what may happen to a bulletin or a warning, from which states, and whom it asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from qinglan.core.errors import ContentError


@dataclass(frozen=True, slots=True)
class Move:
    """A move: `sources` are the states it may happen in, `goal` the state after it.

    reason : one must be given. other : not by who made what it decides on. level : it names a level.
    """

    id: str
    name: Mapping[str, str]
    sources: tuple[str, ...]
    goal: str
    permission: str
    reason: bool
    other: bool
    level: bool


def read_moves(raw: Mapping[str, Mapping[str, Any]], states: Collection[str], where: str) -> Mapping[str, Move]:
    """All moves of a content file by id; ContentError lists those that name a state that is none."""
    made = {
        name: Move(
            name, {"zh": row["zh"], "en": row["en"]}, tuple(row["from"]), row["to"], row["permission"],
            *(bool(row.get(key, False)) for key in ("reason", "other", "level")),
        )
        for name, row in raw.items()
    }  # fmt: skip
    faults = [
        f"moves.{m.id}: {s!r} is no state" for m in made.values() for s in (*m.sources, m.goal) if s not in states
    ]
    if faults:
        raise ContentError(where, faults)
    return made
