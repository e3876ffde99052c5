"""Tables of ledgers: changes, live rows, every version of a row, and what was kept aside.

They know no ledger's columns: a row is its identity (`key`), its data as JSON text with the declared names, and
copies of the few columns that rights and frames ask for. Numbers of rows are given out by the writer (there is
one at a time), so that 100,000 rows go in with plain lists of values.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Table, Text

from qinglan.store.schema.columns import Instant, metadata, serial

#: One import, form, bulk operation, withdrawal or merge. `state` is dry (looked at only) or done; `written` counts
#: the versions that it made: the newest change of a ledger with any names the ledger's frame.
ledger_changes = Table(
    "ledger_changes",
    metadata,
    serial(),
    Column("ledger", String(60), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("state", String(10), nullable=False),
    Column("name", Text, nullable=False),
    Column("file", String(64), nullable=False),
    Column("counts", JSON, nullable=False),
    Column("written", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_ledger_changes_ledger_id", "ledger", "id"),
)

#: `standing` is live, withdrawn or merged; a merged row names in `into` the one that stays.
ledger_rows = Table(
    "ledger_rows",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("ledger", String(60), nullable=False),
    Column("key", Text, nullable=False),
    Column("standing", String(10), nullable=False),
    Column("into", Integer),
    Column("state", String(40), nullable=False),
    Column("place", String(40), nullable=False),
    Column("enterprise", String(80), nullable=False),
    Column("source", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("change", Integer, ForeignKey("ledger_changes.id"), nullable=False),
    Index("ix_ledger_rows_ledger_key", "ledger", "key", unique=True),
    Index("ix_ledger_rows_ledger_enterprise", "ledger", "enterprise"),
)

#: Append-only: what a row said after each change, and which columns that change touched.
ledger_versions = Table(
    "ledger_versions",
    metadata,
    Column("row", Integer, ForeignKey("ledger_rows.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("change", Integer, ForeignKey("ledger_changes.id"), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("standing", String(10), nullable=False),
    Column("columns", Text, nullable=False),
    Column("data", Text, nullable=False),
    Index("ix_ledger_versions_change", "change"),
)

#: A line of a workbook that was not taken in: its cells as they came, and everything that is wrong with them.
#: `status` is open, repaired or dismissed; `digest` names the cells, so that the same line is kept aside once.
ledger_aside = Table(
    "ledger_aside",
    metadata,
    serial(),
    Column("ledger", String(60), nullable=False),
    Column("change", Integer, ForeignKey("ledger_changes.id"), nullable=False),
    Column("line", Integer, nullable=False),
    Column("key", Text, nullable=False),
    Column("place", String(40), nullable=False),
    Column("enterprise", String(80), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("raw", Text, nullable=False),
    Column("faults", Text, nullable=False),
    Column("status", String(10), nullable=False),
    Column("reason", Text, nullable=False),
    Column("settled_by", Text),
    Column("settled_at", Instant),
    Column("settled_change", Integer),
    Index("ix_ledger_aside_ledger_status", "ledger", "status"),
)
