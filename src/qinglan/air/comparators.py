"""The same air by other rulers: WHO guidelines, EU limit values, US standards, as data-driven statistics.

A comparator is a rule book (``who2021``, ``eu2024``, ``usepa2024``) whose ``form.*`` keys say how each legal
statistic is made: from which series, which statistic, over how many years, compared with what and how rounded.
Nothing here decides about a plan; the forms stand beside the evaluation by GB 3095 and HJ 663.

Gases are brought from the state in which they were measured (``reference_state.gas.*`` of ``gb3095``) to the
comparator's: by T and p for mass concentrations, by the molar volume for ppm and ppb. Particles stay as measured.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import ibis.expr.types as ir

from qinglan.air.exact import GRID, GRID_DECIMALS, ceil, grid, half_even
from qinglan.air.statistics import sliding_mean
from qinglan.core.errors import RuleError
from qinglan.core.names import quantity
from qinglan.core.rounding import exact
from qinglan.core.rulebook import RuleBook

#: Molar gas constant [J/(mol K)] (CODATA 2018, exact).
GAS_CONSTANT = 8.314462618

#: Grams in one stated mass of a cubic metre, and parts in the stated ratio.
_GRAMS = {"µg/m³": 1e-6, "mg/m³": 1e-3}
_PARTS = {"ppm": 1e6, "ppb": 1e9}

HOURS_MISSING = "需要小时数据 / needs hourly data"

#: Statistics that more data can only worsen: failing them is final even when data are short.
_FINAL = ("exceedances", "nth_highest")


_FORM_SCHEMA = {
    "form": "string",
    "item": "string",
    "limit": "float64",
    "limit_count": "float64",
    "unit": "string",
    "step": "float64",
    "raised": "float64",
    "allowed_exceedances": "float64",
    "years": "int64",
    "counts": "boolean",
    "final": "boolean",
    "needs_hours": "boolean",
    "note": "string",
}


@dataclass(frozen=True, slots=True)
class Form:
    """One legal statistic of a comparator; see ``form.*`` in its rule book."""

    name: str
    item: str
    role: str
    series: str
    statistic: str
    limit: float
    unit: str
    years: int = 1
    p: int = 0
    n: int = 0
    allowed: float | None = None
    method: str = ""
    decimals: int | None = None
    rounding: str = ""
    value_decimals: int | None = None
    value_rounding: str = ""
    note: str = ""

    @property
    def base(self) -> tuple[str, str, str, int | None, str]:
        """What the form's numbers are made of: forms of one base share one pass over the data."""
        return (self.series, self.item, self.unit, self.value_decimals, self.value_rounding)


def forms(book: RuleBook) -> tuple[Form, ...]:
    """All forms of a comparator under its options, in the order of its file.

    Raises RuleError when the book holds none.
    """
    found = []
    method = book.option("percentile_method") if "percentile_method" in book.options else "linear"
    unrounded = "comparison_rounding" in book.options and book.option("comparison_rounding") == "unrounded"
    for key, value in book.values.items():
        if not key.startswith("form."):
            continue
        fields: dict[str, Any] = {"method": method, **value.value}
        if "note" in fields:
            fields["note"] = f"{fields['note']['zh']} / {fields['note']['en']}"
        if unrounded:
            fields |= {"decimals": None, "rounding": ""}
        found.append(Form(name=key.split(".", 2)[2], unit=value.unit, **fields))
    if not found:
        raise RuleError(
            f"{book.edition} ({book.book}) holds no forms.", remedy="Ask a comparator: who2021, eu2024, usepa2024."
        )
    return tuple(found)


