"""The check at the door. Sources: docs/design/0002-contracts.md section 1 and synthetic truth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from qinglan.core import contracts
from qinglan.core.batch import REJECT_CODES, Reject
from qinglan.core.clock import day_and_hour
from qinglan.core.contracts import judge
from qinglan.core.errors import LayoutError, UnknownName
from qinglan.core.tables import DATASETS

START = datetime(2025, 1, 1, tzinfo=UTC)


def hours(n: int = 48, **columns: list[object]) -> pl.DataFrame:
    given = {
        "station": ["1480A"] * n,
        "time": [START + timedelta(hours=i) for i in range(n)],
        "pm10": [50.0 + i for i in range(n)],
        "co": [0.5] * n,
    }
    return pl.DataFrame({**given, **columns}, strict=False)


def accounted(frame: pl.DataFrame, good: pl.DataFrame, rejects: list[Reject]) -> bool:
    return frame.height == good.height + sum(r.rows for r in rejects)


def test_good_rows_get_day_and_hour_of_the_official_clock() -> None:
    good, rejects = judge(hours(), "hours")
    assert not rejects
    assert [(d, h) for d, h in good.select("day", "hour").iter_rows()] == [day_and_hour(t) for t in good["time"]]
    assert good.columns == [n for n in DATASETS["hours"].names if n != "load_id"]


def test_missing_item_is_empty_and_nan_is_missing_but_zero_stays() -> None:
    good, rejects = judge(hours(3, pm10=[float("nan"), 0.0, None]), "hours")
    assert good["pm10"].to_list() == [None, 0.0, None]
    assert good["so2"].null_count() == 3
    assert not rejects


def test_bad_value_costs_its_cell_and_bad_key_its_row() -> None:
    frame = hours().with_columns(
        pl.when(pl.int_range(pl.len()) == 3).then(1e6).otherwise("pm10").alias("pm10"),
        pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise("station").alias("station"),
        pl.when(pl.int_range(pl.len()) == 7).then(START + timedelta(minutes=427)).otherwise("time").alias("time"),
        (pl.int_range(pl.len()) + 2).alias("source_line"),
    )
    good, rejects = judge(frame, "hours")
    assert [(r.code, r.field, r.line, r.rows) for r in rejects] == [
        ("out_of_contract", "station", 7, 1),
        ("bad_time", "time", 9, 1),
        ("out_of_contract", "pm10", 5, 0),
    ]
    assert good.filter(pl.col("time") == START + timedelta(hours=3))["pm10"].to_list() == [None]
    assert '"co": 0.5' in rejects[2].raw
    assert "1000000.0" in rejects[2].reason
    assert "100000 µg/m³" in rejects[2].reason
    assert accounted(frame, good, rejects)


def test_infinite_is_set_aside() -> None:
    good, rejects = judge(hours(2, pm10=[float("inf"), 5.0]), "hours")
    assert good["pm10"].to_list() == [None, 5.0]
    assert [r.code for r in rejects] == ["out_of_contract"]


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_scan_and_pandera_agree_on_every_column(name: str) -> None:
    """The fast scan lets a frame pass exactly when Pandera does: each column is broken in turn."""
    contract = DATASETS[name]
    sound = {
        "str": "x", "float": None, "int": None, "hour": 1, "date": START.date(), "time": START, "bool": True,
    }  # fmt: skip
    good = {}
    for column in (contract.column(n) for n in contract.handed):
        value = column.choices[0] if column.choices else sound[column.kind]
        good[column.name] = (
            (column.low + column.high) / 2 if column.low is not None and column.kind == "float" else value
        )
    frame = contracts._typed(pl.DataFrame({k: [v] for k, v in good.items()}, strict=False), contract)
    assert frame.select(contracts._sound(contract)).item()
    assert not contracts._failures(frame.with_row_index("_row"), contract)
    for column in (contract.column(n) for n in contract.handed):
        breaks: list[object] = [] if column.nullable else [None]
        if column.low is not None and column.high is not None:
            breaks += [column.low - 1, column.high + 1]
        if column.choices:
            breaks.append("neither")
        if column.kind == "time":
            breaks += [START + timedelta(minutes=1), datetime(1960, 1, 1, tzinfo=UTC)]
        if column.kind == "date":
            breaks.append(datetime(2200, 1, 1).date())  # noqa: DTZ001
        for value in breaks:
            broken = frame.with_columns(pl.lit(value, frame.schema[column.name]).alias(column.name))
            assert not broken.select(contracts._sound(contract)).item(), (column.name, value)
            assert contracts._failures(broken.with_row_index("_row"), contract), (column.name, value)


@pytest.mark.parametrize(("column", "factor"), [("pm10", 1e-3), ("co", 1e3)])
def test_wrong_unit_is_suspected_and_can_be_confirmed(column: str, factor: float) -> None:
    """mg/m³ written for µg/m³ and the other way round (issue 2, 'must show' 6)."""
    frame = hours().with_columns(pl.col(column) * factor)
    good, rejects = judge(frame, "hours")
    assert [(r.code, r.field, r.rows) for r in rejects] == [("wrong_unit_suspected", column, 0)]
    assert good[column].null_count() == good.height
    assert "accept_units=yes" in rejects[0].remedy
    good, rejects = judge(frame, "hours", accept_units=True)
    assert not rejects
    assert good[column].null_count() == 0


def test_few_values_say_nothing_about_the_unit() -> None:
    _, rejects = judge(hours(5, pm10=[0.05] * 5), "hours")
    assert not rejects


def test_duplicates_that_agree_and_that_do_not() -> None:
    frame = hours(30)
    frame = pl.concat([frame, frame[4:10], frame[10:12].with_columns(pl.lit(1.0).alias("co"))])
    good, rejects = judge(frame, "hours")
    assert [(r.code, r.rows) for r in rejects] == [
        ("duplicate_identical", 6),
        ("duplicate_conflict", 1),
        ("duplicate_conflict", 1),
    ]
    assert good["co"].to_list() == [0.5] * 30
    assert accounted(frame, good, rejects)


def test_a_connector_at_fault_is_told_so() -> None:
    with pytest.raises(LayoutError, match=r"unknown columns \['ozone'\]"):
        judge(hours().with_columns(ozone=1.0), "hours")
    with pytest.raises(LayoutError, match=r"no key columns \['time'\]"):
        judge(hours().drop("time"), "hours")


def test_reject_codes_are_closed_and_in_two_languages() -> None:
    with pytest.raises(UnknownName, match="known_unknown"):
        Reject("known_unknown")
    for code in REJECT_CODES.values():
        assert all((code.zh, code.en, code.remedy_zh, code.remedy_en))


def test_every_column_has_meaning_and_measured_ones_a_unit() -> None:
    unitless = {"hour", "aqi", "reported_aqi"}
    for contract in DATASETS.values():
        for column in contract.columns:
            assert column.zh
            assert column.en
            assert (column.low is None) == (column.high is None)
            assert bool(column.unit) == (column.low is not None and column.name not in unitless), column
