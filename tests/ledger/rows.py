"""Text cells out of a ledger's examples, as a workbook would give them."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from qinglan.ledger.check import Checked, check_rows
from qinglan.ledger.declare import Ledger
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
