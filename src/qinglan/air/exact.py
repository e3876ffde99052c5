"""Exact arithmetic over table expressions.

A concentration arrives as a double such as 0.35 that only *names* a decimal. :func:`grid` turns it into the
integer count of millionths it stands for, still carried in a double: doubles hold every integer up to 2**53,
so sums are exact in any order and on any engine. A quotient of two such integers, computed by one division,
is correctly rounded (IEEE 754), therefore it is a whole number or a half exactly when the true quotient is.
That is all that GB/T 8170 rounding and the upward rounding of HJ 633 4.2.5 need; see the proof of range in
``docs/design/0004-exact-arithmetic.md`` and ``tests/air/test_exact.py``.

Rounding itself is left to the hardware: adding and taking away 1.5 x 2**52 leaves no room for a fraction, and
IEEE 754 addition rounds to nearest, ties to even, which is GB/T 8170. No engine's ``round`` is asked, because
engines differ on ties.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

#: Grid counts per unit of concentration (1e-6 µg/m³; for CO 1e-6 mg/m³).
GRID = 1_000_000
GRID_DECIMALS = 6

#: 1.5 x 2**52: a double of this size has a last place worth exactly 1.
_NO_FRACTION = 6755399441055744.0

#: What one value that is there weighs in a tally: beyond any sum of a day's grid counts (2**46 is 70 g/m³ summed),
#: and 63 of them still leave the sum an exact integer.
_ONE_VALUE = 140737488355328.0  # 2**47


@ibis.udf.scalar.builtin(name="ceil")  # type: ignore[untyped-decorator]
def _ceil(x: float) -> float:  # type: ignore[empty-body]
    ...


def grid(value: ir.NumericValue) -> ir.NumericValue:
    """Concentration [µg/m³ or mg/m³] -> integer count of millionths, carried in a double."""
    return half_even(value * float(GRID))


def tallied(value: ir.NumericValue) -> ir.NumericValue:
    """Concentration -> a number whose sums (of up to 63) tell sum and number of values at once; see :func:`tally`.

    A day's statistics then need one aggregate for each item and hour instead of two.
    """
    return grid(value) + _ONE_VALUE


def tally(total: ir.NumericValue) -> tuple[ir.NumericValue, ir.NumericValue]:
    """Sum of grid counts and number of values behind a sum of :func:`tallied`; both exact integers in doubles.

    Null (a sum of nothing) gives nulls, 0 gives (0, 0).
    """
    number = half_even(total / _ONE_VALUE)
    return total - number * _ONE_VALUE, number


def ceil(value: ir.NumericValue) -> ir.NumericValue:
    """Smallest integer not below, as a double."""
    return _ceil(value).cast("float64")


def half_even(quotient: ir.NumericValue) -> ir.NumericValue:
    """Nearest integer, a lone half to the even neighbour (GB/T 8170-2008 3.2), as a double.

    `quotient` is an integer or ONE division of integers; a longer calculation may miss a tie. Holds for
    magnitudes below 2**51.
    """
    return (quotient + _NO_FRACTION) - _NO_FRACTION


def printed(value: ir.NumericValue, decimals: int) -> ir.NumericValue:
    """One concentration -> integer number of 10**-decimals, rounded by GB/T 8170.

    With 0 or 1 decimals the way over the grid is spared: a whole number and its half are exact in binary, and ten
    times the double that names a half of a tenth is that half again, for every one up to 20,000 (the tests
    try them all).
    """
    if decimals > 1:
        return rounded(grid(value), decimals)
    return half_even(value * 10.0 if decimals else value)


def rounded(count: ir.NumericValue, decimals: int, *, divisor: ir.NumericValue | int = 1) -> ir.NumericValue:
    """A grid count (divided by `divisor`) as an integer number of 10**-decimals, rounded once by GB/T 8170.

    ``rounded(sum, 0, divisor=n)`` is the mean as it is shown: 121 for a mean of 120.5 and one more grain.
    """
    step = 10 ** (GRID_DECIMALS - decimals)
    return half_even(count / (divisor * float(step)))


def carried(count: ir.NumericValue, decimals: int, *, divisor: ir.NumericValue | int = 1) -> ir.NumericValue:
    """A statistic in units of concentration, kept to `decimals` places (6: unrounded for every practical use)."""
    return rounded(count, decimals, divisor=divisor) / float(10**decimals)
