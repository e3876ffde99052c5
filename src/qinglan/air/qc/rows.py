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
    values: ir.Table, key: Sequence[str], cases: Sequence[tuple[ir.BooleanValue, str, str, str | ir.StringValue]]
) -> ir.Table:
    """Flags for the lines of a table of values (key..., item): the first case that holds says which.

    Parameters
    ----------
    cases : (condition, rule, state, detail); one value breaks at most one of them

    Returns
    -------
    Table (key..., item, rule, state, detail)
    """
    few = values.filter(reduce(or_, [case[0] for case in cases]))

    def pick(k: int) -> ir.StringValue:
        return ibis.cases(*[(case[0], case[k]) for case in cases])

    return few.select(*key, "item", rule=pick(1), state=pick(2), detail=pick(3))


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


def long_form(rows: ir.Table, key: Sequence[str], cells: Mapping[str, Mapping[str, ir.Value]]) -> ir.Table:
    """One line per item that has a value: key, item and the named columns of its cell.

    One pass: the cells of a row become an array that is unnested (a union of selections would read the rows once
    per item on engines that do not keep common subexpressions).

    Parameters
    ----------
    cells : item -> column -> expression over `rows`; ``value`` is one of the columns, lines without it are dropped
    """
    names = list(next(iter(cells.values())))
    structs = [ibis.struct({"item": ibis.literal(i), **{n: cells[i][n] for n in names}}) for i in cells]
    lines = rows.select(*key, cell=ibis.array(structs).unnest())
    lines = lines.select(*key, **{n: lines.cell[n] for n in ("item", *names)})
    return lines.filter(lines["value"].notnull())


def _numbers(book: RuleBook, key: str, items: Sequence[str]) -> dict[str, float]:
    return {i: float(book.number(key.format(instrument(i)))) for i in items}


Cases = list[tuple[ir.BooleanValue, str, str, "str | ir.StringValue"]]


def value_range(values: ir.Table, items: Sequence[str], book: RuleBook, kind: str) -> Cases:
    """Above the instrument's range (HJ 654, HJ 653): invalid."""
    high = per_item(values["item"], _numbers(book, "range.{}.high", items))
    detail = text(values["value"], " > ", high, ": 超出仪器量程 / above the instrument's range")
    return [(values["value"] > high, "range", INVALID, detail)]


def negative(values: ir.Table, items: Sequence[str], book: RuleBook, kind: str) -> Cases:
    """Negative within the allowed zero drift: below detection; further down: invalid (HJ 193, HJ 818)."""
    drift = per_item(values["item"], _numbers(book, "zero_drift.{}", items))
    value = values["value"]
    small = text(value, ": 负值在零漂 ", drift, " 内 / negative within the zero drift")
    large = text(value, ": 负值超零漂 ", drift, " / negative beyond the zero drift")
    return [
        ((value < 0) & (value >= -drift), "negative", BELOW_DETECTION, small),
        (value < -drift, "negative", INVALID, large),
    ]


def zero(values: ir.Table, items: Sequence[str], book: RuleBook, kind: str) -> Cases:
    """Zero written for missing.

    A zero is missing when the item cannot be zero in outdoor air at the resolution it is reported with, or when
    several items of the row are zero together. A lone zero of another item is below detection (HJ 193: a zero
    within the drift counts as half the detection limit).
    """
    never = [i for i in items if instrument(i) in book.get(f"zero.impossible.{kind}").value]
    is_zero = values["value"] == 0
    impossible = is_zero & (values["item"].isin(never) if never else ibis.literal(False))
    several = is_zero & (values.zeros >= int(book.number("zero.together")))
    return [
        (impossible, "zero", MISSING, "0: 该项目不可能为零 / this item cannot be zero"),
        (several, "zero", MISSING, "0: 多项同时为零 / several items are zero together"),
        (is_zero, "zero", BELOW_DETECTION, "0: 低于检出限 / below the detection limit"),
    ]


def _disordered(rows: ir.Table, book: RuleBook) -> ir.BooleanValue:
    absolute = float(book.number("pm_order.absolute"))
    relative = float(book.number("pm_order.relative"))
    fine, coarse = rows.pm2_5, rows.pm10
    # A zero or negative PM10 is judged by its own rule; it says nothing about PM2.5.
    return (coarse > 0) & (fine - coarse > absolute) & (fine > coarse * (1 + relative))


def pm_order(rows: ir.Table, key: Sequence[str], book: RuleBook) -> ir.Table:
    """PM2.5 above PM10 by more than both tolerances; the option ``pm_order`` says which of them is invalid."""
    blamed = {"both": ("pm10", "pm2_5"), "pm2_5": ("pm2_5",), "pm10": ("pm10",), "review": ("pm10", "pm2_5")}
    choice = book.option("pm_order")
    detail = text("PM2.5 ", rows.pm2_5, " > PM10 ", rows.pm10, ": 倒挂 / reversed")
    state = VALID if choice == "review" else INVALID
    found = rows.filter(_disordered(rows, book))
    lines = found.select(*key, item=ibis.array([ibis.literal(i) for i in blamed[choice]]).unnest(), detail=detail)
    return lines.select(
        *key, "item", rule=ibis.literal("pm_order"), state=ibis.literal(state), detail=lines.detail
    )


def suspicious(rows: ir.Table, items: Sequence[str], book: RuleBook) -> ir.Table:
    """The rows with a value out of range or not above zero, with ``zeros``: how many items are zero."""
    tests: list[ir.BooleanValue] = []
    for item in items:
        tests += [rows[item] > float(book.number(f"range.{instrument(item)}.high")), rows[item] <= 0]
    few = rows.filter(reduce(or_, tests))
    return few.mutate(zeros=reduce(add, [(few[i] == 0).fill_null(False).cast("int8") for i in items]))


_VALUE_RULES = {"range": value_range, "negative": negative, "zero": zero}
ROW_RULES = (*_VALUE_RULES, "pm_order")


def check_rows(
    rows: ir.Table, key: Sequence[str], items: Sequence[str], book: RuleBook, rules: Sequence[str]
) -> ir.Table | None:
    """Flags of the wanted row rules; None when none was wanted."""
    parts = []
    wanted = [rule for name, rule in _VALUE_RULES.items() if name in rules]
    if wanted:
        few = suspicious(rows.select(*key, *items), items, book)
        values = long_form(few, (*key, "zeros"), {i: {"value": few[i]} for i in items})
        kind = "hour" if "station" in key else "day"
        parts.append(flags_of(values, key, [case for rule in wanted for case in rule(values, items, book, kind)]))
    if "pm_order" in rules and {"pm10", "pm2_5"} <= set(items):
        parts.append(pm_order(rows, key, book))
    return ibis.union(*parts) if parts else None
