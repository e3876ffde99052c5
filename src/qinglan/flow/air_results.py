"""From the lake to the tables of a run: days, AQI, evaluation, summary and ranking of every period.

Each period is judged by the rule books in force on its last day; each day's AQI by both editions of HJ 633, the
one in force marked. The tables are those of ``docs/design/0002-contracts.md`` section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from qinglan.air import evaluate, rank
from qinglan.air.aqi import daily_aqi
from qinglan.air.city import place_days_from_hours, place_hours
from qinglan.air.dust import without_dust_hours
from qinglan.air.statistics import station_days
from qinglan.core.clock import Period
from qinglan.core.names import DAILY_ITEMS
from qinglan.core.rulebook import Rules
from qinglan.plan.rules import Edition, editions, load_book, rules_on

Options = Mapping[str, Mapping[str, str]]
Progress = Callable[[str], None]


@dataclass
class AirTables:
    """Tables of a run inside one engine; `names` in the order they were made."""

    con: Backend
    tables: dict[str, ir.Table] = field(default_factory=dict)

    def keep(self, name: str, expression: ir.Table) -> ir.Table:
        """Compute a table once and keep it under its name."""
        made = self.con.create_table(name, expression, temp=True)
        self.tables[name] = made
        return made

    def __getitem__(self, name: str) -> ir.Table:
        return self.tables[name]


def evaluation_periods(first: date, as_of: date) -> list[Period]:
    """Years, half-years, quarters and months that are over on a date, and the current year up to it.

    Only periods that end on or after the first day of data; what too few days are worth, `data_valid` says.
    """
    found: list[Period] = []
    for year in range(first.year, as_of.year + 1):
        found.append(Period.year(year))
        found += [Period.parse(f"{year}H{h}") for h in (1, 2)]
        found += [Period.quarter(year, q) for q in range(1, 5)]
        found += [Period.month(year, m) for m in range(1, 13)]
    kept = [p for p in found if p.end <= as_of and p.end >= first]
    to_date = Period(date(as_of.year, 1, 1), as_of)
    return kept if to_date in kept else [*kept, to_date]


def by_rules(periods: Iterable[Period], options: Options) -> list[tuple[Rules, list[Period]]]:
    """Periods grouped by the texts in force on their last day, the oldest texts first."""
    groups: dict[tuple[tuple[str, str], ...], tuple[Rules, list[Period]]] = {}
    for period in sorted(periods, key=lambda p: p.end):
        rules = rules_on(period.end, options)
        texts = tuple((book.edition, book.valid_from.isoformat()) for book in rules.books())
        groups.setdefault(texts, (rules, []))[1].append(period)
    return list(groups.values())


def compute_days(
    air: AirTables, checked: ir.Table, reported: ir.Table, stations: ir.Table, rules: Rules, last: date
) -> None:
    """`station_days`, `place_hours` and `place_days`; a place's reported day stands in where no hours made one.

    `reported` is the lake's `city_days`; column `source` of `place_days` says which of the two a row is.
    """
    checked = checked.filter(checked.day <= last)
    days = air.keep("station_days", station_days(checked, rules))
    air.keep("place_hours", place_hours(checked, stations, rules))
    own = place_days_from_hours(checked, days, stations, rules).mutate(source=ibis.literal("hours"))
    own = air.keep("own_days", own)
    blank = {f"{item}_stations": ibis.null("int64") for item in DAILY_ITEMS}
    given = reported.filter(reported.day <= last).anti_join(own, ["place", "day"])
    given = given.mutate(
        o3_1h=ibis.null("float64"), stations=ibis.null("int64"), **blank, source=ibis.literal("reported")
    )
    air.keep("place_days", own.union(given.select(*own.columns)))


def compute_aqi(air: AirTables, last: date, options: Options) -> None:
    """`place_aqi` (every day under every edition, `in_force` marked) and `station_aqi` (the one in force)."""
    judging = rules_on(last, options)
    parts, own = [], []
    for edition in editions("hj633"):
        book = load_book("hj633", edition.valid_from, **options.get("hj633", {}))
        rules = replace(judging, aqi=book)
        parts.append(_judged(air["place_days"], rules, edition, "place"))
        of_stations = _judged(air["station_days"], rules, edition, "station")
        own.append(of_stations.filter(of_stations.in_force).drop("in_force"))
    air.keep("place_aqi", ibis.union(*parts) if len(parts) > 1 else parts[0])
    air.keep("station_aqi", ibis.union(*own) if len(own) > 1 else own[0])


def _judged(days: ir.Table, rules: Rules, edition: Edition, key: str) -> ir.Table:
    """Daily index under an edition, with `in_force`: whether the edition ruled on that day."""
    judged = daily_aqi(days, rules, key=key)
    inside = judged.day >= edition.valid_from
    if edition.valid_to is not None:
        inside = inside & (judged.day <= edition.valid_to)
    judged = judged.mutate(in_force=inside)
    return judged.drop(*[c for c in judged.columns if c == "iaqi_o3"])


def compute_periods(
    air: AirTables,
    periods: Sequence[Period],
    options: Options,
    progress: Progress,
    *,
    texts: Rules | None = None,
) -> None:
    """`evaluation`, `exceedance`, `summary` and `ranking` of all periods, dust in and out.

    texts : rule books to hold all periods against, whatever was in force in them.
    """
    parts: dict[str, list[ir.Table]] = {"evaluation": [], "exceedance": [], "indexed": [], "counts": []}
    groups = by_rules(periods, options) if texts is None else [(texts, list(periods))]
    for number, (rules, group) in enumerate(groups):
        progress(f"{rules.limits.edition}: {len(group)} periods")
        clean = air.con.create_table(f"clean_days_{number}", _clean_days(air, rules), temp=True)
        air.tables["clean_days"] = clean  # the newest rules come last
        for treatment, days in (("in", air["place_days"]), ("out", clean)):
            judged = evaluate.evaluation(days, group, rules, dust=treatment)
            judged = air.con.create_table(f"evaluation_{number}_{treatment}", judged, temp=True)
            parts["evaluation"].append(judged)
            parts["indexed"].append(rank.composite_index(judged, rules))
            counted = evaluate.day_counts(_counted_days(air, treatment), group, rules)
            parts["counts"].append(counted.mutate(dust=ibis.literal(treatment)))
        over = evaluate.exceedance_days(air["place_days"], group, rules)
        parts["exceedance"].append(over.mutate(edition=ibis.literal(rules.limits.edition)))
    for name, made in parts.items():
        air.keep(name, ibis.union(*made) if len(made) > 1 else made[0])
    air.keep("summary", _summary(air, options, periods))


def _clean_days(air: AirTables, rules: Rules) -> ir.Table:
    """Days without the particles of confirmed dust: whole days, or only its hours (option ``removal``)."""
    days = air["place_days"]
    if rules.dust.option("removal") == "day_removal":
        return evaluate.without_dust(days, air["dust_days"], rules)
    again = station_days(without_dust_hours(air["place_hours"], air["dust_hours"]), rules, key="place")
    again = again.semi_join(air["dust_days"], ["place", "day"])
    again = again.select("place", "day", rest_pm10="pm10", rest_pm2_5="pm2_5", touched=ibis.literal(True))
    joined = days.left_join(again, ["place", "day"]).drop("place_right", "day_right")
    rest = {
        item: ibis.ifelse(joined.touched.fill_null(False), joined[f"rest_{item}"], joined[item])
        for item in evaluate.PARTICLES
    }
    # A day that was only reported as a day has no hours to take away: it goes whole.
    partly = joined.mutate(**rest).select(*days.columns)
    whole = air["dust_days"].anti_join(again, ["place", "day"])
    return evaluate.without_dust(partly, whole, rules)


def _counted_days(air: AirTables, treatment: str) -> ir.Table:
    """Days whose AQI counts: under the edition in force; without dust, exceeding dust days are left out.

    Leaving them out of good days and of valid days alike is what an adjusted rate means here; the raw rate
    stands beside it.
    """
    aqi = air["place_aqi"].filter(lambda t: t.in_force)
    if treatment == "in":
        return aqi
    dusty = aqi.filter(aqi.level > 2).semi_join(air["dust_days"], ["place", "day"]).select("place", "day")
    return aqi.anti_join(dusty, ["place", "day"])


def _summary(air: AirTables, options: Options, periods: Sequence[Period]) -> ir.Table:
    """One row for each place, period and dust treatment: days, rate, index, attainment."""
    mean_only = rules_on(max(p.end for p in periods), options).evaluation.option("attainment") == "mean_only"
    judged = air["evaluation"].filter(lambda t: t.attained.notnull())
    if mean_only:
        judged = judged.filter((judged.statistic == "mean") | judged["item"].isin(["co", "mda8"]))
    attained = judged.group_by(["place", "period", "dust", "edition"]).aggregate(
        attained=judged.attained.all(),
        items_judged=judged["item"].nunique(),
        items_valid=judged["item"].nunique(where=judged.data_valid),
    )
    whole = attained.items_judged == len(DAILY_ITEMS)
    attained = attained.mutate(
        attained=ibis.ifelse(whole | ~attained.attained, attained.attained, ibis.null("boolean")),
        data_valid=attained.items_valid == len(DAILY_ITEMS),
    ).drop("items_judged", "items_valid")
    table = attained.left_join(air["counts"], ["place", "period", "dust"]).drop(
        "place_right", "period_right", "dust_right"
    )
    index = air["indexed"].select("place", "period", "dust", "composite_index", "max_index", "main_pollutant")
    table = table.left_join(index, ["place", "period", "dust"]).drop("place_right", "period_right", "dust_right")
    # The published habit: concentrations without dust stand beside a rate that keeps it, so both rates go along.
    raw = {f"raw_{n}": n for n in ("valid_days", "good_days", "heavy_days", "good_rate")}
    measured = air["counts"].filter(lambda t: t.dust == "in").select("place", "period", **raw)
    adjusted = air["counts"].filter(lambda t: t.dust == "out")
    adjusted = adjusted.select("place", "period", adjusted_good_rate="good_rate")
    for other in (measured, adjusted):
        table = table.left_join(other, ["place", "period"]).drop("place_right", "period_right")
    return table


def compute_ranking(air: AirTables, fields: Mapping[str, Sequence[str]], periods: Sequence[Period]) -> None:
    """`ranking` of each field of places (``prefectures``, ``counties`` ...) against one another.

    A place is ranked in one field only; `field` names it.
    """
    parts = []
    for name, places in fields.items():
        ranked = rank.ranking(air["indexed"], among=places)
        parts.append(rank.with_change(ranked, periods).mutate(field=ibis.literal(name)))
    table = ibis.union(*parts) if len(parts) > 1 else parts[0]
    air.keep("ranking", table.drop("index_count"))


def counted_rows(air: AirTables, **where: Any) -> list[dict[str, Any]]:
    """Rows of `summary` whose columns equal the given values."""
    table = air["summary"]
    for column, value in where.items():
        wanted = list(value) if isinstance(value, (list, tuple, set)) else [value]
        table = table.filter(table[column].isin(wanted))
    return air.con.to_pyarrow(table).to_pylist()  # type: ignore[no-any-return]
