"""Automatic rules on both engines, by hand-made hours; people's decisions; real traps; the simulated truth."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import polars as pl
import pyarrow as pa
import pytest

from qinglan.air import qc
from qinglan.air.qc.runs import block_hours, stuck_lengths
from qinglan.core.clock import day_and_hour
from qinglan.core.errors import RuleError, UnknownName, UsageError
from qinglan.core.names import HOURLY_ITEMS
from qinglan.plan.rules import load_book

BOOK = load_book("qc", date(2025, 3, 1))
T0 = datetime(2025, 2, 28, 17, tzinfo=UTC)  # label 01:00 of 1 March
CLEAN = {"so2": 12.0, "no2": 20.0, "co": 0.8, "o3": 80.0, "pm10": 60.0, "pm2_5": 25.0}
SCHEMA = pa.schema(
    [
        ("station", pa.string()),
        ("time", pa.timestamp("us", "UTC")),
        ("day", pa.date32()),
        ("hour", pa.int8()),
        *[(i, pa.float64()) for i in HOURLY_ITEMS],
        ("load_id", pa.string()),
    ]
)


def hours(n: int, **series: list[float | None]) -> pa.Table:
    """`n` hours of ordinary air that changes from hour to hour, with given items overwritten."""
    rows: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    for i in range(n):
        time = T0 + timedelta(hours=i)
        day, hour = day_and_hour(time)
        own = {k: round(v + (i % 5) * v / 20, 1) for k, v in CLEAN.items()}
        own |= {k: v[i] for k, v in series.items() if i < len(v)}
        row = {"station": "1480A", "time": time, "day": day, "hour": hour, **own, "load_id": "a"}
        for name in rows:
            rows[name].append(row[name])
    return pa.table(rows, schema=SCHEMA)


def found(engine: Any, table: pa.Table, *rules: str, book: Any = BOOK) -> list[tuple[int, str, str, str]]:
    """Flags as (hours after the first, item, rule, state), in order."""
    flags = qc.check(engine.load(table), book=book, rules=rules or qc.RULES)
    rows = engine.rows(flags)
    stamp = [r["time"] if r["time"].tzinfo else r["time"].replace(tzinfo=UTC) for r in rows]
    made = [
        (int((t - T0) / timedelta(hours=1)), r["item"], r["rule"], r["state"])
        for t, r in zip(stamp, rows, strict=True)
    ]
    return sorted(made)


def test_ordinary_air_is_not_flagged(duckdb_engine: Any):
    assert found(duckdb_engine, hours(60)) == []


def test_every_rule_at_once_on_both_engines(engine: Any):
    """One table with a case for each rule; the engines must give the same flags, details included."""
    table = hours(
        60,
        so2=[12.0, 1400.0, -5.0, -20.0, *([40.0] * 10)],
        no2=[20.0] * 14 + [24.0 + i % 3 for i in range(6)] + [200.0, 20.0, 210.0],
        o3=[80.0, 90.0, 500.0, 85.0, *([0.0] * 24)],
        pm2_5=[90.0, 30.0],
        co=[0.8, 0.0],
    )
    loaded = engine.load(table)
    rows = engine.rows(qc.check(loaded, book=BOOK))
    first = [r for r in rows if r["day"] == date(2025, 3, 1)]
    seen = sorted((r["hour"], r["item"], r["rule"], r["state"], r["detail"]) for r in first)
    assert {f[2] for f in seen} == {"range", "negative", "zero", "pm_order", "stuck", "zero_run", "spike"}
    assert (3, "o3", "spike", "invalid", "90.0 → 500.0 → 85.0: 单小时突变 / one-hour spike") in seen
    assert (22, "no2", "spike", "invalid", "200.0 → 20.0 → 210.0: 单小时突变 / one-hour spike") in seen
    assert (2, "so2", "range", "invalid", "1400.0 > 1309.0: 超出仪器量程 / above the instrument's range") in seen
    assert (1, "pm2_5", "pm_order", "invalid", "PM2.5 90.0 > PM10 60.0: 倒挂 / reversed") in seen
    assert [f[0] for f in seen if f[1:4] == ("so2", "stuck", "invalid")] == list(range(5, 15))
    assert [f[0] for f in seen if f[1:4] == ("o3", "zero_run", "missing")] == list(range(5, 25))
    assert len(rows) - len(seen) == 8  # the zeros of 2 March, each by two rules


def test_one_of_each_row_rule(duckdb_engine: Any):
    # Limits: 500 nmol/mol SO2 are 1309 µg/m³ at 298.15 K; drift 13.1; CO and particles are never zero.
    table = hours(
        8,
        so2=[1309.0, 1310.0, -13.0, -14.0, 0.0],
        co=[0.8, 0.7, 0.8, 0.7, 0.8, 0.0],
        no2=[20.0, 21.0, 20.0, 21.0, 20.0, 0.0],
        pm10=[60.0, 61.0, 60.0, 61.0, 60.0, 61.0, 50.0, 50.0],
        pm2_5=[25.0, 26.0, 25.0, 26.0, 25.0, 26.0, 60.0, 61.0],
    )
    assert found(duckdb_engine, table, "range", "negative", "zero", "pm_order") == [
        (1, "so2", "range", "invalid"),
        (2, "so2", "negative", "below_detection"),
        (3, "so2", "negative", "invalid"),
        (4, "so2", "zero", "below_detection"),
        (5, "co", "zero", "missing"),
        (5, "no2", "zero", "missing"),
        (7, "pm10", "pm_order", "invalid"),
        (7, "pm2_5", "pm_order", "invalid"),
    ]


def test_instrument_range_follows_the_reference_state_of_the_time(duckdb_engine: Any):
    table = hours(1, so2=[1400.0])
    assert found(duckdb_engine, table, "range")
    assert found(duckdb_engine, table, "range", book=load_book("qc", date(2018, 8, 31))) == []


@pytest.mark.parametrize("length", [6, 7, 12])
@pytest.mark.parametrize("first", range(8))
def test_stuck_runs_are_found_wherever_the_blocks_fall(duckdb_engine: Any, length: int, first: int):
    """PM2.5 above 10: seven equal hours. Every alignment of run and block, by the definition itself."""
    series = [30.0 + (i % 3) for i in range(40)]
    series[first : first + length] = [55.0] * length
    table = hours(40, pm2_5=series, pm10=[v + 20 for v in series])
    expected = [(i, "pm2_5", "stuck", "invalid") for i in range(first, first + length)] if length >= 7 else []
    assert [f for f in found(duckdb_engine, table, "stuck") if f[1] == "pm2_5"] == expected


def test_length_of_a_stuck_run_depends_on_the_value(duckdb_engine: Any):
    # SO2 at 6 for 23 h is plateau air; 24 h is a fault (up_to 10: 24); at 40, 10 h are.
    table = hours(60, so2=[6.0] * 23 + [7.0, 8.0] + [6.0] * 24 + [41.0] + [40.0] * 10)
    flags = found(duckdb_engine, table, "stuck")
    assert [f[0] for f in flags] == [*range(25, 49), *range(50, 60)]


def test_a_missing_hour_or_row_ends_a_run(duckdb_engine: Any):
    series: list[float | None] = [55.0] * 13
    series[6] = None
    assert found(duckdb_engine, hours(20, pm2_5=series), "stuck") == []
    whole = hours(20, pm2_5=[55.0] * 13)
    cut = pa.concat_tables([whole.slice(0, 6), whole.slice(7)])
    assert found(duckdb_engine, cut, "stuck") == []


def test_zeros_in_a_row_and_a_frozen_row(duckdb_engine: Any):
    zeros = hours(40, o3=[80.0, *([0.0] * 24), 75.0])
    assert {f[2:] for f in found(duckdb_engine, zeros, "zero_run")} == {("zero_run", "missing")}
    assert len(found(duckdb_engine, zeros, "zero_run")) == 24
    still = {k: [v] * 7 + [v * 1.3] * 3 for k, v in CLEAN.items()}
    flags = found(duckdb_engine, hours(10, **still), "frozen")
    assert len(flags) == 7 * 6
    assert {f[0] for f in flags} == set(range(7))
    moving = still | {"o3": [80.0 + i for i in range(10)]}
    assert found(duckdb_engine, hours(10, **moving), "frozen") == []


def test_spikes_up_and_down_and_what_is_none(duckdb_engine: Any):
    o3 = [80.0, 85.0, 500.0, 82.0, 81.0]  # up: by the factor 3 and by 120
    no2 = [200.0, 210.0, 20.0, 205.0, 200.0]  # down
    so2 = [10.0, 12.0, 60.0, 11.0, 12.0]  # by the factor, not by the amount 150
    step = [60.0, 60.0, 900.0, 880.0, 860.0]  # dust arrives and stays
    table = hours(5, o3=o3, no2=no2, so2=so2, pm10=step)
    assert found(duckdb_engine, table, "spike") == [(2, "no2", "spike", "invalid"), (2, "o3", "spike", "invalid")]


def test_particles_that_jump_together_are_air(duckdb_engine: Any):
    pm10 = [60.0, 62.0, 900.0, 61.0, 60.0]
    alone = hours(5, pm10=pm10, pm2_5=[25.0, 26.0, 27.0, 25.0, 26.0])
    joint = hours(5, pm10=pm10, pm2_5=[25.0, 26.0, 60.0, 25.0, 26.0])
    assert found(duckdb_engine, alone, "spike") == [(2, "pm10", "spike", "invalid")]
    assert found(duckdb_engine, joint, "spike") == []
    review = BOOK.with_options(spike="review")
    assert found(duckdb_engine, alone, "spike", book=review) == [(2, "pm10", "spike", "valid")]


def test_repeated_hours_conflict_agree_or_fill(duckdb_engine: Any):
    table = hours(3, pm10=[60.0, 61.0, 62.0])
    second = table.slice(1, 1)
    at = second.schema.get_field_index
    other = second.set_column(at("pm10"), "pm10", pa.array([99.0])).set_column(
        at("no2"), "no2", pa.array([None], pa.float64())
    )
    raw = pa.concat_tables([table, other])
    flags = found(duckdb_engine, raw, "duplicate")
    assert [f for f in flags if f[3] == "invalid"] == [(1, "pm10", "duplicate", "invalid")]
    assert len(flags) == 6
    unique = duckdb_engine.rows(qc.unique_hours(duckdb_engine.load(raw), HOURLY_ITEMS), "time")
    assert len(unique) == 3
    assert unique[1]["no2"] == table["no2"][1].as_py()


def test_stale_rows_of_a_dead_station(duckdb_engine: Any):
    rows = hours(72)
    old = rows.slice(0, 2)
    at = old.schema.get_field_index
    old = old.set_column(at("day"), "day", pa.array([date(2019, 3, 1)] * 2)).set_column(
        at("time"),
        "time",
        pa.array([T0 - timedelta(days=2192, hours=h) for h in (0, 1)], SCHEMA.field("time").type),
    )
    table = duckdb_engine.load(pa.concat_tables([rows, old]))
    flags = duckdb_engine.rows(qc.stale(table, HOURLY_ITEMS, BOOK), "item")
    assert len(flags) == 2 * 6
    assert {r["day"] for r in flags} == {date(2019, 3, 1)}
    loads = duckdb_engine.load(
        pa.table({"load_id": ["a"], "loaded_at": pa.array([T0 + timedelta(hours=70)], pa.timestamp("us", "UTC"))})
    )
    late = duckdb_engine.rows(qc.stale(duckdb_engine.load(rows), HOURLY_ITEMS, BOOK, loads=loads))
    # The 72nd hour ends 71 h after T0: an hour late is tolerated, so nothing here; one more is not.
    assert late == []
    ahead = duckdb_engine.load(hours(73))
    assert {r["rule"] for r in duckdb_engine.rows(qc.stale(ahead, HOURLY_ITEMS, BOOK, loads=loads))} == {"stale"}


def decision(hour: int, item: str, rule: str, word: str, minutes: int) -> dict[str, Any]:
    return {
        "station": "1480A",
        "time": T0 + timedelta(hours=hour),
        "item": item,
        "rule": rule,
        "decision": word,
        "reason": "现场核实",
        "by": "li",
        "decided_at": T0 + timedelta(days=1, minutes=minutes),
    }


def test_apply_keeps_four_states_and_people_overrule(engine: Any):
    table = hours(7, so2=[1400.0, 1500.0, -5.0, None, 12.0, 13.0, 1600.0], co=[0.0])
    loaded = engine.load(table)
    flags = qc.check(loaded, book=BOOK)
    said = [
        decision(1, "so2", "range", "keep", 1),
        decision(4, "so2", "person", "reject", 1),
        decision(6, "so2", "range", "keep", 1),
        decision(6, "so2", "range", "reject", 2),  # the newer word counts
    ]
    types = {"time": pa.timestamp("us", "UTC"), "decided_at": pa.timestamp("us", "UTC")}
    columns = {k: pa.array([d[k] for d in said], types.get(k, pa.string())) for k in said[0]}
    decisions = engine.load(pa.table(columns))
    rows = engine.rows(qc.apply(loaded, flags, decisions, book=BOOK), "time")
    assert [r["so2_state"] for r in rows] == [
        "invalid", "valid", "below_detection", "missing", "invalid", "valid", "invalid",
    ]  # fmt: skip
    # Half the detection limit of 2 nmol/mol (5.2 µg/m³), HJ 193.
    assert [r["so2"] for r in rows] == [None, 1500.0, 2.6, None, None, 13.0, None]
    assert (rows[0]["co"], rows[0]["co_state"]) == (None, "missing")
    assert set(rows[0]) == {"station", "time", "day", "hour", *HOURLY_ITEMS, *(f"{i}_state" for i in HOURLY_ITEMS)}


def test_a_word_on_any_rule_lifts_all_and_an_older_one_does_not(duckdb_engine: Any):
    loaded = duckdb_engine.load(hours(2, pm2_5=[300.0, 300.0], pm10=[100.0, 100.0]))
    flags = qc.check(loaded, book=BOOK)
    said = [decision(0, "pm2_5", qc.ANY_RULE, "keep", 1), decision(1, "pm2_5", qc.ANY_RULE, "keep", 1)]
    said.append(decision(1, "pm2_5", "pm_order", "reject", 5))
    types = {"time": pa.timestamp("us", "UTC"), "decided_at": pa.timestamp("us", "UTC")}
    decisions = duckdb_engine.load(
        pa.table({k: pa.array([d[k] for d in said], types.get(k, pa.string())) for k in said[0]})
    )
    rows = duckdb_engine.rows(qc.apply(loaded, flags, decisions, book=BOOK), "time")
    assert [r["pm2_5_state"] for r in rows] == ["valid", "invalid"]
    assert [r["pm10_state"] for r in rows] == ["invalid", "invalid"]
    with pytest.raises(UsageError, match="lack the column"):
        qc.apply(loaded, flags, decisions.drop("reason"), book=BOOK)


def test_options_change_what_is_blamed_and_what_low_values_become(duckdb_engine: Any):
    table = hours(1, so2=[-5.0], pm10=[50.0], pm2_5=[80.0])
    for choice, items in (("pm2_5", {"pm2_5"}), ("pm10", {"pm10"}), ("both", {"pm10", "pm2_5"})):
        flags = found(duckdb_engine, table, "pm_order", book=BOOK.with_options(pm_order=choice))
        assert {f[1] for f in flags} == items
    loaded = duckdb_engine.load(table)
    for choice, value in (("half", 2.6), ("zero", 0.0), ("raw", -5.0), ("left_out", None)):
        book = BOOK.with_options(below_detection=choice)
        row = duckdb_engine.rows(qc.apply(loaded, qc.check(loaded, book=book), book=book))[0]
        assert (row["so2"], row["so2_state"]) == (value, "below_detection")


def test_a_slice_with_its_margin_has_the_flags_of_the_whole(duckdb_engine: Any):
    series = [20.0 + (i % 4) for i in range(400)]
    series[150:260] = [33.0] * 110
    table = hours(400, pm2_5=series, pm10=[v + 30 for v in series])
    whole = {f for f in found(duckdb_engine, table) if 200 <= f[0] < 230}
    wide = qc.margin(BOOK, HOURLY_ITEMS)
    part = {f for f in found(duckdb_engine, table.slice(200 - wide, 30 + 2 * wide)) if 200 <= f[0] < 230}
    assert part == whole
    assert len(whole) == 60


def test_unknown_rules_and_broken_tables_say_so():
    with pytest.raises(UnknownName, match="unknown quality rule 'spkie'"):
        qc.check(ibis.table(SCHEMA_IBIS), book=BOOK, rules=["spkie"])
    assert block_hours(BOOK, HOURLY_ITEMS, qc.RULES) == 4
    assert stuck_lengths(BOOK, "so2")[-1] == (None, 10)
    from dataclasses import replace

    wrong = dict(BOOK.values)
    wrong["stuck.so2"] = replace(wrong["stuck.so2"], value=({"hours": 10}, {"up_to": 5, "hours": 72}))
    with pytest.raises(RuleError, match=r"stuck\.so2 must ascend"):
        stuck_lengths(replace(BOOK, values=wrong), "so2")


SCHEMA_IBIS = {"station": "string", "time": "timestamp('UTC', 6)", "day": "date", "hour": "int8"} | dict.fromkeys(
    HOURLY_ITEMS, "float64"
)


def test_zeros_of_the_city_daily_archive_are_missing(duckdb_engine: Any, test_data: Path):
    """README of the data: Haidong holds 42 days of zeros, Yushu 43 of ozone and 20 of NO2."""
    path = test_data / "cn_city_daily_aqistudy_2013_2017" / "qinghai_8_prefectures_daily.csv.gz"
    frame = pl.read_csv(path)
    names = {"PM2.5": "pm2_5", "PM10": "pm10", "SO2": "so2", "CO": "co", "NO2": "no2", "O3": "mda8"}
    days = frame.select(
        pl.col("city").alias("place"),
        pl.col("date").str.to_date().alias("day"),
        *[pl.col(a).cast(float).alias(b) for a, b in names.items()],
    )
    flags = qc.check_days(duckdb_engine.load(days.to_arrow()), book=BOOK)
    rows = pl.from_arrow(duckdb_engine.connection.to_pyarrow(flags))
    assert isinstance(rows, pl.DataFrame)
    zeros = rows.filter(pl.col("rule") == "zero")
    assert set(zeros["state"]) == {"missing"}
    count = {(p, i): n for p, i, n in zeros.group_by("place", "item").len().iter_rows()}
    assert count["玉树州", "mda8"] == 43
    assert count["玉树州", "no2"] == 20
    assert zeros.filter(pl.col("place") == "海东地区")["day"].n_unique() >= 42


def test_faults_of_the_simulated_province(duckdb_engine: Any):
    """Synthetic truth of the simulation: which share of its faulty values is found, and how few sound ones are."""
    from qinglan.plan.places import load_stations
    from qinglan.plan.simulation import load_parameters
    from qinglan.sim.province import simulate

    stations = load_stations("simulated")[:10]
    made = simulate(stations, load_parameters(), date(2023, 1, 1), date(2023, 12, 31))
    flags = qc.check(duckdb_engine.load(made.hours), book=BOOK, rules=qc.ALL_RULES)
    flagged = pl.from_arrow(duckdb_engine.connection.to_pyarrow(flags))
    assert isinstance(flagged, pl.DataFrame)
    cell = ["station", "time", "item"]
    bad = flagged.filter(pl.col("state") != "valid")
    truth = pl.from_arrow(made.truth_faults)
    assert isinstance(truth, pl.DataFrame)
    # Episodes shorter than the rule's shortest run cannot be told from air.
    length = (pl.col("end") - pl.col("start")).dt.total_hours() + 1
    truth = truth.filter((pl.col("kind") != "stale") | (length >= int(BOOK.number("frozen.hours"))))
    expanded = truth.with_columns(time=pl.datetime_ranges("start", "end", interval="1h")).explode("time")
    hours_ = pl.from_arrow(made.hours)
    assert isinstance(hours_, pl.DataFrame)
    values = hours_.unique(["station", "time"], keep="first").unpivot(
        on=list(HOURLY_ITEMS), index=["station", "time"], variable_name="item", value_name="value"
    )
    expanded = expanded.join(values.drop_nulls(), on=cell, how="inner")
    hit = expanded.join(bad.select(cell).unique(), on=cell, how="semi")
    share = {
        k: hit.filter(kind=k).height / max(1, expanded.filter(kind=k).height) for k in expanded["kind"].unique()
    }
    assert share["zero"] > 0.95
    assert share["stale"] > 0.9
    assert share["stuck"] > 0.6  # short runs of low SO2 and CO are plateau air to the rule
    assert share["spike"] > 0.45  # the rest of the simulated spikes are no higher than ordinary hours
    # The option blames both particles for a reversal; of the others, hardly a sound value is flagged.
    others = bad.filter(pl.col("rule") != "pm_order")
    sound = others.join(expanded.select(cell).unique(), on=cell, how="anti")
    assert sound.height / others.height < 0.15
    assert sound.height / values.height < 0.002
