"""Mobile activities become emissions: distance, fuel, work or cycles times a factor and its corrections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from qinglan.emission.categories import SPECIES, categories
from qinglan.emission.factors import sigmas
from qinglan.emission.frames import EMISSIONS, GAPS, Inventory, as_activities
from qinglan.emission.mobile import fuelled, tables
from qinglan.emission.units import UnitMismatch, emitted, scale

SECTORS = ("road", "machinery", "farm_machinery", "railway", "aviation")
_KEPT = ("source_id", "ledger", "row_key", "activity", "place", "year", "sector", "fuel", "technology")
_NUMBERS = ("altitude", "speed", "load", "distance", "power")
_FIRST_YEAR, _LAST_YEAR = 1990, 2100


@dataclass(frozen=True, slots=True)
class Options:
    """Where practice differs, and what rows do not say.

    altitude : m, for rows without; None takes that of content (all counties of Qinghai lie above the threshold)
    temperature, humidity : degC and %, of the year; None leaves the factors at 10 to 25 degC uncorrected
    sulphur : mg/kg, of petrol and diesel; None takes that of content, above the highest class the highest holds
    deterioration : `guide` for petrol vehicles by year (its last year answers for later ones), or `off`
    china6 : the guide ends at China 5: `stage5` takes its factors, marked as a default; `gap` computes none
    load : `interpolated` between the steps of the guide for diesel vehicles whose row gives it, or `off`
    vapour : `guide` adds what evaporates to the NMVOC of petrol vehicles, or `off`
    machines : `capped` holds the mean factor at the limit of the engine's stage and power, or `mean`
    """

    altitude: float | None = None
    temperature: float | None = None
    humidity: float | None = None
    sulphur: float | None = None
    deterioration: Literal["guide", "off"] = "guide"
    china6: Literal["stage5", "gap"] = "stage5"
    load: Literal["interpolated", "off"] = "interpolated"
    vapour: Literal["guide", "off"] = "guide"
    machines: Literal["capped", "mean"] = "capped"


def sectors() -> pl.Expr:
    """Whether a row of activities is for :func:`build`."""
    return pl.col("sector").is_in(SECTORS)


def build(activities: pl.DataFrame, *, options: Options | None = None) -> Inventory:
    """Emissions of mobile activities (2014 No. 92 for vehicles; docs/explanation/inventory-mobile.md).

    activities : frame of activities; amounts in km driven by all vehicles, t of fuel, kWh of work or 次 of cycles;
    terms `stage`, `altitude` [m], `speed` [km/h], `load` [%], `distance` [km a vehicle and year], `power` [kW] and
    `filter`. Every row stands in `emissions` or `gaps`,
    species by species. Raises LayoutError when a needed column is missing.
    """
    chosen = options or Options()
    rows = as_activities(activities, _NUMBERS, ("stage", "filter"))
    faulty = _faults(rows)
    sound = rows.join(faulty, on="_row", how="anti")
    found = pl.concat([_road(sound.filter(pl.col("sector") == "road"), chosen), _others(sound, chosen)])
    emitted_, mismatched = _tonnes(found, sound)
    missing = (
        sound.join(pl.DataFrame({"species": SPECIES}), how="cross")
        .join(emitted_.select("_row", "species"), on=["_row", "species"], how="anti")
        .join(mismatched.select("_row", bad=pl.lit(True)).unique(), on="_row", how="left")
        .select(
            "_row",
            "species",
            reason=pl.when("bad").then(pl.lit("unit_mismatch")).otherwise(pl.lit("no_factor")),
            detail=pl.format("{} / {} / {} / {}", "fuel", "technology", pl.col("stage").fill_null("?"), "unit"),
        )
    )
    gaps = pl.concat([faulty, missing]).join(rows.select("_row", *_KEPT), on="_row", how="left")
    return Inventory(
        emitted_.sort("_row", "species").select(pl.col(n).cast(t) for n, t in EMISSIONS.items()),
        pl.DataFrame(schema=EMISSIONS),
        gaps.sort("_row", "species").select(pl.col(n).cast(t) for n, t in GAPS.items()),
    )


def _faults(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of which nothing can be computed, with the first reason."""
    known = categories()
    names = (("sector", SECTORS), ("fuel", list(known.fuels)), ("technology", list(known.technologies)))
    strange = pl.any_horizontal(~pl.col(level).is_in(list(held)).fill_null(False) for level, held in names)
    amount = (pl.col("amount").is_finite() & (pl.col("amount") >= 0)).fill_null(False)
    dated = pl.col("year").is_between(_FIRST_YEAR, _LAST_YEAR).fill_null(False)
    stageless = (pl.col("sector") == "road") & pl.col("stage").is_null()
    spelled = pl.col("speed").is_null() | (pl.col("speed").is_finite() & (pl.col("speed") > 0))
    high = pl.col("altitude").is_null() | pl.col("altitude").is_finite()
    borne = pl.all_horizontal(
        pl.col(name).is_null() | (pl.col(name).is_finite() & (pl.col(name) >= 0))
        for name in ("load", "distance", "power")
    )
    reason = (
        pl.when(strange)
        .then(pl.lit("unknown_category"))
        .when(~amount | pl.col("unit").is_null())
        .then(pl.lit("no_amount"))
        .when(~dated)
        .then(pl.lit("no_year"))
        .when(~(spelled & high & borne))
        .then(pl.lit("bad_term"))
        .when(stageless)
        .then(pl.lit("missing_term"))
    )
    told = pl.concat_str(
        pl.col("sector", "fuel", "technology", "amount", "year"), separator=" / ", ignore_nulls=True
    )
    return (
        rows.with_columns(reason=reason, detail=told, species=pl.lit(None, dtype=pl.String))
        .drop_nulls("reason")
        .select("_row", "species", "reason", "detail")
    )


