"""An inventory held against what others know: all questions, one finding a line, what was not asked."""

from __future__ import annotations

from qinglan.flow.inventory_checks.checking import BANDS, DRAFT, Report, Wanted, check, years
from qinglan.flow.inventory_checks.given import GIVEN, Kept, forget, keep, kept, read_file

__all__ = [
    "BANDS",
    "DRAFT",
    "GIVEN",
    "Kept",
    "Report",
    "Wanted",
    "check",
    "forget",
    "keep",
    "kept",
    "read_file",
    "years",
]
