"""What the pages of sources show: every enterprise once, which ledgers know it, and where they disagree.

The fusion is :mod:`qinglan.flow.identities`; here its rows get their numbers and dates, and the other ledgers
are added. A reader's fusion is made of the rows that the reader may see, and of nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from qinglan.access import Principal
from qinglan.core.errors import UnknownName
from qinglan.emission.linkage import Fused, trust
from qinglan.flow import identities
from qinglan.flow.ledgers import rights
from qinglan.flow.ledgers.frames import frame_at
from qinglan.flow.memory import Memory
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import Ledger, ledgers, load_ledger
from qinglan.ledger.identifiers import uscc_fault
from qinglan.store import ledgers as store

Row = dict[str, Any]
#: The ledger that says of which industry an enterprise is and how it stands.
OF = "air-enterprises"
#: What the list can be narrowed to.
ONLY = ("conflict", "open", "alone")
#: How a conflict stands: who goes first by the order of trust, or whom a person chose.
DECIDED = ("rule", "person")
_RECORD = {"identity": pl.String, "ledger": pl.String, "row_key": pl.String, "number": pl.Int64,
           "change": pl.Int64}  # fmt: skip
_ABOUT = ("industry", "industry_class", "permit_kind", "status", "grade")
_kept = Memory["Found"](12)


@dataclass(frozen=True, slots=True)
class Found:
    """The sources that somebody may see, in a year.

    years : of which yearly ledgers tell something, newest first. table : identity, name, county, names, ledgers
    (that know it), rows, conflicts, open (conflicts that nobody decided) and what `air-enterprises` says of it.
    records : identity, ledger, row_key, number, change of every row that names an enterprise. conflicts : as
    :class:`qinglan.emission.linkage.Fused`, with name, county, ledger, number and `at` (ISO) of both sides.
    """

    year: int
    years: Sequence[int]
    fused: Fused
    table: pl.DataFrame
    records: pl.DataFrame
    conflicts: pl.DataFrame


def found(workspace: Workspace, me: Principal, today_year: int, year: int | None = None) -> Found:
    """All sources in a reader's sight; kept in memory until a ledger changes or somebody decides.

    today_year : the year in which it is asked; year : None is the newest before it that yearly ledgers tell of.
    """
    rights.need(me, load_ledger(OF), rights.VIEW)
    newest = store.newest(workspace.registry)
    seen = tuple((n.id, newest.get(n.id, 0), rights.scope(me, n, rights.VIEW)) for n in with_enterprise())
    key = (identities.stands(workspace, me), seen, today_year, year)
    return _kept.get(key, lambda: _made(workspace, me, newest, today_year, year))


def with_enterprise() -> list[Ledger]:
    """Ledgers whose rows name an enterprise by its credit code."""
    return [ledger for ledger in map(load_ledger, ledgers()) if ledger.enterprise]


def _made(workspace: Workspace, me: Principal, newest: Mapping[str, int], now: int, year: int | None) -> Found:
    years = identities.years(workspace, me)
    chosen = year if year is not None else next((y for y in years if y < now), years[0] if years else now - 1)
    fused = identities.held(workspace, me, chosen)
    records = _records(workspace, me, newest, fused)
    about = records.filter(ledger=OF).select("identity", "row_key").unique("identity", keep="first")
    rows = frame_at(workspace, load_ledger(OF), newest.get(OF, 0)).rows.select(pl.col("_key"), *_ABOUT)
    told = about.join(rows, left_on="row_key", right_on="_key", how="left").drop("row_key")
    conflicts = _conflicts(workspace, fused, records)
    undecided = conflicts.filter(pl.col("decided_by") == "").group_by("identity").agg(open=pl.len().cast(pl.Int64))
    known = records.group_by("identity").agg(
        ledgers=pl.col("ledger").unique().sort(), rows=pl.len().cast(pl.Int64)
    )
    table = (
        _everybody(workspace, newest, fused, records)
        .join(known, on="identity", how="left")
        .join(told, on="identity", how="left")
        .join(undecided, on="identity", how="left")
        .with_columns(pl.col("open").fill_null(0), pl.col("rows").fill_null(0), pl.col("ledgers").fill_null([]))
        .sort("county", "name", "identity", nulls_last=True)
    )
    return Found(chosen, years, fused, table, records, conflicts)


def _records(workspace: Workspace, me: Principal, newest: Mapping[str, int], fused: Fused) -> pl.DataFrame:
    """Every row in sight that names an enterprise by a good code, and those that belong by permit or decision."""
    parts = [pl.DataFrame(schema=_RECORD)]
    members = fused.members.filter(pl.col("by") != "code").with_columns(
        ledger=pl.col("origin").replace_strict(identities.origins(), default=None, return_dtype=pl.String)
    )
    for ledger in with_enterprise():
        reach = rights.scope(me, ledger, rights.VIEW)
        if not reach or not newest.get(ledger.id):
            continue
        rows = frame_at(workspace, ledger, newest[ledger.id]).rows.filter(reach.of(ledger))
        mine = rows.select(
            identity=pl.col(ledger.enterprise), ledger=pl.lit(ledger.id), row_key=pl.col("_key"),
            number=pl.col("_row").cast(pl.Int64), change=pl.col("_change").cast(pl.Int64),
        )  # fmt: skip
        bound = members.filter(ledger=ledger.id).select("row_key", given="identity").unique("row_key")
        parts.append(
            mine.join(bound, on="row_key", how="left", maintain_order="left")
            .with_columns(pl.coalesce("given", "identity").alias("identity"))
            .drop("given")
        )
    rows = pl.concat(parts).drop_nulls("identity")
    good = [c for c in rows["identity"].unique().to_list() if uscc_fault(c) is None]
    return rows.filter(pl.col("identity").is_in(good))


def _everybody(
    workspace: Workspace, newest: Mapping[str, int], fused: Fused, records: pl.DataFrame
) -> pl.DataFrame:
    """Identities of the fusion, and enterprises that only other ledgers name, called as their first row is."""
    columns = ["identity", "name", "county", "names", "conflicts"]
    known = fused.identities.select(columns)
    others = records.join(known, on="identity", how="anti").unique("identity", keep="first", maintain_order=True)
    rows = []
    for (name,), part in others.group_by("ledger", maintain_order=True):
        ledger = load_ledger(str(name))
        by = frame_at(workspace, ledger, newest[ledger.id]).rows.filter(
            pl.col("_key").is_in(part["row_key"].to_list())
        )
        place = pl.col(ledger.place) if ledger.place else pl.lit(None, pl.String)
        told = by.select("_key", name=pl.col(ledger.label).cast(pl.String), county=place)
        rows.append(part.join(told, left_on="row_key", right_on="_key").select(
            "identity", "name", "county", names=pl.concat_list("name"), conflicts=pl.lit(0, pl.Int64)
        ))  # fmt: skip
    return pl.concat([known, *rows])


def _conflicts(workspace: Workspace, fused: Fused, records: pl.DataFrame) -> pl.DataFrame:
    """The conflicts with who it is about, and of both sides the row and when it was last changed."""
    won = fused.facts.filter(state="won").select("identity", "fact", winner_row="row_key")
    about = fused.identities.select("identity", "name", "county")
    rows = fused.conflicts.join(won, on=["identity", "fact"], how="left", maintain_order="left")
    rows = rows.join(about, on="identity", how="left", maintain_order="left")
    lists = records.select("ledger", "row_key", "number", "change").unique(["ledger", "row_key"])
    for side in ("winner", "other"):
        rows = rows.with_columns(_ledger(pl.col(side)).alias(f"{side}_ledger")).join(
            lists.rename({"number": f"{side}_number", "change": f"{side}_change"}),
            left_on=[f"{side}_ledger", f"{side}_row"], right_on=["ledger", "row_key"], how="left",
            maintain_order="left",
        )  # fmt: skip
    numbers = [*rows["winner_change"].drop_nulls(), *rows["other_change"].drop_nulls()]
    when = {n: at.isoformat() for n, at in store.moments(workspace.registry, numbers).items()}
    return rows.with_columns(
        pl.col(f"{side}_change").replace_strict(when, default=None, return_dtype=pl.String).alias(f"{side}_at")
        for side in ("winner", "other")
    ).sort("identity", "fact", "other")


def _ledger(origin: pl.Expr) -> pl.Expr:
    return origin.replace_strict(identities.origins(), default=None, return_dtype=pl.String)


def prefecture(column: str = "county") -> pl.Expr:
    """The prefecture of a county, by GB/T 2260."""
    return pl.col(column).str.slice(0, 4) + "00"


def _narrowed(rows: pl.DataFrame, ask: Mapping[str, str], text: Sequence[str]) -> pl.DataFrame:
    """Rows of a place (prefecture or county) that hold the words asked for."""
    if ask["place"]:
        rows = rows.filter((pl.col("county") == ask["place"]) | (prefecture() == ask["place"]))
    if words := ask["q"].strip().casefold():
        whole = pl.concat_str(text, separator="\n", ignore_nulls=True).str.to_lowercase()
        rows = rows.filter(whole.str.contains(words, literal=True))
    return rows


def _asked(name: str, value: str, known: Iterable[str]) -> None:
    options = tuple(known)
    if value and value not in options:
        raise UnknownName(name, value, options)


def chosen(told: Found, ask: Mapping[str, str]) -> pl.DataFrame:
    """Sources of a filter: `q` (name, code), `place`, `industry`, `record` and `lacks` (ledgers), `only`.

    only : ``conflict``, ``open`` (a conflict that nobody decided), ``alone`` (one ledger alone knows it).
    UnknownName for a ledger or a kind that there is not.
    """
    known = [ledger.id for ledger in with_enterprise()]
    _asked("ledger", ask["record"], known)
    _asked("ledger", ask["lacks"], known)
    _asked("kind of source", ask["only"], ONLY)
    names = pl.col("names").list.join("\n").alias("names")
    rows = _narrowed(told.table.with_columns(names), ask, ("identity", "name", "names"))
    if ask["industry"]:
        rows = rows.filter(pl.col("industry") == ask["industry"])
    if ask["record"]:
        rows = rows.filter(pl.col("ledgers").list.contains(ask["record"]))
    if ask["lacks"]:
        rows = rows.filter(~pl.col("ledgers").list.contains(ask["lacks"]))
    if ask["only"]:
        by = {"conflict": pl.col("conflicts") > 0, "open": pl.col("open") > 0,
              "alone": pl.col("ledgers").list.len() == 1}  # fmt: skip
        rows = rows.filter(by[ask["only"]])
    return rows


def covered(told: Found) -> list[Row]:
    """Of each ledger that names enterprises: `ledger`, how many sources it knows, how many it does not."""
    counts = dict(told.records.group_by("ledger").agg(pl.col("identity").n_unique()).iter_rows())
    return [
        {"ledger": ledger, "knows": counts[ledger.id], "lacks": told.table.height - counts[ledger.id]}
        for ledger in with_enterprise()
        if ledger.id in counts
    ]


def disagreements(told: Found, ask: Mapping[str, str]) -> pl.DataFrame:
    """The conflict ledger: `q`, `place`, `fact`, `origin` (either side), `by` (``rule`` or ``person``)."""
    book = trust()
    _asked("fact", ask["fact"], book["facts"])
    _asked("origin", ask["origin"], book["origins"])
    _asked("way of deciding", ask["by"], DECIDED)
    rows = _narrowed(told.conflicts, ask, ("identity", "name", "value", "other_value"))
    if ask["fact"]:
        rows = rows.filter(fact=ask["fact"])
    if ask["origin"]:
        rows = rows.filter((pl.col("winner") == ask["origin"]) | (pl.col("other") == ask["origin"]))
    if ask["by"]:
        rows = rows.filter((pl.col("decided_by") != "") == (ask["by"] == "person"))
    return rows
