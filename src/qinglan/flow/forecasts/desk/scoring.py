"""The office and the machine held to the same air, apart: what each said of the same places and days.

Only what was issued before its valid day counts, at the lead of the day of its issue. A correction counts from
its own time, and what the version before it had said stays that one's. The machine is the proposal that was frozen
with the version, so that neither knows more than the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from qinglan.core.clock import today
from qinglan.core.errors import NotFound, UnknownName
from qinglan.flow.forecasts.desk.cells import kept
from qinglan.flow.views import result
from qinglan.flow.workspace import Workspace
from qinglan.forecast import verify as pure
from qinglan.plan.rules import load_book
from qinglan.store import desk as store

Row = dict[str, Any]
OFFICE, MACHINE = "office", "machine"
BY = ("lead_day", "place", "season")
_CELL = ("low", "high", "level", "level_low", "level_high", "primary")
#: How far ahead a bulletin may speak.
_REACH = timedelta(days=15)
_KEYS = ("issuer", "place", "day", "lead_day")
_SHAPE = {
    "issuer": pl.String, "bulletin": pl.String, "version": pl.Int64, "place": pl.String, "day": pl.Date,
    "lead_day": pl.Int64, "edited": pl.Boolean, "q50": pl.Float64, "low": pl.Int64, "high": pl.Int64,
    "level": pl.Int64, "level_low": pl.Int64, "level_high": pl.Int64, "primary": pl.String, "who": pl.String,
}  # fmt: skip


@dataclass(frozen=True)
class Apart:
    """Scores of office and machine on the same places and days.

    scores : by `who` (:data:`OFFICE`, :data:`MACHINE`) and the groups: those of
    :func:`qinglan.forecast.verify.index_scores`. edits : by the groups: `edited` days, of these `better` and
    `worse` than the machine by the distance of the middle from what came. days : first and last valid day.
    """

    scores: pl.DataFrame
    edits: pl.DataFrame
    bulletins: int
    days: tuple[date, date]


def issued_pairs(workspace: Workspace, since: date | None = None) -> pl.DataFrame:
    """What office and machine said of each place and valid day, one row each, as :data:`_SHAPE` has it.

    since : only bulletins that may speak of this day and later ones. q50 : the machine's median AQI; of the office
    the middle of its range where it was edited, else the median too.
    """
    rows: dict[tuple[Any, ...], Row] = {}
    listed = store.listed(workspace.registry, since=None if since is None else since - _REACH)
    versions = [r for r in listed if r["issued_at"] is not None]
    for head in sorted(versions, key=lambda r: r["issued_at"]):
        on = today(head["issued_at"])
        # The last move of what was issued keeps what was issued: nothing follows but its being corrected.
        for cell in kept(workspace, head["content"])["said"]:
            day = date.fromisoformat(cell["day"])
            lead = (day - on).days
            if lead >= 1:
                said = {"bulletin": head["id"], "version": head["version"], "edited": cell["edited"]}
                rows[head["place"], cell["place"], day, lead] = {**said, "cell": cell}
    made = []
    for key, row in rows.items():
        cell = row.pop("cell")
        for who, part, middle in (
            (OFFICE, cell, cell["middle"]),
            (MACHINE, cell["machine"], cell["machine"]["q50"]),
        ):
            made.append(
                {**dict(zip(_KEYS, key, strict=True)), **row, "q50": middle, "who": who,
                 **{k: part[k] for k in _CELL}}
            )  # fmt: skip
    return pl.DataFrame(made, schema=_SHAPE)


def apart(
    workspace: Workspace,
    *,
    by: Sequence[str] = ("lead_day",),
    places: Sequence[str] | None = None,
    since: date | None = None,
    until: date | None = None,
) -> Apart:
    """Office and machine held to the air as the current run evaluates it; NotFound when no issued day has come.

    by : of :data:`BY`.
    """
    for name in by:
        if name not in BY:
            raise UnknownName("group of scores", name, BY)
    said = issued_pairs(workspace)
    current = result.current(workspace)
    seen = pl.read_parquet(current.folder / "place_aqi.parquet").filter("in_force").select(
        "place", "day", observed="aqi", observed_level="level", observed_primary="primary_pollutant"
    )  # fmt: skip
    pairs = pure.with_season(said.join(seen.drop_nulls("observed"), on=["place", "day"]))
    if places is not None:
        pairs = pairs.filter(pl.col("place").is_in(list(places)))
    if since is not None:
        pairs = pairs.filter(pl.col("day") >= since)
    if until is not None:
        pairs = pairs.filter(pl.col("day") <= until)
    if pairs.is_empty():
        raise NotFound(
            "no issued day has come yet.", remedy="Issue a bulletin (page /desk), wait, run the evaluation."
        )
    first, last = pairs["day"].min(), pairs["day"].max()
    scores = pure.index_scores(pairs, ["who", *by], load_book("forecast", last))  # type: ignore[arg-type]
    return Apart(
        scores.sort(*by, "who", descending=[*[False] * len(by), True]), _edits(pairs, by),
        pairs["bulletin"].n_unique(), (first, last),  # type: ignore[arg-type]
    )  # fmt: skip


def _edits(pairs: pl.DataFrame, by: Sequence[str]) -> pl.DataFrame:
    """Whether edits brought the middle nearer to what came."""
    far = pairs.with_columns(far=(pl.col("q50") - pl.col("observed")).abs())
    keys = [*_KEYS, *(n for n in by if n not in _KEYS), "edited"]
    wide = far.pivot("who", index=keys, values="far").filter("edited")
    return wide.group_by(by, maintain_order=True).agg(
        pl.len().alias("edited"),
        (pl.col(OFFICE) < pl.col(MACHINE)).sum().alias("better"),
        (pl.col(OFFICE) > pl.col(MACHINE)).sum().alias("worse"),
    )  # fmt: skip
