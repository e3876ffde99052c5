"""The registry: everything that is not an observation, in SQL. SQLite by default, upgraded when it is opened.

The functions that read and write it are in :mod:`qinglan.store.loads`, :mod:`qinglan.store.stations`,
:mod:`qinglan.store.decisions` and :mod:`qinglan.store.runs`; each takes the `Registry` first.

PostgreSQL serves it as well, and behaves as SQLite does: one writer at a time (an advisory lock for the length of
a transaction, so that what a writer read is still so when it writes), readers of one consistent state, names in
the order of their code points. What the two engines need is in :mod:`qinglan.store.engine_sql`.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import ColumnElement, Connection, insert, inspect, select

from qinglan.core.errors import StoreError
from qinglan.store import chain, schema
from qinglan.store.engine_sql import READING, make_engine, migrating_alone, wait_for_turn
from qinglan.store.newest import Newest

Row = dict[str, Any]


class Registry:
    """An opened registry.

    place : path of a SQLite file (made when it is not there) or a database URL (``postgresql://user@host/name``;
        the password comes from the environment or the server's password file).
    upgrade : bring an older registry up to date; False leaves it as it is (for migration tools).

    Raises StoreError when it was written by a newer Qinglan, or when the server cannot be reached or used.
    """

    def __init__(self, place: Path | str, *, upgrade: bool = True) -> None:
        self.engine = make_engine(place)
        #: Where it lies, without a password: for messages.
        self.shown = self.engine.url.render_as_string(hide_password=True)
        #: Tells whether anything changed, cheaply.
        self.newest = Newest(self.engine)
        if upgrade:
            self.migrate()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that writes: all of it or nothing, and no other writer meanwhile."""
        with self.engine.connect().execution_options(sqlite_begin="BEGIN IMMEDIATE") as con, con.begin():
            wait_for_turn(con)
            yield con

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view for reading."""
        with self.engine.connect().execution_options(**READING[self.engine.dialect.name]) as con:
            yield con

    def close(self) -> None:
        """Give the connections back."""
        self.newest.close()
        self.engine.dispose()

    def revision(self) -> str | None:
        """Revision of the schema on disk; None in an empty database."""
        with self.engine.connect() as con:
            return MigrationContext.configure(con).get_current_revision()

    def tables(self) -> set[str]:
        """Names of the tables on disk, Alembic's own left out."""
        return set(inspect(self.engine).get_table_names()) - {"alembic_version"}

    def migrate(self, to: str = "head") -> None:
        """Run revisions forward to `head` (or to a revision, also backward to an older one or `base`)."""
        config = _config()
        scripts = ScriptDirectory.from_config(config)
        goal = scripts.get_current_head() if to == "head" else (None if to == "base" else to)
        if goal is not None and goal not in {r.revision for r in scripts.walk_revisions()}:
            raise StoreError(f"this Qinglan knows no revision {goal!r}.", remedy="Upgrade Qinglan.")
        if self._settled(scripts, goal):
            return
        with self._alone():
            found = self.revision()
            if found == goal:
                return
            with self.begin() as con:
                config.attributes["connection"] = con
                known = [r.revision for r in scripts.walk_revisions()][::-1]
                back = found is not None and (goal is None or known.index(goal) < known.index(found))
                (command.downgrade if back else command.upgrade)(config, to)

    def _settled(self, scripts: ScriptDirectory, goal: str | None) -> bool:
        with self.read() as con:  # both from one state: another process may be migrating in this moment
            found = MigrationContext.configure(con).get_current_revision()
            tables = set(inspect(con).get_table_names()) - {"alembic_version"}
        if found is not None and found not in {r.revision for r in scripts.walk_revisions()}:
            raise StoreError(
                f"the registry {self.shown} has revision {found!r}, which this Qinglan does not know: "
                "a newer one wrote it.",
                remedy="Upgrade Qinglan, or open the copy that you made before the upgrade.",
            )
        if found is None and tables:
            raise StoreError(
                f"{self.shown} is not a registry.", remedy="Give an empty database or a Qinglan home."
            )
        return found == goal

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process migrates: a lock beside the SQLite file, a lock of the server elsewhere."""
        path = self.engine.url.database
        if self.engine.dialect.name != "sqlite" or path is None:
            with migrating_alone(self.engine):
                yield
            return
        with Path(f"{path}.migrating").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _config() -> Config:
    config = Config()
    folder = resources.files("qinglan.store") / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def moment(at: datetime | None) -> datetime:
    """The given moment or now."""
    return at or datetime.now(UTC)


def append_event(
    con: Connection, what: str, subject: str, detail: Mapping[str, Any], *, who: str, at: datetime
) -> None:
    """Append what happened, inside the transaction that makes it happen, chained to the event before.

    `con` comes from :meth:`Registry.begin`, in which nobody else writes: so the last row read is the last row.
    """
    row = {
        "at": at,
        "who": who,
        "what": what,
        "subject": subject.replace("\0", "␀"),
        "detail": chain.stored(detail),
    }
    log = schema.events
    before = con.execute(select(log.c.hash).order_by(log.c.id.desc()).limit(1)).scalar() or chain.GENESIS
    con.execute(insert(log).values(**row, prev_hash=before, hash=chain.event_hash(before, row)))


def events(registry: Registry, *, what: str | None = None, subject: str | None = None) -> list[Row]:
    """Events, oldest first."""
    query = select(schema.events).order_by(schema.events.c.id)
    if what is not None:
        query = query.where(schema.events.c.what == what)
    if subject is not None:
        query = query.where(schema.events.c.subject == subject)
    with registry.read() as con:
        return [dict(row) for row in con.execute(query).mappings()]


def events_page(
    registry: Registry, *, asked: Mapping[str, Any], before: int | None = None, limit: int = 50
) -> list[Row]:
    """Events, newest first, `limit` of them with ids below `before`.

    asked : any of `who` (exact), `what` (the beginning of it), `subject` (a part of it), `first` and `last`
        (aware instants, `last` not included).
    """
    log = schema.events.c
    query = select(schema.events).order_by(log.id.desc()).limit(limit)
    rules: dict[str, Callable[[Any], ColumnElement[bool]]] = {
        "who": lambda value: log.who == value,
        "what": lambda value: log.what.startswith(value, autoescape=True),
        "subject": lambda value: log.subject.contains(value, autoescape=True),
        "first": lambda value: log.at >= value,
        "last": lambda value: log.at < value,
    }
    for name, value in asked.items():
        if value not in (None, ""):
            query = query.where(rules[name](value))
    if before is not None:
        query = query.where(log.id < before)
    with registry.read() as con:
        return [dict(row) for row in con.execute(query).mappings()]


def verify_events(registry: Registry, *, known: str = "") -> chain.Chain:
    """Walk the whole event log; names the first row that is not what was written.

    known : a head noted down earlier, which must still be in the log.
    """
    query = select(schema.events).order_by(schema.events.c.id)
    with registry.read() as con:
        rows = con.execution_options(yield_per=1000).execute(query).mappings()
        return chain.walk((dict(row) for row in rows), known)
