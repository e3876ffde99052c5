"""Text cells out of a ledger's examples, as a workbook would give them."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from qinglan.ledger.check import Checked, check_rows
from qinglan.ledger.declare import Ledger
from qinglan.ledger.identifiers import check_character
from qinglan.plan.pack import load_plan
from qinglan.plan.places import load_places

TODAY = date(2026, 3, 1)


def cell(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def raw_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> pl.DataFrame:
    names = columns or list(dict.fromkeys(name for row in rows for name in row))
    made = {name: [cell(row.get(name)) for row in rows] for name in names}
    return pl.DataFrame(
        {"_line": list(range(4, 4 + len(rows))), **made}, schema_overrides=dict.fromkeys(names, pl.String)
    )


def known_of(ledger: Ledger) -> dict[str, set[str]]:
    """What the ledger's references may mean: what its good rows say."""
    return {
        column.refers: {str(row[column.name]) for row in ledger.good if row.get(column.name) is not None}
        for column in ledger.columns
        if column.refers
    }


def checked(ledger: Ledger, raw: pl.DataFrame, **more: Any) -> Checked:
    given = {"today": TODAY, "places": load_places(), "known": known_of(ledger)}
    given["key_region"] = load_plan("qinghai-2024").regions["key-region"].places
    return check_rows(ledger, raw, **{**given, **more})


def variants(ledger: Ledger, wanted: int) -> list[dict[str, str | None]]:
    """At least so many good rows with identities of their own, made out of the examples; text cells."""
    made: list[dict[str, str | None]] = []
    for base in ledger.good:
        for n in range(4 * wanted * len(ledger.identity)):
            row = {name: cell(base.get(name)) for name in ledger.schema}
            row.update(_other_identity(ledger, row, n))
            made.append(row)
    raw = raw_of(made, list(ledger.schema))
    known = {
        k: v | set(raw[c.name].drop_nulls())
        for c in ledger.columns
        for k, v in known_of(ledger).items()
        if c.refers == k
    }
    good = checked(ledger, raw, known={**known_of(ledger), **known}).rows
    taken = good.unique("_key", keep="first", maintain_order=True)["_line"].to_list()
    return [made[line - 4] for line in taken][:wanted]


def _other_identity(ledger: Ledger, row: Mapping[str, str | None], n: int) -> dict[str, str]:
    """The n-th other identity of a row: one of its columns counted on, with its check character."""
    columns = [ledger.column(name) for name in ledger.identity]
    column = columns[n % len(columns)]
    text, n = row[column.name] or "", n // len(columns)
    if column.type == "uscc":
        first = f"{text[:9]}{n:08d}"
        return {column.name: first + check_character(first)}
    if column.type == "place":
        level = load_places().find(text).level
        codes = [p.place for p in load_places() if p.level == level and p.place.startswith("63")]
        return {column.name: codes[n % len(codes)]}
    if column.type == "year":
        return {column.name: str(int(text[:4]) - n % 9)}
    if column.type in ("date", "month"):
        return {column.name: str(date(2024 + n // 336 % 2, 1 + n % 12, 1 + n // 12 % 28))}
    if column.type not in ("text", "reference") or column.refers:
        return {}
    digits = list(re.finditer(r"[0-9]+", text))
    at = digits[-1] if digits else None
    counted = (
        f"{text[: at.start()]}{str(int(at[0]) + n).zfill(len(at[0]))}{text[at.end() :]}" if at else f"{text}{n}"
    )
    return {column.name: counted}
