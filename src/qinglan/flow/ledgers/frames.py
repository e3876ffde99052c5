"""The frame of a ledger's live rows: made of the registry after a change, kept as Parquet, shared by readers.

The file's name holds the change and the declaration that it was made of, so that a stale one is never read: after
a change the next reader makes a new one (in a draft, renamed) and takes the older ones away. Several processes may
do so at once; each writes the same bytes.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import Ledger, load_ledger
from qinglan.store import ledgers as store

FOLDER = "ledgers"
#: Columns that stand before those of the declaration: number of the row, its identity, version and last change.
KEPT = ("_row", "_key", "_version", "_change")
#: Frames that a process keeps in memory, and the largest number of rows of all of them together.
_MOST, _MOST_ROWS = 40, 600_000


@dataclass(frozen=True, slots=True)
class Frame:
    """Live rows of a ledger after a change: :data:`KEPT` and the declared columns, ordered by identity."""

    ledger: Ledger
    change: int
    rows: pl.DataFrame


class _Memory:
    """Frames by file, the least recently read leaves first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, Frame] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path) -> Frame | None:
        with self._lock:
            found = self._kept.get(path)
            if found is not None:
                self._kept.move_to_end(path)
            return found

    def put(self, path: Path, frame: Frame) -> None:
        with self._lock:
            for other in [p for p in self._kept if p.parent == path.parent and _ledger_of(p) == _ledger_of(path)]:
                del self._kept[other]
            self._kept[path] = frame
            while len(self._kept) > 1 and (
                len(self._kept) > _MOST or sum(f.rows.height for f in self._kept.values()) > _MOST_ROWS
            ):
                self._kept.popitem(last=False)


_memory = _Memory()


def frame(workspace: Workspace, ledger: str | Ledger) -> Frame:
    """The live rows of a ledger as they are now. UnknownName when no ledger is declared under the id."""
    declared = load_ledger(ledger) if isinstance(ledger, str) else ledger
    number = store.newest(workspace.registry).get(declared.id, 0)
    return frame_at(workspace, declared, number)


def frame_at(workspace: Workspace, declared: Ledger, number: int) -> Frame:
    """The frame after a change that :func:`qinglan.store.ledgers.newest` just gave."""
    if not number:
        return Frame(declared, 0, typed(declared, pl.DataFrame(schema=dict(store.READ_SCHEMA))))
    path = _path(workspace.home, declared, number)
    known = _memory.get(path)
    if known is not None:
        return known
    if path.exists():
        with contextlib.suppress(OSError, PolarsError):  # taken away just now, or damaged: make it anew
            found = Frame(declared, number, pl.read_parquet(path))
            _memory.put(path, found)
            return found
    newest, raw = store.rows(workspace.registry, declared.id)
    made = Frame(declared, newest, typed(declared, raw))
    path = _path(workspace.home, declared, newest)
    _write(path, made.rows)
    _memory.put(path, made)
    return made


def typed(declared: Ledger, raw: pl.DataFrame) -> pl.DataFrame:
    """Rows as the registry gives them, with the declared columns in their types.

    A column that the declaration has since gained is empty; a value that no longer fits its type is empty too (the
    history of the row still says what it was).
    """
    schema = declared.schema
    as_read = pl.Struct({name: pl.String() if kind == pl.Date else kind for name, kind in schema.items()})
    try:
        rows = raw.select(*KEPT, pl.col("data").str.json_decode(as_read)).unnest("data")
    except PolarsError:
        words = pl.Struct(dict.fromkeys(schema, pl.String()))
        rows = raw.select(*KEPT, pl.col("data").str.json_decode(words)).unnest("data")
        rows = rows.with_columns(
            (pl.col(n) == "true") if kind == pl.Boolean else pl.col(n).cast(kind, strict=False)
            for n, kind in schema.items()
            if kind not in (pl.Date, pl.String)
        )
    days = [name for name, kind in schema.items() if kind == pl.Date]
    return rows.with_columns(pl.col(days).str.to_date("%Y-%m-%d", strict=False)) if days else rows


def encoded(declared: Ledger, rows: pl.DataFrame) -> pl.Expr:
    """The column ``data`` of rows: their declared columns as JSON text, in the order of the declaration."""
    return pl.struct([name for name in declared.schema if name in rows.columns]).struct.json_encode().alias("data")


def _path(home: Path, declared: Ledger, number: int) -> Path:
    return home / FOLDER / f"{declared.id}-{number}-{declared.hash[:8]}.parquet"


def _ledger_of(path: Path) -> str:
    return path.stem.rsplit("-", 2)[0]


def _write(path: Path, rows: pl.DataFrame) -> None:
    """Whole or not at all; older files of the same ledger go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=".draft-", dir=path.parent, delete=False) as draft:
        rows.write_parquet(draft, compression="zstd", compression_level=1)
    Path(draft.name).replace(path)
    for other in path.parent.glob(f"{_ledger_of(path)}-*.parquet"):
        if _ledger_of(other) == _ledger_of(path) and _change_of(other) < _change_of(path):
            other.unlink(missing_ok=True)


def _change_of(path: Path) -> int:
    return int(path.stem.rsplit("-", 2)[1])
