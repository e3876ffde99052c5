"""Query options: what each means, held against plain Python over the same entities (OGC 18-088 clause 9.3.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from .conftest import ROOT

Row = dict[str, Any]


def number(row: Row) -> float:
    return float("nan") if row["result"] is None else row["result"]


def end(row: Row) -> str:
    return str(row["resultTime"])


#: A filter of observations and what it means, by clause.
FILTERS: list[tuple[str, str, Callable[[Row], bool]]] = [
    ("9.3.3.5.1 eq", "result eq 20", lambda r: r["result"] == 20),
    ("9.3.3.5.1 ne, null differs", "result ne 20", lambda r: r["result"] != 20),
    ("9.3.3.5.1 gt", "result gt 20", lambda r: number(r) > 20),
    ("9.3.3.5.1 ge", "result ge 20.0", lambda r: number(r) >= 20),
    ("9.3.3.5.1 lt, null is not less", "result lt 20", lambda r: number(r) < 20),
    ("9.3.3.5.1 le", "result le 2e1", lambda r: number(r) <= 20),
    ("OData null", "result eq null", lambda r: r["result"] is None),
    ("OData null", "result ne null", lambda r: r["result"] is not None),
    ("9.3.3.5.1 and", "result gt 10 and result lt 20", lambda r: 10 < number(r) < 20),
    ("9.3.3.5.1 or binds looser than and", "result lt 5 or result gt 10 and result lt 12",
     lambda r: number(r) < 5 or 10 < number(r) < 12),
    ("9.3.3.5.1 ()", "(result lt 5 or result gt 10) and result lt 12",
     lambda r: (number(r) < 5 or number(r) > 10) and number(r) < 12),
    ("9.3.3.5.1 not", "not (result gt 10)", lambda r: not number(r) > 10),
    ("9.3.3.5.1 add", "result add 5 gt 25", lambda r: number(r) + 5 > 25),
    ("9.3.3.5.1 sub", "result sub 5 gt 25", lambda r: number(r) - 5 > 25),
    ("9.3.3.5.1 mul before sub", "100 sub result mul 2 lt 10", lambda r: 100 - number(r) * 2 < 10),
    ("9.3.3.5.1 div", "result div 2 gt 10", lambda r: number(r) / 2 > 10),
    ("9.3.3.5.1 mod", "result mod 7 eq 0", lambda r: r["result"] is not None and r["result"] % 7 == 0),
    ("minus", "-result lt -20", lambda r: number(r) > 20),
    ("OData in", "result in (10, 20, 30)", lambda r: r["result"] in (10, 20, 30)),
    ("9.3.3.5.2 round", "round(result div 10) eq 2", lambda r: 15 <= number(r) < 25),
    ("9.3.3.5.2 floor", "floor(result div 10) eq 2", lambda r: 20 <= number(r) < 30),
    ("9.3.3.5.2 ceiling", "ceiling(result div 10) eq 2", lambda r: 10 < number(r) <= 20),
    ("9.3.3.5.2 day of resultTime", "day(resultTime) eq 4", lambda r: end(r)[8:10] == "04"),
    ("9.3.3.5.2 hour", "hour(resultTime) eq 3", lambda r: end(r)[11:13] == "03"),
    ("9.3.3.5.2 year, month", "year(resultTime) eq 2025 and month(resultTime) eq 11",
     lambda r: end(r)[:7] == "2025-11"),
    ("9.3.3.5.2 date", "date(resultTime) eq 2025-11-04", lambda r: end(r)[:10] == "2025-11-04"),
    ("9.3.3.5.2 time", "time(resultTime) eq 05:00:00", lambda r: end(r)[11:16] == "05:00"),
    ("9.3.3.5.2 now, durations", "resultTime lt now() sub duration'P60DT2H'",
     lambda r: end(r) < "2025-11-07T00:00:00Z"),
    ("an instant in another zone", "resultTime ge 2025-11-04T08:00:00+08:00",
     lambda r: end(r) >= "2025-11-04T00:00:00Z"),
    ("an interval after an instant", "phenomenonTime ge 2025-11-04T00:00:00Z",
     lambda r: r["phenomenonTime"][:20] >= "2025-11-04T00:00:00Z"),
    ("an interval before an instant", "phenomenonTime lt 2025-11-04T00:00:00Z",
     lambda r: end(r) <= "2025-11-04T00:00:00Z"),
    ("an interval", "phenomenonTime eq 2025-11-04T00:00:00Z/2025-11-04T01:00:00Z",
     lambda r: r["phenomenonTime"] == "2025-11-04T00:00:00Z/2025-11-04T01:00:00Z"),
    ("quality", "resultQuality/state eq 'valid'", lambda r: r["resultQuality"]["state"] == "valid"),
    ("9.3.3.5.2 startswith", "startswith(resultQuality/state,'in')",
     lambda r: r["resultQuality"]["state"] == "invalid"),
    ("id", "id eq '1480A:pm2_5:20251104T03Z'", lambda r: r["@iot.id"] == "1480A:pm2_5:20251104T03Z"),
    ("along a path", "Datastream/Thing/name eq '市环境监测站' and result gt 30", lambda r: number(r) > 30),
    ("along a path, mixed with or", "Datastream/Thing/name eq 'x' or result gt 30", lambda r: number(r) > 30),
    ("along a path that is not", "Datastream/ObservedProperty/@iot.id eq 'co'", lambda r: False),
]  # fmt: skip


@pytest.fixture(scope="module")
def hours(ask: Any) -> list[Row]:
    """Four days of one stream."""
    found: list[Row] = ask("Datastreams('1480A:pm2_5')/Observations", top=100)["value"]
    return found


@pytest.mark.parametrize(("clause", "text", "means"), FILTERS, ids=[f"{c}: {t}" for c, t, _ in FILTERS])
def test_a_filter_of_observations_means_what_its_clause_says(
    ask: Any, hours: list[Row], clause: str, text: str, means: Callable[[Row], bool]
) -> None:
    last = hours[-1]["resultTime"]
    found = ask("Datastreams('1480A:pm2_5')/Observations", top=100, filter=f"({text}) and resultTime le {last}")
    assert [r["@iot.id"] for r in found["value"]] == [r["@iot.id"] for r in hours if means(r)]


def test_the_table_of_filters_is_not_empty_words(hours: list[Row]) -> None:
    """Most filters keep some hours and drop others, or the table above would prove nothing."""
    telling = [text for _, text, means in FILTERS if 0 < sum(map(means, hours)) < len(hours)]
    assert len(telling) > len(FILTERS) * 0.7, {t for _, t, _ in FILTERS} - set(telling)


STATIONS = {"1480A": "市环境监测站", "1481A": "省医药仓库", "3867A": None}
THINGS = [
    ("name eq '市环境监测站'", ["1480A"]),
    ("substringof('医药', name)", ["1481A"]),
    ("contains(name,'医药')", ["1481A"]),
    ("startswith(name,'市')", ["1480A"]),
    ("endswith(name,'仓库')", ["1481A"]),
    ("length(name) eq 6", ["1480A"]),
    ("indexof(name,'监测') eq 3", ["1480A"]),
    ("substring(name,1,2) eq '环境'", ["1480A"]),
    ("substring(name,3) eq '监测站'", ["1480A"]),
    ("tolower(@iot.id) eq '1480a'", ["1480A"]),
    ("toupper(properties/network) eq 'AMBIENT' and id eq '1481A'", ["1481A"]),
    ("trim(concat(' ', name)) eq '市环境监测站'", ["1480A"]),
    ("name eq 'it''s'", []),
    ("properties/place eq '630100'", ["1480A", "1481A"]),
    ("properties/altitude gt 0 and properties/simulated eq true", ["1480A", "1481A", "3867A"]),
    ("Datastreams/ObservedProperty/name eq 'CO'", ["1480A", "1481A", "3867A"]),
    ("Datastreams/@iot.id eq '3867A:co'", ["3867A"]),
    ("Datastreams/Observations/@iot.id eq '3867A:co:20251105T03Z'", ["3867A"]),
    ("Datastreams/Observations/result gt 1000000", []),
    ("Datastreams/unitOfMeasurement/symbol eq 'mg/m³' and Locations/name eq '省医药仓库'", ["1481A"]),
    ("HistoricalLocations/time lt 2000-01-01T00:00:00Z", []),
    ("st_within(Locations/location, geography'POLYGON ((101 36,102 36,102 37,101 37,101 36))') "
     "and properties/place eq '630100'", ["1480A", "1481A"]),
    ("st_disjoint(Locations/location, geography'POLYGON ((80 30,110 30,110 40,80 40,80 30))')", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), THINGS, ids=[t for t, _ in THINGS])
def test_a_filter_of_things(ask: Any, text: str, expected: list[str]) -> None:
    """18-088 9.3.3.5: operators and functions over properties, along paths, a path to many meaning one of them."""
    assert [r["@iot.id"] for r in ask("Things", filter=text)["value"]] == expected


@pytest.mark.parametrize("name", ["geo.intersects", "st_intersects", "st_within"])
def test_points_in_shapes(ask: Any, name: str) -> None:
    """18-088 9.3.3.5.2; the edge belongs to intersects and not to within. Shapes as QGIS writes them."""
    thing = ask("Locations('1480A')")
    lon, lat = thing["location"]["coordinates"]
    edge = f"geography'Polygon (({lon} 36, 103 36, 103 38, {lon} 38, {lon} 36))'"
    found = {r["@iot.id"] for r in ask("Locations", filter=f"{name}(location, {edge})")["value"]}
    assert ("1480A" in found) is (name != "st_within")
    w, e, s, n = lon - 0.01, lon + 0.01, lat - 0.01, lat + 0.01
    inner = f"({w} {s},{e} {s},{e} {n},{w} {n},{w} {s})"
    hole = f"geography'POLYGON ((101 36,102 36,102 37,101 37,101 36),{inner})'"
    found = {r["@iot.id"] for r in ask("Locations", filter=f"{name}(location, {hole})")["value"]}
    assert "1480A" not in found
    point = f"geography'POINT({lon} {lat})'"
    assert [r["@iot.id"] for r in ask("Locations", filter=f"{name}(location, {point})")["value"]] == ["1480A"]


def test_expand_select_order_top_skip_and_count(ask: Any) -> None:
    """18-088 9.3.3.1 to 9.3.3.7, nested with options of their own, separated by semicolons."""
    body = ask("Things", select="name,properties/place", orderby="@iot.id desc", top=1, count="true",
               expand="Datastreams($select=name,id;$filter=ObservedProperty/@iot.id ne 'co';$orderby=name desc;"
                      "$top=2;$count=true;$expand=ObservedProperty($select=definition)),"
                      "Locations/HistoricalLocations")  # fmt: skip
    assert body["@iot.count"] == 3
    assert body["@iot.nextLink"].endswith("$skip=1")
    [thing] = body["value"]
    assert set(thing) == {"name", "properties", "Datastreams", "Datastreams@iot.count", "Datastreams@iot.nextLink",
                          "Locations"}  # fmt: skip
    assert list(thing["properties"]) == ["place"]
    assert thing["Datastreams@iot.count"] == 5
    assert [set(stream) for stream in thing["Datastreams"]] == [{"name", "@iot.id", "ObservedProperty"}] * 2
    assert set(thing["Datastreams"][0]["ObservedProperty"]) == {"definition"}
    names = [stream["name"] for stream in thing["Datastreams"]]
    assert names == sorted(names, reverse=True)
    assert thing["Locations"][0]["HistoricalLocations"][0]["time"]


def test_nested_pages_go_on_from_their_own_link(api: TestClient, ask: Any) -> None:
    """18-088 9.3.3.8 for expanded entities."""
    [thing] = ask("Things", top=1, expand="Datastreams($top=4;$select=id;$filter=name ne 'x')")["value"]
    link = thing["Datastreams@iot.nextLink"]
    more = api.get(link.removeprefix("http://127.0.0.1")).json()
    ids = [s["@iot.id"] for s in thing["Datastreams"] + more["value"]]
    assert ids == [f"1480A:{item}" for item in ("so2", "no2", "co", "o3", "pm10", "pm2_5")]


def test_count_is_told_only_when_asked(ask: Any) -> None:
    """18-088 9.3.3.4; counting all by default is what makes such services slow."""
    assert "@iot.count" not in ask("Things")
    assert "@iot.count" not in ask("Things", count="false")
    assert ask("Things", count="true", top=0) == {"@iot.count": 3, "value": []}
    assert ask("Things", count="true", skip=2, filter="properties/place eq '630100'")["@iot.count"] == 2


def test_an_answer_is_bounded_with_all_that_is_expanded(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A nested question cannot ask for the whole lake at once."""
    monkeypatch.setattr("qinglan.web.sensorthings.answer.ENTITIES_MOST", 1000)
    body = ask("Things", expand="Datastreams($expand=Observations($top=900))", select="name", status=400)
    assert "1000 entities" in body["message"]


