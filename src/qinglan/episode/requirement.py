"""What an emergency list must reach by the rule book, and how far a line can come down in the time that it has."""

from __future__ import annotations

from collections.abc import Mapping

from qinglan.core.errors import UsageError
from qinglan.core.rulebook import RuleBook
from qinglan.episode.completion import LEVELS, SPECIES, Terms


def terms(
    book: RuleBook, base: Mapping[str, float], done: Mapping[str, Mapping[str, float]] | None = None
) -> Terms:
    """Terms of a completion by content/standards/emergency_cuts.yaml.

    base : whole-society emission of a day [t/d] by species. done : what other parts cut already [t/d].
    """
    ratio = {n: {s: book.number(f"ratio.{n}.{s}") / 100 for s in SPECIES} for n in LEVELS}
    return Terms(
        dict(base), ratio, done or {}, trade=book.option("so2_nox") == "together",
        spread=book.number("fairness.spread") / 100,
    )  # fmt: skip


def daily(book: RuleBook, year: Mapping[str, float]) -> dict[str, float]:
    """Tonnes of a day out of those of a year."""
    return {species: tonnes / book.number("days") for species, tonnes in year.items()}


def reachable(book: RuleBook, hours: float) -> float:
    """The greatest share (0 to 1) of the first day that a process can cut which needs `hours` to stop.

    It begins when the warning is given. Linear: its load falls evenly, so that at t hours of the day it has come
    down by (notice + t) / hours. Stopped: only what it does not run after it is down counts.
    """
    if not hours >= 0:
        raise UsageError(f"{hours} hours to stop are below zero.", remedy="Give the hours that the process needs.")
    notice, day = book.number("notice"), 24.0
    late = hours - notice
    if late <= 0:
        return 1.0
    if book.option("ramp") == "stopped":
        return max(0.0, 1 - late / day)
    if late >= day:
        return (notice + day / 2) / hours
    return ((late**2 / 2 + notice * late) / hours + day - late) / day
