"""Nothing that a user can meet is undocumented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from qinglan.air import qc
from qinglan.connect.table.mapping import KEYS
from qinglan.core.batch import REJECT_CODES
from qinglan.core.tables import DATASETS
from qinglan.flow.sources import layouts
from qinglan.flow.workspace import Settings
from qinglan.plan.judge import STATUSES as TARGET_STATUSES
from qinglan.plan.pack import load_plan, plan_ids
from qinglan.plan.rules import document, families
from qinglan.plan.tasks import STATUSES as TASK_STATUSES
from qinglan.web.routes import ROUTERS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_layout_with_its_options() -> None:
    text = page("reference/layouts.md")
    for name, layout in layouts().items():
        section = text.split(f"## `{name}`", 1)[1].split("\n## ", 1)[0]
        assert not [o for o in layout.LAYOUT.options if f"`{o}`" not in section], name


def test_every_reject_code() -> None:
    text = page("reference/reject-codes.md")
    assert not [c for c in REJECT_CODES.values() if f"`{c.code}`" not in text or c.remedy_zh not in text]


def test_every_page_of_the_console() -> None:
    text = page("reference/console.md")
    shown = [r.path for router in ROUTERS for r in router.routes if getattr(r, "include_in_schema", True)]  # type: ignore[attr-defined]
    assert len(shown) > 10
    assert not [path for path in shown if f"| `{path}` |" not in text]


def test_every_option_of_every_rule_book() -> None:
    text = page("reference/options.md")
    for family in families():
        for name, option in document(family).options.items():
            row = next(line for line in text.splitlines() if line.startswith(f"| `{family}.{name}` |"))
            assert not [c for c in option.choices if f"`{c}`" not in row]
            assert f"**`{option.default}`**" in row


def test_every_rule_of_quality_control() -> None:
    text = page("reference/quality-control.md")
    assert not [rule for rule in qc.ALL_RULES if f"| `{rule}` |" not in text]


def test_every_table_and_column() -> None:
    text = page("reference/tables.md")
    for name, dataset in DATASETS.items():
        section = text.split(f"## `{name}` ", 1)[1].split("\n## ", 1)[0]
        assert not [c for c in dataset.names if f"| `{c}` |" not in section], name


@pytest.mark.parametrize("plan", plan_ids())
def test_every_target_and_task_of_every_plan(plan: str) -> None:
    text, pack = page(f"reference/plan-{plan}.md"), load_plan(plan)
    assert not [t.id for t in (*pack.targets, *pack.tasks) if f"| `{t.id}` |" not in text]
    assert not [a.number for a in pack.articles if f"### {a.number}. " not in text]


def test_every_status_is_explained() -> None:
    verdict, tasks = page("tutorial/03-read-a-verdict.md"), page("how-to/report-and-prove.md")
    assert not [s for s in TARGET_STATUSES if f"| `{s}` |" not in verdict]
    assert not [s for s in TASK_STATUSES if f"| `{s}` |" not in tasks]


def test_every_dependency_has_its_reason() -> None:
    import tomllib

    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"].values()
    wanted = [*project["project"]["dependencies"], *(d for group in groups for d in group)]
    wanted += [d for extra in project["project"]["optional-dependencies"].values() for d in extra]
    names = {re.split(r"[\[<>=; ]", d)[0].lower() for d in wanted}
    text = page("design/0003-dependencies.md").lower()
    spelled = {"mkdocs-material": "material", "jinja2": "jinja"}
    assert not [n for n in names if spelled.get(n, n) not in text]


def test_every_key_of_a_mapping_and_every_setting_is_known_somewhere() -> None:
    text = page("how-to/load-your-data.md")
    mapping = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0])
    assert not set(mapping) - set(KEYS[""])
    settings = page("tutorial/02-load-real-data.md")
    assert not [name for name in Settings.__dataclass_fields__ if f"`{name}`" not in settings]
