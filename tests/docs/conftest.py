"""The documents as the tests read them: what git tracks, or what lies there where git is absent."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[Path]:
    """Files of the repository, tracked or about to be; without git, those of the usual places."""
    try:
        said = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        names = said.stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        kept = (ROOT / name for name in ("docs", "src", "tests", "requirements"))
        names = [str(p.relative_to(ROOT)) for folder in kept for p in folder.rglob("*") if p.is_file()]
        names += [p.name for p in ROOT.iterdir() if p.is_file()]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


@pytest.fixture(scope="session")
def files() -> list[Path]:
    return tracked()


@pytest.fixture(scope="session")
def documents(files: list[Path]) -> dict[str, str]:
    """Every Markdown document of the repository by its path, but not those inside the package."""
    paths = [p for p in files if p.suffix == ".md" and (p.parent == ROOT or ROOT / "docs" in p.parents)]
    return {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in paths}
