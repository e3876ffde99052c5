"""Wrong inputs at the shell: what the user sees, and that nothing is lost. Source: issue 2, "must show" 6."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from qinglan.flow.workspace import open_workspace

DAY = date(2025, 1, 5)
TYPES = {"PM2.5": 30.0, "PM10": 60.0, "SO2": 10.0, "NO2": 20.0, "O3": 50.0, "CO": 0.6}


def archive(
    path: Path,
    day: date = DAY,
    stations: Iterable[str] = ("1480A", "1481A"),
    scale: float = 1.0,
    encoding: str = "utf-8-sig",
    plus: float = 0.0,
) -> Path:
    """A day of the national hourly archive: wide CSV, a line for each hour and item, a column for each station."""
    lines = ["date,hour,type," + ",".join(stations)]
    for hour in range(24):
        for kind, value in TYPES.items():
            level = round((value + plus + hour % 5) * (scale if kind != "CO" else 1), 4)
            lines.append(f"{day:%Y%m%d},{hour},{kind}," + ",".join(str(level) for _ in stations))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def published(path: Path, encoding: str = "utf-8") -> Path:
    """A day of a publishing platform, with station names in Chinese."""
    head = "file,Date,Hour,WatchPoint,AQI,Level,PrimaryPollution,PM2.5,PM10,CO,NO2,O3_1h,O3_8h,SO2"
    lines = [
        f"西宁,{DAY:%Y%m%d},{h},市环境监测站,60,良,颗粒物(PM10),{30 + h},70,0.6,20,50,50,10" for h in range(1, 24)
    ]
    path.write_bytes("\n".join([head, *lines]).encode(encoding))
    return path


@pytest.fixture
def home(qinglan: Any, tmp_path: Path) -> Path:
    assert qinglan("--home", tmp_path / "home", "init").code == 0
    return tmp_path / "home"


def balanced(load: dict[str, Any]) -> dict[str, Any]:
    """The totals of a load, after asserting that every row read is accounted for, file by file."""
    for counts in (load["totals"], *load["files"]):
        accepted = sum(counts[n] for n in ("inserted", "unchanged", "superseded", "filled"))
        assert counts["read"] == accepted + counts["rejected"], counts
    return load["totals"]


def rows(home: Path) -> int:
    return open_workspace(home).lake.rows("hours")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("ingest", "nosuch", "x.csv"), 2, "unknown layout 'nosuch'. Known: city_daily, national_hourly"),
        (("ingest", "national_hourly", "no-such.csv"), 1, "nothing to read at no-such.csv"),
        (
            ("ingest", "national_hourly", "x.csv", "-o", "label"),
            2,
            "cannot read option 'label'. Write NAME=VALUE.",
        ),
        (("ingest", "table", "x.csv", "--mapping", "no.yaml"), 2, "no.yaml"),
        (("ingest", "table", "x.csv", "-o", "mapping=no.yaml"), 2, "mapping file 'no.yaml' is not there"),
        (("run",), 1, "holds no observations. Load some: `qinglan ingest LAYOUT PATH...`."),
        (("run", "--as-of", "2025-13-01"), 2, "cannot read date '2025-13-01'. Write YYYY-MM-DD."),
        (("run", "--set", "hj663"), 2, "cannot read option 'hj663'. Write BOOK.OPTION=CHOICE"),
        (
            ("aqi", "--pm10", "50", "--set", "hj633.hourly=x"),
            2,
            "unknown option of hj633 'hourly'. Known: hourly_pm",
        ),
        (
            ("aqi", "--pm10", "50", "--set", "hj633.hourly_pm=x"),
            2,
            "unknown choice of hourly_pm 'x'. Known: one_hour",
        ),
        (("aqi", "--pm10", "50", "--set", "hj666.a=b"), 2, "hj666"),
        (("aqi",), 2, "no concentration was given. Give some of so2, no2, co, mda8, pm10, pm2_5."),
        (("aqi", "--pm10", "-5"), 2, "pm10 is -5.0: a concentration is not negative."),
        (("aqi", "--pm10", "5", "--on", "2010-01-01"), 1, "2012-02-29"),
        (("aqi", "--place", "西宁"), 2, "which day? Add --day YYYY-MM-DD"),
        (("aqi", "--place", "西宁", "--day", "2025-03-01"), 1, "holds no run yet. Run `qinglan run`."),
        (("aqi", "--place", "亚特兰蒂斯", "--day", "2025-03-01"), 2, "unknown place '亚特兰蒂斯'"),
        (("assess", "2025Q5"), 2, "cannot read period '2025Q5'. Write 2025, 2025-03, 2025Q1, 2025H1"),
        (("rejects", "--retry", "no-load"), 1, "no load 'no-load'. `qinglan loads` lists them."),
        (("--lang", "fr", "version"), 2, "language 'fr' is not known. Choose zh or en."),
        (("plan", "report", "x", "1", "%", "--as-of", "2025-01-01", "--source", "s"), 2, "has no such target"),
        (("plan", "check", "no-such-pack"), 1, "no plan pack 'no-such-pack'. Known: national-2023"),
        (("plan", "status"), 1, "holds no run yet"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_what_is_said_and_the_exit_code(
    qinglan: Any, home: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    found = qinglan("--home", home, *arguments)
    assert said in found.flat
    assert found.code == code
    assert "Traceback" not in found.flat
    assert found.out == "", "errors go to the error stream"


def test_no_workspace_says_how_to_make_one(qinglan: Any, tmp_path: Path) -> None:
    for command in (("run",), ("loads",), ("qc",), ("serve",), ("plan", "status"), ("ingest", "auto", "x")):
        said = qinglan("--home", tmp_path / "none", *command)
        assert (said.code, "is not a workspace (no qinglan.toml). Run `qinglan init --home" in said.flat) == (
            1,
            True,
        )
    as_json = qinglan("--home", tmp_path / "none", "run", "--json")
    assert (as_json.code, as_json.json["error"]) == (1, "NotFound")
    assert as_json.json["remedy"].startswith("Run `qinglan init")


def test_brackets_of_a_message_are_printed(qinglan: Any, tmp_path: Path) -> None:
    """Paths and texts may hold brackets; a terminal library would take them for colours."""
    said = qinglan("--home", tmp_path / "[bold]2025[/]", "run")
    assert "[bold]2025[/]" in said.err


def test_a_corrupted_file_stays_out_and_the_others_go_in(qinglan: Any, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for n in range(3):
        archive(folder / f"china_sites_{DAY + timedelta(days=n):%Y%m%d}.csv", DAY + timedelta(days=n))
    whole = gzip.compress(archive(tmp_path / "x.csv", DAY + timedelta(days=3)).read_bytes())
    (folder / "china_sites_20250108.csv.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "china_sites_20250109.csv").write_bytes(b"")
    said = qinglan("--home", home, "ingest", "national_hourly", folder)
    assert said.code == 1, "somebody must look at it"
    assert "china_sites_20250108.csv.gz: china_sites_20250108.csv.gz is a broken gzip file" in said.flat
    assert "Fetch it again." in said.flat
    assert "china_sites_20250109.csv is empty" in said.flat
    assert rows(home) == 3 * 24 * 2
    kept = qinglan("--home", home, "rejects", "--json").json
    assert sorted((r["source"], r["code"]) for r in kept) == [
        ("china_sites_20250108.csv.gz", "unreadable"),
        ("china_sites_20250109.csv", "unreadable"),
    ]
    # Fetched again, the load completes, and what was loaded is left alone.
    (folder / "china_sites_20250108.csv.gz").write_bytes(whole)
    (folder / "china_sites_20250109.csv").unlink()
    again = qinglan("--home", home, "ingest", "national_hourly", folder, "--json")
    assert again.code == 0
    totals = balanced(again.json)
    assert (totals["files"], totals["inserted"]) == ({"already_loaded": 3, "done": 1}, 48)


def test_gbk_is_read_like_utf8(qinglan: Any, home: Path, tmp_path: Path) -> None:
    first = qinglan("--home", home, "ingest", "published_hourly", published(tmp_path / "gbk.csv", "gbk"), "--json")
    assert first.code == 0
    assert balanced(first.json)["rejected"] == 0
    assert rows(home) == 23
    again = qinglan(
        "--home", home, "ingest", "published_hourly", published(tmp_path / "u.csv", "utf-16"), "--json"
    )
    assert balanced(again.json)["unchanged"] == again.json["totals"]["read"], "the same rows in another spelling"
    mixed = tmp_path / "mixed.csv"
    mixed.write_bytes(published(tmp_path / "u8.csv").read_bytes() + b"\n\xff\xfe\x80\x81,20250105\n")
    broken = qinglan("--home", home, "ingest", "published_hourly", mixed, "--json")
    balanced(broken.json)
    assert rows(home) == 23
    assert broken.json["totals"]["rejected"] >= 1


def test_milligrams_for_micrograms_are_suspected(qinglan: Any, home: Path, tmp_path: Path) -> None:
    """Everything but CO a thousand times too small: refused item by item, until somebody says that it is so."""
    path = archive(tmp_path / "china_sites_20250105.csv", scale=0.001)
    said = qinglan("--home", home, "ingest", "national_hourly", path)
    assert "wrong_unit_suspected" in said.flat
    kept = qinglan("--home", home, "rejects", "--json").json
    assert {(r["code"], r["field"]) for r in kept} == {
        ("wrong_unit_suspected", i) for i in ("pm2_5", "pm10", "so2", "no2", "o3")
    }
    assert "accept_units=yes" in kept[0]["remedy"]
    stored = open_workspace(home).station_hours("hours", "1480A", DAY)
    assert stored, "the rows live on with what is believed"
    assert {r["pm10"] for r in stored} == {None}
    assert {r["co"] for r in stored} != {None}
    sure = qinglan("--home", home, "ingest", "national_hourly", path, "-o", "accept_units=yes", "--json")
    assert balanced(sure.json)["filled"] == 48
    assert open_workspace(home).station_hours("hours", "1480A", DAY)[0]["pm10"] is not None


def test_a_duplicated_day(qinglan: Any, home: Path, tmp_path: Path) -> None:
    """The same day twice in one file, then the same day with other values: told, and nothing thrown away."""
    path = archive(tmp_path / "china_sites_20250105.csv")
    body = path.read_text(encoding="utf-8-sig")
    path.write_text(body + body.partition("\n")[2], encoding="utf-8")
    first = qinglan("--home", home, "ingest", "national_hourly", path, "--json")
    totals = balanced(first.json)
    assert (rows(home), totals["inserted"]) == (48, 48)
    assert set(totals["by_code"]) == {"duplicate_identical"}
    other = archive(tmp_path / "corrected.csv", plus=3)
    second = balanced(qinglan("--home", home, "ingest", "national_hourly", other, "--json").json)
    assert (second["superseded"], second["inserted"], rows(home)) == (48, 0, 48)
    lake = open_workspace(home).lake
    old = {p.name for p in lake.root.rglob("*") if "superseded" in str(p)}
    assert old, "the values that were replaced are kept"


def test_an_unknown_station_waits_and_is_repaired(qinglan: Any, home: Path, tmp_path: Path) -> None:
    path = archive(tmp_path / "china_sites_20250105.csv", stations=("1480A", "9999X"))
    said = qinglan("--home", home, "ingest", "national_hourly", path, "--json")
    totals = balanced(said.json)
    assert (totals["inserted"], totals["rejected"]) == (24, 24)
    assert totals["by_code"] == {"unknown_station": 1}
    (mark,) = qinglan("--home", home, "rejects", "--json").json
    assert (mark["value"], mark["rows"]) == ("9999X", 24)
    zh = qinglan("--home", home, "rejects").flat
    assert "站点未登记" in zh
    assert "登记该站点或为其添加别名" in zh
    register = tmp_path / "stations.csv"
    register.write_text("station,name,place\n9999X,新站,630100\n", encoding="utf-8")
    entered = qinglan("--home", home, "ingest", "station_register", register)
    assert entered.code == 0, entered.flat
    retried = qinglan("--home", home, "rejects", "--retry", said.json["load_id"], "--json")
    assert retried.json == {"repaired": 1, "still_open": 0, "lost": []}
    assert rows(home) == 48


def test_auto_lets_each_file_tell_its_layout(qinglan: Any, home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    archive(folder / "china_sites_20250105.csv", stations=("1480A", "9999X"))
    published(folder / "platform.csv")
    (folder / "stations.csv").write_text("station,name,place,lon,lat\n9999X,新站,630100,101.7,36.6\n", "utf-8")
    (folder / "notes.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    archive(tmp_path / "z" / "china_sites_20250106.csv", DAY + timedelta(days=1))
    with zipfile.ZipFile(folder / "more.zip", "w") as packed:
        packed.write(tmp_path / "z" / "china_sites_20250106.csv", "china_sites_20250106.csv")
    said = qinglan("--home", home, "ingest", "auto", folder, "--json")
    assert said.code == 1, "one file is of no known layout"
    found = {r["layout"]: r for r in said.json["loads"]}
    assert list(found) == ["station_register", "national_hourly", "published_hourly", "auto"], "the register first"
    for load in found.values():
        balanced(load)
    assert [f["name"] for f in found["national_hourly"]["files"]] == [
        "china_sites_20250105.csv",
        "more.zip!china_sites_20250106.csv",
    ]
    assert found["national_hourly"]["totals"]["rejected"] == 0, "the new station was known in time"
    assert "looks like no known layout" in found["auto"]["files"][0]["message"]
    (mark,) = [r for r in qinglan("--home", home, "rejects", "--json").json if r["code"] == "unreadable"]
    assert mark["source"] == "notes.csv"
    names = [load["layout"] for load in qinglan("--home", home, "loads", "--json").json]
    assert sorted(names) == sorted(found)
    wrong = qinglan("--home", home, "ingest", "auto", folder / "platform.csv", "-o", "mapping=x")
    assert wrong.code == 2
    assert "none of the layouts published_hourly has an option mapping" in wrong.flat


MAPPING = """\
dataset: hours
shape: long
time: {column: 时间}
station: {column: 站点}
items:
  颗粒物: {item: ITEM, unit: µg/m³}
