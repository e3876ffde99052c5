"""The review of an episode. Source (d): a cut of known size is put into noise with memory, and found again."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from qinglan.core.errors import LayoutError, UsageError
from qinglan.episode.review import effect, kept


def draws(rng: np.random.Generator, number: int, hours: int) -> np.ndarray:
    """Air of mean 150 with an error that keeps 0.9 of itself from hour to hour."""
    made = np.empty((number, hours))
    error = rng.normal(0, 10, number)
    for hour in range(hours):
        error = 0.9 * error + np.sqrt(1 - 0.81) * rng.normal(0, 10, number)
        made[:, hour] = 150 + error
    return made


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(200):
        found = effect(draws(rng, 1, 72)[0] - 25, draws(rng, 400, 72))
        inside += found.low <= -25 <= found.high
    assert 0.83 <= inside / 200 <= 0.96, "90 % asked; 200 trials"


def test_gaps_are_left_out_and_a_large_cut_is_sure() -> None:
    rng = np.random.default_rng(4)
    observed = draws(rng, 1, 48)[0] - 60
    observed[5:15] = np.nan
    found = effect(observed, draws(rng, 200, 48))
    assert found.hours == 38
    assert found.sure
    assert found.change == pytest.approx(found.observed - found.without)
    with pytest.raises(LayoutError, match="shape"):
        effect(observed, draws(rng, 3, 47))
    with pytest.raises(UsageError, match="observed"):
        effect(np.full(3, np.nan), np.ones((2, 3)))


def test_unknown_is_not_undone() -> None:
    told = kept(
        pl.DataFrame({"key": ["a", "b", "c"], "cut": [0.5, 0.5, 0.4]}),
        pl.DataFrame({"key": ["a", "c"], "cut": [0.5, 0.1]}),
    )
    assert told["key"].to_list() == ["c", "a", "b"]
    assert told["share"].to_list() == [pytest.approx(0.25), 1.0, None]
