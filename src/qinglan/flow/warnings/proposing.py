"""What the air asks for now: observed days, then the forecast, held against the levels of each place.

The evidence of a proposal is kept with the warning as it was read: the series, every clause with what it has and
lacks, and what speaks against it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

import polars as pl

from qinglan.connect.reading import read_text
from qinglan.core.clock import CST, midnight, today
from qinglan.core.errors import LayoutError, NotFound
from qinglan.episode.triggers import LEVELS, NONE, SERIES, Proposal, propose, together
from qinglan.flow import forecasts
from qinglan.flow.forecasts import desk
from qinglan.flow.views.result import current
from qinglan.flow.warnings.rules import BOOK, IN_FORCE, book_of, jurisdiction, jurisdictions, partners
from qinglan.flow.workspace import Workspace
from qinglan.plan.rules import load_book
from qinglan.store import warnings as store
from qinglan.store.files import Files

Row = dict[str, Any]
#: Observed days before now that a series holds.
BEFORE = 10
_OZONE = "mda8"


@dataclass(frozen=True)
class Asked:
    """What is proposed for a place.

    level : by its own condition; joint : with its partners (`by` names the one that asks for more). inputs : what
    the series was made of and what was missing.
    """

    place: str
    current: str
    proposal: Proposal
    joint: str
    by: str
    series: pl.DataFrame
    inputs: Mapping[str, Any]

    @property
    def act(self) -> str:
        """none, keep, issue, upgrade, downgrade or lift, with the partners heard."""
        rank = (NONE, *LEVELS).index
        if self.joint == self.proposal.level:
            return self.proposal.act
        if rank(self.joint) > rank(self.current):
            return "issue" if self.current == NONE else "upgrade"
        return "keep" if self.joint == self.current else "downgrade"


def asked(
    workspace: Workspace, now: datetime, given: Mapping[str, pl.DataFrame] | None = None
) -> dict[str, Asked]:
    """What every place that warns should do at a moment; partners heard.

    given : series of the caller's own instead of observation and forecast (:func:`read_series`), by place.
    """
    known, groups = jurisdictions(workspace)
    wanted = [p for p in known if given is None or p in given]
    notice = load_book("emergency_cuts", today(now)).number("notice")
    in_force = levels_in_force(workspace)
    made: dict[str, tuple[str, Proposal, pl.DataFrame, Mapping[str, Any]]] = {}
    for place in wanted:
        ask = series_of(workspace, place, now) if given is None else (given[place], {"given": True})
        book, clauses = book_of(workspace, place, today(now))
        level = in_force.get(place, NONE)
        made[place] = level, propose(ask[0], now, level, book, notice, clauses), *ask
    levels = {place: p.level for place, (_, p, *_) in made.items()}
    found = {}
    for place, (level, proposal, series, inputs) in made.items():
        own = load_book(BOOK, today(now), **known[place].options).option("partner")
        joint = together(levels, groups, own)[place]
        by = next((p for p in partners(workspace, place) if levels.get(p) == joint != levels[place]), "")
        found[place] = Asked(place, level, proposal, joint, by, series, inputs)
    return found


def levels_in_force(workspace: Workspace) -> dict[str, str]:
    """The level in force by place."""
    return {r["place"]: r["level"] for r in store.listed(workspace.registry) if r["state"] in IN_FORCE}


def series_of(workspace: Workspace, place: str, now: datetime) -> tuple[pl.DataFrame, dict[str, Any]]:
    """The series of a place (days), and what it was made of: `observed` and `forecast` days, `notes`."""
    jurisdiction(workspace, place)
    here = today(now)
    rows = _observed(workspace, place, here)
    last = rows[-1]["start"].astimezone(CST).date() if rows else here - timedelta(days=1)
    ahead, made_at, office = _forecast(workspace, place, now, last)
    notes = [] if rows else ["no_observation"]
    if rows and last < here - timedelta(days=1):
        notes.append("old_observation")
    if not ahead:
        notes.append("no_forecast")
    elif today(made_at) < here:
        notes.append("old_forecast")
    inputs = {
        "observed": len(rows), "forecast": len(ahead), "office": office, "last_observed": last.isoformat(),
        "made_at": made_at.isoformat(), "notes": notes,
    }  # fmt: skip
    return pl.DataFrame([*rows, *ahead], schema=SERIES), inputs


#: What each choice of the option `forecast` reads: a column of the machine's AQI, a part of what an office issued.
_SAID = {"median": ("q50", "middle"), "upper": ("q75", "high")}


def _forecast(workspace: Workspace, place: str, now: datetime, last: date) -> tuple[list[Row], datetime, int]:
    """Days after the last observed one in the newest forecast, when it was made, how many an office issued.

    What an office issued of a day stands before the machine's AQI, where the option `forecast_by` says so; half an
    index is rounded up. Whether dust or ozone makes a day is the machine's word.
    """
    try:
        said = forecasts.latest(workspace, [place], as_of=now).aqi
    except NotFound:
        return [], now, 0
    book, _ = book_of(workspace, place, today(now))
    column, part = _SAID[book.option("forecast")]
    issued = desk.issued(workspace, now) if book.option("forecast_by") == "office" else {}
    rows = said.filter(pl.col("day") > last).sort("day").to_dicts()
    made_at = rows[0]["made_at"] if rows else now
    return [
        {"start": midnight(r["day"]).astimezone(UTC), "hours": 24, "observed": False,
         "aqi": ceil(issued[place, r["day"]][part]) if (place, r["day"]) in issued else r[column],
         "dust": bool(r["dust"]), "ozone": bool(r["ozone"])}
        for r in rows
    ], made_at, sum((place, r["day"]) in issued for r in rows)  # fmt: skip


def _observed(workspace: Workspace, place: str, here: date) -> list[Row]:
    """Days of the current run before today, by the AQI in force; dust as it was confirmed or is still proposed."""
    try:
        result = current(workspace)
    except NotFound:
        return []
    first = here - timedelta(days=BEFORE)
    within = "place = $place and day >= $first and day < $here"
    rows = result.rows("place_aqi", f"in_force and {within}", "day", place=place, first=first, here=here)
    dusty = {r["day"] for r in result.rows("dust_days", within, "day", place=place, first=first, here=here)}
    return [
        {"start": midnight(r["day"]).astimezone(UTC), "hours": 24, "aqi": r["aqi"], "observed": True,
         "dust": r["day"] in dusty, "ozone": (r["primary_pollutant"] or "").split(",")[0] == _OZONE}
        for r in rows
    ]  # fmt: skip


_HEADS = ("start", "hours", "aqi", "observed", "dust", "ozone")
_TRUE, _FALSE = ("1", "true", "yes", "是"), ("0", "false", "no", "否", "")


def read_series(path: Path) -> pl.DataFrame:
    """A series out of a CSV: `start` (Beijing wall time), `hours`, `aqi`, `observed`, `dust`, `ozone`.

    Only `start` and `aqi` must be there; `hours` is 1 and the flags are no where they are not said. LayoutError
    names the line, the value and the remedy.
    """
    text, name = read_text(path), path.name
    if text.damaged:
        raise LayoutError(f"{name} is neither UTF-8 nor GB 18030.", remedy="Save it as CSV in UTF-8.")
    reader = csv.DictReader(io.StringIO(text.body))
    lacking = [c for c in ("start", "aqi") if c not in (reader.fieldnames or ())]
    if lacking:
        raise LayoutError(
            f"{name} lacks the column {', '.join(lacking)}.", remedy=f"Its columns are {', '.join(_HEADS)}."
        )
    rows = [_line(row, name, number) for number, row in enumerate(reader, start=2)]
    return pl.DataFrame(rows, schema=SERIES)


def _line(row: Mapping[str, str | None], name: str, number: int) -> Row:
    def text(column: str) -> str:
        return (row.get(column) or "").strip()

    def wrong(column: str, remedy: str) -> LayoutError:
        return LayoutError(f"{name}, line {number}: {column} is {text(column)!r}.", remedy=remedy)

    try:
        start = datetime.fromisoformat(text("start"))
    except ValueError:
        raise wrong("start", "Write 2025-01-10 18:00.") from None
    start = start.replace(tzinfo=CST) if start.tzinfo is None else start
    if (start.minute, start.second, start.microsecond) != (0, 0, 0):
        raise wrong("start", "An hour begins at its full hour.")
    hours = text("hours") or "1"
    if hours not in ("1", "24"):
        raise wrong("hours", "1 or 24.")
    try:
        aqi = float(text("aqi")) if text("aqi") else None
    except ValueError:
        raise wrong("aqi", "A number from 0 to 500, or nothing where it is not known.") from None
    if aqi is not None and not 0 <= aqi <= 500:
        raise wrong("aqi", "A number from 0 to 500, or nothing where it is not known.")
    flags = {}
    for column in ("observed", "dust", "ozone"):
        if text(column).lower() not in (*_TRUE, *_FALSE):
            raise wrong(column, "yes or no.")
        flags[column] = text(column).lower() in _TRUE
    return {"start": start.astimezone(UTC), "hours": int(hours), "aqi": aqi, **flags}


def evidence(found: Asked, workspace: Workspace, now: datetime) -> Row:
    """What is kept with a warning: the rule, the series, every clause, and what speaks against it."""
    book, clauses = book_of(workspace, found.place, today(now))
    outcome = found.proposal.outcome
    return {
        "place": found.place,
        "asked_at": now.astimezone(UTC).isoformat(),
        "rule": {**asdict(book.use()), "own_levels": dict(clauses),
                 "source": jurisdiction(workspace, found.place).source},
        "act": found.act,
        "level": found.joint,
        "own_level": found.proposal.level,
        "by_partner": found.by,
        "urgent": found.proposal.urgent,
        "notice_hours": found.proposal.notice,
        "start": outcome.start.isoformat() if outcome.start else None,
        "end": outcome.end.isoformat() if outcome.end else None,
        "clauses": [_told(f) for f in outcome.findings],
        "against": against(found),
        "inputs": dict(found.inputs),
        "series": [
            {**row, "start": row["start"].isoformat()} for row in found.series.iter_rows(named=True)
        ],
    }  # fmt: skip


def _told(finding: Any) -> Row:
    spell = finding.spell
    return {
        "level": finding.level, "clause": finding.clause, "holds": finding.holds, "has": finding.has,
        "asks": finding.asks, "basis": finding.basis, "joined": bool(spell and spell.joined),
        "start": spell.start.isoformat() if spell else None, "end": spell.end.isoformat() if spell else None,
    }  # fmt: skip


def against(found: Asked) -> list[Row]:
    """What speaks against a proposal, or weakens it: `key` of the sentence with its `number`."""
    outcome, told = found.proposal.outcome, []
    if outcome.left_out:
        told.append({"key": "left_out", "number": outcome.left_out})
    if outcome.missing:
        told.append({"key": "missing", "number": outcome.missing})
    held = [f for f in outcome.findings if f.holds and f.level == outcome.level]
    if held and all(f.basis == "forecast" for f in held):
        told.append({"key": "forecast_only", "number": 0})
    if held and min(f.has - f.asks for f in held) == 0:
        told.append({"key": "exactly", "number": held[0].asks})
    if found.by:
        told.append({"key": "partner_only", "number": 0})
    told += [{"key": note, "number": 0} for note in found.inputs.get("notes", ())]
    return told


def kept_evidence(workspace: Workspace, digest: str) -> Row:
    """The evidence, or the review, that a move kept; empty when it kept none."""
    if not digest:
        return {}
    found: Row = json.loads(Files(workspace.home).open(digest))
    return found
