"""Contract 0002 says what the code promises: keys of the verdict, tables of a run, rule-book keys."""

from __future__ import annotations

import json
import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from qinglan.core.tables import DATASETS, STATIONS
from qinglan.flow import run
from qinglan.plan.judge import STATUSES, judge_targets
from qinglan.plan.pack import load_plan
from qinglan.plan.rules import Suite, document
from qinglan.plan.tasks import STATUSES as TASK_STATUSES
from qinglan.plan.tasks import articles_verdict, task_states

PAGE = Path(__file__).resolve().parents[2] / "docs" / "design" / "0002-contracts.md"
AS_OF = date(2025, 6, 30)


@cache
def text() -> str:
    return PAGE.read_text(encoding="utf-8")


@cache
def written() -> dict[str, Any]:
    """The verdict as the contract shows it."""
    found: dict[str, Any] = json.loads(re.findall(r"```json\n(.*?)```", text(), re.DOTALL)[0])
    return found


def test_keys_of_a_target() -> None:
    judged = judge_targets(load_plan("qinghai-2024"), {}, [], AS_OF)
    assert set(written()["targets"][0]) == {*judged[0], "series"}  # the flow adds the series


def test_keys_of_articles_tasks_and_evidence() -> None:
    plan = load_plan("qinghai-2024")
    made = articles_verdict(plan, task_states(plan, {}, [], AS_OF))
    shown = written()["articles"][0]
    assert set(shown) == set(made[3])
    task = made[3]["tasks"][0]
    assert set(shown["tasks"][0]) == set(task)
    assert set(shown["tasks"][0]["evidence"][0]) == set(task["evidence"][0])


def test_statuses() -> None:
    for names in (STATUSES, TASK_STATUSES):
        assert not [s for s in names if f"`{s}`" not in text()]


def test_tables_of_the_lake_and_of_a_run() -> None:
    lake, results = text().split("## 2. ")[0], text().split("## 2. ")[1].split("## 3. ")[0]
    assert not [name for name in DATASETS if not re.search(rf"^\| `{name}` ", lake, re.MULTILINE)]
    for name, dataset in DATASETS.items():
        row = next(line for line in lake.splitlines() if line.startswith(f"| `{name}` "))
        assert all(key in row for key in dataset.key), name
    assert not [c.name for c in STATIONS if c.name not in lake]
    for name, key in run.WRITTEN.items():
        row = next(line for line in results.splitlines() if line.startswith(f"| `{name}` "))
        assert not [k for k in key if k not in row and k != "rank"], name


@pytest.mark.parametrize("family", [*Suite().families().values(), "qc"])
def test_every_kind_of_rule_book_key(family: str) -> None:
    section = text().split("## 3. ")[1].split("## 4. ")[0]
    own = section.split(f"- `{family}`:")[1].split("\n- ")[0]
    kinds = {key.split(".")[0] for key in document(family).parameters}
    assert not [kind for kind in kinds if not re.search(rf"`{kind}[.`]", own)]
