"""A grid of cells in any projection, and ground areas that are exact on a geographic one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyproj

from qinglan.core.errors import UsageError

Floats = npt.NDArray[np.float64]

#: Longitude and latitude of every ledger and outline.
GEOGRAPHIC = "EPSG:4326"


@dataclass(frozen=True)
class Grid:
    """Cells of equal size in the plane of a projection; cell number = iy * nx + ix, from the south-west corner.

    crs : any text that PROJ reads (``EPSG:4326``, ``+proj=lcc ...``); x is east or longitude, y north or latitude
    x0, y0 : lower left corner; dx, dy : size of a cell, both in the unit of the CRS [m or degrees]
    nx, ny : number of cells

    Raises UsageError for an unknown CRS or a size that is no size.

    >>> grid = Grid.of_degrees(100.0, 35.0, 0.5, 0.25, nx=4, ny=2)
    >>> grid.shape, grid.cell_of([100.6], [35.3]).tolist()
    ((2, 4), [5])
    """

    crs: str
    x0: float
    y0: float
    dx: float
    dy: float
    nx: int
    ny: int

    def __post_init__(self) -> None:
        sizes = (self.x0, self.y0, self.dx, self.dy)
        if not all(map(math.isfinite, sizes)) or min(self.dx, self.dy) <= 0 or min(self.nx, self.ny) < 1:
            raise UsageError(
                f"a grid of {self.nx} x {self.ny} cells of {self.dx} x {self.dy} at {self.x0}, {self.y0} is none.",
                remedy="Give finite corners, positive sizes and at least one cell.",
            )
        crs_of(self.crs)
        if self.geographic and (self.y0 < -90 or self.y0 + self.ny * self.dy > 90 + 1e-9):
            raise UsageError(
                f"a grid from {self.y0} to {self.y0 + self.ny * self.dy} degrees north leaves the earth.",
                remedy="Keep latitudes between -90 and 90; y is latitude.",
            )

    @classmethod
    def of_degrees(cls, west: float, south: float, dx: float, dy: float, *, nx: int, ny: int) -> Grid:
        """A grid of longitude and latitude, WGS 84 [degrees]."""
        return cls(GEOGRAPHIC, west, south, dx, dy, nx, ny)

    @classmethod
    def lambert(
        cls, lon: float, lat: float, step: float, *, nx: int, ny: int, parallels: tuple[float, float]
    ) -> Grid:
        """A Lambert conformal conic grid centred at `lon`, `lat` [degrees], cells of `step` [m], WGS 84."""
        cone = f"+lat_1={parallels[0]} +lat_2={parallels[1]} +lat_0={lat} +lon_0={lon}"
        crs = f"+proj=lcc {cone} +datum=WGS84 +units=m"
        return cls(crs, -nx * step / 2, -ny * step / 2, step, step, nx, ny)

    @classmethod
    def qinghai(cls, step: float = 3000.0) -> Grid:
        """A Lambert grid that covers the whole of Qinghai, 1,260 km by 900 km: 420 x 300 cells of 3 km."""
        nx, ny = round(1_260_000 / step), round(900_000 / step)
        return cls.lambert(96.25, 35.4, step, nx=nx, ny=ny, parallels=(33.0, 38.0))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns (ny, nx)."""
        return self.ny, self.nx

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.nx * self.ny

    @property
    def geographic(self) -> bool:
        """Whether x and y are longitude and latitude."""
        return bool(crs_of(self.crs).is_geographic)

    def plane(self, lon: Any, lat: Any) -> tuple[Floats, Floats]:
        """x and y in the grid's CRS of longitudes and latitudes [degrees]; infinite where it has no place."""
        x, y = _transformer(GEOGRAPHIC, self.crs).transform(np.asarray(lon, float), np.asarray(lat, float))
        return np.asarray(x, float), np.asarray(y, float)

    def lonlat(self, x: Any, y: Any) -> tuple[Floats, Floats]:
        """Longitude and latitude [degrees] of x and y in the grid's CRS."""
        lon, lat = _transformer(self.crs, GEOGRAPHIC).transform(np.asarray(x, float), np.asarray(y, float))
        return np.asarray(lon, float), np.asarray(lat, float)

    def cell_of(self, lon: Any, lat: Any) -> npt.NDArray[np.int64]:
        """Cell number of points [degrees], -1 outside. A point on an edge is of the cell east or north of it."""
        x, y = self.plane(lon, lat)
        with np.errstate(invalid="ignore"):
            u, v = np.floor((x - self.x0) / self.dx), np.floor((y - self.y0) / self.dy)
            inside = (u >= 0) & (u < self.nx) & (v >= 0) & (v < self.ny)
        found = np.full(np.shape(x), -1, dtype=np.int64)
        found[inside] = (v[inside] * self.nx + u[inside]).astype(np.int64)
        return found

    def centres(self) -> tuple[Floats, Floats]:
        """Longitude and latitude of the centres, each (ny, nx) [degrees]."""
        x = self.x0 + self.dx * (np.arange(self.nx) + 0.5)
        y = self.y0 + self.dy * (np.arange(self.ny) + 0.5)
        return self.lonlat(*np.meshgrid(x, y))

    def corners(self) -> tuple[Floats, Floats]:
        """Longitude and latitude of the corners, each (ny + 1, nx + 1) [degrees]."""
        x = self.x0 + self.dx * np.arange(self.nx + 1)
        y = self.y0 + self.dy * np.arange(self.ny + 1)
        return self.lonlat(*np.meshgrid(x, y))

    def areas(self) -> Floats:
        """Ground areas of the cells (ny, nx) [m2].

        Exact between meridians and parallels of the ellipsoid; of a projected grid, the size of the cell by the
        areal scale at its centre, right to the square of the cell's size.
        """
        if self.geographic:
            edges = authalic(self.y0 + self.dy * np.arange(self.ny + 1), self.crs)
            return np.repeat(np.diff(edges)[:, None] * math.radians(self.dx), self.nx, axis=1)
        lon, lat = self.centres()
        scale = np.asarray(pyproj.Proj(self.crs).get_factors(lon, lat).areal_scale, float)
        return self.dx * self.dy / scale.reshape(self.shape)


@cache
def crs_of(text: str) -> Any:
    """A CRS of PROJ; UsageError when the text is none."""
    try:
        return pyproj.CRS.from_user_input(text)
    except pyproj.exceptions.CRSError as cause:
        raise UsageError(
            f"unknown coordinate reference system {text!r}.",
            remedy="Write EPSG:4326 or a PROJ text such as +proj=lcc.",
        ) from cause


@cache
def _transformer(source: str, target: str) -> Any:
    return pyproj.Transformer.from_crs(crs_of(source), crs_of(target), always_xy=True)


def authalic(lat: Any, crs: str = GEOGRAPHIC) -> Floats:
    """Area of the ellipsoid from the equator to a latitude, for one radian of longitude [m2].

    Snyder, Map Projections (USGS Professional Paper 1395, 1987), equation 3-12 times a^2 / 2. With it as ordinate,
    cells between meridians and parallels are rectangles of their true area.
    """
    geod = crs_of(crs).get_geod()
    sine = np.sin(np.radians(np.asarray(lat, float)))
    e = math.sqrt(geod.es)
    curved = sine if e == 0 else np.arctanh(e * sine) / e
    return np.asarray(geod.b**2 / 2 * (sine / (1 - geod.es * sine**2) + curved))
