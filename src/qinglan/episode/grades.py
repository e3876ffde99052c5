"""Performance grades: the lowest indicator sets the grade, the lowest sector that of the enterprise.

Rules are content/standards/performance_grades.yaml (guide of 2020, opinion of 2026). What a grade must cut in per
cent stands in annexes that were not found: the book's numbers are stand-ins of low certainty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from qinglan.core.errors import LayoutError, UnknownName, UsageError
from qinglan.core.rulebook import RuleBook

#: States of a grade, in their order; a grade may be refused on the site and starts again with an application.
STATES = ("applied", "checked", "published", "expired")
#: Levels of a warning.
LEVELS = ("yellow", "orange", "red")


@dataclass(frozen=True, slots=True)
class Grade:
    """A judged sector of an enterprise.

    indicators : grade by indicator. guide_version : edition of the book that judged. applied_on, checked_on,
    published_on : days of its life so far (None: not yet).
    """

    enterprise: str
    sector: str
    indicators: Mapping[str, str]
    grade: str
    assessed_on: date
    valid_to: date
    guide_version: str
    applied_on: date | None = None
    checked_on: date | None = None
    published_on: date | None = None


def lowest(book: RuleBook, grades: Sequence[str]) -> str:
    """The lowest of some grades; UnknownName for one that the book does not order, UsageError for none at all.

    >>> from qinglan.plan.rules import load_book
    >>> lowest(load_book("performance_grades", date(2026, 3, 1)), ["A", "B", "A+"])
    'B'
    """
    order = book.get("order").value
    for one in grades:
        if one not in order:
            raise UnknownName(f"grade of {book.edition}", one, order)
    if not grades:
        raise UsageError("there is no grade to take the lowest of.", remedy="Give at least one.")
    return str(max(grades, key=order.index))


def judge(
    book: RuleBook, enterprise: str, sector: str, indicators: Mapping[str, str], assessed_on: date, valid_to: date
) -> Grade:
    """Grade a sector by its lowest indicator (short-board rule).

    LayoutError when an indicator is missing or unknown, UnknownName for an industry outside the guide, UsageError
    when it would end before it begins.
    """
    named = book.get("indicators").value
    wrong = [n for n in named if n not in indicators] + [n for n in indicators if n not in named]
    if wrong:
        raise LayoutError(
            f"{enterprise}, {sector}: indicators {', '.join(wrong)} are missing or unknown.",
            remedy=f"Give exactly {', '.join(named)}.",
        )
    if not book.has(f"industry.{sector}"):
        known = [key.removeprefix("industry.") for key in book.values if key.startswith("industry.")]
        raise UnknownName("industry of the guide", sector, known)
    if valid_to <= assessed_on:
        raise UsageError(
            f"{enterprise}, {sector}: valid to {valid_to}, judged on {assessed_on}.", remedy="Check the days."
        )
    found = lowest(book, [indicators[n] for n in named])
    return Grade(enterprise, sector, dict(indicators), found, assessed_on, valid_to, book.edition)


def weakest(book: RuleBook, grade: Grade) -> tuple[str, ...]:
    """The indicators that hold a grade down: what an enterprise must mend to rise."""
    return tuple(n for n in book.get("indicators").value if grade.indicators[n] == grade.grade)


def of_enterprise(book: RuleBook, grades: Sequence[Grade], on: date) -> str:
    """The grade of an enterprise on a day: the lowest of its sectors; one not in force is none."""
    return lowest(book, [g.grade if state(g, on) == "published" else "none" for g in grades])


def state(grade: Grade, on: date) -> str:
    """Where a grade stands in its life on a day: applied, checked, published or expired.

    UsageError when its days do not follow one another (applied, checked on site, published).
    """
    days = [d for d in (grade.applied_on, grade.checked_on, grade.published_on) if d is not None]
    if days != sorted(days) or (grade.published_on and grade.checked_on is None):
        raise UsageError(
            f"{grade.enterprise}, {grade.sector}: applied {grade.applied_on}, checked {grade.checked_on}, "
            f"published {grade.published_on}.",
            remedy="A grade is applied for, checked on the site, then published.",
        )
    if on > grade.valid_to:
        return "expired"
    if grade.published_on is not None and grade.published_on <= on:
        return "published"
    return "checked" if grade.checked_on is not None and grade.checked_on <= on else "applied"


@dataclass(frozen=True, slots=True)
class Action:
    """What a grade must do at a level: the measure, and the least and the most that it cuts (0 to 1)."""

    measure: str
    least: float
    most: float
    certainty: str


def action(book: RuleBook, grade: str, level: str) -> Action:
    """What the book asks of a grade at a level. Those not graded, or not leading, as the book's options say."""
    if level not in LEVELS:
        raise UnknownName("level", level, LEVELS)
    if grade not in book.get("order").value:
        raise UnknownName(f"grade of {book.edition}", grade, book.get("order").value)
    name = {"A+": "a_plus", "B-": "b_minus"}.get(grade, grade.lower())
    if name == "none":
        name = book.option("ungraded_as")
    elif name == "not_leading":
        name = book.option("not_leading_as")
    least, most = (book.get(f"{side}.{name}.{level}") for side in ("least", "most"))
    return Action(
        str(book.get(f"action.{name}.{level}").value), least.value / 100, most.value / 100, least.certainty
    )
