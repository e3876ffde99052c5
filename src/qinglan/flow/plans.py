"""Plan packs for the doors: check them, and read tasks out of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from qinglan.plan.check import check_plan
from qinglan.plan.pack import plan_folder, plan_ids


def check_packs(names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Faults of packs by name or folder; of all shipped packs when none is named."""
    return {name: [asdict(p) for p in check_plan(plan_folder(name))] for name in names or plan_ids()}


def tasks_of_run(
    verdict: Mapping[str, Any], article: int | None, department: str | None, state: str | None
) -> list[dict[str, Any]]:
    """Tasks of a verdict that fit; a department is named by id or by name in either language."""
    names = {code: (code, *title.values()) for code, title in verdict.get("departments", {}).items()}
    found = []
    for each in verdict["articles"]:
        for task in each["tasks"]:
            shares = [*task["lead"], *task["supporting"]]
            fits = department is None or any(department in names.get(code, (code,)) for code in shares)
            if fits and article in (None, each["number"]) and state in (None, task["status"]):
                found.append({**task, "article": each["number"]})
    return found
