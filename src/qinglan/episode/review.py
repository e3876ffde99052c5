"""After an episode: what the cuts did to the air, and what was promised against what was done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qinglan.core.errors import LayoutError, UsageError


@dataclass(frozen=True, slots=True)
class Effect:
    """Mean over an episode [unit of what was given]: observed, without cuts, and the difference with its interval.

    `change` is below zero where the air was better than forecast. `sure` : whether the interval leaves out zero.
    `hours` : that were observed and so compared.
    """

    observed: float
    without: float
    change: float
    low: float
    high: float
    sure: bool
    hours: int


def effect(observed: NDArray[np.float64], without: NDArray[np.float64], level: float = 0.9) -> Effect:
    """Observed against a forecast without cuts.

    observed : (hours,), NaN where nothing was measured. without : (draws, hours), joint draws of the forecast, so
    that the error of one hour goes with that of the next. level : of the interval, out of the draws' means. It
    holds what the draws hold and no more: a forecast that is biased makes a biased effect.
    """
    if without.ndim != 2 or without.shape[1:] != observed.shape or len(without) < 2:
        raise LayoutError(
            f"observed has the shape {observed.shape}, the forecast {without.shape}.",
            remedy="Give observed (hours,) and at least two draws (draws, hours).",
        )
    seen = np.isfinite(observed)
    if not seen.any() or not np.isfinite(without[:, seen]).all():
        raise UsageError("no hour was observed, or the forecast has gaps.", remedy="Give hours that have both.")
    mean = float(observed[seen].mean())
    changes = mean - without[:, seen].mean(axis=1)
    low, middle, high = (float(q) for q in np.quantile(changes, [(1 - level) / 2, 0.5, (1 + level) / 2]))
    return Effect(mean, mean - middle, middle, low, high, low > 0 or high < 0, int(seen.sum()))


def kept(promised: pl.DataFrame, done: pl.DataFrame) -> pl.DataFrame:
    """Promised against done: `key, promised, done, share`, least kept first.

    Both `key` and `cut` (0 to 1). A line of which nothing is known to be done has `done` and `share` null: that is
    not the same as having done nothing.
    """
    both = promised.select("key", promised="cut").join(done.select("key", done="cut"), on="key", how="left")
    share = pl.when(pl.col("promised") > 0).then(pl.col("done") / pl.col("promised"))
    return both.with_columns(share=share).sort("share", "key", nulls_last=True)