def test_a_page_is_bounded_whatever_is_asked(ask: Any) -> None:
    """18-088 9.3.3.8: the service may give less than $top, and then a link to the next."""
    body = ask("Observations", top=1_000_000)
    assert len(body["value"]) == 5000
    assert body["@iot.nextLink"].endswith("$skip=5000")
    assert "expand" in ask("Observations", expand="x", status=400)["message"]


WRONG = [
    ("Things", {"filter": "name eq"}), ("Things", {"filter": "name = 'a'"}),
    ("Things", {"filter": "nothing eq 1"}),
    ("Things", {"filter": "name eq 1"}), ("Things", {"filter": "name"}),
    ("Things", {"filter": "nofunction(name)"}),
    ("Things", {"filter": "startswith(name)"}), ("Things", {"filter": "length(1) eq 1"}),
    ("Things", {"filter": "Locations/location eq 1"}), ("Things", {"filter": "(" * 50 + "1 eq 1" + ")" * 50}),
    ("Things", {"filter": " or ".join(["1 eq 1"] * 500)}), ("Things", {"filter": "- " * 900 + "1 eq 1"}),
    ("Observations", {"filter": "resultTime gt 2025-01-01T00:00:00"}),
    ("Observations", {"filter": "resultTime gt 2025-01-01"}),
    ("Observations", {"filter": "resultTime gt 2025-13-01T00:00:00Z"}),
    ("Observations", {"filter": "result gt 'a'"}), ("Observations", {"filter": "result in ()"}),
    ("Locations", {"filter": "st_within(location, geography'POLYGON((1 2,3 4))')"}),
    ("Locations", {"filter": "st_within(location, geography'LINE(1 2,3 4)')"}),
    ("Things", {"orderby": "nothing"}), ("Things", {"orderby": "name sideways"}),
    ("Things", {"orderby": "Datastreams/Observations/result"}), ("Locations", {"orderby": "location"}),
    ("Things", {"select": "nothing"}), ("Things", {"select": ""}), ("Things", {"expand": "Nothings"}),
    ("Things", {"expand": "Datastreams($top=x)"}), ("Things", {"expand": "Datastreams($expand=Nothing)"}),
    ("Things", {"expand": "Datastreams($top=1;$top=2)"}), ("Things", {"top": "-1"}), ("Things", {"top": "many"}),
    ("Things", {"skip": "1.5"}), ("Things", {"count": "yes"}), ("Things", {"nothing": "1"}),
    ("Things('1480A')", {"top": "1"}), ("Things('1480A')/name", {"select": "name"}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "options"), WRONG, ids=[str(next(iter(o.items())))[:60] for _, o in WRONG])
