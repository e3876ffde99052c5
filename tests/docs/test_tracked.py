"""What is tracked holds no address of a package registry and no path of one machine (rules of the house)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REGISTRY = re.compile(
    r"https?://[^\s\"')>]*(?:pypi|/simple\b|artifactory|nexus|devpi|mirrors?\.)|--(?:extra-)?index-url[= ]\S|"
    r"\bindex-url\s*=|registry\s*=\s*https?:",
    re.IGNORECASE,
)
MACHINE = re.compile(r"(?<![\w.$}~])/(?:work|root|home/\w+|Users/\w+|tmp/\w+)/[\w.]+")
TEXT = {
    ".py",
    ".md",
    ".yaml",
    ".yml",
    ".toml",
    ".txt",
    ".html",
    ".css",
    ".csv",
    ".json",
    ".cfg",
    ".ini",
    ".sh",
    "",
}


def faults(text: str) -> list[str]:
    return [m.group(0) for pattern in (REGISTRY, MACHINE) for m in pattern.finditer(text)]


def test_no_registry_and_no_machine_in_tracked_files(files: list[Path]) -> None:
    assert len(files) > 100
    found = []
    for path in files:
        if path.suffix in TEXT and path != Path(__file__):
            text = path.read_text(encoding="utf-8", errors="ignore")
            found += [f"{path.name}: {fault}" for fault in faults(text)]
    assert not found


@pytest.mark.parametrize(
    "text",
    ["--index-url https://a.example/simple", "https://files.pypi.example/x", "cd /root/copy", "/home/me/data.csv"],
)
def test_the_search_finds_them(text: str) -> None:
    assert faults(text)


def test_the_lock_pins_every_package_by_hash(files: list[Path]) -> None:
    for path in (p for p in files if p.parent.name == "requirements"):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        pins = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        assert pins
        assert not [line.split()[0] for line in pins if "==" not in line or "--hash=sha256:" not in line]
