"""The forecaster's desk: the machine's proposal edited with reasons, consulted on, approved, issued, corrected."""

from __future__ import annotations

from qinglan.flow.forecasts.desk.cells import chain, from_bytes, issued, kept, lasting, table
from qinglan.flow.forecasts.desk.life import (
    act,
    begin,
    clock,
    edit,
    identity,
    local_command,
    machine_of,
    one,
    possible,
    stamp,
)
from qinglan.flow.forecasts.desk.notices import FORMS, export
from qinglan.flow.forecasts.desk.rules import OPEN, SPOKEN, Edit, book_of, due_at, moves, states
from qinglan.flow.forecasts.desk.scoring import MACHINE, OFFICE, Apart, apart, issued_pairs

__all__ = [
    "FORMS",
    "MACHINE",
    "OFFICE",
    "OPEN",
    "SPOKEN",
    "Apart",
    "Edit",
    "act",
    "apart",
    "begin",
    "book_of",
    "chain",
    "clock",
    "due_at",
    "edit",
    "export",
    "from_bytes",
    "identity",
    "issued",
    "issued_pairs",
    "kept",
    "lasting",
    "local_command",
    "machine_of",
    "moves",
    "one",
    "possible",
    "stamp",
    "states",
    "table",
]
