"""emiproc: shapes onto the cells of a grid, by `remap_inventory`."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from emiproc.grids import RegularGrid
from emiproc.inventories import Inventory
from emiproc.regrid import remap_inventory

from benchmarks.regridding import CATEGORIES, SPECIES, shapes


def place(points: int, side: int, cells: int) -> dict[str, Any]:
    """Total on the grid and sums of its rows; shapes are brought into the grid's plane by geopandas."""
    grid, dots, areas, of_dots, of_areas = shapes(points, side, cells)
    masses = of_areas.reshape(len(CATEGORIES), -1, len(SPECIES))
    columns = {(c, s): masses[i, :, k] for i, c in enumerate(CATEGORIES) for k, s in enumerate(SPECIES)}
    plane = gpd.GeoSeries(areas, crs="EPSG:4326").to_crs(grid.crs)
    polygons = gpd.GeoDataFrame(pd.DataFrame(columns), geometry=plane)
    at = gpd.GeoSeries(gpd.points_from_xy(*dots.T), crs="EPSG:4326").to_crs(grid.crs)
    chimneys = gpd.GeoDataFrame({s: of_dots[:, k] for k, s in enumerate(SPECIES)}, geometry=at)
    inventory = Inventory.from_gdf(gdf=polygons, gdfs={"chimneys": chimneys})
    target = RegularGrid(xmin=grid.x0, ymin=grid.y0, nx=grid.nx, ny=grid.ny, dx=grid.dx, dy=grid.dy, crs=grid.crs)
    out = remap_inventory(inventory, target).gdf
    field = sum(out[column].to_numpy() for column in out.columns if column[0] not in ("geometry", ""))
    # emiproc counts cells column by column.
    rows = np.asarray(field).reshape(grid.nx, grid.ny).sum(axis=0)
    return {"given": of_dots.sum() + of_areas.sum(), "total": float(rows.sum()), "rows": rows.tolist()}
