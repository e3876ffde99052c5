"""The emergency list: built of ledgers and inventory, checked, completed, accepted into the ledger."""

from __future__ import annotations

from qinglan.flow.emergency.checking import LEDGER, Checked, check, year_of
from qinglan.flow.emergency.completing import KINDS, Proposal, accept, propose
from qinglan.flow.emergency.gathering import Gathered, books_on, gathered, grades_of

__all__ = [
    "KINDS",
    "LEDGER",
    "Checked",
    "Gathered",
    "Proposal",
    "accept",
    "books_on",
    "check",
    "gathered",
    "grades_of",
    "propose",
    "year_of",
]
