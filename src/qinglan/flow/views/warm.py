"""Reading ahead what the first views of a run would read."""

from __future__ import annotations

from qinglan.core.errors import NotFound
from qinglan.flow import beside, series
from qinglan.flow.views.result import Workspace, current


def warm(workspace: Workspace) -> None:
    """Read the tables of the current run and open what is mapped. NoRun when there is none."""
    result = current(workspace)
    for path in sorted(result.folder.glob("*.parquet")):
        result.rows(path.stem, "false")
    try:
        hours = series.open_series(workspace, result.folder)
        if hours.newest is not None:
            hours.snapshot(hours.newest)
    except NotFound:
        return
    beside.open_beside(workspace, result.folder)
