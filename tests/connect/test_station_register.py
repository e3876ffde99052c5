"""Registers of stations: our own columns, and the national list."""

from __future__ import annotations

from datetime import date

import pytest

from qinglan.connect import station_register
from qinglan.core.errors import LayoutError

OWN = "station,name,place,lon,lat,altitude,control_point,valid_from,aliases\n"


def rows(batches):
    (batch,) = batches
    assert batch.dataset == "stations"
    return batch.rows.to_pylist(), list(batch.rejects)


def test_our_own_table(written, context):
    text = OWN + "1480A,市环境监测站,西宁,101.748,36.6428,2260,false,2013-01-01,市站; 西宁市环境监测站\n"
    found, rejects = rows(station_register.read(written("a.csv", text), context()))
    assert rejects == []
    assert found == [
        {
            "station": "1480A",
            "name": "市环境监测站",
            "place": "630100",
            "county": None,
            "lon": 101.748,
            "lat": 36.6428,
            "altitude": 2260.0,
            "kind": "ambient",
            "control_point": False,
            "valid_from": date(2013, 1, 1),
            "valid_to": None,
            "aliases": ["市站", "西宁市环境监测站"],
        }
    ]


def test_faults_are_set_aside(written, context):
    text = (
        OWN
        + "A,甲,西宁,201,36,x,maybe,soon,\nB,乙,不知,1,1,1,true,,\n"
        + "B2,,西宁,1,1,1,true,,\nA,甲2,西宁,1,1,1,true,,\n"
    )
    found, rejects = rows(station_register.read(written("a.csv", text), context()))
    assert [(r["station"], r["lon"], r["altitude"], r["valid_from"]) for r in found] == [("A", None, None, None)]
    assert [(r.code, r.field, r.line, r.rows) for r in rejects] == [
        ("out_of_contract", "station", 4, 1),
        ("unknown_place", "place", 3, 1),
        ("duplicate_conflict", "station", 5, 1),
        ("bad_number", "altitude", 2, 0),
        ("out_of_contract", "lon", 2, 0),
        ("bad_time", "valid_from", 2, 0),
        ("out_of_contract", "control_point", 2, 0),
    ]


def test_the_national_list(written, context):
    text = "ID,stations_name,stations_en_name,area,area_en_name,lon,lat\n"
    text += "1480A,市环境监测站,Shihuanjing,西宁,Xining,101.748,36.6428\n"
    text += "1477A,榆中兰大校区(对照点),Yu,兰州,L,104.1,35.9\n"
    path = written("list.csv", text)
    assert station_register.sniff(path)
    found, rejects = rows(station_register.read(path, context()))
    assert rejects == []
    assert [(r["station"], r["place"], r["control_point"], r["aliases"]) for r in found] == [
        ("1480A", "630100", False, ["Shihuanjing"]),
        ("1477A", "620100", True, ["Yu"]),
    ]


def test_a_table_without_codes_is_refused(written, context):
    with pytest.raises(LayoutError, match="lacks the column"):
        list(station_register.read(written("a.csv", "name,place\nx,y\n"), context()))


@pytest.mark.data
def test_the_national_list_of_1498_stations(test_data, any_context):
    path = test_data / "cnemc_station_list" / "station_info_1498.csv"
    found, rejects = rows(station_register.read(path, any_context()))
    assert len(found) + sum(r.rows for r in rejects) == 1_498
    assert {r["station"]: r["name"] for r in found}["1480A"] == "市环境监测站"
