"""Frozen inventories: a year of the ledgers' rows built once, kept as Parquet with what it was made of.

A version is a folder ``inventories/<year>-<number>`` of the home with four Parquet files and ``version.json``. It
never changes: the hash of each file is kept, and a file that differs is refused. The same activities, factors and
code make the same content hash, and so the version that is there already.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from qinglan import __version__
from qinglan.core.errors import NotFound, StoreError, UsageError
from qinglan.emission.frames import NUMBERS
from qinglan.emission.whole import build_all
from qinglan.flow.ledgers.frames import frame_at
from qinglan.flow.memory import Memory
from qinglan.flow.workspace import Workspace
from qinglan.ledger.activity import COLUMNS, activities
from qinglan.ledger.declare import ledgers, load_ledger
from qinglan.store import ledgers as store
from qinglan.store.registry import append_event

FOLDER = "inventories"
#: Event of the audit chain: a version was frozen.
FROZEN = "inventory.frozen"
FRAMES = ("activities", "emissions", "alternatives", "gaps")
_ABOUT = "version.json"
#: Versions that a process keeps open.
_MOST = 4


@dataclass(frozen=True, slots=True)
class Version:
    """What ``version.json`` says.

    inputs : by ledger `change` (number of its newest change), `hash` (of its activities of the year) and `rows`.
    factors : hash by content file. content : hash of inputs, factors and code. totals : tonnes a year by species.
    files : sha256 by frame. existing : whether :func:`freeze` found it there already (not kept in the file).
    """

    id: str
    year: int
    made: str
    by: str
    reason: str
    code_version: str
    content: str
    inputs: Mapping[str, Mapping[str, Any]]
    factors: Mapping[str, str]
    totals: Mapping[str, float]
    rows: Mapping[str, int]
    files: Mapping[str, str]
    existing: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Held:
    """An open version with its frames (docs/design/0012-ledgers.md)."""

    version: Version
    folder: Path
    emissions: pl.DataFrame
    alternatives: pl.DataFrame
    gaps: pl.DataFrame
    activities: pl.DataFrame


def activities_of(workspace: Workspace, year: int) -> pl.DataFrame:
    """Activity data of a year out of all ledgers' live rows (the frame of docs/design/0012-ledgers.md).

    `terms` holds the terms of all ledgers. Rules see the year's last day as `_today`, so that the same rows make
    the same activities on any day. A row whose year is missing is among them: it becomes a gap.
    """
    return together([rows for rows, _ in _by_ledger(workspace, year).values()])


def _by_ledger(workspace: Workspace, year: int) -> dict[str, tuple[pl.DataFrame, int]]:
    """Activities and newest change of each ledger that has rows; raises where no ledger tells anything."""
    if not date.min.year <= year <= date.max.year:
        raise UsageError(f"{year} is not a year.", remedy="Give a year such as 2025.")
    newest = store.newest(workspace.registry)
    found: dict[str, tuple[pl.DataFrame, int]] = {}
    years: set[int] = set()
    for name in ledgers():
        ledger = load_ledger(name)
        if not newest.get(name) or not ledger.activity:
            continue
        frame = frame_at(workspace, ledger, newest[name])
        rows = activities(ledger, frame.rows, date(year, 12, 31))
        years |= set(rows["year"].drop_nulls().to_list())
        found[name] = rows.filter((pl.col("year") == year).fill_null(True)), frame.change
    if not found:
        raise NotFound(
            "no ledger has rows with activity data.", remedy="Import workbooks first: qinglan ledger import."
        )
    if year not in years:
        told = ", ".join(map(str, sorted(years))) or "none"
        raise NotFound(f"no row of a ledger is of {year}.", remedy=f"Years with rows: {told}.")
    return found


def together(parts: list[pl.DataFrame]) -> pl.DataFrame:
    """Activities of several ledgers under one struct of terms: numbers where the methods read one, else text."""
    names = sorted({f.name for part in parts for f in _fields(part)})
    kinds: dict[str, set[Any]] = {n: {f.dtype for p in parts for f in _fields(p) if f.name == n} for n in names}
    dtypes = {
        n: pl.Float64() if n in NUMBERS or all(k.is_numeric() for k in kinds[n]) else pl.String() for n in names
    }
    made = []
    for part in parts:
        own = {f.name for f in _fields(part)}
        terms = [
            (pl.col("terms").struct.field(n) if n in own else pl.lit(None)).cast(t, strict=False).alias(n)
            for n, t in dtypes.items()
        ]
        made.append(part.select(*COLUMNS, terms=pl.struct(terms)))
    return pl.concat(made)


def _fields(part: pl.DataFrame) -> list[pl.Field]:
    kind = part.schema["terms"]
    return list(kind.fields) if isinstance(kind, pl.Struct) else []


def freeze(workspace: Workspace, year: int, *, by: str, reason: str, now: datetime) -> Version:
    """Build a year and keep it; the version that is there already when nothing that it is made of has changed.

    The event ``inventory.frozen`` is written when a version is made. Raises NotFound when no ledger has rows, or
    none of the year, and UsageError without a reason.
    """
    if not reason.strip():
        raise UsageError("a reason must be given.", remedy="Say why the inventory is frozen.")
    parts = _by_ledger(workspace, year)
    inputs = {
        name: {"change": change, "hash": _hash(rows), "rows": rows.height}
        for name, (rows, change) in parts.items()
    }
    factors = _factors()
    told = {name: entry["hash"] for name, entry in inputs.items() if entry["rows"]}
    content = _digest(json.dumps([year, told, factors, __version__, _code()], sort_keys=True).encode())
    if found := _same(workspace, content):
        return found
    rows = together([part for part, _ in parts.values()])
    built = build_all(rows)
    frames = {
        "activities": rows,
        "emissions": built.emissions,
        "alternatives": built.alternatives,
        "gaps": built.gaps,
    }
    root = workspace.home / FOLDER
    root.mkdir(exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=root))
    try:
        for name, frame in frames.items():
            frame.write_parquet(draft / f"{name}.parquet")
        sums = built.emissions.group_by("species").agg(pl.col("emission_t").sum()).sort("species")
        made = Version(
            "", year, now.isoformat(), by, reason.strip(), __version__, content, inputs, factors,
            totals=dict(sums.iter_rows()),
            rows={name: frame.height for name, frame in frames.items()},
            files={name: _digest((draft / f"{name}.parquet").read_bytes()) for name in FRAMES},
        )  # fmt: skip
        return _kept(workspace, draft, made, now)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _kept(workspace: Workspace, draft: Path, made: Version, now: datetime) -> Version:
    """Give the draft its number and its event, while nobody else writes in the registry."""
    with workspace.registry.begin() as con:
        if found := _same(workspace, made.content):  # another process was first
            return found
        taken = [int(v.id.split("-")[1]) for v in versions(workspace) if v.year == made.year]
        named = Version(**{**made.as_dict(), "id": f"{made.year}-{max(taken, default=0) + 1:02}"})
        told = {k: v for k, v in named.as_dict().items() if k != "existing"}
        (draft / _ABOUT).write_text(json.dumps(told, ensure_ascii=False, indent=1), encoding="utf-8")
        detail = {
            "reason": named.reason,
            "content": named.content,
            "file": _digest((draft / _ABOUT).read_bytes()),
            "rows": named.rows["emissions"],
        }
        append_event(con, FROZEN, named.id, detail, who=named.by, at=now)
        draft.rename(workspace.home / FOLDER / named.id)
    return named


def _same(workspace: Workspace, content: str) -> Version | None:
    found = next((v for v in versions(workspace) if v.content == content), None)
    return Version(**{**found.as_dict(), "existing": True}) if found else None


def versions(workspace: Workspace) -> tuple[Version, ...]:
    """All frozen versions, newest first. StoreError names one whose ``version.json`` cannot be read."""
    root = workspace.home / FOLDER
    names = sorted(p.name for p in root.iterdir() if not p.name.startswith(".")) if root.is_dir() else []
    found = [_read(root / name) for name in names]
    return tuple(sorted(found, key=lambda v: (datetime.fromisoformat(v.made), v.year, v.id), reverse=True))


def _read(folder: Path) -> Version:
    try:
        return Version(**json.loads((folder / _ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as cause:
        raise StoreError(
            f"{FOLDER}/{folder.name}/{_ABOUT} cannot be read: {cause}.",
            remedy="Take the folder from a backup, or move it away and freeze the year again.",
        ) from cause


_open = Memory[Held](_MOST)


def open_version(workspace: Workspace, id: str | None = None) -> Held:  # noqa: A002 - pages call it so
    """A version with its frames (None: the newest). NotFound when there is none; StoreError for a damaged file.

    Files are held against their hash when a process opens them first; then the frames stay in memory.
    """
    known = versions(workspace)
    if not known:
        raise NotFound("no inventory is frozen yet.", remedy="Freeze a year: qinglan inventory build YEAR.")
    version = known[0] if id is None else next((v for v in known if v.id == id), None)
    if version is None:
        listed = ", ".join(v.id for v in known)
        raise NotFound(f"there is no inventory {id!r}.", remedy=f"There are: {listed}.")
    folder = workspace.home / FOLDER / version.id

    def opened() -> Held:
        return Held(version, folder, **{name: _frame(folder, name, version) for name in FRAMES})

    return _open.get((folder, version.content), opened)


def _frame(folder: Path, name: str, version: Version) -> pl.DataFrame:
    path = folder / f"{name}.parquet"
    try:
        whole = _digest(path.read_bytes()) == version.files.get(name)
    except OSError:
        whole = False
    if not whole:
        raise StoreError(
            f"{FOLDER}/{folder.name}/{path.name} is missing, or not as it was frozen (its hash differs).",
            remedy="Take the folder from a backup, or move it away and freeze the year again.",
        )
    return pl.read_parquet(path)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _hash(rows: pl.DataFrame) -> str:
    """Of the rows as text, in the order of their identity: the same on any machine."""
    return _digest(rows.sort("row_key", "activity").write_ndjson().encode())


def _factors() -> dict[str, str]:
    """Hash of every content file that an inventory is computed by."""
    content = resources.files("qinglan.content")
    return {
        f"{folder}/{file.name}": _digest(file.read_bytes())
        for folder in ("factors", "standards")
        for file in sorted(content.joinpath(folder).iterdir(), key=lambda f: f.name)
        if file.name.endswith((".csv", ".yaml"))
    }


def _code() -> str:
    """Hash of the code that makes tonnes: a correction of it makes another version under the same number."""
    root = resources.files("qinglan.emission")
    with resources.as_file(root) as folder:
        files = sorted(folder.rglob("*.py"))
        return _digest("".join(_digest(f.read_bytes()) for f in files).encode())
