"""A bulletin's life in the shell: drafted, approved by another, issued, exported, corrected, withdrawn."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def home(simulated_home: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(simulated_home, tmp_path / "home"))


def test_a_bulletin_from_draft_to_correction(qinglan: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    """(c) What is issued is exported byte for byte, and the drafter never approves."""

    def report(*words: object) -> Any:
        return qinglan("--home", home, "report", *words)

    made = report("draft", "monthly", "2025-02", "--by", "甲", "--json")
    assert made.code == 0, made.flat
    name = "monthly-630000-2025-02"
    assert name in report("list").out
    assert report("submit", name, "--by", "甲").code == 0
    own = report("approve", name, "--by", "甲")
    assert own.code != 0
    assert "甲" in own.flat
    assert report("approve", name, "--by", "乙").code == 0
    assert report("issue", name, "--by", "乙").code == 0
    assert "甲" in report("show", name).flat
    files = []
    for turn in ("one", "two"):
        out = tmp_path / f"{turn}.pdf"
        assert report("export", name, out).code == 0
        files.append(out.read_bytes())
    assert files[0] == files[1]
    assert files[0].startswith(b"%PDF")
    bare = report("correct", name, "--by", "甲", "--reason", "")
    assert bare.code != 0
    assert report("correct", name, "--by", "甲", "--reason", "数据修复").code == 0
    assert report("move", name, "redraft", "--by", "甲").code == 0
    assert report("show", name, "--json").code == 0
    wrong = report("draft", "monthly", "2031-02", "--by", "甲")
    assert wrong.code != 0
    assert "2031-02" in wrong.flat
