"""What all layouts need: where cells lie and how large they are, which hours a UTC day holds, and moles of tonnes.

Fluxes are per square metre of ground (Grid.areas), not of the map: a model that knows its map factors gets the
tonnes again.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS

from qinglan.core.errors import UsageError
from qinglan.emission.shape.factored import Factored
from qinglan.emission.shape.time import utc_end
from qinglan.emission.space.grid import Grid
from qinglan.emission.units import scale

Vector = NDArray[np.float64]
HOUR = timedelta(hours=1)


def crs_of(grid: Grid) -> CRS:
    """The grid's coordinate reference system."""
    return CRS.from_user_input(grid.crs)


def edges(grid: Grid) -> tuple[Vector, Vector]:
    """Edges of columns and of rows in the grid's own unit, shapes (nx + 1,) and (ny + 1,)."""
    x = grid.x0 + grid.dx * np.arange(grid.nx + 1, dtype=np.float64)
    y = grid.y0 + grid.dy * np.arange(grid.ny + 1, dtype=np.float64)
    return np.asarray(x, np.float64), np.asarray(y, np.float64)


def centres(grid: Grid) -> tuple[Vector, Vector]:
    """Centres of columns and of rows in the grid's own unit, shapes (nx,) and (ny,)."""
    x, y = edges(grid)
    return (x[1:] + x[:-1]) / 2, (y[1:] + y[:-1]) / 2


def hours_of_month(field: Factored, month: int) -> range:
    """Numbers of the hours of an official month (1 to 12): a file a month keeps files and memory small."""
    first = date(field.year, 1, 1)
    starts = [(date(field.year + m // 12, m % 12 + 1, 1) - first).days * 24 for m in (month - 1, month)]
    return checked_hours(field, range(*starts))


def begins(field: Factored, hour: int) -> datetime:
    """UTC begin of the hour with a number of the field's year."""
    return utc_end(field.year, hour) - HOUR


def hours_of_day(field: Factored, day: date, count: int) -> range:
    """Numbers of the `count` hours from 00:00 UTC of a day.

    Raises UsageError when some are of another official year: that year's field has them.
    """
    first = (datetime(day.year, day.month, day.day, tzinfo=UTC) - begins(field, 0)) // HOUR
    if first < 0 or first + count > field.hours_count:
        raise UsageError(
            f"{count} hours from {day} 00:00 UTC are not all of the official year {field.year}.",
            remedy="The year begins at 16:00 UTC of 31 December; ask a day inside it.",
        )
    return range(first, first + count)


def checked_hours(field: Factored, hours: range) -> range:
    """Hours, when there is at least one and all are of the year; UsageError else."""
    if not hours or hours.step != 1 or hours.start < 0 or hours.stop > field.hours_count:
        raise UsageError(f"{hours} are not hours of {field.year} (0..{field.hours_count - 1}), one after another.")
    return hours


def gas(field: Factored, name: str) -> bool:
    """Whether a species is counted in moles."""
    return bool(np.isfinite(field.splits.basis[field.species.index(name)]))


def moles_per_tonne(field: Factored, name: str) -> float:
    """Moles in a tonne of a species as the field counts it (NO of NOx as NO2) [mol/t]."""
    return scale("t", "g") / field.splits.basis[field.species.index(name)]


def own_mass(field: Factored, name: str) -> float:
    """Tonnes of the molecule itself in a tonne as the field counts it: 30/46 for NO, 1 for most."""
    at = field.species.index(name)
    ratio = field.splits.molar[at] / field.splits.basis[at]
    return float(ratio) if np.isfinite(ratio) else 1.0


def counted_as(field: Factored, name: str) -> str:
    """What a tonne of a species is a tonne of, in words."""
    if own_mass(field, name) != 1.0 or name == "nox":
        return "SO2" if name == "SULF" else "NO2"
    return name
