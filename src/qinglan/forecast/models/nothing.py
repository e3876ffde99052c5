"""No expectation at all, for models that learn the whole value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qinglan.forecast.seasonal import Seasonal, Steps
from qinglan.forecast.series import Floats, History


class Nothing:
    """Nothing is usual and nothing is expected: what is left to learn is the whole value."""

    def __init__(self) -> None:
        self.usual: Seasonal | None = None

    def fit(self, history: History, leads: Sequence[int]) -> None:
        """Only how many series there are."""
        self.usual = Seasonal.none(history)

    def expected(self, history: History, origins: Steps, leads: Steps) -> tuple[Floats, Floats]:
        """(series, origin, lead) of zeros, (origin, lead) of ones."""
        return np.zeros((history.values.shape[0], *leads.shape)), np.ones(leads.shape)
