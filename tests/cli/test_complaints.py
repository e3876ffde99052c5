"""`qinglan complaints` and `qinglan open-data`. Source: docs/how-to/the-public-page.md."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qinglan.flow import complaints
from qinglan.flow.workspace import init

NOW = datetime(2026, 4, 12, 16, 20, tzinfo=UTC)
FORM = {"category": "smoke", "place": "630100", "spot": "长江路1号", "text": "冒黑烟", "contact": "13900000000"}


def test_reports_are_listed_shown_and_moved_on(qinglan: Any, tmp_path: Path) -> None:
    home = tmp_path / "home"
    number = complaints.submit(init(home), FORM, None, once="a", language="zh", now=NOW).number
    for lang, title in (("zh", "西宁市"), ("en", "Xining")):
        assert title in qinglan("--home", home, "--lang", lang, "complaints", "list").flat
    shown = qinglan("--home", home, "complaints", "show", number)
    assert "冒黑烟" in shown.out
    move = ("complaints", "answer", number, "assigned")
    assert qinglan("--home", home, *move).code == 2, "who takes it must be given"
    assert qinglan("--home", home, *move, "--handler", "执法队", "--by", "王").code == 0
    found = qinglan("--home", home, "--json", "complaints", "list", "--place", "630100")
    assert found.json["counts"] == {"assigned": 1}
    assert [r["handler"] for r in found.json["reports"]] == ["执法队"]
    assert qinglan("--home", home, "--json", "complaints", "list", "--place", "630200").json["reports"] == []
    for private in ("13900000000", "code_hash", "once"):
        assert private not in found.out + shown.out
    assert qinglan("--home", home, "complaints", "show", "20260413-0001-0").code == 2
    erase = ("complaints", "erase-contact", number, "--by", "王")
    assert qinglan("--home", home, *erase).code == 2, "an open report still needs its contact"
    for step in (("answered", "--text", "已停工"), ("closed",)):
        assert qinglan("--home", home, "complaints", "answer", number, *step, "--by", "王").code == 0
    assert qinglan("--home", home, "--json", *erase).json["erased"] is True
    assert qinglan("--home", home, "--json", *erase).json["erased"] is False


def test_open_data_are_written(qinglan: Any, simulated_home: Path, tmp_path: Path) -> None:
    """Every column that a real run writes has its meaning, or it is one of those known to stay inside."""
    said = qinglan("--home", simulated_home, "open-data", tmp_path / "open", "--json")
    assert said.code == 0
    assert "datapackage.json" in said.json["files"]
    assert {p.name for p in (tmp_path / "open").iterdir()} == set(said.json["files"])
    assert qinglan("--home", simulated_home, "open-data", tmp_path / "open").code == 2
