"""Units that sources write, turned into the one unit each column has (docs/design/0002-contracts.md, section 1).

Mixing ratios need the state of the gas to become a mass concentration: the molar volume is R T / p. The state is
always declared, never assumed: at 2,300 m the two usual readings differ by a quarter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qinglan.core.errors import UsageError

#: Molar gas constant (CODATA 2018) [J/(mol K)].
GAS_CONSTANT = 8.314462618
#: Molar masses (IUPAC standard atomic weights, abridged) [g/mol].
MOLAR_MASS: Mapping[str, float] = {
    "so2": 64.06,
    "no2": 46.005,
    "co": 28.010,
    "o3": 47.997,
    "o3_8h": 47.997,
    "mda8": 47.997,
}

_MASS: Mapping[str, float] = {"ug/m3": 1.0, "mg/m3": 1_000.0, "ng/m3": 0.001, "g/m3": 1e6}
_RATIO: Mapping[str, float] = {"ppb": 1.0, "ppm": 1_000.0, "nmol/mol": 1.0, "umol/mol": 1_000.0}
#: Weather: (factor, offset) of value * factor + offset, in the unit of the column.
_WEATHER: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "temperature": {"c": (1, 0), "k": (1, -273.15), "f": (5 / 9, -160 / 9)},
    "dew_point": {"c": (1, 0), "k": (1, -273.15), "f": (5 / 9, -160 / 9)},
    "pressure": {"hpa": (1, 0), "mbar": (1, 0), "pa": (0.01, 0), "kpa": (10, 0)},
    "humidity": {"%": (1, 0), "1": (100, 0)},
    "wind_speed": {"m/s": (1, 0), "km/h": (1 / 3.6, 0)},
    "wind_direction": {"deg": (1, 0)},
    "precipitation": {"mm": (1, 0), "m": (1_000, 0)},
}
_SPELLINGS = str.maketrans({"µ": "u", "μ": "u", "³": "3", "℃": "c", "°": "", "·": "/", " ": None})


@dataclass(frozen=True, slots=True)
class State:
    """Temperature [K] and pressure [hPa] of a gas volume."""

    temperature: float
    pressure: float

    @property
    def molar_volume(self) -> float:
        """[L/mol].

        >>> round(State(298.15, 1013.25).molar_volume, 3)
        24.465
        """
        return GAS_CONSTANT * self.temperature / self.pressure * 10


def plain(unit: str) -> str:
    """A unit's spelling without variants.

    >>> plain("μg/m³"), plain("µg·m-3"), plain("℃")
    ('ug/m3', 'ug/m3', 'c')
    """
    text = unit.strip().translate(_SPELLINGS).lower().replace("m^3", "m3").replace("m-3", "m3").replace("**", "")
    return {"ugm3": "ug/m3", "mgm3": "mg/m3", "": "1", "degree": "deg", "degrees": "deg"}.get(text, text)


def known_units(item: str) -> tuple[str, ...]:
    """Spellings that :func:`factor` understands for an item."""
    if item in _WEATHER:
        return tuple(_WEATHER[item])
    if item in ("aqi", "reported_aqi"):
        return ("1",)
    return (*_MASS, *(_RATIO if item in MOLAR_MASS else ()))


def needs_state(unit: str) -> bool:
    """Whether a unit is a mixing ratio.

    >>> needs_state("ppb"), needs_state("mg/m3")
    (True, False)
    """
    return plain(unit) in _RATIO


def factor(item: str, unit: str, state: State | None = None) -> tuple[float, float]:
    """(a, b) so that ``a * value + b`` is in the column's unit (µg/m³, CO mg/m³; weather as in the contract).

    Raises UsageError for a unit that does not fit the item, or a mixing ratio without a state.

    >>> factor("co", "µg/m³")
    (0.001, 0.0)
    >>> round(factor("o3", "ppb", State(298.15, 1013.25))[0], 3)
    1.962
    """
    name = plain(unit)
    if item in _WEATHER or item in ("aqi", "reported_aqi"):
        table = _WEATHER.get(item, {"1": (1, 0)})
        if name not in table:
            raise UsageError(f"unit {unit!r} does not fit {item}.", remedy=f"Known: {', '.join(table)}.")
        a, b = table[name]
        return float(a), float(b)
    scale = 0.001 if item == "co" else 1.0
    if name in _MASS:
        return _MASS[name] * scale, 0.0
    if name in _RATIO and item in MOLAR_MASS:
        if state is None:
            raise UsageError(
                f"{item} in {unit} needs the state of the gas.",
                remedy="Declare reference_state: {temperature: K, pressure: hPa}.",
            )
        return _RATIO[name] * MOLAR_MASS[item] / state.molar_volume * scale, 0.0
    raise UsageError(f"unit {unit!r} does not fit {item}.", remedy=f"Known: {', '.join(known_units(item))}.")
