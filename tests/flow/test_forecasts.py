"""The office's forecast: what it knew, what it says, how it is kept and how it came out."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from qinglan.core.clock import CST
from qinglan.core.errors import NotFound, StoreError, UsageError
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow import forecasts
from qinglan.flow.forecasts import keeping, training
from qinglan.forecast.air_index import QUANTILES

FIRST, DAYS = date(2024, 1, 1), 460
PLACES = ("630100", "630200", "632800")
USUAL = {"so2": 12.0, "no2": 22.0, "co": 0.7, "mda8": 110.0, "pm10": 70.0, "pm2_5": 35.0}
#: Data go on for ten days after the forecast.
MADE = datetime(2025, 3, 26, 16, tzinfo=CST)


@dataclass(frozen=True)
class Bare:
    """A home without a registry."""

    home: Path


def fabricate(home: Path, days: int = DAYS, after: float = 1.0, before: float = 1.0) -> Bare:
    """A run whose place_days and place_aqi are drawn; values after (before) the cut-off of MADE are multiplied."""
    rng = np.random.default_rng(5)
    folder = home / "results" / "drawn"
    folder.mkdir(parents=True, exist_ok=True)
    cut = (MADE.date() - FIRST).days - (DAYS - days)
    rows: dict[str, Any] = {"place": [], "day": [], **{item: [] for item in DAILY_ITEMS}}
    for place in PLACES:
        walk = np.zeros(days)
        for at in range(1, days):
            walk[at] = 0.7 * walk[at - 1] + 0.3 * rng.normal()
        rows["place"] += [place] * days
        rows["day"] += [FIRST + timedelta(days=DAYS - days + n) for n in range(days)]
        scale = np.where(np.arange(days) >= cut, after, 1.0) * np.where(np.arange(days) == cut - 1, before, 1.0)
        for item in DAILY_ITEMS:
            rows[item] += list(USUAL[item] * np.exp(walk) * scale)
    frame = pl.DataFrame(rows)
    frame.write_parquet(folder / "place_days.parquet")
    frame.select(
        "place", "day", aqi=pl.lit(85), level=pl.lit(2), primary_pollutant=pl.lit("pm10"), in_force=pl.lit(True)
    ).write_parquet(folder / "place_aqi.parquet")
    (folder / "verdict.json").write_text(json.dumps({"run": {"id": "drawn"}}))
    return Bare(home)


@pytest.fixture(scope="module", autouse=True)
def _few_rows() -> Any:
    """Few trees on few rows: what is tested here is not how good they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeping, "ROWS", 600)
        patch.setattr(keeping, "ROUNDS", 6)
        patch.setattr(training, "_STEP", 9)
        yield


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Bare:
    """A workspace with one forecast."""
    made = fabricate(tmp_path_factory.mktemp("forecasts") / "home")
    forecasts.run(made, MADE, now=datetime(2025, 5, 1, tzinfo=UTC))
    return made


def test_the_newest_forecast_says_values_and_index(home: Bare) -> None:
    values, aqi = forecasts.latest(home)
    assert values.columns == ["place", "made_at", "day", "lead_day", "item", "mean", *QUANTILES]
    assert values.height == len(PLACES) * 10 * len(DAILY_ITEMS)
    assert (values["day"].min(), values["lead_day"].min()) == (date(2025, 3, 27), 1), "today is not counted"
    assert (values["q05"] <= values["q50"]).all()
    assert {"place", "made_at", "day", "lead_day", "p1", "p6", "low", "high", "level", "primary", "dust",
            "ozone"} <= set(aqi.columns)  # fmt: skip
    assert aqi.height == len(PLACES) * 10
    total = aqi.select(pl.sum_horizontal([f"p{n}" for n in range(1, 7)])).to_series()
    np.testing.assert_allclose(total.to_numpy(), 1)
    assert set(forecasts.latest(home, ["630100"]).aqi["place"]) == {"630100"}
    with pytest.raises(NotFound, match="no forecast was made up to 2025-03-25"):
        forecasts.latest(home, as_of=date(2025, 3, 25))


def test_what_comes_after_the_cut_off_changes_nothing(home: Bare, tmp_path: Path) -> None:
    """From the first value that is read to the last file that is written, with training in between."""
    first = forecasts.newest(home, MADE)
    later = forecasts.run(fabricate(tmp_path / "later", after=9.0), MADE, now=datetime(2025, 5, 1, tzinfo=UTC))
    assert later.id == first.id
    assert later.models().equals(first.models())
    assert later.read().aqi.equals(first.read().aqi)
    moved = forecasts.run(fabricate(tmp_path / "moved", before=9.0), MADE)
    assert moved.id != first.id
    assert not moved.models().equals(first.models())


