"""From hours to days: daily means, the daily maximum 8-h mean of ozone, sliding means, data capture.

A day is laid out as 24 slots in one pass of grouping, so that no sort and no window runs over the hours: the
17 eight-hour means that end at labels 08:00-24:00 all lie inside the natural day.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from qinglan.air.exact import GRID_DECIMALS, carried, grid, rounded, tallied, tally
from qinglan.core.names import HOURLY_ITEMS, MEAN_ITEMS, quantity
from qinglan.core.rulebook import Rules

#: Decimals kept in intermediate statistics beyond the shown ones, by the option ``intermediate_rounding``.
_EXTRA_DECIMALS = {"display": 0, "one_more_decimal": 1}


def carried_decimals(item: str, rules: Rules) -> int:
    """Decimals to which an intermediate statistic of an item is kept (option ``intermediate_rounding``)."""
    choice = rules.evaluation.option("intermediate_rounding")
    return GRID_DECIMALS if choice == "unrounded" else quantity(item).decimals + _EXTRA_DECIMALS[choice]


def station_days(hours: ir.Table, rules: Rules, *, key: str = "station") -> ir.Table:
    """Daily statistics of each series, null where too few hours are valid.

    Parameters
    ----------
    hours : Table (key, time)
        `key`, `day`, `hour` 1..24 and the six hourly items [µg/m³; CO mg/m³], one row per hour, null where
        not usable. Missing hours need no row.
    rules : Rules
        Rule books on the date that judges.
    key : str
        Column that names the series: ``station``, or ``place`` for city hours.

    Returns
    -------
    Table (key, day)
        The five means and ``mda8`` [µg/m³; CO mg/m³], ``o3_1h`` (largest hour), ``<item>_n`` valid hours and
        ``mda8_n`` valid 8-h means.

    Notes
    -----
    Mean: at least 20 hourly values (GB 3095 table 4). 8-h mean: at least 6 hours. Daily maximum: at least 14
    valid 8-h means, or fewer when it exceeds the class-2 limit all the same (HJ 663 6.1.2).
    """
    hours = hours.mutate(**{f"{item}_tallied": tallied(hours[item]) for item in HOURLY_ITEMS})
    ozone = hours.o3_tallied
    # A conditional value costs the engine less than a filtered aggregate: 24 of them decide the run time.
    slots = {f"slot_{h}": ibis.ifelse(hours.hour == h, ozone, 0.0).sum() for h in range(1, 25)}
    totals = {f"{item}_total": hours[f"{item}_tallied"].sum() for item in HOURLY_ITEMS}
    grouped = hours.group_by([key, "day"]).aggregate(o3_1h=hours.o3.max(), **totals, **slots)

    parts: dict[str, ir.Value] = {}
    for item in HOURLY_ITEMS:
        total, number = tally(grouped[f"{item}_total"].fill_null(0.0))
        parts |= {f"{item}_sum": total, f"{item}_n": number.cast("int64")}
    days = grouped.mutate(**parts, **{name: grouped[name].fill_null(0.0) for name in slots})
    minimum = rules.limits.number("validity.day.hours_min")
    means = {
        item: ibis.ifelse(
            days[f"{item}_n"] >= minimum,
            carried(days[f"{item}_sum"], carried_decimals(item, rules), divisor=days[f"{item}_n"]),
            ibis.null("float64"),
        )
        for item in MEAN_ITEMS
    }
    days = _with_mda8(days.mutate(**means), rules, key)
    counts = [f"{item}_n" for item in HOURLY_ITEMS]
    return days.select(key, "day", *MEAN_ITEMS, "mda8", "o3_1h", *counts, "mda8_n")


def _with_mda8(days: ir.Table, rules: Rules, key: str) -> ir.Table:
    """Add `mda8` and `mda8_n` to days that carry tallies of ozone in `slot_1`..`slot_24`."""
    window = rules.evaluation.option("mda8_window")
    first_label = int(rules.evaluation.number(f"mda8.window.{window}.first"))
    slots = range(first_label - 7, 25)
    if first_label < 8:
        days = _with_evening_before(days, key, slots)
    hours_min = rules.limits.number("validity.8h.hours_min")
    starts = slots[:-7]
    days = days.mutate(**{f"eight_{s}": _added(days, range(s, s + 8)) for s in starts})
    days = days.mutate(
        **{f"{name}_{s}": part for s in starts for name, part in _named_tally(days[f"eight_{s}"]).items()}
    )
    valid = {s: days[f"number_{s}"] >= hours_min for s in starts}
    nothing = ibis.null("float64")
    means = [ibis.ifelse(valid[s], days[f"total_{s}"] / days[f"number_{s}"], nothing) for s in starts]
    days = days.mutate(
        mda8_quotient=ibis.greatest(*means),
        mda8_n=sum((valid[s].cast("int8") for s in starts), ibis.literal(0, "int64")),
    )
    shown = rounded(days.mda8_quotient, quantity("mda8").decimals)
    enough = days.mda8_n >= rules.limits.number("validity.mda8.means_min")
    exceeds = shown > rules.limits.number("limit.mda8.day.class2")
    if rules.evaluation.option("mda8_partial") == "invalid":
        exceeds = ibis.literal(False)
    return days.mutate(
        mda8=ibis.ifelse(
            enough | exceeds,
            carried(days.mda8_quotient, carried_decimals("mda8", rules)),
            ibis.null("float64"),
        )
    )


def _added(days: ir.Table, slots: range) -> ir.NumericValue:
    """Tally of a stretch of slots."""
    total = days[_slot(slots[0])]
    for slot in slots[1:]:
        total = total + days[_slot(slot)]
    return total


def _named_tally(total: ir.NumericValue) -> dict[str, ir.NumericValue]:
    return dict(zip(("total", "number"), tally(total), strict=True))


def _slot(slot: int) -> str:
    return f"slot_{slot}" if slot >= 1 else f"eve_{slot + 24}"


def _with_evening_before(days: ir.Table, key: str, slots: range) -> ir.Table:
    """Bring the last slots of the previous day beside each day, empty when that day is not there."""
    w = ibis.window(group_by=key, order_by="day")
    yesterday = days.day.lag(1).over(w) == days.day - ibis.interval(days=1)
    evening = [slot + 24 for slot in slots if slot < 1]
    return days.mutate(
        **{
            f"eve_{slot}": ibis.ifelse(yesterday, days[f"slot_{slot}"].lag(1).over(w), 0.0).fill_null(0.0)
            for slot in evening
        }
    )


def sliding_mean(
    hours: ir.Table, item: str, length: int, minimum: int, *, key: str = "station"
) -> ir.NumericColumn:
    """Mean of the last `length` hours by the clock, null with fewer than `minimum` values; a column over `hours`.

    Gaps need no filling: the frame ranges over the hour's number, not over rows. The result is kept to 1e-6.

    Parameters
    ----------
    hours : Table with `key`, `time` and `item` [µg/m³; CO mg/m³]
    length, minimum : int  [h]
    """
    stamp = hours.time.epoch_seconds().cast("int64")
    frame = ibis.range_window(preceding=(length - 1) * 3600, following=0, group_by=key, order_by=stamp)
    total = grid(hours[item]).sum().over(frame)
    number = hours[item].count().over(frame)
    return ibis.ifelse(number >= minimum, carried(total, GRID_DECIMALS, divisor=number), ibis.null("float64"))
