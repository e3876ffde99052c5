"""The parts of the inventory neither share an activity nor lose one, and joining keeps the sums."""

from __future__ import annotations

import polars as pl
from tests.ledger.rows import TODAY, checked

from qinglan.emission import area
from qinglan.emission.build import build
from qinglan.emission.whole import build_all
from qinglan.ledger.activity import activities
from qinglan.ledger.declare import load_ledger
from qinglan.sim import ledgers as simulated

KEY = ["ledger", "row_key", "activity"]


def test_every_simulated_activity_of_2025_comes_out() -> None:
    for name in simulated.ledger_ids():
        ledger = load_ledger(name)
        if not ledger.activity:
            continue
        rows = activities(ledger, checked(ledger, simulated.rows(name, size=12)).rows, TODAY)
        rows = rows.filter(pl.col("year") == 2025)
        made = build_all(rows)
        met = pl.concat([made.emissions.select(KEY), made.gaps.select(KEY)]).unique()
        assert met.sort(KEY).equals(rows.select(KEY).unique().sort(KEY)), name
        assert not made.emissions.select(*KEY, "species").is_duplicated().any(), name
        own = area.sectors()
        parts = [build(rows.filter(~own)), area.build(rows.filter(own))]
        total = sum(part.emissions["emission_t"].sum() for part in parts)
        assert made.emissions["emission_t"].sum() == total
