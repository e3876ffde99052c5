"""`qinglan warn`: a warning led from the command line. Source: docs/how-to/warn.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qinglan.flow.workspace import Settings, init


def test_a_warning_is_led_from_the_command_line(qinglan: Any, tmp_path: Path) -> None:
    home = init(tmp_path / "home", Settings(simulated=True)).home

    def say(*words: object) -> Any:
        return qinglan("--home", home, "warn", *words)

    asked = say("propose", "--at", "2025-12-01T16:00", "--json")
    assert asked.code == 0, "nothing is due where nothing is known"
    assert {t["act"] for t in asked.json} == {"none"}
    made = say("draft", "630100", "yellow", "--reason", "连续两天", "--by", "甲", "--json").json["warning"]
    assert say("move", made, "submit", "--by", "甲").code == 0
    refused = say("move", made, "approve", "--by", "甲")
    assert refused.code != 0
    assert "may not approve" in refused.flat
    for name, who in (("approve", "乙"), ("issue", "甲")):
        assert say("move", made, name, "--by", who).code == 0
    assert say("list", "--json").json[0]["state"] == "in_force"
    assert "预警中" in say("show", made).out
    assert ">150/48h" in say("show", made).out
    assert say("orders", made, "--json").json["orders"] == []
    file = tmp_path / "notice.docx"
    assert say("notice", made, "-o", file, "--json").json["bytes"] == file.stat().st_size
    assert "no cut is given" in say("verify", 1, "L-1").flat
    assert "no order 1" in say("verify", 1, "L-1", "--normal", 100, "--used", 40).flat
    assert "no order 1" in say("verify", 1, "L-1", "--used", 40).flat


def test_a_series_is_held_against_the_levels(qinglan: Any, tmp_path: Path) -> None:
    home = init(tmp_path / "home", Settings(simulated=True)).home
    file = tmp_path / "series.csv"
    file.write_text("start,hours,aqi\n" + "".join(f"2025-12-0{d} 00:00,24,180\n" for d in (2, 3, 4)), "utf-8")
    found = qinglan("--home", home, "warn", "evaluate", "630100", file, "--json").json
    assert (found["act"], found["level"]) == ("issue", "orange")
    assert "橙色" in qinglan("--home", home, "warn", "evaluate", "630100", file).out
    file.write_text("start,aqi\n2025-12-02 00:00,x\n", "utf-8")
    assert "line 2: aqi is 'x'" in qinglan("--home", home, "warn", "evaluate", "630100", file).flat
