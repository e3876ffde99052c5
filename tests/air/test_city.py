"""Stations to places. Sources: HJ 663-2013 city evaluation (share of points); GB/T 8170; plain fractions."""

import random
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from qinglan.air.city import place_days, place_days_from_hours, place_hours, point_means
from qinglan.air.statistics import station_days
from qinglan.core.clock import from_day_and_hour
from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS
from qinglan.core.rounding import exact, half_even

ON = "2025-06-30"
DAY = date(2025, 6, 1)


def register(engine, rows):
    """rows: (station, place, county, kind, control, valid_from, valid_to)."""
    names = ("station", "place", "county", "kind", "control_point", "valid_from", "valid_to")
    types = [*(pa.string(),) * 4, pa.bool_(), pa.date32(), pa.date32()]
    return engine.load(
        {n: pa.array([r[i] for r in rows], t) for i, (n, t) in enumerate(zip(names, types, strict=True))}
    )


def point(station, place, county=None, kind="ambient", control=False, since=None, until=None):
    return (station, place, county, kind, control, since, until)


def station_table(engine, rows):
    """rows: (station, day, {daily item: value})."""
    items = (*DAILY_ITEMS, "o3_1h")
    return engine.load(
        {
            "station": pa.array([r[0] for r in rows]),
            "day": pa.array([r[1] for r in rows], pa.date32()),
            **{i: pa.array([r[2].get(i) for r in rows], pa.float64()) for i in items},
        }
    )


def test_share_of_stations_for_one_to_eight_points(engine, rules):
    """75 % of the points must take part, 50 % where there are fewer than four: every number of 1..8 points."""
    stations, rows, want = [], [], {}
    rng = random.Random(5)
    for total in range(1, 9):
        for given in range(total + 1):
            place = f"{total}of{given}"
            values = []
            for n in range(total):
                code = f"{place}-{n}"
                stations.append(point(code, place))
                # A station that is silent has a row without the item, or no row at all.
                if n < given:
                    values.append(rng.randrange(0, 2000) / 10)
                    rows.append((code, DAY, {"pm10": values[-1], "so2": 5.0}))
                elif n % 2 or given == 0:
                    rows.append((code, DAY, {"so2": 5.0}))
            need = 0.5 if total < 4 else 0.75
            enough = given > 0 and given / total >= need
            mean = half_even(sum(map(exact, values)) / given, 6) if enough else None
            want[place] = (total, given, mean)
    got = engine.rows(place_days(station_table(engine, rows), register(engine, stations), rules(ON)), "place")
    found = {
        r["place"]: (r["stations"], r["pm10_stations"], None if r["pm10"] is None else exact(r["pm10"]))
        for r in got
    }
    assert found == want
    # The bounds by name: 2 of 4 and 4 of 6 are too few, 3 of 4, 1 of 2 and 2 of 3 are not.
    assert [want[p][2] is None for p in ("4of2", "6of4", "4of3", "2of1", "3of2", "3of1")] == [
        *(True, True, False, False, False, True)
    ]


def test_who_takes_part(engine, rules):
    """Background points, other kinds and stations out of service enter neither the mean nor the number."""
    stations = [
        point("s1", "630100", "630102"),
        point("s2", "630100", "630103"),
        point("clean", "630100", "630121", control=True),
        point("road", "630100", "630102", kind="traffic"),
        point("old", "630100", "630102", until=DAY - timedelta(days=1)),
        point("last", "630100", "630103", until=DAY),
        point("new", "630100", "630103", since=DAY + timedelta(days=1)),
        point("first", "630100", "630102", since=DAY),
        point("nowhere", "632200", None),
    ]
    rows = [(s[0], DAY + timedelta(days=d), {"no2": 10.0 * (n + 1), "o3_1h": 7.0}) for n, s in enumerate(stations)
            for d in (-1, 0, 1)]  # fmt: skip
    days, points = station_table(engine, rows), register(engine, stations)
    by_place = place_days(days, points, rules(ON))
    by_county = place_days(days, points, rules(ON), by="county")
    got = engine.rows(by_place.union(by_county), "place", "day")
    found = {(r["place"], (r["day"] - DAY).days): (r["no2"], r["stations"], r["no2_stations"]) for r in got}
    assert found == {
        # s1 10, s2 20, old 50, last 60, new 70, first 80
        ("630100", -1): (35.0, 4, 4),
        ("630100", 0): (42.5, 4, 4),
        ("630100", 1): (45.0, 4, 4),
        ("632200", -1): (90.0, 1, 1),
        ("632200", 0): (90.0, 1, 1),
        ("632200", 1): (90.0, 1, 1),
        ("630102", -1): (30.0, 2, 2),
        ("630102", 0): (45.0, 2, 2),
        ("630102", 1): (45.0, 2, 2),
        ("630103", -1): (40.0, 2, 2),
        ("630103", 0): (40.0, 2, 2),
        ("630103", 1): (45.0, 2, 2),
    }, "a county without stations of its own, and a background point's county, have no row"
    assert {r["o3_1h"] for r in got} == {7.0}


