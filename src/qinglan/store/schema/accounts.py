"""Tables of people, their grants, sessions and keys. Secrets are kept only as hashes (but the second factor's).

A grant or a key is ended, never deleted, so that the log can be read against them; a session is kept half a year
after its end (Cybersecurity Law of the PRC: logs of networks are kept at least six months).
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from qinglan.store.schema.columns import Instant, metadata, serial

users = Table(
    "users",
    metadata,
    Column("id", String(60), primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("must_change", Boolean, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("blocked_until", Instant),
    Column("totp_secret", String(64), nullable=False),
    Column("totp_step", BigInteger, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("issuer_subject", Text, nullable=False),
    Column("seen_at", Instant),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_users_issuer_issuer_subject", "issuer", "issuer_subject"),
)

grants = Table(
    "grants",
    metadata,
    serial(),
    Column("user_id", String(60), ForeignKey("users.id"), nullable=False),
    Column("role", String(40), nullable=False),
    Column("place", String(40), nullable=False),
    Column("department", String(120), nullable=False),
    Column("sources", JSON, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Index("ix_grants_user_id", "user_id"),
)

sessions = Table(
    "sessions",
    metadata,
    serial(),
    Column("token_hash", String(64), nullable=False),
    Column("user_id", String(60), ForeignKey("users.id"), nullable=False),
    Column("stage", String(20), nullable=False),
    Column("via", String(20), nullable=False),
    Column("agent", Text, nullable=False),
    Column("address", String(64), nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Index("ix_sessions_token_hash", "token_hash", unique=True),
    Index("ix_sessions_user_id", "user_id"),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    serial(),
    Column("user_id", String(60), ForeignKey("users.id"), nullable=False),
    Column("code_hash", String(64), nullable=False),
    Column("at", Instant, nullable=False),
    Column("used_at", Instant),
    Index("ix_recovery_codes_user_id", "user_id"),
)

keys = Table(
    "keys",
    metadata,
    serial(),
    Column("key_hash", String(64), nullable=False),
    Column("start", String(16), nullable=False),
    Column("user_id", String(60), ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("seen_at", Instant),
    Column("revoked_at", Instant),
    Index("ix_keys_key_hash", "key_hash", unique=True),
    Index("ix_keys_user_id", "user_id"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
    Column("at", Instant, nullable=False),
)
