"""A rule book as it stands on one date: the object every judgement asks. Built by :mod:`qinglan.plan.rules`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from qinglan.core.errors import RuleError, UnknownName
from qinglan.core.provenance import RuleUse


@dataclass(frozen=True, slots=True)
class Value:
    """A dated legal number (or table) with unit and source."""

    value: Any
    unit: str
    source: str
    valid_from: date
    certainty: str = "high"


@dataclass(frozen=True, slots=True)
class Option:
    """A point on which the sources are silent, uncertain or at odds: named choices and a stated default."""

    name: str
    default: str
    choices: Mapping[str, str]
    why: str


@dataclass(frozen=True, slots=True)
class RuleBook:
    """One family of rules (a standard and its successors) frozen on a date, with options chosen."""

    book: str
    edition: str
    title_zh: str
    title_en: str
    on: date
    valid_from: date
    valid_to: date | None
    values: Mapping[str, Value]
    options: Mapping[str, Option]
    content_hash: str
    chosen: Mapping[str, str] = field(default_factory=dict)

    def has(self, key: str) -> bool:
        """Whether the book answers this key on its date."""
        return key in self.values

    def get(self, key: str) -> Value:
        """The dated value under a key such as ``limit.pm2_5.year.class2``; RuleError when the book is silent."""
        try:
            return self.values[key]
        except KeyError:
            near = [k for k in self.values if k.split(".")[0] == key.split(".")[0]][:12]
            raise RuleError(
                f"{self.edition} ({self.book} on {self.on}) says nothing about {key!r}.",
                remedy=f"It has, among others: {', '.join(near)}." if near else "",
            ) from None

    def number(self, key: str) -> float:
        """A single number under a key."""
        value = self.get(key).value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RuleError(f"{self.edition}: {key} is {value!r}, not a number.")
        return value

    def option(self, name: str) -> str:
        """The choice in force for a named option: chosen by the caller, else the stated default."""
        if name not in self.options:
            raise UnknownName(f"option of {self.book}", name, tuple(self.options))
        return self.chosen.get(name, self.options[name].default)

    def with_options(self, **chosen: str) -> RuleBook:
        """The same book under other choices; unknown options or choices raise UnknownName."""
        for name, choice in chosen.items():
            if name not in self.options:
                raise UnknownName(f"option of {self.book}", name, tuple(self.options))
            if choice not in self.options[name].choices:
                raise UnknownName(f"choice of {name}", choice, tuple(self.options[name].choices))
        return replace(self, chosen={**self.chosen, **chosen})

    def use(self) -> RuleUse:
        """What to write into a result's provenance."""
        return RuleUse(
            book=self.book,
            edition=self.edition,
            valid_from=self.valid_from.isoformat(),
            content_hash=self.content_hash,
            options={name: self.option(name) for name in self.options},
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """The seven rule books of the air, all as they stand on one date."""

    limits: RuleBook  #: family ``gb3095``
    aqi: RuleBook  #: family ``hj633``
    evaluation: RuleBook  #: family ``hj663``
    ranking: RuleBook  #: family ``ranking``
    dust: RuleBook  #: family ``dust``
    rounding: RuleBook  #: family ``gbt8170``
    control: RuleBook  #: family ``qc``

    def books(self) -> tuple[RuleBook, ...]:
        """All of them, in reading order."""
        return (self.limits, self.aqi, self.evaluation, self.ranking, self.dust, self.rounding, self.control)

    def uses(self) -> tuple[RuleUse, ...]:
        """For a result's provenance."""
        return tuple(book.use() for book in self.books())
