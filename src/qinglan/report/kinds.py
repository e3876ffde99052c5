"""Kinds of bulletin and the moves of their life, read from ``content/publications``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache

from qinglan.core.clock import CST, Period
from qinglan.core.errors import ContentError, UnknownName, UsageError
from qinglan.plan import content
from qinglan.plan.moves import Move, read_moves

LANGUAGES = ("zh", "en")
SPANS = ("day", "week", "month", "quarter", "year")
STATES = ("draft", "submitted", "approved", "issued", "corrected", "withdrawn")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of bulletin. `name` and `title` by language; `due` says when its draft is due."""

    id: str
    name: Mapping[str, str]
    title: Mapping[str, str]
    span: str
    sections: tuple[str, ...]
    due: Mapping[str, int]

    def period(self, text: str) -> Period:
        """Read a period of this kind's span; a week may be written ``2016W23``, a day as its date.

        UsageError when the text is no such span.
        """
        found = _read(text)
        if span_of(found) != self.span:
            raise UsageError(
                f"{text!r} is no {self.span}, which a {self.id} bulletin covers.",
                remedy="Write a day as 2016-06-03, a week as 2016W23, 2016-06, 2016Q2 or 2016.",
            )
        return found

    def last_due(self, now: datetime) -> Period:
        """The newest span whose draft is due at an instant (aware)."""
        here = now.astimezone(CST)
        found = _last_over(self.span, here.date())
        for _ in range(2):
            if here.replace(tzinfo=None) >= self._due_at(found):
                return found
            found = _last_over(self.span, found.start)
        return found

    def _due_at(self, period: Period) -> datetime:
        after = period.end + timedelta(days=1)
        day = self.due.get("day")
        if day is not None:
            after = after.replace(day=day)
        return datetime(after.year, after.month, after.day, self.due["hour"])  # noqa: DTZ001 (official wall time)


def _last_over(span: str, day: date) -> Period:
    """The last whole span that is over before a day."""
    last = day - timedelta(days=1)
    if span == "day":
        return Period(last, last)
    if span == "week":
        end = day - timedelta(days=day.isoweekday())
        return Period(end - timedelta(days=6), end)
    if span == "month":
        before = day.replace(day=1) - timedelta(days=1)
        return Period.month(before.year, before.month)
    if span == "quarter":
        before = date(day.year, 3 * ((day.month - 1) // 3) + 1, 1) - timedelta(days=1)
        return Period.quarter(before.year, (before.month + 2) // 3)
    return Period.year(day.year - 1)


def _read(text: str) -> Period:
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        day = date.fromisoformat(text)
        return Period(day, day)
    week = re.fullmatch(r"(\d{4})[Ww](\d{1,2})", text)
    if week:
        try:
            first = date.fromisocalendar(int(week[1]), int(week[2]), 1)
        except ValueError as cause:
            raise UsageError(f"cannot read week {text!r}: {cause}.", remedy="Write 2016W23.") from cause
        return Period(first, first + timedelta(days=6))
    return Period.parse(text)


def span_of(period: Period) -> str:
    """day, week, month, quarter or year; ``span`` for any other.

    >>> span_of(Period.parse("2016-06")), span_of(Period.parse("2016-06-06..2016-06-12"))
    ('month', 'week')
    """
    if period.days == 1:
        return "day"
    if period.days == 7 and period.start.isoweekday() == 1:
        return "week"
    label = period.label
    known = {4: "year", 7: "month"}.get(len(label), "span")
    return "quarter" if len(label) == 6 and label[4] == "Q" else known


def short_label(period: Period) -> str:
    """The label of a period in an address.

    >>> short_label(Period.parse("2016-06-06..2016-06-12")), short_label(Period.parse("2016-06-03..2016-06-03"))
    ('2016W23', '2016-06-03')
    """
    span = span_of(period)
    if span == "day":
        return period.start.isoformat()
    if span == "week":
        year, week, _ = period.start.isocalendar()
        return f"{year}W{week:02d}"
    return period.label


def period_words(period: Period, language: str) -> str:
    """A period in words.

    >>> period_words(Period.parse("2016-06"), "zh"), period_words(Period.parse("2016Q2"), "en")
    ('2016年6月', 'the second quarter of 2016')
    """
    first, last, span = period.start, period.end, span_of(period)
    if language == "zh":
        quarters = "一二三四"
        return {
            "day": f"{first.year}年{first.month}月{first.day}日",
            "week": f"{first.year}年{first.month}月{first.day}日至{last.month}月{last.day}日",
            "month": f"{first.year}年{first.month}月",
            "quarter": f"{first.year}年第{quarters[(first.month - 1) // 3]}季度",
            "year": f"{first.year}年",
        }.get(span, f"{first.year}年{first.month}月{first.day}日至{last.year}年{last.month}月{last.day}日")
    ordinal = ("first", "second", "third", "fourth")[(first.month - 1) // 3]
    month = _MONTHS[first.month - 1]
    return {
        "day": f"{first.day} {month} {first.year}",
        "month": f"{month} {first.year}",
        "quarter": f"the {ordinal} quarter of {first.year}",
        "year": str(first.year),
    }.get(span, f"{first.day} {month} {first.year} to {last.day} {_MONTHS[last.month - 1]} {last.year}")


@cache
def kinds() -> Mapping[str, Kind]:
    """All kinds by id; ContentError lists the faults of the file."""
    raw = content.read("publications", "kinds")
    made, faults = {}, []
    for name, row in raw["kinds"].items():
        try:
            made[name] = Kind(
                name, row["name"], row["title"], row["period"], tuple(row["sections"]), dict(row["due"])
            )
        except (KeyError, TypeError) as cause:
            faults.append(f"kinds.{name}: {cause} is missing or of the wrong kind")
            continue
        if made[name].span not in SPANS:
            faults.append(f"kinds.{name}.period is {made[name].span!r}, not one of {', '.join(SPANS)}")
    if faults:
        raise ContentError("publications/kinds.yaml", faults)
    return made


def kind_of(name: str) -> Kind:
    """One kind; UnknownName with the known ones."""
    if name not in kinds():
        raise UnknownName("kind of bulletin", name, tuple(kinds()))
    return kinds()[name]


@cache
def moves() -> Mapping[str, Move]:
    """All moves by id; ContentError names a state that is none."""
    return read_moves(content.read("publications", "kinds")["moves"], STATES, "publications/kinds.yaml")


def move_of(name: str) -> Move:
    """One move; UnknownName with the known ones."""
    if name not in moves():
        raise UnknownName("move", name, tuple(moves()))
    return moves()[name]


@cache
def texts(language: str) -> Mapping[str, str]:
    """The sentences of a language; UnknownName for one that there is none of."""
    if language not in LANGUAGES:
        raise UnknownName("language", language, LANGUAGES)
    found: Mapping[str, str] = content.read("publications", "texts")[language]
    return found
