"""Trees that look at the values as they are, and take nothing for usual.

Where few years are known, what is usual is itself uncertain, and a model of what differs from it inherits that. In
a blend this one stands beside the other: weights say which of them to believe at a lead.
"""

from __future__ import annotations

from qinglan.forecast.models.boosted import Boosted
from qinglan.forecast.models.nothing import Nothing


class Direct(Boosted):
    """:class:`Boosted` on the values themselves: quantiles in logarithms, the mean as it is."""

    def __init__(
        self, *, ahead: bool = False, every: int = 7, rounds: int = 150, threads: int = 1, drawn: int = 5
    ) -> None:
        super().__init__(ahead=ahead, every=every, rounds=rounds, threads=threads, drawn=drawn)
        self.name = "direct with weather" if ahead else "direct"
        self._base = Nothing()
