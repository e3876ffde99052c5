"""Every command speaks to people in two languages and to programs in JSON. Source: docs/reference/cli.md."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from qinglan import __version__
from qinglan.cli.app import app
from qinglan.flow.run import Verdict
from qinglan.flow.workspace import open_workspace
from qinglan.store import decisions

#: A call of every command, what its table says in Chinese and in English, and what its JSON holds.
COMMANDS: dict[str, tuple[tuple[str, ...], str, str, str]] = {
    "version": (("version",), "qinglan", "qinglan", "qinglan"),
    "layouts": (("layouts",), "时标", "hour-label", "national_hourly"),
    "loads": (("loads",), "批次", "superseded", "started_at"),
    "rejects": (("rejects",), "搁置", "set aside", "remedy_zh"),
    "qc": (("qc",), "站点小时", "station-hours", "counts"),
    "dust": (("dust", "list"), "峰值", "peak", "evidence"),
    "aqi": (("aqi", "--pm2_5", "58", "--on", "2025-06-30"), "首要污染物", "primary", "iaqi_pm2_5"),
    "aqi of a place": (("aqi", "--place", "西宁", "--day", "2025-03"), "现行", "in force", "in_force"),
    "assess": (("assess", "2025Q1"), "综合指数", "index", "evaluation"),
    "rank": (("rank", "2025Q1"), "名次", "rank", "ranking"),
    "compare": (("compare", "2025", "who2021"), "", "", "rows"),
    "audit": (("audit",), "", "", "{"),
    "rules": (("rules", "--on", "2026-03-01"), "现行文本", "in-force", "HJ 633-2026"),
    "run": (("run",), "模拟数据", "SIMULATED DATA", "targets"),
    "plan check": (("plan", "check"), "✓", "✓", "qinghai-2024"),
    "review queue": (("review", "queue"), "站点", "station", "counts"),
    "disclosure": (("disclosure", "2025-01"), "按时", "in-time", "limits"),
    "plan status": (("plan", "status"), "任务", "Tasks", "tasks"),
}
#: Commands with a test of their own: below, among the wrong inputs, or in the file of their group.
ELSEWHERE = {
    *("complaints list", "complaints show", "complaints answer", "complaints erase-contact", "open-data"),
    "review sign",
    "review lock",
    "review reopen",
    "init",
    "ingest",
    "overrule",
    "trend",
    "serve",
    "plan report",
    "plan evidence",
    *("backup", "restore", "registry migrate"),
    *(f"report {n}" for n in ["draft", "list", "show", "submit", "approve", "issue", "correct", "move", "export"]),
    *(f"user {n}" for n in ["add", "list", "grant", "lock", "reset-password", "link", "unlink"]),
    *(f"ledger {n}" for n in ["list", "show", "template", "import", "export", "check", "due"]),
    *(
        f"inventory {n}"
        for n in [
            "build",
            "list",
            "totals",
            "gaps",
            "explain",
            "compare",
            "export",
            "field",
            "trace",
            "check",
            "uncertainty",
        ]
    ),
    *(f"source {n}" for n in ["list", "show", "conflicts", "decide", "bind"]),
    *(f"ledger {n}" for n in ["findings", "indicators", "history", "merge", "withdraw"]),
    *(f"forecast {n}" for n in ["train", "run", "show", "verify", "targets"]),
    *(f"warn {n}" for n in ["propose", "evaluate", "list", "show", "draft", "move", "orders", "verify", "notice"]),
    *("audit-log verify", "audit-log show"),
    *(f"emergency {n}" for n in ["check", "complete", "lines", "sheet"]),
    *(f"jobs {name}" for name in ("list", "history", "run", "add", "set", "work")),
}


def commands() -> Iterator[str]:
    """Names of all commands there are."""
    for command in app.registered_commands:
        yield command.name or command.callback.__name__
    for group in app.registered_groups:
        for command in group.typer_instance.registered_commands:
            yield f"{group.name} {command.name or command.callback.__name__}"


def test_no_command_is_left_out() -> None:
    assert set(commands()) == ({c for c in COMMANDS if " of " not in c}) | ELSEWHERE


@pytest.fixture(scope="module", autouse=True)
def _heavy_flows_once() -> Iterator[None]:
    """A flow that was asked the same before answers from memory: three ways to print need one computation."""
    patch = pytest.MonkeyPatch()
    for module, name in (("assess", "assess"), ("assess", "rank"), ("trends", "compare"), ("run", "run")):
        loaded = importlib.import_module(f"qinglan.flow.{module}")
        patch.setattr(loaded, name, _remembering(getattr(loaded, name)))
    yield
    patch.undo()


def _remembering(flow: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[str, Any] = {}

    def asked(workspace: Any, *arguments: Any, **named: Any) -> Any:
        plain = {k: v for k, v in named.items() if k not in ("progress", "now", "review")}
        key = repr((*[a for a in arguments if not callable(a)], plain))
        if key not in known:
            known[key] = flow(workspace, *arguments, **named)
        return known[key]

    return asked


@pytest.mark.parametrize("name", COMMANDS)
def test_tables_in_both_languages_and_json(qinglan: Any, simulated_home: Path, name: str) -> None:
    arguments, zh, en, key = COMMANDS[name]
    for lang, word in (("zh", zh), ("en", en)):
        said = qinglan("--home", simulated_home, "--lang", lang, *arguments)
        assert said.code == 0, said.flat
        assert word in said.out
        assert not said.out.startswith("{")
    # The common options may stand behind the command as well.
    said = qinglan(*arguments, "--json", "--home", simulated_home)
    assert said.code == 0, said.flat
    assert isinstance(said.json, dict | list)
    assert key in said.out


def test_as_of_and_options_reach_the_run(
    qinglan: Any, simulated_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def remember(workspace: Any, **named: Any) -> Any:
        asked.update(named)
        named["progress"]("a line of [progress]")
        return Verdict(simulated_home, {"as_of": "here"})

    monkeypatch.setattr("qinglan.flow.run.run", remember)
    settings = ("--set", "hj663.mda8_window=labels_01_24", "--set", "dust.removal=hour_removal")
    said = qinglan("--home", simulated_home, "run", "--as-of", "2025-02-28", *settings, "--json")
    assert said.json == {"as_of": "here"}
    assert "a line of [progress]" in said.err, "progress goes to the error stream, brackets and all"
    assert asked["as_of"] == date(2025, 2, 28)
    assert asked["options"] == {"hj663": {"mda8_window": "labels_01_24"}, "dust": {"removal": "hour_removal"}}


def test_golden_day_under_both_standards(qinglan: Any) -> None:
    """Fact sheet 2.5: 85 by ozone under 2012, 99 by PM10 under 2026."""
    day = ["--so2", "12", "--no2", "38", "--co", "1.2", "--o3", "142", "--pm10", "118", "--pm2_5", "58"]
    for on, aqi, primary in (("2026-02-28", 85, "mda8"), ("2026-03-01", 99, "pm10")):
        found = qinglan("aqi", *day, "--on", on, "--json").json
        assert (found["aqi"], found["primary_pollutant"]) == (aqi, primary)
    hour = qinglan("aqi", "--hourly", "--so2", "801", "--on", "2026-03-01", "--json").json
    assert hour["iaqi_so2"] == 200
    assert "AQI NA" in qinglan("aqi", "--pm10", "20", "--on", "2026-03-01").out, "an incomplete day of 2026"


def test_init_makes_a_workspace_once(qinglan: Any, tmp_path: Path) -> None:
    made = qinglan("--home", tmp_path / "home", "init", "--json")
    assert made.code == 0
    assert made.json["stations"] == 16
    again = qinglan("--home", tmp_path / "home", "init")
    assert again.code == 0, "the same once more changes nothing"
    other = qinglan("--home", tmp_path / "home", "init", "--place", "630100")
    assert other.code == 2
    assert "already a workspace with other settings (place: '630000', asked '630100')" in other.flat
    assert qinglan("--home", tmp_path / "none", "init", "--stations", "none", "--json").json["stations"] == 0
    assert qinglan("--home", tmp_path / "x", "init", "--plan", "no-such").code != 0
    assert not (tmp_path / "x").exists()


def test_trend_says_what_it_needs(qinglan: Any, simulated_home: Path) -> None:
    said = qinglan("--home", simulated_home, "trend", "西宁", "pm2_5")
    assert said.code in (0, 1), said.flat
    assert "Traceback" not in said.flat


def test_a_value_is_overruled_with_a_reason(qinglan: Any, simulated_home: Path) -> None:
    word = ("overrule", "1480A", "2025-02-03", "14", "pm10", "reject")
    assert qinglan("--home", simulated_home, *word).code == 2, "a reason must be given"
    assert qinglan("--home", simulated_home, *word, "--reason", "换滤膜", "--by", "李").code == 0
    (row,) = [d for d in decisions.flag_decisions(open_workspace(simulated_home).registry) if d["by"] == "李"]
    assert (row["station"], row["item"], row["rule"], row["decision"]) == ("1480A", "pm10", "*", "reject")
    assert row["time"].isoformat() == "2025-02-03T06:00:00+00:00", "label 14 ends at 06:00 UTC"
    for wrong, named in (
        (("1480B", "2025-02-03", "14", "pm10", "reject"), "unknown station '1480B'"),
        (("1480A", "2025-02-03", "25", "pm10", "reject"), "hour label 25 is not in 1..24"),
        (("1480A", "2025-02-03", "14", "pm1", "reject"), "unknown item 'pm1'"),
        (("1480A", "2025-02-03", "14", "pm10", "drop"), "unknown decision on a flag 'drop'"),
        (("1480A", "03.02.2025", "14", "pm10", "reject"), "cannot read date '03.02.2025'"),
    ):
        said = qinglan("--home", simulated_home, "overrule", *wrong, "--reason", "x")
        assert said.code == 2, said.flat
        assert named in said.flat
    said = qinglan("--home", simulated_home, *word, "--reason", "x", "--rule", "spke")
    assert "unknown quality rule 'spke'" in said.flat


def test_dust_is_reviewed_by_a_person(qinglan: Any, simulated_home: Path) -> None:
    events = qinglan("--home", simulated_home, "dust", "list", "--status", "proposed", "--json").json
    assert events
    one = events[0]["id"]
    silent = qinglan("--home", simulated_home, "dust", "confirm", one)
    assert (silent.code, "reason" in silent.flat) == (2, True), "no decision without a reason"
    assert qinglan("--home", simulated_home, "dust", "confirm", one, "--reason", "卫星", "--by", "李").code == 0
    found = qinglan("--home", simulated_home, "dust", "list", "--status", "confirmed", "--json").json
    assert [(e["id"], e["reviewer"], e["reason"]) for e in found] == [(one, "李", "卫星")]
    assert qinglan("--home", simulated_home, "dust", "confirm", "nothing", "--reason", "x").code == 1
    assert qinglan("--home", simulated_home, "dust", "banish").code == 2


def test_values_and_evidence_are_filed(qinglan: Any, simulated_home: Path, tmp_path: Path) -> None:
    told = ("plan", "report", "rail-freight-2025", "4100", "万吨", "--as-of", "2025-03-31", "--source", "月报")
    said = qinglan("--home", simulated_home, *told)
    assert said.code == 2
    assert "needs the value of 2020" in said.flat
    assert qinglan("--home", simulated_home, *told, "--baseline", "4000").code == 0
    (row,) = decisions.reported_values(open_workspace(simulated_home).registry)
    assert (row["value"], row["baseline_value"], row["source"]) == (4100.0, 4000.0, "月报")
    document = tmp_path / "目标.pdf"
    document.write_bytes(b"%PDF")
    filed = qinglan(
        *("--home", simulated_home, "plan", "evidence", "a25-set-goals", "0", document, "--on", "2025-03-01"),
        *("--source", "省厅", "--cycle", "2025", "--json"),
    )
    assert filed.code == 0, filed.flat
    assert filed.json["reference"].startswith("目标.pdf sha256:"), "the document's hash is kept, not the document"
    wrong = qinglan(
        "--home", simulated_home, "plan", "evidence", "a25-none", "0", "x", "--on", "2025-03-01", "--source", "y"
    )
    assert wrong.code == 2
    assert "no such task" in wrong.flat
    status = qinglan("--home", simulated_home, "plan", "status", "--article", "25", "--json").json
    assert {t["article"] for t in status["tasks"]} == {25}


def test_as_a_program_of_the_shell(simulated_home: Path) -> None:
    """The installed entry point, in a process of its own, with the workspace named by the environment."""
    environment = {**os.environ, "QINGLAN_HOME": str(simulated_home), "QINGLAN_LANG": "en", "COLUMNS": "200"}
    call = [sys.executable, "-c", "from qinglan.cli import main; main()"]

    def program(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*call, *arguments], env=environment, capture_output=True, text=True, encoding="utf-8", check=False
        )

    done = program("version", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"qinglan": __version__})
    wrong = program("ingest", "nosuch", "x.csv")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("× unknown layout 'nosuch'. Known: city_daily")
    assert "Traceback" not in wrong.stderr
