"""The cheapest fair completion of an emergency list: who cuts how much more, so that the required share is met.

A linear programme (mixed-integer where lines stop whole) in linopy, solved by HiGHS. Decision: the share that each
line cuts at each level, between what its grade demands and what it can or may give. The equations stand in
docs/explanation/emergency-list.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qinglan.core.errors import LayoutError, QinglanError, UsageError
from qinglan.episode.solving import solve

Array = NDArray[np.float64]

LEVELS = ("yellow", "orange", "red")
#: Species of an emergency list; the standards ask for a share of each.
SPECIES = ("pm", "so2", "nox", "voc")
#: What :func:`complete` is given of each line: tonnes a day of each species, `cost` of a day's whole stop [CNY],
#: `group` (industry and grade: fairness holds within), `enterprise`, `whole` (stops as a whole or not at all), by
#: level the least and the greatest share of its cut (0 to 1) and why the greatest is not more.
LINES: dict[str, Any] = {
    **dict.fromkeys(("key", "enterprise", "group"), pl.String),
    **dict.fromkeys(SPECIES, pl.Float64),
    "cost": pl.Float64,
    "whole": pl.Boolean,
    **{f"{side}_{level}": pl.Float64 for side in ("low", "high") for level in LEVELS},
    **{f"{side}_why_{level}": pl.String for side in ("low", "high") for level in LEVELS},
}
#: Shares closer than this are the same; far below what an order could say (0.1 %).
TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Terms:
    """What a completion must keep.

    base : whole-society emission of a day [t/d] by species. ratio : required cut by level and species (0 to 1).
    done : what other parts of the list (mobile, dust) cut already, by level and species [t/d].
    trade : whether SO2 and NOx may stand for each other, so that the sum of their shares is kept.
    spread : greatest difference of cuts within an industry and grade (0 to 1). weights : of each level's cost.
    """

    base: Mapping[str, float]
    ratio: Mapping[str, Mapping[str, float]]
    done: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    trade: bool = False
    spread: float = 1.0
    weights: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(LEVELS, 1.0))


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement at one level: the cut of its species, each over its base, is at least `share` (0 to 1)."""

    name: str
    level: str
    species: tuple[str, ...]
    share: float


@dataclass(frozen=True)
class Completion:
    """What was found.

    met : whether all requirements are met. cuts : `key, level, cut, low, high, cost_cny` and `<species>_t` cut.
    needs : `level, need, required, reached, short` [shares], `price_point` [CNY for a percentage point],
    `price_<species>` [CNY/t]. bases : `group, level, base`: nobody of the group (of those who can) cuts less.
    cost : CNY for a day of each level. optimum : weighted cost, the objective. whole : lines that stop whole.
    """

    met: bool
    cuts: pl.DataFrame
    needs: pl.DataFrame
    bases: pl.DataFrame
    cost: Mapping[str, float]
    optimum: float
    whole: int


def rows_of(terms: Terms) -> tuple[Row, ...]:
    """The requirements: one for each level and species; SO2 and NOx together where they may be traded."""
    pairs: list[tuple[str, tuple[str, ...]]] = [(s, (s,)) for s in SPECIES]
    if terms.trade:
        pairs = [("pm", ("pm",)), ("so2+nox", ("so2", "nox")), ("voc", ("voc",))]
    made = []
    for level in LEVELS:
        for name, species in pairs:
            kept = tuple(s for s in species if terms.base.get(s, 0) > 0)
            share = sum(
                terms.ratio[level][s] - terms.done.get(level, {}).get(s, 0.0) / terms.base[s] for s in kept
            )
            if kept:
                made.append(Row(name, level, kept, share))
    return tuple(made)


@dataclass(frozen=True)
class _Problem:
    """Arrays of a case: lines first, levels second."""

    keys: list[str]
    tonnes: Array  #: (lines, species)
    cost: Array  #: (lines,)
    low: Array  #: (lines, levels)
    high: Array
    group: NDArray[np.int64]
    groups: list[str]
    upper: NDArray[np.bool_]  #: whether the band's upper side binds this line at this level
    lower: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    enterprise: NDArray[np.int64]
    floors: Array  #: (lines, levels): what whole lines of an enterprise must cut together
    rows: tuple[Row, ...]
    base: Mapping[str, float]


