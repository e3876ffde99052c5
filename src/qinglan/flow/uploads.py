"""Files that people sent by the browser, under ``<home>/uploads/<sha256>/<name>``.

A load names its files by path, and its rejects are read again from them; so what a load names stays, and goes into
every backup. What was only looked at, and what a killed server left half-written, is removed by a nightly job.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from typing import Any

from qinglan.flow.workspace import Workspace
from qinglan.store import loads
from qinglan.store.files import write_whole

FOLDER = "uploads"
#: Half-written files begin with this; backups leave hidden files out.
DRAFT = ".draft-"
#: How long a file that no load names is kept, to be loaded after all; no upload is being written for longer.
LOOKED_AT, HALF_WRITTEN = timedelta(days=7), timedelta(hours=1)
_TAIL = re.compile(rf"(?:^|[/\\]){FOLDER}[/\\]([0-9a-f]{{64}})[/\\]([^/\\]+)$")


def keep(workspace: Workspace, name: str, content: bytes) -> Path:
    """Keep bytes under their digest and a tame form of their name; they are on disk when this returns."""
    tame = re.sub(r"[^\w.\-]+", "_", PurePath(name or "file").name).lstrip(".")[-120:] or "file"
    path = workspace.home / FOLDER / hashlib.sha256(content).hexdigest() / tame
    if path.is_file() and path.stat().st_size == len(content):
        path.touch()  # wanted again: not to be tidied before it is loaded
    else:
        write_whole(path, content)
    return path


def whereabouts(workspace: Workspace, path: str) -> Path:
    """Where a load's file is now: where the load found it or, after a move of the home, among its uploads."""
    plain = Path(path.split("!")[0])
    tail = _TAIL.search(str(plain))
    if tail is None or plain.is_file():
        return plain
    return workspace.home / FOLDER / tail[1] / tail[2]


def tidy(workspace: Workspace, now: datetime) -> Mapping[str, Any]:
    """Remove half-written files and those that no load names and nobody loaded for a week; how many, and bytes."""
    tails = (_TAIL.search(path.split("!")[0]) for path in loads.file_paths(workspace.registry))
    named = {tail.group(1, 2) for tail in tails if tail is not None}
    removed = freed = 0
    for path in sorted((workspace.home / FOLDER).glob("*/*")):
        half = path.name.startswith(DRAFT)
        if not half and (path.parent.name, path.name) in named:
            continue
        found = path.stat()
        if now.timestamp() - found.st_mtime >= (HALF_WRITTEN if half else LOOKED_AT).total_seconds():
            path.unlink(missing_ok=True)
            removed, freed = removed + 1, freed + found.st_size
    for folder in (workspace.home / FOLDER).glob("*/"):
        with suppress(OSError):  # only an empty one can go
            folder.rmdir()
    return {"removed": removed, "bytes": freed}
