"""Files by their content: photos, evidence and issued bulletins, under ``<home>/files/<sha256[:2]>/<sha256>``.

A file is written to a draft beside its place, flushed and renamed: a crash leaves no half file under a digest.
The registry holds the digest; the same bytes are kept once. Nothing here deletes.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from qinglan.core.errors import NotFound, StoreError, UsageError

FOLDER = "files"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20


class Files:
    """The files of a home folder.

    home : the workspace's folder; its ``files`` is made when the first file is put.
    """

    def __init__(self, home: Path | str) -> None:
        self.root = Path(home) / FOLDER

    def path(self, digest: str) -> Path:
        """Where a file lies, there or not; UsageError when that is no digest (and so no way out of the folder)."""
        if not _DIGEST.fullmatch(digest):
            raise UsageError(f"{digest!r} is no SHA-256 digest.", remedy="Give 64 hex digits in lower case.")
        return self.root / digest[:2] / digest

    def put(self, data: bytes) -> str:
        """Keep bytes and return their SHA-256; they are on disk when this returns."""
        digest = hashlib.sha256(data).hexdigest()
        place = self.path(digest)
        if place.is_file() and place.stat().st_size == len(data):
            return digest
        write_whole(place, data)
        return digest

    def open(self, digest: str) -> bytes:
        """The bytes under a digest; NotFound when they are not here, StoreError when they have changed."""
        place = self.path(digest)
        try:
            data = place.read_bytes()
        except FileNotFoundError:
            raise NotFound(f"no file {digest}.", remedy="Restore it from the backup.") from None
        if hashlib.sha256(data).hexdigest() != digest:
            raise StoreError(f"file {digest} is damaged.", remedy="Restore it from the backup.")
        return data

    def verify(self, digest: str) -> bool:
        """Whether the file is here and its bytes still give its digest."""
        place = self.path(digest)
        return place.is_file() and _digest_of(place) == digest

    def digests(self) -> Iterator[str]:
        """Every file that is kept, in order."""
        for place in sorted(self.root.glob("??/*")):
            if _DIGEST.fullmatch(place.name):
                yield place.name


def write_whole(place: Path, data: bytes) -> None:
    """Write a file so that it is wholly there or not at all; it is on disk when this returns."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=".draft-", dir=place.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(draft).replace(place)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
    _sync_folder(place.parent)


def _digest_of(place: Path) -> str:
    found = hashlib.sha256()
    with place.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last (a file system may otherwise forget the name after a power cut)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
