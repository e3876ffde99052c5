"""Ours: shapes onto the cells of a grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import shapely

from benchmarks.regridding import CATEGORIES, shapes
from qinglan.emission.space import place_on


def place(points: int, side: int, cells: int) -> dict[str, Any]:
    """Total on the grid and sums of its rows; every category of a polygon is a unit of its own."""
    grid, dots, areas, of_dots, of_areas = shapes(points, side, cells)
    texts = np.tile(shapely.to_wkt(areas, rounding_precision=-1), len(CATEGORIES)).tolist()
    number = points + len(texts)
    located = pl.DataFrame(
        {
            "ledger": pl.repeat("bench", number, eager=True),
            "row_key": [str(n) for n in range(number)],
            "activity": pl.repeat("a", number, eager=True),
            "lon": [*dots[:, 0], *[None] * len(texts)],
            "lat": [*dots[:, 1], *[None] * len(texts)],
            "geometry": [*[None] * points, *texts],
            "place": pl.repeat("630000", number, eager=True),
            "sector": pl.repeat("household", number, eager=True),
        }
    )
    masses = np.vstack([of_dots, of_areas])
    field = place_on(grid, located).cells(masses)
    return {"given": masses.sum(), "total": field.sum(), "rows": field.sum(axis=(0, 2)).tolist()}
