"""CF-1.10 netCDF: fluxes of every species by hour and layer, written hour by hour, so that memory stays small."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from qinglan.emission.export import fluxes
from qinglan.emission.shape.factored import Factored
from qinglan.emission.units import scale


def write_cf(
    field: Factored,
    target: Path,
    hours: range,
    *,
    now: datetime,
    provenance: Mapping[str, str] | None = None,
    compress: int = 0,
) -> None:
    """Write hours of a field as CF-1.10 netCDF-4.

    Every species is a variable (time, layer, y, x) in kg m-2 s-1, single precision; `cell_area` [m2] beside, and
    bounds of time, layer, x and y. Sum of flux x cell_area x 3600 s is the tonnes. Times are UTC ends of hours.

    hours : numbers of hours of the year, such as a month's. now : time of writing, aware. provenance : global
    attributes, such as the inventory's version. compress : level of zlib, 0 for none.
    Raises UsageError for hours that are not of the year. Source: CF Conventions 1.10 (cfconventions.org).
    """
    fluxes.checked_hours(field, hours)
    flux = scale("t/h", "kg/s") / field.grid.areas()
    with netCDF4.Dataset(target, "w", format="NETCDF4") as file:
        _axes(file, field, hours)
        file.setncatts(
            {
                "Conventions": "CF-1.10",
                "title": f"Emissions of {field.year}, hourly",
                "source": "Qinglan emission inventory",
                "history": f"{now.isoformat(timespec='seconds')} written by Qinglan",
                "mechanism": field.splits.mechanism,
                **(provenance or {}),
            }
        )
        _, layers, ny, nx = field.shape
        made = []
        for name in field.species:
            options: dict[str, Any] = {"zlib": True, "complevel": compress} if compress else {}
            variable = file.createVariable(
                name, "f4", ("time", "layer", "y", "x"), chunksizes=(1, layers, ny, nx), **options
            )
            variable.setncatts(
                {
                    "units": "kg m-2 s-1",
                    "long_name": f"emission of {name}, counted as {fluxes.counted_as(field, name)}",
                    "cell_methods": "time: mean layer: sum area: mean",
                    "grid_mapping": "crs",
                    "cell_measures": "area: cell_area",
                    "coordinates": "lon lat",
                }
            )
            made.append(variable)
        for at, hour in enumerate(hours):
            values = field.hour(hour) * flux
            for variable, value in zip(made, values, strict=True):
                variable[at] = value


def _axes(file: Any, field: Factored, hours: range) -> None:
    grid = field.grid
    crs = fluxes.crs_of(grid)
    for name, size in (("time", None), ("layer", field.shape[1]), ("y", grid.ny), ("x", grid.nx), ("nv", 2)):
        file.createDimension(name, size)
    mapping = file.createVariable("crs", "i4")
    mapping.setncatts({k: v for k, v in crs.to_cf().items() if v is not None})
    first = fluxes.begins(field, hours.start)
    unit = f"hours since {first:%Y-%m-%d %H:%M:%S}"
    ends = np.arange(1, len(hours) + 1, dtype=np.float64)
    told = {"standard_name": "time", "axis": "T", "units": unit, "calendar": "standard"}
    _axis(file, "time", ends, np.column_stack([ends - 1, ends]), told)
    z = np.asarray(field.interfaces)
    told = {"standard_name": "height", "axis": "Z", "units": "m", "positive": "up"}
    _axis(file, "layer", (z[1:] + z[:-1]) / 2, np.column_stack([z[:-1], z[1:]]), told)
    kind = (
        ("longitude", "latitude") if crs.is_geographic else ("projection_x_coordinate", "projection_y_coordinate")
    )
    units = ("degrees_east", "degrees_north") if crs.is_geographic else ("m", "m")
    for name, edge, standard, its in zip("xy", fluxes.edges(grid), kind, units, strict=True):
        told = {"standard_name": standard, "axis": name.upper(), "units": its}
        _axis(file, name, (edge[1:] + edge[:-1]) / 2, np.column_stack([edge[:-1], edge[1:]]), told)
    for name, values, standard in zip(("lon", "lat"), grid.centres(), ("longitude", "latitude"), strict=True):
        variable = file.createVariable(name, "f8", ("y", "x"))
        degrees = "degrees_east" if name == "lon" else "degrees_north"
        variable.setncatts({"standard_name": standard, "units": degrees})
        variable[:] = values
    area = file.createVariable("cell_area", "f8", ("y", "x"))
    area.setncatts({"standard_name": "cell_area", "units": "m2", "grid_mapping": "crs"})
    area[:] = grid.areas()


def _axis(file: Any, name: str, values: fluxes.Vector, bounds: fluxes.Vector, told: Mapping[str, str]) -> None:
    variable = file.createVariable(name, "f8", (name,))
    variable.setncatts({**told, "bounds": f"{name}_bnds"})
    variable[:] = values
    file.createVariable(f"{name}_bnds", "f8", (name, "nv"))[:] = bounds
