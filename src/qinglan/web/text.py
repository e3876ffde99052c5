"""Words and numbers as a reader sees them: gettext catalogues with one set of keys, Chinese first.

``locale/<language>/*.po`` holds a file for each part of the console; all files of a language are one catalogue.
"""

from __future__ import annotations

from calendar import Calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from babel.messages.pofile import read_po

from qinglan.core.clock import CST, Period, day_and_hour
from qinglan.core.errors import UnknownName
from qinglan.core.names import QUANTITIES, quantity
from qinglan.core.rounding import shown

LANGUAGES = ("zh", "en")
NOTHING = "—"
_COMPARISONS = {
    ">=": "least", "<=": "most", "=": "equal", "about": "about", "increase": "increase", "decrease": "decrease",
}  # fmt: skip


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """The strings of a language by key."""
    if language not in LANGUAGES:
        raise UnknownName("language", language, LANGUAGES)
    loaded: dict[str, str] = {}
    for file in sorted((files("qinglan.web") / "locale" / language).iterdir(), key=lambda f: f.name):
        with file.open("rb") as handle:
            loaded |= {str(m.id): str(m.string) for m in read_po(handle, locale=language) if m.id}
    return loaded


@dataclass(frozen=True, slots=True)
class Text:
    """Writes in one language."""

    language: str = "zh"

    def __call__(self, key: str, **values: Any) -> str:
        """The string under a key, with its ``{names}`` filled in."""
        strings = catalogue(self.language)
        if key not in strings:
            raise UnknownName("string", key)
        return strings[key].format(**values) if values else strings[key]

    def word(self, family: str, name: Any) -> str:
        """A word for a name that comes from data, or the name itself when the catalogue has no word."""
        return catalogue(self.language).get(f"{family}.{name}", str(name))

    def of(self, value: Any) -> str:
        """Text that data carries in both languages (``zh``, ``en``), in one, or as a list of these."""
        if value is None:
            return NOTHING
        if isinstance(value, Mapping):
            return str(value.get(self.language) or value.get("zh") or value.get("en") or NOTHING)
        if isinstance(value, list | tuple):
            return self("list.separator").join(self.of(v) for v in value)
        return str(value)

    def place(self, row: Mapping[str, Any]) -> str:
        """A place's name."""
        if self.language == "en" and row.get("name_en"):
            return str(row["name_en"])
        return str(row.get("name") or row.get("place"))

    def item(self, name: str | None) -> str:
        """Symbol of a quantity; several joined by commas stay several."""
        if not name:
            return NOTHING
        return self("list.separator").join(
            QUANTITIES[part].symbol if part in QUANTITIES else part for part in name.split(",")
        )

    def item_name(self, name: str) -> str:
        """Full name of a quantity."""
        known = quantity(name)
        return known.zh if self.language == "zh" else known.en

    def unit(self, item: str) -> str:
        """Unit of a quantity, as printed."""
        return quantity(item).unit

    def unit_word(self, unit: str | None) -> str:
        """A target's unit in this language (days, tonnes); symbols stay as they are."""
        return "" if unit is None else self.word("unit", unit)

    def goal(self, row: Mapping[str, Any], *, unit: bool = False) -> str:
        """What a target asks: at least, at most, about, a rise or a fall."""
        name = _COMPARISONS.get(row["comparison"])
        if name is None or row["limit"] is None:
            return NOTHING
        if name in ("increase", "decrease") and not row["limit"]:
            return self(f"compare.any.{name}")
        amount = plain(row["limit"]) + (f" {self.unit_word(row['unit'])}" if unit else "")
        return self(f"compare.{name}", limit=amount)

    def count(self, number: int | None) -> str:
        """A whole number with thousands set apart."""
        return NOTHING if number is None else f"{number:,}".replace(",", " ")

    def size(self, count: float) -> str:
        """A number of bytes in the unit that suits, powers of ten.

        >>> Text("en").size(66_042_253_312)
        '66.0 GB'
        """
        for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
            if count >= one:
                return f"{count / one:.1f} {unit}"
        return f"{count / 1e3:.0f} kB"

    def instant(self, iso: str | None) -> str:
        """An ISO instant as official wall time."""
        return hour_text(datetime.fromisoformat(iso)) if iso else NOTHING

    def value(self, name: str, number: float | None) -> str:
        """A concentration as it is printed: rounded by GB/T 8170 to the quantity's decimals."""
        return NOTHING if number is None else shown(number, quantity(name).decimals)

    def period(self, period: Period) -> str:
        """A period in words."""
        label = period.label
        if len(label) == 4:
            return self("period.year", year=label)
        if len(label) == 6:
            kind = "quarter" if label[4] == "Q" else "half"
            return self(f"period.{kind}", year=label[:4], n=label[5])
        if len(label) == 7:
            return self("period.month", year=label[:4], month=int(label[5:]), name=self(f"month.{int(label[5:])}"))
        return self("period.span", first=period.start.isoformat(), last=period.end.isoformat())

    def age(self, then: datetime, now: datetime) -> str:
        """How long ago an instant was, in the unit that suits."""
        minutes = int((now - aware(then)).total_seconds() // 60)
        if minutes < 120:
            return self("age.minutes", n=max(minutes, 0))
        return self("age.hours", n=minutes // 60) if minutes < 72 * 60 else self("age.days", n=minutes // 1440)


def aware(instant: datetime) -> datetime:
    """A stored time with its zone: tables hold UTC."""
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


def hour_text(instant: datetime | None) -> str:
    """The official wall time of an hour's end.

    >>> hour_text(datetime(2025, 3, 1, 1))
    '2025-03-01 09:00'
    """
    return NOTHING if instant is None else aware(instant).astimezone(CST).strftime("%Y-%m-%d %H:%M")


def label_text(instant: datetime | None) -> str:
    """The official label of an hour: its statistical day and its end, 01:00 to 24:00.

    >>> label_text(datetime(2025, 12, 31, 16))
    '2025-12-31 24:00'
    """
    if instant is None:
        return NOTHING
    day, hour = day_and_hour(aware(instant))
    return f"{day} {hour:02d}:00"


def short(value: float) -> str:
    """One decimal, or none when it would be zero.

    >>> short(12.0), short(0.557)
    ('12', '0.6')
    """
    return number(value, 1).removesuffix(".0")


def day_text(day: date | str | None) -> str:
    """A date as ISO text."""
    return NOTHING if not day else str(day)[:10]


def number(value: float | None, decimals: int = 1, *, signed: bool = False) -> str:
    """A number with fixed decimals (GB/T 8170) and a true minus sign.

    >>> number(-0.85, 1), number(3, 0, signed=True), number(None)
    ('−0.8', '+3', '—')
    """
    if value is None:
        return NOTHING
    text = shown(value, decimals)
    if text.startswith("-"):
        return ("−" if float(text) else "") + text[1:]
    return f"+{text}" if signed and float(text) else text


def plain(value: float | None) -> str:
    """A number with no more decimals than it needs (limits, reported values).

    >>> plain(21.0), plain(96.3), plain(None)
    ('21', '96.3', '—')
    """
    if value is None:
        return NOTHING
    return f"{value:.10g}".replace("-", "−") if isinstance(value, int | float) else str(value)


def amount(value: float | None, figures: int = 5) -> str:
    """A quantity to some significant figures, its thousands apart.

    >>> amount(42198712.3), amount(79061.6), amount(0.0123456), amount(None)
    ('42 199 000', '79 062', '0.012346', '—')
    """
    if value is None:
        return NOTHING
    return f"{float(f'{value:.{figures}g}'):,.10g}".replace(",", " ").replace("-", "−")


def weeks(year: int, month: int) -> list[list[date | None]]:
    """The days of a month by week, Monday first; None outside the month.

    >>> weeks(2026, 3)[0][6], len(weeks(2026, 3))
    (datetime.date(2026, 3, 1), 6)
    """
    rows = Calendar().monthdatescalendar(year, month)
    return [[day if day.month == month else None for day in week] for week in rows]


def any_day(days: Mapping[date, Any], year: int, month: int) -> bool:
    """Whether a month has any of these days."""
    return any((day.year, day.month) == (year, month) for day in days)


def tuple_of(row: Mapping[str, Any], *names: str) -> tuple[Any, ...]:
    """Some values of a row, in order (a template filter).

    >>> tuple_of({"period": "2025", "value": 3.0, "x": 1}, "period", "value")
    ('2025', 3.0)
    """
    return tuple(row[name] for name in names)
