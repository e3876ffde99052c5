"""`qinglan ledger`. Source: docs/how-to/ledgers.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qinglan.flow.workspace import init
from qinglan.ledger.declare import load_ledger
from qinglan.ledger.workbook import read_workbook

BOILERS = load_ledger("boilers")
DAY = ("--on", "2026-01-05")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return init(tmp_path / "home").home


def book(path: Path, *rows: dict[str, Any]) -> Path:
    """A CSV with Chinese headings."""

    def text(value: Any) -> str | None:
        return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    table = {c.words["zh"]: [text(r.get(c.name)) for r in rows] for c in BOILERS.columns}
    pl.DataFrame(table, schema=dict.fromkeys(table, pl.String)).write_csv(path)
    return path


def boiler(n: int, **cells: Any) -> dict[str, Any]:
    return {**BOILERS.good[0], "boiler_no": f"QH630105-{n:04}", "name": f"{n}号锅炉", **cells}


def test_a_workbook_goes_in_is_mended_and_comes_out_again(qinglan: Any, home: Path, tmp_path: Path) -> None:
    def say(*words: object) -> Any:
        return qinglan("--home", home, "--json", "ledger", *words)

    assert say("template", "boilers", tmp_path / "t.xlsx").code == 0
    assert read_workbook(BOILERS, (tmp_path / "t.xlsx").read_bytes()).height == 0
    file = book(tmp_path / "a.csv", boiler(1), boiler(2, capacity="很大"))
    looked = say("import", "boilers", file, "--dry-run", *DAY)
    assert (looked.json["added"], looked.json["aside"], looked.json["dry"]) == (1, 1, True)
    assert say("list", *DAY).json[0]["rows"] == 0
    marked = tmp_path / "marked.xlsx"
    done = say("import", "boilers", file, "--marked", marked, "--by", "王", *DAY)
    assert (done.json["added"], done.json["faults"][0]["zh"]) == (1, "“很大”不是数")
    assert marked.read_bytes()[:2] == b"PK"
    fixed = book(tmp_path / "b.csv", boiler(1), boiler(2, capacity=6))
    mended = say("import", "boilers", fixed, "--repairs", done.json["change"], *DAY)
    assert (mended.json["added"], mended.json["same"], mended.json["repaired"]) == (1, 1, 1)
    assert say("export", "boilers", tmp_path / "out.xlsx", "--search", "2号").json["rows"] == 1
    assert read_workbook(BOILERS, (tmp_path / "out.xlsx").read_bytes())["boiler_no"].to_list() == ["QH630105-0002"]
    assert say("check", "boilers", *DAY).json["counts"]["aside"] == 0


def test_rows_are_shown_with_what_is_due_and_found(qinglan: Any, home: Path, tmp_path: Path) -> None:
    file = book(tmp_path / "a.csv", boiler(1), boiler(2, capacity=6))
    qinglan("--home", home, "ledger", "import", "boilers", file, *DAY)
    for lang, words in (("zh", ("锅炉", "已淘汰", "10蒸吨/小时")), ("en", ("Boilers", "retired", "10 t/h"))):
        said = [qinglan("--home", home, "--lang", lang, "ledger", *w) for w in (
            ("list", *DAY), ("show", "boilers"), ("show", "boilers", "QH630105-0001"), ("due", *DAY),
            ("findings", "--warnings", *DAY), ("indicators", "--ledger", "boilers", *DAY),
            ("history", "boilers", "QH630105-0001"), ("check", "boilers", *DAY),
        )]  # fmt: skip
        assert [s.code for s in said] == [0] * len(said)
        text = " ".join(s.flat for s in said)
        assert words[0] in text
        assert words[2] in text

    def say(*words: object) -> Any:
        return qinglan("--home", home, "--json", "ledger", *words).json

    assert say("show", "boilers")["identity"] == ["boiler_no"]
    assert say("show", "boilers", "QH630105-0001")["data"]["capacity"] == 40
    assert [r["_key"] for r in say("due", "--days", 0, *DAY)["rows"]] == ["QH630105-0002"]
    assert say("due", "--place", "632800", *DAY)["total"] == 0
    assert {r["check"] for r in say("findings", "--article", 11, *DAY)["rows"]} == {"small_coal_outlasted"}
    numbers = {r["id"]: r["value"] for r in say("indicators", *DAY)}
    assert numbers["small_coal_boilers_left"] == 1


def test_rows_are_merged_and_withdrawn_with_a_reason(qinglan: Any, home: Path, tmp_path: Path) -> None:
    def say(*words: object) -> Any:
        return qinglan("--home", home, "--json", "ledger", *words)

    say("import", "boilers", book(tmp_path / "a.csv", boiler(1), boiler(2), boiler(3)), *DAY)
    keys = [f"QH630105-000{n}" for n in (1, 2, 3)]
    assert say("merge", "boilers", keys[0], keys[1], "--reason", "同一台", "--take", "name").code == 0
    assert say("show", "boilers", keys[0]).json["data"]["name"] == "2号锅炉"
    assert say("show", "boilers", keys[1]).json["standing"] == "merged"
    assert say("withdraw", "boilers", keys[2], "--reason", "误报", "--by", "李").json == {"withdrawn": 1}
    assert say("history", "boilers", keys[2]).json[0]["by"] == "李"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("show", "nosuch"), 2, "unknown ledger 'nosuch'"),
        (("show", "boilers", "QH630105-0001"), 1, "boilers has no row 'QH630105-0001'"),
        (("history", "boilers", "x"), 1, "boilers has no row 'x'"),
        (("import", "boilers", "no-such.xlsx"), 1, "no-such.xlsx is not a file"),
        (("due", "--on", "2026-13-01"), 2, "cannot read date '2026-13-01'. Write YYYY-MM-DD."),
        (("withdraw", "boilers", "x", "--reason", " "), 1, "has no row"),
        (("withdraw", "boilers", "x"), 2, "--reason"),
        (("export", "nosuch", "out.xlsx"), 2, "unknown ledger 'nosuch'"),
    ],
)
def test_wrong_words_are_told(
    qinglan: Any, home: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.chdir(home.parent)
    found = qinglan("--home", home, "ledger", *words)
    assert (found.code, said in found.flat) == (code, True), found.flat


def test_wrong_files_are_told_and_nothing_is_overwritten(qinglan: Any, home: Path, tmp_path: Path) -> None:
    def say(*words: object) -> Any:
        return qinglan("--home", home, "ledger", *words)

    (tmp_path / "a.xlsx").write_bytes(b"no workbook")
    assert say("import", "boilers", tmp_path / "a.xlsx").code in (1, 2)
    (tmp_path / "b.csv").write_text("甲,乙\n1,2\n")
    assert say("import", "boilers", tmp_path / "b.csv").code in (1, 2)
    assert "is there already" in say("template", "boilers", tmp_path / "a.xlsx").flat
    good = book(tmp_path / "c.csv", boiler(1))
    assert "reason" in say("import", "boilers", good, "--whole").flat
    assert qinglan("--home", home, "--json", "ledger", "list").json[0]["rows"] == 0
