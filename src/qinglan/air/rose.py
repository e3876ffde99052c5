"""Wind roses and pollution roses: how often the wind comes from where, and what it brings.

The definitions are those of `windRose` and `pollutionRose` of openair (Carslaw and Ropkins 2012, Environmental
Modelling & Software 27-28, 52-61): sectors centred on north, open on their lower side; a share is taken of all
hours, calm ones too; directions that come rounded to tens of degrees are corrected for sectors that hold unequal
numbers of tens (Applequist 2012, J. Appl. Meteor. Climatol. 51, 1305-1309). Differences, on purpose: sixteen
sectors, as Chinese stations report wind; calm is Beaufort 0, up to 0.2 m/s (WMO-No. 8), where openair takes 0; the
lowest class takes in its lower bound and what lies below it, so that no hour is lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qinglan.core.errors import UsageError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SECTORS = 16
CALM = 0.2
WIND_EDGES = (0.0, 2.0, 4.0, 6.0, 8.0)
#: Classes that a pollution rose aims at, up to the 90th percentile; the last one is open.
CLASSES = 6


@dataclass(frozen=True, slots=True)
class Rose:
    """A rose.

    sectors : centre of each sector [°, from]. edges : lower bounds of the classes, the last class is open upwards.
    share : of all hours, shape (sectors, classes) [%]. calm : share of calm hours [%].
    n : hours with a speed (and a value). undirected : of these, moving air without a direction: in `n`, in no
    sector. mean : of the classed value over `n`. sector_mean : in each sector, NaN where there is no hour.
    sector_n : hours in each sector. corrected : whether the correction for rounded directions was made.
    """

    sectors: tuple[float, ...]
    edges: tuple[float, ...]
    share: Floats
    calm: float
    n: int
    undirected: int
    mean: float
    sector_mean: Floats
    sector_n: Ints
    corrected: bool


def sector_of(direction: Floats, sectors: int = SECTORS) -> Ints:
    """Number of the sector that a direction [°] lies in; 0 is the one centred on north.

    A direction on the border of two belongs to the one before it.

    >>> sector_of(np.array([0.0, 11.25, 11.26, 348.75, 348.76, 360.0])).tolist()
    [0, 0, 1, 15, 0, 0]
    """
    return np.ceil(direction * sectors / 360 - 0.5).astype(np.int64) % sectors


def wind_rose(
    direction: Floats, speed: Floats, *, sectors: int = SECTORS, edges: Sequence[float] = WIND_EDGES,
    calm: float = CALM,
) -> Rose:  # fmt: skip
    """Wind rose: shares by direction and speed class.

    direction : where the wind comes from [°]; speed [m/s]; both of shape (n,), NaN where unknown. Hours without a
    speed are left out. Raises UsageError for unequal shapes or edges that do not rise.
    """
    return _rose(direction, speed, speed, sectors, edges, calm)


def pollution_rose(
    direction: Floats, speed: Floats, values: Floats, *, sectors: int = SECTORS,
    edges: Sequence[float] | None = None, calm: float = CALM,
) -> Rose:  # fmt: skip
    """Pollution rose: shares by direction and class of concentration; the hours that have both wind and value.

    edges : lower bounds of the classes; made from the data by default (from the least value to the 90th
    percentile, so that a long tail does not swallow the rest).
    """
    if edges is None:
        known = values[~np.isnan(values) & ~np.isnan(speed)]
        edges = nice_edges(float(known.min()), float(np.quantile(known, 0.9)), CLASSES) if len(known) else (0.0,)
    return _rose(direction, speed, values, sectors, edges, calm)


def _rose(
    direction: Floats, speed: Floats, values: Floats, sectors: int, edges: Sequence[float], calm: float
) -> Rose:
    if not direction.shape == speed.shape == values.shape:
        raise UsageError(f"direction {direction.shape}, speed {speed.shape}, values {values.shape} differ.")
    if not edges or any(b <= a for a, b in pairwise(edges)):
        raise UsageError(f"class bounds {list(edges)} do not rise.", remedy="Give them in ascending order.")
    known = ~np.isnan(speed) & ~np.isnan(values)
    direction, speed, values = direction[known], speed[known], values[known]
    still = speed <= calm
    moving = ~still & ~np.isnan(direction)
    at = sector_of(direction[moving], sectors)
    # Upper bounds belong to a class, as in openair: (0, 2], (2, 4] ...
    classes = np.maximum(np.searchsorted(np.asarray(edges), values[moving], "left") - 1, 0)
    counts = np.bincount(at * len(edges) + classes, minlength=sectors * len(edges)).astype(np.float64)
    counts = counts.reshape(sectors, len(edges))
    n, in_sector = len(values), np.bincount(at, minlength=sectors).astype(np.int64)
    weight = _correction(direction[moving], sectors)
    share = 100 * counts * weight[:, None] / n if n else counts
    totals = np.bincount(at, weights=values[moving], minlength=sectors)
    with np.errstate(invalid="ignore"):
        sector_mean = totals / in_sector
    return Rose(
        tuple(360 * k / sectors for k in range(sectors)),
        tuple(float(e) for e in edges),
        share,
        float(100 * still.sum() / n) if n else math.nan,
        n,
        int((~still & ~moving).sum()),
        float(values.mean()) if n else math.nan,
        sector_mean,
        in_sector,
        bool((weight != 1).any()),
    )


def _correction(direction: Floats, sectors: int) -> Floats:
    """Weight of each sector: one, unless all directions are tens and the sectors hold unequal numbers of tens."""
    even = np.ones(sectors)
    if not len(direction) or (direction % 10 != 0).any():
        return even
    tens = np.bincount(sector_of(np.arange(10.0, 361.0, 10.0), sectors), minlength=sectors)
    return tens.mean() / tens if tens.all() else even


def nice_edges(low: float, high: float, count: int) -> tuple[float, ...]:
    """Round numbers, about `count` steps apart, from at or below `low` to at or above `high`.

    >>> nice_edges(3, 97, 5)
    (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
    """
    step = (high - low) / max(count, 1)
    if step <= 0:
        return (float(math.floor(low)),)
    base = 10.0 ** math.floor(math.log10(step))
    unit = min((base * m for m in (1, 2, 5, 10)), key=lambda u: abs(math.log(u / step)))
    first, last = math.floor(low / unit + 1e-9), math.ceil(high / unit - 1e-9)
    return tuple(round(k * unit, 10) for k in range(first, last + 1))
