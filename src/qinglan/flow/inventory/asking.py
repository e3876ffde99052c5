"""Questions to frozen inventories: totals by anything, why a number, what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from qinglan.core.errors import NotFound, UnknownName
from qinglan.emission import change, trace
from qinglan.emission.categories import SPECIES, categories
from qinglan.flow.inventory.freezing import Held, open_version
from qinglan.flow.memory import Memory
from qinglan.flow.workspace import Workspace
from qinglan.ledger.check import BETWEEN
from qinglan.ledger.declare import load_ledger

#: What totals can be told by.
BY = (
    *("class", "sector", "fuel", "technology", "place", "prefecture"),
    *("handbook", "nfr", "gnfr", "edgar", "method", "species"),
)
#: Comparisons that a process keeps.
_MOST = 4
#: Changes below this share of the larger side are rounding.
_SAME = 1e-12


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two versions, `before` and `after`.

    rows : `kind` (added, gone, changed) and the columns of :func:`emission.change.change`; without rows alike.
    Between two years a ledger's row is the same whose identity differs in the year only: its `row_key` is told
    without it, and `ledger_key` is the row as its ledger calls it (of `after`, where it is there).
    totals : `sector, species, before_t, after_t, change_t` and the effects, of all rows [t]
    """

    before: str
    after: str
    rows: pl.DataFrame
    totals: pl.DataFrame


_compared = Memory[Comparison](_MOST)


def described(emissions: pl.DataFrame) -> pl.DataFrame:
    """Emissions with what totals are told by: class, the other systems' boxes, prefecture (GB/T 2260)."""
    return categories().with_boxes(emissions).with_columns(prefecture=pl.col("place").str.slice(0, 4) + "00")


def totals(
    held: Held,
    by: Sequence[str],
    *,
    species: str | Sequence[str] | None = None,
    place: str | None = None,
    sector: str | None = None,
) -> pl.DataFrame:
    """Tonnes a year by any of :data:`BY`.

    With `species` among `by`: the columns of `by` and `emission_t`. Without: one column of tonnes for each
    species, null where nothing was computed. species : only these; place : a division with all inside it.
    Raises UnknownName for a column, species or sector that there is not.
    """
    for name in by:
        if name not in BY:
            raise UnknownName("column", name, BY)
    asked = [species] if isinstance(species, str) else list(species) if species is not None else list(SPECIES)
    for name in asked:
        if name not in SPECIES:
            raise UnknownName("species", name, SPECIES)
    if sector is not None and sector not in categories().sectors:
        raise UnknownName("sector", sector, tuple(categories().sectors))
    rows = described(held.emissions).filter(pl.col("species").is_in(asked))
    if place is not None:
        stem = place[:2] if place.endswith("0000") else place[:4] if place.endswith("00") else place
        rows = rows.filter(pl.col("place").str.starts_with(stem))
    if sector is not None:
        rows = rows.filter(sector=sector)
    keys = [name for name in dict.fromkeys(by) if name != "species"]
    summed = rows.group_by(*keys, "species").agg(pl.col("emission_t").sum())
    if "species" in by:
        return summed.select(*dict.fromkeys(by), "emission_t").sort(list(dict.fromkeys(by)))
    said = set(summed["species"].to_list())
    columns = [_tonnes(name) for name in SPECIES if name in said]
    return summed.group_by(keys).agg(columns).sort(keys) if keys else summed.select(columns)


def _tonnes(species: str) -> pl.Expr:
    """Tonnes of one species in a group; null, not zero, where nothing of it was computed."""
    mine = pl.col("species") == species
    return pl.when(mine.any()).then(pl.col("emission_t").filter(mine).sum()).alias(species)


