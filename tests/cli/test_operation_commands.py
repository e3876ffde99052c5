"""Backup, restore, jobs and migrations from the shell. Source: docs/how-to/back-up.md, docs/how-to/deploy.md."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qinglan.flow.workspace import open_workspace


@pytest.fixture
def home(qinglan: Callable[..., Any], tmp_path: Path) -> Path:
    assert qinglan("--home", tmp_path / "home", "init").code == 0
    return tmp_path / "home"


def test_backup_and_restore(qinglan: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved.tar"
    said = qinglan("--home", home, "backup", saved)
    assert (said.code, "口令散列" in said.flat) == (0, True)
    again = qinglan("--home", home, "backup", saved)
    assert (again.code, "already there" in again.flat) == (2, True)
    made = qinglan("--home", tmp_path / "new", "restore", saved, "--registry", "sqlite", "--json").json
    assert made["rows"]["stations"] > 0
    assert open_workspace(tmp_path / "new").settings == open_workspace(home).settings
    assert qinglan("--home", tmp_path / "new", "restore", saved).code == 2


def test_jobs_are_entered_changed_done_and_listed(qinglan: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    said = qinglan("--home", home, "jobs", "set", "backup", "--argument", f"folder={folder}", "--on", "--json")
    backup = next(job for job in said.json if job["name"] == "backup")
    assert (backup["enabled"], backup["arguments"]) == (True, {"folder": str(folder)})
    added = qinglan("--home", home, "jobs", "add", "weekly", "backup", "0 8 * * mon", "--argument", "keep=2")
    assert (added.code, "weekly" in added.out) == (0, True)
    assert qinglan("--home", home, "jobs", "run", "backup").code == 0
    assert len(list(folder.iterdir())) == 1
    failed = qinglan("--home", home, "jobs", "run", "weekly", "--by", "李")
    assert (failed.code, "absolute folder" in failed.flat) == (1, True)
    rows = qinglan("--home", home, "jobs", "history", "--json").json
    assert [(r["job"], r["outcome"]) for r in rows] == [("weekly", "failed"), ("backup", "done")]
    listed = qinglan("--home", home, "jobs", "list", "--lang", "en").out
    assert "Daily backup" in listed
    assert "failed" in listed
    for wrong in (
        ("add", "x", "none", "0 8 * * *"),
        ("add", "x", "run", "0 8 * * 1"),
        ("set", "backup"),
        ("run", "y"),
    ):
        assert qinglan("--home", home, "jobs", *wrong).code == 2


def test_going_back_a_revision_asks_first(qinglan: Callable[..., Any], home: Path) -> None:
    asked = qinglan("--home", home, "registry", "migrate", "0002")
    assert (asked.code, "--yes" in asked.flat) == (2, True)
    newest = qinglan("--home", home, "registry", "migrate", "0002", "--yes", "--json").json
    assert newest["after"] == "0002"
    assert qinglan("--home", home, "registry", "migrate", "--json").json == {
        "before": "0002",
        "after": newest["before"],
    }


def test_work_and_serve_need_a_workspace(qinglan: Callable[..., Any], tmp_path: Path) -> None:
    for words in (("jobs", "work"), ("serve",)):
        said = qinglan("--home", tmp_path / "none", *words)
        assert (said.code, "is not a workspace" in said.flat) == (1, True)
