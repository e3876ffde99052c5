"""Which files a load means: folders, patterns and archives turned into single files, and layouts found by name."""

from __future__ import annotations

import glob
import hashlib
import importlib
import pkgutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import qinglan.connect
from qinglan.core.batch import Layout
from qinglan.core.errors import LayoutError, NotFound, UnknownName

_MEMBER = "!"


@dataclass(frozen=True, slots=True)
class Source:
    """One file to read: `path` on the disk, `origin` as the user would name it (``pack.zip!a.csv``)."""

    path: Path
    origin: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """Name shown in reports: the file's, with its archive's."""
        head, mark, member = self.origin.partition(_MEMBER)
        return Path(head).name + mark + member


@cache
def layouts() -> dict[str, Layout]:
    """Every layout of :mod:`qinglan.connect` by name."""
    found: dict[str, Layout] = {}
    for module in pkgutil.iter_modules(qinglan.connect.__path__, "qinglan.connect."):
        loaded = importlib.import_module(module.name)
        if hasattr(loaded, "LAYOUT") and hasattr(loaded, "read"):
            layout = cast(Layout, loaded)
            found[layout.LAYOUT.name] = layout
    return dict(sorted(found.items()))


def layout_named(name: str) -> Layout:
    """A layout; UnknownName lists the known ones."""
    try:
        return layouts()[name]
    except KeyError:
        raise UnknownName("layout", name, tuple(layouts())) from None


def guess_layout(path: Path) -> str:
    """Name of the one layout that a file looks like. LayoutError when none or several fit."""
    fits = [name for name, layout in layouts().items() if layout.sniff(path)]
    if len(fits) == 1:
        return fits[0]
    said = "several layouts: " + ", ".join(fits) if fits else "no known layout"
    raise LayoutError(f"{path.name} looks like {said}.", remedy="Name the layout: qinglan ingest LAYOUT PATH.")


@contextmanager
def opened_sources(paths: Iterable[Path | str], extensions: Sequence[str]) -> Iterator[list[Source]]:
    """The files meant by files, folders, patterns and zip archives, in order of name, each once.

    A folder gives its files of these extensions; a file named outright is always taken. Members of archives are
    unpacked into a folder that is removed afterwards. NotFound names every path that leads nowhere.
    """
    with tempfile.TemporaryDirectory(prefix="qinglan-") as unpacked:
        plain, lost = _expand(paths, tuple(e.lower() for e in extensions))
        if lost:
            raise NotFound(
                f"nothing to read at {', '.join(lost)}.", remedy="Check the path and the file extension."
            )
        found: dict[str, Source] = {}
        for path, origin in _unpack(plain, tuple(e.lower() for e in extensions), Path(unpacked)):
            found.setdefault(origin, Source(path, origin, sha256_of(path), path.stat().st_size))
        yield list(found.values())


def _expand(paths: Iterable[Path | str], extensions: tuple[str, ...]) -> tuple[list[tuple[Path, str]], list[str]]:
    files: list[tuple[Path, str]] = []
    lost = []
    for given in paths:
        text, _, member = str(given).partition(_MEMBER)
        path = Path(text)
        if path.is_file():
            files.append((path.resolve(), member))
            continue
        matched = sorted(path.rglob("*")) if path.is_dir() else sorted(map(Path, glob.glob(text, recursive=True)))
        wanted = (*extensions, ".zip")
        kept = [p.resolve() for p in matched if p.is_file() and p.name.lower().endswith(wanted)]
        if not kept:
            lost.append(text)
        files += [(p, "") for p in kept]
    return files, lost


def _unpack(
    files: Sequence[tuple[Path, str]], extensions: tuple[str, ...], folder: Path
) -> Iterator[tuple[Path, str]]:
    for number, (path, wanted) in enumerate(files):
        if path.suffix.lower() != ".zip" or ".zip" in extensions or not zipfile.is_zipfile(path):
            yield path, str(path)
            continue
        with zipfile.ZipFile(path) as archive:
            for member in sorted(archive.namelist()):
                if not member.lower().endswith(extensions) or (wanted and member != wanted):
                    continue
                target = folder / str(number) / hashlib.sha256(member.encode()).hexdigest()[:8] / Path(member).name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(member))
                yield target, f"{path}{_MEMBER}{member}"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
