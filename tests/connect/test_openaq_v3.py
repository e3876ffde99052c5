"""Recorded answers to hours, and patience with the API. No test touches a network."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from qinglan.connect import openaq_v3
from qinglan.connect.openaq_v3.fetch import PAGE, Answer, ask, fetch
from qinglan.core.errors import LayoutError, UsageError

FIXTURES = Path(__file__).parent / "openaq_v3" / "fixtures"
START, END = datetime(2024, 4, 1, tzinfo=UTC), datetime(2024, 4, 2, tzinfo=UTC)


def fixture(name):
    return json.loads((FIXTURES / name).read_text(encoding="utf-8"))


class Api:
    """Answers from the fixtures; remembers what was asked."""

    def __init__(self, refusals=()):
        self.asked, self.slept, self.refusals = [], [], list(refusals)

    def get(self, path, query):
        self.asked.append((path, dict(query)))
        if self.refusals:
            return self.refusals.pop(0)
        if path.startswith("/v3/locations/"):
            return Answer(200, fixture("location.json"))
        return Answer(200, fixture(f"sensor-{path.split('/')[3]}-hours.json"))

    def sleep(self, seconds):
        self.slept.append(seconds)


@pytest.fixture
def recorded(tmp_path):
    api = Api()
    return fetch(8118000, START, END, tmp_path, get=api.get, sleep=api.sleep)


def test_hours_of_a_recorded_page(recorded, context, door):
    assert all(openaq_v3.sniff(p) for p in recorded)
    out = door(openaq_v3.read(recorded[0], context(place="西宁")))
    hours = out.rows["hours"].sort("time")
    assert hours["station"].unique().to_list() == ["openaq-8118000"]
    assert hours.select("time", "pm2_5").rows()[0] == (datetime(2024, 4, 1, 1, tzinfo=UTC), 35.0)
    assert hours["hour"].to_list()[0] == 9  # 01:00 UTC is 09:00 in China, an hour's end in both
    assert hours["pm2_5"].to_list() == [35.0, 36.5, None, 38.0]
    assert sorted((r.code, r.line) for r in out.rejects) == [
        ("bad_number", 7),
        ("bad_time", 6),
        ("duplicate_conflict", 8),
        ("provider_flag", 4),
    ]
    assert out.rows["stations"].row(0, named=True)["lon"] == 101.77


def test_flags_and_coverage_are_options(recorded, context, door):
    kept = door(openaq_v3.read(recorded[0], context(place="西宁", flagged="keep")))
    assert -999.0 in kept.rows["hours"]["pm2_5"].to_list()
    whole = door(openaq_v3.read(recorded[0], context(place="西宁", coverage=75)))
    assert 38.0 not in whole.rows["hours"]["pm2_5"].to_list()
    assert "50.0 % complete, 75 % asked for" in [r.detail for r in whole.rejects]


def test_ppm_needs_a_state(recorded, context, door):
    out = door(openaq_v3.read(recorded[1], context(place="西宁")))
    assert {(r.code, r.value) for r in out.rejects} == {
        ("wrong_unit_suspected", "0.05"),
        ("unknown_item", "temperature"),
    }
    state = {"temperature": 298.15, "pressure": 1013.25}
    out = door(openaq_v3.read(recorded[1], context(place="西宁", **state)))
    assert out.rows["hours"]["o3"].to_list() == [pytest.approx(98.1, abs=0.05)]


def test_a_location_nobody_knows_is_set_aside_whole(recorded, context, door):
    out = door(openaq_v3.read(recorded[0], context()))
    (mark,) = out.rejects
    assert (mark.code, mark.value, mark.rows) == ("unknown_station", "openaq-8118000", 8)
    with pytest.raises(UsageError, match="option place '何处'"):
        list(openaq_v3.read(recorded[0], context(place="何处")))


def test_a_bare_answer_needs_the_station(context, door):
    path = FIXTURES / "sensor-9001-hours.json"
    assert openaq_v3.sniff(path)
    out = door(openaq_v3.read(path, context(station="1480A")))
    assert out.rows["hours"]["station"].unique().to_list() == ["1480A"]


@pytest.mark.parametrize("text", ['{"meta": {}, "resu', "[1, 2]", '{"a": 1}'])
def test_what_is_no_answer_is_refused(written, context, text):
    with pytest.raises(LayoutError):
        list(openaq_v3.read(written("a.json", text), context()))


def test_patience_as_the_headers_ask():
    api = Api(
        [
            Answer(429, None, {"Retry-After": "7"}),
            Answer(429, None, {"x-ratelimit-reset": "31"}),
            Answer(503, None),
        ]
    )
    assert ask("/v3/locations/1", {}, api.get, api.sleep)["meta"]["name"] == "openaq-api"
    assert api.slept == [7.0, 31.0, 8.0]  # the third wait is our own, doubled twice


def test_patience_ends():
    api = Api([Answer(429, None, {"Retry-After": "1"})] * 6)
    with pytest.raises(LayoutError, match="did not answer /v3/locations/1 in 6 attempts"):
        ask("/v3/locations/1", {}, api.get, api.sleep)
    assert len(api.slept) == 5


def test_a_refused_key_is_not_asked_again():
    api = Api([Answer(401, None)])
    with pytest.raises(LayoutError, match=r"answered 401.*Check the API key"):
        ask("/v3/locations/1", {}, api.get, api.sleep)
    assert len(api.asked) == 1


def test_pages_are_asked_one_by_one_and_full_ones_only_once(tmp_path):
    location = fixture("location.json")
    location["results"][0]["sensors"] = location["results"][0]["sensors"][:1]
    result = fixture("sensor-9001-hours.json")["results"][0]
    asked = []

    def get(path, query):
        asked.append(query.get("page"))
        if path.startswith("/v3/locations/"):
            return Answer(200, location)
        return Answer(200, {"meta": {}, "results": [result] * (PAGE if query["page"] < 3 else 4)})

    paths = fetch(1, START, END, tmp_path, get=get, sleep=lambda s: None)
    assert (asked, len(paths)) == ([None, 1, 2, 3], 3)
    fetch(1, START, END, tmp_path, get=get, sleep=lambda s: None)
    assert asked[4:] == [None, 3]
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json"] * 3
    first = json.loads(paths[0].read_text())
    assert first["query"]["datetime_from"] == "2024-04-01T00:00:00+00:00"


def test_rows_are_arrow_of_the_contract(recorded, context):
    batches = {b.dataset: b for b in openaq_v3.read(recorded[0], context(place="西宁"))}
    assert pl.DataFrame(batches["hours"].rows).schema["time"] == pl.Datetime("us", "UTC")
    assert batches["hours"].units == {"pm2_5": "µg/m³"}
