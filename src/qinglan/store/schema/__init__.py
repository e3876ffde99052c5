"""Tables of the registry. Nothing official is deleted: rows are superseded and every change appends an event.

Written in the common subset of SQLite and PostgreSQL. Instants are UTC; codes and states are plain strings whose
vocabularies are checked by the functions that write them.
"""

from qinglan.store.schema import accounts, desk, ledgers, operations, public, publications, review, warnings
from qinglan.store.schema.columns import Instant, NaiveInstant, metadata
from qinglan.store.schema.judging import dust_events, flag_decisions, reported_values, runs, task_evidence
from qinglan.store.schema.loading import events, load_files, loads, rejects, stations

__all__ = [
    "Instant",
    "NaiveInstant",
    "accounts",
    "desk",
    "dust_events",
    "events",
    "flag_decisions",
    "ledgers",
    "load_files",
    "loads",
    "metadata",
    "operations",
    "public",
    "publications",
    "rejects",
    "reported_values",
    "review",
    "runs",
    "stations",
    "task_evidence",
    "warnings",
]
