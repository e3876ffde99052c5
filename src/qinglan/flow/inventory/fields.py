"""A frozen inventory in cells and hours, and the way back from a cell's hour to the ledgers' rows and factors."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.emission import trace
from qinglan.emission.categories import SPECIES
from qinglan.emission.shape.factored import Factored, factored
from qinglan.emission.shape.time import hours_of
from qinglan.emission.space import Grid, place_on
from qinglan.flow.inventory.freezing import Held
from qinglan.flow.memory import Memory
from qinglan.ledger.geometry import load_outlines

#: Sizes of cell that a field is kept in [km]; each divides the province's 1,260 km by 900 km evenly.
STEPS = (3, 9, 18, 36)
STEP = 9
#: Fields that a process keeps.
_MOST = 4
_UNIT = ("ledger", "row_key", "activity")

_fields = Memory[Factored](_MOST)


def field_of(held: Held, step: int = STEP) -> Factored:
    """The hourly field of a version on the province's grid, in the inventory's own species; kept in memory.

    step : size of a cell [km], one of :data:`STEPS`. Rows without a location of their own are spread over their
    place's outline by area, rows without a place that has an outline are `unplaced`.
    """
    if step not in STEPS:
        raise UnknownName("size of cell [km]", step, STEPS)

    def made() -> Factored:
        emitting = held.activities.join(held.emissions, on=_UNIT, how="semi", nulls_equal=True)
        spread = place_on(Grid.qinghai(step * 1000.0), emitting.unique(_UNIT, maintain_order=True),
                          outlines=load_outlines())  # fmt: skip
        return factored(held.emissions, spread, held.version.year)

    return _fields.get((held.version.content, step), made)


def cells(field: Factored, species: str, hour: int | None = None) -> pl.DataFrame:
    """Cells that emit a species: `iy, ix, lon, lat` (centre, degrees), `tonnes` (of the year, or of one hour).

    The largest come first. Raises UnknownName for another species, UsageError for an hour beyond the year.
    """
    whole = field.summed() if hour is None else field.hour(hour)
    mass = whole[_species(species)].sum(axis=0)
    lon, lat = field.grid.centres()
    iy, ix = np.nonzero(mass)
    found = pl.DataFrame(
        {"iy": iy.astype(np.int64), "ix": ix.astype(np.int64), "lon": lon[iy, ix], "lat": lat[iy, ix],
         "tonnes": mass[iy, ix]}
    )  # fmt: skip
    return found.sort("tonnes", "iy", "ix", descending=[True, False, False])


def cell_at(field: Factored, lon: float, lat: float) -> tuple[int, int]:
    """Row and column of the cell of a point [degrees]; NotFound outside the grid."""
    number = int(field.grid.cell_of([lon], [lat])[0])
    if number < 0:
        raise NotFound(f"no cell at {lon}, {lat}", remedy="Choose a point inside the province.")
    return divmod(number, field.grid.nx)


def hour_of(year: int, day: date, hour: int) -> int:
    """Number of an hour of the year, from 0; `hour` is the label 1 to 24 of its end on the official clock.

    >>> hour_of(2025, date(2025, 1, 1), 1), hour_of(2024, date(2024, 12, 31), 24)
    (0, 8783)
    """
    if day.year != year:
        raise UsageError(f"{day} is not in the inventory's year {year}.", remedy=f"Choose a day of {year}.")
    if not 1 <= hour <= 24:
        raise UsageError(f"{hour} is no hour.", remedy="Give a label from 1 (00:00 to 01:00) to 24.")
    found = (day - date(year, 1, 1)).days * 24 + hour - 1
    assert found < hours_of(year)
    return found


def trace_cell(held: Held, field: Factored, iy: int, ix: int, hour: int, species: str) -> pl.DataFrame:
    """What one cell emits in one hour, row by row of the ledgers, each with the factors that made it.

    Returns
    -------
    frame of ``Factored.trace`` (`ledger, row_key, activity, source_id, sector, year_t, in_cell, in_hour, tonnes,
    share`), and of the emission `place, fuel, technology, method, amount, unit, factor, factor_unit, factor_id,
    removal, running, capture, working` (its arithmetic in one line), `factor_source, factor_certainty`. `tonnes`
    sums to the cell's hour in `field`.
    """
    _species(species)
    found = field.trace(iy, ix, hour, species)
    mine = held.emissions.filter(species=species).join(found, on=_UNIT, how="semi", nulls_equal=True)
    told = trace.with_sources(mine)
    told = told.with_columns(
        working=pl.Series([trace.worked(row) for row in told.iter_rows(named=True)], dtype=pl.String)
    )
    named = told.select(
        *_UNIT, "place", "fuel", "technology", "method", "amount", "unit", "factor", "factor_unit", "factor_id",
        "removal", "removal_id", "running", "capture", "working", "factor_source", "factor_certainty",
        emission_t="emission_t",
    )  # fmt: skip
    # A unit may emit one species by several fuels: each of its emissions takes its own part of the field's row.
    kept = found.with_row_index("_at")
    joined = kept.join(named, left_on=[*_UNIT, "year_t"], right_on=[*_UNIT, "emission_t"], how="left",
                       nulls_equal=True, maintain_order="left")  # fmt: skip
    return joined.unique("_at", maintain_order=True).drop("_at", "inventory_species", "as_species")


def _species(name: str) -> int:
    if name not in SPECIES:
        raise UnknownName("species", name, SPECIES)
    return SPECIES.index(name)
