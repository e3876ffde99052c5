"""The code that the documents show runs, and gives what they say."""

from __future__ import annotations

import ast
import importlib
import re
from typing import Any

PAGE = "docs/how-to/use-as-a-library.md"


def blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def values(block: str, space: dict[str, Any]) -> list[Any]:
    """Run a block in a namespace; the values of its bare expressions."""
    found = []
    for node in ast.parse(block).body:
        if isinstance(node, ast.Expr):
            found.append(eval(compile(ast.Expression(node.value), PAGE, "eval"), space))
        else:
            exec(compile(ast.Module([node], []), PAGE, "exec"), space)
    return found


def test_the_notebook_page_runs_and_gives_what_its_comments_say(documents: dict[str, str]) -> None:
    """HJ 633: PM10 131 is 91 by the table of 2012 and 105 by that of 2026 (150 and 120 stand at 100)."""
    index, rules, year, workspace = blocks(documents[PAGE])
    space: dict[str, Any] = {}
    new, old = values(index, space)
    assert (old["aqi"].item(), old["edition"].item()) == (91, "HJ 633-2012")
    assert new["edition"].item() == "HJ 633-2026"
    assert new["iaqi_pm10"].item() == 105
    limit, source = values(rules, space)
    assert limit == 35
    assert source
    (indexed,) = values(year, space)
    assert indexed.height == 1
    assert ast.parse(workspace)


def test_everything_that_is_imported_in_a_document_exists(documents: dict[str, str]) -> None:
    wanted = []
    for name, text in documents.items():
        for block in blocks(text):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qinglan"):
                    wanted += [(name, node.module, alias.name) for alias in node.names]
    assert len(wanted) > 5
    lost = []
    for name, module, thing in wanted:
        found = importlib.import_module(str(module))
        if not hasattr(found, thing):
            try:
                importlib.import_module(f"{module}.{thing}")
            except ModuleNotFoundError:
                lost.append(f"{name}: {module}.{thing}")
    assert not lost


def test_names_with_dots_in_prose_exist(documents: dict[str, str]) -> None:
    """`qinglan.room.thing` in a text is a module, or something in one."""
    lost = []
    for name, text in documents.items():
        for dotted in set(re.findall(r"`(qinglan(?:\.\w+)+)`", text)) - {"qinglan.toml"}:
            parts = dotted.split(".")
            for cut in range(len(parts), 0, -1):
                try:
                    found: Any = importlib.import_module(".".join(parts[:cut]))
                except ModuleNotFoundError:
                    continue
                for part in parts[cut:]:
                    found = getattr(found, part, None)
                if found is None:
                    lost.append(f"{name}: {dotted}")
                break
    assert not lost
