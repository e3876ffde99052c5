"""Observations are the hours of the lake, each once, a missing one never a number."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow import sensorthings
from qinglan.flow.workspace import Workspace

from .conftest import ROOT

STATIONS = ("1480A", "1481A", "3867A")


@pytest.fixture(scope="module")
def checked(workspace: Workspace) -> dict[tuple[str, datetime], dict[str, Any]]:
    """The lake's hours after control, as it holds them."""
    con = workspace.lake.connect()
    try:
        rows = con.to_pyarrow(workspace.lake.table("checked", con=con)).to_pylist()
    finally:
        con.disconnect()
    return {(row["station"], row["time"].astimezone(UTC)): row for row in rows}


def hour_of(observation: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(observation["resultTime"])


@pytest.mark.parametrize("item", HOURLY_ITEMS)
def test_every_hour_of_the_lake_is_one_observation_with_its_value_and_state(
    pages: Any, checked: dict[Any, Any], item: str
) -> None:
    """Conservation: as many observations as hours, values equal, missing and invalid hours null and named so."""
    station = "1480A"
    found = list(pages(f"Datastreams('{station}:{item}')/Observations", top=500))
    times = [hour_of(one) for one in found]
    assert times == sorted({t for s, t in checked if s == station})
    for one, time in zip(found, times, strict=True):
        row = checked[(station, time)]
        assert one["result"] == row[item]
        assert one["resultQuality"]["state"] == row[f"{item}_state"]
    states = {one["resultQuality"]["state"] for one in found}
    assert "valid" in states


def test_there_are_missing_and_invalid_hours_and_none_of_them_has_a_number(pages: Any) -> None:
    """What would make the test above empty: the simulated province has faults on purpose."""
    lost = [one for item in HOURLY_ITEMS for station in STATIONS
            for one in pages(f"Datastreams('{station}:{item}')/Observations", top=5000,
                             filter="resultQuality/state in ('missing','invalid')")]  # fmt: skip
    assert {"missing", "invalid"} <= {one["resultQuality"]["state"] for one in lost}
    assert all(one["result"] is None for one in lost)


def test_observations_equal_those_of_the_api(api: TestClient, pages: Any) -> None:
    """The same hours through both doors."""
    said = api.get("/api/v1/stations/1481A/hours", params={"start": "2025-11-01T00:00:00Z", "limit": 10000,
                                                            "states": "true"}).json()["items"]  # fmt: skip
    for item in ("o3", "pm10"):
        found = {one["resultTime"]: one for one in pages(f"Datastreams('1481A:{item}')/Observations", top=5000)}
        assert len(found) >= len(said) > 1000
        for row in said:
            one = found[row["time"].replace("+00:00", "Z")]
            assert one["result"] == row[item]
            assert one["resultQuality"]["state"] == row[f"{item}_state"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"orderby": "phenomenonTime desc"},
        {"orderby": "result desc,phenomenonTime asc"},
        {"filter": "result gt 20", "orderby": "phenomenonTime desc"},
        {"filter": "result gt 20"},
    ],
)
def test_pages_to_the_end_give_each_observation_once(pages: Any, ask: Any, options: dict[str, str]) -> None:
    """18-088 9.3.3.8: following nextLink gives the whole collection, none twice."""
    within = "phenomenonTime ge 2025-11-03T00:00:00Z and phenomenonTime lt 2025-11-04T00:00:00Z"
    options = options | {"filter": f"{within} and {options['filter']}" if "filter" in options else within}
    found = [one["@iot.id"] for one in pages("Observations", top=37, **options)]
    assert len(found) == len(set(found)) == ask("Observations", top=0, count="true", **options)["@iot.count"]
    assert len(found) > 100
    at_once = [one["@iot.id"] for one in ask("Observations", top=5000, **options)["value"]]
    assert found == at_once


def test_the_latest_of_every_station_is_its_last_hour(ask: Any, checked: dict[Any, Any]) -> None:
    """The question that maps ask: one answer with the last hour of every stream."""
    body = ask("Things", expand="Datastreams($expand=Observations($top=1;$orderby=phenomenonTime desc))")
    streams = [stream for thing in body["value"] for stream in thing["Datastreams"]]
    assert len(streams) == len(STATIONS) * 6
    for stream in streams:
        station, item = stream["@iot.id"].split(":")
        last = max(t for s, t in checked if s == station)
        [one] = stream["Observations"]
        assert (hour_of(one), one["result"]) == (last, checked[(station, last)][item])


def test_the_latest_takes_no_sort_and_no_look_at_other_hours(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It must not grow with the length of the series: no table of a stream's hours is made."""

    def never(*_: Any) -> Any:
        raise AssertionError("a whole series was read")

    monkeypatch.setattr("qinglan.flow.sensorthings.observations.frame", never)
    monkeypatch.setattr("qinglan.flow.sensorthings.observations._keyed", never)
    ask(
        "Things", expand="Datastreams($expand=Observations($top=1;$orderby=phenomenonTime desc)),Locations", skip=0
    )


def test_hours_of_a_locked_month_are_final(model: sensorthings.Model) -> None:
    """Review (design 0010): final is what was locked when the run was made, by the statistical day's month."""
    locked = replace(model, final={"630100": frozenset({"2025-11"})})
    name = "Observations.resultQuality/status"
    told = sensorthings.frame(locked, ("1480A", "co"), {name})
    # the hour that ends at midnight in Beijing (16:00 UTC) is the last of November's last day
    last = datetime(2025, 11, 30, 16, tzinfo=UTC)
    rows = dict(told.select("end", name).rows())
    assert rows[last] == "final"
    assert {v for t, v in rows.items() if t > last} == {"provisional"}
    assert {v for t, v in rows.items() if t <= last} == {"final"}
    assert locked.is_final("1480A", "2025-11")
    assert not locked.is_final("1480A", "2025-12")


def test_flags_are_told_to_those_who_see_data_and_not_to_the_public(api: TestClient, visitor: Any) -> None:
    """Rules of quality control stand behind `data.view`, as in the API; the state itself is everybody's."""
    asked = f"{ROOT}/Observations"
    given = {"$filter": "resultQuality/state eq 'invalid'", "$top": "3"}
    mine = api.get(asked, params=given).json()["value"]
    theirs = visitor().get(asked, params=given).json()["value"]
    assert mine
    assert all(one["resultQuality"]["flags"] for one in mine)
    assert [one["@iot.id"] for one in mine] == [one["@iot.id"] for one in theirs]
    assert all(set(one["resultQuality"]) == {"state", "status"} for one in theirs)


def test_answers_are_tagged_by_run_reader_and_host(api: TestClient) -> None:
    """The same question again is 304; links name the host that was asked, so hosts share no answer."""
    first = api.get(f"{ROOT}/Things")
    assert api.get(f"{ROOT}/Things", headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    other = api.get(f"{ROOT}/Things", headers={"Host": "localhost"})
    assert other.json()["value"][0]["@iot.selfLink"].startswith("http://localhost/")
    assert other.headers["etag"] != first.headers["etag"]


def test_both_doors_count_requests_together(visitor: Any) -> None:
    """Ten in a minute are ten of the API and of SensorThings in sum (design 0009)."""
    public = visitor("10/minute")
    codes = [public.get(address).status_code for _ in range(8) for address in (f"{ROOT}/Things", "/api/v1/places")]
    assert codes == [200] * 10 + [429] * 6
