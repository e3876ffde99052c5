"""Service document, entities and addresses, held against the tables of OGC 18-088 (SensorThings API 1.1)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from qinglan.core.names import HOURLY_ITEMS

from .conftest import ROOT

STATION = "1480A"
STREAM = f"{STATION}:pm2_5"
#: Mandatory properties and relations of each entity (18-088 tables 3 to 18).
TABLES = {
    "Things": ({"name", "description"}, {"Locations", "HistoricalLocations", "Datastreams"}),
    "Locations": ({"name", "description", "encodingType", "location"}, {"Things", "HistoricalLocations"}),
    "HistoricalLocations": ({"time"}, {"Thing", "Locations"}),
    "Datastreams": (
        {"name", "description", "unitOfMeasurement", "observationType"},
        {"Thing", "Sensor", "ObservedProperty", "Observations"},
    ),
    "Sensors": ({"name", "description", "encodingType", "metadata"}, {"Datastreams"}),
    "ObservedProperties": ({"name", "definition", "description"}, {"Datastreams"}),
    "Observations": ({"phenomenonTime", "result", "resultTime"}, {"Datastream", "FeatureOfInterest"}),
    "FeaturesOfInterest": ({"name", "description", "encodingType", "feature"}, {"Observations"}),
}


def test_the_service_document_lists_the_entity_sets_and_what_holds(ask: Any) -> None:
    """18-088 9.2.1: value with name and url of every entity set; serverSettings with conformance."""
    body = ask("")
    assert {row["name"] for row in body["value"]} == set(TABLES)
    assert all(row["url"] == f"http://127.0.0.1{ROOT}/{row['name']}" for row in body["value"])
    told = body["serverSettings"]["conformance"]
    assert "http://www.opengis.net/spec/iot_sensing/1.1/req/datamodel" in told
    assert not any("create-update-delete" in uri or "mqtt" in uri or "data-array" in uri for uri in told)


@pytest.mark.parametrize("entity_set", TABLES)
def test_an_entity_has_its_control_information_properties_and_links(ask: Any, entity_set: str) -> None:
    """18-088 8.1 and 8.2: @iot.id, @iot.selfLink, mandatory properties, a navigation link for each relation."""
    properties, relations = TABLES[entity_set]
    [entity] = ask(entity_set, top=1)["value"]
    assert properties | {"@iot.id", "@iot.selfLink"} <= set(entity)
    links = {key.partition("@")[0] for key in entity if key.endswith("@iot.navigationLink")}
    assert links == relations
    again = ask(urlsplit(entity["@iot.selfLink"]).path.removeprefix(f"{ROOT}/"))
    assert again == entity


def test_every_navigation_link_leads_to_entities_that_lead_back(api: TestClient, ask: Any) -> None:
    """18-088 8.1: a navigation link addresses the related entities."""
    for entity_set in TABLES:
        [entity] = ask(entity_set, top=1)["value"]
        for name, link in entity.items():
            if name.endswith("navigationLink"):
                found = api.get(urlsplit(link).path).json()
                related = found.get("value", [found])
                assert related
                assert all("@iot.id" in one for one in related), (entity_set, name)


def test_a_station_is_a_thing_with_its_place_and_network(ask: Any) -> None:
    thing = ask(f"Things('{STATION}')")
    told = thing["properties"]
    assert (told["code"], told["place"], told["placeName"], told["network"]) == (
        STATION, "630100", "西宁市", "ambient")  # fmt: skip
    assert told["simulated"] is True
    [location] = ask(f"Things('{STATION}')/Locations")["value"]
    assert location["encodingType"] == "application/geo+json"  # 18-088 table 7
    lon, lat = location["location"]["coordinates"]
    assert location["location"]["type"] == "Point"
    assert (89 < lon < 104, 31 < lat < 40) == (True, True)  # longitude first (RFC 7946 3.1.1), within Qinghai
    [since] = ask(f"Things('{STATION}')/HistoricalLocations")["value"]
    assert since["time"] == "2012-12-31T16:00:00Z"  # valid from 1 January 2013 in Beijing


def test_a_data_stream_names_its_unit_type_area_and_times(ask: Any) -> None:
    """18-088 table 10: unitOfMeasurement {name, symbol, definition}, GeoJSON polygon, ISO 8601 intervals."""
    stream = ask(f"Datastreams('{STREAM}')")
    assert stream["unitOfMeasurement"]["symbol"] == "µg/m³"
    assert set(stream["unitOfMeasurement"]) == {"name", "symbol", "definition"}
    assert ask(f"Datastreams('{STATION}:co')")["unitOfMeasurement"]["symbol"] == "mg/m³"
    assert stream["observationType"].endswith("/OM_Measurement")
    ring = stream["observedArea"]["coordinates"][0]
    assert stream["observedArea"]["type"] == "Polygon"
    assert (len(ring), ring[0]) == (4, ring[-1])
    for name in ("phenomenonTime", "resultTime"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:00:00Z/\d{4}-\d\d-\d\dT\d\d:00:00Z", stream[name])


def test_observed_properties_are_the_six_items_each_by_its_uri(ask: Any) -> None:
    """Codes of the European vocabulary aq/pollutant: SO2 1, PM10 5, O3 7, NO2 8, CO 10, PM2.5 6001."""
    found = {row["@iot.id"]: row["definition"].rpartition("/")[2] for row in ask("ObservedProperties")["value"]}
    assert found == {"so2": "1", "pm10": "5", "o3": "7", "no2": "8", "co": "10", "pm2_5": "6001"}
    assert set(found) == set(HOURLY_ITEMS)


def test_an_observation_is_the_mean_of_an_interval_known_at_its_end(ask: Any) -> None:
    """18-088 table 16: phenomenonTime is an interval, resultTime an instant; the id says station, item, hour."""
    found = ask(f"Observations('{STREAM}:20251105T03Z')")
    assert found["phenomenonTime"] == "2025-11-05T02:00:00Z/2025-11-05T03:00:00Z"
    assert found["resultTime"] == "2025-11-05T03:00:00Z"
    assert found["resultQuality"]["status"] == "provisional"
    assert found["@iot.selfLink"] == f"http://127.0.0.1{ROOT}/Observations('{STREAM}:20251105T03Z')"
    assert ask(f"Observations('{STREAM}:20251105T03Z')/Datastream")["@iot.id"] == STREAM
    assert ask(f"Observations('{STREAM}:20251105T03Z')/FeatureOfInterest")["feature"]["type"] == "Point"


def test_addresses_of_18_088_9_3_2(api: TestClient, ask: Any) -> None:
    """Entity, property, raw value, relation, its property, and references."""
    assert ask(f"Things('{STATION}')/name") == {"name": "市环境监测站"}
    assert api.get(f"{ROOT}/Things('{STATION}')/name/$value").text == "市环境监测站"
    assert ask(f"Things('{STATION}')/properties/place") == {"place": "630100"}
    assert ask(f"Datastreams('{STREAM}')/Thing/name") == {"name": "市环境监测站"}
    assert ask(f"Things('{STATION}')/Datastreams('{STREAM}')/ObservedProperty")["@iot.id"] == "pm2_5"
    refs = ask(f"Things('{STATION}')/Datastreams/$ref")["value"]
    assert refs[0] == {"@iot.selfLink": f"http://127.0.0.1{ROOT}/Datastreams('{STATION}:so2')"}
    assert len(refs) == 6
    hours = ask(f"FeaturesOfInterest('{STATION}')/Observations", top=0, count="true")["@iot.count"]
    one = ask(f"Datastreams('{STREAM}')/Observations", top=0, count="true")["@iot.count"]
    assert hours == 6 * one


@pytest.mark.parametrize(
    "path",
    [
        "Nothings", "Things('9999Z')", "Things('1480A')/nothing", "Things('1480A')/Datastreams('1481A:co')",
        "Observations('1480A:co:19990101T01Z')", "Observations('1480A:co:20251105')", "Things/name",
        "Datastreams('1480A:co')/Thing('1480A')", "Things('1480A", "Things('1480A')/$value", "Things(1)/x/$ref",
        "Observations('9999Z:co:20251105T01Z')", "Things('1480A')/name/first",
    ],
)  # fmt: skip
def test_what_is_not_there_is_404_and_says_what(ask: Any, path: str) -> None:
    """18-088 9.3.1: 404 Not Found for resources that do not exist."""
    body = ask(path, status=404)
    assert (body["code"], body["type"]) == (404, "error")
    assert body["message"]


def test_nothing_may_be_written(api: TestClient) -> None:
    """A read view: requirements of create-update-delete are not claimed, and refused."""
    for method in ("POST", "PATCH", "PUT", "DELETE"):
        assert api.request(method, f"{ROOT}/Things", json={}).status_code in (403, 405)
