"""What an emergency list is built of: every line that emits, its tonnes a day, its grade, how it can be checked.

Lines are the rows of four ledgers (production lines, furnaces, boilers, VOC facilities) that are in use, with what
they emit by the inventory of a year: the frozen version of that year where there is one, else built of the ledgers
as they are.
Particles are the inventory's PM10 (it has no coarser ones), VOCs its NMVOC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from qinglan.core.errors import NotFound
from qinglan.emission.whole import build_all
from qinglan.episode.completion import SPECIES
from qinglan.episode.grades import lowest
from qinglan.episode.list_rows import LINES, Books
from qinglan.episode.requirement import daily
from qinglan.flow.inventory import activities_of, open_version, versions
from qinglan.flow.ledgers.frames import frame
from qinglan.flow.memory import Memory
from qinglan.flow.workspace import Workspace
from qinglan.plan.rules import load_book
from qinglan.store import ledgers as store

#: Ledgers whose rows are lines, and the column of their number.
NUMBERS = {
    "production-lines": "line_no",
    "furnaces": "furnace_no",
    "boilers": "boiler_no",
    "voc-facilities": "facility_no",
}
#: The inventory's name of each species of the list.
INVENTORY = {"pm": "pm10", "so2": "so2", "nox": "nox", "voc": "nmvoc"}
_BOILER_SECTORS = {"heating": "heat", "power": "power"}
_MOST = 4


@dataclass(frozen=True)
class Gathered:
    """Lines in use (:data:`qinglan.episode.list_rows.LINES`), and whose emission they are part of.

    base : emission of the whole society [t/d] by species. inventory : the version, or ``draft``. year : its year.
    working : name by credit code of enterprises that are not closed; empty where the ledger is. grades : of
    :func:`grades_of`. stamp : of everything that it was made of.
    """

    lines: pl.DataFrame
    base: Mapping[str, float]
    inventory: str
    year: int
    working: Mapping[str, str]
    grades: Mapping[str, tuple[str, str]]
    books: Books
    stamp: tuple[Any, ...] = ()


_kept = Memory[Gathered](_MOST)


def books_on(today: date) -> Books:
    """The rule books of a list on a day."""
    return Books(*(load_book(n, today) for n in ("performance_grades", "emergency_cuts", "grading_industries")))


def gathered(workspace: Workspace, year: int, today: date) -> Gathered:
    """What a list of a year is held against; kept in memory until a ledger changes.

    NotFound when no ledger has rows of the year or of one of the five before it.
    """
    newest = store.newest(workspace.registry)
    known = versions(workspace)
    key = (workspace.home, year, today, tuple(sorted(newest.items())), tuple(v.id for v in known))
    return _kept.get(key, lambda: replace(_gathered(workspace, year, today), stamp=key))


def _gathered(workspace: Workspace, year: int, today: date) -> Gathered:
    emissions, version, of_year = _emissions(workspace, year)
    books = books_on(today)
    summed = emissions.filter(pl.col("species").is_in(list(INVENTORY.values())))
    total = dict(summed.group_by("species").agg(pl.col("emission_t").sum()).iter_rows())
    base = daily(books.cuts, {s: total.get(name, 0.0) for s, name in INVENTORY.items()})
    enterprises = frame(workspace, "air-enterprises").rows
    grades = grades_of(workspace, books, today)
    lines = _lines(workspace, summed, books, of_year)
    return Gathered(
        _told(workspace, lines, enterprises, grades, books), base, version, of_year,
        dict(enterprises.filter(pl.col("status") != "closed").select("uscc", "name").iter_rows()), grades, books,
    )  # fmt: skip


def _emissions(workspace: Workspace, year: int) -> tuple[pl.DataFrame, str, int]:
    """Emissions of the newest year up to `year`, out of its frozen version or of the ledgers as they are."""
    lacking: NotFound | None = None
    for one in range(year, year - 6, -1):
        frozen = next((v for v in versions(workspace) if v.year == one), None)
        if frozen is not None:
            return open_version(workspace, frozen.id).emissions, frozen.id, one
        try:
            return build_all(activities_of(workspace, one)).emissions, "draft", one
        except NotFound as cause:
            lacking = lacking or cause
    raise lacking or NotFound(f"no inventory up to {year}.", remedy="Import the ledgers of lines first.")


def _lines(workspace: Workspace, emissions: pl.DataFrame, books: Books, year: int) -> pl.DataFrame:
    """Rows in use, with tonnes a day by species; null where the inventory has none."""
    days = books.cuts.number("days")
    names = {name: s for s, name in INVENTORY.items()}
    wide = (
        emissions.filter(pl.col("ledger").is_in(list(NUMBERS)) & (pl.col("emission_t") > 0))
        .group_by("ledger", "row_key")
        .agg(
            (pl.col("emission_t").filter(pl.col("species") == name).sum() / days).alias(s)
            for name, s in names.items()
        )
    )
    parts = []
    for ledger, number in NUMBERS.items():
        rows = frame(workspace, ledger).rows.filter(pl.col("status") == "in_use")
        if ledger == "boilers":
            kinds = pl.col("kind").replace_strict(
                _BOILER_SECTORS, default="industry_boiler", return_dtype=pl.String
            )
            rows = rows.with_columns(sector=kinds)
        else:
            rows = rows.filter(pl.col("year") == year)
        product = pl.col("product") if "product" in rows.columns else pl.lit(None, pl.String)
        mine = rows.select(
            ledger=pl.lit(ledger), row_key="_key", uscc="uscc", county="county", line_no=number, line="name",
            sector="sector", product=product,
        )  # fmt: skip
        parts.append(mine.join(wide, on=("ledger", "row_key"), how="left"))
    return pl.concat(parts).sort("uscc", "line_no")


def _told(
    workspace: Workspace, lines: pl.DataFrame, enterprises: pl.DataFrame, grades: Mapping[str, tuple[str, str]],
    books: Books,
) -> pl.DataFrame:  # fmt: skip
    """Lines with what the other ledgers say of them: names, grades, hours to stop, ways to be checked."""
    known = enterprises.select("uscc", enterprise="name", code="industry_class", power="power_monitoring")
    told = lines.join(known, on="uscc", how="left", maintain_order="left")
    protected = list(books.industries.get("protected.sectors").value)
    hours = _lead_hours(workspace)
    points, stacks = _electricity(workspace), _stacks(workspace)
    by_row = [
        {
            "grade": grades.get(r["uscc"], ("none", "none"))[0],
            "grade_from": grades.get(r["uscc"], ("none", "none"))[1],
            "lead_hours": hours.get((r["uscc"], r["line_no"])),
            "electricity": points.get(r["uscc"], "用电监控" if r["power"] else ""),
            "stack": stacks.get((r["uscc"], r["line_no"]), ""),
        }
        for r in told.iter_rows(named=True)
    ]
    schema = {n: LINES[n] for n in ("grade", "grade_from", "lead_hours", "electricity", "stack")}
    more = pl.DataFrame(by_row, schema=schema)
    made = told.hstack(more).with_columns(
        enterprise=pl.col("enterprise").fill_null(pl.col("uscc")), guaranteed=pl.col("sector").is_in(protected)
    )
    return made.select(list(LINES)).cast(pl.Schema(LINES))


def grades_of(workspace: Workspace, books: Books, today: date) -> dict[str, tuple[str, str]]:
    """Grade of each enterprise and where it comes from: assessed, expired, copied (of the enterprise ledger).

    The lowest of its sectors' newest assessments that are in force; where all have ended it has none. An
    enterprise without any assessment has the grade that the ledger of enterprises says.
    """
    found: dict[str, tuple[str, str]] = {}
    known = frame(workspace, "air-enterprises").rows
    for uscc, grade in known.select("uscc", "grade").iter_rows():
        if grade:
            found[uscc] = (grade, "copied")
    rows = frame(workspace, "performance-grades").rows
    rows = rows.filter(pl.col("assessed_on") <= today)
    if "status" in rows.columns:
        rows = rows.filter(pl.col("status").fill_null("published").is_in(["published", "expired"]))
    newest = rows.sort("assessed_on").group_by("uscc", "sector").last()
    for (uscc,), mine in newest.group_by("uscc"):
        live = mine.filter(pl.col("valid_to") >= today)["grade"].to_list()
        found[str(uscc)] = (lowest(books.grades, live), "assessed") if live else ("none", "expired")
    return found


def _lead_hours(workspace: Workspace) -> dict[tuple[str, str], float]:
    """Hours to stop, as the newest list says them."""
    rows = frame(workspace, "emergency-list").rows.filter(pl.col("lead_hours").is_not_null()).sort("year")
    return {(u, n): h for u, n, h in rows.select("uscc", "line_no", "lead_hours").iter_rows()}


def _electricity(workspace: Workspace) -> dict[str, str]:
    """Monitoring points of electricity on production that are linked, by enterprise."""
    rows = frame(workspace, "process-monitoring").rows.filter((pl.col("kind") == "power") & pl.col("linked"))
    made: dict[str, list[str]] = {}
    for uscc, point in rows.sort("point_no").select("uscc", "point_no").iter_rows():
        made.setdefault(uscc, []).append(point)
    return {uscc: "、".join(points[:3]) for uscc, points in made.items()}


def _stacks(workspace: Workspace) -> dict[tuple[str, str], str]:
    """Outlets monitored without a break, by enterprise and line."""
    rows = frame(workspace, "outlets").rows.filter(pl.col("cems") & (pl.col("status") == "in_use"))
    made: dict[tuple[str, str], list[str]] = {}
    for uscc, number, outlet in rows.sort("outlet_no").select("uscc", "serves", "outlet_no").iter_rows():
        if number:
            made.setdefault((uscc, number), []).append(outlet)
    return {key: "、".join(outlets) for key, outlets in made.items()}


__all__ = ["INVENTORY", "NUMBERS", "SPECIES", "Gathered", "books_on", "gathered", "grades_of"]
