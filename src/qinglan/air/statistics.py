"""From hours to days: daily means, the daily maximum 8-h mean of ozone, sliding means, data capture.

A day is laid out as 24 slots in one pass of grouping, so that no sort and no window runs over the hours: the
17 eight-hour means that end at labels 08:00-24:00 all lie inside the natural day.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from qinglan.air.exact import GRID_DECIMALS, carried, grid, rounded
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
    measures: dict[str, ir.Value] = {}
    for item in HOURLY_ITEMS:
        measures[f"{item}_n"] = hours[item].count()
        if item != "o3":
            measures[f"{item}_sum"] = grid(hours[item]).sum()
    measures["o3_1h"] = hours.o3.max()
    # A conditional value costs the engine less than a filtered aggregate: 24 of them decide the run time.
    blank = ibis.null("float64")
    measures |= {f"slot_{h}": ibis.ifelse(hours.hour == h, hours.o3, blank).max() for h in range(1, 25)}
    grouped = hours.group_by([key, "day"]).aggregate(**measures)

    minimum = rules.limits.number("validity.day.hours_min")
    means = {
        item: ibis.ifelse(
            grouped[f"{item}_n"] >= minimum,
            carried(grouped[f"{item}_sum"], carried_decimals(item, rules), divisor=grouped[f"{item}_n"]),
            ibis.null("float64"),
        )
        for item in MEAN_ITEMS
    }
    days = _with_mda8(grouped.mutate(**means), rules, key)
    counts = [f"{item}_n" for item in HOURLY_ITEMS]
    return days.select(key, "day", *MEAN_ITEMS, "mda8", "o3_1h", *counts, "mda8_n")


def _with_mda8(days: ir.Table, rules: Rules, key: str) -> ir.Table:
    """Add `mda8` and `mda8_n` to days that carry ozone in `slot_1`..`slot_24`."""
    window = rules.evaluation.option("mda8_window")
    first_label = int(rules.evaluation.number(f"mda8.window.{window}.first"))
    slots = range(first_label - 7, 25)
    if first_label < 8:
        days = _with_evening_before(days, key, slots)
    days = _with_eight_hours(days, slots)

    hours_min = rules.limits.number("validity.8h.hours_min")
    candidates = [
        ibis.ifelse(
            days[f"number8_{first}"] >= hours_min,
            days[f"total8_{first}"] / days[f"number8_{first}"],
            ibis.null("float64"),
        )
        for first in slots[:-7]
    ]
    days = days.mutate(
        mda8_quotient=ibis.greatest(*candidates),
        mda8_n=sum(
            ((days[f"number8_{first}"] >= hours_min).ifelse(1, 0) for first in slots[:-7]),
            ibis.literal(0),
        ),
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


def _with_eight_hours(days: ir.Table, slots: range) -> ir.Table:
    """Add `total8_<first>` and `number8_<first>`: sum and number of the eight slots from each on.

    Two slots make a pair, two pairs four, two fours eight: each step is a table of its own, so that no expression
    grows deep (engines that compile nested sums may take for ever), and sums of integers in doubles stay exact.
    """
    days = days.mutate(
        **{f"total1_{s}": grid(days[_slot(s)]).fill_null(0.0) for s in slots},
        **{f"number1_{s}": days[_slot(s)].notnull().ifelse(1.0, 0.0) for s in slots},
    )
    for width in (1, 2, 4):
        firsts = slots[: len(slots) - 2 * width + 1]
        days = days.mutate(
            **{
                f"{what}{2 * width}_{s}": days[f"{what}{width}_{s}"] + days[f"{what}{width}_{s + width}"]
                for what in ("total", "number")
                for s in firsts
            }
        )
    return days


def _slot(slot: int) -> str:
    return f"slot_{slot}" if slot >= 1 else f"eve_{slot + 24}"


def _with_evening_before(days: ir.Table, key: str, slots: range) -> ir.Table:
    """Bring the last slots of the previous day beside each day, null when that day is not there."""
    w = ibis.window(group_by=key, order_by="day")
    yesterday = days.day.lag(1).over(w) == days.day - ibis.interval(days=1)
    evening = [slot + 24 for slot in slots if slot < 1]
    return days.mutate(
        **{
            f"eve_{slot}": ibis.ifelse(yesterday, days[f"slot_{slot}"].lag(1).over(w), ibis.null("float64"))
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
