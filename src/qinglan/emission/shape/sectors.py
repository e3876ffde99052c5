"""Which entry of a content file a sector takes: its own name first, then its class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qinglan.core.errors import ContentError
from qinglan.emission.categories import categories


def by_sector(entries: Mapping[str, Mapping[str, Any]], where: str) -> dict[str, str]:
    """Sector -> name of the entry whose `sectors` holds it, else of the entry whose `classes` holds its class.

    Raises ContentError naming strange sectors, those that stand twice, and those that no entry takes.

    >>> by_sector({"a": {"classes": list(categories().classes)}, "b": {"sectors": ["road"]}}, "x")["road"]
    'b'
    """
    known = categories()
    own: dict[str, str] = {}
    general: dict[str, str] = {}
    problems = []
    for name, entry in entries.items():
        for held, of, among in (
            (own, entry.get("sectors", ()), known.sectors),
            (general, entry.get("classes", ()), known.classes),
        ):
            for key in of:
                if key not in among:
                    problems.append(f"{name}: {key!r} is neither a sector nor a class.")
                if key in held:
                    problems.append(f"{name}: {key!r} is already taken by {held[key]!r}.")
                held[key] = name
    found = {sector: own.get(sector) or general.get(known.class_of(sector), "") for sector in known.sectors}
    problems += [f"no entry takes the sector {sector!r}." for sector, name in found.items() if not name]
    if problems:
        raise ContentError(where, problems)
    return found
