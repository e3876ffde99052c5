"""Layouts for others, each read back: the file's fluxes x area x time are the tonnes; layouts by their manuals."""

import io
from datetime import UTC, date, datetime
from pathlib import Path

import netCDF4
import numpy as np
import openpyxl
import polars as pl
import pytest
from scipy import sparse

from qinglan.core.errors import LayoutError, UsageError
from qinglan.emission.categories import SPECIES
from qinglan.emission.export import fluxes
from qinglan.emission.export.cf import write_cf
from qinglan.emission.export.geoparquet import cells, points
from qinglan.emission.export.hemco import write_hemco
from qinglan.emission.export.ioapi import write_ioapi
from qinglan.emission.export.workbook import tables
from qinglan.emission.export.wrfchem import write_wrfchem
from qinglan.emission.shape import species
from qinglan.emission.shape.factored import Factored, Shape, factored
from qinglan.emission.space.grid import Grid
from qinglan.emission.space.spread import Spread

NOW = datetime(2026, 11, 28, 8, tzinfo=UTC)
KM3 = Grid.lambert(97.0, 36.0, 3000.0, nx=5, ny=4, parallels=(30.0, 45.0))
DEGREES = Grid.of_degrees(100.0, 36.0, 0.1, 0.1, nx=5, ny=4)


