"""The catalogue of open data. Sources: W3C DCAT version 3 for classes and properties, JSON-LD 1.1, SPDX terms for
digests; the files themselves for sizes and checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from qinglan.flow import open_catalogue, open_data, views
from qinglan.flow.run import run
from qinglan.flow.simulate import simulate_into
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.plan import content
from qinglan.plan.places import load_stations
from qinglan.web.text import LANGUAGES

ROOT = "https://air.example.cn"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A month of two stations with invented air, judged."""
    home = tmp_path_factory.mktemp("catalogue") / "home"
    opened = init(home, Settings(simulated=True))
    chosen = [s for s in load_stations("qinghai") if s.station in ("1480A", "3867A")]
    simulate_into(opened, date(2025, 12, 1), date(2025, 12, 31), stations=chosen)
    run(opened, now=datetime(2026, 1, 5, tzinfo=UTC))
    return opened


@pytest.fixture(scope="module")
def said(workspace: Workspace) -> dict[str, Any]:
    return json.loads(open_catalogue.catalogue(workspace, views.current(workspace), ROOT))


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a JSON-LD document, outside of its context."""
    if isinstance(value, dict):
        yield value
        for name, inner in value.items():
            if name != "@context":
                yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def test_every_term_is_of_a_vocabulary_that_the_context_names(said: dict[str, Any]) -> None:
    """JSON-LD 1.1: a compact IRI whose prefix has no meaning would be dropped in silence."""
    prefixes = set(said["@context"])
    for node in nodes(said):
        for name in node:
            assert (
                name in ("@context", "@id", "@type", "@value", "@language") or name.partition(":")[0] in prefixes
            )
        if isinstance(node.get("@type"), str) and ":" in node["@type"] and not node["@type"].startswith("http"):
            assert node["@type"].partition(":")[0] in prefixes
        assert "@value" not in node or set(node) in ({"@value", "@type"}, {"@value", "@language"})


def test_datasets_and_distributions_are_the_package(workspace: Workspace, said: dict[str, Any]) -> None:
    """Each table is a dataset, each file a distribution of one of them, with the file's own length and digest."""
    result = views.current(workspace)
    files = {f.name: f for f in open_data.files(result)}
    assert [d["dct:identifier"] for d in said["dcat:dataset"]] == list(
        dict.fromkeys(f.table for f in files.values())
    )
    met = []
    for dataset in said["dcat:dataset"]:
        assert dataset["@type"] == "dcat:Dataset"
        for part in dataset["dcat:distribution"]:
            name = part["dcat:downloadURL"]["@id"].removeprefix(f"{ROOT}/public/data/")
            body, kind = open_data.file(workspace, result, name)
            met.append(name)
            assert files[name].table == dataset["dct:identifier"]
            assert part["dcat:byteSize"] == {"@type": "xsd:nonNegativeInteger", "@value": str(len(body))}
            assert part["spdx:checksum"]["spdx:checksumValue"]["@value"] == hashlib.sha256(body).hexdigest()
            assert part["dcat:mediaType"]["@id"].endswith(kind.partition(";")[0])
    assert sorted(met) == sorted(files)


def test_who_where_when_how_often_and_by_which_licence(said: dict[str, Any]) -> None:
    """DCAT 3: publisher, license, spatial, temporal, accrualPeriodicity, temporalResolution of a resource."""
    assert said["@type"] == "dcat:Catalog"
    for one in (said, *said["dcat:dataset"]):
        languages = [text["@language"] for text in one["dct:title"]]
        assert languages == list(LANGUAGES)
        assert one["dct:license"]["@id"] == "https://creativecommons.org/licenses/by/4.0/"
        assert "青海" in one["dct:publisher"]["foaf:name"][0]["@value"]
        assert one["dct:spatial"]["dcat:bbox"]["@value"].startswith("POLYGON((")
        assert len(one["prov:wasGeneratedBy"]["dct:identifier"]) == 16
    days = next(d for d in said["dcat:dataset"] if d["dct:identifier"] == "days")
    assert days["dct:temporal"]["dcat:startDate"]["@value"] == "2025-12-01"
    assert days["dct:temporal"]["dcat:endDate"]["@value"] == "2025-12-31"
    assert days["dcat:temporalResolution"]["@value"] == "P1D"
    assert days["dct:accrualPeriodicity"]["@id"].endswith("/DAILY")
    register = next(d for d in said["dcat:dataset"] if d["dct:identifier"] == "stations")
    assert "dct:temporal" not in register
    assert "Simulated data" in said["dct:description"][1]["@value"]


def test_addresses_are_absolute_and_below_the_root(said: dict[str, Any]) -> None:
    for node in nodes(said):
        where = node.get("@id", "")
        assert where.startswith(("http://", "https://", "spdx:")) or not where
    assert {s["dcat:endpointURL"]["@id"] for s in said["dcat:service"]} == {
        f"{ROOT}/api/v1", f"{ROOT}/sensorthings/v1.1"}  # fmt: skip


def test_equal_runs_are_equal_bytes_and_every_table_has_its_rhythm(workspace: Workspace) -> None:
    result = views.current(workspace)
    assert open_catalogue.catalogue(workspace, result, ROOT) == open_catalogue.catalogue(workspace, result, ROOT)
    assert set(content.read("open_data", "catalogue")["rhythm"]) == set(open_data.dictionary()["tables"])
