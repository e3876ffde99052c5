"""Rules about how rows came in: the same hour twice, rows far from the time of their load."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import ibis
from ibis.expr import types as ir

from qinglan.air.qc.rows import Cases, flags_of, long_form, text
from qinglan.core.names import INVALID, VALID
from qinglan.core.rulebook import RuleBook

KEY = ("station", "time", "day", "hour")


def _gathered(hours: ir.Table, items: Sequence[str]) -> ir.Table:
    """One row per repeated hour: copies, and of each item the least, the largest and the number of values."""
    repeated = hours.group_by("station", "time").aggregate(copies=hours.count())
    repeated = repeated.filter(repeated.copies > 1)
    rows = hours.select(*KEY, *items).inner_join(repeated, ["station", "time"])
    measures = {i: rows[i].max() for i in items} | {f"least_{i}": rows[i].min() for i in items}
    return rows.group_by("station", "time").aggregate(
        day=rows.day.min(), hour=rows.hour.min(), copies=rows.copies.max(), **measures
    )


def duplicates(hours: ir.Table, items: Sequence[str]) -> ir.Table:
    """Hours that a raw table holds more than once.

    Where the copies of an item differ the value is invalid: nobody can say which is right. Where they agree, or
    one of them is null, the value stands once and the flag (state ``valid``) only says so.

    Returns
    -------
    Table of flags
    """
    rows = _gathered(hours, items)
    cells = {i: {"value": rows[i], "low": rows[f"least_{i}"]} for i in items}
    values = long_form(rows, (*KEY, "copies"), cells)
    high, low = values["value"], values.low
    conflict = text(values.copies, " 份, ", low, " … ", high, ": 重复且不一致 / copies differ")
    agree = text(values.copies, " 份: 重复但一致, 保留一份 / equal copies, one kept")
    cases: Cases = [(low < high, "duplicate", INVALID, conflict), (low == high, "duplicate", VALID, agree)]
    return flags_of(values, KEY, cases)


def unique_hours(hours: ir.Table, items: Sequence[str]) -> ir.Table:
    """The table with each hour once: repeated hours are merged (largest value; conflicts are flagged apart)."""
    merged = _gathered(hours, items)
    columns = [c for c in hours.columns if c in (*KEY, *items)]
    rest = hours.select(*columns).anti_join(merged, ["station", "time"])
    return ibis.union(rest, merged.select(*columns))


def stale(hours: ir.Table, items: Sequence[str], book: RuleBook, *, loads: ir.Table | None = None) -> ir.Table:
    """Rows dated far from the load that brought them: what a dead station keeps sending.

    A day is *busy* when a load holds at least ``stale.busy_share`` as many rows on it as on its fullest day.
    Rows on any other day that lies more than ``stale.days`` from every busy day of the load are invalid; so
    are rows later than the load itself, when its time is known. An archive of many years has busy days
    throughout and is left alone.

    Parameters
    ----------
    hours : Table (station, time, day, hour, load_id, items)
    loads : Table (load_id, loaded_at timestamp UTC), optional
    """
    share, days = float(book.number("stale.busy_share")), int(book.number("stale.days"))
    daily = hours.group_by("load_id", "day").aggregate(rows=hours.count())
    whole = ibis.window(group_by=daily.load_id)
    daily = daily.mutate(busy=daily.rows >= share * daily.rows.max().over(whole))
    marked = daily.mutate(busy_day=ibis.ifelse(daily.busy, daily.day, ibis.null("date")))
    ordered: dict[str, Any] = {"group_by": marked.load_id, "order_by": marked.day}
    marked = marked.mutate(
        last=marked.busy_day.max().over(ibis.window(**ordered, preceding=None, following=0)),
        next=marked.busy_day.min().over(ibis.window(**ordered, preceding=0, following=None)),
    )
    gap = ibis.least(
        marked.day.delta(marked["last"], unit="day").fill_null(10**6),
        marked["next"].delta(marked.day, unit="day").fill_null(10**6),
    )
    lonely = marked.mutate(gap=gap).filter(gap > days).select("load_id", "day", "gap")
    rows = hours.select(*KEY, *items, "load_id").inner_join(lonely, ["load_id", "day"])
    parts = [_all_items(rows, items, text("离本批数据 ", rows.gap, " 天 / days from the rest of its load"))]
    if loads is not None:
        known = hours.select(*KEY, *items, "load_id").inner_join(loads.select("load_id", "loaded_at"), "load_id")
        slack = ibis.interval(timedelta(hours=float(book.number("stale.future_hours"))))
        late = known.filter(known.time > known.loaded_at + slack)
        late = late.anti_join(lonely, ["load_id", "day"])
        parts.append(_all_items(late, items, text("晚于入库时间 / later than its own load")))
    return ibis.union(*parts)


def _all_items(rows: ir.Table, items: Sequence[str], detail: ir.StringValue) -> ir.Table:
    rows = rows.mutate(detail=detail)
    values = long_form(rows, (*KEY, "detail"), {i: {"value": rows[i]} for i in items})
    return flags_of(values, KEY, [(values["value"].notnull(), "stale", INVALID, values.detail)])
