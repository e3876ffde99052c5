"""What a vehicle emits beside the guide's exhaust: by its fuel, as parts of its particles, and as vapour."""

from __future__ import annotations

import polars as pl

from qinglan.emission.mobile import tables
from qinglan.emission.units import scale

#: What factors of vehicles have in common (see `build`).
FACTOR = ("_row", "species", "value", "factor_unit", "factor_id", "method", "equation", "note")


def by_fuel(rows: pl.DataFrame, exhaust: pl.DataFrame, sulphur: float) -> pl.DataFrame:
    """SO2, CO2, CH4, NH3, BC and OC of the vehicles that `exhaust` has: FACTOR in, FACTOR out.

    rows : `_row`, `fuel`, `technology`, `stage`
    sulphur : mg/kg, of petrol and diesel
    """
    told = rows.join(exhaust.select("_row").unique(), on="_row", how="semi").rename({"technology": "class"})
    used = told.join(tables.fuel_use().rename({"value": "used"}), on=["class", "fuel"])
    return pl.concat([_of_fuel(used, sulphur), _carbon(used, exhaust)])


def _of_fuel(used: pl.DataFrame, sulphur: float) -> pl.DataFrame:
    """SO2 of the fuel's sulphur, CO2, CH4 and NH3 [g/km]: fuel used by distance times a factor by fuel.

    Source: SO2 = 2 S (T/CSES 144-2024, nothing retained); IPCC 2006 vol. 2; EMEP/EEA 1.A.3.b tier 1.
    """
    liquid = used.filter(pl.col("fuel").is_in(["gasoline", "diesel"]))
    in_fuel = 2.0 * sulphur * scale("mg/kg", "g/kg")
    oxide = liquid.with_columns(species=pl.lit("so2"), content=pl.lit(in_fuel))
    rest = used.join(tables.by_fuel().rename({"value": "content"}).drop("unit"), on=["group", "fuel"])
    both = pl.concat([oxide, rest.select(oxide.columns)])
    # Grams of fuel by distance times grams by kilogram of it: the thousand comes from the units.
    by_distance = scale("(g/km) * (g/kg)", "g/km")
    return both.select(
        "_row",
        "species",
        value=pl.col("used") * pl.col("content") * by_distance,
        factor_unit=pl.lit("g/km"),
        factor_id=pl.format("road.fuel.{}.{}.{}", "class", "fuel", "species"),
        method=pl.lit("factor_default"),
        equation=pl.lit("vehicle_fuel"),
        note=pl.format("fuel {} g/km x {} g/kg", "used", "content"),
    )


def _carbon(used: pl.DataFrame, exhaust: pl.DataFrame) -> pl.DataFrame:
    """BC and OC as shares of the exhaust's PM2.5 (EMEP/EEA 1.A.3.b; Euro n answers for China n)."""
    stage = pl.col("stage").replace({"stage6a": "stage6", "stage6b": "stage6"})
    particles = exhaust.filter(pl.col("species") == "pm2_5").select("_row", "value", particles="note")
    met = (
        used.with_columns(stage=stage)
        .join(tables.carbon(), on=["group", "fuel", "stage"])
        .join(particles, on="_row")
        .with_columns(pl.col("bc", "om") * scale("%", "1"))
    )
    black = pl.col("bc")
    # OM of the table can, with BC, pass the whole of PM2.5 by the rounding of its shares: held at the rest.
    organic = pl.min_horizontal(black * pl.col("om"), 1.0 - black) / tables.defaults()["om_oc"]
    parts = [
        met.with_columns(species=pl.lit(name), share=share) for name, share in (("bc", black), ("oc", organic))
    ]
    return pl.concat(parts).select(
        "_row",
        "species",
        value=pl.col("value") * pl.col("share"),
        factor_unit=pl.lit("g/km"),
        factor_id=pl.format("road.carbon.{}.{}.{}.{}", "group", "fuel", "stage", "species"),
        method=pl.lit("factor_default"),
        equation=pl.lit("vehicle_carbon"),
        note=pl.format("{} of PM2.5; {}", pl.col("share").round(4), "particles"),
    )


def with_vapour(rows: pl.DataFrame, exhaust: pl.DataFrame) -> pl.DataFrame:
    """FACTOR with the NMVOC of petrol vehicles including what evaporates while driving and parked [g/km].

    rows : `_row`, `fuel`, `speed` [km/h], `distance` [km a vehicle and year]

    Source: MEP 2014 No. 92 road guide, E = P (EF1 VKT / v + EF2 d); EF1 [g/h], EF2 [g/day], v [km/h]. Divided by
    the distance P VKT it is EF1 / v + EF2 d / VKT.
    """
    default = tables.defaults()
    pace = pl.col("speed").fill_null(default["evaporation_speed"])
    parked = pl.col("parking") * default["evaporation_days"] / pl.col("distance")
    met = rows.join(tables.evaporation(), on="fuel").select(
        "_row",
        vapour=pl.col("driving") / pace
        + pl.when(pl.col("distance") > 0).then(parked).otherwise(0.0).fill_null(0.0),
        said=pl.concat_str(
            pl.lit("with vapour"),
            pl.when(pl.col("speed").is_null()).then(pl.lit("speed of it assumed")),
            pl.when((pl.col("distance") > 0).fill_null(False).not_()).then(pl.lit("without that of parking")),
            separator=", ",
            ignore_nulls=True,
        ),
        species=pl.lit("nmvoc"),
    )
    return exhaust.join(met, on=["_row", "species"], how="left").select(
        "_row",
        "species",
        value=pl.col("value") + pl.col("vapour").fill_null(0.0),
        factor_unit="factor_unit",
        factor_id="factor_id",
        method="method",
        equation="equation",
        note=pl.concat_str("note", "said", separator="; ", ignore_nulls=True),
    )
