"""Rule books: dated legal numbers read from ``content/standards`` and frozen on a date.

A *family* is a standard with its successors (``gb3095``: the 2012 and the 2026 texts). Its file says which edition
holds from which date, and each parameter carries dated values with unit and source. A question is always asked
*on a date*: the newest value dated on or before it answers. The file's grammar is :mod:`qinglan.plan.schema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache

from qinglan.core.errors import RuleError, UnknownName
from qinglan.core.rulebook import RuleBook, Rules, Value
from qinglan.plan.content import names, read
from qinglan.plan.schema import Document, Edition, parse_book

__all__ = ["Edition", "Suite", "document", "editions", "families", "load_book", "rules_on"]

_FOLDER = "standards"


@dataclass(frozen=True, slots=True)
class Suite:
    """Which family answers for which field of :class:`qinglan.core.rulebook.Rules`."""

    limits: str = "gb3095"
    aqi: str = "hj633"
    evaluation: str = "hj663"
    ranking: str = "ranking"
    dust: str = "dust"
    rounding: str = "gbt8170"
    control: str = "qc"

    def families(self) -> dict[str, str]:
        """Field of `Rules` to family."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@cache
def families() -> tuple[str, ...]:
    """Names of all rule-book families in the package.

    >>> "gb3095" in families()
    True
    """
    return names(_FOLDER)


@cache
def document(family: str) -> Document:
    """A family's whole file, checked; ContentError lists every fault of it, UnknownName when there is none."""
    if family not in families():
        raise UnknownName("rule book", family, families())
    return parse_book(family, read(_FOLDER, family), where=f"{_FOLDER}/{family}.yaml")


def editions(family: str) -> list[Edition]:
    """All editions of a family, oldest first.

    >>> [e.label for e in editions("hj633")]
    ['HJ 633-2012', 'HJ 633-2026']
    """
    return list(document(family).editions)


def load_book(family: str, on: date, **options: str) -> RuleBook:
    """A family as it stands on a date, with options chosen.

    Raises RuleError when `on` is before the first edition, UnknownName for an unknown family, option or choice.

    >>> load_book("gb3095", date(2026, 3, 1)).number("limit.pm2_5.year.class2")
    30
    >>> load_book("gb3095", date(2026, 2, 28)).number("limit.pm2_5.year.class2")
    35
    """
    book = _book_of(family, on)
    return book.with_options(**options) if options else book


def rules_on(on: date, options: Mapping[str, Mapping[str, str]] | None = None) -> Rules:
    """The seven rule books of the air on a date.

    options : family -> option -> choice; families outside these raise UnknownName.

    >>> rules_on(date(2026, 3, 1)).aqi.edition
    'HJ 633-2026'
    """
    suite = Suite().families()
    chosen = options or {}
    for family in chosen:
        if family not in suite.values():
            raise UnknownName("rule book of the air", family, tuple(suite.values()))
    books = {name: load_book(family, on, **chosen.get(family, {})) for name, family in suite.items()}
    return Rules(**books)


@cache
def _book_of(family: str, on: date) -> RuleBook:
    """The book under its default options."""
    source = document(family)
    edition = _edition_on(source, on)
    values = {key: value for key in source.parameters if (value := _value_on(source, key, on)) is not None}
    return RuleBook(
        book=family,
        edition=edition.label,
        title_zh=source.title["zh"],
        title_en=source.title["en"],
        on=on,
        valid_from=edition.valid_from,
        valid_to=edition.valid_to,
        values=values,
        options=source.options,
        content_hash=source.content_hash,
    )


def _edition_on(source: Document, on: date) -> Edition:
    found = [edition for edition in source.editions if edition.valid_from <= on]
    if not found:
        first = source.editions[0]
        raise RuleError(
            f"rule book {source.family} has no edition on {on}: "
            f"the first, {first.label}, holds from {first.valid_from}.",
            remedy=f"Ask on or after {first.valid_from}.",
        )
    return found[-1]


def _value_on(source: Document, key: str, on: date) -> Value | None:
    """Newest value dated on or before `on`; None when there is none yet or it was withdrawn."""
    parameter = source.parameters[key]
    dated = [value for value in parameter.values if value.valid_from <= on]
    return dated[-1] if dated and dated[-1].value is not None else None
