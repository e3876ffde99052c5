"""Where units emit: the share of each in each cell, and what lies beyond the grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from qinglan.core.errors import LayoutError
from qinglan.emission.space.grid import Floats, Grid

#: What makes a unit: a source's activity as a ledger names it.
KEY = ("ledger", "row_key", "activity")
TOLD = pl.Schema({**dict.fromkeys(KEY, pl.String), "way": pl.String, "reason": pl.String, "detail": pl.String})


@dataclass(frozen=True)
class Spread:
    """Shares of units in cells.

    units : frame `ledger, row_key, activity`, in the order of the rows of `matrix`
    matrix : csr_array (units, ny * nx) of shares [1]
    outside : (units,) share beyond the grid [1]; rows of `matrix` plus `outside` are 1 to 1e-12
    told : frame `ledger, row_key, activity, way, reason, detail`: how each unit was placed (point, line, polygon,
        the name of a surrogate, area, none), and what was wrong with its own location (null: nothing)

    Raises LayoutError when sizes do not fit or shares do not sum to 1.
    """

    grid: Grid
    units: pl.DataFrame
    matrix: Any
    outside: Floats
    told: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=TOLD))

    def __post_init__(self) -> None:
        wanted = (self.units.height, self.grid.cells)
        if self.matrix.shape != wanted or self.outside.shape != wanted[:1]:
            raise LayoutError(
                f"shares of shape {self.matrix.shape} and {self.outside.shape} do not fit {wanted[0]} units and "
                f"{wanted[1]} cells.",
                remedy="Give one row for each unit and one column for each cell.",
            )
        off = np.abs(self.sums() + self.outside - 1)
        if off.size and not off.max() <= 1e-12:
            row = self.units.row(int(np.argmax(off)))
            raise LayoutError(f"shares of unit {row} are {off.max():.3g} off 1.", remedy="Renormalise its shares.")

    def sums(self) -> Floats:
        """Share of each unit inside the grid (units,) [1]."""
        return np.asarray(self.matrix.sum(axis=1), float).ravel()

    @property
    def unplaced(self) -> pl.DataFrame:
        """Rows of `told` whose own location could not be used; `way` says where they stand now (none: nowhere)."""
        return self.told.filter(pl.col("reason").is_not_null())

    def cells(self, values: npt.ArrayLike) -> Floats:
        """Values of units (units,) or (units, k) summed in cells: (k, ny, nx), in the unit of `values`."""
        given = np.asarray(values, float)
        if given.ndim not in (1, 2) or given.shape[0] != self.units.height:
            raise LayoutError(
                f"values of shape {given.shape} are not of {self.units.height} units.",
                remedy="Give one row for each unit, in the order of Spread.units.",
            )
        columns = given[:, None] if given.ndim == 1 else given
        return np.asarray(self.matrix.T @ columns, float).T.reshape(columns.shape[1], *self.grid.shape)

    def of_cell(self, iy: int, ix: int) -> pl.DataFrame:
        """Units that stand in a cell: frame `ledger, row_key, activity, share` [1], largest share first."""
        if not (0 <= iy < self.grid.ny and 0 <= ix < self.grid.nx):
            raise LayoutError(
                f"cell ({iy}, {ix}) is not in a grid of {self.grid.ny} x {self.grid.nx} cells.",
                remedy="Count rows from the south and columns from the west, from 0.",
            )
        column = sparse.csc_array(self.matrix[:, [iy * self.grid.nx + ix]])
        found: pl.DataFrame = self.units[column.indices.tolist()].with_columns(
            share=pl.Series(column.data, dtype=pl.Float64)
        )
        here: pl.DataFrame = found.filter(pl.col("share") > 0)
        return here.sort("share", descending=True, maintain_order=True)
