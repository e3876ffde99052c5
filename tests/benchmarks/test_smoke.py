"""Every race runs, and its contestants agree on the answer. Nothing here is timed.

Source of the expected answers: the peers themselves (Polars, pandas, aqi-hub, a numpy look-up table, SaQC), each
in its own process. Those who are not installed are left out by the race, which says so.
"""

from __future__ import annotations

import importlib
import socket
import threading
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from benchmarks.__main__ import RACES
from benchmarks.loading import Load
from benchmarks.racing import Bench, Contestant, Result, growth, table

from qinglan.flow.run import run
from qinglan.flow.simulate import simulate_into
from qinglan.flow.workspace import Settings, init
from qinglan.plan.places import load_stations


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    said: list[str] = []
    made = Bench(quick=True, folder=tmp_path_factory.mktemp("bench"), rounds=1, say=said.append)
    made.said = said  # type: ignore[attr-defined]
    return made


def race(bench: Bench, name: str) -> dict[str, Any]:
    results = importlib.import_module(f"benchmarks.{RACES[name]}").run(bench)
    return {r.contestant.name: r for r in results}


@pytest.mark.slow
def test_national_year(bench: Bench) -> None:
    found = race(bench, "national_year")
    ours, polars, pandas = (found[n].answer for n in ("Qinglan", "Polars", "pandas, as Polars"))
    assert ours["ranked"] == 34, "every place of 170 stations is ranked"
    assert ours["hours"]["aqi"] > 0
    assert polars["days"] == 170 * 90
    assert pandas["days"] == 170 * 90
    assert {"station_days", "hourly_aqi", "evaluation", "ranking"} <= set(ours["stages"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["aqi_small", "hourly_field", "ingest", "qc", "emergency_list"])
def test_contestants_agree(bench: Bench, name: str) -> None:
    assert len(race(bench, name)) >= 2


@pytest.mark.slow
def test_tenfold_says_how_it_grew(bench: Bench) -> None:
    assert len(race(bench, "tenfold")) == 2
    assert any("10 x the input" in line for line in bench.said)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_statistics_of_mydata(bench: Bench, test_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QINGLAN_TEST_DATA", str(test_data))
    assert race(bench, "statistics")


@pytest.mark.slow
def test_forecasts_of_beijing_are_scored_beside_their_peers(
    bench: Bench, test_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All by lead over the same origins; those who compile first (statsforecast) are left out and named."""
    pytest.importorskip("lightgbm")
    monkeypatch.setenv("QINGLAN_TEST_DATA", str(test_data))
    found = race(bench, "forecast_beijing")
    said = {name: answer for result in list(found.values())[:3] for name, answer in result.answer.items()}
    assert {"Qinglan", "plain LightGBM", "persistence", "climatology"} <= set(said)
    for name, answer in said.items():
        assert [row["lead"] for row in answer["all"]] == [1, 6, 24], name
        assert answer["origins"] == said["Qinglan"]["origins"], name
        assert all(row["crps"] > 0 for row in answer["all"]), name
    assert any("AutoETS: left out" in line for line in bench.said)  # type: ignore[attr-defined]


@pytest.mark.slow
def test_forecasts_of_cities_are_scored_beside_their_peers(
    bench: Bench, test_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both cities by pollutant and lead, AQI levels beside; and the large jobs in small."""
    pytest.importorskip("lightgbm")
    monkeypatch.setenv("QINGLAN_TEST_DATA", str(test_data))
    found = race(bench, "forecast_cities")
    assert {"Qinglan", "plain LightGBM", "simple ways", "366 cities", "4 stations"} <= set(found)
    assert found["366 cities"].answer["forecasts"] == 6 * 4 * 10 * (20 - 10 + 1)
    said = bench.said  # type: ignore[attr-defined]
    assert sum("aqi level hit, all" in line for line in said) == 2, "once for each city"
    assert any("AutoETS: left out" in line for line in said)


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


@pytest.mark.slow
def test_ledgers(bench: Bench) -> None:
    """Every machine is read, one in a hundred is kept aside, and the second import changes nothing."""
    found = race(bench, "ledgers")
    again = found["Qinglan, the same again"].answer
    assert (again["read"], again["same"], again["aside"], again["known"]) == (300, 297, 3, 3)


@pytest.mark.slow
def test_every_page_is_asked_and_answers(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The load of pages on five weeks of three stations: no page but those that need more data fails."""
    space = init(tmp_path / "home", Settings(simulated=True))
    chosen = [s for s in load_stations() if s.place in ("630100", "630200")][:3]
    simulate_into(space, date(2025, 1, 1), date(2025, 2, 4), stations=chosen)
    run(space, now=datetime(2025, 2, 5, tzinfo=UTC))
    space.registry.close()
    monkeypatch.setenv("QINGLAN_BENCH_HOME", str(space.home))
    found = importlib.import_module("benchmarks.pages").run(bench)
    assert set(found) == {"pages", "api", "public"}
    failed = {name for marks in found.values() for name, each in marks.items() if each.failed}
    assert failed <= {"/stations/{station}/{name}", "/places/{code}/{name}"}, failed
    assert sum(len(each.latencies) for each in found["pages"].values()) > 25


def test_latency_counts_from_when_a_request_was_due() -> None:
    """A stalled server pays for all who waited: no coordinated omission (Tene, How NOT to Measure Latency)."""
    served = threading.Thread(target=_stalls, args=(ready := threading.Event(), port := []), daemon=True)
    served.start()
    assert ready.wait(5)
    marks = Load(port[0], iter(["/"] * 20), clients=1, seconds=1.0, rate=20).run()
    assert len(marks.latencies) == 20
    assert marks.percentile(95) > 300, "the requests that were due during the stall waited for it"
    assert marks.percentile(50) > 100


def _stalls(ready: threading.Event, port: list[int]) -> None:
    """Answers at once, but the third request after 0.6 s."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port.append(server.getsockname()[1])
        ready.set()
        client, _ = server.accept()
        for number in range(20):
            if not client.recv(4096):
                return
            time.sleep(0.6 if number == 2 else 0)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
