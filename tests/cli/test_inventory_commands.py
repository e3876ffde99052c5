"""`qinglan inventory`: a year frozen, totalled, explained, compared, written. Source: docs/how-to/inventory.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from qinglan.flow.workspace import init
from qinglan.ledger.declare import load_ledger

BOILERS = load_ledger("boilers")


def boiler(n: int, **cells: Any) -> dict[str, Any]:
    return {**BOILERS.good[0], "boiler_no": f"QH630105-{n:04}", "name": f"{n}号锅炉", **cells}


def book(path: Path, *rows: dict[str, Any]) -> Path:
    def text(value: Any) -> str | None:
        return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    table = {c.name: [text(r.get(c.name)) for r in rows] for c in BOILERS.columns}
    pl.DataFrame(table, schema=dict.fromkeys(table, pl.String)).write_csv(path)
    return path


@pytest.fixture
def say(qinglan: Any, tmp_path: Path) -> Any:
    home = init(tmp_path / "home").home

    def call(*words: object) -> Any:
        return qinglan("--home", home, "--json", *words)

    assert call("ledger", "import", "boilers", book(tmp_path / "a.csv", boiler(1), boiler(2))).code == 0
    return call


def test_a_year_is_frozen_totalled_explained_and_compared(say: Any, tmp_path: Path) -> None:
    year = BOILERS.good[0]["year"]
    first = say("inventory", "build", year, "--reason", "年度", "--by", "王").json
    assert (first["id"], first["existing"], first["rows"]["activities"]) == (f"{year}-01", False, 2)
    assert say("inventory", "build", year, "--reason", "又一次").json["existing"]
    sums = say("inventory", "totals", "--by", "sector", "--species", "so2,nox").json
    assert sum(row["so2"] for row in sums) == pytest.approx(first["totals"]["so2"], rel=1e-12)
    told = say("inventory", "explain", "boilers", "QH630105-0001", "so2").json
    assert told["steps"][-1]["input"] == "result"
    assert told["emission"]["emission_t"] == pytest.approx(first["totals"]["so2"] / 2, rel=1e-12)
    changed = book(tmp_path / "b.csv", boiler(1, fuel_use=2 * BOILERS.good[0]["fuel_use"]), boiler(2))
    assert say("ledger", "import", "boilers", changed).code == 0
    assert say("inventory", "build", year, "--reason", "更正1号").json["id"] == f"{year}-02"
    found = say("inventory", "compare", f"{year}-01", f"{year}-02").json
    assert {row["source_id"] for row in found["rows"]} == {"QH630105-0001"}
    assert [v["reason"] for v in say("inventory", "list").json] == ["更正1号", "年度"]
    assert all(row["rows"] > 0 for row in say("inventory", "gaps").json)


def test_files_are_written_once_and_hold_every_tonne(say: Any, tmp_path: Path) -> None:
    year = BOILERS.good[0]["year"]
    total = say("inventory", "build", year, "--reason", "年度").json["totals"]["nox"]
    for name in ("all.csv", "all.parquet"):
        assert say("inventory", "export", tmp_path / name).code == 0
    for read in (pl.read_csv(tmp_path / "all.csv"), pl.read_parquet(tmp_path / "all.parquet")):
        assert read.filter(species="nox")["emission_t"].sum() == pytest.approx(total, rel=1e-12)
    assert say("inventory", "export", tmp_path / "guide.xlsx").code == 0
    assert openpyxl.load_workbook(tmp_path / "guide.xlsx").sheetnames
    again = say("inventory", "export", tmp_path / "all.csv")
    assert (again.code, "already" in again.json["message"]) == (2, True)
    assert say("inventory", "export", tmp_path / "all.doc").code == 2


def test_wrong_words_are_told(say: Any, qinglan: Any, tmp_path: Path) -> None:
    empty = init(tmp_path / "empty").home
    assert "qinglan inventory build" in qinglan("--home", empty, "inventory", "totals").err
    assert "qinglan ledger import" in qinglan("--home", empty, "inventory", "build", 2025, "--reason", "a").err
    assert say("inventory", "build", 1999, "--reason", "年度").code != 0
    assert say("inventory", "build", BOILERS.good[0]["year"], "--reason", " ").code == 2
    say("inventory", "build", BOILERS.good[0]["year"], "--reason", "年度")
    assert "prefecture" in say("inventory", "totals", "--by", "colour").json["remedy"]
    assert say("inventory", "explain", "boilers", "nobody", "so2").code != 0


@pytest.mark.parametrize(("language", "word"), [("zh", "项排放"), ("en", "emissions")])
def test_people_read_it_in_their_language(qinglan: Any, tmp_path: Path, language: str, word: str) -> None:
    home = init(tmp_path / "home").home
    qinglan("--home", home, "ledger", "import", "boilers", book(tmp_path / "a.csv", boiler(1)))
    year = BOILERS.good[0]["year"]
    assert word in qinglan("--home", home, "--lang", language, "inventory", "build", year, "--reason", "年度").out
    assert "so2" in qinglan("--home", home, "--lang", language, "inventory", "totals", "--by", "species").out
    said = qinglan(
        "--home", home, "--lang", language, "inventory", "explain", "boilers", "QH630105-0001", "so2"
    ).out
    assert "T/CSES 144-2024" in said


def test_cells_are_listed_and_an_hour_is_traced_to_rows(say: Any) -> None:
    year = BOILERS.good[0]["year"]
    made = say("inventory", "build", year, "--reason", "年度").json
    cells = say("inventory", "field", "nox", "--step", 36, "--limit", 0).json
    assert sum(cell["tonnes"] for cell in cells) == pytest.approx(made["totals"]["nox"], rel=1e-9)
    at = (cells[0]["lon"], cells[0]["lat"], f"{year}-01-15", 8)
    told = say("inventory", "trace", *at, "nox", "--step", 36).json
    assert {row["row_key"] for row in told["rows"]} == {"QH630105-0001", "QH630105-0002"}
    assert told["tonnes"] == pytest.approx(sum(row["tonnes"] for row in told["rows"]))
    assert say("inventory", "field", "radon").code != 0


def test_an_inventory_is_held_against_a_file_and_refused_what_there_is_not(say: Any, tmp_path: Path) -> None:
    """Two boilers alike: a table says two and a half times their NOx; whether that stands out is the band."""
    year = BOILERS.good[0]["year"]
    nox = say("inventory", "build", year, "--reason", "年度").json["totals"]["nox"]
    table = tmp_path / "theirs.csv"
    table.write_text(f"species,sector,year,tonnes\nnox,total,{year},{2.5 * nox}\n", encoding="utf-8")
    found = say("inventory", "check", "--top-down", table, "--kind", "top_down").json
    assert [f["species"] for f in found["findings"]] == ["nox"]
    assert found["top_down"]["rows"][0]["ratio"] == pytest.approx(0.4)
    spread = say("inventory", "uncertainty").json
    assert next(r for r in spread if r["species"] == "nox")["emission_t"] == pytest.approx(nox)
    parts = say("inventory", "uncertainty", "--species", "nox", "--limit", 0).json
    assert sum(r["share"] for r in parts) == pytest.approx(1)
    assert say("inventory", "uncertainty", "--species", "o3").code != 0
    lacking = {c["kind"]: [why["en"] for why in c["lacking"]] for c in found["checks"]}
    assert len(lacking) == 11
    assert lacking["cems"] == ["no emission was taken from CEMS"]
    wide = say("inventory", "check", "--top-down", table, "--band", "factor_three", "--version", f"{year}-01").json
    assert wide["version"] == f"{year}-01"
    assert not [f for f in wide["findings"] if f["kind"] == "top_down"]
    for wrong in (
        ["--kind", "x"],
        ["--band", "x"],
        ["--year", "1999"],
        ["--year", year, "--version", f"{year}-01"],
    ):
        assert say("inventory", "check", *wrong).code != 0, wrong
