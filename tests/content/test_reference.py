"""The generated reference pages are in step with data and code; that of the rule books shows all of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from qinglan.plan.rules import document, families

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_reference", DOCS / "generate_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_in_step_with_what_they_describe(generator: ModuleType) -> None:
    for name, make in generator.pages().items():
        written = (generator.FOLDER / name).read_text(encoding="utf-8")
        assert written == make(), f"{name}: run python docs/generate_reference.py"
    assert generator.main(["--check"]) == 0


def test_check_sees_a_changed_page(generator: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "FOLDER", tmp_path / "reference")
    assert generator.main(["--check"]) == 1
    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0
    page = generator.FOLDER / "standards.md"
    page.write_text(page.read_text(encoding="utf-8") + "x", encoding="utf-8")
    assert generator.main(["--check"]) == 1


def test_every_key_option_and_edition_is_documented(generator: ModuleType) -> None:
    text = generator.standards_page()
    for family in families():
        book = document(family)
        section = text.split(f"## `{family}` ", 1)[1].split("\n## ", 1)[0]
        for key in book.parameters:
            assert f"`{key}`" in section or key == "levels", key
        for name, option in book.options.items():
            assert f"`{name}`" in section
            assert f"**`{option.default}`** (default)" in section
        for edition in book.editions:
            assert edition.label in section
