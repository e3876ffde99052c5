"""The state a concentration is reported in: conversion, and an audit that finds series in the wrong one.

Gases are reported at a reference temperature and pressure, particles at the reference or at the actual state
of the air; which, the ``gb3095`` rule book says on a date (``reference_state.*``). For an ideal gas mass per
volume goes with ``p / T``:

    C(T2, p2) = C(T1, p1) * (p2 / T2) / (p1 / T1)

so the change of 2018 multiplies gases by 273.15 / 298.15 = 0.9162, and particles of a station at 2,260 m by
about 0.75: an unnoticed mistake of that size decides about attainment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeVar

import numba
import numpy as np
from ibis.expr import types as ir
from numpy.typing import NDArray

from qinglan.air.neighbours import median_of
from qinglan.core.errors import UsageError
from qinglan.core.names import quantity
from qinglan.core.rulebook import RuleBook

Array = NDArray[Any]
N = TypeVar("N", float, Array, ir.NumericValue)

ZERO_CELSIUS = 273.15  # K

# International Standard Atmosphere, ISO 2533:1975: sea level and the lapse of the troposphere.
_ISA_TEMPERATURE, _ISA_PRESSURE, _ISA_LAPSE, _ISA_EXPONENT = 288.15, 1013.25, 0.0065, 5.255880


def standard_pressure(altitude: float) -> float:
    """Pressure of the standard atmosphere at an altitude [m] up to 11,000 m [hPa] (ISO 2533:1975).

    >>> round(standard_pressure(0), 2), round(standard_pressure(2000), 1), round(standard_pressure(4000), 1)
    (1013.25, 795.0, 616.4)
    """
    if not -1000 <= altitude <= 11000:
        raise UsageError(
            f"altitude {altitude} m is outside the troposphere.", remedy="Give metres above sea level."
        )
    return float(_ISA_PRESSURE * (1 - _ISA_LAPSE * altitude / _ISA_TEMPERATURE) ** _ISA_EXPONENT)


def standard_temperature(altitude: float) -> float:
    """Temperature of the standard atmosphere at an altitude [m] up to 11,000 m [K] (ISO 2533:1975)."""
    return _ISA_TEMPERATURE - _ISA_LAPSE * altitude


@dataclass(frozen=True, slots=True)
class State:
    """A temperature [K] and a pressure [hPa] that a volume of air is stated at."""

    temperature: float
    pressure: float

    def __post_init__(self) -> None:
        if not 150 < self.temperature < 400 or not 200 < self.pressure < 1200:
            raise UsageError(
                f"state {self.temperature} K, {self.pressure} hPa is not outdoor air.",
                remedy="Give kelvin (°C + 273.15) and hPa (kPa x 10).",
            )

    @classmethod
    def actual(
        cls, *, altitude: float | None = None, pressure: float | None = None, celsius: float | None = None
    ) -> State:
        """State of the air at a station: measured where given, else the standard atmosphere at its altitude."""
        if altitude is None and (pressure is None or celsius is None):
            raise UsageError("the actual state needs the altitude, or both pressure and temperature.")
        height = 0.0 if altitude is None else altitude
        return cls(
            standard_temperature(height) if celsius is None else celsius + ZERO_CELSIUS,
            standard_pressure(height) if pressure is None else pressure,
        )


def factor(source: State, target: State) -> float:
    """What a concentration at `source` is multiplied by to stand at `target`.

    >>> round(factor(State(273.15, 1013.25), State(298.15, 1013.25)), 4)
    0.9161
    """
    return (target.pressure / target.temperature) / (source.pressure / source.temperature)


def convert(value: N, source: State, target: State) -> N:
    """A concentration, an array or a column expression moved from one state to another; missing stays missing."""
    return value * factor(source, target)


def actual_factor(temperature: N, pressure: N, reference: State) -> N:
    """Factor from the reference state to the actual state of each hour, over arrays or column expressions.

    temperature : air temperature [°C]; pressure : station pressure [hPa]

    Divide by it to go back.
    """
    return (pressure / (temperature + ZERO_CELSIUS)) * (reference.temperature / reference.pressure)


def gas_state(book: RuleBook) -> State:
    """The reference state of gases on the book's date (``gb3095``)."""
    return State(
        float(book.number("reference_state.gas.temperature")), float(book.number("reference_state.gas.pressure"))
    )


def reported_state(item: str, book: RuleBook, station: State) -> State:
    """The state an item must be reported in on the book's date, at a station whose air is in `station`."""
    if quantity(item).gas or book.get("reference_state.particle").value == "reference":
        return gas_state(book)
    return station


