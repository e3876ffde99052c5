"""What the pages of the inventory show: emissions of the ledgers' rows as they stand now, row by row.

It is a draft, made anew after every change of a ledger, of all sources (:func:`emission.whole.build_all`). Who
sees which of its rows is asked of the ledgers' own rights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from qinglan.access import Principal
from qinglan.access.principal import within
from qinglan.core.errors import NotFound, UnknownName
from qinglan.emission import trace
from qinglan.emission.categories import SPECIES, categories
from qinglan.emission.frames import EMISSIONS, GAPS, METHODS, Inventory, joined
from qinglan.emission.whole import build_all
from qinglan.flow.inventory import together
from qinglan.flow.ledgers import rights
from qinglan.flow.ledgers.frames import frame_at
from qinglan.flow.memory import Memory
from qinglan.flow.workspace import Workspace
from qinglan.ledger.activity import activities
from qinglan.ledger.declare import ledgers, load_ledger
from qinglan.store import ledgers as store

Row = dict[str, Any]

#: Drafts that a process keeps in memory, and the parts of them, each of one ledger.
_MOST, _MOST_PARTS = 4, 80
#: As many parts that are not known are made at one time.
_TOGETHER = 3
_KEY = ("ledger", "row_key")


_kept = Memory[Inventory](_MOST)
_parts = Memory[Inventory](_MOST_PARTS)


def draft(workspace: Workspace, today: date) -> Inventory:
    """Everything that the ledgers' live rows emit; kept in memory until a ledger changes."""
    newest = store.newest(workspace.registry)
    key = (workspace.home, today, tuple(sorted(newest.items())))
    return _kept.get(key, lambda: _made(workspace, newest, today))


def _made(workspace: Workspace, newest: dict[str, int], today: date) -> Inventory:
    _foresee(workspace, newest, today)
    return joined(_NOTHING, *(part(workspace, name, newest.get(name, 0), today) for name in ledgers()))


def _foresee(workspace: Workspace, newest: dict[str, int], today: date) -> None:
    """Make the parts that are not known at one time: a build has a price of its own, however few its rows are."""
    wanted = {name: load_ledger(name) for name in ledgers() if newest.get(name) and load_ledger(name).activity}
    keys = {name: (workspace.home, name, ledger.hash, newest[name], today) for name, ledger in wanted.items()}
    lacking = [name for name in wanted if not _parts.has(keys[name])]
    if len(lacking) < _TOGETHER:
        return
    rows = [activities(wanted[n], frame_at(workspace, wanted[n], newest[n]).rows, today) for n in lacking]
    built = build_all(together(rows))
    for name in lacking:
        own = (frame.filter(ledger=name) for frame in (built.emissions, built.alternatives, built.gaps))
        _parts.put(keys[name], Inventory(*own))


def part(workspace: Workspace, name: str, number: int, today: date) -> Inventory:
    """What the rows of one ledger emit as they are after its change `number`; nothing where there is none."""
    ledger = load_ledger(name)
    if not number or not ledger.activity:
        return _NOTHING

    def made() -> Inventory:
        return build_all(activities(ledger, frame_at(workspace, ledger, number).rows, today))

    return _parts.get((workspace.home, name, ledger.hash, number, today), made)


_NOTHING = Inventory(pl.DataFrame(schema=EMISSIONS), pl.DataFrame(schema=EMISSIONS), pl.DataFrame(schema=GAPS))


@dataclass(frozen=True, slots=True)
class Seen:
    """The rows of a year that somebody may see. `emissions` and `gaps` also hold `number`, the ledger's row."""

    year: int | None
    years: Sequence[int]
    emissions: pl.DataFrame
    alternatives: pl.DataFrame
    gaps: pl.DataFrame


def seen(workspace: Workspace, me: Principal, today: date, year: int | None = None) -> Seen:
    """The draft of a year, of the rows that their ledger shows to the reader.

    year : None is the newest with tonnes that is over, else the newest with tonnes.
    """
    built, rows = draft(workspace, today), visible(workspace, me)
    parts = [
        frame.join(rows, on=_KEY, maintain_order="left")
        for frame in (built.emissions, built.alternatives, built.gaps)
    ]
    years = sorted(parts[0]["year"].drop_nulls().unique().to_list(), reverse=True)
    over = [y for y in years if y < today.year] or years
    chosen = year if year is not None else over[0] if over else None
    # A row whose year is missing is a gap of every year.
    of_year = [p.filter((pl.col("year") == chosen).fill_null(True)) if chosen is not None else p for p in parts]
    emissions = categories().with_boxes(of_year[0])
    return Seen(chosen, years, emissions, *of_year[1:])


def visible(workspace: Workspace, me: Principal) -> pl.DataFrame:
    """ledger, row_key, number: the ledgers' rows that somebody may see."""
    newest = store.newest(workspace.registry)
    parts = [pl.DataFrame(schema={"ledger": pl.String, "row_key": pl.String, "number": pl.Int64})]
    for name in ledgers():
        ledger = load_ledger(name)
        reach = rights.scope(me, ledger, rights.VIEW)
        if reach and newest.get(name) and ledger.activity:
            rows = frame_at(workspace, ledger, newest[name]).rows.filter(reach.of(ledger))
            parts.append(
                rows.select(ledger=pl.lit(name), row_key=pl.col("_key"), number=pl.col("_row").cast(pl.Int64))
            )
    return pl.concat(parts)