def emissions() -> pl.DataFrame:
    rng = np.random.default_rng(3)
    rows = []
    for number, sector in enumerate(("power", "cement", "road", "household", "straw_burning")):
        pm10 = rng.uniform(10, 100)
        mass = {s: rng.uniform(1, 100) for s in SPECIES}
        mass |= {"pm10": pm10, "pm2_5": 0.6 * pm10, "bc": 0.05 * pm10, "oc": 0.1 * pm10}
        rows += [("led", f"r{number}", "a", "6301", sector, name, value) for name, value in mass.items()]
    schema = ["ledger", "row_key", "activity", "place", "sector", "species", "emission_t"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def made(grid: Grid, mechanism: str = "cb6_ae7") -> Factored:
    rng = np.random.default_rng(4)
    frame = emissions()
    dense = rng.dirichlet(np.ones(20), 5)
    units = frame.select("ledger", "row_key", "activity").unique(maintain_order=True)
    placed = Spread(grid, units, sparse.csr_array(dense), 1 - dense.sum(axis=1))
    return factored(frame, placed, 2024, Shape(splits=species.splits(mechanism), interfaces=(0, 50, 200, 600)))


@pytest.mark.parametrize("grid", [KM3, DEGREES])
def test_cf_reads_back_to_the_tonnes(grid: Grid, tmp_path: Path) -> None:
    field, hours = made(grid, "inventory"), range(1000, 1006)
    write_cf(field, tmp_path / "a.nc", hours, now=NOW, provenance={"version": "1"}, compress=1)
    truth = field.summed(1000, 1006)
    with netCDF4.Dataset(tmp_path / "a.nc") as file:
        file.set_auto_mask(False)
        assert (file.Conventions, file.version) == ("CF-1.10", "1")
        area = file["cell_area"][:]
        for i, name in enumerate(field.species):
            assert file[name].units == "kg m-2 s-1"
            assert file[name].grid_mapping == "crs"
            tonnes = (file[name][:].astype("f8") * area).sum(axis=0) * 3600 / 1000
            assert tonnes == pytest.approx(truth[i], rel=1e-6)
        bounds = netCDF4.num2date(file["time_bnds"][0], file["time"].units)
        assert str(bounds[0]) == f"{fluxes.begins(field, 1000):%Y-%m-%d %H:%M:%S}"
        assert file["layer_bnds"][:].ravel().tolist() == [0, 50, 50, 200, 200, 600]
    with pytest.raises(UsageError, match="not hours"):
        write_cf(field, tmp_path / "b.nc", range(8780, 9000), now=NOW)


def test_cf_opens_in_xarray_with_official_hours_in_utc(tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    write_cf(made(KM3, "inventory"), tmp_path / "a.nc", range(2), now=NOW)
    with xarray.open_dataset(tmp_path / "a.nc") as read:
        assert str(read.time.values[0])[:16] == "2023-12-31T17:00"
        assert read.so2.dims == ("time", "layer", "y", "x")


def test_months_are_the_year() -> None:
    months = [fluxes.hours_of_month(made(KM3), month) for month in range(1, 13)]
    assert [hour for month in months for hour in month] == list(range(8784))
    assert len(months[1]) == 29 * 24


def test_ioapi_day_has_25_records_in_moles_and_grams(tmp_path: Path) -> None:
    field = made(KM3)
    write_ioapi(field, tmp_path / "e.nc", date(2024, 3, 1), now=NOW)
    hours = fluxes.hours_of_day(field, date(2024, 3, 1), 25)
    truth = field.summed(hours.start, hours.stop)
    with netCDF4.Dataset(tmp_path / "e.nc") as file:
        file.set_auto_mask(False)
        assert (file.SDATE, file.STIME, file.TSTEP, file.FTYPE, file.GDTYP) == (2024061, 0, 10000, 1, 2)
        assert (file.P_ALP, file.P_BET, file.P_GAM, file.YCENT) == (30, 45, 97, 36)
        assert file.dimensions["TSTEP"].size == 25
        assert file["TFLAG"][24, 0].tolist() == [2024062, 0]
        assert len(getattr(file, "VAR-LIST")) == 16 * file.NVARS == 16 * len(field.species)
        for i, name in enumerate(field.species):
            values = file[name][:].astype("f8").sum(axis=0) * 3600
            if file[name].units.strip() == "moles/s":
                tonnes = values * field.splits.basis[i] / 1e6
            else:
                tonnes = values / 1e6
            assert tonnes == pytest.approx(truth[i], rel=1e-6)
    with pytest.raises(UsageError, match="official year"):
        write_ioapi(field, tmp_path / "f.nc", date(2024, 12, 31), now=NOW)
    with pytest.raises(UsageError, match="not written for CMAQ"):
        write_ioapi(
            made(Grid("EPSG:32647", 500_000, 4_000_000, 3000, 3000, 5, 4)),
            tmp_path / "g.nc",
            date(2024, 3, 1),
            now=NOW,
        )


def test_wrfchem_reads_back_to_the_tonnes(tmp_path: Path) -> None:
    field, hours = made(KM3), range(2000, 2012)
    write_wrfchem(field, tmp_path / "w.nc", hours)
    truth = field.summed(2000, 2012)
    with netCDF4.Dataset(tmp_path / "w.nc") as file:
        file.set_auto_mask(False)
        assert b"".join(file["Times"][0].tolist()).decode() == f"{fluxes.begins(field, 2000):%Y-%m-%d_%H:%M:%S}"
        for i, name in enumerate(field.species):
            values = file[f"E_{name}"][:].astype("f8").sum(axis=0)
            assert file[f"E_{name}"].dimensions[1] == "emissions_zdim"
            if file[f"E_{name}"].units == "mol km^-2 hr^-1":
                tonnes = values * KM3.areas() / 1e6 * field.splits.basis[i] / 1e6
            else:
                tonnes = values * KM3.areas() * 3600 / 1e12
            assert tonnes == pytest.approx(truth[i], rel=1e-6)


def test_hemco_reads_back_to_the_tonnes_of_the_molecule(tmp_path: Path) -> None:
    field, hours = made(DEGREES), range(16, 20)
    lines = write_hemco(field, tmp_path / "h.nc", hours)
    truth = field.summed(16, 20)
    area = DEGREES.areas()
    with netCDF4.Dataset(tmp_path / "h.nc") as file:
        file.set_auto_mask(False)
        for i, name in enumerate(field.species):
            for k in range(3):
                read = file[f"{name}_L{k + 1}"][:].astype("f8").sum(axis=0) * area * 3600 / 1000
                ratio = 30.01 / 46.01 if name == "NO" else fluxes.own_mass(field, name)
                assert read == pytest.approx(truth[i, k] * ratio, rel=1e-6)
    assert "0 QINGLAN_NO_L2 h.nc NO_L2 2024-2024/1-1/1-1/0-23 C xyL=50m:200m kg/m2/s NO - 1 100" in lines
    with pytest.raises(UsageError, match="degrees"):
        write_hemco(made(KM3), tmp_path / "i.nc", hours)


def test_geoparquet_opens_in_geopandas(tmp_path: Path) -> None:
    geopandas = pytest.importorskip("geopandas")
    field = made(KM3, "inventory")
    (tmp_path / "c.parquet").write_bytes(cells(field))
    read = geopandas.read_parquet(tmp_path / "c.parquet")
    assert read.crs == fluxes.crs_of(KM3)
    assert read["so2"].sum() == pytest.approx(field.totals()["so2"], rel=1e-9)
    assert read.geometry.area.to_numpy() == pytest.approx(9e6)
    frame = pl.DataFrame({"name": ["甲", "乙"], "lon": [101.7, None], "lat": [36.6, None]})
    (tmp_path / "p.parquet").write_bytes(points(frame))
    read = geopandas.read_parquet(tmp_path / "p.parquet")
    assert (read.geometry[0].x, read.geometry[0].y) == (101.7, 36.6)
    assert read.geometry[1] is None
    assert read["name"].tolist() == ["甲", "乙"]
    with pytest.raises(LayoutError, match="lat"):
        points(frame.drop("lat"))


def test_the_workbook_sums_to_the_inventory() -> None:
    frame = emissions().filter(~((pl.col("sector") == "road") & (pl.col("species") == "so2")))
    book = openpyxl.load_workbook(io.BytesIO(tables(frame)))
    assert len(book.worksheets) == 2
    rows = list(book.worksheets[0].iter_rows(min_row=2, values_only=True))
    for column, name in enumerate(SPECIES, start=2):
        truth = frame.filter(pl.col("species") == name)["emission_t"].sum()
        assert rows[-1][column] == pytest.approx(truth, rel=1e-9)
        subtotals = sum(row[column] or 0 for row in rows[:-1] if row[0])
        sectors = sum(row[column] or 0 for row in rows[:-1] if not row[0])
        assert subtotals == pytest.approx(truth, rel=1e-9)
        assert sectors == pytest.approx(truth, rel=1e-9)
    road = next(row for row in rows if row[1] and "road vehicles" in row[1])
    assert road[2] is None
    with pytest.raises(LayoutError, match="species"):
        tables(frame.drop("species"))
