"""The lake's catalogue: which Parquet files count. One small SQLite database beside them.

A file that is not named here does not exist for any reader, so a change of many files is one transaction of
this database. Files that were replaced stay on disk (`retired_at`) until readers of the older snapshot are done.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from qinglan.core.errors import StoreError
from qinglan.store.write_ahead import PATIENCE, write_ahead

#: Version of the catalogue and of the files' layout. A higher one on disk was written by a newer Qinglan.
LAKE_VERSION = 1

_SCHEMA = """
CREATE TABLE files (
    path TEXT PRIMARY KEY,
    dataset TEXT NOT NULL,
    year INTEGER NOT NULL,
    month INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    added_at TEXT NOT NULL,
    added_by TEXT NOT NULL,
    retired_at TEXT
);
CREATE INDEX files_live ON files (dataset, year, month) WHERE retired_at IS NULL;
CREATE TABLE made_from (dataset TEXT PRIMARY KEY, note TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO counters VALUES ('snapshot', 0);
"""

_COLUMNS = "path, dataset, year, month, rows, bytes, sha256, content_hash, added_by"


@dataclass(frozen=True, slots=True)
class LakeFile:
    """One Parquet file of the lake. `month` is 0 in a data set kept by year.

    content_hash : str
        SHA-256 of the rows without the load that brought them: equal data, equal hash.
    """

    path: str
    dataset: str
    year: int
    month: int
    rows: int
    bytes: int
    sha256: str
    content_hash: str
    added_by: str

    @property
    def partition(self) -> tuple[int, int]:
        """(year, month)."""
        return self.year, self.month


class Catalogue:
    """The list of live files, changed in transactions. Opens a short connection for each call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        new = not path.exists()
        with self._connect() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > LAKE_VERSION:
                raise StoreError(
                    f"the lake at {path.parent} has version {version}; this Qinglan reads up to {LAKE_VERSION}.",
                    remedy="Upgrade Qinglan, or open the copy that you made before the upgrade.",
                )
            if version == 0:
                self._create(db, new)

    def _create(self, db: sqlite3.Connection, new: bool) -> None:
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA user_version").fetchone()[0] == LAKE_VERSION:  # another process was faster
            db.execute("ROLLBACK")
            return
        if not new and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise StoreError(f"{self.path} is not a lake's catalogue.", remedy="Restore it from the backup.")
        for statement in _SCHEMA.strip().split(";\n"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {LAKE_VERSION}")
        db.execute("COMMIT")

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        try:
            write_ahead(db)
            db.execute("PRAGMA synchronous = FULL")
            yield db
        except sqlite3.DatabaseError as cause:
            raise StoreError(
                f"the lake's catalogue {self.path} cannot be used: {cause}.",
                remedy="Check the disk and its free space; if it is damaged, restore it from the backup.",
            ) from cause
        finally:
            db.close()

    def live(self, dataset: str | None = None) -> list[LakeFile]:
        """Files that count now, of one data set or of all, in order of partition."""
        query = f"SELECT {_COLUMNS} FROM files WHERE retired_at IS NULL"
        given: tuple[str, ...] = ()
        if dataset is not None:
            query, given = query + " AND dataset = ?", (dataset,)
        with self._connect() as db:
            rows = db.execute(query + " ORDER BY dataset, year, month, path", given).fetchall()
        return [LakeFile(*row) for row in rows]

    def snapshot(self) -> int:
        """Number of the last committed change."""
        with self._connect() as db:
            return int(db.execute("SELECT value FROM counters WHERE name = 'snapshot'").fetchone()[0])

    def swap(
        self,
        added: Sequence[LakeFile],
        retired: Iterable[str],
        *,
        now: datetime,
        made_from: tuple[str, str] | None = None,
    ) -> None:
        """Let files count and others not, in one transaction. `made_from` is (derived data set, note)."""
        at = now.astimezone(UTC).isoformat()
        with self._connect() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                db.executemany("UPDATE files SET retired_at = ? WHERE path = ?", [(at, p) for p in retired])
                db.executemany(
                    f"INSERT OR REPLACE INTO files ({_COLUMNS}, added_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        (
                            f.path,
                            f.dataset,
                            f.year,
                            f.month,
                            f.rows,
                            f.bytes,
                            f.sha256,
                            f.content_hash,
                            f.added_by,
                            at,
                        )
                        for f in added
                    ],
                )
                if made_from:
                    db.execute("INSERT OR REPLACE INTO made_from VALUES (?, ?, ?)", (*made_from, at))
                db.execute("UPDATE counters SET value = value + 1 WHERE name = 'snapshot'")
                db.execute("COMMIT")
            except BaseException:
                db.execute("ROLLBACK")
                raise

    def made_from(self, dataset: str) -> str | None:
        """What a derived data set was made from, as its maker wrote it; None when never made."""
        with self._connect() as db:
            row = db.execute("SELECT note FROM made_from WHERE dataset = ?", (dataset,)).fetchone()
        return None if row is None else str(row[0])

    def known(self) -> set[str]:
        """Paths of all files that count or still may be read."""
        with self._connect() as db:
            return {row[0] for row in db.execute("SELECT path FROM files")}

    def forget(self, *, now: datetime, grace: timedelta) -> list[str]:
        """Drop files retired for longer than `grace` from the list and return their paths."""
        before = (now.astimezone(UTC) - grace).isoformat()
        with self._connect() as db:
            rows = db.execute("DELETE FROM files WHERE retired_at <= ? RETURNING path", (before,)).fetchall()
        return [row[0] for row in rows]
