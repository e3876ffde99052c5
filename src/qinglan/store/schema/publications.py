"""Tables of bulletins, their versions, moves and frozen files. Versions and moves are only ever added."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String, Table, Text, UniqueConstraint

from qinglan.store.schema.columns import Instant, metadata, serial

publications = Table(
    "publications",
    metadata,
    Column("id", String(80), primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("place", String(40), nullable=False),
    Column("period", String(40), nullable=False),
    Column("first_day", String(10), nullable=False),
    Column("last_day", String(10), nullable=False),
    Column("at", Instant, nullable=False),
)

publication_versions = Table(
    "publication_versions",
    metadata,
    serial(),
    Column("publication", String(80), ForeignKey("publications.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("replaces", Integer),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
    UniqueConstraint("publication", "version", name="uq_publication_versions"),
)

publication_moves = Table(
    "publication_moves",
    metadata,
    serial(),
    Column("publication", String(80), ForeignKey("publications.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("move", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("run_id", String(40), nullable=False),
    Column("content", String(64), nullable=False),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Instant, nullable=False),
    UniqueConstraint("publication", "id", name="uq_publication_moves"),
)

publication_files = Table(
    "publication_files",
    metadata,
    serial(),
    Column("publication", String(80), ForeignKey("publications.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("language", String(8), nullable=False),
    Column("form", String(8), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size", Integer, nullable=False),
    UniqueConstraint("publication", "version", "language", "form", name="uq_publication_files"),
)
