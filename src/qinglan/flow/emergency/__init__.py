"""The emergency list: built of ledgers and inventory, checked, completed, accepted into the ledger."""

from __future__ import annotations

from qinglan.flow.emergency.checking import LEDGER, Checked, check, year_of
from qinglan.flow.emergency.completing import KINDS, Proposal, accept, propose
from qinglan.flow.emergency.gathering import Gathered, books_on, gathered, grades_of
from qinglan.flow.emergency.seeing import Plant, Seen, plant, seen
from qinglan.flow.emergency.sheets import SHEETS, sheet

__all__ = [
    "KINDS",
    "LEDGER",
    "SHEETS",
    "Checked",
    "Gathered",
    "Plant",
    "Proposal",
    "Seen",
    "accept",
    "books_on",
    "check",
    "gathered",
    "grades_of",
    "plant",
    "propose",
    "seen",
    "sheet",
    "year_of",
]
