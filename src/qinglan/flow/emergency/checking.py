"""An emergency list of a year: its lines, what it must reach and reaches, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from qinglan.core.errors import NotFound
from qinglan.episode.completion import LEVELS, SPECIES, Terms, rows_of
from qinglan.episode.emergency_list import findings, listed
from qinglan.episode.list_rows import EMITS, mended
from qinglan.episode.list_sources import against
from qinglan.episode.requirement import terms
from qinglan.flow.emergency.gathering import Gathered, gathered
from qinglan.flow.ledgers.frames import frame
from qinglan.flow.memory import Memory
from qinglan.flow.workspace import Workspace

LEDGER = "emergency-list"
#: Checks that say of a row that there is nothing to cut.
_IDLE = ("stranger", "unknown_line")


@dataclass(frozen=True)
class Checked:
    """A list on a day.

    rows : of the ledger, listed, of the year, with tonnes a day by species and `product, code` where known.
    needs : `level, need, base_t, required, claimed, credible` [shares], `required_t, claimed_t, credible_t` [t/d],
    `holds`. Claimed is what the list says; credible what remains when protected lines cut nothing, no line more
    than it can reach on the first day, and lines that are not in use (`idle`: their keys) nothing.
    credible : those rows, so put right. findings : FINDINGS. mends : of :func:`qinglan.episode.list_rows.mended`.
    change : the ledger's newest change.
    """

    year: int
    rows: pl.DataFrame
    credible: pl.DataFrame
    needs: pl.DataFrame
    findings: pl.DataFrame
    mends: pl.DataFrame
    terms: Terms
    gathered: Gathered
    change: int
    idle: frozenset[str]


_MOST = 4
_kept = Memory[Checked](_MOST)


def year_of(workspace: Workspace, year: int | None = None) -> int:
    """The year asked for, else the newest year of the list; NotFound when there is none."""
    if year is not None:
        return year
    found = frame(workspace, LEDGER).rows["year"].max()
    if found is None:
        raise NotFound(
            "the emergency list is empty.",
            remedy="Import it, or build it: qinglan emergency complete --year YEAR.",
        )
    return int(found)  # type: ignore[arg-type]


def check(workspace: Workspace, today: date, year: int | None = None) -> Checked:
    """The list of a year (None: its newest) held against the rule books, the ledgers and the inventory.

    Kept in memory until a ledger changes. NotFound as :func:`qinglan.flow.emergency.gathering.gathered`.
    """
    asked = year_of(workspace, year)
    found = gathered(workspace, asked, today)
    return _kept.get(found.stamp, lambda: _checked(workspace, asked, found))


def _checked(workspace: Workspace, asked: int, found: Gathered) -> Checked:
    base = frame(workspace, LEDGER)
    rows = with_lines(base.rows, found)
    rows = listed(rows, asked) if rows.filter(on_list(asked)).height else listed_none(rows)
    cuts = found.books.cuts
    wanted = terms(cuts, found.base)
    good, mends = mended(rows, found.books)
    emitting = list(found.lines.filter(EMITS).select("uscc", "enterprise").unique(maintain_order=True).iter_rows())
    beside = against(rows, found.lines, found.working, cuts)
    idle = frozenset(beside.filter(pl.col("check").is_in(_IDLE))["key"])
    good = good.filter(~pl.col("_key").is_in(list(idle)))
    return Checked(
        asked, rows, good, needs_of(wanted, claimed=rows, credible=good),
        pl.concat([findings(rows, wanted, cuts, emitting), beside]), mends, wanted, found, base.change, idle,
    )  # fmt: skip


def on_list(year: int) -> pl.Expr:
    """Rows of the ledger that are listed for a year."""
    return (pl.col("year") == year) & (pl.col("status") == "listed")


def listed_none(rows: pl.DataFrame) -> pl.DataFrame:
    """The frame of :func:`qinglan.episode.emergency_list.listed` without rows."""
    return rows.clear().with_columns(pl.lit(0.0).alias(s) for s in SPECIES)


def with_lines(rows: pl.DataFrame, found: Gathered) -> pl.DataFrame:
    """Rows of the ledger with the product of their line and the class of their enterprise."""
    known = found.lines.select("uscc", "line_no", "product", "code").unique(["uscc", "line_no"])
    return rows.join(known, on=["uscc", "line_no"], how="left", maintain_order="left")


def needs_of(wanted: Terms, **lists: pl.DataFrame) -> pl.DataFrame:
    """Required and reached by level and species: `<name>` [share] and `<name>_t` [t/d] of each list given."""
    made = []
    for need in rows_of(wanted):
        base = sum(wanted.base[s] for s in need.species)
        row: dict[str, Any] = {"level": need.level, "need": need.name, "base_t": base, "required": need.share}
        row["required_t"] = sum(wanted.ratio[need.level][s] * wanted.base[s] for s in need.species)
        for name, rows in lists.items():
            cut = tonnes(rows, need.level)
            row[name] = sum(cut[s] / wanted.base[s] for s in need.species)
            row[f"{name}_t"] = sum(cut[s] for s in need.species)
        last = list(lists)[-1]
        row["holds"] = bool(row[last] >= need.share - 1e-9)
        made.append(row)
    return pl.DataFrame(made)


def tonnes(rows: pl.DataFrame, level: str) -> Mapping[str, float]:
    """Tonnes a day that a list cuts at a level, by species."""
    share = rows[f"{level}_cut"].fill_null(0.0) / 100
    return {s: float((rows[f"{s}_day"].fill_null(0.0) / 1000 * share).sum()) for s in SPECIES}


__all__ = ["LEDGER", "LEVELS", "Checked", "check", "needs_of", "tonnes", "with_lines", "year_of"]
