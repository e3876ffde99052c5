"""What SQLite and PostgreSQL each need so that the registry behaves alike on both.

=================  ===================================  ====================================================
matter             SQLite                               PostgreSQL
=================  ===================================  ====================================================
one writer         ``BEGIN IMMEDIATE``                  an advisory lock until the transaction ends
consistent reader  a snapshot of the write-ahead log    ``REPEATABLE READ``, read only
order of names     by code point                        by code point: the database must collate as ``C``
text               any characters                       no NUL: shown as ``␀`` (U+2400)
=================  ===================================  ====================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError

from qinglan.core.errors import StoreError, UsageError
from qinglan.store.write_ahead import PATIENCE, write_ahead

#: Keys of our advisory locks on a server: arbitrary, but never to be changed.
_WRITER, _MIGRATOR = 7_163_401, 7_163_402
#: Seconds until an unreachable server is given up.
_PATIENCE = 10
_COLLATIONS = ("C", "POSIX", "C.UTF-8", "C.utf8")

#: How a reading connection is opened.
READING: Mapping[str, Mapping[str, Any]] = {
    "sqlite": {},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


def registry_url(place: Path | str) -> URL:
    """The database URL that a path or a URL means; UsageError for another database than the two.

    >>> registry_url("postgresql://qinglan@db/qinglan").drivername
    'postgresql+psycopg'
    """
    if isinstance(place, Path):
        return URL.create("sqlite", database=str(place))
    try:
        url = make_url(place)
    except ArgumentError as cause:  # its message may show a password, so it is not passed on
        raise UsageError("the address of the registry is no database URL.", remedy=_REMEDY) from cause
    name = url.drivername
    if name.split("+")[0] in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if name != "sqlite":
        raise UsageError(f"a registry cannot lie in {name!r}.", remedy=_REMEDY)
    return url


_REMEDY = "Write postgresql://USER@HOST/DATABASE, or leave it out for SQLite."


def make_engine(place: Path | str) -> Engine:
    """An engine for the registry at a path or URL.

    Raises StoreError when the driver is missing, the server cannot be reached, or its database does not fit.
    """
    url = registry_url(place)
    try:
        if url.get_backend_name() == "sqlite":
            return _sqlite(url)
        return _postgresql(url)
    except (ModuleNotFoundError, NoSuchModuleError) as cause:
        raise StoreError(
            "the driver of PostgreSQL is not installed.", remedy="Install it: pip install 'qinglan[postgres]'."
        ) from cause


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, json_serializer=_dump)

    @event.listens_for(engine, "connect")
    def opened(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None  # transactions are ours, so that changes of tables roll back too
        write_ahead(dbapi)
        for pragma in ("synchronous=FULL", "foreign_keys=ON", f"busy_timeout={PATIENCE * 1000:.0f}"):
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begun(con: Connection) -> None:
        con.exec_driver_sql(con.get_execution_options().get("sqlite_begin", "BEGIN"))

    return engine


def _postgresql(url: URL) -> Engine:
    """Connections are tested before use, so that a restarted server costs nobody an error."""
    engine = create_engine(
        url,
        json_serializer=_dump,
        pool_pre_ping=True,
        connect_args={"connect_timeout": _PATIENCE, "application_name": "qinglan"},
    )

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def without_nul(con: Any, cursor: Any, sql: str, given: Any, context: Any, many: bool) -> tuple[str, Any]:
        """Text of a broken file may hold NUL, which the server refuses: keep it visible."""
        if isinstance(given, Mapping):
            return sql, {name: _shown(value) for name, value in given.items()}
        if many and isinstance(given, list | tuple):
            return sql, [{name: _shown(value) for name, value in row.items()} for row in given]
        return sql, given

    _check_server(engine)
    return engine


def _shown(value: Any) -> Any:
    return value.replace("\0", "\u2400") if isinstance(value, str) and "\0" in value else value


def _check_server(engine: Engine) -> None:
    shown = engine.url.render_as_string(hide_password=True)
    query = "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE datname = current_database()"
    try:
        with engine.connect() as con:
            encoding, collation = con.execute(text(query)).one()
    except OperationalError as cause:
        raise StoreError(
            f"the registry {shown} cannot be reached: {str(cause.orig).strip().splitlines()[-1]}",
            remedy="Check the server, the name and the right to log in; the password comes from PGPASSWORD or the "
            "password file (PGPASSFILE, ~/.pgpass).",
        ) from cause
    if encoding != "UTF8" or collation not in _COLLATIONS:
        raise StoreError(
            f"the database of {shown} has encoding {encoding} and collation {collation}; names would be ordered "
            "otherwise than in SQLite.",
            remedy="CREATE DATABASE qinglan TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'.",
        )


def wait_for_turn(con: Connection) -> None:
    """Be the only writer until the transaction ends (SQLite's own lock does it there)."""
    if con.dialect.name == "postgresql":
        con.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER})


@contextmanager
def migrating_alone(engine: Engine) -> Iterator[None]:
    """Be the only one who migrates; the server frees the lock of a process that dies."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as con:
        con.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATOR})
        try:
            yield
        finally:
            con.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATOR})


def size_of(engine: Engine) -> int:
    """Bytes of a PostgreSQL server's database, indexes and all."""
    with engine.connect() as con:
        return int(con.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
