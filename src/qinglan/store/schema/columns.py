"""The pieces that every table is made of: the metadata, moments and serial numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, DateTime, Dialect, Integer, MetaData, TypeDecorator
from sqlalchemy.exc import DontWrapMixin

from qinglan.core.errors import UsageError


class NaiveInstant(UsageError, DontWrapMixin):
    """A moment without a zone was about to be written."""


class Instant(TypeDecorator[datetime]):
    """A moment with its zone; stored in UTC (SQLite forgets zones)."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive moment, turn the others to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise NaiveInstant(f"instant {value.isoformat()} carries no zone.", remedy="Pass an aware datetime.")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "fk": "fk_%(table_name)s_%(column_0_name)s"}
)


def serial() -> Column[int]:
    """A number that grows with every row."""
    return Column("id", Integer, primary_key=True, autoincrement=True)
