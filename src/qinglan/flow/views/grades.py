"""What the page of grades shows: the newest assessment by enterprise and sector, held against rule and list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from qinglan.access import Principal
from qinglan.core.errors import UnknownName
from qinglan.episode.grades import lowest
from qinglan.flow import emergency
from qinglan.flow.ledgers import rights
from qinglan.flow.ledgers.frames import frame
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import load_ledger

Row = dict[str, Any]
LEDGER = "performance-grades"
#: What the table can be narrowed to.
ONLY = ("ending", "expired", "above", "differs")


@dataclass(frozen=True)
class Grades:
    """Assessments in sight.

    rows : the ledger's columns and `number` (its row), `whole` (grade in force of the enterprise), `lowest` (of
    the seven indicators), `weakest` (those that hold it down), `stands` (in_force, ending, expired), `above`
    (better than its lowest indicator), `on_list`, `listed` (grades on the list that are not in
    force).

    counts : enterprises by grade in force, best first. edition : of the rule book on that day. warn : days.
    """

    rows: tuple[Row, ...]
    counts: tuple[tuple[str, int], ...]
    indicators: tuple[str, ...]
    edition: str
    warn: int

    def only(self, name: str) -> list[Row]:
        """Rows that a filter keeps: ending, expired, above (its lowest indicator), differs (from the list)."""
        if name and name not in ONLY:
            raise UnknownName("filter", name, ONLY)
        if name in ("ending", "expired"):
            return [r for r in self.rows if r["stands"] == name]
        return [r for r in self.rows if not name or r["above" if name == "above" else "listed"]]


def grades(workspace: Workspace, me: Principal, today: date) -> Grades:
    """The newest assessment of each enterprise and sector; Forbidden for who sees none of the ledger."""
    ledger = load_ledger(LEDGER)
    reach = rights.need(me, ledger, rights.VIEW)
    books = emergency.books_on(today)
    order: list[str] = list(books.grades.get("order").value)
    indicators = tuple(books.grades.get("indicators").value)
    warn = int(books.cuts.number("grade.warn"))
    known = emergency.grades_of(workspace, books, today)
    listed = _listed(workspace)
    base = frame(workspace, LEDGER).rows.filter(reach.of(ledger) & (pl.col("assessed_on") <= today))
    newest = base.sort("assessed_on").group_by("uscc", "sector").last()
    made = []
    for row in newest.iter_rows(named=True):
        seven = [row[n] for n in indicators if row[n] in order]
        low = lowest(books.grades, seven) if seven else None
        whole = known.get(row["uscc"], ("none", "none"))[0]
        ended, near = row["valid_to"] < today, row["valid_to"] <= today + timedelta(days=warn)
        made.append(
            {
                **row, "number": row["_row"], "whole": whole, "lowest": low,
                "weakest": tuple(n for n in indicators if low is not None and row[n] == low),
                "stands": "expired" if ended else "ending" if near else "in_force",
                "above": low is not None and _better(order, row["grade"], low),
                "on_list": row["uscc"] in listed,
                "listed": tuple(sorted(g for g in listed.get(row["uscc"], ()) if g != whole)),
            }
        )  # fmt: skip
    made.sort(key=lambda r: (r["valid_to"], r["enterprise"] or "", r["sector"]))
    whole_of = {r["uscc"]: r["whole"] for r in made}
    counts = tuple((g, n) for g in order if (n := list(whole_of.values()).count(g)))
    return Grades(tuple(made), counts, indicators, books.grades.edition, warn)


def _better(order: Sequence[str], one: str, other: str) -> bool:
    return one in order and order.index(one) < order.index(other)


def _listed(workspace: Workspace) -> dict[str, set[str]]:
    """Grades on the newest list, by enterprise."""
    rows = frame(workspace, emergency.LEDGER).rows.filter(pl.col("status") == "listed")
    rows = rows.filter(pl.col("year") == pl.col("year").max())
    made: dict[str, set[str]] = {}
    for uscc, grade in rows.select("uscc", "grade").unique().iter_rows():
        made.setdefault(uscc, set()).add(grade)
    return made
