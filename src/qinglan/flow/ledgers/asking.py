"""Which rows of a ledger are wanted, in which order: what a page, the API and a bulk change ask with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

import polars as pl

from qinglan.core.errors import UnknownName
from qinglan.ledger.declare import Column, Ledger

#: Types of columns that the search looks into.
_SEARCHED = ("text", "uscc", "permit", "reference", "code")


@dataclass(frozen=True, slots=True)
class Asked:
    """A filter with an order.

    search : words, each of which must stand somewhere in the row's texts. place : division code, with all inside
    it. chosen : exact value by column; ``*none`` finds empty cells. rows : only these numbers (of a
    finding, a deadline).
    sort : a column, or empty for the identity.
    """

    search: str = ""
    place: str = ""
    chosen: Mapping[str, str] = field(default_factory=dict)
    rows: frozenset[int] | None = None
    sort: str = ""
    descending: bool = False

    def __bool__(self) -> bool:
        return bool(self.search.strip() or self.place or self.chosen or self.rows is not None)


def wanted(ledger: Ledger, rows: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    """The rows asked for, in the order asked for. UnknownName for a column that the ledger has not."""
    found = rows.lazy()
    if asked.rows is not None:
        found = found.filter(pl.col("_row").is_in(list(asked.rows)))
    if asked.place and ledger.place:
        found = found.filter(_place(pl.col(ledger.place), asked.place))
    for name, value in asked.chosen.items():
        found = found.filter(_equals(ledger.column(name), value))
    texts = [c.name for c in ledger.columns if c.type in _SEARCHED and not c.personal]
    for word in asked.search.split():
        found = found.filter(_holds(ledger, texts, word))
    if asked.sort:
        column = ledger.column(asked.sort).name
        found = found.sort(column, "_key", descending=[asked.descending, False], nulls_last=True)
    elif asked.descending:
        found = found.reverse()
    return found.collect()


def _place(column: pl.Expr, code: str) -> pl.Expr:
    stem = code[:2] if code.endswith("0000") else code[:4] if code.endswith("00") else code
    return column.str.starts_with(stem)


def _equals(column: Column, value: str) -> pl.Expr:
    cell = pl.col(column.name)
    if value == "*none":
        return cell.is_null()
    if column.type == "boolean":
        return cell == (value == "true")
    if column.dtype == pl.String:
        return cell == value
    return cell.cast(pl.String) == value


def _holds(ledger: Ledger, texts: list[str], word: str) -> pl.Expr:
    """Whether a word stands in any text of the row: as it is written, in any case; a code by its words too."""
    low = word.lower()
    parts = []
    for name in texts:
        column = ledger.column(name)
        if column.codes:
            fits = [c.code for c in column.codes.values() if any(low in w.lower() for w in c.words.values())]
            if fits:
                parts.append(pl.col(name).is_in(fits))
        elif low.isascii() and any(ch.isalpha() for ch in low):
            parts.append(pl.col(name).str.to_lowercase().str.contains(low, literal=True))
        else:
            parts.append(pl.col(name).str.contains(word, literal=True))
    return reduce(or_, [p.fill_null(False) for p in parts], pl.lit(False))


def asked_of(ledger: Ledger, query: Mapping[str, str], rows: frozenset[int] | None = None) -> Asked:
    """A filter from an address: ``q, place, sort, dir`` and one entry for each chosen column (``c.<name>``).

    Raises UnknownName for a column that the ledger has not, or an order that there is not.
    """
    direction = query.get("dir", "") or "up"
    if direction not in ("up", "down"):
        raise UnknownName("order", direction, ("up", "down"))
    sort = query.get("sort", "")
    if sort:
        ledger.column(sort)
    chosen = {k[2:]: v for k, v in query.items() if k.startswith("c.") and v != ""}
    for name in chosen:
        ledger.column(name)
    return Asked(query.get("q", "").strip(), query.get("place", ""), chosen, rows, sort, direction == "down")
