"""Tables of the forecaster's desk: bulletins, their moves, edits of a place's day, frozen files. Only added to."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from qinglan.store.schema.columns import Instant, metadata, serial

desk_bulletins = Table(
    "desk_bulletins",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("place", String(40), nullable=False),
    Column("day", String(10), nullable=False),
    Column("at", Instant, nullable=False),
    UniqueConstraint("place", "day", name="uq_desk_bulletins"),
)

desk_moves = Table(
    "desk_moves",
    metadata,
    serial(),
    Column("bulletin", String(40), ForeignKey("desk_bulletins.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("replaces", Integer),
    Column("move", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("content", String(64), nullable=False),
    Column("office", String(80), nullable=False),
    Column("until", Instant),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_desk_moves_bulletin", "bulletin"),
)

desk_edits = Table(
    "desk_edits",
    metadata,
    serial(),
    Column("bulletin", String(40), ForeignKey("desk_bulletins.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("place", String(40), nullable=False),
    Column("day", String(10), nullable=False),
    Column("low", Integer),
    Column("high", Integer),
    Column("level", Integer),
    Column("primary", String(80), nullable=False),
    Column("words", Text, nullable=False),
    Column("machine", JSON, nullable=False),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_desk_edits_bulletin", "bulletin"),
)

desk_files = Table(
    "desk_files",
    metadata,
    serial(),
    Column("bulletin", String(40), ForeignKey("desk_bulletins.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("language", String(8), nullable=False),
    Column("form", String(8), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    UniqueConstraint("bulletin", "version", "language", "form", name="uq_desk_files"),
)
