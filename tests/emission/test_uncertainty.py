"""Monte Carlo against closed forms: products of lognormals, sums with shared and with own errors, and the ranking.

Sources: moments of the lognormal distribution; Var(T) of sums of products, worked below; IPCC 2006 vol. 1 ch. 3.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import polars as pl
import pytest

from qinglan.core.errors import UsageError
from qinglan.emission.build import build
from qinglan.emission.frames import EMISSIONS
from qinglan.emission.uncertainty import contributions, draw, inputs, propagated, uncertainty

DRAWS = 40_000


def rows(*given: dict[str, Any]) -> pl.DataFrame:
    """A frame of emissions; what is not given is certain."""
    sure = {"amount": 1.0, "factor": 1.0, "method": 1.0, "removal": 1.0}
    made = []
    for i, row in enumerate(given):
        base = {"source_id": f"S{i}", "species": "nox", "year": 2024, "factor_id": f"f{i}", "sector": "heat"}
        made.append({**dict.fromkeys(EMISSIONS), **base, **row, "sigma": sure | row.get("sigma", {})})
    return pl.DataFrame(made, schema=EMISSIONS)


def totals(frame: pl.DataFrame, seed: int = 1) -> np.ndarray[Any, np.dtype[np.float64]]:
    made = inputs(frame)
    return draw(made, np.zeros(frame.height, dtype=np.int64), DRAWS, np.random.default_rng(seed))[:, 0]


def cv2(*sigmas: float) -> float:
    """Squared coefficient of variation of a product of lognormals: exp(sum ln(sigma)^2) - 1."""
    return float(np.expm1(sum(np.log(s) ** 2 for s in sigmas)))


def test_product_of_lognormals() -> None:
    """A x F x M: the log of the product is normal; mean as stated, variance exp(sum s^2) - 1."""
    frame = rows({"emission_t": 100.0, "sigma": {"amount": 1.1, "factor": 1.5, "method": 1.2}})
    found = totals(frame)
    s2 = np.log(1.1) ** 2 + np.log(1.5) ** 2 + np.log(1.2) ** 2
    assert found.mean() == pytest.approx(100.0, rel=0.01)
    assert found.var() == pytest.approx(100.0**2 * np.expm1(s2), rel=0.06)
    for share, z in ((2.5, -1.959964), (50.0, 0.0), (97.5, 1.959964)):
        closed = 100.0 * np.exp(z * np.sqrt(s2) - s2 / 2)
        assert np.percentile(found, share) == pytest.approx(closed, rel=0.02)


def test_a_shared_factor_does_not_average_out() -> None:
    """100 boilers of 1 t: with one factor the sum errs as the factor does; with their own by a tenth."""
    one = rows(*[{"emission_t": 1.0, "factor_id": "shared", "sigma": {"factor": 1.4}} for _ in range(100)])
    own = rows(*[{"emission_t": 1.0, "sigma": {"factor": 1.4}} for _ in range(100)])
    assert totals(one).std() / 100 == pytest.approx(np.sqrt(cv2(1.4)), rel=0.03)
    assert totals(own).std() / 100 == pytest.approx(np.sqrt(cv2(1.4)) / 10, rel=0.03)


def test_sum_of_rows_that_share_one_error_and_not_the_other() -> None:
    """Var(T) = sum over pairs of E_i E_j (prod over the shared errors of (1 + cv^2) - 1), exactly."""
    masses = np.array([5.0, 3.0, 2.0])
    frame = rows(
        *[
            {"emission_t": m, "factor_id": "shared", "sigma": {"amount": 1.3, "factor": 1.6}}
            for m in masses.tolist()
        ]
    )
    shared, both = cv2(1.6), cv2(1.3, 1.6)
    covariance = np.outer(masses, masses) * shared
    np.fill_diagonal(covariance, masses**2 * both)
    assert totals(frame).var() == pytest.approx(covariance.sum(), rel=0.06)


def test_species_of_one_activity_share_its_amount() -> None:
    frame = rows(
        {"emission_t": 1.0, "source_id": "A", "species": "nox", "sigma": {"amount": 1.5}},
        {"emission_t": 1.0, "source_id": "A", "species": "so2", "sigma": {"amount": 1.5}},
        {"emission_t": 1.0, "source_id": "B", "species": "so2", "sigma": {"amount": 1.5}},
    )
    made = inputs(frame)
    found = draw(made, np.arange(3), 2_000, np.random.default_rng(2))
    assert np.array_equal(found[:, 0], found[:, 1])
    assert abs(np.corrcoef(found[:, 0], found[:, 2])[0, 1]) < 0.1


def test_no_device_takes_less_than_nothing() -> None:
    """20 % removal: what passes is at most 1/0.8 of what was stated, however unsure the device."""
    frame = rows(
        {
            "emission_t": 80.0,
            "removal": 0.2,
            "running": 1.0,
            "capture": 1.0,
            "removal_id": "bag",
            "sigma": {"removal": 1.5},
        }
    )
    found = totals(frame)
    assert found.max() <= 100.0001
    assert found.max() > 99.0
    spread = np.log(1.5)
    cut = np.exp(np.random.default_rng(3).standard_normal(400_000) * spread - spread**2 / 2)
    assert found.mean() == pytest.approx(80.0 * cut[cut <= 1.25].mean(), rel=0.01)


def test_devices_of_one_name_err_together_and_measured_ones_alone() -> None:
    device = {"emission_t": 1.0, "removal": 0.9, "running": 1.0, "capture": 1.0, "sigma": {"removal": 1.3}}
    frame = rows(*[device | {"removal_id": name} for name in ("bag", "bag", "bag@A", "bag@B")])
    found = draw(inputs(frame), np.arange(4), 3_000, np.random.default_rng(4))
    together = np.corrcoef(found.T)
    assert together[0, 1] == pytest.approx(1.0)
    assert abs(together[0, 2]) < 0.1
    assert abs(together[2, 3]) < 0.1


def test_contributions_are_the_variances_of_conditional_means() -> None:
    """First-order index: fix one error, average over the rest; against the closed form."""
    frame = rows(
        {"emission_t": 60.0, "factor_id": "F", "sigma": {"amount": 1.2, "factor": 1.5}},
        {"emission_t": 40.0, "factor_id": "F", "sigma": {"amount": 1.8, "factor": 1.5}},
    )
    parts = contributions(inputs(frame), np.ones(2, dtype=bool))
    by_name = dict(zip(parts["name"], parts["variance"], strict=True))
    assert by_name["F"] == pytest.approx(100.0**2 * cv2(1.5))
    assert by_name["S0 of 2024"] == pytest.approx(60.0**2 * cv2(1.2))
    assert by_name["S1 of 2024"] == pytest.approx(40.0**2 * cv2(1.8))
    assert parts["name"].to_list() == ["F", "S1 of 2024", "S0 of 2024"]
    assert parts["share"].sum() == pytest.approx(1.0)
    errors = np.random.default_rng(5).lognormal(-(np.log(1.5) ** 2) / 2, np.log(1.5), DRAWS)
    assert np.var(100.0 * errors) == pytest.approx(by_name["F"], rel=0.06)


def test_error_propagation_agrees_where_errors_are_small() -> None:
    """IPCC approach 1 against approach 2: within 3 % of the standard deviation for errors of some percent."""
    frame = rows(*[{"emission_t": float(i), "sigma": {"amount": 1.03, "factor": 1.05}} for i in range(1, 20)])
    sd = propagated(inputs(frame), np.ones(19, dtype=bool))
    assert totals(frame).std() == pytest.approx(sd, rel=0.03)
    ipcc = np.sqrt(sum((i**2) * (cv2(1.03) + cv2(1.05)) for i in range(1, 20)))
    assert sd == pytest.approx(ipcc)


def test_table_by_group_with_a_seed() -> None:
    frame = rows(
        {"emission_t": 10.0, "species": "so2", "sigma": {"factor": 1.3}},
        {"emission_t": 20.0, "species": "nox", "sigma": {"factor": 1.1}},
        {"emission_t": 5.0, "species": "nox", "sigma": {"amount": 1.5}},
    )
    table = uncertainty(frame, ["species"], rng=np.random.default_rng(7), draws=2_000)
    again = uncertainty(frame, ["species"], rng=np.random.default_rng(7), draws=2_000)
    assert table.equals(again)
    assert table["species"].to_list() == ["nox", "so2"]
    assert table["emission_t"].to_list() == [25.0, 10.0]
    nox = table.row(0, named=True)
    assert nox["low"] < 25.0 < nox["high"]
    assert nox["low_percent"] < 0 < nox["high_percent"]
    assert (nox["main_input"], nox["main_name"]) == ("amount", "S2 of 2024")
    assert table["main_name"].to_list() == ["S2 of 2024", "f0"]


def test_many_groups_are_drawn_in_lots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Totals of a few groups at a time: each group's interval is that of its own closed form."""
    frame = rows(*[{"emission_t": float(i + 1), "factor_id": "F", "sigma": {"factor": 1.5}} for i in range(25)])
    monkeypatch.setattr("qinglan.emission.uncertainty.TOTALS", 8_000 * 4)
    table = uncertainty(frame, ["source_id"], rng=np.random.default_rng(8), draws=8_000)
    assert table.height == 25
    s = np.log(1.5)
    high = table["emission_t"].to_numpy() * np.exp(1.959964 * s - s**2 / 2)
    assert table["high"].to_list() == pytest.approx(high.tolist(), rel=0.05)
    assert table["source_id"].to_list() == sorted(frame["source_id"])


