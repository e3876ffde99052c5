"""The hourly field: built from points and areas, and a day of it written as CF netCDF."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from scipy import sparse

from qinglan.emission.categories import SPECIES, categories
from qinglan.emission.export.cf import write_cf
from qinglan.emission.shape.factored import factored
from qinglan.emission.space.grid import Grid
from qinglan.emission.space.spread import Spread

#: The guide's nine species.
NINE = SPECIES[:9]


def inventory(points: int, areas: int, side: int) -> tuple[pl.DataFrame, Spread]:
    """Points of one cell each and areas over all cells, each with nine species; sectors in turn."""
    rng = np.random.default_rng(1)
    known = categories()
    stacks = [name for name in known.sectors if known.class_of(name) in ("power_heat", "industry")]
    spread_out = [name for name in known.sectors if name not in stacks]
    sectors = [stacks[i % len(stacks)] for i in range(points)]
    sectors += [spread_out[i % len(spread_out)] for i in range(areas)]
    units = pl.DataFrame(
        {"ledger": "made", "row_key": [f"r{i}" for i in range(points + areas)], "activity": "", "sector": sectors}
    )
    mass = pl.DataFrame({"species": NINE})
    rows = units.join(mass, how="cross").with_columns(source_id=pl.col("row_key"))
    rows = rows.with_columns(emission_t=pl.Series(rng.uniform(1, 100, rows.height)))
    cells = side * side
    ones = sparse.csr_array(
        (np.ones(points), (np.arange(points), rng.integers(0, cells, points))), (points, cells)
    )
    even = rng.uniform(0.5, 1.5, (areas, cells))
    even /= even.sum(axis=1, keepdims=True)
    matrix = sparse.csr_array(sparse.vstack([ones, sparse.csr_array(even)]))
    grid = Grid.lambert(96.25, 35.4, 3000.0, nx=side, ny=side, parallels=(33.0, 38.0))
    return rows, Spread(grid, units.drop("sector"), matrix, np.zeros(points + areas))


def day(points: int, areas: int, side: int, out: str) -> dict[str, float]:
    """Build, and write 24 hours; seconds of both, and tonnes in and of the year's field."""
    rows, placed = inventory(points, areas, side)
    began = time.perf_counter()
    field = factored(rows, placed, 2024)
    built = time.perf_counter()
    field.hour(0)
    ready = time.perf_counter()
    # A compiled loop's first call reads or makes its machine code: it is told apart.
    write_cf(field, Path(out), range(4000, 4024), now=datetime(2026, 1, 1, tzinfo=UTC))
    done = time.perf_counter()
    size = Path(out).stat().st_size / 1e6
    Path(out).unlink()
    given, kept = float(rows["emission_t"].sum()), sum(field.totals().values())
    return {
        "build": built - began,
        "first": ready - built,
        "day": done - ready,
        "given": given,
        "kept": kept,
        "mb": size,
    }
