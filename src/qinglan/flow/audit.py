"""What no single hour can answer: is a station dated wrong, are its columns exchanged, is its state the wrong one?

Findings are questions to the operator. Nothing here changes a value or a flag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from qinglan.air import reference_state
from qinglan.air.neighbours import nearest
from qinglan.air.qc import series
from qinglan.air.statistics import station_days
from qinglan.core.clock import Period
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow import console_settings, quality
from qinglan.flow.run import data_span
from qinglan.flow.workspace import Workspace
from qinglan.plan.rules import load_book, rules_on
from qinglan.store import stations

Progress = Callable[[str], None]
#: Days on either side of the switch of 2018-09: the two states that a series of gases can be in.
_OLD, _NEW = date(2018, 8, 31), date(2018, 9, 1)


def audit(workspace: Workspace, progress: Progress) -> dict[str, Any]:
    """Compare every station with its neighbours over its whole series.

    `shifted`: months in which a station's rows fit only when moved by hours or a day. `swapped`: stretches in
    which two columns fit better exchanged; both read the hours as reported. `states`: stretches whose level steps
    by the factor of a wrong reference state (particles: a quarter and more on the plateau; gases 9 % everywhere),
    read from valid daily values. Stations without coordinates or altitude, or with too few neighbours, are listed
    as not looked at.
    """
    first, last = data_span(workspace)
    progress("quality control")
    book = rules_on(last, console_settings.options(workspace)).control
    quality.control(workspace, book)
    register = {r["station"]: r for r in stations.stations(workspace.registry)}
    con = workspace.lake.connect()
    try:
        hours = workspace.lake.table("hours", con=con)
        known = con.to_pyarrow(hours.select("station").distinct())["station"].to_pylist()
        codes = [s for s in sorted(known) if _placed(register.get(s))]
        near = nearest({s: (register[s]["lon"], register[s]["lat"]) for s in codes}, book=book)
        progress("time axes")
        shifted = series.shifted_hours(hours, near, _months(first, last), book=book)
        progress("columns")
        swapped = series.swapped(hours, near, book=book)
        progress("reference states")
        days = station_days(workspace.lake.table("checked", con=con), rules_on(last))
        frame = pl.from_arrow(con.to_pyarrow(days.select("station", "day", *DAILY_ITEMS)))
    finally:
        con.disconnect()
    assert isinstance(frame, pl.DataFrame)
    altitudes = {s: float(register[s]["altitude"]) for s in codes}
    states = _states(frame, altitudes, near, np.arange(np.datetime64(first), np.datetime64(last) + 1))
    return {
        "shifted": [_plain(f) for f in shifted],
        "swapped": [_plain(f) for f in swapped],
        "states": [_plain(s) for s in states],
        "looked_at": len(codes),
        "not_looked_at": sorted(set(known) - {s for s in codes if near.get(s)}),
    }


def _states(
    frame: pl.DataFrame,
    altitudes: Mapping[str, float],
    near: Mapping[str, Sequence[str]],
    days: np.ndarray[Any, Any],
) -> list[reference_state.Suspicion]:
    old, new = (reference_state.gas_state(load_book("gb3095", day)) for day in (_OLD, _NEW))
    values = {item: {s: _line(frame, s, item, days) for s in altitudes} for item in DAILY_ITEMS}
    candidates = {
        item: {s: reference_state.explanations(item, high, old, new) for s, high in altitudes.items()}
        for item in DAILY_ITEMS
    }
    return reference_state.audit(days, values, candidates, near=near)


def _months(first: date, last: date) -> list[Period]:
    months = [Period.month(y, m) for y in range(first.year, last.year + 1) for m in range(1, 13)]
    return [p for p in months if p.end >= first and p.start <= last]


def _plain(found: Any) -> dict[str, Any]:
    """For JSON; NaN, unlike itself, becomes none."""
    return {name: None if value != value else value for name, value in asdict(found).items()}


def _placed(row: dict[str, Any] | None) -> bool:
    return row is not None and all(row.get(name) is not None for name in ("lon", "lat", "altitude"))


def _line(frame: pl.DataFrame, station: str, item: str, days: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A station's daily values on the calendar, NaN where missing."""
    own = frame.filter((pl.col("station") == station) & pl.col(item).is_not_null())
    line = np.full(days.size, np.nan)
    at = own["day"].to_numpy().astype("datetime64[D]") - days[0]
    line[at.astype(int)] = own[item].to_numpy()
    return line
