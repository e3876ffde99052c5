"""The emission inventory of a year: built from the ledgers, frozen, opened, compared and explained."""

from __future__ import annotations

from qinglan.flow.inventory.asking import BY, Comparison, compare, explain, totals, uncertainty
from qinglan.flow.inventory.freezing import (
    FROZEN,
    Held,
    Version,
    activities_of,
    freeze,
    open_version,
    versions,
)

__all__ = [
    "BY",
    "FROZEN",
    "Comparison",
    "Held",
    "Version",
    "activities_of",
    "compare",
    "explain",
    "freeze",
    "open_version",
    "totals",
    "uncertainty",
    "versions",
]
