"""Places and station registers.

Sources: GB/T 2260 division codes; reference fact sheet, section 14; the plan, article 2.
"""

import csv
import gzip
import os
from datetime import date
from pathlib import Path

import pytest

from qinglan.core.errors import ContentError, UnknownName
from qinglan.plan.places import (
    PLACE_COLUMNS,
    STATION_COLUMNS,
    AmbiguousName,
    load_places,
    load_stations,
    read_places,
    read_stations,
    station_sets,
)

DATA = Path(os.environ.get("QINGLAN_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def test_qinghai_has_eight_prefectures_and_forty_five_county_units():
    places = load_places()
    prefectures = places.prefectures("630000")
    assert [p.place for p in prefectures] == [
        *("630100", "630200", "632200", "632300", "632500", "632600", "632700", "632800")
    ]
    counties = [c for p in prefectures for c in places.children(p.place) if c.level == "county"]
    assert len(counties) == 45
    named = {"632801": "格尔木市", "632802": "德令哈市", "632621": "玛沁县", "632521": "共和县"}
    named |= {"632301": "同仁市", "632701": "玉树市", "632223": "海晏县"}
    assert {code: places[code].name for code in named} == named
    assert places.is_within("632223-xihai", "632200")


def test_the_country_has_34_provinces_and_333_prefectures_today():
    # National statistics: 333 prefecture-level divisions; Laiwu ended in January 2019.
    places = load_places()
    provinces = places.children("100000")
    assert len(provinces) == 34
    today = [p for p in places if p.level == "prefecture" and p.valid_to is None]
    assert len(today) == 333
    shandong = {p.name for p in places.prefectures("370000")}
    assert "莱芜市" not in shandong
    assert "莱芜市" in {p.name for p in places.prefectures("370000", date(2016, 1, 1))}
    assert [p.place for p in places.prefectures("110000")] == ["110000"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("西宁", "630100"),
        ("果洛州", "632600"),
        ("guoluozhou", "632600"),
        ("XINING", "630100"),
        ("海东地区", "630200"),
        ("haixizhou", "632800"),
        ("玉树州", "632700"),
        ("同仁县", "632301"),
        ("\ufeff西宁", "630100"),
        ("630100", "630100"),
    ],
)
def test_names_found_in_the_wild_resolve(text, code):
    assert load_places().find(text).place == code


def test_an_ambiguous_name_lists_its_candidates_and_can_be_narrowed():
    places = load_places()
    with pytest.raises(AmbiguousName, match=r"460000 海南省.*632500 海南藏族自治州"):
        places.find("海南")
    assert places.find("海南", level="prefecture").place == "632500"
    assert places.find("吉林", level="prefecture").place == "220200"
    assert places.find("yushu", within="632700", level="county").place == "632701"
    with pytest.raises(AmbiguousName, match=r"苏州市.*宿州市"):
        places.find("suzhou")


def test_an_unknown_name_shows_near_ones():
    with pytest.raises(UnknownName, match="630100 西宁市"):
        load_places().find("西宁市区")


def test_every_city_of_the_public_archive_has_a_place():
    file = DATA / "cn_city_daily_aqistudy_2013_2017" / "all_366_cities_daily.csv.gz"
    if not file.is_file():
        pytest.skip(f"no test data at {file}")
    with gzip.open(file, "rt", encoding="utf-8-sig") as stream:
        cities = {row["city"].lstrip("\ufeff") for row in csv.DictReader(stream)}
    places, by_level = load_places(), {}
    for city in sorted(cities):
        try:
            found = places.find(city)
        except AmbiguousName:
            found = places.find(city, level="prefecture")
        by_level.setdefault(found.place, []).append(city)
    assert len(cities) == 366
    assert not {code: names for code, names in by_level.items() if len(names) > 1}


def test_stations_of_qinghai_cover_eight_prefectures_and_one_control_point():
    stations = load_stations("qinghai")
    assert {s.place for s in stations} == {p.place for p in load_places().prefectures("630000")}
    assert [s.station for s in stations if s.control_point] == ["1483A"]
    assert "control" in next(s for s in stations if s.control_point).note
    xining_2020 = {s.station for s in stations if s.place == "630100" and s.valid_on(date(2020, 4, 1))}
    assert xining_2020 == {"1480A", "1481A", "1482A", "1483A", "3055A"}
    for year in range(2015, 2026):  # a move leaves no hole and no doubt
        haidong = [s.station for s in stations if s.place == "630200" and s.valid_on(date(year, 7, 1))]
        assert haidong, year


def test_stations_of_the_2020_feed_are_known_by_name():
    file = DATA / "cn_stations_hourly_2020" / "qinghai_lanzhou_hourly_raw.csv.gz"
    if not file.is_file():
        pytest.skip(f"no test data at {file}")
    places, found = load_places(), set()
    with gzip.open(file, "rt", encoding="utf-8-sig") as stream:
        for row in csv.DictReader(stream):
            found.add((places.find(row["file"], within="100000").place, row["WatchPoint"]))
    known = {(s.place, n) for s in load_stations() for n in (s.name, *s.aliases)}
    assert {pair for pair in found if pair[0].startswith("63")} <= known
    assert len({pair for pair in found if pair[0].startswith("63")}) == 13


def test_simulated_stations_cover_every_county_and_say_so():
    stations, places = load_stations("simulated"), load_places()
    assert station_sets() == ("qinghai", "simulated")
    assert all(s.simulated and s.station.startswith("SIM-") and "模拟" in s.name for s in stations)
    assert not any(s.simulated for s in load_stations("qinghai"))
    counties = {p.place for p in places if p.level == "county" and places.is_within(p.place, "630000")}
    assert {s.county for s in stations} == counties
    assert {s.place for s in stations} == counties  # judged as counties, never in a prefecture's mean
    assert all(s.altitude is not None and 1700 <= s.altitude <= 4300 for s in stations)
    assert all(89.4 < s.lon < 103.1 and 31.6 < s.lat < 39.3 for s in stations)  # the province's extent


PLACES = """place,name,name_en,level,parent,aliases,valid_to
100000,中国,China,country,,,
630000,青海省,Qinghai,province,100000,青海,
63010,西宁市,Xining,prefecture,630000,,
630200,海东市,Haidong,prefecture,639999,,
630200,海东市,Haidong,prefecture,630000,,
632200,海北州,Haibei,country town,630000,,soon
632300,黄南州,,prefecture,630000,青海,
632500,海南州,Huangnan,prefecture,630000,青海,
630102,城东区,Chengdong,county,630000,,
630001,颠倒省,Upside,province,630102,,
"""


def test_all_faults_of_a_place_table_are_listed_at_once():
    with pytest.raises(ContentError) as caught:
        read_places({"broken.csv": PLACES})
    text = str(caught.value)
    for part in (
        "bad code '63010'",
        "unknown parent '639999'",
        "duplicate place 630200",
        "unknown level 'country town'",
    ):
        assert part in text
    for part in ("bad valid_to 'soon'", "632300 needs name and name_en", "'青海' names both 632300 and 632500"):
        assert part in text
    assert "630001 (province) lies below 630102 (county)" in text
    assert len(caught.value.problems) == 8


def test_an_unknown_or_missing_column_is_a_fault():
    with pytest.raises(ContentError, match=r"'aliases' is missing(.|\n)*unknown column 'alias'"):
        read_places({"x.csv": ",".join(PLACE_COLUMNS).replace("aliases", "alias") + "\n"})


def _station_rows(*rows):
    return ",".join(STATION_COLUMNS) + "\n" + "\n".join(rows) + "\n"


def test_all_faults_of_a_register_are_listed_at_once():
    text = _station_rows(
        "1A,a,a,630100,630102,36.6,101.7,2260,ambient,false,2013-01-01,,,high,s,",  # lon and lat swapped
        "2A,b,b,639900,,101.7,36.6,2260,ambient,false,2013-01-01,,,high,s,",
        "3A,c,c,630100,632801,101.7,36.6,x,ambient,false,2013-01-01,,,high,s,",
        "3A,d,d,630100,,101.7,36.6,,roof,no,2013-01-01,2012-01-01,,high,s,",
        "4A,,e,630100,,101.7,36.6,,ambient,false,,,,high,,",
    )
    with pytest.raises(ContentError) as caught:
        read_stations(text, load_places(), name="office.csv")
    listed = str(caught.value)
    for part in (
        "line 2: 1A has lat 101.7, outside -90..90",
        "2A has unknown place '639900'",
        "3A has altitude 'x'",
    ):
        assert part in listed
    for part in (
        "not inside its place 630100",
        "duplicate of line 4",
        "unknown kind 'roof'",
        "control_point 'no'",
    ):
        assert part in listed
    for part in (
        "ends (2012-01-01) before it starts",
        "4A has no valid_from",
        "4A has no name",
        "4A has no source",
    ):
        assert part in listed
    assert len(caught.value.problems) == 11