def test_a_forecast_is_never_made_twice_nor_overwritten(home: Bare) -> None:
    first = forecasts.newest(home, MADE)
    stamp = (first.folder / "values.parquet").stat().st_mtime_ns
    again = forecasts.run(home, MADE)
    assert again.id == first.id
    assert (first.folder / "values.parquet").stat().st_mtime_ns == stamp
    assert first.about["hindcast"]
    assert first.about["cut_off"] == "2025-03-25"
    assert {rule["book"] for rule in first.about["making"]["rules"]} == {"forecast", "hj633"}
    assert [note["code"] for note in first.notes] == ["no_weather_ahead"]


def test_a_training_has_its_card_and_its_models_come_back_as_they_were(home: Bare) -> None:
    (card,) = forecasts.trainings(home)
    assert (card.last, card.models) == (
        date(2025, 3, 25),
        ("persistence", "climatology", "season", "linear", "boosted", "direct"),
    )
    assert {row["model"] for row in card.scores} == {*card.models, "blend", "blend, calibrated"}
    assert card.check_from == "2024-12-04", "the last quarter of the days is kept from fitting"
    folder = home.home / training.FOLDER / card.id
    models, checks = training.models_of(folder)
    data = training.known(home, MADE)
    history = data.history("pm2_5", card.series["pm2_5"], card.first)
    again = training.fitted("boosted", history, card.leads).predict(history, card.leads)
    np.testing.assert_allclose(models["pm2_5"]["boosted"].predict(history, card.leads).values, again.values)
    assert set(checks) == set(DAILY_ITEMS)


def test_days_that_have_come_are_scored(home: Bare) -> None:
    found = forecasts.verify(home)
    assert (found.forecasts, found.hindcasts) == (1, 1)
    assert found.days == (date(2025, 3, 27), date(2025, 4, 4))
    assert found.values.filter(item="pm2_5")["n"].to_list() == [3] * 9
    assert set(found.skill["against"]) == {"persistence", "climatology"}
    assert found.aqi["n"].sum() == 27
    by_place = forecasts.verify(home, by=("place",), places=["630100"])
    assert by_place.aqi["place"].to_list() == ["630100"]
    with pytest.raises(NotFound, match="no day that was forecast has come"):
        forecasts.verify(home, since=date(2026, 1, 1))


def test_data_that_come_late_and_stop_degrade_the_forecast_by_rule(home: Bare) -> None:
    late = forecasts.run(home, datetime(2025, 4, 7, 16, tzinfo=CST))
    assert {"code": "data_late", "days": 1, "last": "2025-04-05"} not in late.notes
    assert {"code": "data_late", "days": 2, "last": "2025-04-04"} in late.notes
    assert late.read().values["q50"].null_count() == 0
    stale = forecasts.run(home, datetime(2025, 4, 20, 16, tzinfo=CST))
    assert "data_stale" in [note["code"] for note in stale.notes]
    assert set(stale.models()["model"]) == {"climatology", "issued"}


def test_a_short_history_makes_a_plain_forecast_and_says_so(tmp_path: Path) -> None:
    home = fabricate(tmp_path / "short", days=70)
    made = forecasts.run(home, MADE)
    assert set(made.models()["model"]) == {"persistence", "climatology", "issued"}
    assert "short_history" in [note["code"] for note in made.notes]
    with pytest.raises(UsageError, match="no place knows any pollutant on 30 days"):
        forecasts.run(home, datetime(2025, 2, 10, 16, tzinfo=CST))
    with pytest.raises(NotFound, match="no place has daily values up to 2024-12-31"):
        forecasts.run(home, datetime(2025, 1, 1, 16, tzinfo=CST))
    with pytest.raises(UsageError, match="carries no zone"):
        forecasts.run(home, datetime(2025, 2, 10, 16))  # noqa: DTZ001


def test_a_damaged_training_is_named(home: Bare, tmp_path: Path) -> None:
    (card, *_) = forecasts.trainings(home)
    folder = tmp_path / "models" / card.id
    shutil.copytree(home.home / training.FOLDER / card.id, folder)
    (folder / "models.npz").unlink()
    with pytest.raises(StoreError, match=f"models/{card.id} cannot be read"):
        keeping.load(folder)
    (folder / "card.json").write_text("{")
    with pytest.raises(StoreError, match=r"card\.json cannot be read"):
        training.read(folder)
