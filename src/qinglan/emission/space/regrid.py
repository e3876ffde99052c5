"""Masses of one grid on another, by exact overlaps of the cells."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from qinglan.core.errors import LayoutError, UsageError
from qinglan.emission.space.grid import Floats, Grid, crs_of
from qinglan.emission.space.overlap import in_cells, polygon_pieces, row_areas, shares

#: Cells of the source that are cut at once.
_LOT = 50_000


@dataclass(frozen=True)
class Regridding:
    """Shares of the source's cells in the target's.

    matrix : csr_array (source cells, target cells) [1]; outside : (source cells,) share beyond the target [1]
    """

    source: Grid
    target: Grid
    matrix: Any
    outside: Floats

    def move(self, masses: npt.ArrayLike) -> Floats:
        """Masses (ny, nx) or (k, ny, nx) of the source on the target, of as many axes and in the same unit."""
        given = np.asarray(masses, float)
        if given.shape[-2:] != self.source.shape or given.ndim not in (2, 3):
            raise LayoutError(
                f"masses of shape {given.shape} are not of a grid of {self.source.shape} cells.",
                remedy="Give (ny, nx) or (k, ny, nx) of the source grid.",
            )
        flat = given.reshape(-1, self.source.cells)
        return np.asarray(self.matrix.T @ flat.T, float).T.reshape(*given.shape[:-2], *self.target.shape)


def regrid(source: Grid, target: Grid, *, pieces: int = 4) -> Regridding:
    """Conservative regridding of extensive quantities (masses, counts) between any two projections.

    Grids of one CRS are crossed axis by axis. Else every cell of the source, its sides in `pieces` parts, is laid
    into the target's plane and cut there; overlaps count by their ground area. Rows of the matrix and `outside`
    are 1 to rounding. Raises UsageError when `pieces` is below 1.
    """
    if pieces < 1:
        raise UsageError(f"a side in {pieces} pieces is none.", remedy="Give 1 or more.")
    if crs_of(source.crs) == crs_of(target.crs):
        return _crossed(source, target)
    rows, columns, parts, outside = [], [], [], np.ones(source.cells)
    for first in range(0, source.cells, _LOT):
        cells = np.arange(first, min(first + _LOT, source.cells))
        row, column, part, beyond = _cut(source, target, cells, pieces)
        rows.append(row)
        columns.append(column)
        parts.append(part)
        outside[cells] = beyond
    index = (np.concatenate(rows), np.concatenate(columns))
    matrix = sparse.coo_array((np.concatenate(parts), index), shape=(source.cells, target.cells)).tocsr()
    return Regridding(source, target, matrix, outside)


@lru_cache(maxsize=8)
def ground(grid: Grid) -> Floats:
    """Ground area of each cell for one unit of area in the grid's plane (cells,); 1 on a geographic grid."""
    weight: Floats = (grid.areas() / row_areas(grid)[:, None]).ravel()
    weight.flags.writeable = False
    return weight


def _cut(source: Grid, target: Grid, cells: Any, pieces: int) -> tuple[Any, Any, Floats, Floats]:
    """Rows, columns, shares and shares outside of some cells of the source."""
    step = np.arange(pieces) / pieces
    zero, one = np.zeros(pieces), np.ones(pieces)
    right = np.concatenate([step, one, 1 - step, zero, [0.0]])
    up = np.concatenate([zero, step, one, 1 - step, [0.0]])
    iy, ix = np.divmod(cells, source.nx)
    x = source.x0 + source.dx * (ix[:, None] + right)
    y = source.y0 + source.dy * (iy[:, None] + up)
    u, v = in_cells(target, *target.plane(*source.lonlat(x, y)))
    sound = np.isfinite(u).all(axis=1) & np.isfinite(v).all(axis=1)
    near = sound & (u.max(axis=1) > 0) & (u.min(axis=1) < target.nx)
    near &= (v.max(axis=1) > 0) & (v.min(axis=1) < target.ny)
    outside = np.ones(cells.size)
    kept = np.flatnonzero(near)
    if not kept.size:
        return kept, kept, np.empty(0), outside
    number = np.repeat(np.arange(kept.size), right.size)
    found = polygon_pieces(target, u[kept].ravel(), v[kept].ravel(), number, number)
    share, outside[kept] = shares(found, ground(target), source.areas().ravel()[cells[kept]])
    return cells[kept][found.shape], found.cell, share, outside


def _crossed(source: Grid, target: Grid) -> Regridding:
    """Grids of one CRS: the overlap of cells is the product of the overlaps of their sides."""
    across = _sides(source.x0 + source.dx * np.arange(source.nx + 1), target, axis=0)
    along = _sides(source.y0 + source.dy * np.arange(source.ny + 1), target, axis=1)
    matrix = sparse.csr_array(sparse.kron(along, across, format="csr"))
    outside = 1 - np.outer(along.sum(axis=1), across.sum(axis=1)).ravel()
    outside[np.abs(outside) < 1e-12] = 0.0
    return Regridding(source, target, matrix, outside)


def _sides(edges: npt.NDArray[Any], target: Grid, axis: int) -> Any:
    """Shares of the intervals between `edges` in the target's columns (axis 0) or rows (axis 1), csr_array."""
    if axis == 0:
        place, width, number = in_cells(target, edges, np.full(edges.shape, target.y0))[0], None, target.nx
    else:
        place, number = in_cells(target, np.full(edges.shape, target.x0), edges)[1], target.ny
        width = row_areas(target)
    low, high = np.clip(place[:-1], 0, number), np.clip(place[1:], 0, number)
    first = np.floor(low).astype(np.int64)
    count = np.maximum(np.ceil(high).astype(np.int64) - first, 0)
    count[high <= low] = 0
    row = np.repeat(np.arange(low.size), count)
    column = first[row] + np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)
    part = np.minimum(high[row], column + 1) - np.maximum(low[row], column)
    weight = part if width is None else part * width[column]
    whole = _whole(place, width)
    inside = np.bincount(row, weights=weight, minlength=low.size)
    outside = np.clip(1 - inside / whole, 0.0, 1.0)
    outside[outside < 1e-12] = 0.0
    share = weight / np.where(inside > 0, inside, 1.0)[row] * (1 - outside[row])
    return sparse.coo_array((share, (row, column)), shape=(low.size, number)).tocsr()


def _whole(place: Floats, width: Floats | None) -> Floats:
    """Size of the intervals in the unit of their overlaps, beyond the grid too."""
    if width is None:
        return np.diff(place)
    sums = np.concatenate([[0.0], np.cumsum(width)])
    inner = np.interp(place, np.arange(sums.size, dtype=float), sums)
    return np.diff(inner + np.minimum(place, 0) * width[0] + np.maximum(place - width.size, 0) * width[-1])
