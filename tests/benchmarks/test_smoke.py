"""Every race runs, and its contestants agree on the answer. Nothing here is timed.

Source of the expected answers: the peers themselves (Polars, pandas, aqi-hub, a numpy look-up table, SaQC), each
in its own process. Those who are not installed are left out by the race, which says so.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from benchmarks.__main__ import RACES
from benchmarks.racing import Bench, Contestant, Result, growth, table


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    said: list[str] = []
    made = Bench(quick=True, folder=tmp_path_factory.mktemp("bench"), rounds=1, say=said.append)
    made.said = said  # type: ignore[attr-defined]
    return made


def race(bench: Bench, name: str) -> dict[str, Any]:
    results = importlib.import_module(f"benchmarks.{RACES[name]}").run(bench)
    return {r.contestant.name: r for r in results}


def test_national_year(bench: Bench) -> None:
    found = race(bench, "national_year")
    ours, polars, pandas = (found[n].answer for n in ("Qinglan", "Polars", "pandas, as Polars"))
    assert ours["ranked"] == 34, "every place of 170 stations is ranked"
    assert ours["hours"]["aqi"] > 0
    assert polars["days"] == 170 * 90
    assert pandas["days"] == 170 * 90
    assert {"station_days", "hourly_aqi", "evaluation", "ranking"} <= set(ours["stages"])


@pytest.mark.parametrize("name", ["aqi_small", "ingest", "qc"])
def test_contestants_agree(bench: Bench, name: str) -> None:
    assert len(race(bench, name)) >= 2


def test_tenfold_says_how_it_grew(bench: Bench) -> None:
    assert len(race(bench, "tenfold")) == 2
    assert any("10 x the input" in line for line in bench.said)  # type: ignore[attr-defined]


def test_statistics_of_mydata(bench: Bench, test_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QINGLAN_TEST_DATA", str(test_data))
    assert race(bench, "statistics")


def test_a_share_is_scaled_to_the_whole_job() -> None:
    one = Result(Contestant("ours", "a:b"), [2.0, 4.0, 3.0], [1.0], 100.0)
    part = Result(Contestant("peer", "a:b", share=0.1), [1.0], [0.5], 50.0)
    assert (part.least, part.middle, part.work) == (10.0, 10.0, 5.0)
    lines = table([one, part], (3e9, "value"))
    assert lines[2].split()[-2:] == ["3.33", "3.3"]
    assert "1/10" in lines[2]
    assert growth(one, Result(one.contestant, [30.0], [10.0], 110.0), 10).count("10.0 x") == 2


def test_a_contestant_that_fails_is_named(bench: Bench) -> None:
    with pytest.raises(RuntimeError, match="nobody failed"):
        bench.race("x", [Contestant("nobody", "benchmarks.ours.national:scan", {"folder": "/nowhere"})])
