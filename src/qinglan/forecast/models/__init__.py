"""Models of what comes next: one small class in one file each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from qinglan.forecast.series import History, Quantiles


class Model(Protocol):
    """Learns from a history, then forecasts from the end of another one."""

    name: str

    def fit(self, history: History, leads: Sequence[int]) -> None:
        """Learn from ``history``, for forecasts of ``leads`` steps."""

    def predict(self, history: History, leads: Sequence[int]) -> Quantiles:
        """Forecast ``leads`` steps beyond the last one of ``history``."""
