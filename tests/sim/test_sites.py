"""Registers: any table that follows the contract, and clear words for one that does not."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date

import polars as pl
import pytest

from qinglan.core.errors import UnknownName, UsageError
from qinglan.sim.sites import DEFAULT_ALTITUDE, sites

ROW = {"station": "X1", "place": "630100", "county": None, "lon": 101.7, "lat": 36.6, "altitude": None}


def test_objects_mappings_and_tables_say_the_same(national, parameters):
    rows = [asdict(s) | {"aliases": list(s.aliases)} for s in national]
    frame = pl.DataFrame(rows)
    expected = sites(national, parameters)
    assert sites(rows, parameters) == expected
    assert sites(frame, parameters) == expected
    assert sites(frame.to_arrow(), parameters) == expected
    assert sites(reversed(rows), parameters) == expected


def test_what_a_register_may_leave_out(parameters):
    (site,) = sites([ROW], parameters)
    assert (site.altitude, site.control_point, site.valid_from) == (DEFAULT_ALTITUDE, False, None)
    (site,) = sites([ROW | {"valid_from": "2024-05-01", "control_point": "true"}], parameters)
    assert (site.valid_from, site.control_point) == (date(2024, 5, 1), True)


def test_a_missing_column_is_named_with_its_row(parameters):
    with pytest.raises(UsageError, match=r"row 2 \('X2'\): no lon"):
        sites([ROW, ROW | {"station": "X2", "lon": None}], parameters)


def test_a_station_twice_and_an_unknown_place(parameters):
    with pytest.raises(UsageError, match="X1 stands in it twice"):
        sites([ROW, ROW], parameters)
    with pytest.raises(UnknownName, match="440100"):
        sites([ROW | {"place": "440100"}], parameters)
