"""Comparators: WHO 2021, EU 2024/2881, US EPA 2024.

Sources: the ``attain`` examples of the rule books (each names its clause), numpy's percentile (linear), the rank
tables of 40 CFR 50 appendices N and T, an hourly series computed here by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from qinglan.air.comparators import GAS_CONSTANT, HOURS_MISSING, compare, factor, forms
from qinglan.core.clock import from_day_and_hour
from qinglan.core.errors import RuleError
from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS
from qinglan.plan.rules import document, editions, load_book

FAMILIES = ("who2021", "eu2024", "usepa2024")
LIMITS = load_book("gb3095", date(2025, 12, 31))

DAY_SCHEMA = pa.schema([("place", pa.string()), ("day", pa.date32()), *[(i, pa.float64()) for i in DAILY_ITEMS]])
HOUR_SCHEMA = pa.schema(
    [
        ("place", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("day", pa.date32()),
        ("hour", pa.int8()),
        *[(i, pa.float64()) for i in HOURLY_ITEMS],
    ]
)


def book(family: str, **options: str) -> Any:
    return load_book(family, editions(family)[-1].valid_from, **options)


def calendar(first: int, last: int | None = None) -> list[date]:
    start, end = date(first, 1, 1), date(last or first, 12, 31)
    return [start + timedelta(days=i) for i in range((end - start).days + 1)]


def day_table(engine: Any, days: list[date], item: str, values: list[float | None], place: str = "P") -> Any:
    columns: dict[str, Any] = {i: [None] * len(days) for i in DAILY_ITEMS}
    columns |= {"place": [place] * len(days), "day": days, item: values}
    return engine.load({name: columns[name] for name in DAY_SCHEMA.names}, DAY_SCHEMA)


def one(engine: Any, table: Any, item: str, form: str, period: int) -> dict[str, Any]:
    rows = engine.rows(
        table.filter((table["item"] == item) & (table.form == form) & (table.period == str(period)))
    )
    assert len(rows) == 1, rows
    return rows[0]


def series(given: Mapping[str, Any]) -> tuple[list[date], list[float]]:
    """Days and values of an example: ``a * day of year + b``, the last days of each year replaced by `tail`."""
    days = calendar(given["year"], given["year"] + given.get("years", 1) - 1)
    a, b = (Fraction(str(x)) for x in given["day_of_year"])
    values = [float(a * d.timetuple().tm_yday + b) for d in days]
    tail = given.get("tail", {"days": 0, "value": 0})
    for i, d in enumerate(days):
        if (date(d.year, 12, 31) - d).days < tail["days"]:
            values[i] = float(tail["value"])
    return days, values


def attain_examples() -> list[Any]:
    found = []
    for family in FAMILIES:
        for i, example in enumerate(document(family).examples):
            if example.get("kind") == "attain":
                found.append(pytest.param(family, example, id=f"{family}-{i}-{example['form']}"))
    return found


@pytest.mark.parametrize(("family", "example"), attain_examples())
def test_example_of_the_rule_book_holds(duckdb_engine, family: str, example: Mapping[str, Any]) -> None:
    given, expect = example["given"], example["expect"]
    days, values = series(given)
    item, form = example["form"].split(".", 1)
    on = date.fromisoformat(example["on"])
    ruler = load_book(family, on, **example.get("options", {}))
    last = days[-1].year
    row = one(
        duckdb_engine,
        compare(day_table(duckdb_engine, days, item, values), [last], ruler, limits=LIMITS, items=[item]),
        item,
        form,
        last,
    )
    assert row["data_valid"] is True
    assert row["attained"] is expect["attained"]
    assert row["value"] == (None if expect["value"] is None else pytest.approx(expect["value"], abs=1e-9))
    for key, column in (("exceedances", "exceedances"), ("allowed", "allowed_exceedances")):
        if key in expect:
            assert row[column] == expect[key]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_form_answers_for_every_place_and_year(duckdb_engine, family: str) -> None:
    days = calendar(2021, 2023)
    table = day_table(duckdb_engine, days, "pm10", [50.0] * len(days))
    ruler = book(family)
    rows = duckdb_engine.rows(compare(table, [2022, 2023], ruler, limits=LIMITS))
    asked = {(f.item, f.name) for f in forms(ruler)}
    assert len(rows) == 2 * len(asked)
    assert {(r["item"], r["form"]) for r in rows} == asked
    assert {r["period"] for r in rows} == {"2022", "2023"}
    units = {(f.item, f.name): f.unit for f in forms(ruler)}
    assert all(r["unit"] == units[r["item"], r["form"]] for r in rows)
    for row in rows:
        if row["item"] != "pm10":
            assert (row["value"], row["attained"], row["data_valid"]) == (None, None, False), row
    hourly = {(f.item, f.name) for f in forms(ruler) if f.series != "day"}
    assert {(r["item"], r["form"]) for r in rows if r["note"] == HOURS_MISSING} == hourly


def test_percentile_is_numpys_linear_one(engine) -> None:
    """numpy.percentile(method="linear") is the same rule; values in tenths so that ranks interpolate."""
    days = calendar(2023)
    noise = np.round(np.random.default_rng(7).lognormal(3, 0.6, len(days)), 1)
    table = compare(
        day_table(engine, days, "pm2_5", noise.tolist()), [2023], book("who2021"), limits=LIMITS, items=["pm2_5"]
    )
    row = one(engine, table, "pm2_5", "day.guideline", 2023)
    assert row["value"] == pytest.approx(np.percentile(noise, 99), abs=1e-6)
    mean = one(engine, table, "pm2_5", "year.interim_1", 2023)
    assert mean["value"] == pytest.approx(float(np.mean(noise)), abs=1e-6)
    assert row["exceedances"] == int((noise > 15).sum())


#: Days with data and the rank of the 98th percentile, counted from the highest: 40 CFR 50 appendix N, table 1.
RANKS_98 = [(274, 6), (300, 6), (301, 7), (350, 7), (351, 8), (365, 8)]


@pytest.mark.parametrize(("n", "rank"), RANKS_98)
def test_98th_percentile_of_the_us_is_a_rank(duckdb_engine, n: int, rank: int) -> None:
    days, values = [], []
    for year in (2021, 2022, 2023):
        kept = calendar(year)[:n]
        days += kept
        values += [float(i) for i in range(1, n + 1)]
    table = compare(
        day_table(duckdb_engine, days, "pm2_5", values), [2023], book("usepa2024"), limits=LIMITS, items=["pm2_5"]
    )
    assert one(duckdb_engine, table, "pm2_5", "day.primary", 2023)["value"] == n + 1 - rank


def test_three_years_are_averaged_and_two_do_not_tell(duckdb_engine) -> None:
    days = calendar(2021, 2023)
    means = {2021: 12.0, 2022: 9.0, 2023: 6.0}
    data = day_table(duckdb_engine, days, "pm2_5", [means[d.year] for d in days])
    ruler = book("usepa2024")
    table = compare(data, [2022, 2023], ruler, limits=LIMITS, items=["pm2_5"])
    row = one(duckdb_engine, table, "pm2_5", "year.primary", 2023)
    assert (row["value"], row["attained"], row["data_valid"]) == (9.0, True, True)
    short = one(duckdb_engine, table, "pm2_5", "year.primary", 2022)
    assert (short["value"], short["attained"], short["data_valid"]) == (10.5, None, False)


def test_a_year_missing_between_two_is_not_bridged(duckdb_engine) -> None:
    days = calendar(2020) + calendar(2021) + calendar(2023)
    data = day_table(duckdb_engine, days, "pm2_5", [8.0] * len(days))
    table = compare(data, [2023], book("usepa2024"), limits=LIMITS, items=["pm2_5"])
    assert one(duckdb_engine, table, "pm2_5", "year.primary", 2023)["data_valid"] is False


def test_the_us_annual_mean_is_a_mean_of_quarters(duckdb_engine) -> None:
    """40 CFR 50 appendix N 4.4: unequal quarters weigh the same."""
    days = [d for d in calendar(2021, 2023) if not (d.month <= 3 and d.day > 24)]
    data = day_table(duckdb_engine, days, "pm2_5", [20.0 if d.month <= 3 else 4.0 for d in days])
    table = compare(data, [2023], book("usepa2024"), limits=LIMITS, items=["pm2_5"])
    row = one(duckdb_engine, table, "pm2_5", "year.primary", 2023)
    assert row["value"] == 8.0
    assert row["data_valid"] is True


def test_short_data_leave_a_mean_open_but_not_a_count_already_exceeded(duckdb_engine) -> None:
    """Directive (EU) 2024/2881 annex V point D: exceedances of part of a year may still be non-compliance."""
    days = calendar(2023)[:200]
    data = day_table(duckdb_engine, days, "pm10", [60.0] * 19 + [10.0] * 181)
    table = compare(data, [2023], book("eu2024"), limits=LIMITS, items=["pm10"])
    counted = one(duckdb_engine, table, "pm10", "day.limit_2030", 2023)
    assert (counted["exceedances"], counted["attained"], counted["data_valid"]) == (19, False, False)
    assert one(duckdb_engine, table, "pm10", "day.limit_2026", 2023)["attained"] is None
    assert one(duckdb_engine, table, "pm10", "year.limit_2030", 2023)["attained"] is None


def test_share_of_days_decides_validity_at_its_edge(duckdb_engine) -> None:
    """85 % of 365 is 310.25: 311 days suffice, 310 do not."""
    for n, valid in ((310, False), (311, True)):
        days = calendar(2023)[:n]
        data = day_table(duckdb_engine, days, "pm10", [10.0] * n)
        table = compare(data, [2023], book("eu2024"), limits=LIMITS, items=["pm10"])
        assert one(duckdb_engine, table, "pm10", "year.limit_2030", 2023)["data_valid"] is valid


def test_peak_season_is_the_largest_six_months(engine) -> None:
    """May to October at 80, the rest at 40: the peak season mean is 80; IT-2 (70) is missed, IT-1 (100) held."""
    days = calendar(2023)
    values = [80.0 if 5 <= d.month <= 10 else 40.0 for d in days]
    table = compare(
        day_table(engine, days, "mda8", values), [2023], book("who2021"), limits=LIMITS, items=["mda8"]
    )
    rows = {
        r: one(engine, table, "mda8", f"peak_season.{r}", 2023) for r in ("guideline", "interim_1", "interim_2")
    }
    assert [row["value"] for row in rows.values()] == [80.0, 80.0, 80.0]
    assert {r: row["attained"] for r, row in rows.items()} == {
        "guideline": False,
        "interim_1": True,
        "interim_2": False,
    }


def test_a_season_over_the_turn_of_the_year_is_an_option(duckdb_engine) -> None:
    days = calendar(2022, 2023)
    high = {(2022, 11), (2022, 12), (2023, 1), (2023, 2), (2023, 3), (2023, 4)}
    values = [90.0 if (d.year, d.month) in high else 30.0 for d in days]
    data = day_table(duckdb_engine, days, "mda8", values)
    ending = compare(
        data, [2023], book("who2021", peak_season_window="ending_in_year"), limits=LIMITS, items=["mda8"]
    )
    within = compare(data, [2023], book("who2021"), limits=LIMITS, items=["mda8"])
    assert one(duckdb_engine, ending, "mda8", "peak_season.guideline", 2023)["value"] == 90.0
    spring = [v for d, v in zip(days, values, strict=True) if d.year == 2023 and d.month <= 6]
    assert one(duckdb_engine, within, "mda8", "peak_season.guideline", 2023)["value"] == pytest.approx(
        np.mean(spring), abs=1e-6
    )


def test_a_gap_of_a_month_does_not_pass_for_a_season(duckdb_engine) -> None:
    days = [d for d in calendar(2023) if d.month in (1, 2, 3, 10, 11, 12)]
    data = day_table(duckdb_engine, days, "mda8", [70.0] * len(days))
    table = compare(data, [2023], book("who2021"), limits=LIMITS, items=["mda8"])
    assert one(duckdb_engine, table, "mda8", "peak_season.guideline", 2023)["value"] is None


def hour_rows(days: list[date], value: Any) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = {name: [] for name in HOUR_SCHEMA.names}
    for d in days:
        for hour in range(1, 25):
            rows["place"].append("P")
            rows["time"].append(from_day_and_hour(d, hour))
            rows["day"].append(d)
            rows["hour"].append(hour)
            for item in HOURLY_ITEMS:
                rows[item].append(value(item, d, hour))
    return rows


def test_hourly_forms_use_hours_daily_maxima_and_eight_hours(duckdb_engine) -> None:
    """NO2 is 100, once 250 on each of four days; CO is 1 mg/m³ but eight hours at 12 over midnight of 3 July."""

    def value(item: str, d: date, hour: int) -> float | None:
        if item == "no2":
            return 250.0 if hour == 9 and (d.month, d.day) in {(3, 1), (4, 1), (5, 1), (6, 1)} else 100.0
        if item == "co":
            evening = d == date(2023, 7, 2) and hour >= 21
            return 12.0 if evening or (d == date(2023, 7, 3) and hour <= 4) else 1.0
        return None

    days = calendar(2023)
    hours = duckdb_engine.load(hour_rows(days, value), HOUR_SCHEMA)
    data = day_table(duckdb_engine, days, "no2", [100.0] * len(days))
    european = book("eu2024")
    table = compare(data, [2023], european, limits=LIMITS, items=["co", "no2"], hours=hours)
    hourly = one(duckdb_engine, table, "no2", "hour.limit_2030", 2023)
    assert (hourly["exceedances"], hourly["allowed_exceedances"], hourly["attained"]) == (4, 3, False)
    assert hourly["data_valid"] is True
    assert one(duckdb_engine, table, "no2", "hour.limit_2026", 2023)["attained"] is True
    eight = one(duckdb_engine, table, "co", "8h.limit_2030", 2023)
    # The full eight hours are labelled 04:00: 3 July is the one day above 10 mg/m³.
    assert eight["exceedances"] == 1
    assert eight["attained"] is False
    american = compare(data, [2023], book("usepa2024"), limits=LIMITS, items=["co", "no2"], hours=hours)
    carbon = one(duckdb_engine, american, "co", "8h.primary", 2023)
    assert (carbon["exceedances"], carbon["attained"]) == (1, True)
    largest = one(duckdb_engine, american, "no2", "hour.primary", 2023)
    assert largest["data_valid"] is False  # one year of three
    assert largest["value"] == round(100 / 46.0055 * GAS_CONSTANT * 298.15 / 101.325)


def test_a_ratio_does_not_depend_on_the_state_of_measurement() -> None:
    """The same air: 100 µg/m³ at 273.15 K is 91.62 µg/m³ at 298.15 K, and one number of ppb."""
    american = book("usepa2024")
    form = next(f for f in forms(american) if (f.item, f.name) == ("no2", "hour.primary"))
    old = load_book("gb3095", date(2018, 8, 31))
    now = load_book("gb3095", date(2018, 9, 1))
    assert 100 * factor(form, american, old) == pytest.approx(100 * 273.15 / 298.15 * factor(form, american, now))
    # EPA's own factor: 1 ppb NO2 = 1.88 µg/m³ at 25 °C and 1 atm.
    assert 1 / factor(form, american, now) == pytest.approx(1.88, abs=0.005)


def test_states_of_gases() -> None:
    """EU at 293 K; WHO as measured unless asked; particles untouched (factors computed by hand)."""
    european, who = book("eu2024"), book("who2021")
    gas = next(f for f in forms(european) if f.item == "no2")
    particle = next(f for f in forms(european) if f.item == "pm10")
    assert factor(gas, european, LIMITS) == pytest.approx(298.15 / 293 * 1013 / 1013.25)
    assert factor(particle, european, LIMITS) == 1
    who_gas = next(f for f in forms(who) if f.item == "no2")
    assert factor(who_gas, who, LIMITS) == 1
    assert factor(who_gas, book("who2021", gas_state="converted"), LIMITS) == pytest.approx(298.15 / 293.15)


def test_a_book_without_forms_is_refused() -> None:
    with pytest.raises(RuleError, match=r"GB 3095-2012 \(gb3095\) holds no forms.*who2021"):
        forms(LIMITS)


def test_years_and_places_stay_apart(duckdb_engine) -> None:
    days = calendar(2022, 2023)
    frame = {name: [] for name in DAY_SCHEMA.names}
    for place, base in (("A", 4.0), ("B", 40.0)):
        for d in days:
            frame["place"].append(place)
            frame["day"].append(d)
            for item in DAILY_ITEMS:
                frame[item].append(base + (d.year - 2022) if item == "pm2_5" else None)
    data = duckdb_engine.load(frame, DAY_SCHEMA)
    table = compare(data, [2022, 2023], book("who2021"), limits=LIMITS, items=["pm2_5"])
    rows = duckdb_engine.rows(table.filter((table["item"] == "pm2_5") & (table.form == "year.guideline")))
    found = {(r["place"], r["period"]): (r["value"], r["attained"]) for r in rows}
    assert found == {
        ("A", "2022"): (4.0, True),
        ("A", "2023"): (5.0, True),
        ("B", "2022"): (40.0, False),
        ("B", "2023"): (41.0, False),
    }


def test_times_of_the_test_hours_are_hour_ends() -> None:
    assert from_day_and_hour(date(2023, 7, 3), 4) == datetime(2023, 7, 2, 20, tzinfo=UTC)
