"""Tables of what the public reports. Who reported stands apart: fewer see it, and it can be erased alone."""

from __future__ import annotations

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, String, Table, Text

from qinglan.store.schema.columns import Instant, metadata, serial

complaints = Table(
    "complaints",
    metadata,
    serial(),
    Column("number", String(20), nullable=False, unique=True),
    Column("once", String(64), nullable=False, unique=True),
    Column("code_hash", String(64), nullable=False),
    Column("category", String(40), nullable=False),
    Column("place", String(40), nullable=False),
    Column("spot", Text, nullable=False),
    Column("lat", Float),
    Column("lon", Float),
    Column("seen_at", Instant),
    Column("text", Text, nullable=False),
    Column("language", String(8), nullable=False),
    Column("photo", String(64), nullable=False),
    Column("status", String(20), nullable=False),
    Column("handler", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Index("ix_complaints_status_at", "status", "at"),
    Index("ix_complaints_place", "place"),
)

complaint_contacts = Table(
    "complaint_contacts",
    metadata,
    Column("complaint_id", Integer, ForeignKey("complaints.id"), primary_key=True),
    Column("contact", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

complaint_moves = Table(
    "complaint_moves",
    metadata,
    serial(),
    Column("complaint_id", Integer, ForeignKey("complaints.id"), nullable=False),
    Column("before", String(20), nullable=False),
    Column("after", String(20), nullable=False),
    Column("handler", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_complaint_moves_complaint_id", "complaint_id"),
)
