"""GeoParquet 1.1: sources as points and the year's tonnes as cells, for GIS."""

from __future__ import annotations

import io
import json

import numpy as np
import polars as pl
import pyarrow.parquet as parquet
import shapely
from pyproj import CRS

from qinglan.core.errors import LayoutError
from qinglan.emission.export import fluxes
from qinglan.emission.shape.factored import Factored


def cells(field: Factored) -> bytes:
    """The year's tonnes by cell, all layers, as GeoParquet of polygons in the grid's own projection.

    Columns `iy, ix`, one for each species [t/a], `geometry`. Cells without emission are left out.
    """
    made = field.summed().sum(axis=1)
    iy, ix = np.nonzero(made.sum(axis=0) > 0)
    x, y = fluxes.edges(field.grid)
    boxes = shapely.box(x[ix], y[iy], x[ix + 1], y[iy + 1])
    columns = {"iy": iy, "ix": ix} | {name: made[i][iy, ix] for i, name in enumerate(field.species)}
    return _written(pl.DataFrame(columns), boxes, fluxes.crs_of(field.grid), "Polygon")


def points(frame: pl.DataFrame) -> bytes:
    """A frame with `lon, lat` [degrees, WGS 84] as GeoParquet of points.

    Rows without a place keep their row and have no geometry. Raises LayoutError when a column is missing.
    """
    missing = [name for name in ("lon", "lat") if name not in frame.columns]
    if missing:
        raise LayoutError(f"the frame has no column {', '.join(missing)}.", remedy="Give lon and lat in degrees.")
    lon, lat = (frame[name].cast(pl.Float64).to_numpy() for name in ("lon", "lat"))
    placed = np.isfinite(lon) & np.isfinite(lat)
    made = np.full(frame.height, None, dtype=object)
    made[placed] = shapely.points(lon[placed], lat[placed])
    return _written(frame, made, CRS.from_user_input("OGC:CRS84"), "Point")


def _written(frame: pl.DataFrame, shapes: np.ndarray, crs: CRS, kind: str) -> bytes:
    """Source: GeoParquet 1.1.0 (geoparquet.org), WKB with the file's `geo` metadata."""
    known = [shape for shape in shapes if shape is not None]
    column: dict[str, object] = {"encoding": "WKB", "geometry_types": [kind], "crs": crs.to_json_dict()}
    if known:
        column["bbox"] = shapely.total_bounds(np.array(known, dtype=object)).tolist()
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    wkb = [None if shape is None else shapely.to_wkb(shape) for shape in shapes]
    table = frame.with_columns(pl.Series("geometry", wkb, dtype=pl.Binary)).to_arrow()
    table = table.cast(table.schema)
    held = {**(table.schema.metadata or {}), b"geo": json.dumps(geo).encode()}
    target = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata(held), target, compression="zstd")
    return target.getvalue()
