"""What of an emergency list somebody may see: offices the sums and rows of their places, enterprises their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from qinglan.access import Principal
from qinglan.core.errors import NotFound
from qinglan.episode.completion import LEVELS, SPECIES
from qinglan.flow.emergency.checking import LEDGER, Checked, check, with_lines
from qinglan.flow.ledgers import rights
from qinglan.flow.ledgers.frames import frame
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import load_ledger

Row = dict[str, Any]
#: Checks whose finding is of the list or of an industry, not of a line: told to offices.
_OF_THE_WHOLE = ("reduction", "one_size")


@dataclass(frozen=True)
class Seen:
    """A checked list as somebody may see it.

    whole : whether sums of the whole list are shown (to offices). years : of the list, newest first. rows : of the
    ledger, of the year, listed or not, with tonnes a day by species. lines : in use. findings : FINDINGS, and
    `uscc, enterprise, county, row` (the ledger's row number) where it is about one.
    """

    checked: Checked
    whole: bool
    years: tuple[int, ...]
    rows: pl.DataFrame
    lines: pl.DataFrame
    findings: pl.DataFrame

    @property
    def year(self) -> int:
        """The year of the list."""
        return self.checked.year


def seen(workspace: Workspace, me: Principal, today: date, year: int | None = None) -> Seen:
    """The list of a year (None: its newest) for a reader; Forbidden for one who sees nothing of it."""
    ledger = load_ledger(LEDGER)
    reach = rights.need(me, ledger, rights.VIEW)
    found = check(workspace, today, year)
    base = frame(workspace, LEDGER).rows
    rows = with_lines(base.filter((pl.col("year") == found.year) & reach.of(ledger)), found.gathered)
    rows = rows.with_columns((pl.col(f"{s}_day").fill_null(0.0) / 1000).alias(s) for s in SPECIES)
    lines = found.gathered.lines.filter(reach.of(ledger))
    whole = bool(reach.everything or reach.places)
    years = tuple(sorted(base["year"].drop_nulls().unique().to_list(), reverse=True))
    return Seen(found, whole, years, rows, lines, _findings(found.findings, rows, lines, whole))


def _findings(findings: pl.DataFrame, rows: pl.DataFrame, lines: pl.DataFrame, whole: bool) -> pl.DataFrame:
    """Findings about what the reader sees, with whom they are about."""
    by_row = {r["_key"]: r for r in rows.iter_rows(named=True)}
    by_line = {r["line_no"]: r for r in lines.iter_rows(named=True)}
    by_uscc = {r["uscc"]: r for r in lines.iter_rows(named=True)}
    made: list[Row] = []
    for finding in findings.iter_rows(named=True):
        of: Row | None
        if finding["key"]:
            of = by_row.get(finding["key"])
        elif finding["check"] in _OF_THE_WHOLE:
            of = {} if whole else None
        else:
            of = (by_uscc if finding["check"] == "coverage" else by_line).get(finding["value"])
        if of is not None:
            about = {k: of.get(k) for k in ("uscc", "enterprise", "county", "line_no", "line")}
            made.append({**finding, **about, "row": of.get("_row")})
    schema: dict[str, Any] = {
        **dict(findings.schema), **dict.fromkeys(("uscc", "enterprise", "county", "line_no", "line"), pl.String),
        "row": pl.Int64,
    }  # fmt: skip
    return pl.DataFrame(made, schema=schema)


@dataclass(frozen=True)
class Plant:
    """An enterprise on the list: its rows, its lines in use that are not listed, findings, what it cuts.

    before : kg on a normal day by species, of listed rows; cuts : kg of it cut, by level. contacts : telephones,
    for those who may edit. Each row also has `electricity, stack`: monitoring points and outlets by which it can
    be checked (empty: none), and `in_use`.
    """

    uscc: str
    enterprise: str
    county: str
    year: int
    rows: tuple[Row, ...]
    unlisted: tuple[Row, ...]
    findings: tuple[Row, ...]
    before: Row
    cuts: dict[str, Row]
    contacts: tuple[str, ...]


def plant(workspace: Workspace, me: Principal, today: date, uscc: str, year: int | None = None) -> Plant:
    """One enterprise; NotFound when the reader sees no row and no line of it."""
    found = seen(workspace, me, today, year)
    rows, lines = found.rows.filter(uscc=uscc), found.lines.filter(uscc=uscc)
    if rows.is_empty() and lines.is_empty():
        raise NotFound(
            f"nothing of enterprise {uscc} is on the list of {found.year}.",
            remedy="Choose one at /emergency-list/lines.",
        )
    known = {r["line_no"]: r for r in lines.iter_rows(named=True)}
    listed = rows.filter(status="listed")
    first = (rows if rows.height else lines).row(0, named=True)
    told = [
        {**r, "electricity": known.get(r["line_no"], {}).get("electricity") or "",
         "stack": known.get(r["line_no"], {}).get("stack") or "", "in_use": r["line_no"] in known}
        for r in rows.sort("line_no").iter_rows(named=True)
    ]  # fmt: skip
    personal = rights.sees_personal(me, load_ledger(LEDGER))
    return Plant(
        uscc, first["enterprise"], first["county"], found.year, tuple(told),
        tuple(lines.filter(~pl.col("line_no").is_in(rows["line_no"].to_list())).to_dicts()),
        tuple(found.findings.filter(uscc=uscc).to_dicts()),
        {s: float(listed[f"{s}_day"].fill_null(0.0).sum()) for s in SPECIES},
        {n: {s: float((listed[f"{s}_day"].fill_null(0.0) * listed[f"{n}_cut"].fill_null(0.0)).sum()) / 100
             for s in SPECIES} for n in LEVELS},
        tuple(dict.fromkeys(str(r["contact"]) for r in told if r["contact"])) if personal else (),
    )  # fmt: skip
