"""How sure a version's totals are: intervals by Monte Carlo, what weighs most in them, and key sources; kept.

The draws are seeded, so that a version's spread is the same on every day. It is computed apart from a server's
readers (:mod:`qinglan.flow.apart`), from the version's own file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from qinglan.core.errors import UnknownName
from qinglan.emission.categories import SPECIES
from qinglan.emission.change import key_sources
from qinglan.emission.uncertainty import contributions, inputs
from qinglan.emission.uncertainty import uncertainty as spread_of
from qinglan.flow import apart
from qinglan.flow.inventory.asking import BY, described
from qinglan.flow.inventory.freezing import Held
from qinglan.flow.memory import Memory
from qinglan.plan.rules import load_book

#: Seed and number of the draws.
SEED, DRAWS = 144, 1000
_MOST = 12
_spreads = Memory[pl.DataFrame](_MOST)
_weights = Memory["Weighed"](_MOST)


@dataclass(frozen=True)
class Weighed:
    """What makes one species' total unsure, and which sectors make it up.

    inputs : of :func:`emission.uncertainty.contributions` (`input, name, mass_t, variance, share`), `cumulative`,
    and `ledger, row_key` where the error is of one row. keys : of :func:`emission.change.key_sources` by sector.
    """

    inputs: pl.DataFrame
    keys: pl.DataFrame


def uncertainty(held: Held, by: Sequence[str]) -> pl.DataFrame:
    """95 % ranges of totals (emission.uncertainty) by columns of :data:`BY` with species; kept with the version.

    Species are never summed together: `species` is added to `by` where it is missing. The draws are seeded.
    """
    for name in by:
        if name not in BY:
            raise UnknownName("column", name, BY)
    keys = tuple(dict.fromkeys((*by, "species")))
    path = held.folder / "emissions.parquet"
    return _spreads.get((held.version.content, keys), lambda: apart.run(_spread, path, keys, SEED, DRAWS))


def _spread(path: Path, keys: tuple[str, ...], seed: int, draws: int) -> pl.DataFrame:
    """The intervals of a version's file; runs in the process apart."""
    rng = np.random.default_rng(seed)
    return spread_of(described(pl.read_parquet(path)), list(keys), rng=rng, draws=draws)


def weighed(held: Held, species: str) -> Weighed:
    """What weighs most in the spread of one species, and its key sources; UnknownName for another species."""
    if species not in SPECIES:
        raise UnknownName("species", species, SPECIES)
    return _weights.get((held.version.content, species), lambda: _weighed(held, species))


def _weighed(held: Held, species: str) -> Weighed:
    rows = held.emissions.filter(species=species)
    made = inputs(rows)
    ranked = contributions(made, np.ones(rows.height, dtype=bool))
    activity = pl.concat_str(["source_id", "ledger", "row_key", "activity"], separator="/", ignore_nulls=True)
    owners = pl.concat(
        [
            rows.select(pl.lit(kind).alias("input"), name.alias("name"), "ledger", "row_key")
            for kind, name in (
                ("amount", pl.concat_str(activity, pl.col("year"), separator=" of ")),
                ("method", pl.concat_str(activity, "species", separator=" ")),
            )
        ]
    ).unique(["input", "name"], keep="first")
    told = ranked.with_columns(cumulative=pl.col("share").cum_sum())
    book = load_book("tcses144", date(held.version.year, 12, 31))
    return Weighed(
        told.join(owners, on=["input", "name"], how="left", maintain_order="left"),
        key_sources(rows, ["sector"], book),
    )
