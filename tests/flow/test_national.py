"""A national network part by part: the same results as in one go, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from qinglan.core.clock import Period
from qinglan.core.errors import NotFound, UsageError
from qinglan.flow.national import Engine, national_year, parts
from qinglan.flow.simulate import write_national

PERIOD = Period.parse("2025-01")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], Any]:
    folder = tmp_path_factory.mktemp("network")
    files = write_national(folder, stations=40, days=31, stations_per_file=10)
    return files, pq.read_table(folder / "register.parquet")


def everything(made: dict[str, Path]) -> dict[str, list[tuple[Any, ...]]]:
    found = {}
    with duckdb.connect() as con:
        for name, path in made.items():
            pattern = path / "*.parquet" if path.is_dir() else path
            # A checksum of all rows, whatever their order.
            found[name] = con.execute(f"select count(*), sum(hash(t)::hugeint) from '{pattern}' t").fetchall()
    return found


def test_parts_give_what_the_whole_gives(network, rules: Callable[..., Any], tmp_path: Path) -> None:
    files, register = network
    engine = Engine(part_rows=15_000)
    assert [len(group) for group in parts(files, engine.part_rows)] == [2, 2]
    whole = national_year(files, register, tmp_path / "whole", [PERIOD], rules("2025-01-31"))
    split = national_year(files, register, tmp_path / "split", [PERIOD], rules("2025-01-31"), engine=engine)
    assert len(list(split["hourly_aqi"].iterdir())) == 2
    assert everything(whole) == everything(split)
    assert everything(whole)["hourly_aqi"][0][0] == 40 * 31 * 24
    assert everything(whole)["ranking"][0][0] == 8


def test_running_again_leaves_no_old_part(network, rules: Callable[..., Any], tmp_path: Path) -> None:
    files, register = network
    for engine in (Engine(part_rows=1), Engine()):
        made = national_year(files, register, tmp_path, [PERIOD], rules("2025-01-31"), engine=engine)
    assert [p.name for p in made["station_days"].iterdir()] == ["part-0000.parquet"]


def test_files_by_month_are_refused_where_windows_cross_midnight(
    network, rules: Callable[..., Any], tmp_path: Path
) -> None:
    files, register = network
    table = pq.read_table(files[0])
    halves = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    for path, rows in zip(halves, (table.slice(0, 1000), table.slice(1000)), strict=True):
        pq.write_table(rows, path)
    back = rules("2025-01-31", hj663={"mda8_window": "labels_01_24"})
    with pytest.raises(UsageError, match=r"N0000[0-9] is in more than one part, and mda8_window=labels_01_24"):
        national_year(halves, register, tmp_path / "out", [PERIOD], back, engine=Engine(part_rows=1))


def test_no_file(rules: Callable[..., Any], network, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file of hours"):
        national_year([], network[1], tmp_path, [PERIOD], rules("2025-01-31"))
