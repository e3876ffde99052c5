"""AQI of a forecast: golden days, the rule of the valid day, how pollutants go together, dust and ozone apart."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from qinglan.core.names import DAILY_ITEMS
from qinglan.forecast.air_index import QUANTILES, Joint, air_index, drawn, joint
from qinglan.forecast.series import LEVELS
from qinglan.plan.rules import load_book, rules_on

BOOK = load_book("forecast", date(2026, 2, 1))
OLD, NEW = date(2026, 2, 28), date(2026, 3, 1)
#: Fact sheet 2.5: 85 by ozone under HJ 633-2012, 99 by PM10 under HJ 633-2026.
GOLDEN = {"so2": 12, "no2": 38, "co": 1.2, "mda8": 142, "pm10": 118, "pm2_5": 58}
CLEAN = {"so2": 5, "no2": 10, "co": 0.3, "mda8": 40, "pm10": 20, "pm2_5": 10}


def forecast(days: list[date], values: dict[str, object]) -> pl.DataFrame:
    """Rows of one place; a number stands for all quantiles, a list for each."""
    rows = []
    for lead, day in enumerate(days, 1):
        for item, value in values.items():
            spread = value if isinstance(value, list) else [value] * len(LEVELS)
            rows.append({"place": "630100", "day": day, "lead_day": lead, "item": item,
                         **dict(zip(QUANTILES, map(float, spread), strict=True))})  # fmt: skip
    return pl.DataFrame(rows)


def said(
    values: dict[str, object], day: date = OLD, ranks: dict[str, np.ndarray] | None = None
) -> dict[str, object]:
    even = (np.arange(200) + 0.5) / 200
    tied = Joint(ranks or dict.fromkeys(values, even), told=True)
    found = air_index(forecast([day], values), {"630100": tied}, {day: rules_on(day)}, BOOK)
    return found.row(0, named=True)


def test_a_certain_forecast_is_judged_by_the_rule_of_its_own_day() -> None:
    tied = {"630100": Joint(dict.fromkeys(GOLDEN, np.array([0.5])), told=True)}
    found = air_index(forecast([OLD, NEW], dict(GOLDEN)), tied, {d: rules_on(d) for d in (OLD, NEW)}, BOOK)
    assert found.select("q50", "low", "high", "level", "primary", "p2", "edition").rows() == [
        (85, 85, 85, 2, "mda8", 1.0, "HJ 633-2012"),
        (99, 99, 99, 2, "pm10", 1.0, "HJ 633-2026"),
    ]


def test_probabilities_are_those_of_the_quantiles() -> None:
    """PM2.5 of 75 is AQI 100 (2012): it stands at the 75 per cent quantile, so a quarter lies above."""
    found = said({**CLEAN, "pm2_5": [30, 36, 50, 60, 75, 115, 150]})
    assert found["p_over"] == pytest.approx(0.25, abs=0.006)
    assert sum(found[f"p{n}"] for n in range(1, 7)) == pytest.approx(1)  # type: ignore[misc]
    assert found["p3"] == pytest.approx(0.15, abs=0.011)
    assert (found["primary"], found["dust"], found["ozone"]) == ("pm2_5", False, False)
    assert found["level_low"] == 2


def test_pollutants_that_go_apart_exceed_on_more_days_than_those_that_go_together() -> None:
    spread: list[float] = [30, 36, 50, 60, 75, 115, 150]
    ozone: list[float] = [70, 90, 110, 130, 160, 200, 230]
    even = (np.arange(400) + 0.5) / 400
    values = {**CLEAN, "pm2_5": spread, "mda8": ozone}
    together = said(values, ranks=dict.fromkeys(values, even))
    apart = said(values, ranks={**dict.fromkeys(values, even), "mda8": 1 - even})
    assert together["p_over"] == pytest.approx(0.25, abs=0.006)
    assert apart["p_over"] == pytest.approx(0.5, abs=0.006)


def test_ranks_come_from_past_days_of_the_season() -> None:
    days = [date(2024, 1, 1) + timedelta(days=n) for n in range(500)]
    n = np.arange(500.0)
    past = pl.DataFrame({"day": days, "pm2_5": n, "mda8": -n})
    found = joint(past, ["pm2_5", "mda8"], date(2025, 1, 15), BOOK)
    assert found.told
    np.testing.assert_allclose(found.ranks["pm2_5"], 1 - found.ranks["mda8"])
    assert found.cases == sum(min(abs(d.timetuple().tm_yday - 15), 366 - abs(d.timetuple().tm_yday - 15)) <= 45
                              for d in days)  # fmt: skip
    few = joint(past.head(20), ["pm2_5", "mda8"], date(2025, 1, 10), BOOK)
    assert not few.told
    np.testing.assert_array_equal(few.ranks["pm2_5"], few.ranks["mda8"])


def test_dust_and_ozone_are_flagged_apart() -> None:
    dusty = said({**CLEAN, "pm10": [150, 180, 220, 300, 400, 500, 600], "pm2_5": 40})
    assert (dusty["dust"], dusty["ozone"], dusty["primary"]) == (True, False, "pm10")
    smoke = said({**CLEAN, "pm10": [150, 180, 220, 300, 400, 500, 600], "pm2_5": 110})
    assert not smoke["dust"], "with so much PM2.5 it is not dust"
    ozone = said({**CLEAN, "mda8": [120, 150, 165, 180, 200, 220, 240]})
    assert (ozone["dust"], ozone["ozone"], ozone["primary"]) == (False, True, "mda8")


def test_without_an_item_the_rest_is_judged_and_that_is_said() -> None:
    rest = {item: value for item, value in GOLDEN.items() if item != "so2"}
    found = said(dict(rest), NEW)
    assert (found["q50"], found["without"]) == (99, "so2")


def test_values_are_drawn_at_the_quantiles_themselves_and_never_below_zero() -> None:
    spread = np.array([[1.0, 2, 3, 4, 5, 6, 7], [0, 0, 0, 1, 2, 3, 4]])
    np.testing.assert_allclose(drawn(spread, np.array(LEVELS)), spread, atol=1e-9)
    tails = drawn(spread, np.array([0.0001, 0.9999]))
    assert (tails >= 0).all()
    assert tails[0, 0] < 1
    assert tails[0, 1] > 7
    assert set(DAILY_ITEMS) == set(GOLDEN)
