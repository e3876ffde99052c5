"""The top-down inventory that an office holds its own against: one file, kept by its digest, with who gave it.

The bytes lie among the workspace's files, and the event ``inventory.top_down`` of the audit chain names them; the
newest event is the one in force. Nothing is deleted: to forget is an event too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from qinglan.core.errors import LayoutError, NotFound, UsageError
from qinglan.emission.top_down import Given, read_top_down
from qinglan.flow.workspace import Workspace
from qinglan.store.files import Files
from qinglan.store.registry import append_event, events

#: Event of the audit chain: a top-down inventory was given, or taken back.
GIVEN = "inventory.top_down"
#: Largest file that is kept [bytes].
MOST_BYTES = 20_000_000


@dataclass(frozen=True)
class Kept:
    """The file in force: name, digest, who gave it and when, the region of a stacked table, what it says."""

    name: str
    digest: str
    by: str
    at: datetime
    region: str
    given: Given


def read_file(workspace: Workspace, path: Path, region: str = "") -> Given:
    """A file to be held against once, without keeping it. NotFound when it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as cause:
        raise NotFound(f"{path} cannot be read: {cause.strerror}.", remedy="Check the path.") from cause
    return read_top_down(data, place=workspace.settings.place, region=region)


def keep(workspace: Workspace, data: bytes, *, name: str, region: str = "", by: str, now: datetime) -> Kept:
    """Read a file and hold the inventory against it from now on; lines that cannot be read are kept aside.

    Raises LayoutError, NotFound as :func:`emission.top_down.read_top_down`, and where no line can be read.
    """
    if len(data) > MOST_BYTES:
        raise UsageError(f"{name} has {len(data) / 1e6:.0f} MB.", remedy=f"Give at most {MOST_BYTES // 10**6} MB.")
    given = read_top_down(data, place=workspace.settings.place, region=region)
    if given.rows.is_empty():
        why = given.aside.row(0, named=True) if given.aside.height else None
        told = f" Line {why['line']}, {why['column']} {why['value']!r}: {why['en']}." if why else ""
        raise LayoutError(f"no line of {name} can be read.{told}", remedy="See docs/how-to/read-an-inventory.md.")
    digest = Files(workspace.home).put(data)
    detail = {"digest": digest, "name": name, "region": region, "numbers": given.rows.height}
    with workspace.registry.begin() as con:
        append_event(con, GIVEN, name, detail, who=by, at=now)
    return Kept(name, digest, by, now, region, given)


def forget(workspace: Workspace, *, by: str, now: datetime) -> None:
    """Hold the inventory against none; nothing happens where there is none."""
    if kept(workspace) is not None:
        with workspace.registry.begin() as con:
            append_event(con, GIVEN, "", {"digest": "", "name": "", "region": ""}, who=by, at=now)


def kept(workspace: Workspace) -> Kept | None:
    """The file in force; None where none was given. StoreError when its bytes are damaged."""
    found = events(workspace.registry, what=GIVEN)
    if not found or not found[-1]["detail"]["digest"]:
        return None
    said = found[-1]["detail"]
    data = Files(workspace.home).open(said["digest"])
    given = read_top_down(data, place=workspace.settings.place, region=said["region"])
    return Kept(said["name"], said["digest"], found[-1]["who"], found[-1]["at"], said["region"], given)
