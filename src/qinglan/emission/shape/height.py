"""Share of a source's tonnes in each layer: by sector, or by the rise of its own plume (Briggs).

Source: content/profiles/height.yaml (EMEP by sector); US EPA ISC3 User's Guide vol. II 1.1.4 for the rise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qinglan.core.errors import ContentError, UsageError
from qinglan.emission.shape.sectors import by_sector
from qinglan.emission.units import scale
from qinglan.plan.content import read

Vector = NDArray[np.float64]
#: Kelvin at 0 degrees Celsius.
ICE = 273.15


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack: height and inner diameter [m], temperature of the gas [K], its velocity [m/s]."""

    height: float
    diameter: float
    temperature: float
    velocity: float


@cache
def _raw() -> Mapping[str, Any]:
    raw: Mapping[str, Any] = read("profiles", "height")
    problems = [
        f"profiles.{name}: needs {len(raw['bands']) - 1} shares that sum to 1."
        for name, entry in raw["profiles"].items()
        if len(entry["shares"]) != len(raw["bands"]) - 1 or abs(sum(entry["shares"]) - 1) > 1e-9
    ]
    if problems:
        raise ContentError("profiles/height.yaml", problems)
    return raw


def default_layers() -> tuple[float, ...]:
    """Interfaces of the layers that are taken when none are given [m above ground], from 0 up."""
    return tuple(float(z) for z in _raw()["layers"])


@cache
def of_sector() -> Mapping[str, str]:
    """Name of the height profile that each sector takes."""
    return by_sector(_raw()["profiles"], "profiles/height.yaml")


def sector_layers(sector: str, interfaces: Sequence[float]) -> Vector:
    """Shares of layers by a sector's profile, shape (layers,); sums to 1. What is above the top goes to the last.

    >>> sector_layers("road", (0, 40, 90)).tolist()
    [1.0, 0.0]
    """
    raw = _raw()
    edges, shares = raw["bands"], raw["profiles"][of_sector()[sector]]["shares"]
    made = sum(
        share * _even(low, high, interfaces) for low, high, share in zip(edges, edges[1:], shares, strict=False)
    )
    return np.asarray(made / np.sum(made), dtype=np.float64)


def plume_layers(
    stack: Stack, interfaces: Sequence[float], *, wind: float | None = None, air: float | None = None
) -> Vector:
    """Shares of layers that a stack's plume reaches, shape (layers,); sums to 1.

    wind : at the stack's mouth [m/s]; air : temperature of the air [K]; defaults in height.yaml. The plume is
    spread evenly over half its rise above and below its axis. Raises UsageError for a stack that cannot be.
    """
    axis, rise = stack.height + plume_rise(stack, wind=wind, air=air), plume_rise(stack, wind=wind, air=air)
    depth = _raw()["plume"]["depth_of_rise"] * rise
    return _even(axis - depth, axis + depth, interfaces)


def plume_rise(stack: Stack, *, wind: float | None = None, air: float | None = None) -> float:
    """Final rise of a plume in neutral or unstable air [m], Briggs: the larger of buoyancy and momentum.

    F = g v d^2 dT / (4 Ts); rise = 21.425 F^0.75 / u below 55 m4/s3, 38.71 F^0.6 / u above; momentum 3 d v / u.
    """
    plume = _raw()["plume"]
    u = plume["wind"] if wind is None else wind
    ta = plume["air_temperature"] if air is None else air
    values = (stack.height, stack.diameter, stack.temperature, stack.velocity, u, ta)
    if not all(np.isfinite(values)) or min(values[1:]) <= 0 or stack.height < 0:
        raise UsageError(f"{stack} with wind {u} and air at {ta} K is no stack.", remedy="Metres, kelvin, m/s.")
    warm = max(stack.temperature - ta, 0.0)
    flux = plume["gravity"] * stack.velocity * stack.diameter**2 * warm / (4 * stack.temperature)
    scale, power = plume["buoyant_low" if flux < plume["flux_split"] else "buoyant_high"]
    return float(max(scale * flux**power, plume["momentum"] * stack.diameter * stack.velocity) / u)


def _even(low: float, high: float, interfaces: Sequence[float]) -> Vector:
    """Shares of layers of what is spread evenly from low to high."""
    edges = np.asarray(interfaces, dtype=np.float64)
    if edges.size < 2 or edges[0] != 0 or np.any(np.diff(edges) <= 0):
        raise UsageError(f"layers {list(interfaces)} do not rise from 0.", remedy="Give interfaces in metres.")
    edges = np.append(edges[:-1], np.inf)
    if high <= low:
        return np.asarray(np.diff((edges > low).astype(np.float64)), dtype=np.float64)
    inside = np.clip(edges, low, high)
    inside[0] = low
    return np.asarray(np.diff((inside - low) / (high - low)), dtype=np.float64)


def stacks_of(activities: pl.DataFrame) -> dict[str, Stack]:
    """Stacks of sources out of a frame of activities (docs/design/0012-ledgers.md).

    activities : `source_id` and `stack`, a struct of `height, diameter` [m], `temperature` [degrees Celsius] and
        `velocity` [m/s] or, in its place, `flow` [m3/h]. Sources without a whole stack are left out: their layers
        come from the sector. Of several stacks of one source the highest counts.
    """
    kind = activities.schema.get("stack")
    if not isinstance(kind, pl.Struct):
        return {}
    held = {each.name for each in kind.fields}
    if not {"height", "diameter", "temperature"} <= held:
        return {}
    found: dict[str, Stack] = {}
    for source, stack in activities.select("source_id", "stack").iter_rows():
        values = {name: float("nan") if value is None else float(value) for name, value in (stack or {}).items()}
        height, diameter = values.get("height", np.nan), values.get("diameter", np.nan)
        speed, flow = values.get("velocity", np.nan), values.get("flow", np.nan)
        if not np.isfinite(speed) and diameter > 0:
            speed = scale("m3/h", "m3/s") * flow / (np.pi * diameter**2 / 4)
        kelvin = values.get("temperature", np.nan) + ICE
        whole = np.isfinite([height, diameter, kelvin, speed]).all() and min(diameter, kelvin, speed) > 0
        if source is None or not whole or height < 0:
            continue
        if source not in found or height > found[source].height:
            found[source] = Stack(height, diameter, kelvin, float(speed))
    return found
