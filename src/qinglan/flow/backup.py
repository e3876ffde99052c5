"""Backup and restore of a workspace: registry, lake, results, files and settings, in one archive.

The registry and the list of the lake's files are taken while nothing is being loaded, so they fit each other; the
files themselves never change once they are there and are copied after that, while work goes on.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from qinglan import __version__
from qinglan.core.errors import StoreError, UsageError
from qinglan.flow.workspace import (
    REGISTRY_FILE,
    SETTINGS_FILE,
    Workspace,
    open_workspace,
    read_settings,
    write_settings,
)
from qinglan.store import archive
from qinglan.store.dump import dump, load
from qinglan.store.registry import Registry, append_event, events, verify_events

#: Events: a backup was written; one was restored, compared and found whole.
MADE, PROVEN = "backup.made", "backup.proven"
#: Folders of the archive beside those of the home.
_REGISTRY, _HOME, _CATALOGUE = "registry", "home", "lake/catalogue.sqlite"


def _silent(_stage: str) -> None:
    return None


def backup(
    workspace: Workspace,
    target: Path,
    *,
    now: datetime,
    results: bool = True,
    progress: Callable[[str], None] = _silent,
) -> dict[str, Any]:
    """Write a workspace into a new tar archive that only the owner may read.

    target : outside the home, and not there yet. results : with the tables of all runs (they can be made again).

    Returns ``file``, ``bytes``, ``files`` and the ``rows`` of each table. Raises UsageError for such a target and
    StoreError when the disk is full or a load has gone on for too long.
    """
    target = target.absolute()
    home = workspace.home.resolve()
    if target.resolve().is_relative_to(home):
        raise UsageError(
            f"{target} lies inside the workspace.", remedy="Back up to another folder, or another disk."
        )
    with archive.writing(target) as out, tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as kept:
        draft = Path(kept)
        progress("registry")
        with workspace.lake.writing():
            rows = dump(workspace.registry, draft / _REGISTRY)
            _copy_catalogue(workspace.lake.catalogue.path, draft / "catalogue.sqlite")
            live = workspace.lake.catalogue.live()
        revision = workspace.registry.revision()
        for name in rows:
            out.add(f"{_REGISTRY}/{name}.jsonl", draft / _REGISTRY / f"{name}.jsonl")
        out.add(f"{_HOME}/{_CATALOGUE}", draft / "catalogue.sqlite")
        progress("lake")
        for entry in live:
            out.add(f"{_HOME}/lake/{entry.path}", workspace.lake.root / entry.path)
        progress("files")
        for name in _others(home, results):
            out.add(f"{_HOME}/{name}", home / name)
        about = {"made_at": now.isoformat(), "code_version": __version__, "revision": revision, "rows": rows}
        out.finish({**about, "results": results})
    return {"file": str(target), "bytes": target.stat().st_size, "files": len(out.files), "rows": rows}


def _copy_catalogue(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def _others(home: Path, results: bool) -> Iterator[str]:
    """Everything else in the home: settings, files, what was set aside. Nothing half-made, nothing hidden."""
    left_out = {"lake", "ledgers"} | (set() if results else {"results"})
    for folder, folders, names in os.walk(home):
        at = Path(folder).relative_to(home)
        folders[:] = sorted(d for d in folders if not d.startswith(".") and (at.parts or d not in left_out))
        for name in sorted(names):
            live = not at.parts and name.startswith(REGISTRY_FILE)
            if not live and not name.startswith(".") and not name.endswith(".draft"):
                yield (at / name).as_posix()


def restore(
    source: Path, home: Path, *, registry: str | None = None, progress: Callable[[str], None] = _silent
) -> dict[str, Any]:
    """Unpack an archive into a new home, after checking every file of it.

    home : not there yet, or empty. registry : where the registry goes (empty text: SQLite in the home); None as
    the settings in the archive say. Its database must be empty.

    Returns what :func:`backup` returned. The home appears whole or not at all. Raises UsageError (home not empty)
    and StoreError (archive damaged, database not empty, written by a newer Qinglan).
    """
    home = home.absolute()
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        raise UsageError(f"{home} is not empty.", remedy="Restore into a new folder; nothing is ever overwritten.")
    home.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=home.parent))
    try:
        progress("verify")
        manifest = archive.unpack(source, draft)
        made = draft / _HOME
        (made / "results").mkdir(exist_ok=True)
        settings = read_settings(made / SETTINGS_FILE)
        if registry is not None:
            settings = replace(settings, registry=registry)
            write_settings(made / SETTINGS_FILE, settings)
        progress("registry")
        rows = _load_registry(open_workspace(made), draft / _REGISTRY, manifest)
        made.replace(home)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return {"home": str(home), "made_at": manifest["made_at"], "files": len(manifest["files"]), "rows": rows}


def _load_registry(workspace: Workspace, folder: Path, manifest: dict[str, Any]) -> dict[str, int]:
    opened = Registry(workspace.registry_place, upgrade=False)
    try:
        rows = load(opened, folder, manifest["revision"])
    finally:
        opened.close()
    if rows != manifest["rows"]:
        raise StoreError("the registry did not come in whole.", remedy="Try again with an empty database.")
    return rows


def note(workspace: Workspace, made: Mapping[str, Any], *, who: str, now: datetime) -> None:
    """Write down that a backup was made (what :func:`backup` returned)."""
    detail = {name: made[name] for name in ("file", "bytes", "files")}
    with workspace.registry.begin() as con:
        append_event(con, MADE, Path(made["file"]).name, detail, who=who, at=now)


def newest(workspace: Workspace, what: str) -> dict[str, Any] | None:
    """The last event of :data:`MADE` or :data:`PROVEN`; None when there never was one."""
    found = events(workspace.registry, what=what)
    return found[-1] if found else None


def prove(workspace: Workspace, source: Path, *, who: str, now: datetime) -> dict[str, Any]:
    """Restore an archive beside itself, look at what came out, remove that again, and write down that it holds.

    Every file is checked against the manifest, every table against its number of rows, and the restored audit log
    is walked. The room of the unpacked archive is needed for a while. Returns ``file``, ``files``, ``rows``,
    ``events`` and ``head``. Raises StoreError for an archive that does not hold.
    """
    with tempfile.TemporaryDirectory(dir=source.absolute().parent, prefix=".proving-") as kept:
        made = restore(source, Path(kept) / "home", registry="")
        opened = Registry(Path(kept) / "home" / REGISTRY_FILE, upgrade=False)
        try:
            chain = verify_events(opened)
        finally:
            opened.close()
    if not chain.holds:
        raise StoreError(
            f"the audit log in {source.name} does not hold (row {chain.broken}).",
            remedy="Take another backup, and verify the live audit log at once.",
        )
    rows = sum(made["rows"].values())
    told = {"file": str(source), "files": made["files"], "rows": rows, "events": chain.count, "head": chain.head}
    with workspace.registry.begin() as con:
        append_event(con, PROVEN, source.name, told, who=who, at=now)
    return told
