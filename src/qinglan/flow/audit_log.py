"""The audit log: read it page by page, verify its chain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qinglan.store.chain import Chain
from qinglan.store.registry import Registry, events_page, verify_events

Row = dict[str, Any]


def page(
    registry: Registry, asked: Mapping[str, Any], *, before: int | None = None, limit: int = 50
) -> tuple[list[Row], int | None]:
    """Events, newest first, and the id to go on from (None at the end). `asked`: see the store's `events_page`."""
    found = events_page(registry, asked=asked, before=before, limit=limit + 1)
    return found[:limit], found[limit - 1]["id"] if len(found) > limit else None


def verify(registry: Registry, *, known: str = "") -> Chain:
    """Walk the chain; `known` is a head noted down earlier."""
    return verify_events(registry, known=known.strip().lower())