def complete(lines: pl.DataFrame, terms: Terms, *, gap: float = 1e-3) -> Completion:
    """The cheapest fair completion. lines : :data:`LINES`. gap : relative, of the search for whole lines.

    Where the requirement cannot be met, as much of it is met as can be (the sum of what is missing is least), at
    the least cost, and `met` is False; :mod:`qinglan.episode.reasons` says what holds it back. Raises LayoutError
    for bounds that contradict each other, naming the line.
    """
    problem = _prepared(lines, terms)
    solved = _solve(problem, terms, gap)
    met = solved is not None
    if solved is None:
        least = _solve(problem, terms, gap, slack="least")
        if least is None:  # cutting the least is always possible: bounds were checked
            raise QinglanError("HiGHS found no completion.", remedy="Report this with the list that was given.")
        solved = _solve(problem, terms, gap, slack=least["slack"])
    if solved is None:
        raise QinglanError("HiGHS lost the completion that it had found.", remedy="Give it a larger gap.")
    return _told(problem, terms, solved, met)


def _prepared(lines: pl.DataFrame, terms: Terms) -> _Problem:
    """Arrays, checked: every number finite, every bound between 0 and 1 and none against another."""
    lacking = [name for name in LINES if name not in lines.columns]
    if lacking:
        raise LayoutError(f"lines to complete lack {', '.join(lacking)}.", remedy="Give all columns of LINES.")
    if not lines.height:
        raise UsageError("the list has no line that could cut.", remedy="Build it: qinglan emergency complete.")
    keys = lines["key"].to_list()
    low = np.maximum.accumulate(_matrix(lines, "low"), axis=1)
    high = _matrix(lines, "high")
    tonnes, cost = lines.select(SPECIES).to_numpy().astype(float), lines["cost"].to_numpy().astype(float)
    last = np.minimum.accumulate(high[:, ::-1], axis=1)[:, ::-1]
    for bad, what in (
        (~np.isfinite(tonnes).all(1) | (tonnes < 0).any(1), "tonnes that are missing or below zero"),
        (~np.isfinite(cost) | (cost < 0), "a cost that is missing or below zero"),
        (~((low >= 0) & (high <= 1)).all(1), "a bound outside 0 to 1"),
        ((low > last + TOLERANCE).any(1), "a least cut above the greatest"),
    ):
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            raise LayoutError(
                f"line {keys[at]} has {what}: {lines.row(at, named=True)}.", remedy="Correct it in the list."
            )
    low = np.minimum(low, last)
    whole = lines["whole"].to_numpy().astype(bool)
    floors = np.where(whole[:, None], low, 0.0)
    low = np.where(whole[:, None], 0.0, low)
    groups, group = np.unique(lines["group"].to_numpy().astype(str), return_inverse=True)
    _, enterprise = np.unique(lines["enterprise"].to_numpy().astype(str), return_inverse=True)
    upper, lower = _band(low, last, group, len(groups), whole, terms.spread)
    high = np.where(upper | whole[:, None] | (last <= low), last, low)
    return _Problem(
        keys, tonnes, cost, low, np.where(lower, last, high), group, groups.tolist(), upper, lower, whole,
        enterprise, floors, rows_of(terms), terms.base,
    )  # fmt: skip


def _matrix(lines: pl.DataFrame, side: str) -> Array:
    return lines.select(f"{side}_{level}" for level in LEVELS).to_numpy().astype(float)


