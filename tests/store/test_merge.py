"""Merging of rows. Source: the rules stated in docs/design/0005-store.md, and conservation of rows."""

from __future__ import annotations

from datetime import date

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from qinglan.core.tables import CITY_DAYS
from qinglan.store.merge import SOURCE, changing, merge

DAY = date(2025, 3, 1)
_CELL = st.sampled_from([None, 1.0, 2.0])
_SCHEMA = {
    n: pl.Date if n == "day" else pl.String if n in ("place", "load_id") else pl.Float64 for n in CITY_DAYS.names
}


def frame(rows: list[dict[str, object]], load: str) -> pl.DataFrame:
    full = [{**dict.fromkeys(_SCHEMA), "day": DAY, "load_id": load, **row} for row in rows]
    return pl.DataFrame(full, schema=_SCHEMA)


def new(rows: list[dict[str, object]], load: str = "new") -> pl.DataFrame:
    return frame(rows, load).with_columns(pl.lit(0, pl.Int32).alias(SOURCE))


def counts(merged: pl.DataFrame) -> dict[str, int]:
    return dict(merged.select("_outcome", "len").iter_rows())


def test_each_outcome() -> None:
    old = frame(
        [{"place": p, "pm10": 50.0, "co": c} for p, c in zip("abcd", (1.0, 1.0, None, 1.0), strict=True)], "old"
    )
    rows = [
        {"place": "a", "pm10": 50.0, "co": 1.0},
        {"place": "b", "pm10": 51.0},
        {"place": "c", "co": 2.0},
        {"place": "e", "pm10": 1.0},
    ]
    merged = merge(old, new(rows), CITY_DAYS)
    assert counts(merged.outcomes) == {"unchanged": 1, "superseded": 1, "filled": 1, "inserted": 1}
    got = {r["place"]: (r["pm10"], r["co"], r["load_id"]) for r in merged.rows.iter_rows(named=True)}
    assert got == {
        "a": (50.0, 1.0, "old"),
        "b": (51.0, 1.0, "new"),  # an empty cell did not erase co
        "c": (50.0, 2.0, "new"),
        "d": (50.0, 1.0, "old"),
        "e": (1.0, None, "new"),
    }
    kept = {
        r["place"]: (r["pm10"], r["load_id"], r["superseded_by"], r["cause"])
        for r in merged.old.iter_rows(named=True)
    }
    assert kept == {"b": (50.0, "old", "new", "changed"), "c": (50.0, "old", "new", "filled")}


def test_empty_erases_only_when_replacing() -> None:
    old = frame([{"place": "a", "pm10": 50.0, "co": 1.0}], "old")
    row = new([{"place": "a", "pm10": 50.0}])
    assert counts(merge(old, row, CITY_DAYS).outcomes) == {"unchanged": 1}
    replaced = merge(old, row, CITY_DAYS, replace=True)
    assert counts(replaced.outcomes) == {"superseded": 1}
    assert replaced.rows["co"].to_list() == [None]
    assert replaced.old["co"].to_list() == [1.0]


def test_another_load_id_is_no_change() -> None:
    old = frame([{"place": "a", "pm10": 50.0}], "old")
    merged = merge(old, new([{"place": "a", "pm10": 50.0}]), CITY_DAYS)
    assert not merged.changed
    assert merged.rows["load_id"].to_list() == ["old"]


_row = st.fixed_dictionaries(
    {
        "place": st.sampled_from("abc"),
        "pm10": st.sampled_from([None, 1.0, 2.0]),
        "co": st.sampled_from([None, 3.0]),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_row, max_size=8), st.booleans())
def test_one_merge_equals_row_by_row(rows: list[dict[str, object]], replace: bool) -> None:
    """Repeated keys in one write end as if each row had come in its own load (against the simple way)."""
    together = merge(frame([], "old"), new(rows), CITY_DAYS, replace=replace)
    single, outcomes, gone = frame([], "old"), 0, 0
    for row in rows:
        step = merge(single, new([row]), CITY_DAYS, replace=replace)
        single, gone = step.rows, gone + step.old.height
        outcomes += step.outcomes["len"].sum()
    assert together.rows.equals(single)
    assert together.old.height == gone
    assert together.outcomes["len"].sum() == outcomes == len(rows)


@given(st.booleans(), st.lists(st.tuples(st.integers(0, 5), _CELL, _CELL), min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_what_would_change_is_what_the_merge_changes(replace: bool, said: list[tuple[int, float, float]]) -> None:
    """Rows told beforehand to change something are those whose outcome, each by itself, is not `unchanged`."""
    old = frame([{"place": str(n), "so2": 1.0 if n % 2 else None, "pm10": 2.0} for n in range(4)], "old")
    rows = new([{"place": str(n), "so2": so2, "pm10": pm10} for n, so2, pm10 in said])
    told = changing(old, rows, CITY_DAYS, replace=replace)
    assert told.to_list() == [merge(old, rows[k], CITY_DAYS, replace=replace).changed for k in range(rows.height)]
