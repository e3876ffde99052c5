"""One grid's masses on another: mass is kept, what is even stays even, and emiproc puts the same on its grid."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from qinglan.core.errors import LayoutError, UsageError
from qinglan.emission.space import Grid, place_on, regrid

DEGREES = Grid.of_degrees(99.0, 34.0, 0.1, 0.1, nx=40, ny=30)
LAMBERT = Grid.lambert(101.0, 35.5, 4000.0, nx=50, ny=40, parallels=(33.0, 38.0))


@pytest.mark.parametrize(("source", "target"), [(DEGREES, LAMBERT), (LAMBERT, DEGREES)])
def test_mass_is_kept_and_an_even_field_stays_even(source: Grid, target: Grid) -> None:
    moved = regrid(source, target)
    assert np.asarray(moved.matrix.sum(axis=1)).ravel() + moved.outside == pytest.approx(1, abs=1e-12)
    mass = np.random.default_rng(3).uniform(0, 9, (2, *source.shape))
    out = moved.move(mass)
    assert out.sum(axis=(1, 2)) + mass.reshape(2, -1) @ moved.outside == pytest.approx(
        mass.sum(axis=(1, 2)), rel=1e-12
    )
    if target is LAMBERT:  # lies wholly in the source
        density = moved.move(source.areas()) / target.areas()
        assert density == pytest.approx(1, abs=2e-5)
    else:
        assert moved.outside.max() == 0


@settings(max_examples=40, deadline=None)
@given(st.floats(0.3, 3.0), st.floats(0.3, 3.0), st.floats(-4, 4), st.floats(-4, 4), st.integers(1, 9))
def test_grids_of_one_crs_cross_as_their_cells_do(dx: float, dy: float, x0: float, y0: float, n: int) -> None:
    # Shapely's intersections of boxes, of a plane grid.
    source, target = Grid("EPSG:3857", x0, y0, dx, dy, n, 3), Grid("EPSG:3857", 0.0, 0.0, 1.0, 1.5, 4, 3)
    moved = regrid(source, target)

    def boxes(grid: Grid) -> np.ndarray:
        iy, ix = np.divmod(np.arange(grid.cells), grid.nx)
        x, y = grid.x0 + ix * grid.dx, grid.y0 + iy * grid.dy
        return shapely.box(x, y, x + grid.dx, y + grid.dy)

    wanted = shapely.area(shapely.intersection(boxes(source)[:, None], boxes(target))) / (dx * dy)
    assert moved.matrix.toarray() == pytest.approx(wanted, abs=1e-9)
    assert moved.outside == pytest.approx(1 - wanted.sum(axis=1), abs=1e-9)


def test_finer_degrees_add_up_to_coarser_ones_by_area() -> None:
    fine = Grid.of_degrees(99.0, 34.0, 0.05, 0.05, nx=80, ny=60)
    assert regrid(fine, DEGREES).move(fine.areas()) == pytest.approx(DEGREES.areas(), rel=1e-12)
    assert regrid(DEGREES, fine).move(DEGREES.areas()) == pytest.approx(fine.areas(), rel=1e-9)


def test_a_grid_far_away_gets_nothing_and_it_is_told() -> None:
    moved = regrid(Grid.of_degrees(10.0, 50.0, 1.0, 1.0, nx=3, ny=3), LAMBERT)
    assert moved.matrix.nnz == 0
    assert (moved.outside == 1).all()


def test_wrong_shapes_are_told() -> None:
    with pytest.raises(LayoutError, match="are not of a grid"):
        regrid(LAMBERT, LAMBERT).move(np.ones(3))
    with pytest.raises(UsageError, match="pieces"):
        regrid(DEGREES, LAMBERT, pieces=0)


def test_emiproc_puts_the_same_in_the_cells() -> None:
    # emiproc 2.x, remap_inventory; it takes areas in the plane, which differ from the ground's by less than 1e-3.
    pytest.importorskip("emiproc")
    from benchmarks.ours.regridding import place as ours
    from benchmarks.peers.emiproc_grid import place as theirs

    size = {"points": 200, "side": 4, "cells": 30}
    mine, other = ours(**size), theirs(**size)
    assert mine["total"] == pytest.approx(other["total"], rel=1e-9)
    assert np.array(mine["rows"]) == pytest.approx(np.array(other["rows"]), rel=1e-3)
    assert mine["total"] == pytest.approx(mine["given"], rel=1e-12)
    assert place_on(LAMBERT, pl.DataFrame(schema=_SCHEMA)).units.is_empty()


_SCHEMA = {
    **dict.fromkeys(("ledger", "row_key", "activity", "geometry", "place", "sector"), pl.String),
    **dict.fromkeys(("lon", "lat"), pl.Float64),
}