def _band(
    low: Array, high: Array, group: NDArray[Any], groups: int, whole: NDArray[np.bool_], spread: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Who is held by the band of fairness from above and from below.

    Not held: who may not cut at all, and who stops whole. From below: not who can give less than the others of the
    group. From above: not who must cut more than the band reaches anyway; such a line is cut no more than it must.
    """
    free = (high > TOLERANCE) & ~whole[:, None]
    upper, lower = np.zeros_like(free), np.zeros_like(free)
    for level in range(low.shape[1]):
        most = np.zeros(groups)
        np.maximum.at(most, group, np.where(free[:, level], high[:, level], 0.0))
        lower[:, level] = free[:, level] & (high[:, level] >= most[group] - TOLERANCE)
        least = np.full(groups, np.inf)
        np.minimum.at(least, group, np.where(lower[:, level], low[:, level], np.inf))
        upper[:, level] = free[:, level] & (low[:, level] <= least[group] + spread + TOLERANCE)
    return upper, lower


def _solve(problem: _Problem, terms: Terms, gap: float, slack: Array | str | None = None) -> dict[str, Any] | None:
    """Build and solve; None when there is no solution.

    slack : None: every requirement holds; "least": the sum of what is missing is made least; an array: so much of
    each may be missing.
    """
    import linopy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # linopy's notes on its own coming defaults
        model = linopy.Model()
        parts = _variables(model, problem, terms)
        short = _requirements(model, problem, parts["x"], slack)
        if isinstance(slack, str):
            model.add_objective(short.sum())
        else:
            model.add_objective(parts["objective"])
        solved = solve(model, gap=gap)
        if solved is None:
            return None
        found: dict[str, Any] = {"x": solved.of(parts["x"]), "base": solved.of(parts["base"])}
        if isinstance(slack, str):
            # A hair more than the least, or the next solve would be cut off by rounding.
            return {**found, "slack": np.maximum(solved.of(short), 0.0) + TOLERANCE}
        if problem.whole.any():
            return {**found, "prices": _prices(problem, terms, found["x"], slack)}
        needs = [model.constraints[f"need{at}"] for at in range(len(problem.rows))]
        return {**found, "prices": np.array([float(solved.dual(need)) for need in needs])}


def _variables(model: Any, problem: _Problem, terms: Terms) -> dict[str, Any]:
    """Cuts and bases of the groups, with the band, the nesting, the whole lines; and the cost."""
    import pandas as pd
    import xarray as xr

    number = len(problem.keys)
    line, level = pd.RangeIndex(number, name="line"), pd.Index(LEVELS, name="level")
    x = model.add_variables(
        lower=xr.DataArray(problem.low, coords=[line, level]),
        upper=xr.DataArray(problem.high, coords=[line, level]),
        name="x",
    )
    group = pd.RangeIndex(len(problem.groups), name="group")
    base = model.add_variables(lower=0, upper=1, coords=[group, level], name="base")
    mine = base.sel(group=xr.DataArray(problem.group, dims="line", coords={"line": line}))
    for name, held, sign, edge in (
        ("above", problem.upper, "<=", terms.spread), ("below", problem.lower, ">=", 0.0)
    ):  # fmt: skip
        if held.any():
            mask = xr.DataArray(held, coords=[line, level])
            model.add_constraints(x - mine, sign, edge, name=name, mask=mask)
    for first, second in ((0, 1), (1, 2)):
        nested = x.isel(level=first, drop=True) - x.isel(level=second, drop=True)
        model.add_constraints(nested <= 0, name=f"nested{first}")
    if problem.whole.any():
        _whole(model, problem, x)
    weights = np.array([terms.weights[name] for name in LEVELS])
    cost = xr.DataArray(np.outer(problem.cost, weights), coords=[line, level])
    return {"x": x, "base": base, "objective": (cost * x).sum()}


def _whole(model: Any, problem: _Problem, x: Any) -> None:
    """Lines that stop whole: a yes or no, of which an enterprise gives at least what its grade demands."""
    import pandas as pd
    import xarray as xr

    at = np.flatnonzero(problem.whole)
    line = pd.Index(at, name="line")
    stop = model.add_variables(binary=True, coords=[line, pd.Index(LEVELS, name="level")], name="stop")
    high = xr.DataArray(problem.high[at], coords=[line, pd.Index(LEVELS, name="level")])
    picked = x.sel(line=at)
    model.add_constraints(picked - high * stop == 0, name="whole")
    size = np.maximum(problem.tonnes.sum(1)[at], TOLERANCE)
    for one in np.unique(problem.enterprise[at]):
        own = problem.enterprise[at] == one
        floors = np.minimum(problem.floors[at[own]], problem.high[at[own]])
        asked = (size[own, None] * floors).sum(0)
        if asked.max() > 0:
            share = xr.DataArray(size[own], coords=[pd.Index(at[own], name="line")])
            given = (share * x.sel(line=at[own])).sum("line")
            right = xr.DataArray(asked - TOLERANCE, coords=[pd.Index(LEVELS, name="level")])
            model.add_constraints(given >= right, name=f"floor{one}")


def _requirements(model: Any, problem: _Problem, x: Any, slack: Array | str | None) -> Any:
    """Rows ``need0``, ``need1`` ... in percentage points of the whole society's emission."""
    import pandas as pd
    import xarray as xr

    short = None
    if isinstance(slack, str):
        index = pd.RangeIndex(len(problem.rows), name="row")
        short = model.add_variables(lower=0, coords=[index], name="short")
    line = pd.RangeIndex(len(problem.keys), name="line")
    for at, (row, factors) in enumerate(zip(problem.rows, coefficients(problem), strict=True)):
        own = x.isel(level=LEVELS.index(row.level), drop=True)
        total = (xr.DataArray(factors, coords=[line]) * own).sum("line")
        required = 100 * row.share
        if short is not None:
            total = total + short.isel(row=at, drop=True)
        elif slack is not None:
            required -= float(slack[at])
        model.add_constraints(total >= required, name=f"need{at}")
    return short


def coefficients(problem: _Problem) -> Array:
    """(rows, lines): percentage points of each requirement that a line gives when it cuts all."""
    return np.array(
        [
            sum(100 * problem.tonnes[:, SPECIES.index(s)] / problem.base[s] for s in row.species)
            for row in problem.rows
        ]
    ).reshape(len(problem.rows), len(problem.keys))


def _prices(problem: _Problem, terms: Terms, x: Array, slack: Array | None) -> Array:
    """Duals of the requirements; of a mixed-integer programme those of its linear one, whole lines held."""
    held = problem.whole[:, None]
    settled = np.where(problem.high > 0.5 * TOLERANCE, x, 0.0)
    fixed = replace(
        problem,
        low=np.where(held, settled, problem.low),
        high=np.where(held, settled, problem.high),
        whole=np.zeros_like(problem.whole),
    )
    # What rounding of the held lines could take from a requirement is let go.
    loose = np.full(len(problem.rows), TOLERANCE) if slack is None else slack + TOLERANCE
    solved = _solve(fixed, terms, gap=0.0, slack=loose)
    return np.full(len(problem.rows), np.nan) if solved is None else np.asarray(solved["prices"])


def _told(problem: _Problem, terms: Terms, solved: Mapping[str, Any], met: bool) -> Completion:
    """The solution as tables; shares are kept inside their bounds and nested to the last bit."""
    x = np.clip(np.asarray(solved["x"], float), problem.low, problem.high)
    x = np.maximum.accumulate(np.where(x < TOLERANCE, 0.0, x), axis=1)
    x = np.minimum(x, problem.high)
    number, levels = x.shape
    frame: dict[str, Any] = {
        "key": np.repeat(np.array(problem.keys, dtype=object), levels).tolist(),
        "level": list(LEVELS) * number,
        "cut": x.ravel(),
        "low": np.where(problem.whole[:, None], problem.floors, problem.low).ravel(),
        "high": problem.high.ravel(),
        "cost_cny": (problem.cost[:, None] * x).ravel(),
    }
    for at, species in enumerate(SPECIES):
        frame[f"{species}_t"] = (problem.tonnes[:, at, None] * x).ravel()
    given = coefficients(problem) / 100
    needs = []
    for at, row in enumerate(problem.rows):
        reached = float(given[at] @ x[:, LEVELS.index(row.level)])
        price = max(float(solved["prices"][at]), 0.0)
        needs.append(
            {
                "level": row.level, "need": row.name, "required": row.share, "reached": reached,
                "short": max(0.0, row.share - reached) if row.share - reached > TOLERANCE else 0.0,
                "price_point": price,
                **{f"price_{s}": (100 * price / problem.base[s] if s in row.species else None) for s in SPECIES},
            }
        )  # fmt: skip
    cost = {level: float(problem.cost @ x[:, at]) for at, level in enumerate(LEVELS)}
    base = np.asarray(solved["base"], float)
    return Completion(
        met,
        pl.DataFrame(frame),
        pl.DataFrame(needs, schema_overrides={f"price_{s}": pl.Float64 for s in SPECIES}),
        pl.DataFrame(
            {
                "group": [g for g in problem.groups for _ in LEVELS],
                "level": list(LEVELS) * len(problem.groups),
                "base": base.ravel(),
            }
        ),
        cost,
        sum(terms.weights[level] * cost[level] for level in LEVELS),
        int(problem.whole.sum()),
    )
