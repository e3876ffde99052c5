"""Open data. Sources: Data Package, Data Resource and Table Schema of datapackage.org (version 1); RFC 7946;
contract 0002 §2 for the tables; `content/open_data`."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.flow import open_data, views
from qinglan.flow.workspace import Settings

#: Types of Table Schema v1, each with a reader that fails on a value that is not of the type.
READERS = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": {"true": True, "false": False}.__getitem__,
    "date": date.fromisoformat,
    "datetime": lambda text: datetime.strptime(text, "%Y-%m-%dT%H:%M:%S%z"),
}


@dataclass(frozen=True)
class Office:
    """A workspace whose results are a bare folder."""

    home: Path
    settings: Settings


def table(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame(columns)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """Two places, two stations (one without coordinates), three days across a change of the standard."""
    home = tmp_path_factory.mktemp("home")
    folder = home / "results" / "0f3a"
    folder.mkdir(parents=True)
    days = [date(2025, 12, 31), date(2026, 2, 28), date(2026, 3, 1)]
    items = {i: [10.5, None, 30.0] * 2 for i in ("so2", "no2", "co", "mda8", "pm10", "pm2_5", "o3_1h")}
    made = {
        "place_days": table(place=["630100"] * 3 + ["630200"] * 3, day=days * 2, **items, source=["hours"] * 6),
        "place_aqi": table(
            place=["630100"] * 4,
            day=[*days, days[2]],
            edition=["HJ 633-2012", "HJ 633-2012", "HJ 633-2012", "HJ 633-2026"],
            aqi=[50, None, 90, 110],
            level=[1, None, 2, 3],
            primary_pollutant=["", None, "pm2_5", "pm2_5"],
            aqi_state=["complete", "unavailable", "complete", "complete"],
            in_force=[True, True, False, True],
        ),
        "hourly_aqi": table(
            station=[None, "1480A", "9999A"], place=["630100"] * 3, time=[datetime(2026, 3, 1, 8, tzinfo=UTC)] * 3,
            day=[days[2]] * 3, hour=[16] * 3, edition=["HJ 633-2026"] * 3, aqi=[60, 61, 62], level=[2] * 3,
            primary_pollutant=["pm10"] * 3, aqi_state=["complete"] * 3,
            **{i: [1.0, 2.0, None] for i in ("so2", "no2", "co", "o3", "pm10", "pm2_5")},
        ),
        "stations": table(
            station=["1480A", "9999A"], name=["市环境监测站", '=cmd|"x"'], place=["630100"] * 2,
            county=["630104", None], kind=["ambient"] * 2, lon=[101.748, None], lat=[36.6428, None],
            altitude=[2260.0, None], control_point=[False, True], valid_from=[date(2013, 1, 1), None],
            valid_to=pl.Series([None, None], dtype=pl.Date), aliases=[["x"], []],
        ),
        "summary": table(place=["630100", "630200"], period=["2025"] * 2, dust=["in"] * 2, good_days=[1, 2]),
    }  # fmt: skip
    for name, frame in made.items():
        frame.write_parquet(folder / f"{name}.parquet")
    run = {"id": "0f3a", "kind": "run", "started_at": "2026-03-01T10:00:00+00:00", "code_version": "0.1.0",
           "inputs": {"lake/hours": "9f"}, "rules": [], "arguments": {}}  # fmt: skip
    verdict = {"run": run, "as_of": "2026-03-01", "simulated": True, "places": [], "targets": []}
    (folder / "verdict.json").write_text(json.dumps(verdict))
    return Office(home, Settings())


@pytest.fixture(scope="module")
def package(office: Office, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "open"
    open_data.export(office, folder)
    return folder


@pytest.fixture(scope="module")
def said(package: Path) -> dict[str, Any]:
    return json.loads((package / "datapackage.json").read_text("utf-8"))


def test_the_package_is_a_data_package(said: dict[str, Any]) -> None:
    """Data Package: `resources` required; names lower case; licences name and path; an instant of creation."""
    assert re.fullmatch(r"[-a-z0-9._/]+", said["name"])
    assert said["licenses"] == [
        {"name": "CC-BY-4.0", "path": "https://creativecommons.org/licenses/by/4.0/",
         "title": "Creative Commons Attribution 4.0 International"}
    ]  # fmt: skip
    assert datetime.fromisoformat(said["created"]).tzinfo is not None
    assert all("title" in source for source in said["sources"])
    names = [r["name"] for r in said["resources"]]
    assert len(names) == len(set(names)) > 10
    for resource in said["resources"]:
        assert re.fullmatch(r"[-a-z0-9._/]+", resource["name"])
        assert not resource["path"].startswith(("/", "."))
        assert "data" not in resource  # either `path` or `data`
        if resource["format"] == "csv":
            assert resource["profile"] == "tabular-data-resource"
            assert resource["encoding"] == "utf-8"


def test_run_and_standards_are_named(said: dict[str, Any]) -> None:
    assert said["version"] == said["id"] == "0f3a"
    assert said["provenance"]["inputs"] == {"lake/hours": "9f"}
    assert said["simulated"] is True
    assert said["description"].startswith("模拟数据")


def test_every_file_is_what_the_package_says(package: Path, said: dict[str, Any]) -> None:
    """Data Resource: `bytes` and `hash` (an algorithm other than MD5 stands before a colon)."""
    for resource in said["resources"]:
        data = (package / resource["path"]).read_bytes()
        assert resource["bytes"] == len(data)
        assert resource["hash"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    for line in (package / "SHA256SUMS.txt").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((package / name).read_bytes()).hexdigest() == digest
    listed = {line.split("  ")[1] for line in (package / "SHA256SUMS.txt").read_text().splitlines()}
    assert listed | {"SHA256SUMS.txt"} == {path.name for path in package.iterdir()}


def test_every_cell_is_of_its_type(package: Path, said: dict[str, Any]) -> None:
    """Table Schema: fields in the order of the header, each value of its type, empty is missing, keys unique."""
    for resource in (r for r in said["resources"] if r["format"] == "csv"):
        schema = resource["schema"]
        with (package / resource["path"]).open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle, strict=True))
            handle.seek(0)
            header = next(csv.reader(handle))
        assert header == [field["name"] for field in schema["fields"]]
        assert schema["missingValues"] == [""]
        for field in schema["fields"]:
            for row in rows:
                if row[field["name"]]:
                    READERS[field["type"]](row[field["name"]])
        if "primaryKey" in schema:
            keys = [tuple(row[k] for k in schema["primaryKey"]) for row in rows]
            assert len(keys) == len(set(keys))


def test_every_column_is_explained(package: Path, said: dict[str, Any]) -> None:
    told = list(csv.DictReader(io.StringIO((package / "dictionary.csv").read_text("utf-8"))))
    assert all(row["zh"] and row["en"] and row["type"] for row in told)
    fields = {f["name"] for r in said["resources"] if r["format"] == "csv" for f in r["schema"]["fields"]}
    assert fields == {row["column"] for row in told}
    units = {row["column"]: row["unit"] for row in told}
    assert (units["pm2_5"], units["co"], units["altitude"]) == ("µg/m³", "mg/m³", "m")


def test_days_carry_the_aqi_in_force(package: Path) -> None:
    """The 1st of March 2026 is judged by HJ 633-2026 only; a place without AQI keeps its day."""
    rows = pl.read_csv(package / "days-2026.csv").to_dicts()
    found = {(r["place"], r["day"]): (r["aqi"], r["edition"]) for r in rows}
    assert found[630100, "2026-03-01"] == (110, "HJ 633-2026")
    assert found[630200, "2026-03-01"] == (None, None)
    assert {r["day"][:4] for r in rows} == {"2026"}


def test_parquet_and_csv_say_the_same(package: Path) -> None:
    one = pl.read_parquet(package / "days-2025.parquet")
    other = pl.read_csv(package / "days-2025.csv", schema_overrides=dict(one.schema))
    assert one.select("place", "day", "pm2_5", "aqi").equals(other.select("place", "day", "pm2_5", "aqi"))


def test_points_are_geojson(package: Path) -> None:
    """RFC 7946: longitude first, WGS-84, and null where there is no place; the city's own row is no point."""
    for name in ("stations.geojson", "latest.geojson"):
        found = json.loads((package / name).read_text("utf-8"))
        assert found["type"] == "FeatureCollection"
        points = {f["properties"]["station"]: f["geometry"] for f in found["features"]}
        assert points == {"1480A": {"type": "Point", "coordinates": [101.748, 36.6428]}, "9999A": None}