def factor(form: Form, book: RuleBook, limits: RuleBook) -> float:
    """What turns a measured concentration into the form's unit and state.

    Parameters
    ----------
    book : RuleBook
        The comparator: ``reference_state.gas.*`` [K, hPa], ``molar_mass.<item>`` [g/mol].
    limits : RuleBook
        Family ``gb3095``: the state in which gases were measured [K, hPa].

    Notes
    -----
    Mass: ``C' = C (T / T') (p' / p)``. Ratio: ``x = (C / M) R T / p``, free of the comparator's own state.
    """
    measured = quantity(form.item)
    if not measured.gas:
        return 1.0
    kelvin = limits.number("reference_state.gas.temperature")
    hectopascal = limits.number("reference_state.gas.pressure")
    if form.unit in _PARTS:
        moles = _GRAMS[measured.unit] / book.number(f"molar_mass.{form.item}")
        return moles * GAS_CONSTANT * kelvin / (hectopascal * 100) * _PARTS[form.unit]
    as_measured = "gas_state" in book.options and book.option("gas_state") == "as_measured"
    if as_measured or not book.has("reference_state.gas.temperature"):
        return 1.0
    their_kelvin = book.number("reference_state.gas.temperature")
    return kelvin / their_kelvin * book.number("reference_state.gas.pressure") / hectopascal


def compare(
    days: ir.Table,
    years: Sequence[int],
    book: RuleBook,
    *,
    limits: RuleBook,
    hours: ir.Table | None = None,
    items: Collection[str] | None = None,
) -> ir.Table:
    """Judge places and years by a comparator.

    Parameters
    ----------
    days : Table (place, day)
        The six daily items [µg/m³; CO mg/m³], null where invalid. Forms over three years need the two years
        before each asked one.
    years : list of int
        Calendar years to judge, each with the years before it that a form asks for.
    book : RuleBook
        Comparator: ``who2021``, ``eu2024`` or ``usepa2024``.
    limits : RuleBook
        Family ``gb3095`` on the date of the data: the measured state of gases.
    hours : Table (place, time), optional
        `day`, `hour` and hourly items; without it, forms that need hours have a null value and say so.
    items : names, optional
        Only the forms of these items; all by default.

    Returns
    -------
    Table (place, period, comparator, item, form)
        `value` and `limit` in `unit` (for counted exceedances the value that one exceedance more would make
        decisive: the (allowed + 1)-th highest; null over several years), `attained`, `allowed_exceedances` and
        `exceedances` (values above the limit in the year, averaged over the form's years), `data_valid`,
        `note`. `attained` is null when data are too short to tell; a count already exceeded stays false.
    """
    wanted = [form for form in forms(book) if items is None or form.item in items]
    span = range(min(years) - max(f.years for f in wanted), max(years) + 1)
    annual = [
        _annual(_values(base, days, hours, book), group, span, book, limits) for base, group in _grouped(wanted)
    ]
    known = [table for table in annual if table is not None]
    places = days.select("place").distinct()
    skeleton = places.cross_join(_form_table(wanted)).cross_join(ibis.memtable({"year": list(years)}))
    if known:
        found = ibis.union(*known) if len(known) > 1 else known[0]
        averaged = _averaged(found, wanted)
        joined = skeleton.left_join(averaged, ["place", "form", "item", "year"])
    else:
        empty = {"over": "float64", "count": "float64", "valid": "boolean"}
        joined = skeleton.mutate(**{name: ibis.null(kind) for name, kind in empty.items()})
    return _judged(joined, book, has_hours=hours is not None)


def _grouped(wanted: Iterable[Form]) -> list[tuple[Form, list[Form]]]:
    groups: dict[tuple[Any, ...], list[Form]] = {}
    for form in wanted:
        groups.setdefault(form.base, []).append(form)
    return [(group[0], group) for group in groups.values()]


def _form_table(wanted: Sequence[Form]) -> ir.Table:
    """What is stated of each form, as a table: judging is then one join and a few columns."""
    steps = [None if f.decimals is None else float(10 ** (GRID_DECIMALS - f.decimals)) for f in wanted]
    return ibis.memtable(
        {
            "form": [f.name for f in wanted],
            "item": [f.item for f in wanted],
            "limit": [float(f.limit) for f in wanted],
            "limit_count": [_limit(f) for f in wanted],
            "unit": [f.unit for f in wanted],
            "step": steps,
            "raised": [
                0.0 if s is None or f.rounding == "truncate" else s / 2 for f, s in zip(wanted, steps, strict=True)
            ],
            "allowed_exceedances": [_allowed(f) for f in wanted],
            "years": [f.years for f in wanted],
            "counts": [f.statistic == "exceedances" for f in wanted],
            "final": [f.statistic in _FINAL and f.years == 1 for f in wanted],
            "needs_hours": [f.series != "day" for f in wanted],
            "note": [f.note for f in wanted],
        },
        schema=_FORM_SCHEMA,
    )


