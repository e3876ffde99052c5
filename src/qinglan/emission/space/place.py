"""Rows of ledgers onto a grid: points, lines and polygons as they lie, the rest over their place's outline."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyproj
import shapely
from scipy import sparse
from shapely.geometry import shape as of_geojson

from qinglan.core.errors import ContentError, LayoutError
from qinglan.emission.categories import categories
from qinglan.emission.space.grid import Floats, Grid
from qinglan.emission.space.overlap import (
    Ints,
    Pieces,
    in_cells,
    line_pieces,
    polygon_pieces,
    ring_points,
    shares,
)
from qinglan.emission.space.regrid import ground
from qinglan.emission.space.spread import KEY, TOLD, Spread
from qinglan.plan.content import read

#: Sides longer than this [degrees] are cut before they are projected, since a projection bends them.
_SIDE = 0.05
_POINT, _LINE, _POLYGON = (0, 4), (1, 5), (3, 6)
_WANTED = (*KEY, "lon", "lat", "geometry", "place", "sector")


class Shares(NamedTuple):
    """Shares of rows in cells: row numbers, cells and shares, one for each piece; `outside` by row (rows,)."""

    row: Ints
    cell: Ints
    share: Floats
    outside: Floats


@cache
def surrogates_of(sector: str) -> tuple[str, ...]:
    """Surrogates of a sector, best first (content/factors/surrogates.yaml); UnknownName for an unknown sector.

    >>> surrogates_of("household")
    ('population', 'built_up')
    """
    book = read("factors", "surrogates")
    where = categories().class_of(sector)
    named = book["sectors"].get(sector, book["classes"].get(where))
    if named is None or (strange := [n for n in named if n not in book["surrogates"]]):
        raise ContentError("factors/surrogates.yaml", [f"class {where}: no list, or unknown names {strange!r}."])
    return tuple(named)


def place_on(
    grid: Grid,
    located: pl.DataFrame,
    *,
    surrogates: Mapping[str, pl.DataFrame] | None = None,
    outlines: Mapping[str, Any] | None = None,
) -> Spread:
    """Put units on a grid.

    Parameters
    ----------
    located : frame of activities: `ledger, row_key, activity, lon, lat` [degrees], `geometry` (WKT), `place`
        (GB/T 2260), `sector`; one row for each unit
    surrogates : by name, frames `lon, lat` [degrees], `weight` >= 0: points, or a raster as fine as the grid
    outlines : GeoJSON geometry by place code

    A geometry goes before a point. Lines are shared by length on the ellipsoid, polygons by ground area. A row
    without a good location is spread over its place's outline by the first surrogate that has weight there
    (:func:`surrogates_of`), else by area: the place's total is kept, what is beyond the grid goes to `outside`.
    `Spread.unplaced` names rows whose own location fails, with reasons `no_location`, `bad_point`, `bad_geometry`;
    with `way` none they stand nowhere (`outside` 1), and `detail` says why. Raises LayoutError for a missing
    column or a unit that comes twice.
    """
    if missing := [c for c in _WANTED if c not in located.columns]:
        raise LayoutError(f"activities lack {', '.join(missing)}.", remedy=f"Give {', '.join(_WANTED)}.")
    units = located.select(pl.col(c).cast(pl.String) for c in KEY)
    if units.is_duplicated().any():
        twice = units.row(int(units.is_duplicated().arg_max() or 0))
        raise LayoutError(f"unit {twice} comes twice.", remedy="Give one row for each ledger, row and activity.")
    way, reason, detail, shapes, kind = _sorted(located)
    found = [_points(grid, located, shapes, way)]
    for name, kinds in (("line", _LINE), ("polygon", _POLYGON)):
        rows = np.flatnonzero(np.isin(kind, kinds) & (way == name))
        if rows.size:
            cut = _lines(grid, shapes[rows]) if name == "line" else _polygons(grid, shapes[rows])
            found.append(Shares(rows[cut.row], cut.cell, cut.share, _full(way.size, rows, cut.outside)))
    found.append(_places(grid, located, way, detail, (surrogates or {}, outlines or {})))
    outside = np.where(way == "none", 1.0, sum(part.outside for part in found))
    row, cell, share = (np.concatenate([part[i] for part in found]) for i in range(3))
    matrix = sparse.coo_array((share, (row, cell)), shape=(way.size, grid.cells)).tocsr()
    told = units.with_columns(
        way=pl.Series(way.tolist(), dtype=pl.String),
        reason=pl.Series(reason.tolist(), dtype=pl.String),
        detail=pl.Series(detail.tolist(), dtype=pl.String),
    )
    return Spread(grid, units, matrix, outside, told.select(*TOLD))


def _full(number: int, rows: Any, values: Floats) -> Floats:
    result = np.zeros(number)
    result[rows] = values
    return result


def _sorted(located: pl.DataFrame) -> tuple[Any, Any, Any, Any, Any]:
    """How each row can be placed by itself (point, line, polygon or "place"), why not, shapes and their kinds."""
    number = located.height
    way, reason, detail = (np.full(number, v, dtype=object) for v in ("place", None, None))
    texts = located["geometry"].cast(pl.String).to_numpy()
    given = np.array([t is not None and bool(t.strip()) for t in texts], dtype=bool)
    shapes = np.full(number, None, dtype=object)
    if given.any():
        shapes[given] = _sound(shapely.from_wkt(texts[given].tolist(), on_invalid="ignore"))
    kind = shapely.get_type_id(shapes)
    for name, kinds in (("point", _POINT), ("line", _LINE), ("polygon", _POLYGON)):
        way[np.isin(kind, kinds)] = name
    bad = given & (way == "place")
    reason[bad], detail[bad] = "bad_geometry", [str(t)[:80] for t in texts[bad]]
    lon, lat = (located[c].cast(pl.Float64).fill_null(np.nan).to_numpy() for c in ("lon", "lat"))
    told = ~np.isnan(lon) | ~np.isnan(lat)
    on_earth = (np.abs(lon) <= 180) & (np.abs(lat) <= 90) & ~((lon == 0) & (lat == 0))
    rest = way == "place"
    way[rest & on_earth] = "point"
    astray = rest & told & ~on_earth
    reason[astray], detail[astray] = (
        "bad_point",
        [f"{x}, {y}" for x, y in zip(lon[astray], lat[astray], strict=True)],
    )
    reason[rest & ~told & ~given] = "no_location"
    return way, reason, detail, shapes, kind


def _sound(shapes: Any) -> Any:
    """Shapes on the earth with a size; areas that cross themselves are mended; others become None."""
    crossed = np.isin(shapely.get_type_id(shapes), _POLYGON) & ~shapely.is_valid(shapes)
    if crossed.any():
        shapes[crossed] = shapely.make_valid(shapes[crossed], method="structure", keep_collapsed=False)
    low, high = shapely.bounds(shapes)[:, :2], shapely.bounds(shapes)[:, 2:]
    kind = shapely.get_type_id(shapes)
    size = np.where(
        np.isin(kind, _POLYGON), shapely.area(shapes), np.where(np.isin(kind, _LINE), shapely.length(shapes), 1)
    )
    with np.errstate(invalid="ignore"):
        good = (low >= (-180, -90)).all(axis=1) & (high <= (180, 90)).all(axis=1) & (size > 0)
    return np.where(good & np.isin(kind, (*_POINT, *_LINE, *_POLYGON)), shapes, None)


def _points(grid: Grid, located: pl.DataFrame, shapes: Any, way: Any) -> Shares:
    """Rows of points; the points of a multipoint share evenly."""
    rows = np.flatnonzero(way == "point")
    drawn = np.array([shapes[r] is not None for r in rows], dtype=bool)
    parts, owner = shapely.get_coordinates(shapes[rows[drawn]], return_index=True)
    plain = rows[~drawn]
    lonlat = located.select(pl.col("lon", "lat").cast(pl.Float64)).to_numpy()[plain]
    row = np.concatenate([plain, rows[drawn][owner]])
    points = np.vstack([lonlat, parts])
    share = 1.0 / np.bincount(row, minlength=way.size)[row]
    cell = grid.cell_of(points[:, 0], points[:, 1])
    inside = cell >= 0
    outside = np.bincount(row[~inside], weights=share[~inside], minlength=way.size).astype(float)
    return Shares(row[inside], cell[inside], share[inside], outside)


def _lines(grid: Grid, shapes: Any) -> Shares:
    parts, owner = shapely.get_parts(shapely.segmentize(shapes, _SIDE), return_index=True)
    points, part = shapely.get_coordinates(parts, return_index=True)
    joined = np.flatnonzero(part[1:] == part[:-1])
    lon, lat = points[:, 0], points[:, 1]
    geod = pyproj.Geod(ellps="WGS84")
    length = np.abs(geod.inv(lon[joined], lat[joined], lon[joined + 1], lat[joined + 1])[2])
    u, v = in_cells(grid, *grid.plane(lon, lat))
    ends = [np.column_stack([w[joined], w[joined + 1]]) for w in (u, v)]
    return _shared(line_pieces(grid, ends[0], ends[1], np.asarray(length), owner[part[joined]]), None)


def _polygons(grid: Grid, shapes: Any) -> Shares:
    points, ring, owner = ring_points(shapely.segmentize(shapes, _SIDE))
    u, v = in_cells(grid, *grid.plane(points[:, 0], points[:, 1]))
    return _shared(polygon_pieces(grid, u, v, ring, owner), None if grid.geographic else ground(grid))


def _shared(pieces: Pieces, weight: Floats | None) -> Shares:
    share, outside = shares(pieces, weight)
    return Shares(pieces.shape, pieces.cell, share, outside)


def _places(grid: Grid, located: pl.DataFrame, way: Any, detail: Any, given: tuple[Any, Any]) -> Shares:
    """Rows that only a place holds; `way` and `detail` are completed."""
    rows = np.flatnonzero(way == "place")
    places, sectors = located["place"].to_list(), located["sector"].to_list()
    made: dict[tuple[str, str], Shares | None] = {}
    row, cell, share, outside = [], [], [], np.zeros(way.size)
    for r in rows:
        outline = given[1].get(places[r])
        if outline is None:
            way[r] = "none"
            detail[r] = f"{detail[r]}; no outline of {places[r]}" if detail[r] else f"no outline of {places[r]}"
            continue
        names = surrogates_of(sectors[r]) if sectors[r] in categories().sectors else ()
        for name in (*(n for n in names if n in given[0]), "area"):
            if (places[r], name) not in made:
                made[places[r], name] = _within(grid, outline, given[0].get(name) if name != "area" else None)
            if (found := made[places[r], name]) is not None:
                way[r] = name
                row.append(np.full(found.cell.size, r))
                cell.append(found.cell)
                share.append(found.share)
                outside[r] = found.outside[0]
                break
    empty = np.empty(0, dtype=np.int64)
    return Shares(
        np.concatenate([empty, *row]),
        np.concatenate([empty, *cell]),
        np.concatenate([empty * 1.0, *share]),
        outside,
    )


def _within(grid: Grid, outline: Any, weights: pl.DataFrame | None) -> Shares | None:
    """An outline by area, or by the weights that lie in it; None when none does."""
    area = of_geojson(outline)
    if weights is None:
        return _polygons(grid, np.array([area], dtype=object))
    lon, lat, weight = (weights[c].cast(pl.Float64).to_numpy() for c in ("lon", "lat", "weight"))
    west, south, east, north = area.bounds
    near = np.flatnonzero((lon >= west) & (lon <= east) & (lat >= south) & (lat <= north) & (weight > 0))
    shapely.prepare(area)
    near = near[shapely.contains_xy(area, lon[near], lat[near])]
    if not near.size:
        return None
    part = weight[near] / weight[near].sum()
    cell = grid.cell_of(lon[near], lat[near])
    inside = cell >= 0
    outside = np.array([part[~inside].sum()])
    cells, index = np.unique(cell[inside], return_inverse=True)
    summed = np.bincount(index, weights=part[inside], minlength=cells.size).astype(float)
    return Shares(np.zeros(cells.size, np.int64), cells, summed, outside)
