"""Tables of warnings of heavy pollution: moves, notices, orders, answers. Rows are only ever added."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from qinglan.store.schema.columns import Instant, metadata, serial

warnings = Table(
    "warnings",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("place", String(40), nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_warnings_place", "place"),
)

warning_moves = Table(
    "warning_moves",
    metadata,
    serial(),
    Column("warning", String(40), ForeignKey("warnings.id"), nullable=False),
    Column("move", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("level", String(10), nullable=False),
    Column("goal", String(10), nullable=False),
    Column("starts_at", Instant),
    Column("content", String(64), nullable=False),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_warning_moves_warning", "warning"),
)

warning_notices = Table(
    "warning_notices",
    metadata,
    serial(),
    Column("move", Integer, ForeignKey("warning_moves.id"), nullable=False),
    Column("language", String(8), nullable=False),
    Column("form", String(8), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    UniqueConstraint("move", "language", "form", name="uq_warning_notices"),
)

warning_orders = Table(
    "warning_orders",
    metadata,
    serial(),
    Column("warning", String(40), ForeignKey("warnings.id"), nullable=False),
    Column("move", Integer, ForeignKey("warning_moves.id"), nullable=False),
    Column("uscc", String(80), nullable=False),
    Column("enterprise", Text, nullable=False),
    Column("place", String(40), nullable=False),
    Column("level", String(10), nullable=False),
    Column("lines", JSON, nullable=False),
    Column("at", Instant, nullable=False),
    UniqueConstraint("move", "uscc", name="uq_warning_orders"),
    Index("ix_warning_orders_warning", "warning"),
    Index("ix_warning_orders_uscc", "uscc"),
)

warning_replies = Table(
    "warning_replies",
    metadata,
    serial(),
    Column("order", Integer, ForeignKey("warning_orders.id"), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("line", String(80), nullable=False),
    Column("cut", Float),
    Column("note", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_warning_replies_order", "order"),
)
