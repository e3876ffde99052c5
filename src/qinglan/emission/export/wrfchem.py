"""WRF-Chem's anthropogenic emissions (wrfchemi): gases in mol km-2 h-1, aerosols in ug m-2 s-1."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from qinglan.emission.export import fluxes
from qinglan.emission.shape.factored import Factored
from qinglan.emission.units import scale

_REAL, _LENGTH = 104, 19


def wrfchem_name(first: datetime, domain: int = 1) -> str:
    """Name that WRF-Chem looks for.

    >>> wrfchem_name(datetime(2024, 3, 1))
    'wrfchemi_d01_2024-03-01_00:00:00'
    """
    return f"wrfchemi_d{domain:02d}_{first:%Y-%m-%d_%H:%M:%S}"


def write_wrfchem(field: Factored, target: Path, hours: range) -> None:
    """Write hours of a field as a wrfchemi file; a time is the UTC begin of the hour.

    A species X is the variable E_X (Time, emissions_zdim, south_north, west_east). Which of them a run reads is
    set by its chem_opt; names are not translated. Raises UsageError for hours that are not of the year.
    Source: WRF-Chem user's guide, emissions; Registry.chem (units of emis_ant).
    """
    fluxes.checked_hours(field, hours)
    area = field.grid.areas()
    _, layers, ny, nx = field.shape
    with netCDF4.Dataset(target, "w", format="NETCDF3_64BIT_OFFSET") as file:
        sizes = {"Time": None, "DateStrLen": _LENGTH, "emissions_zdim": layers, "south_north": ny, "west_east": nx}
        for name, size in sizes.items():
            file.createDimension(name, size)
        times = file.createVariable("Times", "S1", ("Time", "DateStrLen"))
        for name, values, unit in zip(
            ("XLONG", "XLAT"), field.grid.centres(), ("degree_east", "degree_north"), strict=True
        ):
            place = file.createVariable(name, "f4", ("south_north", "west_east"))
            place.setncatts({"FieldType": np.int32(_REAL), "MemoryOrder": "XY ", "units": unit, "stagger": ""})
            place[:] = values
        made, factors = [], []
        for species in field.species:
            gas = fluxes.gas(field, species)
            variable = file.createVariable(
                f"E_{species}", "f4", ("Time", "emissions_zdim", "south_north", "west_east")
            )
            variable.setncatts(
                {
                    "FieldType": np.int32(_REAL),
                    "MemoryOrder": "XYZ",
                    "description": f"EMISSIONS OF {species}",
                    "units": "mol km^-2 hr^-1" if gas else "ug m^-2 s^-1",
                    "stagger": "",
                    "coordinates": "XLONG XLAT",
                }
            )
            made.append(variable)
            factors.append(
                fluxes.moles_per_tonne(field, species) / (area * scale("m2", "km2"))
                if gas
                else scale("t/h", "ug/s") / area
            )
        file.setncatts(_attributes(field, hours))
        for at, hour in enumerate(hours):
            times[at] = np.array(list(f"{fluxes.begins(field, hour):%Y-%m-%d_%H:%M:%S}"), dtype="S1")
            for variable, factor, values in zip(made, factors, field.hour(hour), strict=True):
                variable[at] = values * factor


def _attributes(field: Factored, hours: range) -> dict[str, Any]:
    start = f"{fluxes.begins(field, hours.start):%Y-%m-%d_%H:%M:%S}"
    _, layers, ny, nx = field.shape
    return {
        "TITLE": f"Emissions of {field.year}, {field.splits.mechanism}, by Qinglan",
        "START_DATE": start,
        "SIMULATION_START_DATE": start,
        "WEST-EAST_GRID_DIMENSION": np.int32(nx + 1),
        "SOUTH-NORTH_GRID_DIMENSION": np.int32(ny + 1),
        "BOTTOM-TOP_GRID_DIMENSION": np.int32(layers + 1),
        "DX": np.float32(field.grid.dx),
        "DY": np.float32(field.grid.dy),
        "QINGLAN_INTERFACES": np.asarray(field.interfaces, dtype=np.float32),
    }
