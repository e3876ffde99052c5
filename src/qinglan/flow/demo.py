"""The demonstration: the simulated province, and a reviewer who knows its truth."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from qinglan.flow.simulate import TRUTH, simulate_into
from qinglan.flow.workspace import SETTINGS_FILE, Settings, Workspace, init, open_workspace
from qinglan.store import decisions

FIRST, LAST = date(2023, 1, 1), date(2025, 12, 31)
REVIEWER = "模拟审核员 simulated reviewer"


def prepare(home: Path, progress: Callable[[str], None]) -> Workspace:
    """Open a simulated workspace, and fill it when it is new. A workspace of real data is refused by the flow."""
    if (home / SETTINGS_FILE).exists():
        workspace = open_workspace(home)
        if workspace.settings.simulated and any(load["status"] == "done" for load in workspace.loads()):
            return workspace  # a load that was killed is taken up again below, where it stopped
    else:
        workspace = init(home, Settings(simulated=True))
    said: set[str] = set()

    def stage(name: str, done: int, total: int, at: str) -> None:
        if name not in said:
            said.add(name)
            progress(f"{name} {FIRST}..{LAST}")

    simulate_into(workspace, FIRST, LAST, progress=stage)
    return workspace


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
