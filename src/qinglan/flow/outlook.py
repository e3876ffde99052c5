"""What lies ahead of an air target: its trend, what may still happen before it fails, where it is heading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from qinglan.core.rulebook import Rules
from qinglan.flow.air_results import AirTables
from qinglan.plan.pack import DatedValue, Target


@dataclass(frozen=True, slots=True)
class Outlook:
    """Trend, budget and projection as a verdict carries them; None where they have no meaning."""

    trend: Mapping[str, Any] | None = None
    budget: Mapping[str, Any] | None = None
    projection: Mapping[str, Any] | None = None


def outlook(
    air: AirTables, target: Target, places: Sequence[str], goal: DatedValue, as_of: date, rules: Rules
) -> Outlook:
    return Outlook()
