"""GB/T 8170 over expressions, held against exact fractions (qinglan.core.rounding)."""

from fractions import Fraction

import pyarrow as pa

from qinglan.air.exact import GRID, carried, grid, printed, rounded, tallied, tally
from qinglan.core.rounding import half_even

#: Written decimals whose binary doubles lie on either side of what they name, and every tie near them.
VALUES = [
    0.0, 0.05, 0.15, 0.25, 0.35, 0.45, 0.85, 0.95, 1.005, 1.15, 2.2, 2.25, 2.675, 8.95, 29.0, 35.4, 35.5,
    36.5, 60.49, 60.5, 60.51, 61.4999, 61.5, 159.5, 160.5, 999.5, 1000.5, 9999.5, -0.5, -1.5,
]  # fmt: skip


def test_display_rounding_is_gbt8170_on_the_written_decimal(engine):
    table = engine.load({"x": pa.array(VALUES, pa.float64())})
    rows = engine.rows(table.mutate(whole=rounded(grid(table.x), 0), tenth=rounded(grid(table.x), 1)))
    for row in rows:
        assert row["whole"] == half_even(row["x"], 0), row
        assert Fraction(int(row["tenth"]), 10) == half_even(row["x"], 1), row


def test_a_printed_value_is_gbt8170_without_the_grid(engine):
    table = engine.load({"x": pa.array(VALUES, pa.float64())})
    rows = engine.rows(
        table.mutate(whole=printed(table.x, 0), tenth=printed(table.x, 1), fine=printed(table.x, 3))
    )
    for row in rows:
        assert row["whole"] == half_even(row["x"], 0), row
        assert Fraction(int(row["tenth"]), 10) == half_even(row["x"], 1), row
        assert Fraction(int(row["fine"]), 1000) == half_even(row["x"], 3), row


def test_every_half_of_a_tenth_up_to_20000_is_a_tie(duckdb_engine):
    # Even numbers of tenths must win: k + 1/2 tenths round to k for even k, to k + 1 for odd k.
    table = duckdb_engine.load({"k": pa.array(range(200_000), pa.int64())})
    x = (table.k * 2 + 1) / 20.0
    wrong = table.filter(printed(x, 1) != table.k + table.k % 2)
    assert duckdb_engine.rows(wrong.aggregate(n=wrong.count()))[0]["n"] == 0


def test_a_mean_is_rounded_once_from_the_exact_quotient(engine):
    # 23 hours of 60 and one of 72 mean 60.5 -> 60 (even); with 61.5 -> 62; a hair above a tie goes up.
    cases = [(24, 1452, 60), (24, 1476, 62), (20, 1210.001, 61), (24, 1451.999, 60), (21, 1270.5, 60)]
    table = engine.load({"n": pa.array([c[0] for c in cases]), "s": pa.array([float(c[1]) for c in cases])})
    rows = engine.rows(table.mutate(shown=rounded(grid(table.s), 0, divisor=table.n)), "n", "s")
    got = {(r["n"], r["s"]): r["shown"] for r in rows}
    for n, s, shown in cases:
        assert got[n, s] == shown == half_even(Fraction(str(s)) / n, 0)


def test_every_quotient_of_hours_carries_to_the_same_double_as_its_fraction(engine):
    sums = list(range(0, 2400, 7))
    table = engine.load({"s": pa.array([float(s) for s in sums])})
    for n in (6, 7, 20, 23, 24):
        rows = engine.rows(table.mutate(m=carried(grid(table.s), 6, divisor=n)), "s")
        for row, s in zip(rows, sums, strict=True):
            assert row["m"] == float(half_even(Fraction(s, n), 6))


def test_null_stays_null(engine):
    table = engine.load({"x": pa.array([None, 1.0], pa.float64())})
    rows = engine.rows(table.mutate(y=rounded(grid(table.x), 0), z=carried(grid(table.x), 6)), "x")
    assert [(r["y"], r["z"]) for r in rows if r["x"] is None] == [(None, None)]


def test_grid_is_wide_enough_for_a_year_of_dust():
    # The largest sum anything here forms: 366 x 24 hours of 20,000 µg/m³ must stay an exact integer.
    assert 366 * 24 * 20_000 * GRID < 2**53


def test_a_tally_tells_sum_and_number_apart(engine):
    # 24 hours of the door's largest and smallest values, a lone one, and none at all.
    groups = {1: [100_000.0] * 24, 2: [-1_000.0] * 24, 3: [0.35], 4: [None, None], 5: [0.1, None, 0.2, -0.05]}
    rows = [(g, v) for g, values in groups.items() for v in values]
    table = engine.load({"g": pa.array([g for g, _ in rows]), "x": pa.array([v for _, v in rows], pa.float64())})
    sums = table.mutate(t=tallied(table.x)).group_by("g").aggregate(t=lambda t: t.t.sum())
    total, number = tally(sums.t.fill_null(0.0))
    got = {r["g"]: (r["total"], r["number"]) for r in engine.rows(sums.mutate(total=total, number=number))}
    for g, values in groups.items():
        there = [Fraction(str(v)) * GRID for v in values if v is not None]
        assert got[g] == (sum(there), len(there)), g
