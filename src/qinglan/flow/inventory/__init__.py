"""The emission inventory of a year: built from the ledgers, frozen, opened, compared and explained."""

from __future__ import annotations

from qinglan.flow.inventory.asking import BY, Comparison, compare, explain, totals
from qinglan.flow.inventory.freezing import (
    FROZEN,
    Held,
    Version,
    activities_of,
    freeze,
    open_version,
    together,
    versions,
)
from qinglan.flow.inventory.spreading import DRAWS, SEED, Weighed, uncertainty, weighed

__all__ = [
    "BY",
    "DRAWS",
    "FROZEN",
    "SEED",
    "Comparison",
    "Held",
    "Version",
    "Weighed",
    "activities_of",
    "compare",
    "explain",
    "freeze",
    "open_version",
    "together",
    "totals",
    "uncertainty",
    "versions",
    "weighed",
]
