"""Outlines of counties as they come with the package (``content/boundaries``), without a geometry library."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qinglan.plan.places import load_places

#: The rings of an outline, each as lon, lat [°]; a hole is a ring like any other.
Rings = tuple[NDArray[np.float64], ...]


@cache
def county_outlines(province: str = "630000") -> Mapping[str, Rings]:
    """Rings by county code; a county that the file knows by an older code is found by its alias.

    >>> sorted(county_outlines())[0]
    '630102'
    """
    file = resources.files("qinglan.content") / "boundaries" / f"{province}-county.geojson"
    places = load_places()
    found = json.loads(file.read_text(encoding="utf-8"))["features"]
    return {places.find(f["properties"]["place"]).place: _rings(f["geometry"]) for f in found}


def inside(rings: Rings, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points lie inside: an odd number of edges is crossed on the way to the east.

    >>> square = (np.array([[0.0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]),)
    >>> inside(square, np.array([1.0, 3.0]), np.array([1.0, 1.0])).tolist()
    [True, False]
    """
    crossed = np.zeros(len(lon), dtype=np.int64)
    for ring in rings:
        (x0, y0), (x1, y1) = ring[:-1].T, ring[1:].T
        spans = (y0[:, None] > lat) != (y1[:, None] > lat)
        with np.errstate(divide="ignore", invalid="ignore"):
            east = x0[:, None] + (lat - y0[:, None]) * ((x1 - x0) / (y1 - y0))[:, None] > lon
        crossed += (spans & east).sum(axis=0)
    odd: NDArray[np.bool_] = crossed % 2 == 1
    return odd


def _rings(geometry: Mapping[str, Any]) -> Rings:
    parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    return tuple(np.asarray(ring, dtype=np.float64)[:, :2] for part in parts for ring in part)
