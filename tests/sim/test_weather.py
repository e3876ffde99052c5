"""Weather: ISO 2533 pressures, Magnus dew points (WMO-No. 8), and the plateau's known climate."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from qinglan.sim.weather import dew_point, pressure_at


# ISO 2533 standard atmosphere, table values.
@pytest.mark.parametrize(
    ("altitude", "hectopascal"), [(0, 1013.25), (1000, 898.75), (3000, 701.09), (4000, 616.40)]
)
def test_pressure_of_the_standard_atmosphere(altitude, hectopascal):
    assert pressure_at(altitude) == pytest.approx(hectopascal, abs=0.15)


def test_dew_point_at_saturation_and_a_psychrometer_pair():
    assert dew_point(np.array([12.0]), np.array([100.0]))[0] == pytest.approx(12.0)
    # WMO-No. 8: 20 °C at 50 % has a dew point of 9.3 °C.
    assert dew_point(np.array([20.0]), np.array([50.0]))[0] == pytest.approx(9.3, abs=0.1)


def test_climate_of_xining(province):
    """Against the rounded climate of Xining 2014-2021: -7 °C in January, 17.5 in July, 390 mm a year, 766 hPa."""
    rows = pl.DataFrame(province.weather).filter(pl.col("station") == "1482A")
    months = rows.group_by(pl.col("day").dt.month().alias("m")).agg(pl.col("temperature").mean()).sort("m")
    assert months["temperature"][0] == pytest.approx(-7, abs=2.5)
    assert months["temperature"][6] == pytest.approx(17.5, abs=2.5)
    assert rows["precipitation"].sum() / 3 == pytest.approx(390, rel=0.25)
    assert rows["pressure"].mean() == pytest.approx(770, abs=8)
    assert (rows["dew_point"] <= rows["temperature"]).all()
    by_hour = rows.group_by("hour").agg(pl.col("temperature").mean()).sort("temperature")["hour"]
    assert by_hour[-1] in (15, 16, 17)  # warmest well after the sun's noon at 13:10


def test_qaidam_is_dry_and_windy(province):
    mean = pl.DataFrame(province.weather).group_by("station").agg(pl.all().exclude("time", "day").mean())
    delingha, xining = (mean.filter(pl.col("station") == s) for s in ("2676A", "1482A"))
    assert delingha["humidity"][0] < xining["humidity"][0] - 15
    assert delingha["wind_speed"][0] > 1.3 * xining["wind_speed"][0]
    assert delingha["precipitation"][0] < 0.4 * xining["precipitation"][0]
