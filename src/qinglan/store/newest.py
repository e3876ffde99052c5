"""The number of a registry's last event, asked so cheaply that every request may ask.

Whatever people and programs change is an event in the same transaction (`qinglan.store.registry.append_event`), so
what was made of the registry still holds while this number stands. Only the time at which a session or a key was
last seen, and who holds which job, change without one.

SQLite counts, for each connection, the commits of all others (``PRAGMA data_version``): only when that moved is
the table asked. A server is asked each time, by its index.
"""

from __future__ import annotations

import threading
from typing import Any

from sqlalchemy import Engine, func, select

from qinglan.store import schema


class Newest:
    """Watches one registry; safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._watch: Any = None
        self._seen: tuple[int, int] | None = None

    @property
    def at_hand(self) -> bool:
        """Whether asking costs microseconds and no network."""
        return self._engine.dialect.name == "sqlite"

    def event(self) -> int:
        """Number of the last event; 0 before the first."""
        if not self.at_hand:
            with self._engine.connect() as con:
                return con.execute(select(func.max(schema.events.c.id))).scalar() or 0
        with self._lock:
            if self._watch is None:
                self._watch = self._engine.raw_connection()
                self._watch.detach()  # a connection of its own, on which nobody ever writes
            commits = self._watch.execute("PRAGMA data_version").fetchone()[0]
            if self._seen is None or self._seen[0] != commits:
                newest = self._watch.execute("SELECT max(id) FROM events").fetchone()[0] or 0
                self._seen = (commits, newest)
            return self._seen[1]

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            if self._watch is not None:
                self._watch.close()
            self._watch, self._seen = None, None