def hour_rows(engine, values):
    """values: {(station, hour): {item: value}} of one day."""
    keys = sorted(values)
    return engine.load(
        {
            "station": pa.array([k[0] for k in keys]),
            "time": pa.array([from_day_and_hour(DAY, k[1]) for k in keys], pa.timestamp("us", "UTC")),
            "day": pa.array([DAY] * len(keys), pa.date32()),
            "hour": pa.array([k[1] for k in keys], pa.int8()),
            **{i: pa.array([values[k].get(i) for k in keys], pa.float64()) for i in HOURLY_ITEMS},
        }
    )


def test_both_orders_of_ozone(engine, rules):
    """Two stations that peak at other hours: the mean of their maxima is above the maximum of their mean."""
    values = {}
    for h in range(1, 25):
        values["early", h] = {"o3": 160.0 if 8 <= h <= 15 else 40.0}
        values["late", h] = {"o3": 160.0 if 16 <= h <= 23 else 40.0}
    hours = hour_rows(engine, values)
    stations = register(engine, [point("early", "630100"), point("late", "630100")])
    found = {}
    for order in ("mean_of_station_mda8", "mda8_of_city_hours"):
        book = rules(ON, hj663={"city_o3_order": order})
        days = station_days(hours, book)
        row = engine.rows(place_days_from_hours(hours, days, stations, book))[0]
        found[order] = (row["mda8"], row["mda8_stations"])
    assert found == {"mean_of_station_mda8": (160.0, 2), "mda8_of_city_hours": (100.0, 2)}


def test_city_hours_ask_the_same_share_of_every_hour(duckdb_engine, rules):
    rng = random.Random(3)
    codes = [f"s{n}" for n in range(5)]
    values = {
        (s, h): {i: rng.randrange(0, 300) / 10 for i in HOURLY_ITEMS if rng.random() < 0.8}
        for s in codes
        for h in range(1, 25)
        if rng.random() < 0.95
    }
    stations = register(duckdb_engine, [point(s, "630100") for s in codes])
    rows = duckdb_engine.rows(place_hours(hour_rows(duckdb_engine, values), stations, rules(ON)), "time")
    withheld = 0
    for row in rows:
        assert row["stations"] == 5
        for item in HOURLY_ITEMS:
            own = [exact(values[s, row["hour"]][item]) for s in codes if item in values.get((s, row["hour"]), {})]
            want = half_even(sum(own) / len(own), 6) if len(own) >= 4 else None  # 3 of 5 is 60 %
            withheld += want is None
            assert (None if row[item] is None else exact(row[item])) == want, (row["hour"], item, own)
    assert len(rows) == 24
    assert 10 < withheld < 100
    for item in HOURLY_ITEMS:  # the same of arrays, as the pages draw it
        cells = [[values.get((s, h), {}).get(item, np.nan) for h in range(1, 25)] for s in codes]
        made = point_means(np.array(cells), np.ones((5, 24), dtype=bool), rules(ON).evaluation)
        want = [np.nan if row[item] is None else row[item] for row in rows]
        np.testing.assert_allclose(made, want, atol=1e-6)


def test_points_that_do_not_serve_are_not_waited_for(rules):
    """Four points of which two serve: fewer than four, so that one of the two is the half that is asked for."""
    values = np.array([[8.0], [np.nan], [99.0], [99.0]])
    serving = np.array([[True], [True], [False], [False]])
    assert point_means(values, serving, rules(ON).evaluation).tolist() == [8.0]
    assert np.isnan(point_means(values[:, :1], ~serving & False, rules(ON).evaluation)).all()


@pytest.mark.parametrize("choice", ["display", "one_more_decimal"])
def test_means_of_places_follow_the_stage_of_rounding(duckdb_engine, rules, choice):
    """3 and 4 give 3.5: 4 as shown, 3.5 with one decimal more; CO 0.25 gives 0.2 and 0.25."""
    rows = [("a", DAY, {"pm10": 3.0, "co": 0.2}), ("b", DAY, {"pm10": 4.0, "co": 0.3})]
    stations = register(duckdb_engine, [point("a", "630100"), point("b", "630100")])
    book = rules(ON, hj663={"intermediate_rounding": choice})
    row = duckdb_engine.rows(place_days(station_table(duckdb_engine, rows), stations, book))[0]
    assert (row["pm10"], row["co"]) == ((4.0, 0.2) if choice == "display" else (3.5, 0.25))