def of_reader(workspace: Workspace, me: Principal, rows: pl.DataFrame, key: str = "row_key") -> pl.DataFrame:
    """Frozen rows (`ledger`, `place`, and the ledger's identity under `key`) that somebody may see.

    With `number`, of the ledger's row today; null for one withdrawn since, which is told where it lay in a place
    of the reader.
    """
    known = visible(workspace, me).rename({"row_key": key})
    numbered = rows.join(known, on=["ledger", key], how="left", maintain_order="left")
    return numbered.filter(pl.col("number").is_not_null() | _own(me, numbered))


def _own(me: Principal, rows: pl.DataFrame) -> pl.Series:
    """Frozen rows that lie where the reader may see their ledger, also those withdrawn since."""
    reach = {name: rights.scope(me, load_ledger(name), rights.VIEW) for name in rows["ledger"].unique()}
    seen: dict[tuple[str, str | None], bool] = {}
    for name, place in rows.select("ledger", "place").unique().iter_rows():
        scope = reach[name]
        seen[name, place] = scope.everything or any(within(place or "", code) for code in scope.places)
    made = [seen[pair] for pair in rows.select("ledger", "place").iter_rows()]
    return pl.Series(made, dtype=pl.Boolean)


def prefecture() -> pl.Expr:
    """The prefecture of a row's place, by GB/T 2260; null where the row has no place."""
    return pl.col("place").str.slice(0, 4) + "00"


def wide(emissions: pl.DataFrame, by: pl.Expr) -> list[Row]:
    """Tonnes by group and species: ``group`` and one key for each species (None where nothing was computed)."""
    summed = emissions.group_by(by.alias("group"), "species").agg(pl.col("emission_t").sum())
    table: dict[Any, Row] = {}
    for row in summed.iter_rows(named=True):
        table.setdefault(row["group"], {"group": row["group"]} | dict.fromkeys(SPECIES))[row["species"]] = row[
            "emission_t"
        ]
    return sorted(table.values(), key=lambda r: (r["group"] is None, -(r["nox"] or 0.0), str(r["group"])))


def overview(found: Seen) -> Row:
    """Totals by species, by sector and by prefecture, what each method gives, and what is missing and why."""
    tonnes = found.emissions.group_by("species", "method").agg(pl.col("emission_t").sum())
    sums: dict[str, dict[str, float]] = {}
    for row in tonnes.iter_rows(named=True):
        sums.setdefault(row["species"], {})[row["method"]] = row["emission_t"]
    totals = [
        {"species": s, "total": sum(sums[s].values()),
         "shares": {m: 100 * sums[s].get(m, 0.0) / (sum(sums[s].values()) or 1.0) for m in METHODS}}
        for s in SPECIES if s in sums
    ]  # fmt: skip
    return {
        "totals": totals,
        "sectors": wide(found.emissions, pl.col("sector")),
        "prefectures": wide(found.emissions, prefecture()),
        "rows": found.emissions.select(_KEY).n_unique(),
        "gaps": found.gaps.height,
        "reasons": _counted(found.gaps, "reason"),
    }


def _counted(frame: pl.DataFrame, column: str) -> list[tuple[str, int]]:
    return list(frame.group_by(column).len().sort("len", column, descending=[True, False]).iter_rows())


def chosen(found: Seen, ask: dict[str, str]) -> pl.DataFrame:
    """Emissions of a filter (sector, place, species, ledger, method; '' is any), the largest first.

    UnknownName for a species or a method that there is not.
    """
    for name, known in (("species", SPECIES), ("method", METHODS)):
        if ask[name] and ask[name] not in known:
            raise UnknownName(name, ask[name], known)
    rows = found.emissions
    for name in ("sector", "species", "ledger", "method"):
        if ask[name]:
            rows = rows.filter(pl.col(name) == ask[name])
    if ask["place"]:
        rows = rows.filter((pl.col("place") == ask["place"]) | (prefecture() == ask["place"]))
    return rows.sort("emission_t", "ledger", "row_key", "species", descending=[True, False, False, False])


def row(workspace: Workspace, me: Principal, today: date, ledger: str, number: int) -> Row:
    """A ledger row's emissions with the steps of each, the numbers of other methods, and its gaps. NotFound."""
    rights.need(me, load_ledger(ledger), rights.VIEW)
    built, rows = draft(workspace, today), visible(workspace, me)
    one = rows.filter((pl.col("ledger") == ledger) & (pl.col("number") == number))
    if one.is_empty():
        raise NotFound(f"row {number} of {ledger}", remedy="Choose a row from /inventory/rows.")
    emissions, others, gaps = (
        f.join(one, on=_KEY, maintain_order="left") for f in (built.emissions, built.alternatives, built.gaps)
    )
    order = pl.col("species").replace_strict({s: k for k, s in enumerate(SPECIES)}, return_dtype=pl.Int8)
    sourced = trace.with_sources(emissions).sort(pl.col("year"), "activity", order)
    return {
        "ledger": ledger,
        "number": number,
        "key": one["row_key"][0],
        "emissions": [{**r, "steps": trace.steps(r)} for r in sourced.iter_rows(named=True)],
        "alternatives": others.to_dicts(),
        "gaps": gaps.to_dicts(),
    }
