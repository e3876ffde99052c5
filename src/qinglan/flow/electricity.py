"""Electricity of works by their meters: the months of the main ones, and the use of a day of normal working.

Emergency cuts are checked against the latter (:func:`qinglan.flow.warnings.cut_from_use`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from qinglan.core.errors import NotFound
from qinglan.flow.ledgers.frames import frame
from qinglan.flow.workspace import Workspace

Row = dict[str, Any]
LEDGER = "electricity-use"
#: Months of a works that are looked at, the newest that it has.
MONTHS = 12


def months(rows: pl.DataFrame) -> list[Row]:
    """kWh of the main meters by month, newest first, at most `MONTHS`: `month, kwh, days, meters, normal`.

    rows : of the ledger, of one works. days : of the meter read over most; normal : whether all worked normally.
    """
    by = (
        rows.filter(meter_kind="main")
        .group_by("month")
        .agg(pl.col("kwh").sum(), pl.col("days").max(), meters=pl.len(), normal=pl.col("normal").all())
    )
    return by.sort("month", descending=True).head(MONTHS).to_dicts()


def day_of(rows: pl.DataFrame) -> float | None:
    """kWh of a day of normal working: of each meter its kWh over its days in the normal ones of the newest months.

    rows : of meters none of which is part of another. None when no month of normal working is read.

    >>> jan, feb = {"month": 1, "days": 31, "kwh": 3100.0}, {"month": 2, "days": 28, "kwh": 280.0}
    >>> day_of(pl.DataFrame([{**jan, "meter_no": "A", "normal": True}, {**feb, "meter_no": "A", "normal": False}]))
    100.0
    """
    newest = rows["month"].unique().sort(descending=True).head(MONTHS)
    known = rows.filter(pl.col("normal"), pl.col("month").is_in(newest.to_list()))
    each = known.group_by("meter_no").agg(day=pl.col("kwh").sum() / pl.col("days").sum())
    return float(each["day"].sum()) if each.height else None


def normal_days(workspace: Workspace, uscc: Sequence[str]) -> dict[str, float]:
    """kWh of a normal day of each of some works by its main meters; those that have none are left out."""
    rows = frame(workspace, LEDGER).rows.filter(pl.col("uscc").is_in(list(uscc)), meter_kind="main")
    found = {str(code): day_of(part) for (code,), part in rows.group_by("uscc")}
    return {code: kwh for code, kwh in found.items() if kwh is not None}


def normal_day(workspace: Workspace, uscc: str, line: str) -> tuple[float, str]:
    """kWh of a normal day: of the line by sub-meters (``line``), else of the works by the main ones (``works``).

    NotFound when the ledger holds no month of normal working of either.
    """
    rows = frame(workspace, LEDGER).rows.filter(pl.col("uscc") == uscc)
    parts = {"line": rows.filter(meter_kind="sub", serves=line), "works": rows.filter(meter_kind="main")}
    for of, part in parts.items():
        if (found := day_of(part)) is not None:
            return found, of
    raise NotFound(
        f"{LEDGER} has no month of normal working of {uscc}.",
        remedy="Import its meters, or give the use of a normal day with --normal.",
    )
