"""100,000 non-road machines from a workbook into their ledger, beside pandas with openpyxl and a table in SQLite.

Ours checks every cell, keeps bad rows aside, versions, and an event in the audit chain; the peer only reads and
writes. Then the same workbook again, and all rows out as a workbook beside openpyxl.
"""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.racing import Bench, Contestant, Result
from qinglan.ledger.check import check_rows
from qinglan.ledger.declare import load_ledger
from qinglan.ledger.filling import row_blocks, settled
from qinglan.ledger.workbook import FIRST_ROW, read_workbook, template
from qinglan.plan.places import load_places

MACHINES = 100_000
#: Every so manieth row has a power that is no number.
BROKEN = 100


def run(bench: Bench) -> list[Result]:
    """Race; rows taken and the sum of power agree, and the second import changes nothing."""
    number = 300 if bench.quick else MACHINES
    folder = bench.data(f"machines-{number}", lambda made: machines(made / "machines.xlsx", number))
    file, scratch = folder / "machines.xlsx", bench.scratch("ledgers")
    ours = {"file": file, "home": scratch / "home"}
    results = bench.race(
        f"ledgers: {number:,} non-road machines into the ledger",
        [
            Contestant("Qinglan", "benchmarks.ours.ledgers:take", ours),
            Contestant("Qinglan, the same again", "benchmarks.ours.ledgers:again", ours),
            Contestant(
                "pandas, openpyxl, no check",
                "benchmarks.peers.pandas_excel:take",
                {"file": file, "out": scratch / "machines.sqlite"},
            ),
        ],
        unit=(number, "row"),
    )
    first, again, peer = (r.answer for r in results)
    bad = len(range(0, number, BROKEN))
    assert (first["read"], first["added"], first["aside"]) == (number, number - bad, bad), first
    assert (again["read"], again["same"], again["aside"]) == (number, number - bad, bad), again
    assert again["added"] == again["changed"] == 0, again
    assert peer["rows"] == number, peer
    assert math.isclose(first["sum"], peer["sum"], rel_tol=1e-12), (first, peer)
    out = bench.race(
        f"ledgers: {number - bad:,} rows out as a workbook",
        [
            Contestant("Qinglan", "benchmarks.ours.ledgers:give", {**ours, "out": scratch / "ours.xlsx"}),
            Contestant(
                "openpyxl, write only",
                "benchmarks.peers.pandas_excel:give",
                {"file": scratch / "machines.sqlite", "out": scratch / "peer.xlsx"},
            ),
        ],
    )
    assert out[0].answer["rows"] == number - bad
    return results + out


def machines(path: Path, number: int) -> None:
    """A template filled with machines drawn from the examples of the declaration; every BROKEN-th is broken."""
    ledger, rng = load_ledger("nonroad-machines"), np.random.default_rng(1)
    good = pl.DataFrame(
        {
            "_line": range(len(ledger.good)),
            **{c: [_text(row.get(c)) for row in ledger.good] for c in ledger.schema},
        },
        schema_overrides=dict.fromkeys(ledger.schema, pl.String),
    )
    base = check_rows(ledger, good, today=date(2026, 3, 1), places=load_places()).rows
    drawn = base[rng.integers(0, base.height, number).tolist()].with_columns(
        registration=pl.Series([f"QH6301-D{n:07d}" for n in range(number)]),
        power=pl.Series(np.round(rng.uniform(20, 500, number), 1)),
        engine_no=pl.Series([f"E{n:09d}" for n in rng.permutation(number).tolist()]),
    )
    shown = read_workbook(ledger, template(ledger, drawn)).drop("_line")
    broken = pl.int_range(pl.len()) % BROKEN == 0
    power = pl.when(broken).then(pl.lit("很多")).otherwise(pl.col("power"))
    cells = shown.with_columns(power.alias("power"))
    blocks = row_blocks(cells, FIRST_ROW, [0] * cells.width)
    path.write_bytes(settled(template(ledger), "xl/worksheets/sheet1.xml", blocks))


def _text(value: object) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)