def _road(rows: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Corrected factors of vehicles [g/km], by row and species."""
    default = tables.defaults()
    fallback = default["altitude"] if options.altitude is None else options.altitude
    sixth = pl.col("stage").is_in(["stage6", "stage6a", "stage6b"])
    if options.china6 == "gap":
        rows = rows.filter(~sixth)
    asked = rows.select(
        "_row",
        "fuel",
        "speed",
        "year",
        load=pl.col("load") if options.load == "interpolated" else pl.lit(None, dtype=pl.Float64),
        sixth=sixth,
        **{"class": pl.col("technology")},
        stage=pl.when(sixth).then(pl.lit("stage5")).otherwise("stage"),
        high=pl.coalesce("altitude", pl.lit(fallback)) > default["altitude_threshold"],
        assumed=pl.col("altitude").is_null(),
    )
    # The guide's table of "other fuels" answers where a class has none of its own for gas or LPG.
    lookup = tables.base()
    gases = pl.DataFrame({"fuel": ["other", "other"], "meant": ["natural_gas", "lpg"]})
    borrowed = lookup.join(gases, on="fuel").drop("fuel").rename({"meant": "fuel"}).select(lookup.columns)
    own = ["class", "fuel", "stage", "species"]
    lookup = pl.concat([lookup, borrowed.join(lookup, on=own, how="anti")])
    met = (
        asked.join(lookup, on=["class", "fuel", "stage"])
        .join(tables.corrections(), on=["class", "fuel", "species"], how="left")
        .join(tables.speeds(), on=["fuel", "stage", "species"], how="left")
        .join(tables.sulphurs(), on=["fuel", "stage", "species"], how="left")
        .join(tables.deteriorations(), on=["class", "fuel", "stage", "species"], how="left")
    )
    met = _loaded(met)
    height = pl.when("high").then(pl.col("altitude")).otherwise(1.0).fill_null(1.0)
    met = met.with_columns(
        height=height,
        **{
            name: factor.fill_null(1.0)
            for name, factor in (
                ("pace", _pace()),
                ("weather", _weather(options)),
                ("refined", _refined(options)),
                ("aged", _aged(options)),
            )
        },
    )
    exhaust = _corrected(met)
    if options.vapour == "guide":
        exhaust = fuelled.with_vapour(rows, exhaust)
    held = default["sulphur"] if options.sulphur is None else options.sulphur
    return pl.concat([exhaust, fuelled.by_fuel(rows, exhaust, held)])


def _loaded(met: pl.DataFrame) -> pl.DataFrame:
    """`met` with `laden`, the correction [1] of the row's load, 1 where the guide has none or the row none."""
    keys = ["fuel", "species", "load"]
    known = met.drop_nulls("load").select(keys).unique()
    # The guide has steps; between them a straight line, beyond the last the last (np.interp).
    steps = {
        key: (part["load"].to_numpy(), part["value"].to_numpy())
        for key, part in tables.loads().partition_by("fuel", "species", as_dict=True).items()
    }
    laden = [
        float(np.interp(load, *steps[fuel, species])) if (fuel, species) in steps else 1.0
        for fuel, species, load in known.iter_rows()
    ]
    found = known.with_columns(laden=pl.Series(laden, dtype=pl.Float64))
    return met.join(found, on=keys, how="left").with_columns(pl.col("laden").fill_null(1.0))


def _corrected(met: pl.DataFrame) -> pl.DataFrame:
    """Base factors times their corrections, with what was assumed."""
    default = tables.defaults()
    corrected = pl.col("value") * pl.col("height") * pl.col("pace") * pl.col("weather")
    # HC of gas engines is mostly methane, so that it is no NMVOC: a gap, not a number that is far too high.
    gaseous = (pl.col("species") == "hc") & pl.col("fuel").is_in(["natural_gas", "lpg"])
    share = pl.when(pl.col("species") == "hc").then(default["hc_nmvoc"]).otherwise(1.0)
    uncorrected = pl.col("high") & pl.col("altitude").is_null()
    loose = pl.col("sixth") | uncorrected
    return met.filter(~gaseous).select(
        "_row",
        species=pl.col("species").replace({"hc": "nmvoc"}),
        value=corrected * pl.col("refined") * pl.col("aged") * pl.col("laden") * share,
        factor_unit="unit",
        factor_id=pl.format("road.{}.{}.{}.{}", "class", "fuel", "stage", "species"),
        method=pl.when(loose).then(pl.lit("factor_default")).otherwise(pl.lit("factor_technology")),
        equation=pl.lit("vehicle_distance"),
        note=pl.concat_str(
            pl.format(
                "altitude x{}, speed x{}, weather x{}, sulphur x{}, deterioration x{}, load x{}",
                *("height", "pace", "weather", "refined", "aged", pl.col("laden").round(4)),
            ),
            pl.when("assumed").then(pl.lit("altitude assumed")),
            pl.when("sixth").then(pl.lit("China 6 by China 5's factor")),
            pl.when(uncorrected).then(pl.lit("no correction of altitude for this fuel")),
            separator="; ",
            ignore_nulls=True,
        ),
    )


def _pace() -> pl.Expr:
    """The correction of the row's class of speed; null without a speed."""
    taken = pl.when(pl.col("speed").is_not_null()).then(pl.col(tables.SPEEDS[0])).otherwise(None)
    for name in tables.SPEEDS[1:]:
        taken = pl.when(pl.col("speed") >= float(name.split("_")[1])).then(pl.col(name)).otherwise(taken)
    return taken


def _refined(options: Options) -> pl.Expr:
    """The correction of the fuel's class of sulphur, the lowest class that holds it."""
    held = tables.defaults()["sulphur"] if options.sulphur is None else options.sulphur
    fitting = [name for name in tables.SULPHURS if held <= float(name.split("_")[1])]
    return pl.col(fitting[0] if fitting else tables.SULPHURS[-1])


def _aged(options: Options) -> pl.Expr:
    """The correction of the row's year; the guide's last year answers for later ones, none for earlier."""
    taken = pl.lit(1.0)
    if options.deterioration == "guide":
        for name in tables.YEARS:
            taken = pl.when(pl.col("year") >= int(name.split("_")[1])).then(pl.col(name)).otherwise(taken)
    return taken


def _weather(options: Options) -> pl.Expr:
    """Temperature's correction, and humidity's: above the hot bound the table of both together has its own."""
    default = tables.defaults()
    warmth = options.temperature
    hot = warmth is not None and warmth > default["hot_above"]
    cold = warmth is not None and warmth < default["cold_below"]
    by_warmth = pl.col("hot") if hot else pl.col("cold") if cold else pl.lit(1.0)
    if options.humidity is None:
        return by_warmth
    damp = "damp" if options.humidity > default["humidity_split"] else "dry"
    return by_warmth * pl.col(f"hot_{damp}" if hot else damp)


def _others(rows: pl.DataFrame, options: Options) -> pl.DataFrame:
    """Factors of machines, locomotives and aircraft, by row and species; engines' stages as `options` say."""
    met = rows.select("_row", "sector", "fuel", "stage", "power", "filter", amount_unit="unit").join(
        tables.others(), on=["sector", "fuel"]
    )
    default = tables.defaults()
    work = pl.col("amount_unit") == "kWh"
    # Grams by kilogram of fuel -> by kilowatt-hour: with the fuel that an hour's work takes.
    by_work = default["fuel_by_work"] * scale(f"({tables.default_units()['fuel_by_work']}) * (g/kg)", "g/kWh")
    limit = pl.col("limit") / by_work
    met = _limited(met, options).with_columns(
        held=pl.min_horizontal("value", limit),
        capped=(limit < pl.col("value")).fill_null(False),
        kept=pl.when(_filtered()).then(1.0 - default["filter_removal"]).otherwise(1.0),
    )
    value = pl.col("held") * pl.col("kept")
    return met.select(
        "_row",
        "species",
        value=pl.when(work).then(value * by_work).otherwise(value),
        factor_unit=pl.when(work).then(pl.lit("g/kWh")).otherwise("unit"),
        factor_id=pl.concat_str(
            pl.format("{}.{}.{}", "sector", "fuel", "species"),
            pl.when("capped").then(pl.format("{}", "stage")),
            separator=".",
            ignore_nulls=True,
        ),
        method=pl.lit("factor_default"),
        equation=pl.when(work).then(pl.lit("work")).otherwise(pl.lit("amount_factor")),
        note=pl.concat_str(
            pl.format("certainty {}", "certainty"),
            pl.when(work).then(pl.lit("fuel by work assumed")),
            pl.when("capped").then(pl.format("at the limit of {}: {} g/kWh", "stage", "limit")),
            pl.when(pl.col("kept") < 1).then(pl.lit("particulate filter")),
            separator="; ",
            ignore_nulls=True,
        ),
    )


def _filtered() -> pl.Expr:
    """Whether a particulate filter acts on the row's species."""
    return (pl.col("filter") == "true").fill_null(False) & pl.col("species").is_in(["pm10", "pm2_5"])


def _limited(met: pl.DataFrame, options: Options) -> pl.DataFrame:
    """`met` with `limit` [g/kWh], of diesel engines whose stage and power are known; null elsewhere."""
    if options.machines == "mean":
        return met.with_columns(limit=pl.lit(None, dtype=pl.Float64))
    engines = met.filter(pl.col("sector").is_in(["machinery", "farm_machinery"]) & (pl.col("fuel") == "diesel"))
    found = (
        engines.select("_row", "species", "stage", "power")
        .join(tables.machine_limits(), on=["stage", "species"])
        .filter((pl.col("power") >= pl.col("from_power")) & (pl.col("power") < pl.col("below_power")))
    )
    return met.join(found.select("_row", "species", "limit"), on=["_row", "species"], how="left")


def _tonnes(found: pl.DataFrame, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Emissions, and what has a unit that does not fit its factor."""
    kept = rows.select("_row", *_KEPT, "amount", "unit", "quality")
    met = found.join(kept, on="_row", how="left")
    pairs = met.select("unit", "factor_unit").unique()
    ratio = [_ratio(str(amount), str(factor)) for amount, factor in pairs.iter_rows()]
    met = met.join(pairs.with_columns(ratio=pl.Series(ratio, dtype=pl.Float64)), on=["unit", "factor_unit"])
    sigma = sigmas()
    grade = sigma["amount"]
    spread = pl.struct(
        amount=pl.col("quality").replace_strict(grade, default=grade["E"], return_dtype=pl.Float64),
        factor=pl.col("species").replace_strict(sigma["factor"], return_dtype=pl.Float64),
        method=pl.col("method").replace_strict(sigma["method"], return_dtype=pl.Float64),
        removal=pl.lit(1.0),
    )
    mass = pl.col("amount") * pl.col("value") * pl.col("ratio")
    made = met.drop_nulls("ratio").with_columns(
        emission_t=mass,
        factor="value",
        uncontrolled_t=mass,
        removal=pl.lit(0.0),
        capture=pl.lit(1.0),
        running=pl.lit(1.0),
        removal_id=pl.lit(None, dtype=pl.String),
        sigma=spread,
    )
    return made, met.filter(pl.col("ratio").is_null())


def _ratio(amount: str, factor: str) -> float | None:
    try:
        return emitted(amount, factor)
    except UnitMismatch:
        return None
