"""The parameter file: read whole, and every fault named at once (contract of content files)."""

from __future__ import annotations

import copy
from importlib import resources

import pytest
import yaml

from qinglan.core.errors import ContentError, UnknownName
from qinglan.core.names import HOURLY_ITEMS
from qinglan.plan.simulation import load_parameters, load_targets, parse_parameters


@pytest.fixture
def raw():
    text = resources.files("qinglan").joinpath("content/sim/province.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def test_every_prefecture_of_qinghai_has_a_profile(parameters):
    # Division codes of the two cities and six prefectures, GB/T 2260.
    for code in ("630100", "630200", "632200", "632300", "632500", "632600", "632700", "632800"):
        assert set(parameters.profile_of(code, None).mean) == set(HOURLY_ITEMS)


def test_a_county_falls_back_to_its_prefecture(parameters):
    assert parameters.profile_of("630121", "630121").name == "xining"
    assert parameters.profile_of("632801", "632801").name == "golmud"
    with pytest.raises(UnknownName, match="110101"):
        parameters.profile_of("110101", None)


def test_all_faults_are_listed_together(raw):
    broken = copy.deepcopy(raw)
    broken["profiles"]["xining"]["family"] = "seaside"
    broken["families"]["basin"]["season"]["so2"] = [1.0] * 11
    broken["dust"]["routes"]["hexi"]["reach"]["atlantis"] = [0, 1]
    broken["faults"]["random"]["gremlin"] = {"rate": 1, "hours": [1, 2]}
    with pytest.raises(ContentError) as caught:
        parse_parameters(broken)
    said = str(caught.value)
    for word in ("seaside", "11 months", "atlantis", "gremlin"):
        assert word in said


def test_a_misspelt_key_is_an_error(raw):
    raw["wether"] = raw.pop("weather")
    with pytest.raises(ContentError, match=r"(?s)missing key 'weather'.*unknown key 'wether'"):
        parse_parameters(raw)


def test_every_published_figure_says_where_it_is_from_and_how_sure_it_is():
    figures = load_targets()["figures"]
    assert len(figures) >= 10
    assert {f["certainty"] for f in figures} <= {"high", "medium", "derived", "assumed"}
    assert all(len(f["source"]) > 15 for f in figures)
    assert load_parameters().content_hash == load_parameters().content_hash
