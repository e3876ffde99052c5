"""The benchmark's network: size, shape and missing share as written, memory by the chunk."""

from __future__ import annotations

import duckdb
import polars as pl
import pytest

from qinglan.core.errors import UsageError
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow.simulate import write_national
from qinglan.sim.national import national_register, national_year


def test_rows_and_stations(tmp_path):
    files = write_national(tmp_path, stations=120, days=40, stations_per_file=100)
    assert len(files) == 2
    with duckdb.connect() as con:
        rows, stations, first, last = con.execute(
            "select count(*), count(distinct station), min(day)::varchar, max(day)::varchar from read_parquet($f)",
            {"f": [str(f) for f in files]},
        ).fetchone()
        places = con.execute(
            "select count(distinct place) from read_parquet($f)", {"f": str(tmp_path / "register.parquet")}
        )
        assert places.fetchone() == (24,)
    assert (rows, stations, first, last) == (120 * 40 * 24, 120, "2025-01-01", "2025-02-09")


def test_values_look_like_air():
    table = pl.concat(pl.DataFrame(t) for t in national_year(stations=60, days=120, chunk=25))
    values = table.select(HOURLY_ITEMS)
    missing = sum(values[i].null_count() for i in HOURLY_ITEMS) / (6 * table.height)
    assert missing == pytest.approx(0.02, abs=0.002)
    assert (table["pm2_5"] <= table["pm10"]).mean() > 0.999
    assert all(((values[i] * 10) % (1 if i == "co" else 10)).abs().max() < 1e-6 for i in HOURLY_ITEMS if i != "co")
    assert 5 < table["pm2_5"].median() < 60
    assert not table.select("station", "time").is_duplicated().any()


def test_equal_arguments_give_equal_tables_and_seeds_differ():
    one, again, other = (next(national_year(10, 10, seed)) for seed in (1, 1, 2))
    assert one.equals(again)
    assert not one.equals(other)


def test_stations_are_the_same_in_a_larger_network():
    small, large = next(national_year(10, 10)), next(national_year(50, 10, chunk=50))
    few, many = pl.DataFrame(small)["pm10"], pl.DataFrame(large)["pm10"].head(small.num_rows)
    both = few.is_not_null() & many.is_not_null()
    assert few.filter(both).equals(many.filter(both))


def test_nonsense_is_refused():
    with pytest.raises(UsageError, match="stations=0"):
        next(national_year(0))
    assert national_register(6)["place"].to_pylist()[-1] == "900001"
