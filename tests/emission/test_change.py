"""The split of a change against its closed form, and key sources against a table worked by hand.

Sources: Ang 2005 (doi:10.1016/j.enpol.2003.10.010), Ang & Liu 2007 (doi:10.1016/j.enpol.2006.11.011); IPCC 2006
vol. 1 ch. 4.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qinglan.emission.build import build
from qinglan.emission.change import EFFECTS, change, key_sources, log_mean, split
from qinglan.emission.frames import EMISSIONS
from qinglan.plan.rules import load_book

BOOK = load_book("tcses144", date(2024, 12, 31))


def boiler(source: str, **given: Any) -> dict[str, Any]:
    row = {
        **dict.fromkeys(("source_id", "ledger", "row_key", "activity", "place"), source),
        "year": 2024,
        "sector": "heat",
        "fuel": "coal",
        "technology": "automatic_grate",
        "amount": 1e4,
        "unit": "t",
        "terms": {"sulphur": 0.5, "so2_control": None, "cems_so2_t": None},
    }
    return row | given


def emissions(*rows: dict[str, Any]) -> pl.DataFrame:
    return build(pl.DataFrame(list(rows), infer_schema_length=None)).emissions


def so2(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, Any]:
    found = change(before, after).filter(species="so2")
    assert found.height == 1
    return found.row(0, named=True)


positive = st.floats(1e-6, 1e6)


@given(st.tuples(*[positive] * 6))
def test_nothing_is_left_over(values: tuple[float, ...]) -> None:
    """LMDI is exact: the effects sum to the change, whatever the factors."""
    before, after = ([np.array([v]) for v in values[:3]], [np.array([v]) for v in values[3:]])
    effects = sum(part[0] for part in split(before, after))
    first, last = np.prod(values[:3]), np.prod(values[3:])
    assert effects == pytest.approx(last - first, rel=1e-9, abs=1e-9 * max(first, last))


@given(st.tuples(*[positive] * 6))
def test_turning_the_years_round_turns_the_signs(values: tuple[float, ...]) -> None:
    """Time reversal (Ang 2005, table 2)."""
    before, after = ([np.array([v]) for v in values[:3]], [np.array([v]) for v in values[3:]])
    for forth, back in zip(split(before, after), split(after, before), strict=True):
        assert forth[0] == pytest.approx(-back[0], rel=1e-6, abs=1e-6 * abs(np.prod(values[3:])))


def test_log_mean_lies_between() -> None:
    """(4 - 1)/ln 4; near equality without loss."""
    near = log_mean(np.array([4.0, 1.0 + 1e-13, 5.0]), np.array([1.0, 1.0, 5.0]))
    assert near.tolist() == pytest.approx([3 / np.log(4), 1.0, 5.0])


def test_more_coal_better_coal_and_a_scrubber() -> None:
    """Coal 10,000 to 12,000 t, sulphur 0.5 to 0.4 %, scrubber of 80 % at 90 %: 85 t to 81.6 x 0.28 = 22.848 t."""
    last = emissions(boiler("A"))
    this = emissions(
        boiler("A", amount=12_000.0, terms={"sulphur": 0.4, "so2_control": "dual_alkali", "running_rate": 90.0})
    )
    row = so2(last, this)
    assert (row["before_t"], row["after_t"]) == (pytest.approx(85.0), pytest.approx(22.848))
    weight = (22.848 - 85.0) / np.log(22.848 / 85.0)
    assert row["by_activity"] == pytest.approx(weight * np.log(1.2))
    assert row["by_factor"] == pytest.approx(weight * np.log(0.8))
    assert row["by_control"] == pytest.approx(weight * np.log(0.28))
    assert sum(row[e] for e in EFFECTS) == pytest.approx(row["change_t"], rel=1e-12)
    assert not row["method_changed"]


def test_opened_closed_and_idle() -> None:
    last, this = emissions(boiler("old"), boiler("idle")), emissions(boiler("new"), boiler("idle", amount=0.0))
    rows = {r["source_id"]: r for r in change(last, this).filter(species="so2").iter_rows(named=True)}
    assert rows["old"]["closed"] == pytest.approx(-85.0)
    assert rows["new"]["opened"] == pytest.approx(85.0)
    assert rows["idle"]["by_activity"] == pytest.approx(-85.0)
    assert sum(rows[s][e] for s in rows for e in EFFECTS) == pytest.approx(-85.0)


def test_another_method_is_said() -> None:
    """From balance to CEMS: the whole belongs to the factor, and the row says that the method changed."""
    row = so2(emissions(boiler("A")), emissions(boiler("A", terms={"sulphur": 0.5, "cems_so2_t": 50.0})))
    assert row["method_changed"]
    assert row["by_factor"] == pytest.approx(-35.0)


def test_units_that_agree_are_turned_and_others_are_said() -> None:
    last, same = emissions(boiler("A")), emissions(boiler("A", amount=1.0, unit="万t"))
    assert so2(last, same)["by_activity"] == pytest.approx(0.0, abs=1e-9)
    other = last.with_columns(unit=pl.lit("m3"), emission_t=pl.col("emission_t") / 2)
    row = so2(last, other)
    assert row["redefined"] == pytest.approx(-42.5)
    assert row["by_activity"] == row["by_factor"] == row["by_control"] == 0.0


def test_totals_of_effects_are_the_change_of_totals() -> None:
    rng = np.random.default_rng(1)
    last = emissions(*[boiler(str(i), amount=float(a)) for i, a in enumerate(rng.uniform(1e3, 1e5, 40))])
    this = emissions(*[boiler(str(i), amount=float(a)) for i, a in enumerate(rng.uniform(1e3, 1e5, 45), start=3)])
    found = change(last, this)
    total = found.select(pl.sum(*EFFECTS)).sum_horizontal()[0]
    assert total == pytest.approx(this["emission_t"].sum() - last["emission_t"].sum(), rel=1e-9)
    assert found.height == last.join(this, on=["source_id", "species"], how="full").height


def test_key_sources_by_hand() -> None:
    """60, 25, 10, 4, 1 of 100 t: the first three reach 95 %."""
    masses = {"power": 60.0, "cement": 25.0, "steel": 10.0, "glass": 4.0, "lime": 1.0}
    base = {**dict.fromkeys(EMISSIONS), "species": "nox"}
    frame = pl.DataFrame([base | {"sector": s, "emission_t": m} for s, m in masses.items()], schema=EMISSIONS)
    table = key_sources(frame, ["sector"], BOOK)
    assert table["sector"].to_list() == list(masses)
    assert table["key"].to_list() == [True, True, True, False, False]
    assert table["cumulative"].to_list() == pytest.approx([0.60, 0.85, 0.95, 0.99, 1.0])
    crossed = key_sources(frame.filter(pl.col("sector") != "steel"), ["sector"], BOOK)
    assert crossed["key"].to_list() == [True, True, True, False]  # 85/90 is 94.4 %: the next one crosses
