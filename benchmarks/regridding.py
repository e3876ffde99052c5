"""10,000 points and 4 x 169 polygons, four species, onto 300 x 300 cells, beside emiproc; ten times the points.

Both begin with shapes and masses in memory and end with masses in cells; both must keep all of the mass.
"""

from __future__ import annotations

import math

import numpy as np
import shapely

from benchmarks.racing import Bench, Contestant, Result, growth
from qinglan.emission.space import Grid

POINTS, SIDE, CELLS = 10_000, 13, 300
SPECIES = ("so2", "nox", "nh3", "pm2_5")
CATEGORIES = ("industry", "traffic", "heating", "farms")


def run(bench: Bench) -> list[Result]:
    """Race; totals agree to 1e-9, and sums of rows to 1e-3 (emiproc takes areas in the plane)."""
    points, side, cells = (300, SIDE, 40) if bench.quick else (POINTS, SIDE, CELLS)
    size = {"points": points, "side": side, "cells": cells}
    tenfold = {**size, "points": 10 * points}
    title = (
        f"regridding: {points:,} points and 4 x {side * side} polygons, 4 species, onto {cells} x {cells} cells"
    )
    results = bench.race(
        title,
        [
            Contestant("Qinglan", "benchmarks.ours.regridding:place", size),
            Contestant("Qinglan, ten times the points", "benchmarks.ours.regridding:place", tenfold),
            Contestant("emiproc remap_inventory", "benchmarks.peers.emiproc_grid:place", size),
        ],
    )
    ours, large, peer = results
    for result in results:
        assert math.isclose(result.answer["total"], result.answer["given"], rel_tol=1e-9), result.answer
    assert np.allclose(ours.answer["rows"], peer.answer["rows"], rtol=1e-3)
    bench.say(growth(ours, large, 10))
    bench.say(f"  Qinglan takes 1/{peer.middle / ours.middle:.1f} of emiproc's time")
    return results


def shapes(points: int, side: int, cells: int) -> tuple[Grid, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Grid, points (points, 2) [degrees] and polygons, wholly inside it, and the masses (n, 4) of both."""
    rng = np.random.default_rng(4)
    grid = Grid.lambert(96.25, 35.4, 900_000.0 / cells, nx=cells, ny=cells, parallels=(33.0, 38.0))
    dots = np.column_stack([rng.uniform(92.2, 100.3, points), rng.uniform(32.0, 38.8, points)])
    x, y = np.meshgrid(92.2 + np.arange(side) * 8.1 / side, 32.0 + np.arange(side) * 6.8 / side)
    areas = shapely.box(x.ravel(), y.ravel(), x.ravel() + 8.1 / side, y.ravel() + 6.8 / side)
    masses = (rng.uniform(1, 9, (points, 4)), rng.uniform(1, 9, (4 * side * side, 4)))
    return grid, dots, shapely.segmentize(areas, 0.05), *masses
