"""Rules that need nothing but the row: range, negative, zero written for missing, PM2.5 above PM10.

Each rule takes an Ibis table of hours (or of city days) and the ``qc`` rule book and returns flags. The rows that
break any rule are picked in one pass; the rules then look at those few only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add, or_
from typing import Any

import ibis
from ibis.expr import types as ir

from qinglan.core.names import BELOW_DETECTION, INVALID, MISSING, VALID, quantity
from qinglan.core.rulebook import RuleBook

#: Limits of a daily maximum 8-h mean are those of the ozone instrument.
_INSTRUMENT = {"mda8": "o3"}


def flag_rows(
    rows: ir.Table,
    key: Sequence[str],
    item: str,
    condition: ir.BooleanValue,
    *,
    rule: str,
    state: str,
    detail: Any,
) -> ir.Table:
    """Flags for the rows of a table on which a condition holds.

    Parameters
    ----------
    rows : Table (the key columns, the items)
    key : names of the columns that say where and when; kept in front
    detail : str or string expression, what was found in words (zh / en)

    Returns
    -------
    Table (key..., item, rule, state, detail)
    """
    picked = rows.filter(condition)
    return picked.select(
        *key,
        item=ibis.literal(item),
        rule=ibis.literal(rule),
        state=ibis.literal(state),
        detail=ibis.literal(detail) if isinstance(detail, str) else detail,
    )


def text(*parts: Any) -> ir.StringValue:
    """Strings and numeric expressions joined into one string expression."""
    pieces = [
        ibis.literal(p) if isinstance(p, str) else (p if p.type().is_string() else p.cast("string")) for p in parts
    ]
    return reduce(add, pieces)


def instrument(item: str) -> str:
    """The measured item behind a daily statistic (mda8 is measured by the ozone instrument).

    >>> instrument("mda8"), instrument("pm10")
    ('o3', 'pm10')
    """
    return _INSTRUMENT.get(item, item)


def _range_high(rows: ir.Table, item: str, book: RuleBook) -> tuple[ir.BooleanValue, float]:
    high = float(book.number(f"range.{instrument(item)}.high"))
    return rows[item] > high, high


def value_range(rows: ir.Table, key: Sequence[str], items: Sequence[str], book: RuleBook) -> ir.Table:
    """Above the instrument's range (HJ 654, HJ 653): invalid."""
    parts = []
    for item in items:
        condition, high = _range_high(rows, item, book)
        unit = quantity(item).unit
        detail = text(rows[item], f" > {high:g} {unit}: 超出仪器量程 / above the instrument's range")
        parts.append(flag_rows(rows, key, item, condition, rule="range", state=INVALID, detail=detail))
    return ibis.union(*parts)


def negative(rows: ir.Table, key: Sequence[str], items: Sequence[str], book: RuleBook) -> ir.Table:
    """Negative within the allowed zero drift: below detection; further down: invalid (HJ 193, HJ 818)."""
    parts = []
    for item in items:
        drift = float(book.number(f"zero_drift.{instrument(item)}"))
        value = rows[item]
        small = text(value, f": 负值在零漂 {drift:g} 内 / negative within the zero drift")
        large = text(value, f": 负值超零漂 {drift:g} / negative beyond the zero drift")
        parts += [
            flag_rows(
                rows,
                key,
                item,
                (value < 0) & (value >= -drift),
                rule="negative",
                state=BELOW_DETECTION,
                detail=small,
            ),
            flag_rows(rows, key, item, value < -drift, rule="negative", state=INVALID, detail=large),
        ]
    return ibis.union(*parts)


def _zeros(rows: ir.Table, items: Sequence[str]) -> ir.IntegerValue:
    return reduce(add, [(rows[i] == 0).fill_null(False).cast("int8") for i in items])


def zero(rows: ir.Table, key: Sequence[str], items: Sequence[str], book: RuleBook) -> ir.Table:
    """Zero written for missing.

    A zero is missing when the item cannot be zero in outdoor air at the resolution it is reported with, or when
    several items of the row are zero together. A lone zero of another item is below detection (HJ 193: a zero
    within the drift counts as half the detection limit).
    """
    day = "station" not in key
    never = set(book.get(f"zero.impossible.{'day' if day else 'hour'}").value)
    together = int(book.number("zero.together"))
    count = _zeros(rows, items)
    parts = []
    for item in items:
        is_zero = rows[item] == 0
        if instrument(item) in never or item in never:
            why = "0: 该项目不可能为零 / this item cannot be zero"
            parts.append(flag_rows(rows, key, item, is_zero, rule="zero", state=MISSING, detail=why))
            continue
        why = "0: 多项同时为零 / several items are zero together"
        parts.append(
            flag_rows(rows, key, item, is_zero & (count >= together), rule="zero", state=MISSING, detail=why)
        )
        why = "0: 低于检出限 / below the detection limit"
        lone = is_zero & (count < together)
        parts.append(flag_rows(rows, key, item, lone, rule="zero", state=BELOW_DETECTION, detail=why))
    return ibis.union(*parts)


def _disordered(rows: ir.Table, book: RuleBook) -> ir.BooleanValue:
    absolute = float(book.number("pm_order.absolute"))
    relative = float(book.number("pm_order.relative"))
    fine, coarse = rows.pm2_5, rows.pm10
    # A zero or negative PM10 is judged by its own rule; it says nothing about PM2.5.
    return (coarse > 0) & (fine - coarse > absolute) & (fine > coarse * (1 + relative))


def pm_order(rows: ir.Table, key: Sequence[str], items: Sequence[str], book: RuleBook) -> ir.Table:
    """PM2.5 above PM10 by more than both tolerances; the option ``pm_order`` says which of them is invalid."""
    blamed = {"both": ("pm10", "pm2_5"), "pm2_5": ("pm2_5",), "pm10": ("pm10",), "review": ("pm10", "pm2_5")}
    choice = book.option("pm_order")
    detail = text("PM2.5 ", rows.pm2_5, " > PM10 ", rows.pm10, ": 倒挂 / reversed")
    condition = _disordered(rows, book)
    state = VALID if choice == "review" else INVALID
    return ibis.union(
        *[
            flag_rows(rows, key, item, condition, rule="pm_order", state=state, detail=detail)
            for item in blamed[choice]
        ]
    )


def suspicious(rows: ir.Table, items: Sequence[str], book: RuleBook) -> ir.Table:
    """The rows that break any rule of this module, in one pass (a superset would do)."""
    tests: list[ir.BooleanValue] = []
    for item in items:
        tests += [_range_high(rows, item, book)[0], rows[item] <= 0]
    if {"pm10", "pm2_5"} <= set(items):
        tests.append(_disordered(rows, book))
    return rows.filter(reduce(or_, tests))


#: The rules of this module by name.
ROW_RULES = {"range": value_range, "negative": negative, "zero": zero, "pm_order": pm_order}


def check_rows(
    rows: ir.Table, key: Sequence[str], items: Sequence[str], book: RuleBook, rules: Sequence[str]
) -> ir.Table | None:
    """Flags of the wanted row rules; None when none was wanted."""
    wanted = [ROW_RULES[r] for r in rules if r in ROW_RULES]
    if not {"pm10", "pm2_5"} <= set(items):
        wanted = [r for r in wanted if r is not pm_order]
    if not wanted:
        return None
    few = suspicious(rows.select(*key, *items), items, book)
    return ibis.union(*[rule(few, key, items, book) for rule in wanted])
