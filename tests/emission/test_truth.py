"""The simulated province: the inventory out of its ledgers is the truth where a row is complete, and the stated
interval holds the truth where it is not.

Source: synthetic truth, :func:`qinglan.sim.ledgers.truth`; its recipes work T/CSES 144-2024 apart from here.
"""

from __future__ import annotations

from datetime import date
from functools import cache

import numpy as np
import polars as pl
import pytest

from qinglan.emission.build import build, stationary
from qinglan.emission.uncertainty import uncertainty
from qinglan.ledger.activity import activities
from qinglan.ledger.check import check_rows
from qinglan.ledger.declare import load_ledger
from qinglan.plan.places import load_places
from qinglan.sim import ledgers as sim

TODAY = date(2026, 3, 1)
YEAR = 2025
KEYS = ["ledger", "source_id", "activity", "species"]
LEDGERS = ("boilers", "clean-heating", "production-lines", "voc-facilities", "voc-substitution")


@cache
def activities_of(name: str) -> pl.DataFrame:
    """A simulated ledger handed in as text, checked, and read as activity data."""
    ledger, raw = load_ledger(name), sim.rows(name)
    known = {c.refers: set(raw[c.name].drop_nulls()) for c in ledger.columns if c.refers and c.name in raw.columns}
    checked = check_rows(ledger, raw, today=TODAY, places=load_places(), key_region=frozenset(), known=known)
    assert checked.aside == 0
    return activities(ledger, checked.rows, TODAY).filter(stationary() & (pl.col("year") == YEAR))


@cache
def truth() -> pl.DataFrame:
    return sim.truth(YEAR)


@pytest.mark.parametrize("name", LEDGERS)
def test_complete_rows_give_the_truth(name: str) -> None:
    """Every source and species that the simulation knows, to rounding."""
    told = truth().filter(ledger=name)
    assert told.height > 10
    mine = build(activities_of(name)).emissions.select(*KEYS, found="emission_t")
    both = told.join(mine, on=KEYS, how="left")
    assert both["found"].null_count() == 0
    assert both["found"].to_list() == pytest.approx(both["emission_t"].to_list(), rel=1e-12)


def without(rows: pl.DataFrame, *terms: str) -> pl.DataFrame:
    """The same rows with some terms not told."""
    fields = [field.name for field in rows.schema["terms"].fields]  # type: ignore[union-attr]
    kept = [pl.col("terms").struct.field(name) for name in fields if name not in terms]
    return rows.with_columns(terms=pl.struct(kept))


def test_the_interval_holds_the_truth_of_coal_that_nobody_analysed() -> None:
    """Sulphur left out of every boiler: the default is wrong, and the 95 % interval says how wrong it may be."""
    total = truth().filter(ledger="boilers", species="so2")["emission_t"].sum()
    sources = truth().filter(ledger="boilers", species="so2").select("source_id")
    rows = without(activities_of("boilers"), "sulphur", "ash").join(sources, on="source_id", how="semi")
    coal = rows.filter(activity="combustion")
    table = uncertainty(build(coal).emissions, ["species"], rng=np.random.default_rng(1))
    so2 = table.filter(species="so2").row(0, named=True)
    assert so2["emission_t"] != pytest.approx(total, rel=0.01)
    assert so2["low"] < total < so2["high"]


def test_the_interval_holds_the_truth_where_the_firing_is_not_told() -> None:
    sources = truth().filter(ledger="boilers", species="nox").select("source_id")
    total = truth().filter(ledger="boilers", species="nox")["emission_t"].sum()
    coal = activities_of("boilers").filter(activity="combustion").join(sources, on="source_id", how="semi")
    blind = build(coal.with_columns(technology=pl.lit("none"))).emissions
    assert set(blind.filter(species="nox")["method"]) == {"factor_default"}
    nox = uncertainty(blind, ["species"], rng=np.random.default_rng(1)).filter(species="nox").row(0, named=True)
    assert nox["low"] < total < nox["high"]


def test_what_the_ledgers_tell_less_well_is_told_with_less_certainty() -> None:
    """The interval without analyses is wider than with them."""
    coal = activities_of("boilers").filter(activity="combustion")
    spread = []
    for rows in (coal, without(coal, "sulphur", "ash")):
        table = uncertainty(build(rows).emissions, ["species"], rng=np.random.default_rng(1), draws=400)
        so2 = table.filter(species="so2").row(0, named=True)
        spread.append(so2["high_percent"] - so2["low_percent"])
    assert spread[0] < spread[1]