def between_books(item: str, old: RuleBook, new: RuleBook, station: State) -> float:
    """Factor that makes a value reported under `old` comparable with values under `new`.

    This is how a series from before 2018-09 joins the years after; where re-issued values exist, use those.
    """
    return factor(reported_state(item, old, station), reported_state(item, new, station))


# ---- audit -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A stretch of a series that seems to be reported in another state than the rule's.

    factor : reported over expected; 1.09 for gases left at 273.15 K, 1.3 for particles left at the reference
    state
    explanation : ``gas_old_state``, ``gas_new_state``, ``particle_reference``, ``particle_actual``: what was
    reported
        where the rule asked for the other, or ``unexplained``
    confidence : 0..1, from the t of the step and the closeness to the explanation
    """

    station: str
    item: str
    start: date
    end: date
    factor: float
    expected: float
    explanation: str
    confidence: float


@dataclass(frozen=True, slots=True)
class AuditScreen:
    """How the audit searches; our own screen.

    min_days : shortest stretch [d]
    min_step : smallest |ln factor| that is looked for; below it neighbours differ anyway
    t : least t value of a step, from weekly blocks
    closeness : largest |ln(found) - ln(explained)| that counts as explained
    edge_share : least share of the step that must happen within four weeks at its edges
    most : most stretches per station and item
    """

    min_days: int = 60
    min_step: float = 0.05
    t: float = 5.0
    closeness: float = 0.04
    edge_share: float = 0.4
    most: int = 4


def audit(
    days: Array,
    series: Mapping[str, Mapping[str, Array]],
    candidates: Mapping[str, Mapping[str, Mapping[str, float]]],
    *,
    near: Mapping[str, Sequence[str]] | None = None,
    screen: AuditScreen | None = None,
) -> list[Suspicion]:
    """Find stations whose level against their neighbours steps by the factor of a wrong state.

    For each station the stretch is sought whose log-ratio to the median of its neighbours departs most from the
    rest (least squares of weekly means on a yearly cycle and the stretch; t widened for the dependence of weeks),
    and compared with the factors a wrong state would give there. Items that share a state (all
    gases, all particles) are also looked at together: their common step stands out where the single ones drown
    in noise. What the noise of a station allows to find, :func:`least_detectable` says; where neighbours are far,
    a gas state's 9 % is below it. A series that is wrong throughout has no step; :func:`levels` compares stations
    in space.

    Parameters
    ----------
    days : (n,) datetime64[D], ascending without gaps
    series : item -> station -> (n,) daily values, NaN where missing; three stations or more
    candidates : item -> station -> explanation -> factor (see :func:`explanations`)
    near : station -> its neighbours (:func:`qinglan.air.neighbours.nearest`); without: all other stations

    Returns
    -------
    list of Suspicion, surest first; `item` joins the names of items that stepped together by ``,``
    """
    screen = screen or AuditScreen()
    groups: list[tuple[str, ...]] = [(item,) for item in series]
    for gas in (True, False):
        together = tuple(i for i in series if quantity(i).gas is gas)
        groups += [together] if len(together) > 1 else []
    found: list[Suspicion] = []
    for group in groups:
        # A wrong station pulls its neighbours' reference: the surest is corrected first, then all look again.
        logs = {i: {s: _logs(v) for s, v in series[i].items()} for i in group}
        for _ in range(screen.most * len(logs[group[0]])):
            best = _surest(days, logs, candidates.get(group[0], {}), near, screen)
            if best is None:
                break
            found.append(best)
            inside = (days >= np.datetime64(best.start)) & (days <= np.datetime64(best.end))
            for own in logs.values():
                own[best.station] = np.where(inside, own[best.station] - np.log(best.factor), own[best.station])
    return sorted(found, key=lambda s: -s.confidence)


def _surest(
    days: Array,
    logs: Mapping[str, Mapping[str, Array]],
    candidates: Mapping[str, Mapping[str, float]],
    near: Mapping[str, Sequence[str]] | None,
    screen: AuditScreen,
) -> Suspicion | None:
    """The stretch with the largest t among all stations of a group of items; None when none is sure."""
    ratios = [_ratios(own, near) for own in logs.values()]
    found = []
    for station in next(iter(logs.values())):
        if all(station in r for r in ratios):
            ratio = _mean_of_rows([r[station] for r in ratios])
            stretch = _stretch(days, ratio, station, ",".join(logs), candidates.get(station, {}), screen)
            found += [] if stretch is None else [stretch]
    return max(found, key=lambda pair: pair[0], default=(0.0, None))[1]


def _ratios(own: Mapping[str, Array], near: Mapping[str, Sequence[str]] | None) -> dict[str, Array]:
    """Station -> daily log-ratio to the median of its neighbours (without `near`: of all others); logs in."""
    found = {}
    for station in own:
        others = [s for s in (own if near is None else near.get(station, ())) if s != station and s in own]
        if len(others) >= 2:
            found[station] = own[station] - median_of(np.array([own[s] for s in others]), 2)
    return found


def _mean_of_rows(rows: Sequence[Array]) -> Array:
    """Mean over items, each centred and weighted by the inverse of its variance; a day needs all items."""
    if len(rows) == 1:
        return rows[0]
    spread = [float(np.nanvar(r)) if np.any(~np.isnan(r)) else np.inf for r in rows]
    weight = np.array([1 / max(v, 1e-6) for v in spread])
    centred = [r - np.nanmean(r) if np.any(~np.isnan(r)) else r for r in rows]
    return np.asarray(np.average(centred, axis=0, weights=weight))


def explanations(item: str, altitude: float, old: State, new: State) -> dict[str, float]:
    """Factors by which a wrong state shows in an item at an altitude: reported over expected.

    >>> e = explanations("pm10", 2260, State(273.15, 1013.25), State(298.15, 1013.25))
    >>> {k: round(v, 3) for k, v in e.items()}
    {'particle_reference': 1.318, 'particle_actual': 0.759, 'particle_new_reference': 1.208}
    """
    if quantity(item).gas:
        return {"gas_old_state": factor(new, old), "gas_new_state": factor(old, new)}
    here = State.actual(altitude=altitude)
    return {
        "particle_reference": factor(here, old),
        "particle_actual": factor(old, here),
        "particle_new_reference": factor(here, new),
    }


def _logs(values: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(values > 0, np.log(values), np.nan)


def _weekly(ratio: Array) -> Array:
    """Means of weeks, one value per week; days of one week are not independent."""
    weeks = -(-ratio.size // 7)
    padded = np.full(weeks * 7, np.nan)
    padded[: ratio.size] = ratio
    table = padded.reshape(weeks, 7)
    count = np.count_nonzero(~np.isnan(table), axis=1)
    out = np.full(weeks, np.nan)
    out[count >= 3] = np.nanmean(table[count >= 3], axis=1)
    return out


def _season_basis(days: Array, ok: Array) -> Array:
    """Orthonormal columns that a step is told apart from: the mean, and with 14 months a yearly cycle.

    Rows of missing weeks are zero. Two harmonics: a station's ratio to its neighbours has a smooth season.
    """
    weeks = ok.size
    day = np.array([(days[0].astype(object) + timedelta(days=7 * i)).timetuple().tm_yday for i in range(weeks)])
    columns = [np.ones(weeks)]
    if weeks >= 61:
        for k in (1, 2):
            columns += [np.cos(2 * np.pi * k * day / 365.25), np.sin(2 * np.pi * k * day / 365.25)]
    design = np.column_stack(columns) * ok[:, None]
    return np.asarray(np.linalg.qr(design)[0])


@numba.njit(cache=True)
def _best_stretch(left: Array, ok: Array, basis: Array, least: int) -> tuple[float, float, int, int]:
    """Least squares of the series on season and a step over [a, b), for all a and b: largest |t|, its step, a, b.

    A stretch holds at most half of the weeks and may touch an end. `left` is the series with the season taken
    out (projected off `basis`), zero where `ok` is false.
    """
    n, k = basis.shape
    rest = 0.0
    sums, total, count = np.zeros((n + 1, k)), np.zeros(n + 1), np.zeros(n + 1)
    for i in range(n):
        inside = 1.0 if ok[i] else 0.0
        rest += left[i] ** 2
        count[i + 1] = count[i] + inside
        total[i + 1] = total[i] + left[i]
        for j in range(k):
            sums[i + 1, j] = sums[i, j] + basis[i, j]
    best, step, first, last = 0.0, 0.0, 0, n
    for a in range(n - least + 1):
        for b in range(a + least, n + 1):
            weeks = count[b] - count[a]
            if weeks < 4 or 2 * weeks > count[n]:
                continue
            free = weeks
            for j in range(k):
                free -= (sums[b, j] - sums[a, j]) ** 2
            if free < 2:
                continue
            beta = (total[b] - total[a]) / free
            within = max(rest - beta * beta * free, 1e-12)
            t = abs(beta) * np.sqrt(free) / np.sqrt(within / (count[n] - k - 1))
            if t > best:
                best, step, first, last = t, beta, a, b
    return best, step, first, last


def _loose(weeks: Array) -> float:
    """How much the variance of a mean grows by the dependence of neighbouring weeks (first-order)."""
    x = weeks - np.nanmedian(weeks)
    pair = ~np.isnan(x[1:]) & ~np.isnan(x[:-1])
    if np.count_nonzero(pair) < 20:
        return 1.5
    # Differences see the noise and not the step that is looked for.
    spread = np.nanvar(x)
    r = 1 - np.mean((x[1:] - x[:-1])[pair] ** 2) / (2 * spread) if spread > 0 else 0.0
    r = min(max(float(r), 0.0), 0.8)
    return (1 + r) / (1 - r)


def _stretch(
    days: Array,
    ratio: Array,
    station: str,
    item: str,
    candidates: Mapping[str, float],
    screen: AuditScreen,
) -> tuple[float, Suspicion] | None:
    """The stretch of a log-ratio that departs most, with its t; None when it is not sure."""
    weeks = _weekly(ratio)
    ok = ~np.isnan(weeks)
    least = max(4, screen.min_days // 7)
    if np.count_nonzero(ok) < 2 * least + 4:
        return None
    basis = _season_basis(days, ok)
    filled = np.where(ok, weeks, 0.0)
    t, step, low, high = _best_stretch((filled - basis @ (basis.T @ filled)) * ok, ok, basis, least)
    filled[low:high] -= step * ok[low:high]
    left = np.where(ok, filled - basis @ (basis.T @ filled), np.nan)
    t /= np.sqrt(_loose(left))
    if t < screen.t or abs(step) < screen.min_step:
        return None
    # A state changes from one day to the next, a drift does not: the edges must carry the step.
    if _edge_step(weeks, low, high, 4) / step < screen.edge_share:
        return None
    name, expected = _nearest(step, candidates, screen)
    first, last = days[low * 7].astype(object), days[min(high * 7, days.size) - 1].astype(object)
    confidence = _confidence(float(t), step, expected, screen)
    return float(t), Suspicion(station, item, first, last, float(np.exp(step)), expected, name, confidence)


def _edge_step(weeks: Array, low: int, high: int, span: int) -> float:
    """Mean step into the stretch over its edges, from `span` weeks on either side of each."""
    steps = []
    for edge, sign in ((low, 1.0), (high, -1.0)):
        before, after = weeks[max(0, edge - span) : edge], weeks[edge : edge + span]
        if np.any(~np.isnan(before)) and np.any(~np.isnan(after)):
            steps.append(sign * float(np.nanmean(after) - np.nanmean(before)))
    return float(np.mean(steps)) if steps else 0.0


def least_detectable(ratio: Array, days: int, screen: AuditScreen | None = None) -> float:
    """Smallest factor that the audit could find in a stretch of `days` of a station as noisy as this.

    ratio : daily log-ratio of the station to its neighbours, or any series of like noise

    Where this is above the factor of a wrong state, an audit that finds nothing proves nothing.
    """
    screen = screen or AuditScreen()
    weeks = _weekly(np.asarray(ratio, dtype=float))
    spread = float(np.nanstd(weeks)) * np.sqrt(_loose(weeks))
    n1 = max(days / 7, 1)
    n2 = max(np.count_nonzero(~np.isnan(weeks)) - n1, 1)
    return float(np.exp(max(screen.t * spread * np.sqrt(1 / n1 + 1 / n2), screen.min_step)))


def _nearest(step: float, candidates: Mapping[str, float], screen: AuditScreen) -> tuple[str, float]:
    """Explanation whose factor is nearest to the step, ``unexplained`` when none is close."""
    best = min(candidates.items(), key=lambda kv: abs(np.log(kv[1]) - step), default=None)
    if best is None or abs(np.log(best[1]) - step) > max(screen.closeness, 0.25 * abs(np.log(best[1]))):
        return "unexplained", float("nan")
    return best[0], float(best[1])


def _confidence(t: float, step: float, expected: float, screen: AuditScreen) -> float:
    strength = 1.0 if np.isinf(t) else t / (t + screen.t)
    if np.isnan(expected):
        return round(0.3 * strength, 2)
    return round(float(strength * np.exp(-abs(np.log(expected) - step) / (2 * screen.closeness))), 2)


def levels(
    means: Mapping[str, float], altitudes: Mapping[str, float], pairs: Sequence[tuple[str, str]]
) -> list[tuple[str, str, float, float]]:
    """Compare co-located or near stations in space: pairs whose ratio is that of reference over actual state.

    Parameters
    ----------
    means : station -> mean of a particle item over the same days
    pairs : stations that should read alike

    Returns
    -------
    list of (station that reads high, its partner, ratio found, ratio that the reference state would give)
    """
    old = State(ZERO_CELSIUS, _ISA_PRESSURE)
    found = []
    for one, other in pairs:
        high, low = (one, other) if means[one] >= means[other] else (other, one)
        ratio = means[high] / means[low]
        expected = factor(State.actual(altitude=altitudes[high]), old)
        if abs(np.log(ratio) - np.log(expected)) < abs(np.log(ratio)) / 2:
            found.append((high, low, ratio, expected))
    return found