def _values(form: Form, days: ir.Table, hours: ir.Table | None, book: RuleBook) -> ir.Table | None:
    """(place, day, value) of the form's series, as measured; None when hours are needed and not there."""
    if form.series == "day":
        return days.select("place", "day", value=days[form.item])
    if hours is None:
        return None
    if form.series == "hour":
        return hours.select("place", "day", value=hours[form.item])
    if form.series == "8h_max":
        least = int(book.number("validity.8h.hours_min"))
        hours = hours.mutate(value=sliding_mean(hours, form.item, 8, least, key="place"))
    else:
        hours = hours.mutate(value=hours[form.item])
    grouped = hours.group_by(["place", "day"]).aggregate(
        value=lambda t: t.value.max(), n=lambda t: t.value.count()
    )
    enough = grouped.n >= int(book.number("validity.day.hours_min"))
    return grouped.select("place", "day", value=ibis.ifelse(enough, grouped.value, ibis.null("float64")))


def _snap(count: ir.NumericValue, decimals: int | None, rounding: str) -> ir.NumericValue:
    """A grid count rounded half up or cut to `decimals` places; unchanged without a rounding."""
    if decimals is None or not rounding:
        return count
    step = float(10 ** (GRID_DECIMALS - decimals))
    raised = count + (step / 2 if rounding == "half_up" else 0.0)
    return -ceil(-(raised / step)) * step


def _limit(form: Form) -> float:
    """The limit as a grid count."""
    return float(exact(form.limit) * GRID)


def _annual(
    values: ir.Table | None, group: Sequence[Form], span: range, book: RuleBook, limits: RuleBook
) -> ir.Table | None:
    """(place, year, form, item): `count` (the statistic on the grid), `over` (values above), `valid`."""
    if values is None:
        return None
    head = group[0]
    table = values.filter(values.value.notnull())
    count = _snap(grid(table.value * factor(head, book, limits)), head.value_decimals, head.value_rounding)
    table = table.mutate(count=count, year=table.day.year().cast("int64"), month=table.day.month().cast("int64"))
    table = table.filter(table.year.isin(list(span))).select("place", "day", "year", "month", "count")
    ordered = ibis.window(group_by=["place", "year"], order_by=["count", "day"])
    whole = ibis.window(group_by=["place", "year"])
    table = table.mutate(
        position=ibis.row_number().over(ordered) + 1, n=table["count"].count().over(whole).cast("int64")
    )
    measures: dict[str, ir.Value] = {"n": table["count"].count()}
    for quarter in range(1, 5):
        inside = (table.month > 3 * quarter - 3) & (table.month <= 3 * quarter)
        measures[f"n_{quarter}"] = table["count"].count(where=inside)
        measures[f"total_{quarter}"] = table["count"].sum(where=inside)
    for i, form in enumerate(group):
        above = _snap(table["count"], form.decimals, form.rounding) > _limit(form)
        measures[f"over_{i}"] = above.cast("int64").sum()
        measures |= {f"{name}_{i}": value for name, value in _parts(form, table).items()}
    wide = table.group_by(["place", "year"]).aggregate(**measures)
    wide = wide.mutate(valid=_enough(wide, span, book, 24 if head.series == "hour" else 1))
    if any(form.statistic == "peak_season" for form in group):
        wide = wide.left_join(_peak_season(table, span, book), ["place", "year"])
        wide = wide.drop("place_right", "year_right")
    rows = [
        wide.select(
            "place",
            "year",
            form=ibis.literal(form.name),
            item=ibis.literal(form.item),
            count=_STATISTICS[form.statistic](form, wide, i),
            over=wide[f"over_{i}"].cast("float64"),
            valid="valid",
        )
        for i, form in enumerate(group)
    ]
    return ibis.union(*rows) if len(rows) > 1 else rows[0]


