"""What no single hour can answer: is a station reported in the wrong reference state?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from qinglan.air import reference_state
from qinglan.air.neighbours import nearest
from qinglan.air.statistics import station_days
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow import quality
from qinglan.flow.run import data_span
from qinglan.flow.workspace import Workspace
from qinglan.plan.rules import load_book, rules_on
from qinglan.store import stations

Progress = Callable[[str], None]
#: Days on either side of the switch of 2018-09: the two states that a series of gases can be in.
_OLD, _NEW = date(2018, 8, 31), date(2018, 9, 1)


def audit_states(workspace: Workspace, progress: Progress) -> dict[str, Any]:
    """Stretches of stations whose level steps against their neighbours by the factor of a wrong reference state.

    On the plateau the two states of particles differ by a quarter and more; those of gases by 9 % everywhere. A
    finding is a question to the operator, never a correction. Stations without coordinates or altitude, or with
    too few neighbours, are listed as not looked at.
    """
    first, last = data_span(workspace)
    progress("quality control")
    quality.control(workspace, on=last)
    progress("daily values")
    con = workspace.lake.connect()
    try:
        table = station_days(workspace.lake.table("checked", con=con), rules_on(last))
        frame = pl.from_arrow(con.to_pyarrow(table.select("station", "day", *DAILY_ITEMS)))
    finally:
        con.disconnect()
    assert isinstance(frame, pl.DataFrame)
    register = {r["station"]: r for r in stations.stations(workspace.registry)}
    codes = [s for s in frame["station"].unique().sort() if _placed(register.get(s))]
    near = nearest({s: (register[s]["lon"], register[s]["lat"]) for s in codes}, book=load_book("qc", last))
    days = np.arange(np.datetime64(first), np.datetime64(last) + 1)
    series = {item: {s: _line(frame, s, item, days) for s in codes} for item in DAILY_ITEMS}
    old, new = (reference_state.gas_state(load_book("gb3095", day)) for day in (_OLD, _NEW))
    candidates = {
        item: {s: reference_state.explanations(item, float(register[s]["altitude"]), old, new) for s in codes}
        for item in DAILY_ITEMS
    }
    progress("reference states")
    found = reference_state.audit(days, series, candidates, near=near)
    passed_over = sorted(set(frame["station"]) - {s for s in codes if near.get(s)})
    rows = [{k: None if v != v else v for k, v in asdict(s).items()} for s in found]  # NaN, unlike itself, is none
    return {"suspicions": rows, "looked_at": len(codes), "not_looked_at": passed_over}


def _placed(row: dict[str, Any] | None) -> bool:
    return row is not None and all(row.get(name) is not None for name in ("lon", "lat", "altitude"))


def _line(frame: pl.DataFrame, station: str, item: str, days: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A station's daily values on the calendar, NaN where missing."""
    own = frame.filter((pl.col("station") == station) & pl.col(item).is_not_null())
    line = np.full(days.size, np.nan)
    at = own["day"].to_numpy().astype("datetime64[D]") - days[0]
    line[at.astype(int)] = own[item].to_numpy()
    return line
