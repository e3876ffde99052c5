"""`qinglan forecast` in both languages and JSON, on a quarter of three stations."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from qinglan.core.clock import CST
from qinglan.flow import forecasts, operations
from qinglan.flow.forecasts import keeping
from qinglan.flow.workspace import open_workspace
from qinglan.store import registry

CALLS: dict[str, tuple[tuple[str, ...], str, str, str]] = {
    "train": (("train", "--at", "2025-03-11"), "模型", "models", "check_from"),
    "run": (("run", "--at", "2025-03-11"), "预报", "Forecast", "cut_off"),
    "show": (("show", "--place", "西宁"), "首要污染物", "primary", "lead_day"),
    "show an item": (("show", "--item", "pm2_5"), "均值", "mean", "lead_day"),
    "verify": (("verify",), "技巧", "Skill", "range_hit"),
    "run of hours": (("run", "--hours", "--at", "2025-03-11"), "逐时预报", "Hourly forecast", "last_hour"),
    "a station": (("show", "--station", "1480A"), "时刻", "time", "lead_hour"),
    "verify hours": (("verify", "--hours"), "逐时预报检验", "Hourly forecasts", "skill_persistence"),
    "train hours": (("train", "--hours", "--at", "2025-03-11"), "小时", "lead/h", "check_from"),
}


@pytest.fixture(scope="module")
def _made(simulated_home: Path) -> Iterator[None]:
    """One forecast for all calls, of small models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeping, "ROWS", 600)
        patch.setattr(keeping, "ROUNDS", 6)
        forecasts.run(open_workspace(simulated_home), datetime(2025, 3, 11, 16, tzinfo=CST))
        yield


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.usefixtures("_made")
def test_tables_in_both_languages_and_json(qinglan: Any, simulated_home: Path, name: str) -> None:
    arguments, zh, en, key = CALLS[name]
    for lang, word in (("zh", zh), ("en", en)):
        said = qinglan("--home", simulated_home, "--lang", lang, "forecast", *arguments)
        assert said.code == 0, said.flat
        assert word in said.out
    said = qinglan("--home", simulated_home, "forecast", *arguments, "--json")
    assert said.code == 0, said.flat
    assert key in said.out
    assert said.json


@pytest.mark.usefixtures("_made")
def test_wrong_words_are_answered_with_what_to_write(qinglan: Any, simulated_home: Path) -> None:
    for words, answer in (
        (("run", "--at", "11.3."), "Write YYYY-MM-DD"),
        (("run", "--at", "2025-03-11", "--until", "2025-03-01"), "is before"),
        (("show", "--item", "pm1"), "unknown item 'pm1'"),
        (("show", "--station", "nowhere"), "nowhere"),
        (("verify", "--place", "Nowhere"), "Nowhere"),
        (("verify", "--by", "moon"), "moon"),
    ):
        said = qinglan("--home", simulated_home, "--lang", "en", "forecast", *words)
        assert said.code != 0
        assert answer in said.flat


@pytest.mark.usefixtures("_made")
def test_the_job_of_the_afternoon_makes_one_and_the_audit_log_knows_it(simulated_home: Path) -> None:
    workspace = open_workspace(simulated_home)
    made = operations.actions()["forecast.run"](workspace, {}, datetime(2025, 3, 12, 16, tzinfo=CST))
    newest = forecasts.newest(workspace)
    assert made["forecast"] == newest.id
    assert newest.about["cut_off"] == "2025-03-11"
    assert not newest.about["hindcast"]
    told = [e["subject"] for e in registry.events(workspace.registry, what="forecast.made")]
    assert told.count(newest.id) == 1
    again = operations.actions()["forecast.run"](workspace, {}, datetime(2025, 3, 12, 16, tzinfo=CST))
    assert again["forecast"] == newest.id
    assert [e["subject"] for e in registry.events(workspace.registry, what="forecast.made")] == told


@pytest.mark.usefixtures("_made")
def test_targets_say_what_they_need(qinglan: Any, simulated_home: Path) -> None:
    """A quarter has no two past years to stand on; the joined numbers: tests/flow/test_forecast_targets."""
    for lang, words in (("zh", "没有可接的"), ("en", "two past years")):
        said = qinglan("--home", simulated_home, "--lang", lang, "forecast", "targets")
        assert said.code == 0, said.flat
        assert words in said.flat
    assert qinglan("--home", simulated_home, "forecast", "targets", "--json").json == {}
