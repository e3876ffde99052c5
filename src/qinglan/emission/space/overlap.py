"""Exact overlaps of polygons and lines with the cells of a plane grid, in units of cells."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
import shapely

from qinglan.emission.space.grid import Floats, Grid, authalic

Ints = npt.NDArray[np.int64]

#: Shares of a cell below this are rounding of the sums and no overlap.
DUST = 1e-11


class Pieces(NamedTuple):
    """Parts of shapes in cells: which shape, which cell, how much; `total` (shapes,) is the whole of each."""

    shape: Ints
    cell: Ints
    amount: Floats
    total: Floats


def in_cells(grid: Grid, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Coordinates of the grid's CRS as columns and rows; of a geographic grid, rows are such that areas are true.

    A geographic grid's plane is Lambert's cylindrical equal-area one (:func:`grid.authalic`), where a cell stays a
    rectangle: within a row the fraction is that of the row's area.
    """
    u = (x - grid.x0) / grid.dx
    if not grid.geographic:
        return u, (y - grid.y0) / grid.dy
    # Latitudes beyond the grid only have to stay beyond it: one row more on either side carries them.
    rows = np.arange(grid.ny + 1)
    edges = authalic(grid.y0 + grid.dy * rows, grid.crs)
    level = authalic(y, grid.crs)
    v = np.interp(level, edges, rows.astype(float))
    low, high = edges[1] - edges[0], edges[-1] - edges[-2]
    v = np.where(level < edges[0], (level - edges[0]) / low, v)
    return u, np.where(level > edges[-1], grid.ny + (level - edges[-1]) / high, v)


def row_areas(grid: Grid) -> Floats:
    """Area of a cell of each row in the plane of :func:`in_cells`, up to a common factor (ny,)."""
    if not grid.geographic:
        return np.full(grid.ny, grid.dx * grid.dy)
    areas: Floats = grid.areas()[:, 0]
    return areas


@numba.njit(cache=True)
def _add_row(line: Any, ua: float, ub: float, dv: float, width: int) -> None:  # pragma: no cover - compiled
    """Signed area to the right of an edge that climbs `dv` within one row, kept as differences along the row."""
    if ua > ub:
        ua, ub = ub, ua
    if ub <= 0:
        line[0] += dv
        return
    if ua >= width:
        return
    if ub - ua < 1e-13:
        i = int(ua) if ua > 0 else 0
        f = max(ua, 0.0) - i
        line[i] += dv * (1 - f)
        line[i + 1] += dv * f
        return
    if ua < 0:
        line[0] += dv * (-ua / (ub - ua))
    left, end = max(ua, 0.0), min(ub, float(width))
    i = int(left)
    while left < end:
        right = min(i + 1.0, end)
        part = dv * (right - left) / (ub - ua)
        f = (left + right) / 2 - i
        line[i] += part * (1 - f)
        line[i + 1] += part * f
        left = right
        i += 1


@numba.njit(cache=True)
def _cover(u: Any, v: Any, ring: Any, first: int, last: int, box: Any, line: Any) -> None:  # pragma: no cover
    """Edges of points first..last of a shape into `line` (rows, columns + 2) of `box` (u0, v0, width, height)."""
    for k in range(first, last - 1):
        if ring[k] != ring[k + 1]:
            continue
        ua, va, ub, vb = u[k] - box[0], v[k] - box[1], u[k + 1] - box[0], v[k + 1] - box[1]
        if va == vb:
            continue
        sign = 1.0
        if va > vb:
            ua, va, ub, vb, sign = ub, vb, ua, va, -1.0
        slope = (ub - ua) / (vb - va)
        low, end = max(va, 0.0), min(vb, float(box[3]))
        j = int(low)
        while low < end:
            high = min(j + 1.0, end)
            _add_row(line[j], ua + (low - va) * slope, ua + (high - va) * slope, sign * (high - low), box[2])
            low = high
            j += 1


@numba.njit(cache=True)
def _covered(
    u: Any, v: Any, ring: Any, starts: Any, boxes: Any, nx: int, dust: float
) -> tuple[Any, Any, Any]:  # pragma: no cover - compiled
    """Fractions of cells covered by shapes whose rings are counter-clockwise and whose holes are clockwise."""
    shapes, cells, parts = [0 for _ in range(0)], [0 for _ in range(0)], [0.0 for _ in range(0)]
    for s in range(len(starts) - 1):
        box = boxes[s]
        if box[2] <= 0 or box[3] <= 0:
            continue
        line = np.zeros((box[3], box[2] + 2))
        _cover(u, v, ring, starts[s], starts[s + 1], box, line)
        for j in range(box[3]):
            sum_ = 0.0
            for i in range(box[2]):
                sum_ -= line[j, i]
                if sum_ > dust:
                    shapes.append(s)
                    cells.append((j + box[1]) * nx + i + box[0])
                    parts.append(sum_)
    return np.array(shapes), np.array(cells), np.array(parts)