def _parts(form: Form, table: ir.Table) -> dict[str, ir.Value]:
    """Aggregates over a year's values from which :data:`_STATISTICS` makes the form's statistic."""

    def picked(at: ir.NumericValue) -> ir.NumericValue:
        return table["count"].max(where=table.position == at)

    if form.statistic == "mean":
        return {"total": table["count"].sum()}
    if form.statistic in _FINAL:
        rank = form.n if form.statistic == "nth_highest" else int(form.allowed or 0) + 1
        return {"at": picked(table.n + 1 - rank)}
    if form.statistic == "percentile":
        hundredths = table.n * form.p
        if form.method == "floor_rank":
            below = (hundredths - hundredths % 100) / 100
            return {"at": picked(ibis.least(below.cast("int64") + 1, table.n))}
        if form.method == "nearest_rank":
            raised = hundredths + 99
            return {"at": picked(((raised - raised % 100) / 100).cast("int64"))}
        hundredths = (table.n - 1) * form.p
        low = ((hundredths - hundredths % 100) / 100).cast("int64") + 1
        return {"low": picked(low), "high": picked(low + 1), "part": (hundredths % 100).max()}
    return {}


def _linear(wide: ir.Table, i: int) -> ir.NumericValue:
    """``X(s) + (X(s+1) - X(s)) (k - s)`` with everything in hundredths of a rank (HJ 663-2013 annex A)."""
    part = wide[f"part_{i}"].cast("float64")
    return half_even((wide[f"low_{i}"] * (100.0 - part) + wide[f"high_{i}"].fill_null(0.0) * part) / 100.0)


def _of_quarters(wide: ir.Table) -> ir.NumericValue:
    """Mean of the means of the quarters that have values (40 CFR 50 appendix N 4.4)."""
    total: ir.NumericValue = ibis.literal(0.0)
    filled: ir.NumericValue = ibis.literal(0)
    for quarter in range(1, 5):
        n = wide[f"n_{quarter}"]
        total = total + (wide[f"total_{quarter}"] / n.nullif(0)).fill_null(0.0)
        filled = filled + (n > 0).ifelse(1, 0)
    return half_even(total / filled)


_STATISTICS: Mapping[str, Callable[[Form, ir.Table, int], ir.NumericValue]] = {
    "mean": lambda form, wide, i: half_even(wide[f"total_{i}"] / wide.n),
    "mean_of_quarters": lambda form, wide, i: _of_quarters(wide),
    "percentile": lambda form, wide, i: _linear(wide, i) if form.method == "linear" else wide[f"at_{i}"],
    "nth_highest": lambda form, wide, i: wide[f"at_{i}"],
    "exceedances": lambda form, wide, i: wide[f"at_{i}"],
    "peak_season": lambda form, wide, i: wide.peak,
}


def _enough(wide: ir.Table, span: range, book: RuleBook, per_day: int) -> ir.BooleanValue:
    """Whether a year has its share of values, in the whole or in each quarter (``validity.basis``)."""
    share = book.number("validity.days_share_min")
    leap = wide.year.isin([year for year in span if calendar.isleap(year)])
    if book.get("validity.basis").value == "year":
        return wide.n * 100 >= share * per_day * (365 + leap.ifelse(1, 0))
    enough: ir.BooleanValue = ibis.literal(True)
    for quarter, length in enumerate((90, 91, 92, 92), start=1):
        expected = length + (leap.ifelse(1, 0) if quarter == 1 else 0)
        enough = enough & (wide[f"n_{quarter}"] * 100 >= share * per_day * expected)
    return enough


