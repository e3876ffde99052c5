"""GB/T 8170 rounding of single numbers, exactly, on decimals and fractions.

Tables are rounded by :mod:`qinglan.air.exact`, which does the same over expressions; the tests hold the two
against each other.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

Number = int | str | Decimal | Fraction


def exact(value: Number | float) -> Fraction:
    """A number as the decimal a person wrote: floats are read by their shortest repr, not their binary tail.

    >>> exact(2.2)
    Fraction(11, 5)
    """
    return Fraction(str(value)) if isinstance(value, float) else Fraction(value)


def half_even(value: Number | float, decimals: int = 0) -> Fraction:
    """Round to `decimals` places, a lone trailing 5 to the even neighbour (GB/T 8170-2008 3.2).

    >>> [int(half_even(x)) for x in ("60.5", "61.5", "60.51")]
    [60, 62, 61]
    """
    scaled = exact(value) * 10**decimals
    return Fraction(round(scaled), 10**decimals)


def shown(value: Number | float, decimals: int) -> str:
    """Rounded and written with exactly `decimals` places.

    >>> shown(Fraction(17, 20), 1), shown("0.95", 1)
    ('0.8', '1.0')
    """
    rounded = half_even(value, decimals)
    quantum = Decimal(1).scaleb(-decimals)
    return str((Decimal(rounded.numerator) / Decimal(rounded.denominator)).quantize(quantum, ROUND_HALF_EVEN))
