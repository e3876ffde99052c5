"""The registry as text and archives with a manifest. Source: docs/design/0008-operations.md, §2."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from qinglan.core.errors import NotFound, StoreError, UsageError
from qinglan.store import archive, decisions, loads, runs
from qinglan.store.dump import dump, load
from qinglan.store.registry import Registry, events, verify_events
from qinglan.store.stations import register_stations, stations

AT = datetime(2025, 1, 1, 8, 30, 15, 123456, tzinfo=UTC)


def filled(place: Path | str) -> Registry:
    """A registry with something in many tables: dates, moments, JSON, empty cells."""
    registry = Registry(place)
    row = {"station": "1480A", "name": "市环境监测站", "place": "630100", "valid_from": date(2013, 1, 1)}
    register_stations(registry, [row, {"station": "1481A", "name": "b", "place": "630100"}], who="王", at=AT)
    dust = {"place": "630100", "start": AT, "end": AT, "removal": "hour_removal", "status": "proposed"}
    decisions.record_dust_events(registry, [{**dust, "evidence": {"来源": [1, None, "x"]}}], who="d", at=AT)
    runs.record_run(registry, "a", "run", {"x": 1.5}, who="t", at=AT)
    loads.begin_load(registry, "national_hourly", {"a": 1}, who="t", at=AT)
    return registry


def everything(registry: Registry, folder: Path) -> dict[str, str]:
    dump(registry, folder)
    return {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.jsonl")}


@pytest.mark.parametrize("target", ["sqlite", "postgresql"])
def test_a_copy_from_either_engine_is_the_same_on_either(
    registry_place: Path | str, target: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = filled(registry_place)
    before = everything(source, tmp_path / "one")
    place: Path | str = tmp_path / "other.sqlite"
    if target == "postgresql":
        server = request.getfixturevalue("postgres")
        place = server.url(server.database())
    other = Registry(place, upgrade=False)
    counts = load(other, tmp_path / "one", str(source.revision()))
    assert counts["stations"] == 2
    assert everything(other, tmp_path / "two") == before
    assert stations(other) == stations(source)
    assert events(other) == events(source)
    runs.record_run(other, "b", "run", {}, who="t", at=AT)  # numbers go on after those that came in
    assert [r["run_id"] for r in runs.runs(other)] == ["b", "a"]
    assert verify_events(other).count == len(events(source)) + 1
    with pytest.raises(StoreError, match="is not empty"):
        load(other, tmp_path / "one", "0007")
    other.close()
    source.close()


def test_a_copy_of_an_older_revision_is_brought_forward(tmp_path: Path) -> None:
    source = filled(tmp_path / "a.sqlite")
    source.migrate("0002")
    dump(source, tmp_path / "old")
    other = Registry(tmp_path / "b.sqlite", upgrade=False)
    load(other, tmp_path / "old", "0002")
    assert other.revision() == Registry(tmp_path / "fresh.sqlite").revision()
    assert stations(other)[0]["name"] == "市环境监测站"
    with pytest.raises(StoreError, match="no revision '9999'"):
        load(Registry(tmp_path / "c.sqlite", upgrade=False), tmp_path / "old", "9999")


def packed(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(b"x" * 5000)
    (tmp_path / "b").write_bytes("数".encode())
    with archive.writing(tmp_path / "t.tar") as out:
        out.add("home/a", tmp_path / "a")
        out.add("home/数/b", tmp_path / "b")
        out.finish({"made_at": "now"})
    return tmp_path / "t.tar"


def test_an_archive_comes_back_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    made = packed(tmp_path)
    assert made.stat().st_mode & 0o777 == 0o600
    assert archive.unpack(made, tmp_path / "out")["made_at"] == "now"
    assert (tmp_path / "out/home/数/b").read_text(encoding="utf-8") == "数"
    with pytest.raises(UsageError, match="already there"), archive.writing(made):
        pass
    with pytest.raises(NotFound):
        archive.unpack(tmp_path / "none.tar", tmp_path / "x")


def test_a_failing_backup_leaves_nothing(tmp_path: Path) -> None:
    def fail_late() -> None:
        with archive.writing(tmp_path / "t.tar") as out:
            out.finish({})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_late()
    assert list(tmp_path.iterdir()) == []


def flip(data: bytearray) -> bytearray:
    data[700] ^= 1
    return data


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (flip, "not as the manifest says: home/a"),
        (lambda data: data[:4000], "no whole archive|cut off"),
        (lambda data: data[: 512 + 5120], "cut off"),
        (lambda data: bytearray(b"not a tar at all" * 100), "no whole archive"),
    ],
)
def test_a_damaged_archive_is_refused(
    harm: Callable[[bytearray], bytearray], message: str, tmp_path: Path
) -> None:
    made = packed(tmp_path)
    made.write_bytes(bytes(harm(bytearray(made.read_bytes()))))
    with pytest.raises(StoreError, match=message):
        archive.unpack(made, tmp_path / "out")


@pytest.mark.parametrize("name", ["../escape", "/etc/escape"])
def test_an_archive_cannot_write_outside(name: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    with archive.writing(tmp_path / "t.tar") as out:
        out.add(name, tmp_path / "a")
        out.finish({})
    with pytest.raises(StoreError, match="points outside"):
        archive.unpack(tmp_path / "t.tar", tmp_path / "out")


def test_a_link_or_a_file_more_is_refused(tmp_path: Path) -> None:
    def build(edit: Callable[[tarfile.TarFile], Any]) -> Path:
        with tarfile.open(tmp_path / "t.tar", "w") as tar:
            edit(tar)
        return tmp_path / "t.tar"

    def link(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo("home/a")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)

    with pytest.raises(StoreError, match="no backup of ours"):
        archive.unpack(build(link), tmp_path / "out1")
    manifest = tmp_path / archive.MANIFEST
    manifest.write_text(json.dumps({"form": 99, "files": {}}), encoding="utf-8")
    with pytest.raises(StoreError, match="form 99"):
        archive.unpack(build(lambda tar: tar.add(manifest, archive.MANIFEST)), tmp_path / "out2")
