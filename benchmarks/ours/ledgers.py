"""Ledgers as an office uses them: a workbook in, the same once more, all rows out."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from qinglan.access import Grant, Principal
from qinglan.flow import ledgers
from qinglan.flow.workspace import Workspace, init, open_workspace

LEDGER = "nonroad-machines"
OFFICE = Principal("sheng", "省厅", (Grant("province", "630000"),), via="session")


def take(file: str, home: str) -> dict[str, Any]:
    """Into a workspace of its own."""
    shutil.rmtree(home, ignore_errors=True)
    return _import(init(home), file)


def again(file: str, home: str) -> dict[str, Any]:
    """The same workbook into the workspace that holds it already."""
    return _import(open_workspace(home), file)


def _import(space: Workspace, file: str) -> dict[str, Any]:
    report = ledgers.import_workbook(
        space, LEDGER, Path(file), name="machines.xlsx", me=OFFICE, today=date(2026, 3, 1),
        now=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip
    return {**report.counts, "sum": ledgers.frame(space, LEDGER).rows["power"].sum()}


def give(file: str, home: str, out: str) -> dict[str, Any]:
    """All live rows as a workbook that can be imported again. file : what they came from"""
    space = open_workspace(home)
    rows = ledgers.frame(space, LEDGER).rows
    Path(out).write_bytes(ledgers.export(space, LEDGER, rows, me=OFFICE))
    return {"rows": rows.height, "from": file}
