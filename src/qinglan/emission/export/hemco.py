"""HEMCO (GEOS-Chem): COARDS netCDF in kg m-2 s-1 of the molecule itself, and its lines of HEMCO_Config.rc."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np

from qinglan.core.errors import UsageError
from qinglan.emission.export import fluxes
from qinglan.emission.shape.factored import Factored
from qinglan.emission.units import scale


def write_hemco(field: Factored, target: Path, hours: range) -> str:
    """Write hours of a field for HEMCO and return its lines for HEMCO_Config.rc.

    A layer k of a species X is the variable X_Lk (time, lat, lon); the lines place it between the heights of the
    layer. Layers that are empty in all hours are written all the same. Times are UTC begins of hours.
    Raises UsageError for a grid that is not in degrees, or hours that are not of the year.
    Source: HEMCO user's guide, COARDS conventions and base emissions (source dimension `xyL=low:high`).
    """
    fluxes.checked_hours(field, hours)
    if not fluxes.crs_of(field.grid).is_geographic:
        raise UsageError("HEMCO reads grids in degrees only.", remedy="Spread the inventory on such a grid.")
    x, y = fluxes.centres(field.grid)
    flux = scale("t/h", "kg/s") / field.grid.areas()
    _, layers, ny, nx = field.shape
    first = fluxes.begins(field, hours.start)
    with netCDF4.Dataset(target, "w", format="NETCDF4_CLASSIC") as file:
        axes = (
            ("time", None, np.arange(len(hours)), f"hours since {first:%Y-%m-%d %H:%M:%S}"),
            ("lat", ny, y, "degrees_north"),
            ("lon", nx, x, "degrees_east"),
        )
        for (name, size, values, unit), axis in zip(axes, "TYX", strict=True):
            file.createDimension(name, size)
            variable = file.createVariable(name, "f8", (name,))
            told = {"long_name": name, "units": unit, "axis": axis}
            variable.setncatts(told | ({"calendar": "standard"} if name == "time" else {}))
            variable[:] = values
        file.setncatts({"Conventions": "COARDS", "title": f"Emissions of {field.year} by Qinglan", "history": ""})
        made = {}
        for species in field.species:
            for k in range(layers):
                variable = file.createVariable(f"{species}_L{k + 1}", "f4", ("time", "lat", "lon"))
                told = {"long_name": f"emission of {species}, layer {k + 1}", "units": "kg/m2/s"}
                variable.setncatts(told)
                made[species, k] = variable
        for at, hour in enumerate(hours):
            values = field.hour(hour)
            for i, species in enumerate(field.species):
                for k in range(layers):
                    made[species, k][at] = values[i, k] * flux * fluxes.own_mass(field, species)
    return _lines(field, target.name, hours)


def _lines(field: Factored, file: str, hours: range) -> str:
    first, last = fluxes.begins(field, hours.start), fluxes.begins(field, hours.stop - 1)
    when = f"{first.year}-{last.year}/{first.month}-{last.month}/{first.day}-{last.day}/0-23"
    lines = ["# ExtNr Name sourceFile sourceVar sourceTime C/R/E SrcDim SrcUnit Species ScalIDs Cat Hier"]
    for species in field.species:
        for k, (low, high) in enumerate(zip(field.interfaces, field.interfaces[1:], strict=False)):
            reach = f"xyL={'1' if low == 0 else f'{low:g}m'}:{high:g}m"
            name = f"{species}_L{k + 1}"
            lines.append(f"0 QINGLAN_{name} {file} {name} {when} C {reach} kg/m2/s {species} - 1 100")
    return "\n".join(lines) + "\n"
