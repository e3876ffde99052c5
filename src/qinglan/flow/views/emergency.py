"""What the pages of the emergency list show: whether it holds, what is wrong, its lines, its completion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from qinglan.access import Principal
from qinglan.core.errors import NotFound, UnknownName
from qinglan.episode import list_sources
from qinglan.episode.completion import LEVELS, SPECIES
from qinglan.flow import emergency
from qinglan.flow.emergency import LEDGER, Proposal, Seen
from qinglan.flow.ledgers import rights
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import load_ledger

Row = dict[str, Any]
#: Checks in the order in which their counts are told: what fails the whole list first.
CHECKS = ("reduction", "coverage", "protected", "ramp", "one_size", "twice", *list_sources.CHECKS)
#: Filters over the lines, each a column; `q` searches, `only` is `finding` or a state.
FILTERS = ("sector", "grade")


def seen(workspace: Workspace, me: Principal, today: date, year: int | None = None) -> Seen | None:
    """The list as a reader may see it; None when there is nothing to hold it against yet.

    year : None is the newest of the list; where that is empty, the year of the day, so that one can be built.
    """
    rights.need(me, load_ledger(LEDGER), rights.VIEW)
    try:
        return emergency.seen(workspace, me, today, _year(workspace, today, year))
    except NotFound:
        return None


def _year(workspace: Workspace, today: date, year: int | None) -> int:
    try:
        return emergency.year_of(workspace, year)
    except NotFound:
        return today.year


def levels(needs: pl.DataFrame) -> list[Row]:
    """Requirements by level: `level`, `short` (how many of its requirements are missed), `rows`."""
    made = []
    for level in LEVELS:
        rows = needs.filter(level=level).to_dicts()
        made.append({"level": level, "short": sum(not r["holds"] for r in rows), "rows": rows})
    return made


def counted(found: Seen) -> list[tuple[str, int]]:
    """Findings by check, in the order of :data:`CHECKS`; only those that found something."""
    counts = dict(found.findings.group_by("check").len().iter_rows())
    return [(name, counts[name]) for name in CHECKS if name in counts]


def findings(found: Seen, check: str = "") -> pl.DataFrame:
    """Findings of one check or of all, in the order of :data:`CHECKS`. UnknownName for another check."""
    if check and check not in CHECKS:
        raise UnknownName("check", check, CHECKS)
    rows = found.findings.filter(check=check) if check else found.findings
    order = pl.col("check").replace_strict({n: k for k, n in enumerate(CHECKS)}, default=99, return_dtype=pl.Int8)
    return rows.sort(order, maintain_order=True)


def lines(found: Seen, ask: Mapping[str, str]) -> pl.DataFrame:
    """Rows of the list that a filter asks for, the most NOx first, with `found`: findings about each.

    ask : `q` (name, code or number), `place`, `sector`, `grade`, `status`, `only` (``finding`` or empty).
    """
    counts = found.findings.filter(pl.col("key") != "").group_by("key").len().rename({"len": "found"})
    rows = found.rows.join(counts, left_on="_key", right_on="key", how="left").with_columns(
        pl.col("found").fill_null(0)
    )
    for name in (*FILTERS, "status"):
        if ask.get(name):
            rows = rows.filter(pl.col(name) == ask[name])
    if ask.get("place"):
        stem = ask["place"][:4] if ask["place"].endswith("00") else ask["place"]
        rows = rows.filter(pl.col("county").str.starts_with(stem))
    if ask.get("only"):
        rows = rows.filter(pl.col("found") > 0)
    if ask.get("q", "").strip():
        text = ask["q"].strip().casefold()
        whole = pl.concat_str(["enterprise", "uscc", "line_no", "line"], separator="\n", ignore_nulls=True)
        rows = rows.filter(whole.str.to_lowercase().str.contains(text, literal=True))
    return rows.sort("nox_day", "_key", descending=[True, False], nulls_last=True)


def choices(found: Seen) -> dict[str, Sequence[str]]:
    """What the filters over the lines offer."""
    return {
        name: found.rows[name].drop_nulls().unique().sort().to_list() for name in (*FILTERS, "status", "county")
    }


@dataclass(frozen=True)
class Offer:
    """A completion as a reader may see it: `changes` of rows in sight, `mine` those that the reader may accept."""

    proposal: Proposal
    whole: bool
    changes: pl.DataFrame
    mine: frozenset[str]


def offer(workspace: Workspace, me: Principal, today: date, year: int | None = None) -> Offer | None:
    """The completion of a list; None when there is nothing to make it of."""
    ledger = load_ledger(LEDGER)
    reach = rights.need(me, ledger, rights.VIEW)
    try:
        found = emergency.propose(workspace, today, _year(workspace, today, year))
    except NotFound:
        return None
    rights_to = rights.scope(me, ledger, rights.EDIT)
    changes = found.changes.filter(reach.of(ledger))
    mine = changes.filter(rights_to.of(ledger))["key"].to_list() if rights_to else []
    return Offer(found, bool(reach.everything or reach.places), changes, frozenset(mine))


def kinds(changes: pl.DataFrame) -> list[tuple[str, int]]:
    """How many rows are added, listed and changed."""
    counts = dict(changes.group_by("kind").len().iter_rows())
    return [(name, counts[name]) for name in emergency.KINDS if name in counts]


__all__ = [
    "CHECKS", "FILTERS", "LEVELS", "SPECIES", "Offer", "choices", "counted", "findings", "kinds",
    "levels", "lines", "offer", "seen",
]  # fmt: skip