def test_text_that_a_spreadsheet_would_run_is_quoted(package: Path) -> None:
    """OWASP, CSV injection: an apostrophe goes before a formula; Parquet keeps the name as it is."""
    rows = {
        r["station"]: r["name"] for r in csv.DictReader(io.StringIO((package / "stations.csv").read_text("utf-8")))
    }
    assert rows == {"1480A": "市环境监测站", "9999A": '\'=cmd|"x"'}
    assert pl.read_parquet(package / "stations.parquet")["name"].to_list()[1] == '=cmd|"x"'


def test_one_place_alone(office: Office) -> None:
    result = views.current(office)
    body, kind = open_data.file(office, result, "days-2026-630100.csv")
    assert kind.startswith("text/csv")
    assert {row["place"] for row in csv.DictReader(io.StringIO(body.decode()))} == {"630100"}


@pytest.mark.parametrize(
    "name",
    [
        "days-2019.csv",
        "days-2026-110000.csv",
        "stations-630100.csv",
        "days.csv",
        "../verdict.json",
        "flags.csv",
        "",
    ],
)
def test_nothing_else_is_handed_out(office: Office, name: str) -> None:
    with pytest.raises(NotFound):
        open_data.file(office, views.current(office), name)


def test_the_licence_is_the_offices_choice(office: Office) -> None:
    other = Office(office.home, Settings(licence="CC0-1.0"))
    body, _ = open_data.file(other, views.current(other), "datapackage.json")
    assert json.loads(body)["licenses"][0]["name"] == "CC0-1.0"
    with pytest.raises(UnknownName, match=r"CC-BY-4\.0"):
        open_data.licence(Office(office.home, Settings(licence="mine")))


def test_equal_runs_are_equal_files(office: Office, package: Path, tmp_path: Path) -> None:
    open_data.export(office, tmp_path / "again")
    for path in package.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_a_folder_that_holds_something_is_refused(office: Office, tmp_path: Path) -> None:
    (tmp_path / "old.csv").write_text("x")
    with pytest.raises(UsageError, match="not an empty folder"):
        open_data.export(office, tmp_path)


def test_what_is_not_explained_is_not_handed_out(package: Path) -> None:
    """The register's aliases are for loading only, and the dictionary does not know them."""
    assert "aliases" not in pl.read_parquet(package / "stations.parquet").columns
    with pytest.raises(UnknownName):
        open_data.column("secret")