def polygon_pieces(grid: Grid, u: Floats, v: Floats, ring: Ints, owner: Ints) -> Pieces:
    """Areas of polygons in cells, by the signed area to the right of every edge; exact but for rounding.

    u, v : (points,) vertices as :func:`in_cells`; ring : (points,) number of the ring, closed, exteriors
    counter-clockwise and holes clockwise; owner : (points,) number of the shape, ascending from 0

    The total of a polygon is its whole area, beyond the grid too, in the unit of :func:`row_areas`.
    """
    number = int(owner[-1]) + 1 if owner.size else 0
    starts = np.searchsorted(owner, np.arange(number + 1))
    low_u, high_u = np.minimum.reduceat(u, starts[:-1]), np.maximum.reduceat(u, starts[:-1])
    low_v, high_v = np.minimum.reduceat(v, starts[:-1]), np.maximum.reduceat(v, starts[:-1])
    first = np.column_stack([np.clip(np.floor(low_u), 0, grid.nx), np.clip(np.floor(low_v), 0, grid.ny)])
    last = np.column_stack([np.clip(np.ceil(high_u), 0, grid.nx), np.clip(np.ceil(high_v), 0, grid.ny)])
    boxes = np.column_stack([first, last - first]).astype(np.int64)
    shape, cell, part = _covered(u, v, ring, starts, boxes, grid.nx, DUST)
    areas = row_areas(grid)
    amount = part * areas[cell // grid.nx]
    # Rows beyond a geographic grid are as large as the outermost row (in_cells), so one factor a row is right.
    weight = _integral(v, areas)
    same = ring[1:] == ring[:-1]
    edges = np.where(same, -(u[1:] + u[:-1]) / 2 * np.diff(weight), 0.0)
    total = -np.add.reduceat(np.append(edges, 0.0), starts[:-1])
    # An edge across rows of different areas is bent a little in `weight`: where nothing is beyond, sum instead.
    within = (low_u >= 0) & (high_u <= grid.nx) & (low_v >= 0) & (high_v <= grid.ny)
    inside = np.bincount(shape, weights=amount, minlength=number)
    total[within] = inside[within]
    return Pieces(shape.astype(np.int64), cell.astype(np.int64), amount, total)


def _integral(v: Floats, areas: Floats) -> Floats:
    """Area of one column from the grid's southern edge to row coordinate `v`."""
    sums = np.concatenate([[0.0], np.cumsum(areas)])
    inner = np.interp(v, np.arange(sums.size, dtype=float), sums)
    below, above = np.minimum(v, 0.0) * areas[0], np.maximum(v - areas.size, 0.0) * areas[-1]
    result: Floats = inner + below + above
    return result


def shares(pieces: Pieces, weight: Floats | None = None, whole: Floats | None = None) -> tuple[Floats, Floats]:
    """Share of each piece in its shape, and of each shape beyond the grid (shapes,) [1]; together exactly one.

    weight : (cells,) ground area for one unit of area in the plane, where the projection is not of equal area;
    whole : (shapes,) ground area of each shape where it is known, for those that are partly beyond
    """
    inside = np.bincount(pieces.shape, weights=pieces.amount, minlength=pieces.total.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        outside = np.clip(1 - inside / pieces.total, 0.0, 1.0)
    outside[outside < 10 * DUST] = 0.0
    outside[inside <= 0] = 1.0
    amount = pieces.amount if weight is None else pieces.amount * weight[pieces.cell]
    sums = np.bincount(pieces.shape, weights=amount, minlength=pieces.total.size)
    if whole is not None:
        partly = (outside > 0) & (outside < 1)
        outside[partly] = np.clip(1 - sums[partly] / whole[partly], 0.0, 1.0)
    share: Floats = amount / sums[pieces.shape] * (1 - outside[pieces.shape])
    return share, outside


def line_pieces(grid: Grid, u: Floats, v: Floats, length: Floats, owner: Ints) -> Pieces:
    """Lengths of lines in cells: every segment cut where it crosses an edge of a cell.

    u, v : (segments, 2) ends as :func:`in_cells`; length : (segments,) of each [any unit];
    owner : (segments,) number of the line. A piece along an edge is of the cell east or north of it.
    """
    number = int(owner.max()) + 1 if owner.size else 0
    total: Floats = np.bincount(owner, weights=length, minlength=number).astype(float)
    segments, cuts = [np.arange(u.shape[0]).repeat(2)], [np.tile([0.0, 1.0], u.shape[0])]
    for ends, limit in ((u, grid.nx), (v, grid.ny)):
        low, high = np.clip(ends.min(axis=1), -1, limit + 1), np.clip(ends.max(axis=1), -1, limit + 1)
        first, count = np.ceil(low), np.maximum(np.floor(high) - np.ceil(low) + 1, 0).astype(np.int64)
        count[ends[:, 0] == ends[:, 1]] = 0
        which = np.repeat(np.arange(ends.shape[0]), count)
        step = np.arange(which.size) - np.repeat(np.cumsum(count) - count, count)
        at = first[which] + step
        segments.append(which)
        cuts.append((at - ends[which, 0]) / (ends[which, 1] - ends[which, 0]))
    segment, cut = np.concatenate(segments), np.clip(np.concatenate(cuts), 0.0, 1.0)
    order = np.lexsort((cut, segment))
    segment, cut = segment[order], cut[order]
    same = segment[1:] == segment[:-1]
    segment, share, middle = segment[:-1][same], np.diff(cut)[same], ((cut[1:] + cut[:-1]) / 2)[same]
    i = np.floor(u[segment, 0] + middle * (u[segment, 1] - u[segment, 0]))
    j = np.floor(v[segment, 0] + middle * (v[segment, 1] - v[segment, 0]))
    inside = (share > 0) & (i >= 0) & (i < grid.nx) & (j >= 0) & (j < grid.ny)
    cell = (j[inside] * grid.nx + i[inside]).astype(np.int64)
    return Pieces(owner[segment[inside]], cell, share[inside] * length[segment[inside]], total)


def ring_points(shapes: Any) -> tuple[Floats, Ints, Ints]:
    """Vertices (points, 2), ring and shape numbers of polygons and multipolygons, rings turned as areas want."""
    turned = shapely.orient_polygons(shapes)
    parts, owner = shapely.get_parts(turned, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    return points, ring, owner[part][ring]
