"""The shipped ledgers feed the inventory: names, units and terms of their activities are those that methods read.

Source: the contract of docs/design/0012-ledgers.md; rows are the ledgers' own examples.
"""

from __future__ import annotations

from functools import cache

import polars as pl
import pytest
from tests.ledger.rows import TODAY, checked, raw_of

from qinglan.emission.build import build, stationary
from qinglan.emission.frames import ALIASES, NUMBERS, REASONS, TEXTS, Inventory
from qinglan.ledger.activity import activities
from qinglan.ledger.declare import Ledger, ledgers, load_ledger

#: Terms that stationary ledgers give and no method reads yet.
UNREAD = {"volume", "vapour_pressure", "seal"}


def activities_of(ledger: Ledger) -> pl.DataFrame:
    return activities(ledger, checked(ledger, raw_of(ledger.good)).rows, TODAY)


@cache
def stationary_ledgers() -> dict[str, tuple[pl.DataFrame, Inventory]]:
    made = {}
    for name in ledgers():
        ledger = load_ledger(name)
        if ledger.activity:
            rows = activities_of(ledger).filter(stationary())
            if rows.height:
                made[name] = rows, build(rows)
    return made


def test_there_are_such_ledgers() -> None:
    assert {"boilers", "furnaces", "production-lines", "ldar", "voc-facilities"} <= set(stationary_ledgers())


def test_every_term_of_a_stationary_activity_is_read() -> None:
    known = {*NUMBERS, *TEXTS, *ALIASES, *UNREAD, "none"}
    strange = {
        name: [field.name for field in rows.schema["terms"].fields if field.name not in known]  # type: ignore[union-attr]
        for name, (rows, _) in stationary_ledgers().items()
    }
    assert not {name: terms for name, terms in strange.items() if terms}


def test_every_example_is_in_the_inventory() -> None:
    """In emissions, or in gaps with a reason of data, never for a name or a unit that the ledger itself gives."""
    for name, (rows, inventory) in stationary_ledgers().items():
        met = set(inventory.emissions["row_key"]) | set(inventory.gaps["row_key"])
        assert met == set(rows["row_key"]), name
        assert set(inventory.gaps["reason"]) <= set(REASONS)
        own = inventory.gaps.filter(
            pl.col("reason").is_in(["unknown_category", "unknown_control", "unit_mismatch"])
        )
        assert own.is_empty(), (name, own.select("reason", "detail").rows())
        assert inventory.emissions.height, name


def test_a_boiler_of_the_ledger_by_hand() -> None:
    """8,600 t at 0.52 % sulphur, scrubber running 98 %: 20 x 0.52 x 0.85 kg/t x (1 - 0.8 x 0.98)."""
    _, inventory = stationary_ledgers()["boilers"]
    so2 = inventory.emissions.filter(species="so2", fuel="coal", amount=8600.0)
    assert so2["emission_t"].to_list() == pytest.approx([8600 * 8.84e-3 * (1 - 0.8 * 0.98)])
