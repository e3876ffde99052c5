"""What a bulletin says, in numbers: the one context that every format of every kind is made from.

It is made of rows of a run's tables (contract 0002, section 2) and is frozen as JSON with the version, so that a
draft, what was approved and what is issued are the same numbers. Nothing here is computed but sums of days.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from typing import Any

from qinglan.core.clock import Period
from qinglan.core.errors import StoreError
from qinglan.core.rounding import half_even, shown

Words = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ItemValue:
    """A concentration of a place in the period, as the run's `shown`: `value` dust out, `value_in` dust in."""

    value: float | None
    value_in: float | None
    previous: float | None
    limit: float | None
    attained: bool | None
    valid_days: int
    data_valid: bool


@dataclass(frozen=True, slots=True)
class PlaceLine:
    """A place's row. Index and rank are without dust; `rate` keeps it, `adjusted_rate` does not [%]."""

    place: str
    name: Words
    items: Mapping[str, ItemValue]
    rank: int | None
    index: float | None
    index_in: float | None
    max_index: float | None
    main: str
    previous_index: float | None
    change_percent: float | None
    change_rank: int | None
    expected_days: int
    valid_days: int
    good_days: int
    heavy_days: int
    rate: float | None
    adjusted_rate: float | None
    previous_rate: float | None
    levels: tuple[int, ...]
    dust_days: int
    data_valid: bool


@dataclass(frozen=True, slots=True)
class DayLine:
    """A place's day under the edition in force; concentrations rounded as the standard prints them."""

    place: str
    day: str
    aqi: int | None
    level: int | None
    primary: str
    source: str
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class TargetLine:
    """A target of the plan as the run judged it."""

    id: str
    title: Words
    status: str
    shown: str | None
    limit: float | None
    comparison: str
    unit: str
    due: str


@dataclass(frozen=True, slots=True)
class Bulletin:
    """A bulletin in numbers.

    period : label; `period_of` gives it. statistics : by item ``mean`` or ``p95``. levels : the standard's levels
    (`level, zh, en, rgb`). books : rule books with edition and options. decimals : by item, and of the rate.
    """

    kind: str
    place: str
    place_name: Words
    office: Words
    period: str
    previous: str
    run_id: str
    code_version: str
    as_of: str
    simulated: bool
    limits_edition: str
    index_edition: str
    books: tuple[Mapping[str, Any], ...]
    levels: tuple[Mapping[str, Any], ...]
    statistics: Mapping[str, str]
    decimals: Mapping[str, int]
    places: tuple[PlaceLine, ...]
    days: tuple[DayLine, ...]
    targets: tuple[TargetLine, ...]
    proposed_dust: int

    @property
    def span(self) -> Period:
        """The period."""
        return Period.parse(self.period)

    def to_bytes(self) -> bytes:
        """Canonical JSON: the same bulletin gives the same bytes."""
        text = json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return text.encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Bulletin:
        """Read :meth:`to_bytes` back; StoreError when the bytes are no bulletin."""
        try:
            raw = json.loads(data)
            known = {f.name for f in fields(cls)}
            values = {k: v for k, v in raw.items() if k in known}
            values["places"] = tuple(
                PlaceLine(
                    **{**p, "items": {i: ItemValue(**v) for i, v in p["items"].items()},
                       "levels": tuple(p["levels"])}
                )
                for p in raw["places"]
            )  # fmt: skip
            values["days"] = tuple(DayLine(**d) for d in raw["days"])
            values["targets"] = tuple(TargetLine(**t) for t in raw["targets"])
            values["books"], values["levels"] = tuple(raw["books"]), tuple(raw["levels"])
            return cls(**values)
        except (ValueError, KeyError, TypeError) as cause:
            raise StoreError(f"the stored bulletin cannot be read: {cause}.", remedy="Draft it again.") from cause

    def total(self, column: str) -> int:
        """Sum of a count of days over the places."""
        return sum(getattr(p, column) for p in self.places)

    def pooled_rate(self) -> str | None:
        """Good days of valid days of all places [%], by GB/T 8170; None without valid days."""
        return share(self.total("good_days"), self.total("valid_days"), self.decimals["rate"])

    def level_days(self) -> tuple[int, ...]:
        """Days of each level over all places (dust in)."""
        return tuple(sum(p.levels[n] for p in self.places) for n in range(6))


def share(part: int, whole: int, decimals: int) -> str | None:
    """A share [%], rounded once from the exact fraction; None of nothing.

    >>> share(1, 8, 1), share(0, 0, 1)
    ('12.5', None)
    """
    return None if not whole else shown(half_even(Fraction(100 * part, whole), decimals), decimals)


def differences(old: Bulletin, new: Bulletin) -> list[dict[str, Any]]:
    """Numbers that changed between two versions: `place`, `name`, `what` (column or item), `old`, `new`.

    Places in the order of the new version, those that left it last.
    """
    before = {p.place: p for p in old.places}
    after = {p.place: p for p in new.places}
    found = []
    for code in [*after, *(c for c in before if c not in after)]:
        a, b = before.get(code), after.get(code)
        one = b or a
        assert one is not None
        for name in _COMPARED:
            was, now = getattr(a, name, None), getattr(b, name, None)
            if was != now:
                found.append({"place": code, "name": dict(one.name), "what": name, "old": was, "new": now})
        for item in one.items:
            was = a.items[item].value if a and item in a.items else None
            now = b.items[item].value if b and item in b.items else None
            if was != now:
                found.append({"place": code, "name": dict(one.name), "what": item, "old": was, "new": now})
    return found + _day_differences(old, new)


def _day_differences(old: Bulletin, new: Bulletin) -> list[dict[str, Any]]:
    names = {p.place: dict(p.name) for p in (*old.places, *new.places)}
    was = {(d.place, d.day): d.aqi for d in old.days}
    now = {(d.place, d.day): d.aqi for d in new.days}
    return [
        {"place": place, "name": names[place], "what": f"aqi {day}", "old": was.get((place, day)),
         "new": now.get((place, day))}
        for place, day in sorted({*was, *now})
        if was.get((place, day)) != now.get((place, day))
    ]  # fmt: skip


_COMPARED = (
    "rank", "index", "main", "valid_days", "good_days", "heavy_days", "rate", "adjusted_rate", "change_percent",
    "dust_days",
)  # fmt: skip
