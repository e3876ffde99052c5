"""A tar archive with a manifest: what lies in it is what was put in, or it is not opened.

The manifest, its last member, names each file with size and SHA-256; an archive that was cut off has none.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from qinglan.core.errors import NotFound, StoreError, UsageError

MANIFEST = "manifest.json"
#: Version of the archive's form.
FORM = 1
_CHUNK = 1 << 20


class _Hashing:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.hash = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self.file.read(size)
        self.hash.update(data)
        return data


class Archive:
    """An archive that is being written; see :func:`writing`."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.files: dict[str, dict[str, Any]] = {}

    def add(self, name: str, path: Path) -> None:
        """Put a file in under a name. It must not change meanwhile."""
        with path.open("rb") as file:
            info = tarfile.TarInfo(name)
            info.size, info.mode = os.fstat(file.fileno()).st_size, 0o600
            info.mtime = int(os.fstat(file.fileno()).st_mtime)
            hashing = _Hashing(file)
            self._tar.addfile(info, hashing)
        self.files[name] = {"size": info.size, "sha256": hashing.hash.hexdigest()}

    def finish(self, about: Mapping[str, Any]) -> None:
        """Write the manifest."""
        text = json.dumps({"form": FORM, **about, "files": self.files}, ensure_ascii=False, indent=1)
        data = text.encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode = len(data), 0o600
        self._tar.addfile(info, io.BytesIO(data))


@contextmanager
def writing(target: Path) -> Iterator[Archive]:
    """Write an archive beside its place and give it its name when it is whole and on disk.

    Only the owner may read it. Raises UsageError when there is already a file of that name.
    """
    if target.exists():
        raise UsageError(f"{target} is already there.", remedy="Give the backup a new name.")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.draft")
    draft.unlink(missing_ok=True)
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out:
            with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                yield Archive(tar)
            out.flush()
            os.fsync(out.fileno())
        os.link(draft, target)  # unlike a rename it fails when somebody was faster
    except OSError as cause:
        raise StoreError(
            f"{target} cannot be written: {cause}.", remedy="Check the folder and its free space."
        ) from cause
    finally:
        draft.unlink(missing_ok=True)


def unpack(source: Path, folder: Path) -> dict[str, Any]:
    """Unpack an archive into an empty folder, checking everything against the manifest, which is returned.

    Raises NotFound when it is not there; StoreError when it is damaged, cut off, or not one of ours.
    """
    if not source.is_file():
        raise NotFound(f"{source} is not there.", remedy="Give the file that `qinglan backup` wrote.")
    try:
        with tarfile.open(source, mode="r:") as tar:
            return _unpack(tar, folder, source)
    except (tarfile.TarError, EOFError) as cause:
        raise StoreError(f"{source} is no whole archive: {cause}.", remedy="Take another copy of it.") from cause


def _unpack(tar: tarfile.TarFile, folder: Path, source: Path) -> dict[str, Any]:
    found: dict[str, dict[str, Any]] = {}
    manifest: dict[str, Any] | None = None
    for member in tar:
        inside = tar.extractfile(member) if member.isreg() else None
        if inside is None or manifest is not None:
            raise StoreError(f"{source} holds {member.name!r}, which no backup of ours does.")
        if member.name == MANIFEST:
            manifest = _manifest(inside.read(), source)
            continue
        found[member.name] = _extract(inside, member, folder / _safe(member.name, source))
    if manifest is None:
        raise StoreError(f"{source} has no manifest: it was cut off.", remedy="Take another copy of it.")
    expected = manifest["files"]
    odd = sorted(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))
    if odd:
        raise StoreError(
            f"{source}: {len(odd)} file(s) are missing or not as the manifest says: {', '.join(odd[:5])}.",
            remedy="It was damaged or changed: take another copy of it.",
        )
    return manifest


def _manifest(data: bytes, source: Path) -> dict[str, Any]:
    try:
        read = json.loads(data)
        form = read["form"]
        read["files"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as cause:
        raise StoreError(f"the manifest of {source} cannot be read.", remedy="Take another copy of it.") from cause
    if form != FORM:
        raise StoreError(f"{source} has form {form}; this Qinglan reads {FORM}.", remedy="Upgrade Qinglan.")
    return dict(read)


def _safe(name: str, source: Path) -> str:
    """A name that stays inside the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise StoreError(f"{source} holds {name!r}, which points outside.")
    return name


def _extract(inside: IO[bytes], member: tarfile.TarInfo, path: Path) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as out:
        while chunk := inside.read(_CHUNK):
            out.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        out.flush()
        os.fsync(out.fileno())
    os.utime(path, (member.mtime, member.mtime))
    return {"size": size, "sha256": digest.hexdigest()}
