"""What the documents tell people to type exists, with the options they give it."""

from __future__ import annotations

import importlib.util
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from qinglan.cli.app import app
from qinglan.plan.rules import Suite, document

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:qinglan|make) [^`\n]+)`")


def lines(text: str) -> list[str]:
    """Command lines of a document: prompts in console blocks (continued lines joined) and inline code."""
    shown = "\n".join(CONSOLE.findall(text)).replace("\\\n", " ")
    typed = [part for line in shown.splitlines() if line.startswith("$ ") for part in line[2:].split(" && ")]
    return typed + INLINE.findall(text)


def told(documents: dict[str, str], program: str) -> list[tuple[str, list[str]]]:
    found = []
    for name, text in documents.items():
        for line in lines(text):
            words = shlex.split(re.sub(r"\s#\s.*$|\s>\s.*$", "", line.strip()))
            if words and words[0] == program:
                found.append((f"{name}: {line.strip()}", words[1:]))
    return found


@cache
def whole() -> Any:
    """The commands as one tree: building it anew for every line would take most of a minute."""
    return typer.main.get_command(app)


def fault(words: list[str]) -> str:
    """What is wrong with the words after ``qinglan``; empty when nothing is."""
    root = whole()
    common = {o: p for p in root.params for o in (*p.opts, *p.secondary_opts)}
    command, at, waiting = root, "qinglan", False
    for word in words:
        known = common | {o: p for p in command.params for o in (*p.opts, *p.secondary_opts)}
        if waiting:
            waiting = False
        elif word.startswith("--") or (word.startswith("-") and word[1:].isalpha() and len(word) == 2):
            option = word.partition("=")[0]
            if option not in known and option != "--help":
                return f"{at} has no option {option}"
            waiting = option in known and not known[option].is_flag and "=" not in word.partition("=")[1]
        elif getattr(command, "commands", None) is not None:
            if word not in command.commands and word != "COMMAND":
                return f"{at} has no command {word}"
            if word == "COMMAND":
                return ""
            command, at = command.commands[word], f"{at} {word}"
    return ""


def test_every_command_line_exists(documents: dict[str, str]) -> None:
    typed = told(documents, "qinglan")
    assert len(typed) > 80
    assert not [f"{where}: {wrong}" for where, words in typed if (wrong := fault(words))]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [("runn", "no command runn"), ("rank 2025 --topp 3", "no option --topp"), ("plan state", "no command state")],
)
def test_a_wrong_command_line_is_seen(line: str, wrong: str) -> None:
    assert wrong in fault(shlex.split(line))


def test_every_make_target_exists(documents: dict[str, str]) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {(where, word) for where, words in told(documents, "make") for word in words[:1]}
    assert {"run", "test"} <= {word for _, word in asked}
    assert not [where for where, word in asked if word not in targets]


def test_every_option_that_is_set_is_an_option(documents: dict[str, str]) -> None:
    known = {
        f"{family}.{name}={choice}"
        for family in Suite().families().values()
        for name, option in document(family).options.items()
        for choice in option.choices
    }
    told_to_set = {m for text in documents.values() for m in re.findall(r"--set ([a-z0-9_.]+=[a-z0-9_]+)", text)}
    assert told_to_set
    assert not told_to_set - known


@pytest.mark.parametrize("name", ["README.md", "README.en.md"])
def test_options_named_in_the_readme_exist(documents: dict[str, str], name: str) -> None:
    families = "|".join(Suite().families().values())
    named = re.findall(rf"`({families})\.([a-z0-9_]+)`", documents[name])
    assert len(named) > 5
    assert not [(f, o) for f, o in named if o not in document(f).options]


@pytest.fixture(scope="module")
def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_reference", ROOT / "docs" / "generate_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_is_shown_in_use(documents: dict[str, str], generator: Any) -> None:
    """A reference alone teaches nobody: each command stands in a tutorial, how-to or README as well."""
    reading = {n: t for n, t in documents.items() if not n.startswith(("docs/reference/", "docs/design/"))}
    shown = [" ".join(w for w in words if not w.startswith("-")) for _, words in told(reading, "qinglan")]
    leaves = [n.removeprefix("qinglan ") for n, c in generator.commands() if not getattr(c, "commands", None)]
    everyday = [n for n in leaves if n != "version"]
    assert not [n for n in everyday if not any(re.search(rf"(^|\s){n}(\s|$)", one) for one in shown)]
