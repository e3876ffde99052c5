"""Whether shapes are shapes, and whether points lie where their rows say. Uses Shapely where it is installed.

Without Shapely (it comes with ``qinglan[grid]``) the form of a WKT text is checked and points are not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import polars as pl

try:
    import shapely
    from shapely.geometry import shape
except ModuleNotFoundError:  # pragma: no cover - the extra is installed where tests run
    shapely = None

#: China with its islands, in degrees WGS-84: what is outside is a slip of the pen.
CHINA = {"lon": (73.0, 136.0), "lat": (3.0, 54.0)}
#: How far outside its place a point may lie before it is told [degrees]: our outlines are simplified.
TOLERANCE = 0.02
_WORDS = {"point": ("POINT",), "line": ("LINESTRING", "MULTILINESTRING"), "polygon": ("POLYGON", "MULTIPOLYGON")}
_FORM = re.compile(r"([A-Z]+)\s*\([-0-9., ()eE+]+\)")


def good_wkt(texts: Sequence[str], kind: str) -> list[bool]:
    """Which texts are WKT of a kind (``point``, ``line``, ``polygon``; empty: any) that lies in China.

    >>> good_wkt(["POLYGON ((101 36, 102 36, 102 37, 101 36))", "POLYGON ((101 36"], "polygon")
    [True, False]
    """
    known = _WORDS.get(kind, sum(_WORDS.values(), ()))
    plain = [" ".join(text.upper().split()) for text in texts]
    formed = [(m := _FORM.fullmatch(text)) is not None and m[1] in known for text in plain]
    if shapely is None:
        return formed
    shapes = shapely.from_wkt(texts, on_invalid="ignore")
    bounds = shapely.bounds(shapes)
    low, high = [[CHINA[axis][end] for axis in ("lon", "lat")] for end in (0, 1)]
    inside = (bounds[:, :2] >= low).all(axis=1) & (bounds[:, 2:] <= high).all(axis=1)
    valid = shapely.is_valid(shapes) & inside
    return [bool(form and ok) for form, ok in zip(formed, valid, strict=True)]


@cache
def load_outlines() -> Mapping[str, Any]:
    """Outlines of places that come with the package (``content/boundaries``): GeoJSON geometry by place code.

    >>> load_outlines()["630102"]["type"]
    'MultiPolygon'
    """
    folder = resources.files("qinglan.content") / "boundaries"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".geojson")), key=lambda f: f.name)
    return {
        feature["properties"]["place"]: feature["geometry"]
        for file in files
        for feature in json.loads(file.read_text(encoding="utf-8"))["features"]
    }


def outside(frame: pl.DataFrame, outlines: Mapping[str, Any]) -> pl.Series:
    """Which rows (`place`, `lon`, `lat`) lie outside the outline of their place; without an outline none does.

    outlines : GeoJSON geometry by place code
    """
    result = np.zeros(frame.height, dtype=bool)
    if shapely is None:
        return pl.Series(result)
    lon, lat, places = frame["lon"].to_numpy(), frame["lat"].to_numpy(), frame["place"].to_numpy()
    for place in frame["place"].drop_nulls().unique():
        outline = outlines.get(place)
        rows = np.flatnonzero((places == place) & np.isfinite(lon) & np.isfinite(lat))
        if outline is None or not len(rows):
            continue
        area = shape(outline)
        shapely.prepare(area)
        out = rows[~shapely.contains_xy(area, lon[rows], lat[rows])]
        if len(out):
            result[out] = shapely.distance(area, shapely.points(lon[out], lat[out])) > TOLERANCE
    return pl.Series(result)
