"""What the pages of frozen versions show: which there are, what changed between two, how sure one is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from qinglan.access import Principal
from qinglan.core.errors import UnknownName
from qinglan.emission.categories import SPECIES
from qinglan.emission.change import EFFECTS
from qinglan.flow import inventory
from qinglan.flow.inventory import DRAWS, SEED, Comparison, Held, Version
from qinglan.flow.views.inventory import of_reader, visible
from qinglan.flow.workspace import Workspace
from qinglan.store import ledgers as store

Row = dict[str, Any]
#: How a row differs between two versions.
KINDS = ("changed", "added", "gone")
#: Inputs of a species' spread that a page lists.
MOST_INPUTS = 30


@dataclass(frozen=True)
class Entry:
    """A version, and the ledgers that have changed since it was frozen (of those it was made of)."""

    version: Version
    moved: tuple[str, ...]

    @property
    def at(self) -> datetime:
        """When it was frozen."""
        return datetime.fromisoformat(self.version.made)


def listing(workspace: Workspace) -> list[Entry]:
    """All versions, newest first."""
    newest = store.newest(workspace.registry)
    return [
        Entry(v, tuple(sorted(n for n, told in v.inputs.items() if newest.get(n) != told["change"])))
        for v in inventory.versions(workspace)
    ]


def emissions(workspace: Workspace, me: Principal, version: str) -> tuple[Held, pl.DataFrame]:
    """A version, and its emissions that the reader may see, the largest first. NotFound."""
    held = inventory.open_version(workspace, version)
    seen = of_reader(workspace, me, held.emissions).sort(
        "emission_t", "ledger", "row_key", "species", descending=[True, False, False, False]
    )
    return held, seen


@dataclass(frozen=True)
class Compared:
    """Two versions beside one another.

    totals : by species, `species, before_t, after_t, change_t` and the effects [t]. sectors : of one species, by
    sector, largest change first. rows : that the reader may see, of the species and kind asked for, with `number`.
    counts : of rows in sight of the species by kind. hidden : rows of the species that are others'.
    """

    found: Comparison
    species: str
    totals: list[Row]
    sectors: list[Row]
    rows: pl.DataFrame
    counts: list[tuple[str, int]]
    hidden: int


def compared(
    workspace: Workspace, me: Principal, before: str, after: str, species: str = "nox", kind: str = ""
) -> Compared:
    """What changed from one version to another. NotFound for a version, UnknownName for a species or kind."""
    for what, name, known in (("species", species, SPECIES), ("kind", kind, ("", *KINDS))):
        if name not in known:
            raise UnknownName(what, name, known)
    found = inventory.compare(workspace, before, after)
    tonnes = ("before_t", "after_t", "change_t", *EFFECTS)
    summed = found.totals.group_by("species").agg(pl.col(*tonnes).sum())
    by_species = {r["species"]: r for r in summed.iter_rows(named=True)}
    sectors = found.totals.filter(species=species).sort(pl.col("change_t").abs(), descending=True)
    mine = found.rows.filter(species=species)
    seen = of_reader(workspace, me, mine, "ledger_key")
    counts = dict(seen.group_by("kind").len().iter_rows())
    return Compared(
        found, species, [by_species[s] for s in SPECIES if s in by_species], sectors.to_dicts(),
        seen.filter(kind=kind) if kind else seen, [(k, counts[k]) for k in KINDS if k in counts],
        mine.height - seen.height,
    )  # fmt: skip


@dataclass(frozen=True)
class Sure:
    """How sure a version is.

    totals : of :func:`emission.uncertainty.uncertainty` by species. sectors : of one species by sector, largest
    first. inputs : what weighs most in that species, with `number` of the ledger's row where it is of one, and
    `theirs` where that row is another office's. keys : key sources by sector. seed, draws : of the Monte Carlo.
    """

    held: Held
    species: str
    totals: list[Row]
    sectors: list[Row]
    inputs: list[Row]
    keys: list[Row]
    seed: int = SEED
    draws: int = DRAWS


def sure(workspace: Workspace, me: Principal, version: str = "", species: str = "nox") -> Sure:
    """The uncertainty of a version ('' is the newest). NotFound, UnknownName as they are named."""
    if species not in SPECIES:
        raise UnknownName("species", species, SPECIES)
    held = inventory.open_version(workspace, version or None)
    totals = {r["species"]: r for r in inventory.uncertainty(held, ["species"]).iter_rows(named=True)}
    sectors = inventory.uncertainty(held, ["sector"]).filter(species=species)
    weighed = inventory.weighed(held, species)
    known = visible(workspace, me)
    heaviest = weighed.inputs.head(MOST_INPUTS).join(
        known, on=["ledger", "row_key"], how="left", maintain_order="left"
    )
    theirs = pl.col("row_key").is_not_null() & pl.col("number").is_null()
    return Sure(
        held, species, [totals[s] for s in SPECIES if s in totals],
        sectors.sort("emission_t", descending=True).to_dicts(),
        heaviest.with_columns(theirs=theirs).to_dicts(), weighed.keys.to_dicts(),
    )  # fmt: skip


def choices(workspace: Workspace) -> Sequence[Version]:
    """What can be chosen, newest first."""
    return inventory.versions(workspace)
