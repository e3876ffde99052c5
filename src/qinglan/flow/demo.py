"""The demonstration: the simulated province, its ledgers and inventories, and a reviewer who knows its truth."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from graphlib import TopologicalSorter
from pathlib import Path

import polars as pl

from qinglan.core.errors import NotFound
from qinglan.flow import inventory, ledgers
from qinglan.flow.simulate import TRUTH, simulate_into
from qinglan.flow.workspace import SETTINGS_FILE, Settings, Workspace, init, open_workspace
from qinglan.ledger.declare import load_ledger
from qinglan.sim.ledgers import ledger_ids, rows
from qinglan.store import decisions
from qinglan.store import ledgers as store

FIRST, LAST = date(2023, 1, 1), date(2025, 12, 31)
REVIEWER = "模拟审核员 simulated reviewer"
CLERK = "模拟填报员 simulated clerk"
#: Machines of the demonstration; the simulation can deal out any number.
_MACHINES = 5000
#: Ledgers in which the clerk made mistakes, so that there is something to repair.
_SPOILED = ("boilers", "petrol-stations", "vehicle-checks")


def prepare(home: Path, progress: Callable[[str], None]) -> Workspace:
    """Open a simulated workspace, and fill it when it is new. A workspace of real data is refused by the flow."""
    if (home / SETTINGS_FILE).exists():
        workspace = open_workspace(home)
        if workspace.settings.simulated and any(load["status"] == "done" for load in workspace.loads()):
            fill_ledgers(workspace, progress)
            freeze_years(workspace, progress)
            return workspace  # a load that was killed is taken up again below, where it stopped
    else:
        workspace = init(home, Settings(simulated=True))
    said: set[str] = set()

    def stage(name: str, done: int, total: int, at: str) -> None:
        if name not in said:
            said.add(name)
            progress(f"{name} {FIRST}..{LAST}")

    simulate_into(workspace, FIRST, LAST, progress=stage)
    fill_ledgers(workspace, progress)
    freeze_years(workspace, progress)
    return workspace


def fill_ledgers(workspace: Workspace, progress: Callable[[str], None]) -> None:
    """Import the simulated rows of every ledger that nobody has written in yet, as workbooks of a clerk.

    What others refer to comes first. Lines with planted mistakes are kept aside, as any office's would be.
    """
    known = set(ledger_ids())
    refers = {name: {c.refers.split(".")[0] for c in load_ledger(name).columns if c.refers} for name in known}
    order = TopologicalSorter({name: (others & known) - {name} for name, others in refers.items()})
    written = store.last_changes(workspace.registry)
    wanted = [name for name in order.static_order() if name not in written]
    if wanted:
        progress(f"ledgers {len(wanted)}")
    clerk = ledgers.local_office(workspace, CLERK)
    for name in wanted:
        size = _MACHINES if name == "nonroad-machines" else None
        cells = rows(name, size=size, faults=name in _SPOILED).drop("_line")
        ledgers.import_workbook(
            workspace, name, cells.write_csv().encode(), name=f"{name}.csv", me=clerk, today=LAST,
            now=datetime.now(UTC),
        )  # fmt: skip


def freeze_years(workspace: Workspace, progress: Callable[[str], None]) -> None:
    """Freeze the inventory of the last two years of which the ledgers speak, where nobody has frozen one yet."""
    if inventory.versions(workspace):
        return
    for year in (LAST.year - 1, LAST.year):
        with suppress(NotFound):
            made = inventory.freeze(
                workspace, year, by=CLERK, reason="演示清单 for the demonstration", now=datetime.now(UTC)
            )
            progress(f"inventory {made.id}")


def confirm_known_dust(workspace: Workspace) -> None:
    """Decide every proposed dust event from the simulation's own truth: confirm what was dust, reject the rest."""
    truth = pl.read_parquet(workspace.home / TRUTH / "dust.parquet")
    spans: dict[str, list[tuple[object, object]]] = {}
    for place, start, end in truth.select("place", "start", "end").iter_rows():
        spans.setdefault(place, []).append((start, end))
    pending = decisions.dust_events(workspace.registry, status="proposed")
    margin = timedelta(hours=3)
    rows = []
    for event in pending:
        hit = any(
            event["start"] <= end + margin and event["end"] >= start - margin  # type: ignore[operator]
            for start, end in spans.get(event["place"], [])
        )
        status = "confirmed" if hit else "rejected"
        reason = (
            "与模拟真值一致 / in the simulated truth"
            if hit
            else "模拟真值中无沙尘 / no dust in the simulated truth"
        )
        rows.append({**event, "status": status, "reason": reason})
    decisions.record_dust_events(workspace.registry, rows, who=REVIEWER)
