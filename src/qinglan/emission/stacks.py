"""Months of an outlet as enterprises report them, turned into what the inventory and the tax ask for.

A month is a row `outlet, month` (YYYY-MM) with `hours_run`, `hours_valid`, `hours_over`, and for each of `so2`,
`nox` and `pm` the mean concentration [mg/m3] under its name and the mass [kg] under ``<name>_kg`` (ledger
stack-data).
"""

from __future__ import annotations

import polars as pl

from qinglan.core.errors import LayoutError
from qinglan.emission.units import scale

ITEMS = ("so2", "nox", "pm")
_HOURS = ("hours_run", "hours_valid", "hours_over")
_MONTHS = 12


def _long(months: pl.DataFrame) -> pl.DataFrame:
    """outlet, month, year, quarter, the hours, item, concentration, mass_kg: one row for each item."""
    needed = ("outlet", "month", *_HOURS, *ITEMS, *(f"{item}_kg" for item in ITEMS))
    missing = [name for name in needed if name not in months.columns]
    if missing:
        raise LayoutError(f"months of outlets have no column {', '.join(missing)}.")
    base = [pl.col("outlet").cast(pl.String), pl.col("month").cast(pl.String)]
    hours = [pl.col(name).cast(pl.Float64) for name in _HOURS]
    parts = [
        months.select(
            *base,
            *hours,
            item=pl.lit(item),
            concentration=pl.col(item).cast(pl.Float64),
            mass_kg=pl.col(f"{item}_kg").cast(pl.Float64),
        )
        for item in ITEMS
    ]
    day = (pl.col("month") + "-01").str.to_date(strict=False)
    return pl.concat(parts).with_columns(year=day.dt.year(), quarter=day.dt.quarter())


def annual_sums(months: pl.DataFrame, sources: pl.DataFrame) -> pl.DataFrame:
    """Sums of a year for :func:`~qinglan.emission.build.build`: `source_id, year, species, emission_t, valid`.

    sources : `outlet, source_id`; an outlet belongs to one source, a source may have several outlets.
    valid [%] : valid of run hours in the worst quarter of the worst outlet; 0 where a month or a mass is missing,
    so that the sum is not used. A month in which the plant stood still is reported with no hour run. `species` may
    be `pm`, the monitored dust.
    """
    outlets = sources.select(pl.col("outlet").cast(pl.String), pl.col("source_id").cast(pl.String)).unique()
    shared = outlets.filter(outlets["outlet"].is_duplicated())
    if shared.height:
        raise LayoutError(
            f"outlet {shared['outlet'][0]} belongs to {shared.height} sources.",
            remedy="Give the outlet to one source, or share its mass out beforehand.",
        )
    idle = pl.col("hours_run") == 0
    rows = _long(months).with_columns(mass_kg=pl.when(idle).then(0.0).otherwise("mass_kg"))
    run, valid = pl.col("hours_run").sum(), pl.col("hours_valid").sum()
    by_quarter = rows.group_by("outlet", "year", "quarter", "item").agg(
        percent=pl.when(run > 0).then((100 * valid / run).clip(0, 100)).otherwise(100.0),
        months=pl.col("month").n_unique(),
        lacking=pl.col("mass_kg").is_null().sum() + pl.col("hours_run").is_null().sum(),
        mass_kg=pl.col("mass_kg").sum(),
    )
    whole = (pl.col("months").sum() == _MONTHS) & (pl.col("lacking").sum() == 0)
    by_outlet = by_quarter.group_by("outlet", "year", "item").agg(
        pl.col("mass_kg").sum(), percent=pl.when(whole).then(pl.col("percent").min()).otherwise(0.0)
    )
    met = by_outlet.join(outlets, on="outlet")
    every = outlets.group_by("source_id").agg(outlets=pl.len())
    summed = met.group_by("source_id", "year", species="item").agg(
        emission_t=pl.col("mass_kg").sum() * scale("kg", "t"), valid=pl.col("percent").min(), told=pl.len()
    )
    # An outlet that reports nothing leaves the source's sum short.
    complete = summed.join(every, on="source_id").with_columns(
        valid=pl.when(pl.col("told") == pl.col("outlets")).then("valid").otherwise(0.0)
    )
    return complete.drop("told", "outlets").sort("source_id", "year", "species")


def taxable(months: pl.DataFrame, limits: pl.DataFrame, dust: pl.DataFrame | None = None) -> pl.DataFrame:
    """Months as :func:`qinglan.emission.tax.assess` reads them: one row for each outlet, month and pollutant.

    limits : `outlet, item, limit` [mg/m3], of the permit. dust : `outlet, pollutant`, under what name the dust of
    an outlet is taxed (`smoke` of boilers, `general_dust`); `smoke` where nothing is told. A month with an hour
    above the limit counts as exceeded: the law asks for days, so that this never reduces too much.
    """
    held = limits.select(pl.col("outlet").cast(pl.String), "item", pl.col("limit").cast(pl.Float64))
    rows = _long(months).filter(pl.col("mass_kg").is_not_null())
    rows = rows.join(held, on=["outlet", "item"], how="left", maintain_order="left")
    if dust is None:
        dust = pl.DataFrame(schema={"outlet": pl.String, "pollutant": pl.String})
    named = rows.join(dust, on="outlet", how="left", maintain_order="left")
    kind = pl.when(pl.col("item") == "pm").then(pl.col("pollutant").fill_null("smoke")).otherwise("item")
    return named.select(
        *("outlet", "month"),
        pollutant=kind,
        emission_kg="mass_kg",
        concentration="concentration",
        limit="limit",
        exceeded=pl.col("hours_over") > 0,
    )