def _peak_season(table: ir.Table, span: range, book: RuleBook) -> ir.Table:
    """(place, year, peak): largest mean of so many consecutive months that end in the year.

    Only spans with their share of days count; under the option ``within_year`` they also begin in the year.
    """
    length = int(book.number("peak_season.months"))
    months = [(12 * y + m - 1, calendar.monthrange(y, m)[1]) for y in span for m in range(1, 13)]
    numbered = table.mutate(number=12 * table.year + table.month - 1)
    sums = numbered.group_by(["place", "number"]).aggregate(
        total=lambda t: t["count"].sum(), n=lambda t: t["count"].count()
    )
    calendar_months = ibis.memtable({"number": [n for n, _ in months], "expected": [d for _, d in months]})
    places = table.select("place").distinct()
    # Empty months must stand in the frame, or a gap would pass for a season.
    filled = places.cross_join(calendar_months).left_join(sums, ["place", "number"])
    filled = filled.drop("place_right", "number_right")
    frame = ibis.range_window(preceding=length - 1, following=0, group_by="place", order_by="number")
    rolled = filled.mutate(
        season_total=filled.total.sum().over(frame),
        season_n=filled.n.fill_null(0).sum().over(frame),
        season_expected=filled.expected.sum().over(frame),
        season_months=filled.expected.count().over(frame),
        year=(filled.number - filled.number % 12) / 12,
        ends=filled.number % 12 + 1,
    )
    enough = rolled.season_n * 100 >= book.number("validity.days_share_min") * rolled.season_expected
    keep = enough & (rolled.season_months == length)
    if book.option("peak_season_window") == "within_year":
        keep = keep & (rolled.ends >= length)
    rolled = rolled.filter(keep)
    return (
        rolled.mutate(year=rolled.year.cast("int64"), mean=half_even(rolled.season_total / rolled.season_n))
        .group_by(["place", "year"])
        .aggregate(peak=lambda t: t["mean"].max())
    )


def _averaged(found: ir.Table, wanted: Sequence[Form]) -> ir.Table:
    """Annual statistics averaged over the years that each form asks for, ending in `year`."""
    parts = []
    for length in sorted({form.years for form in wanted}):
        names = [f"{form.item}.{form.name}" for form in wanted if form.years == length]
        chosen = found.filter((found["item"] + "." + found.form).isin(names))
        if length == 1:
            parts.append(chosen.select("place", "form", "item", "year", "count", "over", "valid"))
            continue
        frame = ibis.range_window(
            preceding=length - 1, following=0, group_by=["place", "form", "item"], order_by="year"
        )
        filled = chosen["count"].count().over(frame)
        valid_years = chosen.valid.ifelse(1, 0).sum().over(frame)
        parts.append(
            chosen.select(
                "place",
                "form",
                "item",
                "year",
                count=half_even(chosen["count"].sum().over(frame) / filled.nullif(0)),
                over=chosen.over.sum().over(frame) / chosen.over.count().over(frame),
                valid=valid_years == length,
            )
        )
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def _judged(joined: ir.Table, book: RuleBook, *, has_hours: bool) -> ir.Table:
    """Round as the form says, compare, and say what the data allow to be said."""
    snapped = -ceil(-((joined["count"] + joined.raised) / joined.step)) * joined.step
    joined = joined.mutate(count=ibis.ifelse(joined.step.isnull(), joined["count"], snapped))
    within = joined["count"] <= joined.limit_count
    joined = joined.mutate(met=ibis.ifelse(joined.counts, joined.over <= joined.allowed_exceedances, within))
    joined = joined.mutate(data_valid=joined.valid.fill_null(False) & joined.met.notnull())
    told = joined.data_valid | (joined.final & ~joined.met.fill_null(True))
    shown = ibis.ifelse(joined.counts & (joined.years > 1), ibis.null("float64"), joined["count"] / float(GRID))
    note = joined.note if has_hours else ibis.ifelse(joined.needs_hours, HOURS_MISSING, joined.note)
    return joined.select(
        "place",
        period=joined.year.cast("string"),
        comparator=ibis.literal(book.book),
        item="item",
        form="form",
        value=shown,
        limit="limit",
        unit="unit",
        attained=ibis.ifelse(told, joined.met, ibis.null("boolean")),
        allowed_exceedances="allowed_exceedances",
        exceedances="over",
        data_valid="data_valid",
        note=note,
    )


def _allowed(form: Form) -> float | None:
    """Values that may lie above the limit in a year, where the form counts them."""
    if form.statistic == "nth_highest":
        return float(form.n - 1)
    return None if form.allowed is None else float(form.allowed)
