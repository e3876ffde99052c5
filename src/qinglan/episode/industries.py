"""Which industry of the grading guide a line belongs to, by its sector, its product and its enterprise's class.

The pairs are content/standards/grading_industries.yaml: the guide names 39 industries and no codes, so each pair
carries how sure it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from qinglan.core.errors import UnknownName
from qinglan.core.rulebook import RuleBook

#: A product that no industry of the guide makes.
OUTSIDE = "outside"
_SURE = ("low", "medium-low", "medium", "medium-high", "high")


@dataclass(frozen=True, slots=True)
class Industry:
    """An industry of the guide (None: outside it), how sure that is, what told it (product, class or sector)."""

    name: str | None
    certainty: str
    by: str


def industry_of(book: RuleBook, sector: str, product: str | None = None, code: str | None = None) -> Industry:
    """The industry of a line. code : class of GB/T 4754, two to four digits, of the enterprise.

    The line's sector says which industries it may be; its product, then the enterprise's class picks among them;
    where neither does, the first is taken and its certainty is at most medium-low. UnknownName for a sector that
    the book does not name.

    >>> from datetime import date
    >>> from qinglan.plan.rules import load_book
    >>> book = load_book("grading_industries", date(2025, 11, 30))
    >>> industry_of(book, "steel", "eaf_steel").name, industry_of(book, "nonferrous", None, "3212").name
    ('short_process_steel', 'lead_zinc')
    >>> industry_of(book, "heat").name is None
    True
    """
    if not book.has(f"sector.{sector}"):
        known = [key.removeprefix("sector.") for key in book.values if key.startswith("sector.")]
        raise UnknownName("sector of the grading guide", sector, known)
    told = book.get(f"sector.{sector}")
    may: tuple[str, ...] = tuple(told.value)
    if product and book.has(f"product.{product}"):
        said = book.get(f"product.{product}")
        if said.value == OUTSIDE:
            return Industry(None, said.certainty, "product")
        if said.value in may:
            return Industry(str(said.value), said.certainty, "product")
    if not may:
        return Industry(None, told.certainty, "sector")
    for digits in range(len(code or ""), 1, -1):
        key = f"class.{(code or '')[:digits]}"
        if book.has(key):
            found = book.get(key)
            if found.value in may:
                return Industry(str(found.value), min(found.certainty, told.certainty, key=_SURE.index), "class")
    certainty = told.certainty if len(may) == 1 else min(told.certainty, "medium-low", key=_SURE.index)
    return Industry(may[0], certainty, "sector")