def test_a_wrong_question_is_400_and_says_what_is_wrong(ask: Any, path: str, options: dict[str, str]) -> None:
    """18-088 9.3.1: 400 for query options that are not understood or not supported."""
    body = ask(path, status=400, **options)
    assert body["code"] == 400
    assert len(body["message"]) > 10


PIECES = ["name", "result", "Datastreams", "/", "(", ")", "'", "'a'", " eq ", " and ", " not ", "1", "-", ",", ";",
          "$filter=", "$top=1", "2025-01-01T00:00:00Z", "geography'POINT(1 2)'", "now()", "duration'P1D'", " add ",
          "@iot.id",
          "null", " in ", "phenomenonTime", "desc", "location", "length(", "substring(", "é", "%"]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["Things", "Observations", "Locations", "Datastreams('1480A:co')/Observations"]),
    st.sampled_from(["$filter", "$expand", "$orderby", "$select", "$top"]),
    st.lists(st.sampled_from(PIECES), max_size=9).map("".join),
)
def test_no_question_breaks_the_service(api: TestClient, path: str, option: str, text: str) -> None:
    """Whatever is written, the answer is an answer or says what is wrong."""
    status = api.get(f"{ROOT}/{path}", params={option: text, "$count": "false"}).status_code
    assert status in (200, 400), (path, option, text)
