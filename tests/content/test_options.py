"""A choice that a result prints must be a choice that some code makes: every option is asked for by name."""

from __future__ import annotations

import ast
from datetime import date
from pathlib import Path

import pytest

import qinglan
from qinglan.plan.rules import Suite, document, families, rules_on

SOURCE = Path(qinglan.__file__).parent


def asked() -> dict[str, set[str]]:
    """Names given literally to ``.option(...)`` in the package, with the modules that ask."""
    found: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "option"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                found.setdefault(str(node.args[0].value), set()).add(path.relative_to(SOURCE).as_posix())
    return found


@pytest.mark.parametrize("family", families())
def test_every_option_is_asked_for(family: str) -> None:
    """Provenance prints every option of a book as in force, so none may be idle."""
    idle = set(document(family).options) - set(asked())
    assert not idle, f"{family}: printed in every result, yet no code asks for it"


def test_every_name_asked_for_is_an_option() -> None:
    known = {name for family in families() for name in document(family).options}
    assert not {name: who for name, who in asked().items() if name not in known}


def test_option_names_of_the_air_are_unique() -> None:
    """Otherwise one book's question would hide another book's idle option from the test above."""
    names = [name for family in Suite().families().values() for name in document(family).options]
    assert len(names) == len(set(names))
    assert len(names) == sum(len(use.options) for use in rules_on(date(2025, 12, 31)).uses())