def explain(held: Held, ledger: str, row_key: str, activity: str | None, species: str) -> dict[str, Any]:
    """One number: `activity` (the row as activity data), `emission`, `steps` (emission.trace) and `alternatives`.

    activity : None for the only one of the row. NotFound says what the row has instead, with its gaps.
    """
    mine = (pl.col("ledger") == ledger) & (pl.col("row_key") == row_key)
    if activity is not None:
        mine &= pl.col("activity") == activity
    found = held.emissions.filter(mine & (pl.col("species") == species))
    if found.height != 1:
        there = held.emissions.filter(mine).select("activity", "species").unique().sort("activity", "species")
        gaps = held.gaps.filter(mine & ((pl.col("species") == species) | pl.col("species").is_null()))
        told = "; ".join(f"{a} {s}" for a, s in there.iter_rows())
        why = "; ".join(f"{g['reason']} {g['detail'] or ''}".strip() for g in gaps.iter_rows(named=True))
        raise NotFound(
            f"{ledger} {row_key} has {found.height} emissions of {species} in {held.version.id}.",
            remedy=" ".join(part for part in (told and f"It has: {told}.", why and f"Missing: {why}.") if part)
            or "Choose a row of the inventory.",
        )
    emission = trace.with_sources(found).row(0, named=True)
    same = mine & (pl.col("activity") == emission["activity"])
    return {
        "activity": held.activities.filter(same).row(0, named=True),
        "emission": emission,
        "steps": trace.steps(emission),
        "alternatives": held.alternatives.filter(same & (pl.col("species") == species)).to_dicts(),
    }


def compare(workspace: Workspace, a: str, b: str) -> Comparison:
    """What changed from version `a` to version `b`, row by row, split into activity, factor and control [t]."""
    before, after = open_version(workspace, a), open_version(workspace, b)
    return _compared.get((before.version.content, after.version.content), lambda: _compare(before, after))


def _compare(before: Held, after: Held) -> Comparison:
    sides = [
        _timeless(held.emissions, apart=before.version.year != after.version.year) for held in (before, after)
    ]
    rows = _exact(_called(change.change(*sides), *sides))
    kind = (
        pl.when(pl.col("opened") != 0).then(pl.lit("added"))
        .when(pl.col("closed") != 0).then(pl.lit("gone"))
        .otherwise(pl.lit("changed"))
    )  # fmt: skip
    larger = pl.max_horizontal(pl.col("before_t").abs(), pl.col("after_t").abs())
    moved = (pl.col("change_t").abs() > _SAME * larger) | pl.col("method_changed")
    told = rows.filter(moved).with_columns(kind=kind)
    summed = rows.group_by("sector", "species").agg(
        pl.col("before_t", "after_t", "change_t", *change.EFFECTS).sum()
    )
    order = pl.col("change_t").abs()
    return Comparison(
        before.version.id,
        after.version.id,
        told.select("kind", pl.exclude("kind")).sort(order, *change.IDENTITY, descending=[True] + [False] * 5),
        summed.sort("sector", "species"),
    )


def _exact(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of a change without rounding: an effect far below both sides is zero."""
    larger = pl.max_horizontal("before_t", "after_t")
    effects = [
        pl.when(pl.col(name).abs() > _SAME * larger).then(pl.col(name)).otherwise(0.0).alias(name)
        for name in change.EFFECTS
    ]
    return rows.with_columns(effects)


def _timeless(emissions: pl.DataFrame, *, apart: bool) -> pl.DataFrame:
    """Emissions with `ledger_key`; where two years are compared, the year is taken out of rows' identities."""
    told = emissions.with_columns(ledger_key=pl.col("row_key"))
    if not apart:
        return told
    stem = pl.col("row_key")
    for name in told["ledger"].drop_nulls().unique().sort():
        identity = load_ledger(name).identity
        if "year" in identity and len(identity) > 1:
            kept = [n for n, column in enumerate(identity) if column != "year"]
            without = pl.col("row_key").str.split(BETWEEN).list.gather(kept, null_on_oob=True).list.join(BETWEEN)
            stem = pl.when(pl.col("ledger") == name).then(without).otherwise(stem)
    own = pl.when(pl.col("source_id") == pl.col("row_key")).then(stem).otherwise(pl.col("source_id"))
    return told.with_columns(row_key=stem, source_id=own)


def _called(rows: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Rows of a change with what the ledger calls each, by the later side where it is there."""
    keys = list(change.IDENTITY)
    both = pl.concat([after.select(*keys, "ledger_key"), before.select(*keys, "ledger_key")])
    first = both.unique(keys, keep="first", maintain_order=True)
    return rows.join(first, on=keys, how="left", nulls_equal=True, maintain_order="left")
