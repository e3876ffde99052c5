"""Air quality index by HJ 633: IAQI, AQI, primary pollutants, level; by the day and by the hour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import ibis
import ibis.expr.types as ir

from qinglan.air.exact import GRID_DECIMALS, ceil, printed
from qinglan.air.statistics import sliding_mean
from qinglan.core.errors import RuleError
from qinglan.core.names import DAILY_ITEMS, quantity
from qinglan.core.rulebook import RuleBook, Rules

COMPLETE, INCOMPLETE, UNAVAILABLE = "complete", "incomplete", "unavailable"

#: item -> (column that holds its concentration, rule-book averaging time of its breakpoints)
Indicators = Mapping[str, tuple[str, str]]


def iaqi(concentration: ir.NumericValue, item: str, averaging: str, book: RuleBook) -> ir.IntegerValue:
    """Individual index of one pollutant, a whole number carried in a double; null in, null out.

    Parameters
    ----------
    concentration : column  [µg/m³; CO mg/m³]
    item : str
        Quantity whose breakpoints apply, e.g. ``pm2_5`` or ``mda8``.
    averaging : {"day", "hour"}
    book : RuleBook
        Family ``hj633`` on the day the air was breathed.

    Notes
    -----
    ``IAQI = (IH - IL) / (BH - BL) * (C - BL) + IL`` rounded **up**, C first rounded by GB/T 8170
    (HJ 633-2026 4.2.2-4.2.5). C and the breakpoints are integers of the shown unit, so the fraction is one
    division of integers and its ceiling is exact. Above the last breakpoint: ``above_top``, else 500.
    """
    table = [b for b in book.get(f"breakpoints.{item}.{averaging}").value if b is not None]
    rounded_first = book.option("input_rounding") == "round_first"
    decimals = quantity(item).decimals if rounded_first else GRID_DECIMALS
    bounds = [_whole(b, decimals, item) for b in table]
    indices = book.get("breakpoints.iaqi").value[: len(bounds)]
    count = printed(concentration, decimals)
    cases: list[tuple[ir.BooleanValue, ir.Value]] = []
    for low, high, index_low, index_high in zip(bounds, bounds[1:], indices, indices[1:], strict=False):
        rise = count - float(low)
        if index_high - index_low != high - low:
            rise = ceil(rise * float(index_high - index_low) / float(high - low))
        within = _rounds_to_at_most(concentration, high, decimals) if rounded_first else count <= high
        cases.append((within, rise + float(index_low)))
    top = _above_top(book, item, averaging, bounds, indices)
    if top is not None:
        cases.append((concentration.notnull(), ibis.literal(float(top))))
    # A null concentration is within no bound, so it falls through to the end.
    return ibis.cases(*cases, else_=ibis.null("float64"))


def _rounds_to_at_most(concentration: ir.NumericValue, bound: int, decimals: int) -> ir.BooleanValue:
    """Whether a concentration, rounded by GB/T 8170, is at most a bound given in the shown unit.

    Asked of the unrounded value, so that a row is rounded once, in the one branch that it falls into: the half
    above an even bound rounds down to it, the half above an odd one rounds up and away.
    """
    edge = float(f"{bound}5e-{decimals + 1}")
    return concentration <= edge if bound % 2 == 0 else concentration < edge


def _whole(bound: float, decimals: int, item: str) -> int:
    scaled: int = round(bound * 10**decimals)
    if abs(scaled - bound * 10**decimals) > 1e-9:
        raise RuleError(f"breakpoint {bound} of {item} is finer than its {decimals} shown decimals.")
    return scaled


def _above_top(book: RuleBook, item: str, averaging: str, bounds: list[int], indices: list[int]) -> float | None:
    """Index above the last breakpoint: stated by the book where the table stops early, else its last index."""
    key = f"above_top.{item}.{averaging}"
    if book.has(key):
        return book.get(key).value["iaqi"]  # type: ignore[no-any-return]
    return indices[len(bounds) - 1]


def _index(table: ir.Table, indicators: Indicators, book: RuleBook) -> ir.Table:
    """Add `iaqi_<item>`, `aqi` (of what is there), `missing` (items without an index)."""
    singles = {
        f"iaqi_{item}": iaqi(table[column], item, averaging, book)
        for item, (column, averaging) in indicators.items()
    }
    if "mda8" in indicators:
        singles["iaqi_mda8"] = _mda8_or_hour(table, singles["iaqi_mda8"], book)
    table = table.mutate(**singles)
    parts = [table[f"iaqi_{item}"] for item in indicators]
    return table.mutate(aqi=ibis.greatest(*parts))


def _mda8_or_hour(days: ir.Table, index: ir.NumericValue, book: RuleBook) -> ir.NumericValue:
    """Index of the day's ozone; that of its largest hour where the 8-h table ends without an index.

    HJ 633-2012 table 1 note 3. Where that hour is not known there is none, and the other items decide.
    """
    rule = book.get("above_top.mda8.day").value
    if rule["iaqi"] is not None or "o3_1h" not in days.columns:
        return index
    rounded_first = book.option("input_rounding") == "round_first"
    bound = rule["above"]
    over = ~_rounds_to_at_most(days.mda8, bound, 0) if rounded_first else days.mda8 > bound
    return ibis.ifelse(over, iaqi(days.o3_1h, "o3", "day", book), index)


def _judged(table: ir.Table, indicators: Indicators, book: RuleBook) -> ir.Table:
    """Add `level` and `primary_pollutant` to rows with `aqi` and `iaqi_*`."""
    ceilings = [row["aqi_high"] for row in book.get("levels").value if row["aqi_high"] is not None]
    level: ir.NumericValue = ibis.literal(1, "int8")
    for top in ceilings:
        level = level + (table.aqi > top).cast("int8")
    floor_of_primary = book.number("primary.aqi_above")
    names = list(indicators)
    code: ir.NumericValue = ibis.literal(0)
    for place, item in enumerate(names):
        code = code + (table[f"iaqi_{item}"] == table.aqi).ifelse(2**place, 0)
    code = ibis.cases((table.aqi > floor_of_primary, code), (table.aqi.notnull(), 0), else_=ibis.null("int16"))
    table = table.mutate(level=level.cast("int8"), primary_code=code.cast("int16"))
    # 2**n spellings joined once are far cheaper than n string concatenations per row.
    spelled = ibis.memtable(
        {
            "primary_code": list(range(2 ** len(names))),
            "primary_pollutant": [
                ",".join(n for i, n in enumerate(names) if mask >> i & 1) for mask in range(2 ** len(names))
            ],
        },
        schema={"primary_code": "int16", "primary_pollutant": "string"},
    )
    return table.left_join(spelled, "primary_code").drop("primary_code", "primary_code_right")


def daily_aqi(days: ir.Table, rules: Rules, *, key: str = "place", exempt: ir.Table | None = None) -> ir.Table:
    """AQI of each day.

    Parameters
    ----------
    days : Table (key, day)
        The six daily items [µg/m³; CO mg/m³], null where invalid; `o3_1h`, the day's largest hour of ozone, where
        it is known.
    rules : Rules
        On the day the air was breathed, or another day to ask "what if".
    exempt : Table (key, item), optional
        Items that are not monitored by design and may be absent without blocking the index (HJ 633-2026
        5.3.2). Who is exempt is decided outside, from three years of primary pollutants.

    Returns
    -------
    Table (key, day, edition)
        `aqi` int, `level` 1..6, `primary_pollutant` (ties joined by ``,``; empty: none), `aqi_state`,
        `iaqi_<item>`. With items missing the index of the rest is published only above
        ``incomplete_day.publish_above``; below it `aqi`, `level` and `primary_pollutant` are null.
    """
    book = rules.aqi
    indicators: dict[str, tuple[str, str]] = {item: (item, "day") for item in DAILY_ITEMS}
    if book.option("daily_o3") == "mda8_and_1h":
        indicators["o3"] = ("o3_1h", "day")
    table = _index(days, indicators, book)
    if exempt is not None:
        flags = exempt.group_by(key).aggregate(
            **{f"exempt_{i}": (exempt["item"] == i).ifelse(1, 0).max() for i in DAILY_ITEMS}
        )
        table = table.left_join(flags, key).drop(f"{key}_right")
    lacking: ir.NumericValue = ibis.literal(0)
    for item in DAILY_ITEMS:
        absent = table[f"iaqi_{item}"].isnull()
        if exempt is not None:
            absent = absent & (table[f"exempt_{item}"].fill_null(0) == 0)
        lacking = lacking + absent.ifelse(1, 0)
    state = ibis.cases((table.aqi.isnull(), UNAVAILABLE), (lacking == 0, COMPLETE), else_=INCOMPLETE)
    table = table.mutate(aqi_state=state)
    if book.has("incomplete_day.publish_above"):
        withheld = (table.aqi_state == INCOMPLETE) & (table.aqi <= book.number("incomplete_day.publish_above"))
        table = table.mutate(
            aqi=ibis.ifelse(withheld, ibis.null("float64"), table.aqi),
            aqi_state=ibis.ifelse(withheld, UNAVAILABLE, table.aqi_state),
        )
    table = _judged(table, indicators, book).mutate(edition=ibis.literal(book.edition))
    return table.select(
        key,
        "day",
        "edition",
        **_whole_numbers(table, indicators),
        level="level",
        primary_pollutant="primary_pollutant",
        aqi_state="aqi_state",
    )


def hourly_indicators(book: RuleBook) -> dict[str, tuple[str, str]]:
    """Which column meets which breakpoints in the hourly report (HJ 633-2012 5.1; HJ 633-2026 4.2, 5.2).

    Particles meet the breakpoints of the day in both editions; ``hourly_pm`` says whether by their hour or by
    their sliding 24 h, ``hourly_o3`` whether the sliding 8 h of ozone counts beside its hour.
    """
    indicators: dict[str, tuple[str, str]] = {gas: (gas, "hour") for gas in ("so2", "no2", "co", "o3")}
    sliding = book.option("hourly_pm") == "sliding_24h"
    for item in ("pm10", "pm2_5"):
        indicators[item] = (f"{item}_24h" if sliding else item, "day")
    if book.option("hourly_o3") == "one_hour_and_8h":
        indicators["o3_8h"] = ("o3_8h", "hour")
    return indicators


def hourly_aqi(hours: ir.Table, rules: Rules, *, key: str = "station") -> ir.Table:
    """AQI of each hour.

    Parameters
    ----------
    hours : Table (key, time)
        `day`, `hour` and the six hourly items [µg/m³; CO mg/m³]. Columns `pm10_24h`, `pm2_5_24h`, `o3_8h` are
        computed here when the options ask for them.

    Returns
    -------
    Table (key, time, edition)
        As :func:`daily_aqi`; `aqi_state` is complete when every indicator has an index.
    """
    book = rules.aqi
    indicators = hourly_indicators(book)
    wanted = {column for column, _ in indicators.values()}
    day_min = int(rules.limits.number("validity.day.hours_min"))
    if "pm10_24h" in wanted:
        hours = hours.mutate(
            **{f"{i}_24h": sliding_mean(hours, i, 24, day_min, key=key) for i in ("pm10", "pm2_5")}
        )
    if "o3_8h" in wanted:
        eight_min = int(rules.limits.number("validity.8h.hours_min"))
        hours = hours.mutate(o3_8h=sliding_mean(hours, "o3", 8, eight_min, key=key))
    table = _judged(_index(hours, indicators, book), indicators, book)
    lacking: ir.NumericValue = ibis.literal(0)
    for item in indicators:
        lacking = lacking + table[f"iaqi_{item}"].isnull().ifelse(1, 0)
    state = ibis.cases((table.aqi.isnull(), UNAVAILABLE), (lacking == 0, COMPLETE), else_=INCOMPLETE)
    table = table.mutate(aqi_state=state, edition=ibis.literal(book.edition))
    return table.select(
        key,
        "time",
        "day",
        "hour",
        "edition",
        **_whole_numbers(table, indicators),
        level="level",
        primary_pollutant="primary_pollutant",
        aqi_state="aqi_state",
    )


def _whole_numbers(table: ir.Table, items: Iterable[str]) -> dict[str, ir.Value]:
    """The indices as integers, for the reader."""
    return {name: table[name].cast("int16") for name in ("aqi", *(f"iaqi_{item}" for item in items))}
