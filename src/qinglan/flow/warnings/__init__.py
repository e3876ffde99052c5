"""Warnings of heavy pollution: proposed from the air, approved by rank, ordered, answered, verified, reviewed."""

from __future__ import annotations

from qinglan.episode.completion import SPECIES
from qinglan.flow.warnings.delivery import deliver
from qinglan.flow.warnings.life import (
    act,
    clock,
    draft,
    local_command,
    one,
    permission,
    possible,
)
from qinglan.flow.warnings.notices import FORMS, export
from qinglan.flow.warnings.orders import (
    METHODS,
    answer,
    cut_from_use,
    normal_use,
    order_of,
    orders_about,
    orders_of,
    orders_to,
    own_sources,
    summed,
    verify,
)
from qinglan.flow.warnings.proposing import Asked, asked, evidence, kept_evidence, read_series
from qinglan.flow.warnings.reviewing import air_of, cases, effect_of, hours_in_force, review_of
from qinglan.flow.warnings.rules import IN_FORCE, OPEN, jurisdictions, level_name, moves, rank_of, words

__all__ = [
    "FORMS",
    "IN_FORCE",
    "METHODS",
    "OPEN",
    "SPECIES",
    "Asked",
    "act",
    "air_of",
    "answer",
    "asked",
    "cases",
    "clock",
    "cut_from_use",
    "deliver",
    "draft",
    "effect_of",
    "evidence",
    "export",
    "hours_in_force",
    "jurisdictions",
    "kept_evidence",
    "level_name",
    "local_command",
    "moves",
    "normal_use",
    "one",
    "order_of",
    "orders_about",
    "orders_of",
    "orders_to",
    "own_sources",
    "permission",
    "possible",
    "rank_of",
    "read_series",
    "review_of",
    "summed",
    "verify",
    "words",
]
