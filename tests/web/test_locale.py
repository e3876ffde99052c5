"""Both catalogues are complete, every string is used, and no word hides in a template or a module."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.pofile import read_po

import qinglan.web
from qinglan.core.errors import UnknownName
from qinglan.flow.views.verdict import GROUPS
from qinglan.plan.rules import load_book
from qinglan.web.text import LANGUAGES, Text

WEB = Path(qinglan.web.__file__).parent
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
MODULES = sorted(WEB.rglob("*.py"))


def _read(language: str) -> dict[str, str]:
    """Every message of a language; a key in two files, a fuzzy or obsolete one, and a stray line are faults."""
    found: dict[str, str] = {}
    for path in sorted((WEB / "locale" / language).glob("*.po")):
        catalogue = read_po(path.open("rb"), locale=language, abort_invalid=True)
        assert not catalogue.obsolete, path
        for message in catalogue:
            if message.id:
                assert message.id not in found, (path, message.id)
                assert not message.fuzzy, (path, message.id)
                found[message.id] = message.string
    return found


CATALOGUES = {language: _read(language) for language in LANGUAGES}

#: Families whose last part comes from data, in the three ways they are asked for:
#: `t.word("status", x)`, `t('level.' ~ n)` and `words(f"column.{c}")`.
FAMILY = re.compile(
    r"""\.word\(\s*['"]([a-z_]+)['"]|\(\s*\(?['"]([a-z_]+(?:\.[a-z_]+)*)\.['"]\s*~|f['"]([a-z_]+)\.\{"""
)
LITERAL = re.compile(
    r"""(?:\bt|words|self)\(\s*['"]([a-z_]+(?:\.[a-z_0-9]+)*)['"](?:\s*[,)]|\s+if\b)|else\s+'([a-z_]+\.[a-z_.]+)'"""
)
CJK = re.compile(r"[\u3400-\u9fff]")


def sources() -> str:
    """All templates and modules of the console."""
    return "\n".join(path.read_text("utf-8") for path in (*TEMPLATES, *MODULES))


def test_the_catalogues_have_the_same_keys_and_fields() -> None:
    assert list(CATALOGUES["zh"]) == list(CATALOGUES["en"])
    for key, text in CATALOGUES["zh"].items():
        fields = [sorted({f for _, f, _, _ in Formatter().parse(c[key]) if f}) for c in CATALOGUES.values()]
        if not key.startswith("period."):
            assert fields[0] == fields[1], key
        assert text, key


def test_every_string_asked_for_is_there_and_none_is_idle() -> None:
    text = sources()
    asked = {name for found in LITERAL.findall(text) for name in found if name}
    families = {name for found in FAMILY.findall(text) for name in found if name}
    assert len(asked) > 150
    assert sorted(asked - set(CATALOGUES["zh"])) == []
    assert sorted(f for f in families if not any(k.startswith(f"{f}.") for k in CATALOGUES["zh"])) == []
    idle = [k for k in CATALOGUES["zh"] if k not in asked and k.rpartition(".")[0] not in families]
    idle = [k for k in idle if not any(k.startswith(f"{f}.") for f in families)]
    assert idle == []


def test_every_group_of_targets_has_its_heading() -> None:
    """The public page asks for the word of each group that has targets, judged by ledgers too."""
    assert {f"public.group.{name}" for name in GROUPS} <= set(CATALOGUES["zh"])


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda p: p.name)
def test_templates_hold_no_words(path: Path) -> None:
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", path.read_text("utf-8"), flags=re.S)
    assert not CJK.search(text)
    # File kinds are names in every language.
    shown = re.sub(r"<code>qinglan run</code>|<dd>qinglan\s|>(?:CSV|XLSX)<", "><", text)
    shown = re.sub(r"<!doctype html>|<[^>]*>", " ", shown)
    assert re.findall(r"[A-Za-z]{2,}", shown) == []
    said = re.findall(r'(?:aria-label|title|alt|placeholder)="([^"]*[A-Za-z]{2,}[^"]*)"', text)
    assert said == []


def test_modules_hold_no_chinese() -> None:
    doctest_free = [re.sub(r'"""(.|\n)*?"""', "", p.read_text("utf-8")) for p in MODULES]
    assert [p.name for p, text in zip(MODULES, doctest_free, strict=True) if CJK.search(text)] == []


def test_an_unknown_string_is_an_error() -> None:
    with pytest.raises(UnknownName):
        Text("zh")("no.such.key")


def test_levels_are_those_of_the_standard() -> None:
    """HJ 633-2026 annex A: six levels, their names and colours, as the rule book holds them."""
    from datetime import date

    css = (WEB / "static" / "qinglan.css").read_text("utf-8")
    for level in load_book("hj633", date(2026, 3, 1)).get("levels").value:
        n = level["level"]
        assert level["zh"].startswith(CATALOGUES["zh"][f"level.{n}"]), level
        colour = " ".join(str(part) for part in level["rgb"])
        assert f".lv{n} {{ --lv: rgb({colour});" in css
