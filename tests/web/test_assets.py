"""Static files: pinned, compressed once, the boundaries ours and in the stated datum."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path

import qinglan.web
from qinglan.plan.places import load_places
from qinglan.web.assets import asset, assets

STATIC = Path(qinglan.web.__file__).parent / "static"


def test_every_library_is_the_one_that_was_pinned() -> None:
    """(b) The files as their authors published them on npm, named with version, licence and digest."""
    pinned = json.loads((STATIC / "vendor/vendor.json").read_text("utf-8"))
    there = {p.name for p in (STATIC / "vendor").iterdir() if p.is_file()} - {"vendor.json"}
    assert set(pinned) == there
    for name, about in pinned.items():
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == about["sha256"], name
        assert about["version"]
        assert about["licence"]
        assert any((STATIC / "vendor/licences").glob(f"{about['package'].split('.')[0]}*")), name


def test_boundaries_hold_every_prefecture_and_county_once() -> None:
    """(c) The areas of Qinghai in GB/T 2260, each once; neighbours share their borders."""
    places = load_places()
    for level, number in (("prefecture", 8), ("county", 45)):
        drawn = json.loads(assets()[f"boundaries/630000-{level}.geojson"].body)
        codes = [feature["properties"]["place"] for feature in drawn["features"]]
        assert len(set(codes)) == len(codes) == number
        # AMap gives the parts of Haixi under no county (Da Qaidam) a code of its own.
        assert [code for code in codes if code not in places] == ([] if level == "prefecture" else ["632825"])
        assert "GCJ-02" in drawn["about"]["datum"]


def test_boundaries_are_not_shifted() -> None:
    """(a) Stations lie in the prefecture that they are registered in (WGS 84, simplified by 0.01 degrees)."""
    import csv
    from importlib.resources import files

    drawn = json.loads(assets()["boundaries/630000-prefecture.geojson"].body)
    outside = []
    with (files("qinglan.content") / "places/stations_qinghai.csv").open(encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            if row["place"].endswith("00") and row["lon"]:
                home = next(f for f in drawn["features"] if f["properties"]["place"] == row["place"])
                if not _inside(float(row["lon"]), float(row["lat"]), home["geometry"]):
                    outside.append(row["station"])
    assert outside == []


def _inside(x: float, y: float, geometry: dict) -> bool:
    """Even-odd rule over all rings."""
    polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    odd = False
    for ring in (ring for polygon in polygons for ring in polygon):
        for (x1, y1), (x2, y2) in pairwise(ring):
            if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                odd = not odd
    return odd


def test_an_address_changes_with_the_file_and_lasts(client) -> None:
    """RFC 9111: a copy named by its digest is immutable, one without has to be asked for."""
    named = client.get(asset("qinglan.css"))
    assert "immutable" in named.headers["cache-control"]
    assert named.headers["content-encoding"] == "gzip"
    bare = client.get("/static/qinglan.css")
    assert bare.headers["cache-control"] == "no-cache"
    again = client.get("/static/qinglan.css", headers={"If-None-Match": bare.headers["etag"]})
    assert again.status_code == 304
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/static/none.css").status_code == 404
