"""Which stations speak for the air around a station: the nearest, within reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qinglan.core.rulebook import RuleBook

Array = NDArray[Any]

EARTH_RADIUS = 6_371_008.8  # m, mean radius of WGS-84 (IUGG)


def distances(lon: Array, lat: Array) -> Array:
    """Great-circle distances between all points [m]; lon, lat in degrees (haversine).

    >>> round(float(distances(np.array([101.78, 102.10]), np.array([36.62, 36.50]))[0, 1]) / 1000)
    32
    """
    phi, lam = np.radians(lat), np.radians(lon)
    half = np.sin((phi[:, None] - phi) / 2) ** 2
    half = half + np.cos(phi)[:, None] * np.cos(phi) * np.sin((lam[:, None] - lam) / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS * np.arcsin(np.sqrt(np.clip(half, 0, 1))))


def nearest(positions: Mapping[str, tuple[float, float]], *, book: RuleBook) -> dict[str, tuple[str, ...]]:
    """The nearest stations of each, at most ``neighbours.count`` within ``neighbours.metres``.

    Parameters
    ----------
    positions : station -> (lon, lat) [degrees]
    book : family ``qc``

    Returns
    -------
    station -> neighbours, nearest first; empty where fewer than ``neighbours.least`` are in reach
    """
    names: Sequence[str] = list(positions)
    if not names:
        return {}
    lon, lat = (np.array([positions[n][k] for n in names], dtype=float) for k in (0, 1))
    away = distances(lon, lat)
    np.fill_diagonal(away, np.inf)
    count, reach = int(book.number("neighbours.count")), float(book.number("neighbours.metres"))
    least = int(book.number("neighbours.least"))
    found = {}
    for row, name in enumerate(names):
        order = [int(i) for i in np.argsort(away[row], kind="stable")[:count] if away[row, i] <= reach]
        found[name] = tuple(names[i] for i in order) if len(order) >= least else ()
    return found


def median_of(rows: Array, least: int) -> Array:
    """Median over rows for each column; NaN where fewer than `least` rows have a value."""
    enough = np.count_nonzero(~np.isnan(rows), axis=0) >= least
    out = np.full(rows.shape[1], np.nan)
    if enough.any():
        out[enough] = np.nanmedian(rows[:, enough], axis=0)
    return out
