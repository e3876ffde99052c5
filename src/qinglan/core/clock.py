"""The official clock: the only place that knows about time zones, hour labels and the natural day.

China Standard Time (UTC+8, no summer time) is official. An ambient hour is labelled by its **end**: the
value "08:00" is the mean of 07:00-08:00. A natural day is the labels 01:00 to 24:00, so 00:00 of the next
calendar date closes the day before it. Stored times are UTC and mark the hour's end.

A source that labels hours by their beginning, or writes another zone, is declared so in its layout and
shifted once, at the door, by :func:`to_utc_end`. Everything behind the door reads ``day`` and ``hour``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import StrEnum

from qinglan.core.errors import UsageError

CST = timezone(timedelta(hours=8), "CST")
HOUR = timedelta(hours=1)

#: Added to a stored UTC hour end it gives a wall time whose date is the statistical day and whose hour
#: is (label - 1): +8 h to the official zone, -1 h because label 24:00 belongs to the day it closes.
DAY_SHIFT = timedelta(hours=7)


class HourLabel(StrEnum):
    """What a source's hour label means."""

    END = "end"
    BEGIN = "begin"


@dataclass(frozen=True, slots=True)
class TimeConvention:
    """How a layout writes time.

    label : HourLabel
        Whether the label is the hour's end or its beginning.
    utc_offset : float
        Hours by which the written clock is ahead of UTC (China Standard Time: 8) [h].
    """

    label: HourLabel = HourLabel.END
    utc_offset: float = 8.0

    def shift(self) -> timedelta:
        """What to add to a written (naive) label to get the UTC end of its hour.

        >>> TimeConvention().shift() == timedelta(hours=-8)
        True
        >>> TimeConvention(HourLabel.BEGIN, 0).shift() == timedelta(hours=1)
        True
        """
        begin = HOUR if self.label is HourLabel.BEGIN else timedelta(0)
        return begin - timedelta(hours=self.utc_offset)


OFFICIAL = TimeConvention()


def to_utc_end(label: datetime, convention: TimeConvention = OFFICIAL) -> datetime:
    """UTC end of the hour that a naive label names under a convention.

    >>> to_utc_end(datetime(2026, 3, 1, 0)).isoformat()
    '2026-02-28T16:00:00+00:00'
    """
    if label.tzinfo is not None:
        raise UsageError(
            f"label {label.isoformat()} carries a zone.", remedy="Give the label as written, without one."
        )
    return (label + convention.shift()).replace(tzinfo=UTC)


def day_and_hour(utc_end: datetime) -> tuple[date, int]:
    """Statistical day and hour label (1..24) of a stored hour.

    >>> day_and_hour(datetime(2026, 2, 28, 16, tzinfo=UTC))
    (datetime.date(2026, 2, 28), 24)
    """
    wall = utc_end.astimezone(UTC).replace(tzinfo=None) + DAY_SHIFT
    return wall.date(), wall.hour + 1


def from_day_and_hour(day: date, hour: int) -> datetime:
    """UTC end of the hour with a label (1..24) of a statistical day; inverse of :func:`day_and_hour`.

    >>> from_day_and_hour(date(2026, 2, 28), 24).isoformat()
    '2026-02-28T16:00:00+00:00'
    """
    if not 1 <= hour <= 24:
        raise UsageError(f"hour label {hour} is not in 1..24.")
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour) - timedelta(hours=8)


def today(now: datetime) -> date:
    """Calendar date of the official clock at an instant (which must carry a zone).

    >>> today(datetime(2026, 2, 28, 17, tzinfo=UTC))
    datetime.date(2026, 3, 1)
    """
    if now.tzinfo is None:
        raise UsageError(f"instant {now.isoformat()} carries no zone.", remedy="Pass an aware datetime.")
    return now.astimezone(CST).date()


def midnight(day: date) -> datetime:
    """The instant at which a day of the official clock begins.

    >>> midnight(date(2026, 3, 1)).isoformat()
    '2026-03-01T00:00:00+08:00'
    """
    return datetime.combine(day, time(), CST)


def wall(text: str) -> datetime:
    """Wall time as somebody typed it: of the official clock unless it names a zone; UsageError when it is none.

    >>> wall("2025-12-01T20:00").isoformat(), wall("2025-12-01").hour
    ('2025-12-01T20:00:00+08:00', 0)
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"{text!r} is no moment.", remedy="Write YYYY-MM-DD or YYYY-MM-DDTHH:MM.") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=CST)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A span of statistical days, both ends included.

    >>> Period.year(2024).days, Period.month(2026, 2).label, Period.quarter(2025, 3).label
    (366, '2026-02', '2025Q3')
    """

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise UsageError(f"period ends ({self.end}) before it starts ({self.start}).")

    @property
    def days(self) -> int:
        """Number of natural days."""
        return (self.end - self.start).days + 1

    @classmethod
    def year(cls, year: int) -> Period:
        """The calendar year."""
        return cls(date(year, 1, 1), date(year, 12, 31))

    @classmethod
    def month(cls, year: int, month: int) -> Period:
        """A calendar month."""
        following = date(year + month // 12, month % 12 + 1, 1)
        return cls(date(year, month, 1), following - timedelta(days=1))

    @classmethod
    def quarter(cls, year: int, quarter: int) -> Period:
        """A quarter, 1..4."""
        return cls(date(year, 3 * quarter - 2, 1), cls.month(year, 3 * quarter).end)

    @classmethod
    def parse(cls, text: str) -> Period:
        """Read ``2025``, ``2025-03``, ``2025Q1``, ``2025H1`` or ``2025-01-01..2025-06-30``.

        >>> Period.parse("2025H1").end, Period.parse("2025-02").days
        (datetime.date(2025, 6, 30), 28)
        """
        try:
            if ".." in text:
                start, end = text.split("..")
                return cls(date.fromisoformat(start), date.fromisoformat(end))
            if len(text) == 4:
                return cls.year(int(text))
            if len(text) == 6 and text[4] in "Qq":
                return cls.quarter(int(text[:4]), int(text[5]))
            if len(text) == 6 and text[4] in "Hh":
                half = int(text[5])
                return cls(date(int(text[:4]), 6 * half - 5, 1), cls.month(int(text[:4]), 6 * half).end)
            year, month = text.split("-")
            return cls.month(int(year), int(month))
        except ValueError as cause:
            raise UsageError(
                f"cannot read period {text!r}.",
                remedy="Write 2025, 2025-03, 2025Q1, 2025H1 or 2025-01-01..2025-06-30.",
            ) from cause

    @property
    def label(self) -> str:
        """Shortest spelling that :meth:`parse` reads back."""
        for candidate in (f"{self.start:%Y}", f"{self.start:%Y-%m}"):
            if Period.parse(candidate) == self:
                return candidate
        quarter = f"{self.start.year}Q{(self.start.month + 2) // 3}"
        if Period.parse(quarter) == self:
            return quarter
        for half in (1, 2):
            if Period.parse(f"{self.start.year}H{half}") == self:
                return f"{self.start.year}H{half}"
        return f"{self.start.isoformat()}..{self.end.isoformat()}"

    def back(self, years: int = 1) -> Period:
        """The same period some years earlier (29 February falls back to the 28th).

        >>> Period.parse("2024-02").back().label
        '2023-02'
        """
        if self.label and ".." not in self.label:
            return Period.parse(f"{self.start.year - years}{self.label[4:]}")

        def earlier(day: date) -> date:
            leap = day.month == 2 and day.day == 29
            return day.replace(year=day.year - years, day=28 if leap else day.day)

        return Period(earlier(self.start), earlier(self.end))
