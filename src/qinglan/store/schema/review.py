"""Tables of levels of review, months locked and reopened, instrument records."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Date, Float, ForeignKey, Index, Integer, String, Table, Text

from qinglan.store.schema.columns import Instant, metadata, serial

#: `live` is true, or null when the sign-off was withdrawn: so that a level has one live sign-off and a history.
day_reviews = Table(
    "day_reviews",
    metadata,
    serial(),
    Column("station", String(64), nullable=False),
    Column("place", String(40), nullable=False),
    Column("day", Date, nullable=False),
    Column("level", String(20), nullable=False),
    Column("remark", Text, nullable=False),
    Column("seen", String(64), nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Column("live", Boolean),
    Column("withdrawn_by", Text),
    Column("withdrawn_at", Instant),
    Column("withdrawn_why", Text),
    Index("ix_day_reviews_station_day_level_live", "station", "day", "level", "live", unique=True),
    Index("ix_day_reviews_place_day", "place", "day"),
)

month_locks = Table(
    "month_locks",
    metadata,
    serial(),
    Column("place", String(40), nullable=False),
    Column("month", String(7), nullable=False),
    Column("state", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("exceptions", JSON, nullable=False),
    Column("seen", String(64), nullable=False),
    Column("days", Integer, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_month_locks_place_month", "place", "month"),
)

instrument_records = Table(
    "instrument_records",
    metadata,
    serial(),
    Column("station", String(64), nullable=False),
    Column("place", String(40), nullable=False),
    Column("item", String(40), nullable=False),
    Column("serial", String(80), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("checked_at", Instant, nullable=False),
    Column("reference", Float, nullable=False),
    Column("reading", Float, nullable=False),
    Column("unit", String(20), nullable=False),
    Column("deviation", Float, nullable=False),
    Column("drift", Float),
    Column("tolerance", Float, nullable=False),
    Column("choice", String(40), nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("remark", Text, nullable=False),
    Column("attachment", String(64), nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_instrument_records_station_item_checked_at", "station", "item", "checked_at"),
)

#: Hours that somebody put into the queue, both ends included; a failed check is the usual cause.
doubted_hours = Table(
    "doubted_hours",
    metadata,
    serial(),
    Column("record", Integer, ForeignKey("instrument_records.id"), nullable=False),
    Column("station", String(64), nullable=False),
    Column("item", String(40), nullable=False),
    Column("first", Instant, nullable=False),
    Column("last", Instant, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_doubted_hours_record", "record", unique=True),
)
