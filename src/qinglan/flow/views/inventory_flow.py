"""From activity to tonnes: what the draft's tonnes flow out of, by sector, fuel or process, and species."""

from __future__ import annotations

import polars as pl

from qinglan.core.errors import UnknownName
from qinglan.emission.categories import SPECIES
from qinglan.flow.views.inventory import Seen

#: What stands for the smaller sectors and fuels together.
OTHER = "other"
#: The pollutants that are shown together under this name; carbon monoxide and greenhouse gases would hide them.
MAIN, TOGETHER = "main", ("so2", "nox", "nmvoc", "nh3", "pm10")
#: Sectors, and fuels or processes, that are named; the others are told together.
MOST = 12
#: A name below this share of every species is told with the others.
LEAST = 0.01


def flows(found: Seen, species: str) -> pl.DataFrame:
    """`sector, fuel, species, emission_t, share` [%], the largest first; small ones are :data:`OTHER`.

    species : one of the inventory, or :data:`MAIN` for :data:`TOGETHER`; UnknownName for another. `share` is of
    the species' own tonnes, which are never summed with another's.
    """
    if species not in (*SPECIES, MAIN):
        raise UnknownName("species", species, (MAIN, *SPECIES))
    wanted = TOGETHER if species == MAIN else (species,)
    rows = found.emissions.filter(pl.col("species").is_in(wanted) & (pl.col("emission_t") > 0))
    named = rows.select(
        _named(rows, "sector"), _named(rows, "fuel"), "species", "emission_t"
    )  # fmt: skip
    summed = named.group_by("sector", "fuel", "species").agg(pl.col("emission_t").sum())
    share = 100 * pl.col("emission_t") / pl.col("emission_t").sum().over("species")
    return summed.with_columns(share=share).sort(
        "emission_t", "sector", "fuel", "species", descending=[True, False, False, False]
    )


def _named(rows: pl.DataFrame, column: str) -> pl.Expr:
    """The column, all but its largest names told as :data:`OTHER`; a name is as large as its largest share."""
    share = pl.col("emission_t") / pl.col("emission_t").sum().over("species")
    by_species = rows.with_columns(share=share).group_by(column, "species").agg(pl.col("share").sum())
    largest = (
        by_species.group_by(column).agg(pl.col("share").max()).sort("share", column, descending=[True, False])
    )
    kept = largest.filter(pl.col("share") >= LEAST)[column].drop_nulls().head(MOST).to_list()
    return pl.when(pl.col(column).is_in(kept)).then(pl.col(column)).otherwise(pl.lit(OTHER)).alias(column)
