"""Every ledger through its whole round: filled, broken, imported, repaired, exported, imported again.

Source: issue 3, must show 1. The rows are simulated; which of them were spoiled, and how, the simulation says.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from qinglan.flow import ledgers
from qinglan.flow.demo import fill_ledgers
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.ledger.declare import ledgers as declared
from qinglan.ledger.declare import load_ledger
from qinglan.sim.ledgers import faulty, rows
from qinglan.store import ledgers as store

TODAY, NOW = date(2025, 12, 31), datetime(2026, 1, 5, 1, tzinfo=UTC)
#: Rows of a ledger that are taken through the round.
ROWS = 60


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with the simulated ledgers of the demonstration, so that references find what they refer to."""
    made = init(tmp_path_factory.mktemp("every") / "home", Settings(simulated=True))
    fill_ledgers(made, lambda _: None)
    return made


def test_the_demonstration_fills_every_ledger(office: Workspace) -> None:
    filled = store.newest(office.registry)
    assert sorted(filled) == sorted(declared())
    assert set(store.aside_counts(office.registry)) == {"boilers", "petrol-stations", "vehicle-checks"}
    again: list[str] = []
    fill_ledgers(office, again.append)
    assert (again, store.newest(office.registry)) == ([], filled), "filling again changes nothing"


@pytest.mark.parametrize("name", declared())
def test_the_round_of_a_ledger(office: Workspace, name: str, tmp_path: Path) -> None:
    ledger, me = load_ledger(name), ledgers.local_office(office, "tests")
    size = ROWS if name == "nonroad-machines" else None
    clean, (spoiled, truth) = rows(name, size=size).head(ROWS), faulty(name, size=size, share=0.3)
    spoiled = spoiled.head(ROWS)
    at = {"me": me, "today": TODAY, "now": NOW}
    base = ledgers.frame(office, name)

    def take(cells: pl.DataFrame, **how: bool) -> ledgers.ImportReport:
        data = cells.drop("_line").write_csv().encode()
        return ledgers.import_workbook(office, name, data, name=f"{name}.csv", dry=True, **at, **how)

    whole = take(clean)
    assert whole.read == whole.added + whole.changed + whole.same + whole.back + whole.aside == clean.height
    assert whole.aside == 0
    broken = take(spoiled)
    assert broken.read == broken.added + broken.changed + broken.same + broken.back + broken.aside
    planted = truth.filter(pl.col("line").is_in(spoiled["_line"].implode()))
    assert broken.aside >= 1 or not planted.height
    book = ledgers.export(office, name, base.rows, me=me, lang="zh")
    back = ledgers.import_workbook(office, name, book, name="a.xlsx", dry=True, **at)
    assert back.counts | {"read": base.rows.height, "same": base.rows.height, "aside": 0} == back.counts
    checked = ledgers.recheck(office, name, me=me, today=TODAY)
    assert (checked.counts["same"], checked.counts["aside"]) == (base.rows.height, 0)
    assert set(ledger.schema) <= set(base.rows.columns)
