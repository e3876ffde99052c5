"""Automatic quality control: sparse flags that say which rule found what, and what stands after people decided.

The four states (valid, invalid, missing, below detection) are kept apart. Reported values are never edited:
:func:`check` writes flags beside them, :func:`apply` derives checked hours from both. Thresholds come from the
``qc`` rule book. Everything here is table expressions; the two searches that compare whole series with their
neighbours (shifted time axis, swapped columns) live in :mod:`qinglan.air.qc.series`.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
from ibis.expr import types as ir

from qinglan.air.qc.decide import ANY_RULE, DECISION_COLUMNS, effective
from qinglan.air.qc.decide import apply as _apply
from qinglan.air.qc.loads import duplicates, stale, unique_hours
from qinglan.air.qc.rows import ROW_RULES, check_rows
from qinglan.air.qc.runs import TIME_RULES, check_runs, margin
from qinglan.core.errors import UnknownName
from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS
from qinglan.core.rulebook import RuleBook

__all__ = [
    "ALL_RULES",
    "ANY_RULE",
    "DECISION_COLUMNS",
    "RULES",
    "apply",
    "check",
    "check_days",
    "duplicates",
    "effective",
    "margin",
    "stale",
    "unique_hours",
]

#: Rules for hours whose key is unique, as in the lake.
RULES: tuple[str, ...] = (*ROW_RULES, *TIME_RULES)
#: With the rule for raw tables, where an hour may stand twice.
ALL_RULES: tuple[str, ...] = (*RULES, "duplicate")


def check(
    hours: ir.Table,
    *,
    book: RuleBook,
    stations: ir.Table | None = None,
    rules: Sequence[str] = RULES,
    items: Sequence[str] = HOURLY_ITEMS,
) -> ir.Table:
    """Flags of the automatic rules.

    Parameters
    ----------
    hours : Table (station, time, day, hour, items) [µg/m³, CO mg/m³]
    book : family ``qc``, on the date of the hours
    stations : register; when given, only its stations are looked at
    rules : names out of :data:`ALL_RULES`; ``duplicate`` is for raw tables, the lake's key is unique

    Returns
    -------
    Table (station, time, day, hour, item, rule, state, detail), sparse. State ``valid`` marks a remark that
    changes nothing. A slice of time gives the flags of the whole when it is read with :func:`margin` hours
    more on either side.
    """
    if unknown := [r for r in rules if r not in ALL_RULES]:
        raise UnknownName("quality rule", unknown[0], ALL_RULES)
    if stations is not None:
        hours = hours.semi_join(stations, "station")
    parts = []
    if "duplicate" in rules:
        parts.append(duplicates(hours, items))
        hours = unique_hours(hours, items)
    parts += [
        check_rows(hours, ("station", "time", "day", "hour"), items, book, rules),
        check_runs(hours, items, book, rules),
    ]
    return ibis.union(*[p for p in parts if p is not None])


def check_days(days: ir.Table, *, book: RuleBook, items: Sequence[str] = DAILY_ITEMS) -> ir.Table:
    """Flags for daily values reported for a city: range, negative, zero written for missing, PM2.5 above PM10.

    Parameters
    ----------
    days : Table (place, day, items)

    Returns
    -------
    Table (place, day, item, rule, state, detail)
    """
    flags = check_rows(days, ("place", "day"), items, book, ROW_RULES)
    assert flags is not None
    return flags


def apply(
    hours: ir.Table,
    flags: ir.Table,
    decisions: ir.Table | None = None,
    *,
    book: RuleBook,
    items: Sequence[str] = HOURLY_ITEMS,
) -> ir.Table:
    """Checked hours, one row per station and hour; see :func:`qinglan.air.qc.decide.apply`."""
    return _apply(hours, flags, decisions, book=book, items=items)
