"""Units of activities and factors, and the one place where a number of tonnes comes from a product of units.

No power of ten is typed in an equation: :func:`tonnes` takes the product of the units of what is multiplied, as
text, and answers with the number that turns it into tonnes. A product that is not a mass has no answer, so a
formula with a wrong dimension cannot be written down (docs/explanation/inventory-equations.md).
"""

from __future__ import annotations

from functools import cache

import pint

from qinglan.core.errors import UsageError

#: What officials write, beside what Pint knows. Things that are counted each have their own dimension: animals are
#: not vehicles.
_DEFINITIONS = (
    "vehicle = [vehicle] = 辆",
    "machine = [machine] = 台",
    "component = [component] = 个",
    "tank = [tank] = 座",
    "head = [head] = 头 = 只 = 羽 = 匹 = 峰",
    "person = [person] = 人",
    "flight = [flight] = 次",
    "household = [household] = 户",
    "tce = 29.3076e9 joule",  # GB/T 2589-2020: 7000 kcal per kg of standard coal
)

#: Spellings that are not identifiers. `Nm3` is a cubic metre at the reference state its factor is printed for.
_SPELLED = {
    "万t": "1e4 * tonne",
    "万吨": "1e4 * tonne",
    "吨": "tonne",
    "千克": "kilogram",
    "万m3": "1e4 * meter**3",
    "万m³": "1e4 * meter**3",
    "万立方米": "1e4 * meter**3",
    "亿m3": "1e8 * meter**3",
    "亿m³": "1e8 * meter**3",
    "万kWh": "1e4 * kilowatt_hour",
    "亿kWh": "1e8 * kilowatt_hour",
    "万km": "1e4 * kilometer",
    "公顷": "hectare",
    "亩": "666.6667 * meter**2",
}


class UnitMismatch(UsageError):
    """Units that cannot be multiplied to a mass, or turned into one another."""


@cache
def registry() -> pint.UnitRegistry[float]:
    """The registry of units, made once.

    >>> registry()("3 辆").to("vehicle").magnitude
    3
    """
    units: pint.UnitRegistry[float] = pint.UnitRegistry(preprocessors=[_plain], cache_folder=None)
    for line in _DEFINITIONS:
        units.define(line)
    return units


def _plain(text: str) -> str:
    """Spell a unit so that Pint reads it: ``m3``, ``Nm3``, ``m³`` and the Chinese multiples."""
    for written, meant in _SPELLED.items():
        text = text.replace(written, f"({meant})")
    text = text.replace("m³", "m3").replace("m²", "m2").replace("Nm3", "m3")
    return text.replace("m3", "m**3").replace("m2", "m**2")


@cache
def scale(unit: str, to: str) -> float:
    """What a number in `unit` is multiplied with to be a number in `to`.

    Raises UnitMismatch when they are not of one dimension or one of them is unknown.

    >>> scale("g/kg", "kg/t"), scale("%", "kg/t"), scale("万m3", "m3")
    (1.0, 10.0, 10000.0)
    """
    units = registry()
    try:
        factor = float((1.0 * units(unit)).to(to).magnitude)
    except pint.DimensionalityError as cause:
        raise UnitMismatch(
            f"{unit!r} is not a {to!r}: {cause}.", remedy="Give the amount in a unit that fits the factor."
        ) from cause
    except (pint.UndefinedUnitError, AttributeError, pint.errors.DefinitionSyntaxError) as cause:
        raise UnitMismatch(f"unknown unit in {unit!r} or {to!r}: {cause}.") from cause
    # Pint goes through base units; fifteen digits drop the binary tail that this leaves.
    return float(f"{factor:.15g}")


def tonnes(product: str) -> float:
    """Tonnes in one unit of a product of units; UnitMismatch when the product is not a mass.

    >>> tonnes("mg/m3 * m3/h * h")
    1e-09
    >>> tonnes("component * kg/h/component * h / h")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    qinglan.emission.units.UnitMismatch: 'component * kg/h/component * h / h' is not a 't': ...
    """
    return scale(product, "t")


def emitted(amount_unit: str, factor_unit: str) -> float:
    """Tonnes for one unit of an amount times one unit of its factor.

    >>> emitted("t", "g/kg"), emitted("万m3", "g/m3"), emitted("头", "kg/头")
    (0.001, 0.01, 0.001)
    """
    return tonnes(f"({amount_unit}) * ({factor_unit})")
