"""The simulated ledgers: rows as clerks would hand them in, and what their sources truly emit. Pure and seeded.

The same seed gives the same rows on the same library versions. Rows of one ledger refer to rows of others: a stack
belongs to a line, a line to an enterprise, a project to a line. Everything here is invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import polars as pl

from qinglan.core.errors import UnknownName
from qinglan.plan.content import names, read
from qinglan.plan.outlines import county_outlines
from qinglan.sim.clerk import spoiled, written
from qinglan.sim.enterprises import counties, enterprises, prefectures
from qinglan.sim.recipes import Drawer, Recipe

SEED = 9

_FOLDER = ("sim", "ledgers")
#: The frame of :func:`truth`.
TRUTH = {
    "ledger": pl.String,
    "source_id": pl.String,
    "activity": pl.String,
    "place": pl.String,
    "species": pl.String,
    "emission_t": pl.Float64,
}


@cache
def _recipes() -> Mapping[str, Recipe]:
    made: dict[str, Recipe] = {}
    for name in names(*_FOLDER):
        if name != "cast":
            made |= read(*_FOLDER, name)
    return made


def ledger_ids() -> tuple[str, ...]:
    """Ledgers that can be simulated.

    >>> "production-lines" in ledger_ids()
    True
    """
    return tuple(sorted(_recipes()))


def rows(ledger_id: str, *, seed: int = SEED, size: int | None = None, faults: bool = False) -> pl.DataFrame:
    """Text cells of a ledger with `_line`, as out of a workbook; UnknownName for a ledger without a recipe.

    size : rows in all of a ledger that is dealt out (machines); of the others at most so many
    faults : plant mistakes in one row of twenty (:func:`faulty` also says which)
    """
    if faults:
        return faulty(ledger_id, seed=seed, size=size)[0]
    return written(ledger_id, typed(ledger_id, seed, size))


def faulty(
    ledger_id: str, *, seed: int = SEED, size: int | None = None, share: float = 0.05
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Text cells with mistakes planted, and the truth about them: line, column, code, value."""
    return spoiled(ledger_id, written(ledger_id, typed(ledger_id, seed, size)), seed, share)


@cache
def typed(ledger_id: str, seed: int = SEED, size: int | None = None) -> pl.DataFrame:
    """The rows before they are written: typed, with the columns of what they were drawn from."""
    recipe = _recipe(ledger_id)
    return Drawer(ledger_id, seed, county_outlines()).rows(recipe, _base(recipe, seed), size)


def _recipe(ledger_id: str) -> Recipe:
    found = _recipes().get(ledger_id)
    if found is None:
        raise UnknownName("simulated ledger", ledger_id, ledger_ids())
    return found


def _base(recipe: Recipe, seed: int) -> pl.DataFrame:
    over = recipe["over"]
    bases = {"counties": counties, "prefectures": prefectures}
    if isinstance(over, Mapping):
        base = typed(over["ledger"], seed)
    else:
        base = bases[over]() if over in bases else enterprises(seed)
    for other in recipe.get("joined", ()):
        base = base.join(_gathered(other, seed), on=other["on"], how="left", maintain_order="left")
    return base


def _gathered(other: Mapping[str, Any], seed: int) -> pl.DataFrame:
    """Sums and means of another ledger's rows by the columns that it is joined on."""
    sums = [pl.col(c).cast(pl.Float64).sum().alias(n) for n, c in other.get("sum", {}).items()]
    known = [(pl.col(c).count() > 0).alias(f"_{n}") for n, c in other.get("sum", {}).items()]
    means = [pl.col(c).cast(pl.Float64).mean().alias(n) for n, c in other.get("mean", {}).items()]
    made = typed(other["ledger"], seed).group_by(other["on"], maintain_order=True).agg(*sums, *known, *means)
    told = [pl.when(pl.col(f"_{n}")).then(pl.col(n)).alias(n) for n in other.get("sum", {})]
    return made.with_columns(told).drop([f"_{n}" for n in other.get("sum", {})])


def truth(year: int = 2025, *, seed: int = SEED) -> pl.DataFrame:
    """What each simulated source emits in a year [t], by the factors that the simulation assigns it: frame TRUTH.

    Only sources whose inputs are complete in the ledger stand here: the recipes' `truth` entries. Their factors
    are those of T/CSES 144-2024 as the recipe writes them, computed apart from the inventory's own tables.
    """
    parts = [pl.DataFrame(schema=TRUTH)]
    for ledger_id, recipe in _recipes().items():
        for activity, told in recipe.get("truth", {}).items():
            parts += _emitted(ledger_id, activity, told, typed(ledger_id, seed), year)
    return pl.concat(parts)


def _emitted(
    ledger_id: str, activity: str, told: Mapping[str, str], frame: pl.DataFrame, year: int
) -> list[pl.DataFrame]:
    kept = frame.filter(
        pl.sql_expr(told.get("where", "true")) & pl.sql_expr(f"{told.get('year', 'year')} = {year}")
    )
    head = {
        "ledger": pl.lit(ledger_id),
        "source_id": pl.sql_expr(told["source"]).cast(pl.String),
        "activity": pl.lit(activity),
        "place": pl.col("county"),
    }
    shared = {k: v for k, v in told.items() if k.startswith("_")}
    for name, text in shared.items():
        kept = kept.with_columns(pl.sql_expr(text).alias(name))
    species = [k for k in told if k not in ("where", "year", "source") and not k.startswith("_")]
    return [
        kept.select(**head, species=pl.lit(s), emission_t=pl.sql_expr(told[s]).cast(pl.Float64)).filter(
            pl.col("emission_t").is_not_null()
        )
        for s in species
    ]
