"""What the page of checks shows: the findings of one inventory that the reader may see, by kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import polars as pl

from qinglan.access import Principal
from qinglan.core.errors import UnknownName
from qinglan.emission.findings import FINDINGS, KINDS
from qinglan.flow import inventory, inventory_checks
from qinglan.flow.inventory_checks import DRAFT, Kept, Report, Wanted
from qinglan.flow.ledgers import rights
from qinglan.flow.ledgers.frames import frame
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import load_ledger

Row = dict[str, Any]
#: How an address names the draft of a year; anything else is a version's id.
_DRAFT = re.compile(r"\d{4}")


@dataclass(frozen=True)
class Shown:
    """A report as somebody may see it.

    of : how an address names it. findings : of rows in sight, with `number` (of the ledger's row; null: of no row,
    or withdrawn since). hidden : findings of rows that are others'. counts : of :meth:`Report.counts`, of findings
    in sight. choices : what can be checked, (of, year, version), drafts first. given : the top-down file in force.
    """

    report: Report
    of: str
    findings: pl.DataFrame
    hidden: int
    counts: list[Row]
    choices: list[tuple[str, int, str]]
    given: Kept | None


def shown(workspace: Workspace, me: Principal, of: str = "", band: str = "") -> Shown | None:
    """The report of a year's draft (``2025``; '' is the newest) or of a version (``2025-01``).

    None where no ledger has rows. NotFound for a year or version that there is not, UnknownName for a band.
    """
    drafts = inventory_checks.years(workspace)
    if not drafts and not of:
        return None
    wanted = Wanted(band=band) if not of else _wanted(of, band)
    report = inventory_checks.check(workspace, wanted)
    findings = _in_sight(workspace, me, report.findings)
    found = dict(findings.group_by("kind").len().iter_rows())
    counts = [{**row, "found": found.get(row["kind"], 0)} for row in report.counts()]
    choices = [(str(year), year, DRAFT) for year in drafts]
    choices += [(v.id, v.year, v.id) for v in inventory.versions(workspace)]
    named = str(report.year) if report.version == DRAFT else report.version
    hidden = report.findings.height - findings.height
    return Shown(report, named, findings, hidden, counts, choices, inventory_checks.kept(workspace))


def _wanted(of: str, band: str) -> Wanted:
    return Wanted(year=int(of), band=band) if _DRAFT.fullmatch(of) else Wanted(version=of, band=band)


def of_kind(found: Shown, kind: str) -> pl.DataFrame:
    """Findings of one kind ('' is all). UnknownName for another."""
    if kind and kind not in KINDS:
        raise UnknownName("check", kind, KINDS)
    return found.findings.filter(kind=kind) if kind else found.findings


def _in_sight(workspace: Workspace, me: Principal, findings: pl.DataFrame) -> pl.DataFrame:
    """Findings of the rows that their ledger shows to the reader, of places in his reach, and of the whole."""
    parts = [findings.filter(pl.col("ledger").is_null()).with_columns(number=pl.lit(None, pl.Int64))]
    for name in findings["ledger"].drop_nulls().unique().sort():
        ledger = load_ledger(name)
        reach = rights.scope(me, ledger, rights.VIEW)
        if not reach:
            continue
        rows = frame(workspace, ledger).rows
        seen = rows.select(row_key="_key", number=pl.col("_row").cast(pl.Int64), seen=reach.of(ledger))
        mine = findings.filter(ledger=name).join(seen, on="row_key", how="left", maintain_order="left")
        gone = pl.lit(reach.everything) | _within(reach.places)
        parts.append(mine.filter(pl.col("seen").fill_null(gone)).drop("seen"))
    order = pl.col("kind").replace_strict({k: n for n, k in enumerate(KINDS)}, return_dtype=pl.Int8)
    return pl.concat(parts).select(*FINDINGS, "number").sort(order, maintain_order=True)


def _within(places: tuple[str, ...]) -> pl.Expr:
    """Whether a row that is there no more lay in one of the reader's places."""
    stems = [code[:2] if code.endswith("0000") else code[:4] if code.endswith("00") else code for code in places]
    inside = [pl.col("place").str.starts_with(stem) for stem in stems]
    return pl.any_horizontal(inside).fill_null(False) if inside else pl.lit(False)
