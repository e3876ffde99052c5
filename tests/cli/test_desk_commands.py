"""`qinglan forecast desk`: a day of the desk on the command line, its refusals, and its jobs."""

from __future__ import annotations

import runpy
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qinglan.flow import operations
from qinglan.flow.workspace import Workspace, open_workspace
from qinglan.store.registry import events

made = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "flow" / "desk_home.py")))
BULLETIN = "F630000-20260310"
D1 = (made.TODAY + timedelta(days=1)).isoformat()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    space: Workspace = made.office(tmp_path / "home")
    made.air(space, {("630100", made.TODAY + timedelta(days=1)): (118, "pm2_5")})
    return space.home


def say(qinglan: Any, home: Path, *words: str, lang: str = "en") -> Any:
    said = qinglan("--home", home, "--lang", lang, "forecast", *words)
    assert said.code == 0, said.flat
    return said


def test_a_day_of_the_desk(qinglan: Any, home: Path, tmp_path: Path) -> None:
    at = ("--at", "2026-03-10T16:30")
    assert BULLETIN in say(qinglan, home, "desk", "open", *at, "--by", "wang").out
    edit = (
        "desk",
        "edit",
        BULLETIN,
        "西宁",
        D1,
        "105-135",
        "--primary",
        "pm2_5",
        "--reason",
        "静稳",
        "--by",
        "wang",
        *at,
    )
    assert "edited" in say(qinglan, home, *edit).out
    assert "nothing changed" in say(qinglan, home, *edit).out
    say(qinglan, home, "desk", "move", BULLETIN, "consult", *at, "--by", "wang")
    say(qinglan, home, "desk", "move", BULLETIN, "agree", "--office", "630100", *at, "--by", "ma")
    say(qinglan, home, "desk", "move", BULLETIN, "submit", *at, "--by", "wang")
    own = qinglan(
        "--home", home, "--lang", "en", "forecast", "desk", "move", BULLETIN, "approve", *at, "--by", "wang"
    )
    assert own.code != 0
    assert "may not approve it" in own.flat
    say(qinglan, home, "desk", "move", BULLETIN, "approve", *at, "--by", "chen")
    say(qinglan, home, "desk", "move", BULLETIN, "issue", "--at", "2026-03-10T20:30", "--by", "wang")
    shown = say(qinglan, home, "desk", "show", BULLETIN)
    assert "LATE by 30 min" in shown.out
    assert "105–135" in shown.out
    assert "80–110" in shown.out
    assert "已发布" in say(qinglan, home, "desk", "list", lang="zh").out
    assert "105–135" in say(qinglan, home, "desk", "said", "--at", "2026-03-11T08:00").out
    say(qinglan, home, "desk", "document", BULLETIN, "-o", str(tmp_path / "x.txt"), lang="zh")
    assert "AQI 105–135" in (tmp_path / "x.txt").read_text("utf-8")
    assert "1 issued bulletins" in say(qinglan, home, "verify", "--office").out
    told = qinglan("--home", home, "forecast", "verify", "--office", "--json").json
    assert [r["mae"] for r in told["scores"]] == [2.0, 23.0], "118 came: 120 of the office, 95 of the machine"
    assert told["edits"] == [{"lead_day": 1, "edited": 1, "better": 1, "worse": 0}]


def test_wrong_words_are_answered(qinglan: Any, home: Path) -> None:
    for words, answer in (
        (("show", "F1"), "no forecast bulletin 'F1'"),
        (("open", "Nowhere"), "Nowhere"),
        (("open", "--at", "2027-01-01"), "says nothing of 630000"),
        (("edit", BULLETIN, "西宁", D1, "wide"), "is no range of AQI"),
        (("edit", BULLETIN, "西宁", "soon", "1-2"), "YYYY-MM-DD"),
        (("document", BULLETIN, "-o", "x.txt"), "no forecast bulletin"),
    ):
        said = qinglan("--home", home, "--lang", "en", "forecast", "desk", *words)
        assert said.code != 0
        assert answer in said.flat


def test_the_jobs_open_the_desk_and_watch_its_hour(home: Path) -> None:
    """HJ 633-2026 5: by 20:00. What is late is written down once."""
    workspace = open_workspace(home)
    open_it, watch = operations.actions()["desk.open"], operations.actions()["desk.watch"]
    assert watch(workspace, {}, made.at(19, 59)) == {"late": []}
    assert watch(workspace, {}, made.at(20, 5)) == {"late": [BULLETIN]}, "nobody even opened it"
    assert open_it(workspace, {}, made.at(20, 10)) == {"bulletin": BULLETIN}
    assert watch(workspace, {}, made.at(20, 15)) == {"late": [BULLETIN]}
    assert [e["subject"] for e in events(workspace.registry, what="desk.late")] == [BULLETIN]
