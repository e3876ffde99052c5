"""The catalogue of open data as DCAT 3 in JSON-LD, so that portals and search engines find the tables.

A dataset is a table, a distribution one of its files, as `open_data` makes them: sizes, checksums and addresses
are those of the package. The two APIs are data services.
Sources: W3C Data Catalog Vocabulary (DCAT) version 3; for place, time and frequency as GeoDCAT-AP 3.0.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import quote

from qinglan.flow import open_data, views
from qinglan.flow.workspace import Workspace
from qinglan.plan import content

Row = dict[str, Any]

NAME, MEDIA = "catalog.jsonld", "application/ld+json"
_IANA = "https://www.iana.org/assignments/media-types/"
_FREQUENCY = "http://publications.europa.eu/resource/authority/frequency/"
_ENVIRONMENT = "http://publications.europa.eu/resource/authority/data-theme/ENVI"
_WKT = "http://www.opengis.net/ont/geosparql#wktLiteral"
CONTEXT: Mapping[str, Any] = {
    "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "prov": "http://www.w3.org/ns/prov#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "spdx": "http://spdx.org/rdf/terms#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}


def catalogue(workspace: Any, result: views.Result, root: str) -> bytes:
    """The catalogue of a run as JSON-LD.

    root : address of the server, absolute and without a slash at its end. Equal runs and roots are equal bytes.
    """
    package = json.loads(open_data.file(workspace, result, open_data.PACKAGE)[0])
    files: dict[str, list[Row]] = {}
    tables = {each.name: each.table for each in open_data.files(result)}
    for resource in package["resources"]:
        files.setdefault(tables[resource["path"]], []).append(resource)
    words: Mapping[str, Any] = content.read("open_data", "catalogue")
    whole = _shared(workspace, result, package, words)
    made: Row = {
        "@context": CONTEXT,
        "@id": f"{root}/public/data/{NAME}",
        "@type": "dcat:Catalog",
        "dct:title": _both(words["title"]),
        "dct:description": _both(_warned(words["description"], package["simulated"])),
        "dct:language": [_language(code) for code in ("ZHO", "ENG")],
        "foaf:homepage": {"@id": f"{root}/public/data"},
        **whole,
        "dcat:dataset": [_dataset(root, table, files[table], whole, words) for table in files],
        "dcat:service": [_service(root, key, said, whole) for key, said in words["services"].items()],
    }
    return json.dumps(made, ensure_ascii=False, indent=1).encode()


def _shared(workspace: Any, result: views.Result, package: Row, words: Mapping[str, Any]) -> Row:
    """What holds for the catalogue and each dataset: who, under which licence, by which run, where, when."""
    run = package["provenance"]
    place = getattr(getattr(workspace, "settings", None), "place", "")
    known = workspace.named(place) if isinstance(workspace, Workspace) else views.places(result).get(place)
    name = {"zh": known["name"], "en": known["name_en"]} if known else {"zh": "", "en": ""}
    publisher = {code: text.format(place=name[code]).strip() for code, text in words["publisher"].items()}
    found: Row = {
        "dct:publisher": {"@type": "foaf:Agent", "foaf:name": _both(publisher)},
        "dct:license": {"@id": package["licenses"][0]["path"]},
        "dct:issued": _typed(run["started_at"], "dateTime"),
        "dct:modified": _typed(run["started_at"], "dateTime"),
        "dcat:version": package["version"],
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "dct:identifier": run["id"],
            "rdfs:label": f"Qinglan {run['code_version']}, run {run['id']}",
        },
    }
    area = _area(result)
    if area is not None:
        located: Row = {"@type": "dct:Location", "dcat:bbox": {"@type": _WKT, "@value": area}}
        found["dct:spatial"] = located | ({"skos:prefLabel": _both(name)} if known else {})
    first = _first_day(result)
    if first is not None:
        found["dct:temporal"] = {
            "@type": "dct:PeriodOfTime",
            "dcat:startDate": _typed(first.isoformat(), "date"),
            "dcat:endDate": _typed(result.verdict["as_of"], "date"),
        }
    return found


def _dataset(root: str, table: str, files: list[Row], shared: Row, words: Mapping[str, Any]) -> Row:
    """One table with its files."""
    about = open_data.dictionary()["tables"][table]
    fields = next(file["schema"]["fields"] for file in files if "schema" in file)
    meaning = {"zh": "、".join(f["title"] for f in fields), "en": "; ".join(f["title_en"] for f in fields)}
    rhythm = words["rhythm"][table]
    made: Row = {
        "@id": f"{root}/public/data#{table}",
        "@type": "dcat:Dataset",
        "dct:identifier": table,
        "dct:title": _both(about),
        "dct:description": _both({code: f"{words['columns'][code]}{meaning[code]}" for code in meaning}),
        "dcat:keyword": [_word(code, text) for code in ("zh", "en") for text in words["keywords"][code]],
        "dcat:theme": {"@id": _ENVIRONMENT},
        "dct:accrualPeriodicity": {"@id": _FREQUENCY + rhythm["frequency"]},
        "dcat:landingPage": {"@id": f"{root}/public/data"},
        **shared,
    }
    if "resolution" in rhythm:
        made["dcat:temporalResolution"] = _typed(rhythm["resolution"], "duration")
    else:
        made.pop("dct:temporal", None)
    return made | {"dcat:distribution": [_distribution(root, file, shared["dct:license"]) for file in files]}


def _distribution(root: str, file: Row, licence: Row) -> Row:
    """One file: where it is, what it is, how long, and its digest."""
    address = f"{root}/public/data/{quote(file['path'])}"
    return {
        "@id": address,
        "@type": "dcat:Distribution",
        "dct:title": _both({"zh": file["title"], "en": file["title_en"]}),
        "dcat:downloadURL": {"@id": address},
        "dcat:accessURL": {"@id": f"{root}/public/data"},
        "dcat:mediaType": {"@id": _IANA + file["mediatype"]},
        "dcat:byteSize": _typed(str(file["bytes"]), "nonNegativeInteger"),
        "dct:license": licence,
        "spdx:checksum": {
            "@type": "spdx:Checksum",
            "spdx:algorithm": {"@id": "spdx:checksumAlgorithm_sha256"},
            "spdx:checksumValue": _typed(file["hash"].removeprefix("sha256:"), "hexBinary"),
        },
    }


def _service(root: str, key: str, said: Row, shared: Row) -> Row:
    """An API that gives the hours behind the tables."""
    made: Row = {
        "@id": f"{root}{said['address']}",
        "@type": "dcat:DataService",
        "dct:identifier": key,
        "dct:title": _both(said),
        "dcat:endpointURL": {"@id": f"{root}{said['address']}"},
        "dct:license": shared["dct:license"],
        "dct:publisher": shared["dct:publisher"],
    }
    if "description" in said:
        made["dcat:endpointDescription"] = {"@id": f"{root}{said['description']}"}
    if "conforms_to" in said:
        made["dct:conformsTo"] = {"@id": said["conforms_to"]}
    return made


def _area(result: views.Result) -> str | None:
    """The box around the stations as WKT, longitude first (WGS-84); None without coordinates."""
    points = [(s["lon"], s["lat"]) for s in views.stations(result)]
    lons, lats = ([p[k] for p in points if None not in p] for k in (0, 1))
    if not lons:
        return None
    west, east, south, north = min(lons), max(lons), min(lats), max(lats)
    return f"POLYGON(({west} {south},{east} {south},{east} {north},{west} {north},{west} {south}))"


def _first_day(result: views.Result) -> date | None:
    """The first day that the run has."""
    rows = result.rows("place_days", "true qualify row_number() over (order by day) = 1", "day")
    return rows[0]["day"] if rows else None


def _warned(text: Row, invented: bool) -> Row:
    """The description, which says first when the data are invented."""
    warning = {"zh": "模拟数据，不是真实观测。", "en": "Simulated data, not observed. "} if invented else {}
    return {code: warning.get(code, "") + text[code] for code in ("zh", "en")}


def _word(code: str, text: str) -> Row:
    return {"@language": code, "@value": text}


def _both(text: Mapping[str, Any]) -> list[Row]:
    """Words in both languages."""
    return [_word(code, text[code]) for code in ("zh", "en")]


def _typed(value: str, kind: str) -> Row:
    return {"@type": f"xsd:{kind}", "@value": value}


def _language(code: str) -> Row:
    return {"@id": f"http://publications.europa.eu/resource/authority/language/{code}"}
