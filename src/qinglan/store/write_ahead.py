"""SQLite's write-ahead log, turned on for a database that several may be opening for the first time."""

from __future__ import annotations

import sqlite3
import time

#: How long a connection waits for the others, seconds.
PATIENCE = 60.0


def write_ahead(db: sqlite3.Connection) -> None:
    """Keep a database in the mode WAL, where readers do not wait for the writer. Raises sqlite3.OperationalError.

    The change of mode takes a read lock up to an exclusive one. Where two do so at once, SQLite refuses one of
    them without asking its busy handler, since waiting would be a deadlock; to try again is left to the caller
    (https://www.sqlite.org/c3ref/busy_handler.html).
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
        time.sleep(0.01)
