"""The parts of the inventory neither share an activity nor lose one.

Source: synthetic truth, the simulated ledgers of Qinghai; conservation.
"""

from __future__ import annotations

from datetime import date
from functools import cache

import polars as pl
import pytest

from qinglan.emission import area, mobile
from qinglan.emission.build import stationary
from qinglan.emission.categories import categories
from qinglan.emission.frames import Inventory
from qinglan.emission.whole import build_all
from qinglan.ledger.activity import activities
from qinglan.ledger.check import check_rows
from qinglan.ledger.declare import ledgers, load_ledger
from qinglan.plan.places import load_places
from qinglan.sim import ledgers as sim

TODAY = date(2026, 3, 1)
KEY = ["ledger", "row_key", "activity"]
ACTIVE = tuple(name for name in sim.ledger_ids() if load_ledger(name).activity)


@cache
def rows_of(name: str) -> pl.DataFrame:
    """A simulated ledger handed in as text, checked, and read as activity data of every year."""
    ledger, raw = load_ledger(name), sim.rows(name)
    known = {c.refers: set(raw[c.name].drop_nulls()) for c in ledger.columns if c.refers and c.name in raw.columns}
    checked = check_rows(ledger, raw, today=TODAY, places=load_places(), key_region=frozenset(), known=known)
    assert checked.aside == 0
    return activities(ledger, checked.rows, TODAY)


@cache
def built(name: str) -> Inventory:
    return build_all(rows_of(name))


def test_every_sector_belongs_to_one_part_at_the_most() -> None:
    names = pl.DataFrame({"sector": list(categories().sectors)})
    parts = names.with_columns(a=stationary(), b=mobile.sectors(), c=area.sectors())
    assert parts.filter(pl.sum_horizontal("a", "b", "c") > 1).is_empty()
    assert parts.filter(~pl.any_horizontal("a", "b", "c"))["sector"].to_list() == ["shipping"]


@pytest.mark.parametrize("name", ACTIVE)
def test_every_simulated_activity_comes_out(name: str) -> None:
    """In emissions or in gaps, and no species twice."""
    rows, made = rows_of(name), built(name)
    assert rows.height > 0
    met = pl.concat([made.emissions.select(KEY), made.gaps.select(KEY)]).unique()
    assert met.sort(KEY).equals(rows.select(KEY).unique().sort(KEY))
    assert not made.emissions.select(*KEY, "year", "species").is_duplicated().any()
    assert made.emissions.filter(~pl.col("emission_t").is_finite() | (pl.col("emission_t") < 0)).is_empty()


def test_each_kind_of_source_has_tonnes() -> None:
    """Classes of T/CSES 144 that the simulated province has, none of them empty."""
    made = pl.concat([built(name).emissions.select("sector", "species", "emission_t") for name in ACTIVE])
    classes = {name: entry["class"] for name, entry in categories().sectors.items()}
    sums = (
        made.with_columns(kind=pl.col("sector").replace_strict(classes)).group_by("kind").agg(pl.sum("emission_t"))
    )
    assert set(sums.filter(pl.col("emission_t") > 0)["kind"]) == set(categories().classes)


def test_ledgers_together_give_what_they_give_apart() -> None:
    chosen = [name for name in ("boilers", "roads", "locomotives", "livestock") if name in ACTIVE]
    frames = [rows_of(name).drop("terms").with_columns(terms=rows_of(name)["terms"]) for name in chosen]
    together = build_all(pl.concat([_plain(frame) for frame in frames], how="diagonal"))
    apart = sum(build_all(_plain(frame)).emissions["emission_t"].sum() for frame in frames)
    assert together.emissions["emission_t"].sum() == pytest.approx(apart, rel=1e-12)


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with all terms that any of the ledgers gives, in one struct."""
    fields = {name: None for ledger in ledgers() for a in load_ledger(ledger).activity for name in a.terms}
    own = {field.name: field.dtype for field in frame.schema["terms"].fields}  # type: ignore[union-attr]
    told = [
        pl.col("terms").struct.field(name).cast(pl.String) if name in own else pl.lit(None, pl.String).alias(name)
        for name in fields
    ]
    return frame.with_columns(terms=pl.struct(told))
