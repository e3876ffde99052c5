"""Content-addressed files (docs/design/0006, section 4): SHA-256 as ``hashlib`` computes it, never half a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from qinglan.core.errors import NotFound, StoreError, UsageError
from qinglan.store.files import Files


def test_the_same_bytes_are_kept_once_under_their_digest(tmp_path: Path) -> None:
    files = Files(tmp_path)
    data = "空气质量月报".encode() * 1000
    digest = files.put(data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert files.put(data) == digest
    assert list(files.digests()) == [digest]
    assert (tmp_path / "files" / digest[:2] / digest).read_bytes() == data
    assert files.open(digest) == data
    assert files.verify(digest)


def test_damage_and_absence_are_told_apart(tmp_path: Path) -> None:
    files = Files(tmp_path)
    digest = files.put(b"issued")
    files.path(digest).write_bytes(b"Issued")
    assert not files.verify(digest)
    with pytest.raises(StoreError, match="damaged"):
        files.open(digest)
    with pytest.raises(NotFound):
        files.open("0" * 64)
    assert not files.verify("0" * 64)


def test_a_put_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="No space"):
        Files(tmp_path).put(b"x")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 64, "0" * 63])
def test_a_name_that_is_no_digest_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="digest"):
        Files(tmp_path).open(name)
