"""Making a workspace with a first station register."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from qinglan.flow.workspace import Settings, Workspace, init, open_workspace
from qinglan.plan.pack import load_plan
from qinglan.plan.places import load_places, load_stations
from qinglan.store.registry import Registry


def make_workspace(
    home: Path, plan: str, place: str, stations: str | None, simulated: bool = False, registry: str = ""
) -> tuple[Workspace, int]:
    """Initialise a home folder for a plan and a place; returns it with the number of stations registered.

    Raises UnknownName or ContentError for a plan, place or station set that is not there.
    """
    load_plan(plan)
    code = load_places()[place].place
    rows = [] if stations is None else [asdict(s) | {"aliases": list(s.aliases)} for s in load_stations(stations)]
    settings = Settings(plan=plan, place=code, simulated=simulated, registry=registry)
    return init(home, settings, stations=rows), len(rows)


def migrate_registry(home: Path, to: str = "head") -> tuple[str | None, str | None]:
    """Bring a workspace's registry to a revision, forward or back; the revisions before and after."""
    opened = Registry(open_workspace(home).registry_place, upgrade=False)
    try:
        before = opened.revision()
        opened.migrate(to)
        return before, opened.revision()
    finally:
        opened.close()
