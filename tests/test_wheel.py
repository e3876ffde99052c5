"""The built wheel, installed elsewhere, works without the repository: content, migrations, templates are in it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the unpacked wheel and nothing of the source tree."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, cwd=folder)
    (wheel,) = folder.glob("qinglan-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)
    return folder


def python(folder: Path, code: str) -> str:
    """Run code with the wheel's package first on the path, outside the repository."""
    env = {**os.environ, "PYTHONPATH": str(folder / "site")}
    found = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_the_package_is_the_wheels_own(elsewhere):
    assert str(elsewhere / "site") in python(elsewhere, "import qinglan; print(qinglan.__file__)")


def test_rules_plans_and_places_are_in_the_wheel(elsewhere):
    code = """
from datetime import date
from qinglan.plan.check import check_plan
from qinglan.plan.pack import load_plan, plan_folder, plan_ids
from qinglan.plan.places import load_stations
from qinglan.plan.rules import rules_on
assert not [p for i in plan_ids() for p in check_plan(plan_folder(i))]
print(rules_on(date(2026, 3, 1)).limits.number("limit.pm2_5.year.class2"), len(load_plan("qinghai-2024").articles))
assert load_stations("qinghai")
"""
    assert python(elsewhere, code).split() == ["30", "38"]


def test_a_small_province_is_simulated_judged_and_shown(elsewhere):
    code = """
from datetime import UTC, date, datetime
from pathlib import Path
from starlette.testclient import TestClient
from qinglan.flow.run import run
from qinglan.flow.simulate import simulate_into
from qinglan.flow.workspace import Settings, init
from qinglan.plan.places import load_stations
from qinglan.web import create_app
workspace = init(Path("home"), Settings(simulated=True))
simulate_into(workspace, date(2025, 11, 1), date(2025, 12, 31), stations=load_stations("qinghai")[:4])
verdict = run(workspace, now=datetime(2026, 1, 5, tzinfo=UTC))
page = TestClient(create_app(Path("home")), base_url="http://localhost").get("/")
print(len(verdict.content["targets"]), page.status_code)
"""
    assert python(elsewhere, code).split()[-1] == "200"
