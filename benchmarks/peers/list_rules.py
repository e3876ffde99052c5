"""Two rules of thumb for an emergency list, in numpy: everybody the same share, and the cheapest first.

Both keep the same bounds, nesting and band of fairness as the programme does; neither looks ahead.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def proportional(case: dict[str, Any]) -> np.ndarray:
    """Cuts (lines, 3): at each level one share for all, within each line's bounds, as small as meets the needs."""
    cuts = np.zeros_like(case["low"])
    for level in range(3):
        low = np.maximum(case["low"][:, level], cuts[:, level - 1] if level else 0.0)
        high = np.maximum(case["high"][:, level], low)
        least, most = 0.0, 1.0
        for _ in range(60):
            share = (least + most) / 2
            least, most = (least, share) if met(case, np.clip(share, low, high), level) else (share, most)
        cuts[:, level] = np.clip(most, low, high)
    return cuts


def greedy(case: dict[str, Any], step: float = 0.01) -> np.ndarray:
    """Cuts (lines, 3): the line that gives most of what is still missing for its cost is cut first, as far as the
    band above the common base reaches; when all are, the base rises by a step and they begin again."""
    cuts = np.zeros_like(case["low"])
    base = 0.0
    for level in range(3):
        x = np.maximum(case["low"][:, level], cuts[:, level - 1] if level else 0.0)
        high = np.maximum(case["high"][:, level], x)
        x = np.clip(np.maximum(x, base), 0.0, high)
        while True:
            x = _fill(case, x, np.minimum(high, np.maximum(x, base + case["spread"])), level)
            if met(case, x, level) or base >= 1.0:
                break
            base = min(1.0, base + step)
            x = np.clip(np.maximum(x, base), 0.0, high)
        cuts[:, level] = x
    return cuts


def _fill(case: dict[str, Any], x: np.ndarray, most: np.ndarray, level: int) -> np.ndarray:
    """Raise lines towards `most`, best value first, until every need is met."""
    shares = case["tonnes"] / case["base"]
    x = x.copy()
    done = np.zeros(len(x), dtype=bool)
    while not met(case, x, level) and not done.all():
        lack = np.maximum(case["ratio"][level] - shares.T @ x, 0.0) > 1e-12
        value = np.where(done, -1.0, shares[:, lack].sum(1) / np.maximum(case["cost"], 1e-9))
        order = np.argsort(-value)
        order = order[~done[order]]
        gain = (most - x)[order, None] * shares[order]
        missing = (case["ratio"][level] - shares.T @ x)[lack]
        reach = np.cumsum(gain[:, lack], axis=0)
        full = (reach >= missing).any(axis=1)
        at = int(full.argmax()) if full.any() else len(order) - 1
        x[order[:at]] = most[order[:at]]
        done[order[:at]] = True
        left = (case["ratio"][level] - shares.T @ x)[lack]
        own = shares[order[at]][lack]
        wanted = np.max(np.where(own > 0, left / np.maximum(own, 1e-300), 0.0), initial=0.0)
        one = np.min(np.where((own > 0) & (left > 0), left / np.maximum(own, 1e-300), np.inf), initial=np.inf)
        rise = min(most[order[at]] - x[order[at]], one if np.isfinite(one) else wanted)
        x[order[at]] += max(rise, 0.0) * (1 + 1e-12)
        done[order[at]] = x[order[at]] >= most[order[at]] - 1e-12 or rise <= 0
    return x


def met(case: dict[str, Any], x: np.ndarray, level: int) -> bool:
    """Whether a level's cuts meet all needs."""
    return bool(((case["tonnes"] / case["base"]).T @ x >= case["ratio"][level] - 1e-9).all())
