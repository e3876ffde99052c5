"""Rolling origins: each model forecasts again and again from what was known, and is held to what came.

A model gets a history cut at its origin, so what came later cannot reach it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from qinglan.core.errors import UsageError
from qinglan.forecast.models import Model
from qinglan.forecast.scores import coverage, crps, mae, rmse
from qinglan.forecast.series import Floats, History


@dataclass(frozen=True)
class Run:
    """Forecasts: ``values`` (origin, series, lead, level); ``mean``, ``observed`` (origin, series, lead).

    ``origins`` counts the steps that were known.
    """

    name: str
    values: Floats
    mean: Floats
    observed: Floats
    origins: tuple[int, ...]
    leads: tuple[int, ...]
    levels: tuple[float, ...]

    def scores(self) -> list[dict[str, float]]:
        """By lead: RMSE of the mean, MAE of the median, CRPS, and coverage of the interval 0.1..0.9."""
        low, mid, high = (self.levels.index(level) for level in (0.1, 0.5, 0.9))
        found = []
        for at, lead in enumerate(self.leads):
            seen, spread = self.observed[:, :, at], self.values[:, :, at]
            found.append(
                {
                    "lead": float(lead),
                    "rmse": rmse(self.mean[:, :, at], seen),
                    "mae": mae(spread[:, :, mid], seen),
                    "crps": crps(spread, self.levels, seen),
                    "coverage_80": coverage(spread[:, :, low], spread[:, :, high], seen),
                }
            )
        return found

    def since(self, origin: int) -> Run:
        """Only the forecasts from ``origin`` on."""
        at = int(np.searchsorted(self.origins, origin))
        return replace(
            self,
            values=self.values[at:],
            mean=self.mean[at:],
            observed=self.observed[at:],
            origins=self.origins[at:],
        )


def join(first: Run, later: Run) -> Run:
    """One run of two: forecasts of a time before, from which ``calibrate`` and ``blend`` have their start."""
    alike = first.leads == later.leads and first.levels == later.levels
    if not alike or first.origins[-1] >= later.origins[0]:
        raise UsageError("runs to join need the same leads and levels, the earlier one first; roll them alike")
    return replace(
        later,
        values=np.concatenate([first.values, later.values]),
        mean=np.concatenate([first.mean, later.mean]),
        observed=np.concatenate([first.observed, later.observed]),
        origins=first.origins + later.origins,
    )


def roll(model: Model, history: History, origins: Sequence[int], leads: Sequence[int], ahead: int = 0) -> Run:
    """Forecast from each origin (a count of known steps) with a model that is fitted already.

    ``ahead`` hands over so many steps of the observed weather beyond the origin: it stands for a perfect forecast.
    """
    if not origins or max(origins) + max(leads) > history.length:
        raise UsageError(
            f"origins and leads go beyond the {history.length} steps observed; choose earlier origins"
        )
    made = [model.predict(history.until(origin, ahead), leads) for origin in origins]
    steps = np.asarray(origins)[:, None] - 1 + np.asarray(leads)[None, :]
    observed = history.values[:, steps].transpose(1, 0, 2)
    values, mean = np.stack([one.values for one in made]), np.stack([one.mean for one in made])
    return Run(model.name, values, mean, observed, tuple(origins), tuple(leads), made[0].levels)
