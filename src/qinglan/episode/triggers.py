"""Which level of warning a series of AQI asks for, by which clause, and what speaks against it.

Levels and clauses are content/standards/heavy_pollution.yaml. A clause is a list of conditions that must hold in
one episode: AQI above a value for so many hours. Hours of a series may be observed, forecast, or both in a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qinglan.core.errors import LayoutError
from qinglan.core.rulebook import RuleBook
from qinglan.episode.completion import LEVELS

#: Below the levels.
NONE = "none"
#: A series: `start` of each piece, its length [h: 1 or 24], its AQI (null: not known), and what to know of it.
SERIES: dict[str, Any] = {
    "start": pl.Datetime("us", "UTC"),
    "hours": pl.Int64,
    "aqi": pl.Float64,
    "observed": pl.Boolean,
    "dust": pl.Boolean,
    "ozone": pl.Boolean,
}
_HOUR = timedelta(hours=1)
_DAY = 24


@dataclass(frozen=True, slots=True)
class Spell:
    """Hours in a row that a condition holds; `hours` count; `joined` : several with no clearing between."""

    start: datetime
    end: datetime
    hours: int
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One clause of one level: whether it holds, by which spell; `has` [h] of `asks` [h] of its nearest condition.

    basis : observed, forecast or both, of the hours of the spell.
    """

    level: str
    clause: str
    holds: bool
    has: int
    asks: int
    spell: Spell | None
    basis: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a series asks for: the strictest level that a clause holds for (``none``), from when to when.

    left_out : hours not counted because of dust or ozone; missing : hours not known.
    """

    level: str
    start: datetime | None
    end: datetime | None
    findings: tuple[Finding, ...]
    left_out: int
    missing: int


def evaluate(
    series: pl.DataFrame,
    book: RuleBook,
    clauses: Mapping[str, Any] | None = None,
    since: datetime | None = None,
) -> Outcome:
    """The level that a series asks for.

    series : :data:`SERIES`, one place, pieces in any order without overlap; what lies between two is missing.
    book : family ``heavy_pollution`` on the day; its option `form` is the caller's (which date he asks on).
    clauses : a place's own levels instead of the book's, in the same grammar.
    since : only episodes that last beyond this moment count, each with all its hours.

    LayoutError names the piece that overlaps, or the column that is missing.
    """
    line = _Line.of(series, book)
    asked = {level: (clauses or {}).get(level, book.get(f"clauses.{level}").value) for level in LEVELS}
    findings = tuple(line.clause(level, clause, since) for level in LEVELS for clause in asked[level])
    held = [f for f in findings if f.holds]
    top = max(held, key=lambda f: LEVELS.index(f.level)).level if held else NONE
    spells = [f.spell for f in held if f.level == top and f.spell]
    return Outcome(
        top, min((s.start for s in spells), default=None), max((s.end for s in spells), default=None),
        findings, int(line.out.sum()), int(np.isnan(line.raw).sum()),
    )  # fmt: skip


@dataclass(frozen=True)
class Proposal:
    """What should happen: none, issue, upgrade, downgrade, lift or keep; to which level.

    urgent : the start is nearer than the notice asks: issued at once. notice : hours from now to the start.
    """

    act: str
    level: str
    urgent: bool
    notice: float | None
    outcome: Outcome


def propose(
    series: pl.DataFrame, now: datetime, current: str, book: RuleBook, notice: float,
    clauses: Mapping[str, Any] | None = None,
) -> Proposal:  # fmt: skip
    """What a series asks to be done at a moment, when `current` is in force (``none``: nothing is).

    Up at once. Down, or lifted, only when no episode that still lasts asks for as much and the next hours, as many
    as ``lift.hours`` says, are all known (for lifting: and none of them above the mildest value of yellow).
    """
    outcome = evaluate(series, book, clauses, now)
    rank = (NONE, *LEVELS).index
    if rank(outcome.level) > rank(current):
        hours = None if outcome.start is None else (outcome.start - now) / _HOUR
        urgent = hours is not None and hours < notice
        return Proposal("issue" if current == NONE else "upgrade", outcome.level, urgent, hours, outcome)
    if current == NONE:
        return Proposal("none", NONE, False, None, outcome)
    if rank(outcome.level) < rank(current) and _settled(series, now, outcome.level, book, clauses):
        act = "lift" if outcome.level == NONE else "downgrade"
        return Proposal(act, outcome.level, False, None, outcome)
    return Proposal("keep", current, False, None, outcome)


def _settled(
    series: pl.DataFrame, now: datetime, level: str, book: RuleBook, clauses: Mapping[str, Any] | None
) -> bool:
    """Whether the next hours are known and, for lifting, none above the mildest value that starts a warning."""
    line = _Line.of(series, book)
    wanted = int(book.number("lift.hours"))
    first = max(0, int((now - line.start) / _HOUR)) if len(line.raw) else 0
    next_hours = line.raw[first : first + wanted]
    if len(next_hours) < wanted or np.isnan(next_hours).any():
        return False
    asked = (clauses or {}).get("yellow", book.get("clauses.yellow").value)
    least = min(c["above"] for clause in asked for c in clause if "above" in c)
    counted = np.where(line.out[first : first + wanted], -np.inf, next_hours)
    return level != NONE or bool((counted <= least).all())


def together(levels: Mapping[str, str], groups: Sequence[Sequence[str]], option: str) -> dict[str, str]:
    """Level of each place when groups of them respond together: that of the strictest member (option ``same``).

    >>> together({"a": "orange", "b": "none", "c": "yellow"}, [["a", "b"]], "same")
    {'a': 'orange', 'b': 'orange', 'c': 'yellow'}
    """
    made = dict(levels)
    if option == "own":
        return made
    rank = (NONE, *LEVELS).index
    for group in groups:
        members = [place for place in group if place in levels]
        for place in members:
            made[place] = max((made[place], *(levels[m] for m in members)), key=rank)
    return made


@dataclass(frozen=True)
class _Line:
    """A series hour by hour. `raw` : AQI (NaN missing). `out` : left out. `begins` : where a piece begins."""

    start: datetime
    raw: NDArray[np.float64]
    out: NDArray[np.bool_]
    begins: NDArray[np.bool_]
    observed: NDArray[np.bool_]
    book: RuleBook

    @staticmethod
    def of(series: pl.DataFrame, book: RuleBook) -> _Line:
        lacking = [name for name in SERIES if name not in series.columns]
        if lacking:
            raise LayoutError(f"a series lacks {', '.join(lacking)}.", remedy="Give all columns of SERIES.")
        rows = series.sort("start")
        if rows.is_empty():
            nothing = np.zeros(0)
            return _Line(datetime.min.replace(tzinfo=UTC), nothing, nothing > 0, nothing > 0, nothing > 0, book)
        start: datetime = rows["start"][0]
        at = ((rows["start"] - start).dt.total_minutes() // 60).to_numpy()
        length = rows["hours"].to_numpy()
        late = np.flatnonzero(at[1:] < at[:-1] + length[:-1])
        if len(late):
            raise LayoutError(
                f"two pieces overlap at {rows['start'][int(late[0]) + 1]}.", remedy="Give each hour once."
            )
        size = int(at[-1] + length[-1])
        raw, flags = np.full(size, np.nan), np.zeros((3, size), dtype=bool)
        begins = np.zeros(size, dtype=bool)
        begins[at] = True
        chosen = {"dust": book.option("dust"), "ozone": book.option("ozone")}
        leave = [column for column, choice in chosen.items() if choice == "excluded"]
        out = rows.select(pl.any_horizontal(pl.lit(False), *(pl.col(c).fill_null(False) for c in leave)))
        columns = rows["aqi"].cast(pl.Float64).fill_null(np.nan).to_numpy(), out.to_series().to_numpy()
        for k, (first, hours) in enumerate(zip(at, length, strict=True)):
            span = slice(int(first), int(first + hours))
            raw[span] = columns[0][k]
            flags[0, span], flags[1, span] = columns[1][k], bool(rows["observed"][k])
        return _Line(start, raw, flags[0], begins, flags[1], book)

    def clause(self, level: str, clause: Sequence[Mapping[str, Any]], since: datetime | None) -> Finding:
        """Whether all conditions of a clause hold in one episode that lasts beyond a moment."""
        found = [(c, self.spells(c)) for c in clause]
        text = " + ".join(
            f"{'≥' if 'reach' in c else '>'}{c.get('reach', c.get('above'))}/{c['hours']}h" for c in clause
        )
        if since is not None:
            found = [(c, [s for s in others if s.end > since]) for c, others in found[:1]] + found[1:]
        main, spells = found[0]
        best: Spell | None = None
        for spell in sorted(spells, key=lambda s: (-s.hours, s.start)):
            if spell.hours < main["hours"]:
                continue
            # Further conditions must hold within the same episode.
            if all(
                any(s.hours >= c["hours"] and s.start < spell.end and s.end > spell.start for s in others)
                for c, others in found[1:]
            ):
                best = spell
                break
        if best is not None:
            return Finding(level, text, True, best.hours, main["hours"], best, self._basis(best))
        nearest = [(max((s.hours for s in others), default=0), c["hours"], others) for c, others in found]
        short = min(nearest, key=lambda n: n[0] / n[1])
        longest = max(short[2], key=lambda s: s.hours, default=None)
        return Finding(level, text, False, short[0], short[1], longest, self._basis(longest) if longest else "")

    def spells(self, condition: Mapping[str, Any]) -> list[Spell]:
        """Spells of a condition, oldest first, with those joined that the air did not clear between."""
        hourly = self.book.option("basis") == "hourly" or condition["hours"] < _DAY
        runs = self._hourly(condition) if hourly else self._means(condition)
        return self._joined([Spell(self._at(a), self._at(b), hours) for a, b, hours in runs])

    def _at(self, hour: int) -> datetime:
        return self.start + hour * _HOUR

    def _over(self, values: NDArray[np.float64], condition: Mapping[str, Any]) -> NDArray[np.bool_]:
        with np.errstate(invalid="ignore"):
            if "reach" in condition:
                return np.asarray(values >= condition["reach"])
            return np.asarray(values > condition["above"])

    def _hourly(self, condition: Mapping[str, Any]) -> list[tuple[int, int, int]]:
        """Runs of hours above; an hour left out, or not known, ends one (unless the option bridges it)."""
        over = self._over(self.raw, condition) & ~self.out
        if self.book.option("gap") == "bridged" and len(over) > 2:
            missing = np.isnan(self.raw[1:-1])
            over[1:-1] |= missing & over[:-2] & over[2:]
        edges = np.flatnonzero(np.diff(np.concatenate([[0], over.astype(np.int8), [0]])))
        return [(int(a), int(b), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]

    def _means(self, condition: Mapping[str, Any]) -> list[tuple[int, int, int]]:
        """Chains of 24 h, one behind the other, with means above: in each run the longest, the earliest.

        A window begins where a piece of the series begins, so that a day of which only the mean is known is never
        cut; an AQI is rounded up (HJ 633), which moves no mean across a whole number.
        """
        size = len(self.raw)
        if size < _DAY:
            return []
        known = ~np.isnan(self.raw) & ~self.out
        total = np.concatenate([[0.0], np.cumsum(np.where(known, self.raw, 0.0))])
        count = np.concatenate([[0], np.cumsum(known)])
        counts = count[_DAY:] - count[:-_DAY]
        means = (total[_DAY:] - total[:-_DAY]) / np.maximum(counts, 1)
        good = self._over(np.round(means, 9), condition) & (counts >= self.book.number("window.valid"))
        good &= self.begins[: len(good)]
        chain = np.zeros(size + 1, dtype=np.int64)
        for hour in range(len(good) - 1, -1, -1):
            chain[hour] = 1 + chain[hour + _DAY] if good[hour] else 0
        runs: list[tuple[int, int, int]] = []
        for group in _connected(np.flatnonzero(good)):
            first = group[int(np.argmax(chain[group]))]
            runs.append((int(first), int(first + _DAY * chain[first]), int(_DAY * chain[first])))
        return runs

    def _joined(self, spells: list[Spell]) -> list[Spell]:
        made: list[Spell] = []
        for spell in spells:
            least = self.book.number("join.least")
            episodes = bool(made) and min(made[-1].hours, spell.hours) >= least
            if episodes and self._not_cleared(made[-1].end, spell.start):
                last = made.pop()
                whole = self.book.option("joined") == "whole"
                hours = int((spell.end - last.start) / _HOUR) if whole else last.hours + spell.hours
                made.append(Spell(last.start, spell.end, hours, True))
            else:
                made.append(spell)
        return made

    def _not_cleared(self, end: datetime, start: datetime) -> bool:
        """Whether the air between two spells never cleared, and they are near enough to be one episode.

        An hour left out (dust, ozone) is not of this episode and says nothing; nor does one that is not known.
        """
        a, b = int((end - self.start) / _HOUR), int((start - self.start) / _HOUR)
        between = self.raw[a:b][~self.out[a:b]]
        known = between[~np.isnan(between)]
        if b - a >= self.book.number("join.gap") or not len(known):
            return False
        return bool((known > self.book.number("join.clear")).all())

    def _basis(self, spell: Spell) -> str:
        a, b = int((spell.start - self.start) / _HOUR), int((spell.end - self.start) / _HOUR)
        seen = self.observed[a:b]
        return "observed" if seen.all() else "both" if seen.any() else "forecast"


def _connected(starts: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Starts of windows grouped where the windows touch."""
    if not len(starts):
        return []
    cuts = np.flatnonzero(np.diff(starts) > _DAY) + 1
    return list(np.split(starts, cuts))


__all__ = [
    "LEVELS",
    "NONE",
    "SERIES",
    "Finding",
    "Outcome",
    "Proposal",
    "Spell",
    "evaluate",
    "propose",
    "together",
]
