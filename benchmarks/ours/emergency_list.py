"""An invented emergency list, completed three ways on the same arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from benchmarks.peers import list_rules
from qinglan.episode.completion import LEVELS, SPECIES, Terms, complete
from qinglan.episode.reasons import explained

RATIOS = (0.1, 0.2, 0.3)
SPREAD = 0.2


def invented(enterprises: int, seed: int = 7) -> pl.DataFrame:
    """Lines of so many enterprises (one to three each) in 36 industries and four grades; a tenth are protected."""
    rng = np.random.default_rng(seed)
    per = rng.integers(1, 4, enterprises)
    owner = np.repeat(np.arange(enterprises), per)
    number = len(owner)
    industry = rng.integers(0, 36, enterprises)[owner]
    grade = rng.choice(["A", "B", "C", "D"], enterprises, p=[0.05, 0.25, 0.5, 0.2])[owner]
    protected = (rng.random(enterprises) < 0.1)[owner]
    size = rng.lognormal(-4, 1.5, number)
    columns: dict[str, Any] = {
        "key": [f"L{n}" for n in range(number)],
        "enterprise": [f"E{n}" for n in owner],
        "group": [f"{i}|{g}" for i, g in zip(industry, grade, strict=True)],
        **{s: size * rng.lognormal(0, 0.8, number) for s in SPECIES},
        "cost": size * rng.lognormal(10, 0.7, number),
        "whole": np.zeros(number, dtype=bool),
    }
    most = {"A": (0.0, 0.0, 0.0), "B": (0.3, 0.4, 0.5), "C": (0.5, 0.8, 1.0), "D": (1.0, 1.0, 1.0)}
    least = {"A": (0.0, 0.0, 0.0), "B": (0.05, 0.1, 0.2), "C": (0.1, 0.2, 0.3), "D": (0.2, 0.3, 0.5)}
    for at, level in enumerate(LEVELS):
        for side, of in (("low", least), ("high", most)):
            values = np.array([of[g][at] for g in grade])
            columns[f"{side}_{level}"] = np.where(protected, 0.0, values)
            columns[f"{side}_why_{level}"] = np.where(protected, "protected", "grade").tolist()
    return pl.DataFrame(columns)


def terms_of(lines: pl.DataFrame) -> Terms:
    """The lines are 70 % of the whole society's emission; the rest cuts nothing."""
    base = {s: float(lines[s].sum()) / 0.7 for s in SPECIES}
    return Terms(base, {n: dict.fromkeys(SPECIES, r) for n, r in zip(LEVELS, RATIOS, strict=True)}, spread=SPREAD)


def arrays(lines: pl.DataFrame, terms: Terms) -> dict[str, Any]:
    """The case as the rules of thumb take it."""
    sides = {
        side: np.column_stack([lines[f"{side}_{level}"].to_numpy() for level in LEVELS])
        for side in ("low", "high")
    }
    return {
        **sides,
        "tonnes": lines.select(SPECIES).to_numpy(),
        "cost": lines["cost"].to_numpy(),
        "base": np.array([terms.base[s] for s in SPECIES]),
        "ratio": np.array([[terms.ratio[level][s] for s in SPECIES] for level in LEVELS]),
        "spread": terms.spread,
    }


def programme(enterprises: int) -> dict[str, Any]:
    """The cheapest fair completion, every line explained."""
    lines = invented(enterprises)
    terms = terms_of(lines)
    found = complete(lines, terms)
    said = explained(lines, terms, found)
    return {"cost": found.optimum, "met": found.met, "lines": lines.height, "said": said.height}


def rule(enterprises: int, name: str) -> dict[str, Any]:
    """A rule of thumb."""
    lines = invented(enterprises)
    case = arrays(lines, terms_of(lines))
    cuts = getattr(list_rules, name)(case)
    met = all(list_rules.met(case, cuts[:, level], level) for level in range(3))
    return {"cost": float((case["cost"][:, None] * cuts).sum()), "met": met, "lines": lines.height}
