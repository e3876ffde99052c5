"""What is known about one source: who says what of it, every row that names it, what it may and does emit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl

from qinglan.access import Principal
from qinglan.core.errors import NotFound
from qinglan.emission.categories import SPECIES
from qinglan.emission.frames import joined
from qinglan.emission.linkage import trust
from qinglan.episode.completion import LEVELS
from qinglan.flow import complaints, electricity, warnings
from qinglan.flow.ledgers import rights
from qinglan.flow.ledgers.frames import frame_at
from qinglan.flow.views import inventory
from qinglan.flow.views.sources import OF, Found, found
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import Ledger, load_ledger
from qinglan.store import ledgers as store

Row = dict[str, Any]
#: Ledgers whose columns the page of a source shows.
LISTS = ("emergency-list", "performance-grades", "inspections", "outlets", "stack-data", "env-statistics",
         "electricity-use")  # fmt: skip
#: Rows of a ledger that a page names one by one; the ledger's own page has the others.
SHOWN = 8
#: Pollutants of a permit that monitoring measures too, and by what column of each.
PERMITTED = {"so2": ("so2_permit_t", "so2_kg"), "nox": ("nox_permit_t", "nox_kg"), "pm": ("pm_permit_t", "pm_kg"),
             "voc": ("voc_permit_t", "")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """One source as a reader may see it.

    row : of the table of :class:`qinglan.flow.views.sources.Found`. facts : `fact, words, unit, won, others` (each
    with origin, value, state, ledger and row). by : rows by what they belong here. records : by ledger, newest
    rows first. outlets : permitted and monitored tonnes. listed, grades, inspections, statistics : their rows.
    electricity : kWh of the main meters by month, newest first. normal_day : kWh of a day of normal working (None:
    nothing is read). emitted : by row tonnes by species, of `emission_year`. orders : to cut, newest first, each
    with `state`. reports : of the public near it, with `meters`.
    """

    told: Found
    row: Row
    facts: Sequence[Row]
    by: Sequence[tuple[str, int]]
    records: Sequence[Row]
    outlets: Sequence[Row]
    listed: Sequence[Row]
    grades: Sequence[Row]
    inspections: Sequence[Row]
    statistics: Sequence[Row]
    electricity: Sequence[Row]
    normal_day: float | None
    emitted: Sequence[Row]
    emission_year: int | None
    gaps: int
    orders: Sequence[Row]
    reports: Sequence[Row]
    conflicts: Sequence[Row]


def source(
    workspace: Workspace, me: Principal, today: date, now: datetime, code: str, year: int | None = None
) -> Source:
    """Everything known about the enterprise of a credit code; NotFound when the reader sees no row of it."""
    told = found(workspace, me, today.year, year)
    mine = told.table.filter(identity=code)
    if mine.is_empty():
        raise NotFound(f"no source {code} is within your sight.", remedy="Choose one at /sources.")
    records = told.records.filter(identity=code)
    rows = _Rows(workspace, me, records)
    emissions, emission_year, gaps = _emitted(workspace, me, today, records, told.year)
    meters = rows.frame(load_ledger(electricity.LEDGER))
    members = told.fused.members.filter(identity=code)
    listed = rows.of("emergency-list", "year", "line_no")
    return Source(
        told, mine.row(0, named=True), _facts(told, code),
        sorted(members.group_by("by").len().iter_rows()), rows.groups(mine["names"][0].to_list()),
        _outlets(rows, told.year),
        [r for r in listed if r["year"] == listed[0]["year"]],
        rows.of("performance-grades", "assessed_on"), rows.of("inspections", "inspected_on"),
        rows.of("env-statistics", "year"), electricity.months(meters),
        electricity.day_of(meters.filter(meter_kind="main")),
        emissions, emission_year, gaps,
        warnings.orders_about(workspace, me, code, now), _reports(workspace, me, told, code),
        told.conflicts.filter(identity=code).to_dicts(),
    )  # fmt: skip


def _reports(workspace: Workspace, me: Principal, told: Found, code: str) -> list[Row]:
    """Reports of the public whose spot is near its position, of the places whose reports the reader may see."""
    point = told.fused.facts.filter(identity=code, fact="point", state="won")
    if point.is_empty() or not me.may("complaint.view"):
        return []
    lon, lat = map(float, point["value"][0].split(", "))
    found = complaints.near(workspace, lon, lat, float(trust()["near"]["value"]))
    return [r for r in found if me.may("complaint.view", r["place"])]


def _facts(told: Found, code: str) -> list[Row]:
    """What is said of it, fact by fact: the value that is believed, then those of the others in order of trust."""
    book, numbers = trust(), {r[0:2]: r[2] for r in _numbers(told, code).iter_rows()}
    by: dict[str, list[Row]] = {}
    for row in told.fused.facts.filter(identity=code).iter_rows(named=True):
        ledger = book["origins"][row["origin"]].get("ledger", "")
        by.setdefault(row["fact"], []).append(
            {**row, "ledger": ledger, "row": numbers.get((ledger, row["row_key"]))}
        )
    decided = {r["fact"]: r for r in told.conflicts.filter(identity=code).iter_rows(named=True) if r["decided_by"]}
    return [
        {
            "fact": fact, "words": rule, "unit": rule.get("unit", "") if rule["kind"] == "number" else "",
            "won": next((v for v in by[fact] if v["state"] == "won"), None),
            "others": [v for v in by[fact] if v["state"] != "won"], "decided": decided.get(fact),
        }
        for fact, rule in book["facts"].items()
        if fact in by
    ]  # fmt: skip


def _numbers(told: Found, code: str) -> pl.DataFrame:
    return told.records.filter(identity=code).select("ledger", "row_key", "number")


class _Rows:
    """The rows of one source in sight, by ledger."""

    def __init__(self, workspace: Workspace, me: Principal, records: pl.DataFrame) -> None:
        self.workspace, self.me, self.records = workspace, me, records
        self.newest = store.newest(workspace.registry)

    def frame(self, ledger: Ledger) -> pl.DataFrame:
        """All of its rows of a ledger, without personal columns."""
        keys = self.records.filter(ledger=ledger.id)["row_key"].to_list()
        rows = frame_at(self.workspace, ledger, self.newest.get(ledger.id, 0)).rows
        rows = rows.filter(rights.scope(self.me, ledger, rights.VIEW).of(ledger) & pl.col("_key").is_in(keys))
        return rows.drop([c.name for c in ledger.columns if c.personal], strict=False)

    def of(self, name: str, *newest: str) -> list[Row]:
        """Its rows of a ledger, those with the largest of the first column on top."""
        rows = self.frame(load_ledger(name))
        descending = [True] + [False] * (len(newest) - 1)
        return rows.sort(*newest, descending=descending, nulls_last=True).to_dicts()

    def groups(self, names: Sequence[str]) -> list[Row]:
        """By ledger: `ledger`, `total` and at most `SHOWN` rows with `number, label, when, state`, newest first.

        names : of the source; a row that is labelled by one is told apart by the rest of its identity.
        """
        made = []
        for name in self.records["ledger"].unique().sort().to_list():
            ledger = load_ledger(name)
            when, rows = _dated(ledger), self.frame(ledger)
            if when:
                rows = rows.sort(when, "_key", descending=[True, False], nulls_last=True)
            told = [
                {"number": r["_row"], "label": _label(ledger, r, names), "state": r[ledger.state] if ledger.state
                 else None, "when": _when(ledger, r)}
                for r in rows.head(SHOWN).iter_rows(named=True)
            ]  # fmt: skip
            made.append({"ledger": ledger, "total": rows.height, "rows": told})
        return made


def _dated(ledger: Ledger) -> str:
    """The column that says of when a row tells: its year or month, or the day that belongs to its identity."""
    named = {c.name: c.type for c in ledger.columns}
    known = ("year", "month", *(n for n in ledger.identity if named[n] == "date"), "inspected_on")
    return next((n for n in known if n in named), "")


def _when(ledger: Ledger, row: Mapping[str, Any]) -> str:
    when = _dated(ledger)
    if not when or row[when] is None:
        return ""
    return str(row[when])[:7] if ledger.column(when).type == "month" else str(row[when])


def _label(ledger: Ledger, row: Mapping[str, Any], names: Sequence[str]) -> str:
    label = str(row[ledger.label] or row["_key"])
    if label not in names:
        return label
    own = [n for n in ledger.identity if n not in (ledger.enterprise, _dated(ledger))]
    return " ".join(str(row[n]) for n in own if not ledger.column(n).codes) or label


def _outlets(rows: _Rows, year: int) -> list[Row]:
    """Its outlets: what they may emit in a year, and what monitoring found in `year`, months and valid hours."""
    outlets = rows.of("outlets", "outlet_no")[::-1]
    months: dict[str, list[Row]] = {}
    for row in rows.of("stack-data", "month"):
        if row["month"].year == year:
            months.setdefault(row["outlet_no"], []).append(row)

    def tonnes(told: Sequence[Mapping[str, Any]], column: str) -> float | None:
        known = [r[column] for r in told if column and r[column] is not None]
        return sum(known) / 1000 if known else None

    made = []
    for outlet in outlets:
        told = months.get(outlet["outlet_no"], [])
        hours = {n: sum(r[n] or 0 for r in told) for n in ("hours_run", "hours_valid", "hours_over")}
        made.append({
            **outlet, **hours, "months": len(told),
            "amounts": {s: (outlet[permit], tonnes(told, kg)) for s, (permit, kg) in PERMITTED.items()},
        })  # fmt: skip
    return made


def _emitted(
    workspace: Workspace, me: Principal, today: date, records: pl.DataFrame, year: int
) -> tuple[list[Row], int | None, int]:
    """Tonnes of its rows in the draft of the inventory: of `year`, else of the newest year that has any."""
    if not me.may("inventory.view"):
        return [], None, 0
    newest = store.newest(workspace.registry)
    parts = [inventory.part(workspace, n, newest.get(n, 0), today) for n in records["ledger"].unique().sort()]
    if not parts:
        return [], None, 0
    built = joined(*parts)
    rows = records.select("ledger", "row_key", "number")
    mine = built.emissions.join(rows, on=["ledger", "row_key"])
    gaps = built.gaps.join(rows, on=["ledger", "row_key"])
    years = sorted(mine["year"].drop_nulls().unique().to_list(), reverse=True)
    chosen = year if year in years else years[0] if years else None
    if chosen is None:
        return [], None, gaps.height
    table: dict[tuple[str, int], Row] = {}
    for r in mine.filter(pl.col("year") == chosen).sort("ledger", "row_key").iter_rows(named=True):
        row = table.setdefault((r["ledger"], r["number"]), {
            "ledger": r["ledger"], "number": r["number"], "key": r["row_key"], "activities": [],
            "tonnes": dict.fromkeys(SPECIES),
        })  # fmt: skip
        if r["activity"] not in row["activities"]:
            row["activities"].append(r["activity"])
        row["tonnes"][r["species"]] = (row["tonnes"][r["species"]] or 0.0) + r["emission_t"]
    missing = gaps.filter((pl.col("year") == chosen).fill_null(True)).height
    return list(table.values()), chosen, missing


__all__ = ["LEVELS", "LISTS", "OF", "PERMITTED", "SHOWN", "Source", "source"]