def test_one_draw_is_refused() -> None:
    with pytest.raises(UsageError, match="1 draw"):
        uncertainty(rows({"emission_t": 1.0}), ["species"], rng=np.random.default_rng(1), draws=1)


def test_nothing_has_no_percent() -> None:
    table = uncertainty(rows({"emission_t": 0.0}), ["species"], rng=np.random.default_rng(1), draws=10)
    assert table.select("low_percent", "high_percent", "propagated_percent").row(0) == (None, None, None)


def test_what_is_certain_does_not_spread() -> None:
    table = uncertainty(rows({"emission_t": 3.0}), ["species"], rng=np.random.default_rng(1), draws=10)
    assert table.select("mean", "low", "high", "sd").row(0) == (3.0, 3.0, 3.0, 0.0)


@pytest.mark.slow
def test_a_thousand_draws_of_twenty_thousand_activities() -> None:
    """Under 30 s (issue 4); 20,000 boilers, 200,000 emissions."""
    boiler = {
        "source_id": "S",
        "ledger": "boilers",
        "row_key": "S",
        "activity": "burn",
        "place": "630105",
        "year": 2024,
        "sector": "heat",
        "fuel": "coal",
        "technology": "automatic_grate",
        "amount": 1e4,
        "unit": "t",
        "terms": {"sulphur": 0.5, "dust_control": "bag", "so2_control": "limestone_gypsum"},
    }
    many = pl.concat([pl.DataFrame([boiler])] * 20_000).with_columns(
        source_id=pl.int_range(pl.len()).cast(pl.String)
    )
    emissions = build(many).emissions
    start = time.perf_counter()
    table = uncertainty(emissions, ["species"], rng=np.random.default_rng(1))
    assert time.perf_counter() - start < 30
    assert table["mean"].to_list() == pytest.approx(table["emission_t"].to_list(), rel=0.06)