"""


def test_an_edited_mapping_reads_the_file_again(qinglan: Any, home: Path, tmp_path: Path) -> None:
    """docs/how-to/load-your-data.md 2: by --mapping FILE or -o mapping=FILE; its content is part of the recipe."""
    sheet, mapping = tmp_path / "小时值.csv", tmp_path / "xining.yaml"
    lines = [f"2025-01-05 {h:02d}:00,1480A,{40 + h}" for h in range(1, 24)]
    sheet.write_text("\n".join(["时间,站点,颗粒物", *lines]), encoding="utf-8")
    mapping.write_text(MAPPING.replace("ITEM", "pm2_5"), encoding="utf-8")
    first = qinglan("--home", home, "ingest", "table", "--mapping", mapping, sheet, "--json")
    assert balanced(first.json)["inserted"] == 23
    again = qinglan("--home", home, "ingest", "table", "-o", f"mapping={mapping}", sheet, "--json")
    assert [f["status"] for f in again.json["files"]] == ["already_loaded"], "the same said in another way"
    mapping.write_text(MAPPING.replace("ITEM", "pm10"), encoding="utf-8")
    edited = qinglan("--home", home, "ingest", "table", "--mapping", mapping, sheet, "--json")
    assert balanced(edited.json)["filled"] == 23
    stored = open_workspace(home).station_hours("hours", "1480A", DAY)
    assert {r["pm10"] - r["pm2_5"] for r in stored} == {0.0}
    mapping.write_text(MAPPING.replace("ITEM", "pm3").replace("shape", "shap"), encoding="utf-8")
    faulty = qinglan("--home", home, "ingest", "table", "--mapping", mapping, sheet)
    assert faulty.code == 1
    for named in ("shap: unknown key", "items.颗粒物.item: 'pm3' is not a column of hours"):
        assert named in faulty.flat, "every fault of the mapping at once"


def test_everything_the_how_to_names_exists(qinglan: Any) -> None:
    """Commands and options in docs/how-to/load-your-data.md."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "load-your-data.md").read_text("utf-8")
    used = [line[2:].split("#")[0].split() for line in page.splitlines() if line.startswith("$ qinglan ")]
    assert len(used) >= 4
    known = {i["name"] for i in qinglan("layouts", "--json").json} | {"auto"}
    for _, command, *rest in used:
        help_text = qinglan(command, "--help").flat
        if command == "ingest":
            assert rest[0] in known
        for option in (word for word in rest if word.startswith("-")):
            assert option in help_text
