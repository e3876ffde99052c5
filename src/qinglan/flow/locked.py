"""Locked months at the door: rows that would change final data are kept out until the month is reopened.

A row that says what is there already changes nothing and passes. Weather and what a source printed itself are no
final data of a place and pass too.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from qinglan.core.batch import Reject
from qinglan.core.tables import dataset
from qinglan.flow.workspace import Workspace
from qinglan.store import review, stations

CODE = "locked_month"
#: Data sets that final numbers are made of.
GUARDED = ("hours", "city_days")
_MONTH, _AT = "_month", "_at"


def split(
    workspace: Workspace, name: str, frame: pl.DataFrame, *, replace: bool = False
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of a data set that may go in, and those that would change a locked month. Hold the lake's writer lock.

    frame : columns of the contract without `load_id`, any others. replace : as the load that brings them.
    """
    locks = _locks(workspace, name)
    if not locks or frame.is_empty():
        return frame, frame.clear()
    unit = dataset(name).key[0]
    indexed = frame.with_columns(pl.col("day").dt.strftime("%Y-%m").alias(_MONTH)).with_row_index(_AT)
    table = pl.DataFrame(list(locks), {unit: pl.String, _MONTH: pl.String}, orient="row")
    within = indexed.join(table, on=[unit, _MONTH], how="semi", maintain_order="left")
    if within.is_empty():
        return frame, frame.clear()
    changing = within.filter(workspace.lake.would_change(name, within.drop(_AT, _MONTH), replace=replace))
    kept_out = pl.Series(range(frame.height)).is_in(changing[_AT].implode())
    return frame.filter(~kept_out), frame.filter(kept_out)


def _locks(workspace: Workspace, name: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The lock of each unit (station or place) and month that is locked now."""
    if name not in GUARDED:
        return {}
    found = [row for row in review.locks(workspace.registry) if row["state"] == review.LOCKED]
    if not found or dataset(name).key[0] == "place":
        return {(row["place"], row["month"]): row for row in found}
    homes: dict[str, list[str]] = {}
    for row in stations.stations(workspace.registry):
        homes.setdefault(row["place"], []).append(row["station"])
    return {(code, row["month"]): row for row in found for code in homes.get(row["place"], ())}


def rejects(workspace: Workspace, name: str, frame: pl.DataFrame) -> list[Reject]:
    """What :func:`split` kept out, each row with its values, so that it can go in when the month is open again."""
    contract, locks, made = dataset(name), _locks(workspace, name), []
    for row in frame.iter_rows(named=True):
        lock = locks[row[contract.key[0]], f"{row['day']:%Y-%m}"]
        raw = {n: row[n] for n in contract.handed if row.get(n) is not None}
        detail = f"{lock['month']} of {lock['place']}, locked by {lock['by']} on {lock['at']:%Y-%m-%d}"
        shown = " ".join(str(row[key]) for key in contract.key)
        text = json.dumps(raw, ensure_ascii=False, default=str)
        made.append(Reject(CODE, "+".join(contract.key), shown, None, text, detail))
    return made


def refuse(workspace: Workspace, name: str, frame: pl.DataFrame, *, replace: bool = False) -> None:
    """ReviewRefused (``locked``) when any row would change a locked month; for a repair, which goes in whole."""
    kept_out = split(workspace, name, frame, replace=replace)[1]
    for row in kept_out.head(1).iter_rows(named=True):
        lock = _locks(workspace, name)[row[dataset(name).key[0]], f"{row['day']:%Y-%m}"]
        raise review.locked(lock)
