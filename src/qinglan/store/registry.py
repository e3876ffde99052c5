"""The registry: everything that is not an observation, in SQL. SQLite by default, upgraded when it is opened.

The functions that read and write it are in :mod:`qinglan.store.loads`, :mod:`qinglan.store.stations`,
:mod:`qinglan.store.decisions` and :mod:`qinglan.store.runs`; each takes the `Registry` first.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.engine import make_url

from qinglan.core.errors import StoreError
from qinglan.store import schema

Row = dict[str, Any]


class Registry:
    """An opened registry.

    place : path of a SQLite file (made when it is not there) or a database URL.
    upgrade : bring an older registry up to date; False leaves it as it is (for migration tools).

    Raises StoreError when it was written by a newer Qinglan.
    """

    def __init__(self, place: Path | str, *, upgrade: bool = True) -> None:
        self.url = f"sqlite:///{place}" if isinstance(place, Path) else place
        self.engine = _engine(self.url)
        if upgrade:
            self.migrate()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that writes: all of it or nothing."""
        with self.engine.connect().execution_options(sqlite_begin="BEGIN IMMEDIATE") as con, con.begin():
            yield con

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view for reading."""
        with self.engine.connect() as con:
            yield con

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()

    def revision(self) -> str | None:
        """Revision of the schema on disk; None in an empty database."""
        with self.engine.connect() as con:
            return MigrationContext.configure(con).get_current_revision()

    def migrate(self, to: str = "head") -> None:
        """Run revisions forward to `head` (or to a revision, also backward to an older one or `base`)."""
        config = _config()
        scripts = ScriptDirectory.from_config(config)
        goal = scripts.get_current_head() if to == "head" else (None if to == "base" else to)
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
        found = self.revision()
        if found is not None and found not in {r.revision for r in scripts.walk_revisions()}:
            raise StoreError(
                f"the registry {self.url} has revision {found!r}, which this Qinglan does not know: "
                "a newer one wrote it.",
                remedy="Upgrade Qinglan, or open the copy that you made before the upgrade.",
            )
        if found is None and set(inspect(self.engine).get_table_names()) - {"alembic_version"}:
            raise StoreError(f"{self.url} is not a registry.", remedy="Give an empty database or a Qinglan home.")
        return found == goal

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process migrates a SQLite file; a server's own locks do it elsewhere."""
        path = make_url(self.url).database
        if not self.url.startswith("sqlite") or path is None:
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


def _engine(url: str) -> Engine:
    engine = create_engine(url, json_serializer=lambda value: json.dumps(value, ensure_ascii=False, default=str))
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def opened(dbapi: Any, _record: Any) -> None:
            dbapi.isolation_level = None  # transactions are ours, so that changes of tables roll back too
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=60000"):
                dbapi.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def begun(con: Connection) -> None:
            con.exec_driver_sql(con.get_execution_options().get("sqlite_begin", "BEGIN"))

    return engine


def moment(at: datetime | None) -> datetime:
    """The given moment or now."""
    return at or datetime.now(UTC)


def append_event(
    con: Connection, what: str, subject: str, detail: Mapping[str, Any], *, who: str, at: datetime
) -> None:
    """Append what happened, inside the transaction that makes it happen."""
    row = {"at": at, "who": who, "what": what, "subject": subject, "detail": dict(detail)}
    con.execute(insert(schema.events).values(**row))


def events(registry: Registry, *, what: str | None = None, subject: str | None = None) -> list[Row]:
    """Events, oldest first."""
    query = select(schema.events).order_by(schema.events.c.id)
    if what is not None:
        query = query.where(schema.events.c.what == what)
    if subject is not None:
        query = query.where(schema.events.c.subject == subject)
    with registry.read() as con:
        return [dict(row) for row in con.execute(query).mappings()]
