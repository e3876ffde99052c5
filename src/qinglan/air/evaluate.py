"""Evaluation of periods: means, percentiles, validity, exceedance, attainment, good days (HJ 663, GB 3095).

Tables here are small (places x days), so clarity rules; arithmetic stays exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from qinglan.air.exact import GRID, GRID_DECIMALS, carried, grid, half_even, rounded
from qinglan.core.clock import Period
from qinglan.core.names import DAILY_ITEMS, quantity
from qinglan.core.rulebook import Rules

PARTICLES = ("pm10", "pm2_5")


def periods_table(periods: Sequence[Period]) -> ir.Table:
    """Periods as a table: `period`, `start`, `end`, `expected_days`."""
    return ibis.memtable(
        {
            "period": [p.label for p in periods],
            "start": [p.start for p in periods],
            "end": [p.end for p in periods],
            "expected_days": [p.days for p in periods],
        },
        schema={"period": "string", "start": "date", "end": "date", "expected_days": "int32"},
    )


def days_of(table: ir.Table, periods: Sequence[Period]) -> ir.Table:
    """Rows of `table` (with `day`) once for each period they fall in, with `period` and `expected_days`."""
    spans = periods_table(periods)
    return table.inner_join(spans, [table.day >= spans.start, table.day <= spans.end])


def without_dust(days: ir.Table, dust_days: ir.Table, rules: Rules) -> ir.Table:
    """Particles of dust-affected days blanked, with a credit where such a day still counts as valid.

    Parameters
    ----------
    days : Table (place, day)
    dust_days : Table (place, day)
        Confirmed dust days. Gases of these days stay (环办监测〔2016〕120号).

    Returns
    -------
    Table (place, day)
        `days` with `pm10`, `pm2_5` null on dust days and `dust_credit` 1 where the option ``count_as_valid``
        lets the removed day count towards the minimum of valid days, else 0.
    """
    marks = dust_days.select("place", "day").distinct().mutate(is_dust=True)
    joined = days.left_join(marks, ["place", "day"]).drop("place_right", "day_right")
    hit = joined.is_dust.fill_null(False)
    credit = 1 if rules.dust.option("count_as_valid") == "true" else 0
    blanked = {item: ibis.ifelse(hit, ibis.null("float64"), joined[item]) for item in PARTICLES}
    credited = hit & (joined.pm10.notnull() | joined.pm2_5.notnull())
    return joined.mutate(**blanked, dust_credit=credited.ifelse(credit, 0)).drop("is_dust")


def _long(days: ir.Table) -> ir.Table:
    """(place, day, item, value, credit): one row per item and day, blank days kept only where they earn credit."""
    if "dust_credit" not in days.columns:
        days = days.mutate(dust_credit=0)
    parts = [
        days.select(
            "place",
            "day",
            item=ibis.literal(item),
            value=days[item],
            credit=(days.dust_credit if item in PARTICLES else ibis.literal(0)).cast("int32"),
        )
        for item in DAILY_ITEMS
    ]
    long = ibis.union(*parts)
    return long.filter(long.value.notnull() | (long.credit > 0))


def _month_minimum(rules: Rules) -> tuple[int, int]:
    return (
        int(rules.limits.number("validity.year.days_min_per_month")),
        int(rules.limits.number("validity.year.days_min_february")),
    )


def whole_months(period: Period) -> list[date]:
    """First days of the calendar months that lie wholly inside a period."""
    months = []
    year, month = period.start.year, period.start.month
    while date(year, month, 1) <= period.end:
        span = Period.month(year, month)
        if span.start >= period.start and span.end <= period.end:
            months.append(span.start)
        year, month = year + month // 12, month % 12 + 1
    return months


def _validity(long: ir.Table, periods: Sequence[Period], rules: Rules) -> ir.Table:
    """(place, period, item): `valid_days`, `short_months`, `data_valid` by GB 3095 table 4.

    A year needs 324 daily values and 27 in each month (25 in February). Shorter periods are asked the monthly
    minimum of every whole month in them; a period without a whole month, half of its days.
    """
    normal, february = _month_minimum(rules)
    per_month = (
        long.mutate(month=long.day.truncate("M"))
        .group_by(["place", "item", "month"])
        .aggregate(n=lambda t: t.count())
    )
    per_month = per_month.mutate(need=(per_month.month.month() == 2).ifelse(february, normal))
    filled = per_month.filter(per_month.n >= per_month.need)
    rows = [(p.label, m, len(whole_months(p))) for p in periods for m in whole_months(p)]
    # Typed from the start: a period without a whole month leaves this table empty.
    asked = ibis.memtable(
        pa.table(
            {
                "period": pa.array([r[0] for r in rows], pa.string()),
                "asked_month": pa.array([r[1] for r in rows], pa.date32()),
            }
        )
    )
    months_ok = (
        filled.inner_join(asked, filled.month == asked.asked_month)
        .group_by(["place", "item", "period"])
        .aggregate(full_months=lambda t: t.count())
    )
    counted = (
        days_of(long, periods)
        .group_by(["place", "item", "period", "expected_days"])
        .aggregate(valid_days=lambda t: t.count())
    )
    joined = counted.left_join(months_ok, ["place", "item", "period"]).drop(
        "place_right", "item_right", "period_right"
    )
    needs = ibis.memtable(
        {
            "period": [p.label for p in periods],
            "months_asked": [len(whole_months(p)) for p in periods],
            "days_asked": [_days_asked(p, rules) for p in periods],
        },
        schema={"period": "string", "months_asked": "int32", "days_asked": "int32"},
    )
    joined = joined.inner_join(needs, "period")
    short = joined.months_asked - joined.full_months.fill_null(0)
    joined = joined.mutate(short_months=short)
    return joined.mutate(data_valid=(joined.short_months == 0) & (joined.valid_days >= joined.days_asked)).select(
        "place", "item", "period", "expected_days", "valid_days", "short_months", "data_valid"
    )


def _days_asked(period: Period, rules: Rules) -> int:
    if period == Period.year(period.start.year):
        return int(rules.limits.number("validity.year.days_min"))
    return 0 if whole_months(period) else (period.days + 1) // 2


def _percentiles(valued: ir.Table, rules: Rules) -> ir.Table:
    """(place, period, item, statistic, value) of the item's percentile, by HJ 663-2013 annex A exactly.

    ``k = 1 + (n - 1) p``, ``m = X(s) + (X(s+1) - X(s)) (k - s)`` with s the whole part of k. In hundredths all
    of it is integer arithmetic.
    """
    percent = {item: int(rules.evaluation.number(f"percentile.{item}")) for item in DAILY_ITEMS}
    w = ibis.window(group_by=["place", "period", "item"], order_by=["value", "day"])
    whole = ibis.window(group_by=["place", "period", "item"])
    p = ibis.cases(*[(valued["item"] == item, number) for item, number in percent.items()])
    ranked = valued.mutate(position=ibis.row_number().over(w), n=valued.value.count().over(whole), p=p)
    hundredths = (ranked.n - 1) * ranked.p
    ranked = ranked.mutate(
        s=(hundredths - hundredths % 100) / 100, part=hundredths % 100, count=grid(ranked.value)
    )
    ends = ranked.group_by(["place", "period", "item", "p", "part"]).aggregate(
        low=ranked["count"].max(where=ranked.position == ranked.s),
        high=ranked["count"].max(where=ranked.position == ranked.s + 1),
    )
    mixed = ends.low * (100 - ends.part) + ends.high.fill_null(0.0) * ends.part
    return ends.mutate(
        statistic=ibis.literal("p") + ends.p.cast("string"), value=half_even(mixed / 100.0) / float(GRID)
    ).select("place", "period", "item", "statistic", "value")


def statistics(days: ir.Table, periods: Sequence[Period], rules: Rules) -> ir.Table:
    """Mean and percentile of every item for every place and period.

    Parameters
    ----------
    days : Table (place, day)
        Six daily items [µg/m³; CO mg/m³]; with `dust_credit` after :func:`without_dust`.

    Returns
    -------
    Table (place, period, item, statistic)
        `value` [µg/m³; CO mg/m³] kept to 1e-6, `valid_days`, `expected_days`, `short_months`, `data_valid`.
    """
    long = _long(days)
    valued = days_of(long.filter(long.value.notnull()), periods)
    valued = valued.select("place", "period", "item", "day", "value")
    grouped = valued.group_by(["place", "period", "item"]).aggregate(
        total=grid(valued.value).sum(), n=valued.value.count()
    )
    means = grouped.mutate(
        statistic=ibis.literal("mean"), value=carried(grouped.total, GRID_DECIMALS, divisor=grouped.n)
    ).select("place", "period", "item", "statistic", "value")
    both = means.union(_percentiles(valued, rules))
    table = both.inner_join(_validity(long, periods, rules), ["place", "period", "item"])
    if rules.evaluation.option("percentile_validity") == "any_days":
        table = table.mutate(data_valid=table.data_valid | (table.statistic != "mean"))
    return table


def evaluation(days: ir.Table, periods: Sequence[Period], rules: Rules, *, dust: str = "in") -> ir.Table:
    """Statistics set against the limits: attainment and exceedance factor.

    Parameters
    ----------
    days : Table (place, day)
        As measured, or after :func:`without_dust`.
    dust : {"in", "out"}
        Which of the two `days` is; written into the result.

    Returns
    -------
    Table (place, period, item, statistic, dust)
        `value` as kept, `shown` rounded by GB/T 8170, `limit` of the area's class or null, `attained` (null
        without a limit), `exceedance_factor` (C - S) / S to 2 decimals where exceeded, `valid_days`,
        `expected_days`, `short_months`, `data_valid`, `edition`.

    Notes
    -----
    The mean of CO and MDA8 over a period has no limit; both are judged by their percentile against the limit
    of the day, as the percentiles of the others are.
    """
    table = statistics(days, periods, rules)
    limits, area = rules.limits, rules.evaluation.option("area_class")
    cases: list[tuple[ir.BooleanValue, ir.Value]] = []
    for item in DAILY_ITEMS:
        yearly = f"limit.{item}.year.class{area}"
        if limits.has(yearly):
            cases.append(((table["item"] == item) & (table.statistic == "mean"), limits.number(yearly)))
        daily = limits.number(f"limit.{item}.day.class{area}")
        cases.append(((table["item"] == item) & (table.statistic != "mean"), daily))
    typed = [(condition, ibis.literal(float(value))) for condition, value in cases]
    table = table.mutate(limit=ibis.cases(*typed, else_=ibis.null("float64")))
    shown = ibis.cases(
        *[
            (table["item"] == item, rounded(grid(table.value), d) / float(10**d))
            for item in DAILY_ITEMS
            for d in (quantity(item).decimals,)
        ]
    )
    table = table.mutate(shown=shown)
    # Both are whole grid counts, so the factor is one division of integers.
    over = grid(table["shown"]) - grid(table["limit"])
    factor = half_even(over * 100 / grid(table["limit"])) / 100.0
    return table.mutate(
        attained=table["shown"] <= table["limit"],
        exceedance_factor=ibis.ifelse(table["shown"] > table["limit"], factor, ibis.null("float64")),
        dust=ibis.literal(dust),
        edition=ibis.literal(limits.edition),
    )


def exceedance_days(days: ir.Table, periods: Sequence[Period], rules: Rules) -> ir.Table:
    """Days over the daily limit and the rate of days within it: (place, period, item).

    `valid_days`, `exceeding_days`, `attainment_rate` [%], one decimal (HJ 663: days meeting / valid days).
    """
    area = rules.evaluation.option("area_class")
    long = _long(days)
    valued = days_of(long.filter(long.value.notnull()), periods)
    over = ibis.cases(
        *[
            (
                valued["item"] == item,
                rounded(grid(valued.value), d)
                > float(rules.limits.number(f"limit.{item}.day.class{area}") * 10**d),
            )
            for item in DAILY_ITEMS
            for d in (quantity(item).decimals,)
        ]
    )
    counted = (
        valued.mutate(over=over)
        .group_by(["place", "period", "item"])
        .aggregate(valid_days=lambda t: t.count(), exceeding_days=lambda t: t.over.cast("int32").sum())
    )
    return counted.mutate(attainment_rate=percent(counted.valid_days - counted.exceeding_days, counted.valid_days))


def percent(part: ir.NumericValue, whole: ir.NumericValue, decimals: int = 1) -> ir.NumericValue:
    """Share in percent, rounded once by GB/T 8170; null when the whole is 0."""
    scale = 10**decimals
    quotient = (part * (100 * scale)).cast("float64") / whole.nullif(0)
    return half_even(quotient) / float(scale)


def day_counts(aqi_days: ir.Table, periods: Sequence[Period], rules: Rules) -> ir.Table:
    """Good, heavy and levelled days of each place and period.

    Parameters
    ----------
    aqi_days : Table (place, day)
        `aqi`, `level` from :func:`qinglan.air.aqi.daily_aqi`; days without an AQI are not valid days.

    Returns
    -------
    Table (place, period)
        `expected_days`, `valid_days`, `good_days` (AQI up to 100), `heavy_days` (above 200),
        `level_1`..`level_6` [d], `good_rate` [%], `max_aqi`.
    """
    good = rules.evaluation.number("good_day.aqi_max")
    heavy = rules.evaluation.number("heavy_day.aqi_min")
    spread = days_of(aqi_days.filter(aqi_days.aqi.notnull()), periods)
    table = spread.group_by(["place", "period", "expected_days"]).aggregate(
        valid_days=spread.aqi.count(),
        good_days=(spread.aqi <= good).cast("int32").sum(),
        heavy_days=(spread.aqi >= heavy).cast("int32").sum(),
        max_aqi=spread.aqi.max(),
        **{f"level_{n}": (spread.level == n).cast("int32").sum() for n in range(1, 7)},
    )
    return table.mutate(good_rate=percent(table.good_days, table.valid_days))


def province_means(evaluated: ir.Table, counts: ir.Table, rules: Rules) -> tuple[ir.Table, ir.Table]:
    """Values of a province or region from its cities, each city with equal weight.

    Parameters
    ----------
    evaluated : from :func:`evaluation`, the region's cities only
    counts : from :func:`day_counts`, the region's cities only

    Returns
    -------
    concentrations : Table (period, item, statistic, dust): `value` [µg/m³; CO mg/m³], `places`
    rates : Table (period): `rate_mean_of_cities`, `rate_pooled_days` [%], `good_days`, `valid_days`,
        `heavy_days`, `places`

    Notes
    -----
    The good-day rate of a province is defined in two ways that part when valid days differ; both are given
    and a plan pack says of each target which one is judged (``combine``). The mean is taken of the unrounded city
    rates and carried to 1e-6 before its one rounding.
    """
    grouped = evaluated.group_by(["period", "item", "statistic", "dust"]).aggregate(
        total=grid(evaluated.value).sum(), places=evaluated.value.count()
    )
    concentrations = grouped.mutate(value=carried(grouped.total, GRID_DECIMALS, divisor=grouped.places)).drop(
        "total"
    )
    unrounded = grid(counts.good_days * 100.0 / counts.valid_days)
    rates = (
        counts.mutate(unrounded=unrounded)
        .group_by("period")
        .aggregate(
            rate_total=lambda t: t.unrounded.sum(),
            places=lambda t: t.count(),
            good_days=lambda t: t.good_days.sum(),
            valid_days=lambda t: t.valid_days.sum(),
            heavy_days=lambda t: t.heavy_days.sum(),
        )
    )
    return concentrations, rates.mutate(
        rate_mean_of_cities=rounded(rates.rate_total, 1, divisor=rates.places) / 10.0,
        rate_pooled_days=percent(rates.good_days, rates.valid_days),
    ).drop("rate_total")
