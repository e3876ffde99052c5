"""A workspace is backed up, and stands again on an empty folder. Source: 0008-operations, §2."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from qinglan.core.errors import StoreError, UsageError
from qinglan.flow import views
from qinglan.flow.backup import backup, restore
from qinglan.flow.run import run
from qinglan.flow.simulate import simulate_into
from qinglan.flow.workspace import Settings, Workspace, init, open_workspace, read_settings
from qinglan.plan.places import load_stations
from qinglan.store.files import Files
from qinglan.store.registry import events, verify_events
from qinglan.web import create_app

NOW = datetime(2025, 3, 1, 2, tzinfo=UTC)
FIRST, LAST = date(2025, 1, 1), date(2025, 2, 10)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with six weeks of hours of six stations, a run, and a filed document."""
    made = init(tmp_path_factory.mktemp("backup") / "home", Settings(simulated=True))
    simulate_into(made, FIRST, LAST, stations=load_stations("qinghai")[:6])
    run(made, now=NOW)
    Files(made.home).put("照片".encode())
    return made


@pytest.fixture(scope="module")
def saved(judged: Workspace) -> Path:
    target = judged.home.parent / "saved" / "one.tar"
    done = backup(judged, target, now=NOW)
    assert done["rows"]["events"] == len(events(judged.registry))
    assert done["bytes"] == target.stat().st_size
    return target


def content(home: Path) -> dict[str, bytes]:
    """All files of a home but the databases, which are compared by what they say."""
    skipped = re.compile(r"(registry|catalogue)\.sqlite|/\.|^\.")
    names = {p.relative_to(home).as_posix(): p for p in home.rglob("*") if p.is_file()}
    return {name: p.read_bytes() for name, p in names.items() if not skipped.search(name)}


def page(home: Path, path: str) -> str:
    client = TestClient(create_app(home, clock=lambda: NOW), base_url="http://127.0.0.1")
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.text


def test_the_restored_home_says_the_same(judged: Workspace, saved: Path, tmp_path: Path) -> None:
    done = restore(saved, tmp_path / "new" / "home")
    assert done["made_at"] == NOW.isoformat()
    again = open_workspace(tmp_path / "new" / "home")
    assert content(again.home) == content(judged.home)
    assert again.settings == judged.settings
    assert again.lake.verify() == []
    for name in ("hours", "checked", "weather", "flags"):
        assert again.lake.fingerprint(name) == judged.lake.fingerprint(name)
        assert again.lake.rows(name) == judged.lake.rows(name)
    assert events(again.registry) == events(judged.registry)
    assert verify_events(again.registry).head == verify_events(judged.registry).head
    assert page(again.home, "/plan") == page(judged.home, "/plan")
    assert list((tmp_path / "new").iterdir()) == [again.home]
    assert run(again, now=NOW).content["targets"] == views.current(judged).verdict["targets"]


def test_a_restored_home_goes_on(saved: Path, tmp_path: Path) -> None:
    again = open_workspace(restore(saved, tmp_path / "home")["home"])
    row = {"station": "1480A", "time": NOW, "day": date(2025, 3, 1), "hour": 10, "pm10": 50.0}
    assert again.lake.upsert("hours", pa.Table.from_pylist([row]), "l9").inserted == 1
    with again.lake.writing():  # sweeping finds every live file at its place
        pass
    assert again.lake.verify() == []


@pytest.fixture
def database(postgres: Any) -> str:
    return postgres.url(postgres.database())


def test_from_sqlite_to_postgresql_and_back(saved: Path, judged: Workspace, database: str, tmp_path: Path) -> None:
    restore(saved, tmp_path / "home", registry=database)
    moved = open_workspace(tmp_path / "home")
    assert moved.settings.registry == database
    assert not (moved.home / "registry.sqlite").exists()
    assert events(moved.registry) == events(judged.registry)
    with pytest.raises(StoreError, match="is not empty"):
        restore(saved, tmp_path / "second", registry=database)
    assert not (tmp_path / "second").exists()
    backup(moved, tmp_path / "two.tar", now=NOW)
    moved.registry.close()
    back = restore(tmp_path / "two.tar", tmp_path / "back", registry="")
    assert events(open_workspace(back["home"]).registry) == events(judged.registry)


def test_the_environment_names_the_registry(
    saved: Path, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QINGLAN_REGISTRY", database)
    restore(saved, tmp_path / "home")
    assert open_workspace(tmp_path / "home").registry.engine.dialect.name == "postgresql"


def test_settings_hold_no_password(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds a password.*PGPASSWORD") as refused:
        init(tmp_path / "home", Settings(registry="postgresql://q:geheim@db/q"))
    assert "geheim" not in str(refused.value)
    made = init(tmp_path / "other")
    file = made.home / "qinglan.toml"
    file.write_text(file.read_text().replace('registry = ""', 'registry = "postgresql://q:geheim@db/q"'))
    with pytest.raises(UsageError, match="holds a password"):
        read_settings(file)


def test_without_results_the_run_can_be_made_again(judged: Workspace, tmp_path: Path) -> None:
    backup(judged, tmp_path / "small.tar", now=NOW, results=False)
    again = open_workspace(restore(tmp_path / "small.tar", tmp_path / "home")["home"])
    assert list(again.results.iterdir()) == []
    assert run(again, now=NOW).content["targets"]


def test_nothing_is_overwritten(judged: Workspace, saved: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    with pytest.raises(UsageError, match="is not empty"):
        restore(saved, tmp_path / "full")
    assert [p.name for p in tmp_path.iterdir()] == ["full"]
    with pytest.raises(UsageError, match="lies inside the workspace"):
        backup(judged, judged.home / "x.tar", now=NOW)
    with pytest.raises(UsageError, match="already there"):
        backup(judged, saved, now=NOW)


def test_a_changed_archive_makes_no_home(saved: Path, tmp_path: Path) -> None:
    shutil.copy(saved, tmp_path / "bad.tar")
    with (tmp_path / "bad.tar").open("r+b") as file:
        file.seek(saved.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 255]))
    with pytest.raises(StoreError, match=r"manifest says|no whole archive"):
        restore(tmp_path / "bad.tar", tmp_path / "home")
    assert [p.name for p in tmp_path.iterdir()] == ["bad.tar"]
