"""Units on a grid: shares that sum to one, areas of the ellipsoid, lengths, and totals of counties."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pyproj
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from qinglan.core.errors import LayoutError, UsageError
from qinglan.emission.categories import categories
from qinglan.emission.space import Grid, Spread, place_on, surrogates_of
from qinglan.ledger.geometry import load_outlines

SMALL = Grid.of_degrees(100.0, 35.0, 0.1, 0.1, nx=20, ny=10)
LAMBERT = Grid.lambert(101.0, 35.5, 3000.0, nx=60, ny=40, parallels=(33.0, 38.0))


def located(**columns: list[Any]) -> pl.DataFrame:
    """Activities with the given cells; what is not given is null."""
    number = len(next(iter(columns.values())))
    cells: dict[str, list[Any]] = {
        **dict.fromkeys(("lon", "lat", "geometry", "place"), [None] * number),
        "ledger": ["boilers"] * number,
        "row_key": [f"r{i}" for i in range(number)],
        "activity": ["combustion"] * number,
        "sector": ["household"] * number,
    }
    return pl.DataFrame({**cells, **columns}, schema_overrides={"lon": pl.Float64, "lat": pl.Float64})


def row(spread: Spread, n: int = 0) -> np.ndarray:
    return spread.matrix[[n]].toarray().reshape(spread.grid.shape)


def test_areas_of_a_geographic_grid_are_those_of_the_ellipsoid() -> None:
    # PROJ's Geod, along parallels in steps so short that geodesics do not leave them.
    lon = np.linspace(100.0, 100.1, 2001)
    ring = shapely.Polygon([*((x, 35.0) for x in lon), *((x, 35.1) for x in lon[::-1])])
    area = abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(ring)[0])
    assert SMALL.areas()[0, 0] == pytest.approx(area, rel=1e-9)


def test_areas_of_a_lambert_grid_are_those_of_the_ellipsoid() -> None:
    lon, lat = LAMBERT.corners()
    ring = [(0, 0), (0, 1), (1, 1), (1, 0)]
    points = [(lon[j, i], lat[j, i]) for j, i in ring]
    area = abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(shapely.Polygon(points))[0])
    assert LAMBERT.areas()[0, 0] == pytest.approx(area, rel=1e-6)


def test_the_default_grid_covers_the_whole_of_qinghai() -> None:
    grid = Grid.qinghai()
    outlines = [shapely.geometry.shape(g) for g in load_outlines().values()]
    points = shapely.get_coordinates(outlines)
    assert (grid.cell_of(points[:, 0], points[:, 1]) >= 0).all()


def test_a_grid_that_is_none_is_told() -> None:
    with pytest.raises(UsageError, match="unknown coordinate"):
        Grid("EPSG:what", 0, 0, 1, 1, 1, 1)
    with pytest.raises(UsageError, match="is none"):
        Grid.of_degrees(100, 35, 0.0, 1, nx=1, ny=1)
    with pytest.raises(UsageError, match="leaves the earth"):
        Grid.of_degrees(35, 100, 1, 1, nx=1, ny=1)


def test_a_point_on_an_edge_is_of_one_cell() -> None:
    grid = Grid.of_degrees(100.0, 35.0, 0.5, 0.5, nx=4, ny=4)
    lon, lat = [100.5, 100.0, 100.5, 102.0], [35.25, 35.0, 35.5, 36.0]
    spread = place_on(grid, located(lon=lon, lat=lat))
    assert np.diff(spread.matrix.indptr).tolist() == [1, 1, 1, 0]
    assert spread.matrix.indices.tolist() == [1, 0, 5]  # east and north of the edge
    assert spread.outside.tolist() == [0, 0, 0, 1]  # the grid's own last edge is beyond it


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(99.5, 102.5), st.floats(34.5, 36.5), st.floats(0.01, 0.8), st.integers(0, 2)),
        min_size=1,
    ),
    st.sampled_from([SMALL, LAMBERT]),
)
def test_mass_is_conserved(shapes: list[tuple[float, float, float, int]], grid: Grid) -> None:
    made = []
    for lon, lat, size, kind in shapes:
        round_ = shapely.Point(lon, lat).buffer(size)
        made.append((shapely.Point(lon, lat), round_.exterior, round_.difference(round_.buffer(-size / 2)))[kind])
    texts = [shapely.to_wkt(shapely.LineString(s) if s.geom_type == "LinearRing" else s) for s in made]
    spread = place_on(grid, located(geometry=texts))
    mass = np.random.default_rng(1).uniform(1, 1000, (len(texts), 3))
    inside = spread.cells(mass).sum(axis=(1, 2))
    assert inside + spread.outside @ mass == pytest.approx(mass.sum(axis=0), rel=1e-12)
    assert spread.matrix.data.min(initial=0) >= 0


def test_a_polygon_on_degrees_shares_by_area_of_the_ellipsoid() -> None:
    # One column, two rows: the southern cell is larger on the ground by the areas of the grid itself.
    grid = Grid.of_degrees(100.0, 30.0, 1.0, 5.0, nx=1, ny=2)
    spread = place_on(grid, located(geometry=["POLYGON ((100 30, 101 30, 101 40, 100 40, 100 30))"]))
    areas = grid.areas()[:, 0]
    assert row(spread)[:, 0] == pytest.approx(areas / areas.sum(), rel=1e-12)
    half = place_on(grid, located(geometry=["POLYGON ((100 30, 101 30, 101 50, 100 50, 100 30))"]))
    beyond = Grid.of_degrees(100.0, 30.0, 1.0, 20.0, nx=1, ny=1).areas()[0, 0]
    assert row(half)[:, 0] * (1 - half.outside[0]) / row(half).sum() == pytest.approx(row(half)[:, 0])
    # Beyond the grid the plane goes on as it is at its edge; by area it is `beyond`.
    assert 1 - half.outside[0] == pytest.approx(areas.sum() / beyond, rel=1e-9)


def test_overlaps_of_polygons_are_those_of_shapely() -> None:
    # Shapely 2.2 (GEOS) cell by cell; the ground area within a polygon of 60 km differs by less than 1e-4.
    lon, lat = LAMBERT.lonlat([-40e3, 20e3, 31e3, -10e3], [-30e3, -41e3, 28e3, 9e3])
    hole = shapely.Polygon(list(zip(*LAMBERT.lonlat([-5e3, 3e3, 0.0], [-9e3, -8e3, -1e3]), strict=True)))
    shape = shapely.Polygon(list(zip(lon, lat, strict=True))).difference(hole)
    spread = place_on(LAMBERT, located(geometry=[shape.wkt]))
    plane = shapely.transform(shapely.segmentize(shape, 0.05), lambda p: np.column_stack(LAMBERT.plane(*p.T)))
    iy, ix = np.divmod(np.arange(LAMBERT.cells), LAMBERT.nx)
    x, y = LAMBERT.x0 + ix * LAMBERT.dx, LAMBERT.y0 + iy * LAMBERT.dy
    areas = shapely.area(shapely.intersection(shapely.box(x, y, x + LAMBERT.dx, y + LAMBERT.dy), plane))
    assert row(spread).ravel() == pytest.approx(areas / areas.sum(), rel=1e-4, abs=1e-12)
    assert spread.outside[0] == 0


def test_a_line_is_shared_by_its_length() -> None:
    grid = Grid.of_degrees(100.0, 35.0, 0.1, 0.1, nx=4, ny=4)
    spread = place_on(
        grid, located(geometry=["LINESTRING (100.05 35.05, 100.45 35.05)", "LINESTRING (100 35, 100 36)"])
    )
    # Along a parallel, a degree is as long everywhere: 5 of 40 km, three times 10, and 5 beyond.
    assert row(spread)[0] == pytest.approx([0.125, 0.25, 0.25, 0.25], rel=1e-6)
    assert spread.outside[0] == pytest.approx(0.125, rel=1e-5)
    geod = pyproj.Geod(ellps="WGS84")
    parts = [geod.inv(100, 35 + k / 10, 100, 35.1 + k / 10)[2] for k in range(10)]
    assert row(spread, 1)[:, 0] == pytest.approx(np.array(parts[:4]) / sum(parts), rel=1e-6)


def test_totals_of_counties_are_kept_and_go_where_the_weight_is() -> None:
    outlines = load_outlines()
    rng = np.random.default_rng(2)
    people = pl.DataFrame(
        {"lon": rng.uniform(100.5, 102.5, 4000), "lat": rng.uniform(36, 37.5, 4000), "weight": 1.0}
    )
    grid = Grid.qinghai()
    frame = located(place=["630105", "630105", "630123"], sector=["household", "cement", "household"])
    spread = place_on(grid, frame, surrogates={"population": people}, outlines=outlines)
    assert spread.told["way"].to_list() == ["population"] * 3
    assert spread.sums() == pytest.approx(1, abs=1e-12)
    area = shapely.geometry.shape(outlines["630123"])
    inside = people.filter(pl.Series(shapely.contains_xy(area, *people.select("lon", "lat").to_numpy().T)))
    cells, counts = np.unique(grid.cell_of(inside["lon"], inside["lat"]), return_counts=True)
    assert row(spread, 2).ravel()[cells] == pytest.approx(counts / inside.height)


def test_without_weight_a_county_is_spread_by_area_and_what_is_beyond_the_grid_is_told() -> None:
    outlines = load_outlines()
    shape = shapely.geometry.shape(outlines["630123"])
    west, south, east, north = shape.bounds
    grid = Grid.of_degrees(west, south, (east - west) / 10, (north - south) / 5, nx=5, ny=5)  # its western half
    far = pl.DataFrame({"lon": [90.0], "lat": [33.0], "weight": [5.0]})
    spread = place_on(grid, located(place=["630123"]), surrogates={"population": far}, outlines=outlines)
    assert spread.told["way"].to_list() == ["area"]
    geod = pyproj.Geod(ellps="WGS84")
    part = shape.intersection(shapely.box(west, south, (west + east) / 2, north))
    areas = [abs(geod.geometry_area_perimeter(s)[0]) for s in (part, shape)]
    assert 1 - spread.outside[0] == pytest.approx(areas[0] / areas[1], rel=1e-5)


def test_what_cannot_be_placed_is_listed_with_its_reason_and_never_dropped() -> None:
    frame = located(
        lon=[36.6, None, None, 101.7, 101.7],
        lat=[101.7, None, None, 36.6, float("nan")],
        geometry=[None, "POLYGON ((101 36", None, "LINESTRING (101 36, 101 36)", None],
        place=["630105", "630105", "999999", "630105", None],
    )
    spread = place_on(Grid.qinghai(), frame, outlines=load_outlines())
    told = spread.told
    assert told["reason"].to_list() == ["bad_point", "bad_geometry", "no_location", "bad_geometry", "bad_point"]
    assert told["way"].to_list() == ["area", "area", "none", "point", "none"]
    assert spread.outside.tolist() == [0, 0, 1, 0, 1]
    assert spread.unplaced.height == 5
    assert "no outline of 999999" in told["detail"][2]


def test_a_polygon_that_crosses_itself_is_mended() -> None:
    spread = place_on(SMALL, located(geometry=["POLYGON ((100 35, 101 36, 101 35, 100 36, 100 35))"]))
    assert spread.sums()[0] == pytest.approx(1)
    assert spread.told["reason"][0] is None


def test_a_cell_names_its_units() -> None:
    spread = place_on(SMALL, located(lon=[100.05, 100.05, 100.15], lat=[35.05] * 3))
    assert spread.of_cell(0, 0)["row_key"].to_list() == ["r0", "r1"]
    assert spread.of_cell(0, 1)["share"].to_list() == [1.0]
    with pytest.raises(LayoutError, match="is not in a grid"):
        spread.of_cell(10, 0)
    assert spread.cells([1.0, 2.0, 4.0])[0, 0, :2].tolist() == [3.0, 4.0]


def test_a_unit_that_comes_twice_and_a_frame_without_columns_are_told() -> None:
    twice = located(lon=[100.0, 100.0], lat=[35.0, 35.0], row_key=["a", "a"])
    with pytest.raises(LayoutError, match="comes twice"):
        place_on(SMALL, twice)
    with pytest.raises(LayoutError, match="lack geometry"):
        place_on(SMALL, twice.drop("geometry"))


def test_an_empty_frame_gives_an_empty_spread() -> None:
    spread = place_on(SMALL, located(lon=[100.0], lat=[35.0]).head(0))
    assert spread.cells(np.empty(0)).sum() == 0


def test_every_sector_has_surrogates() -> None:
    assert all(surrogates_of(sector) for sector in categories().sectors)
    assert math.isfinite(SMALL.areas().sum())
