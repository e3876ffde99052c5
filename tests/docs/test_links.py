"""Links of the documents lead somewhere, and the site asks nothing of other hosts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")


def anchors(text: str) -> set[str]:
    """Anchors of a page: headings as Python-Markdown names them, and named places."""
    toc = pytest.importorskip("markdown.extensions.toc", reason="MkDocs is not installed")
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    plain = (re.sub(r"[`*]", "", head) for head in heads)
    return {toc.slugify(head, "-") for head in plain} | set(re.findall(r'<a id="([^"]+)">', text))


def test_every_relative_link_leads_to_a_file_and_a_heading(documents: dict[str, str]) -> None:
    broken = []
    for name, text in documents.items():
        for target in LINK.findall(FENCE.sub("", text)):
            path, _, anchor = target.partition("#")
            if re.match(r"[a-z]+:", path):
                continue
            file = (ROOT / name).parent / path if path else ROOT / name
            if not file.is_file():
                broken.append(f"{name}: {target}: no such file")
            elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text(encoding="utf-8")):
                broken.append(f"{name}: {target}: no such heading")
    assert not broken


def test_the_two_readmes_link_to_each_other_and_say_the_same_things(documents: dict[str, str]) -> None:
    zh, en = documents["README.md"], documents["README.en.md"]
    assert "(README.en.md)" in zh
    assert "(README.md)" in en
    for pattern in (r"^## ", r"^\| ", r"^\$ ", r"\]\((docs/[^)]+)\)"):
        found_zh, found_en = (re.findall(pattern, text, re.MULTILINE) for text in (zh, en))
        assert len(found_zh) == len(found_en), pattern
    assert sorted(re.findall(r"`([a-z0-9]+\.[a-z0-9_]+)`", zh)) == sorted(
        re.findall(r"`([a-z0-9]+\.[a-z0-9_]+)`", en)
    )


def test_every_page_is_in_the_navigation_and_nothing_is_fetched_from_elsewhere(documents: dict[str, str]) -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))

    def pages(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        below = entry.values() if isinstance(entry, dict) else entry
        return [page for one in below for page in pages(one)]  # type: ignore[attr-defined]

    listed = pages(site["nav"])
    assert sorted(f"docs/{page}" for page in listed) == sorted(n for n in documents if n.startswith("docs/"))
    assert site["strict"] is True
    assert site["theme"]["font"] is False
    assert not [key for key in ("extra_css", "extra_javascript") if key in site]


def test_documents_show_no_picture_from_elsewhere(documents: dict[str, str]) -> None:
    assert not [
        n for n, text in documents.items() if re.search(r"!\[[^\]]*\]\(https?:|<img|<script", CODE.sub("", text))
    ]
