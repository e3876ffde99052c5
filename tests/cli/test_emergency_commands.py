"""`qinglan emergency`: the list checked, its lines, completed, accepted. Source: docs/how-to/emergency-list.md."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

small_list = runpy.run_path(str(Path(__file__).parents[1] / "flow" / "small_list.py"))["small_list"]


def test_the_list_is_checked_completed_and_accepted(qinglan: Any, tmp_path: Path) -> None:
    home = small_list(tmp_path / "home").home

    def say(*words: object) -> Any:
        return qinglan("--home", home, "emergency", *words, "--on", "2026-01-05")

    first = say("check", "--json")
    assert first.code == 1, "it falls short"
    assert {r["check"] for r in first.json["findings"]} >= {"reduction", "coverage", "ramp"}
    assert "不足" in say("check").out
    lines = {r["enterprise"]: r for r in say("lines", "--json").json}
    assert lines["试水泥"]["verified_by"] == "在线监测（DA001）、现场检查"
    assert "试玻璃" in say("lines").out
    offer = say("complete", "--json").json
    assert len(offer["needs"]) == 12
    assert "不减排：民生保障类" in say("complete", "--all").flat
    paper = tmp_path / "plant.docx"
    uscc = lines["试水泥"]["uscc"]
    assert say("sheet", uscc, "-o", paper, "--json").json["bytes"] == paper.stat().st_size
    assert say("sheet", uscc, "-o", tmp_path / "plant.odt").code == 2
    done = say("complete", "--accept", "--reason", "年度补足", "--by", "王", "--json").json
    assert (done["digest"], done["accepted"], done["refused"]) == (offer["digest"], len(offer["changes"]), 0)
    assert {r["check"] for r in say("check", "--json").json["findings"]}.isdisjoint({"coverage", "ramp"})
