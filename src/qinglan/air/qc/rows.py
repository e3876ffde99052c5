"""Rules that need nothing but the row: range, negative, zero written for missing, PM2.5 above PM10.

The rows that break any rule are picked in one pass over the wide table; only those few are turned to one line
per value, on which each rule is one filter with the item's own threshold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add, or_
from typing import Any

import ibis
from ibis.expr import types as ir

from qinglan.core.names import BELOW_DETECTION, INVALID, MISSING, VALID
from qinglan.core.rulebook import RuleBook

#: Limits of a daily maximum 8-h mean are those of the ozone instrument.
_INSTRUMENT = {"mda8": "o3"}


def flags_of(
    values: ir.Table, key: Sequence[str], condition: ir.BooleanValue, *, rule: str, state: str, detail: Any
) -> ir.Table:
    """Flags for the lines of a table of values (key..., item) on which a condition holds.

    Returns
    -------
    Table (key..., item, rule, state, detail)
    """
    return values.filter(condition).select(
        *key,
        "item",
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


def per_item(item: ir.StringValue, numbers: Mapping[str, float]) -> ir.NumericValue:
    """The number that belongs to each line's item."""
    return ibis.cases(*[(item == name, ibis.literal(float(number))) for name, number in numbers.items()])


def long_form(
    rows: ir.Table, key: Sequence[str], items: Sequence[str], where: Mapping[str, ir.BooleanValue] | None = None
) -> ir.Table:
    """One line per value that is there: key, item, value; `where` restricts each item's rows."""
    parts = []
    for item in items:
        own = rows.filter(rows[item].notnull() if where is None else where[item])
        parts.append(own.select(*key, item=ibis.literal(item), value=own[item]))
    return ibis.union(*parts)


def _numbers(book: RuleBook, key: str, items: Sequence[str]) -> dict[str, float]:
    return {i: float(book.number(key.format(instrument(i)))) for i in items}


def value_range(values: ir.Table, key: Sequence[str], items: Sequence[str], book: RuleBook) -> list[ir.Table]:
    """Above the instrument's range (HJ 654, HJ 653): invalid."""
    high = per_item(values["item"], _numbers(book, "range.{}.high", items))
    detail = text(values["value"], " > ", high, ": 超出仪器量程 / above the instrument's range")
    return [flags_of(values, key, values["value"] > high, rule="range", state=INVALID, detail=detail)]


def negative(values: ir.Table, key: Sequence[str], items: Sequence[str], book: RuleBook) -> list[ir.Table]:
    """Negative within the allowed zero drift: below detection; further down: invalid (HJ 193, HJ 818)."""
    drift = per_item(values["item"], _numbers(book, "zero_drift.{}", items))
    value = values["value"]
    small = text(value, ": 负值在零漂 ", drift, " 内 / negative within the zero drift")
    large = text(value, ": 负值超零漂 ", drift, " / negative beyond the zero drift")
    inside = (value < 0) & (value >= -drift)
    return [
        flags_of(values, key, inside, rule="negative", state=BELOW_DETECTION, detail=small),
        flags_of(values, key, value < -drift, rule="negative", state=INVALID, detail=large),
    ]


def zero(values: ir.Table, key: Sequence[str], items: Sequence[str], book: RuleBook) -> list[ir.Table]:
    """Zero written for missing.

    A zero is missing when the item cannot be zero in outdoor air at the resolution it is reported with, or when
    several items of the row are zero together. A lone zero of another item is below detection (HJ 193: a zero
    within the drift counts as half the detection limit).
    """
    kind = "hour" if "station" in key else "day"
    never = [i for i in items if instrument(i) in book.get(f"zero.impossible.{kind}").value]
    impossible = values["item"].isin(never) if never else ibis.literal(False)
    several = values.zeros >= int(book.number("zero.together"))
    is_zero = values["value"] == 0
    why = [
        "0: 该项目不可能为零 / this item cannot be zero",
        "0: 多项同时为零 / several items are zero together",
        "0: 低于检出限 / below the detection limit",
    ]
    return [
        flags_of(values, key, is_zero & impossible, rule="zero", state=MISSING, detail=why[0]),
        flags_of(values, key, is_zero & ~impossible & several, rule="zero", state=MISSING, detail=why[1]),
        flags_of(values, key, is_zero & ~impossible & ~several, rule="zero", state=BELOW_DETECTION, detail=why[2]),
    ]


def _disordered(rows: ir.Table, book: RuleBook) -> ir.BooleanValue:
    absolute = float(book.number("pm_order.absolute"))
    relative = float(book.number("pm_order.relative"))
    fine, coarse = rows.pm2_5, rows.pm10
    # A zero or negative PM10 is judged by its own rule; it says nothing about PM2.5.
    return (coarse > 0) & (fine - coarse > absolute) & (fine > coarse * (1 + relative))


def pm_order(rows: ir.Table, key: Sequence[str], items: Sequence[str], book: RuleBook) -> list[ir.Table]:
    """PM2.5 above PM10 by more than both tolerances; the option ``pm_order`` says which of them is invalid."""
    blamed = {"both": ("pm10", "pm2_5"), "pm2_5": ("pm2_5",), "pm10": ("pm10",), "review": ("pm10", "pm2_5")}
    choice = book.option("pm_order")
    detail = text("PM2.5 ", rows.pm2_5, " > PM10 ", rows.pm10, ": 倒挂 / reversed")
    state = VALID if choice == "review" else INVALID
    found = rows.filter(_disordered(rows, book)).select(
        *key, rule=ibis.literal("pm_order"), state=ibis.literal(state), detail=detail
    )
    return [found.select(*key, ibis.literal(i).name("item"), "rule", "state", "detail") for i in blamed[choice]]


def suspicious(rows: ir.Table, items: Sequence[str], book: RuleBook) -> ir.Table:
    """The rows that break any rule of this module, in one pass, with ``zeros``: how many items are zero."""
    tests: list[ir.BooleanValue] = []
    for item in items:
        tests += [rows[item] > float(book.number(f"range.{instrument(item)}.high")), rows[item] <= 0]
    if {"pm10", "pm2_5"} <= set(items):
        tests.append(_disordered(rows, book))
    few = rows.filter(reduce(or_, tests))
    return few.mutate(zeros=reduce(add, [(few[i] == 0).fill_null(False).cast("int8") for i in items]))


#: The rules of this module by name.
ROW_RULES = {"range": value_range, "negative": negative, "zero": zero, "pm_order": pm_order}


def check_rows(
    rows: ir.Table, key: Sequence[str], items: Sequence[str], book: RuleBook, rules: Sequence[str]
) -> ir.Table | None:
    """Flags of the wanted row rules; None when none was wanted."""
    wanted = [r for r in ROW_RULES if r in rules and (r != "pm_order" or {"pm10", "pm2_5"} <= set(items))]
    if not wanted:
        return None
    few = suspicious(rows.select(*key, *items), items, book)
    values = long_form(few, (*key, "zeros"), items)
    parts = [ROW_RULES[r](few if r == "pm_order" else values, key, items, book) for r in wanted]
    return ibis.union(*[p for part in parts for p in part])
