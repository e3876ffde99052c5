"""IOAPI-3 netCDF as CMAQ reads it: a UTC day of 25 hours, gases in mol/s and aerosols in g/s for each cell."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np

from qinglan.core.errors import UsageError
from qinglan.emission.export import fluxes
from qinglan.emission.shape.factored import Factored
from qinglan.emission.space.grid import Grid
from qinglan.emission.units import scale

#: Grid types and vertical types of IOAPI-3 (PARMS3.EXT).
LATGRD3, LAMGRD3, VGZVAL3 = 1, 2, 5
#: Records of a day: its 24 hours and the first of the next, between which CMAQ interpolates.
RECORDS = 25
_STEP = 10_000  # HHMMSS


def write_ioapi(field: Factored, target: Path, day: date, *, now: datetime, name: str = "QINGLAN") -> None:
    """Write a UTC day for CMAQ: record HH:00 holds the mean of the hour that begins then.

    day : UTC day. now : time of writing, aware. name : GDNAM, up to 16 letters. Layers are metres above ground
    (VGTYP 5); a model with other layers wants the field made with its interfaces.
    Raises UsageError for a day that is not all inside the year, or a grid that is neither in degrees nor Lambert
    conformal conic. Source: I/O API 3.2 user manual; CMAQ user's guide, emission inputs.
    """
    hours = fluxes.hours_of_day(field, day, RECORDS)
    count, layers, ny, nx = field.shape
    with netCDF4.Dataset(target, "w", format="NETCDF3_64BIT_OFFSET") as file:
        sizes = {"TSTEP": None, "DATE-TIME": 2, "LAY": layers, "VAR": count, "ROW": ny, "COL": nx}
        for dimension, size in sizes.items():
            file.createDimension(dimension, size)
        flags = file.createVariable("TFLAG", "i4", ("TSTEP", "VAR", "DATE-TIME"))
        flags.setncatts({"units": "<YYYYDDD,HHMMSS>", "long_name": f"{'TFLAG':16}", "var_desc": f"{'step':80}"})
        made, factors = [], []
        for species in field.species:
            gas = fluxes.gas(field, species)
            unit = "moles/s" if gas else "g/s"
            variable = file.createVariable(species, "f4", ("TSTEP", "LAY", "ROW", "COL"))
            told = f"emission of {species}"
            variable.setncatts({"long_name": f"{species:16}", "units": f"{unit:16}", "var_desc": f"{told:80}"})
            made.append(variable)
            factors.append(
                scale("t/h", "t/s") * fluxes.moles_per_tonne(field, species) if gas else scale("t/h", "g/s")
            )
        file.setncatts(_attributes(field, hours, now, name))
        for at, hour in enumerate(hours):
            begins = fluxes.begins(field, hour)
            flags[at] = np.tile([_day(begins), begins.hour * _STEP], (count, 1))
            for variable, factor, values in zip(made, factors, field.hour(hour), strict=True):
                variable[at] = values * factor


def _day(when: datetime) -> int:
    return int(f"{when:%Y%j}")


def _attributes(field: Factored, hours: range, now: datetime, name: str) -> dict[str, Any]:
    begins, grid = fluxes.begins(field, hours.start), field.grid
    _, layers, ny, nx = field.shape
    written = (np.int32(_day(now)), np.int32(int(f"{now:%H%M%S}")))
    whole = {"FTYPE": 1, "SDATE": _day(begins), "STIME": begins.hour * _STEP, "TSTEP": _STEP, "NTHIK": 1}
    whole |= {"NCOLS": nx, "NROWS": ny, "NLAYS": layers, "NVARS": len(field.species), "VGTYP": VGZVAL3}
    return {
        "IOAPI_VERSION": f"{'ioapi-3.2: written by Qinglan':80}",
        "EXEC_ID": f"{'qinglan':80}",
        **dict(zip(("CDATE", "CTIME", "WDATE", "WTIME"), written * 2, strict=True)),
        **{key: np.int32(value) for key, value in whole.items()},
        **projection(grid),
        "VGTOP": np.float32(field.interfaces[-1]),
        "VGLVLS": np.asarray(field.interfaces, dtype=np.float32),
        "GDNAM": f"{name[:16]:16}",
        "UPNAM": f"{'QINGLAN':16}",
        "VAR-LIST": "".join(f"{species:16}" for species in field.species),
        "FILEDESC": f"{f'emissions {field.year} {field.splits.mechanism}':80}",
        "HISTORY": "",
    }


def projection(grid: Grid) -> dict[str, Any]:
    """Attributes of a grid in IOAPI's terms; UsageError for a projection that is not written."""
    crs = fluxes.crs_of(grid)
    cf = crs.to_cf()
    if crs.is_geographic:
        kind, values = LATGRD3, (0.0, 0.0, 0.0, 0.0, 0.0)
    elif cf.get("grid_mapping_name") == "lambert_conformal_conic":
        pair = cf["standard_parallel"]
        low, high = pair if isinstance(pair, (list, tuple)) else (pair, pair)
        centre = float(cf["longitude_of_central_meridian"])
        kind = LAMGRD3
        values = (min(low, high), max(low, high), centre, centre, float(cf["latitude_of_projection_origin"]))
    else:
        raise UsageError(
            f"the projection {crs.name!r} is not written for CMAQ.", remedy="Take a Lambert conformal conic grid."
        )
    names = ("P_ALP", "P_BET", "P_GAM", "XCENT", "YCENT", "XORIG", "YORIG", "XCELL", "YCELL")
    numbers = (*values, grid.x0, grid.y0, grid.dx, grid.dy)
    return {"GDTYP": np.int32(kind), **{n: np.float64(v) for n, v in zip(names, numbers, strict=True)}}
