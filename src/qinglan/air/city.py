"""From stations to places: city and county values of a day and of an hour (HJ 663 city evaluation).

The value of a place is the arithmetic mean of its stations' valid values of the same kind. Background points
(清洁对照点) stay out. Too few stations, no value: the share is taken of the points that are registered on
that day, whether or not they reported.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
from numpy.typing import NDArray

from qinglan.air.exact import GRID_DECIMALS, carried, grid
from qinglan.air.statistics import carried_decimals, station_days
from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS
from qinglan.core.rulebook import RuleBook, Rules


def evaluation_points(stations: ir.Table, *, by: str = "place") -> ir.Table:
    """Stations whose values enter a place's mean: ambient, not a background point.

    Returns
    -------
    Table (station, place, valid_from, valid_to); `place` is the column named by `by` (``place`` or ``county``).
    """
    points = stations.filter((stations.kind == "ambient") & ~stations.control_point & stations[by].notnull())
    return points.select("station", point_place=points[by], valid_from="valid_from", valid_to="valid_to").rename(
        place="point_place"
    )


def _registered(values: ir.Table, points: ir.Table) -> ir.Table:
    """Values of evaluation points while they are registered, with their place."""
    joined = values.inner_join(points, "station")
    inside = (joined.valid_from.isnull() | (joined.day >= joined.valid_from)) & (
        joined.valid_to.isnull() | (joined.day <= joined.valid_to)
    )
    return joined.filter(inside)


def _points_per_day(days: ir.Table, points: ir.Table) -> ir.Table:
    """How many points each place has on each day of the data: (place, day, stations)."""
    calendar = days.select("day").distinct()
    grown = calendar.cross_join(points)
    inside = (grown.valid_from.isnull() | (grown.day >= grown.valid_from)) & (
        grown.valid_to.isnull() | (grown.day <= grown.valid_to)
    )
    return grown.filter(inside).group_by(["place", "day"]).aggregate(stations=lambda t: t.count())


def _enough(number: ir.NumericValue, stations: ir.NumericValue, rules: Rules) -> ir.BooleanValue:
    """Whether the share of stations with a value suffices; the book states it in percent."""
    book = rules.evaluation
    few = stations < book.number("city.few_stations")
    need = few.ifelse(book.number("city.stations_min_share_few"), book.number("city.stations_min_share"))
    return (number > 0) & (number * 100 >= stations * need)


def _means(grouped: ir.Table, items: Sequence[str], decimals: dict[str, int], rules: Rules) -> dict[str, ir.Value]:
    return {
        item: ibis.ifelse(
            _enough(grouped[f"{item}_stations"], grouped.stations, rules),
            carried(grouped[f"{item}_sum"], decimals[item], divisor=grouped[f"{item}_stations"]),
            ibis.null("float64"),
        )
        for item in items
    }


def place_days(days: ir.Table, stations: ir.Table, rules: Rules, *, by: str = "place") -> ir.Table:
    """Daily values of places from the daily values of their stations.

    Parameters
    ----------
    days : Table (station, day)
        From :func:`qinglan.air.statistics.station_days`.
    stations : Table
        The station register.
    by : {"place", "county"}
        Prefecture-level city, or county.

    Returns
    -------
    Table (place, day)
        Six daily items and `o3_1h` [µg/m³; CO mg/m³], `stations` expected, `<item>_stations` taking part.
    """
    points = evaluation_points(stations, by=by)
    items = (*DAILY_ITEMS, "o3_1h")
    joined = _registered(days.select("station", "day", *items), points)
    measures: dict[str, ir.Value] = {}
    for item in items:
        measures[f"{item}_sum"] = grid(joined[item]).sum()
        measures[f"{item}_stations"] = joined[item].count()
    grouped = joined.group_by(["place", "day"]).aggregate(**measures)
    expected = _points_per_day(days, points)
    grouped = grouped.inner_join(expected, ["place", "day"])
    decimals = {item: carried_decimals(item.removesuffix("_1h"), rules) for item in items}
    table = grouped.mutate(**_means(grouped, items, decimals, rules))
    counts = [f"{item}_stations" for item in DAILY_ITEMS]
    return table.select("place", "day", *items, "stations", *counts)


def place_hours(hours: ir.Table, stations: ir.Table, rules: Rules, *, by: str = "place") -> ir.Table:
    """Hourly values of places: (place, time) with `day`, `hour`, the six items and `stations`.

    Kept to 1e-6; the same share of stations as for the day is asked of every hour.
    """
    points = evaluation_points(stations, by=by)
    joined = _registered(hours.select("station", "time", "day", "hour", *HOURLY_ITEMS), points)
    measures: dict[str, ir.Value] = {}
    for item in HOURLY_ITEMS:
        measures[f"{item}_sum"] = grid(joined[item]).sum()
        measures[f"{item}_stations"] = joined[item].count()
    grouped = joined.group_by(["place", "time", "day", "hour"]).aggregate(**measures)
    expected = _points_per_day(hours, points)
    grouped = grouped.inner_join(expected, ["place", "day"])
    decimals = dict.fromkeys(HOURLY_ITEMS, GRID_DECIMALS)
    table = grouped.mutate(**_means(grouped, HOURLY_ITEMS, decimals, rules))
    return table.select("place", "time", "day", "hour", *HOURLY_ITEMS, "stations")


def point_means(values: NDArray[np.float64], serving: NDArray[np.bool_], book: RuleBook) -> NDArray[np.float64]:
    """Hourly means of a place from arrays of its evaluation points, as :func:`place_hours` makes them of tables.

    Parameters
    ----------
    values : shape (points, hours)
        Usable values of one item; NaN where there is none.
    serving : shape (points, hours)
        Whether the point is registered in that hour.
    book : of the family ``hj663``

    Returns
    -------
    Means, shape (hours,), in the unit of `values`; NaN where too few points have a value. For what is drawn: what
    is judged comes from the exact tables.
    """
    there = serving & ~np.isnan(values)
    n, points = there.sum(axis=0), serving.sum(axis=0)
    few = points < book.number("city.few_stations")
    need = np.where(few, book.number("city.stations_min_share_few"), book.number("city.stations_min_share"))
    enough = (n > 0) & (n * 100 >= points * need.astype(np.float64))
    total = np.where(there, values, 0.0).sum(axis=0)
    return np.where(enough, total / np.maximum(n, 1), np.nan)


def place_days_from_hours(hours: ir.Table, days: ir.Table, stations: ir.Table, rules: Rules) -> ir.Table:
    """:func:`place_days` with ozone by the order that the option ``city_o3_order`` names.

    ``mean_of_station_mda8`` averages the stations' daily maxima; ``mda8_of_city_hours`` takes the daily
    maximum of the city's hourly mean.
    """
    table = place_days(days, stations, rules)
    if rules.evaluation.option("city_o3_order") == "mean_of_station_mda8":
        return table
    city = station_days(place_hours(hours, stations, rules), rules, key="place")
    other = city.select("place", "day", city_mda8="mda8")
    return table.left_join(other, ["place", "day"]).mutate(mda8="city_mda8").select(*table.columns)
