"""The ways in which a stationary activity becomes tonnes: by factor, by what is in it, by measurement.

Each way returns *candidates*, one row for an activity's species: `_row, species, method, uncontrolled_t, factor,
factor_unit, factor_id, equation, sigma_factor, after, note`, in tonnes before control. `after` says that the
number was got behind the devices already.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from qinglan.core.rulebook import RuleBook
from qinglan.emission import equations
from qinglan.emission.categories import SPECIES
from qinglan.emission.factors import climb, coal_parameters, factors_on, heating_values, sigmas
from qinglan.emission.frames import NUMBERS, TEXTS
from qinglan.emission.units import UnitMismatch, emitted, scale

CANDIDATES = {
    "_row": pl.UInt32,
    **dict.fromkeys(("species", "method"), pl.String),
    **dict.fromkeys(("uncontrolled_t", "factor"), pl.Float64),
    **dict.fromkeys(("factor_unit", "factor_id", "equation"), pl.String),
    "sigma_factor": pl.Float64,
    "after": pl.Boolean,
    "note": pl.String,
}

#: Fuels whose SO2 and dust follow from their sulphur and ash.
COALS = ("coal", "anthracite", "briquette", "gangue", "coke")
#: Of fuel that is burnt in a kiln with its product, only these are counted; the rest is in the product's factor.
GREENHOUSE = ("co2", "ch4")


def candidates(frame: pl.DataFrame, **columns: pl.Expr | str | float | bool | None) -> pl.DataFrame:
    """A frame of candidates from columns of `frame` and expressions or constants; the rest null, `after` false."""
    given = {name: value if isinstance(value, pl.Expr) else pl.lit(value) for name, value in columns.items()}
    held = {name: pl.col(name) if name in frame.columns else pl.lit(None) for name in CANDIDATES}
    made = {**held, "after": pl.lit(False), **given}
    return frame.select(made[name].cast(dtype).alias(name) for name, dtype in CANDIDATES.items())


def by_factor(activities: pl.DataFrame, on: date) -> tuple[pl.DataFrame, pl.DataFrame]:
    """E0 = A EF with the factor that is closest (:func:`qinglan.emission.factors.climb`); candidates and faults.

    A factor told for an hour is multiplied by the row's hours, one told for energy by the row's heating value or
    the fuel's own. Faults are `_row, species, reason, detail`: units do not fit, or hours are missing.
    """
    asked = activities.select("_row", "sector", "fuel", "technology", *NUMBERS, *TEXTS)
    table = factors_on(on).rename({"id": "factor_id", "value": "factor", "unit": "factor_unit"})
    own = activities.select(
        "_row", "fuel", "technology", "amount", "unit", "hours", "heat_value", "in_product", "stored"
    )
    rows = climb(asked, table, "species", fuel=True).join(own, on="_row")
    rows = rows.filter(~pl.col("in_product") | pl.col("species").is_in(GREENHOUSE))
    rows = rows.filter(~pl.col("stored") | ~pl.col("species").is_in(GREENHOUSE))
    rows = rows.join(_scales(rows), on=["unit", "factor_unit"], how="left")
    rows = rows.join(heating_values(), on="fuel", how="left")
    heat = pl.coalesce(pl.col("heat_value"), pl.col("heat"))
    by = (
        pl.when(pl.col("needs") == "hours").then("hours").when(pl.col("needs") == "heat").then(heat).otherwise(1.0)
    )
    rows = rows.with_columns(by=by)
    faults = rows.filter(pl.col("scale").is_null() | pl.col("by").is_null()).select(
        "_row",
        "species",
        reason=pl.when(pl.col("scale").is_null()).then(pl.lit("unit_mismatch")).otherwise(pl.lit("missing_term")),
        detail=pl.when(pl.col("scale").is_null())
        .then(pl.format("{} with {} of {}", pl.col("unit").fill_null("?"), "factor_unit", "factor_id"))
        .otherwise(pl.format("{} of {}", "needs", "factor_id")),
    )
    made = candidates(
        rows.filter(pl.col("scale").is_not_null() & pl.col("by").is_not_null()),
        method=pl.when("exact").then(pl.lit("factor_technology")).otherwise(pl.lit("factor_default")),
        uncontrolled_t=equations.by_factor(pl.col("amount"), pl.col("factor"), pl.col("scale")) * pl.col("by"),
        equation=pl.when(pl.col("needs") == "hours").then(pl.lit("components")).otherwise(pl.lit("by_factor")),
        sigma_factor=pl.col("sigma"),
        note=pl.when(pl.col("certainty").is_in(["low", "medium-low"])).then("source"),
    )
    return made, faults


def _scales(rows: pl.DataFrame) -> pl.DataFrame:
    """unit, factor_unit, scale to tonnes, and what else is needed ("", hours, heat) of pairs that fit."""
    found = []
    for unit, factor_unit in rows.select("unit", "factor_unit").unique().drop_nulls().iter_rows():
        for needs, more in (("", ""), ("hours", " * h"), ("heat", " * MJ/kg"), ("heat", " * MJ/m3")):
            try:
                found.append((unit, factor_unit, emitted(unit, factor_unit + more), needs))
            except UnitMismatch:
                continue
            break
    head = {"unit": pl.String, "factor_unit": pl.String, "scale": pl.Float64, "needs": pl.String}
    return pl.DataFrame(found, schema=head, orient="row")


def of_coal(activities: pl.DataFrame, on: date, book: RuleBook) -> pl.DataFrame:
    """SO2 from the sulphur of coal, dust and its carbon from the ash (T/CSES 144-2024 tables C.1 to C.3).

    With the row's own analysis this is a balance; with the default sulphur or ash a default factor.
    """
    coal = activities.filter(pl.col("fuel").is_in(COALS) & ~pl.col("in_product"))
    met = climb(coal.select("_row", "sector", "technology"), coal_parameters(on), "quantity", fuel=False)
    wide = met.pivot("quantity", index="_row", values="value", aggregate_function="first")
    usual = {name: _usual(on, name) for name in ("sulphur", "ash")}
    lacking = [
        n for n in ("sulphur_retained", "ash_to_bottom", "pm2_5", "pm10", "bc", "oc") if n not in wide.columns
    ]
    rows = (
        wide.drop("sulphur", "ash", strict=False)
        .with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in lacking)
        .join(coal.select("_row", "sector", "technology", "amount", "unit", "sulphur", "ash"), on="_row")
        .join(_scales(coal.with_columns(factor_unit=pl.lit("kg/t"))).drop("needs"), on="unit")
    )
    so2 = equations.so2_factor(
        pl.col("sulphur").fill_null(usual["sulphur"]), pl.col("sulphur_retained"), book.number("so2.per_sulphur")
    )
    made = [_coal(rows, "so2", so2, "sulphur", "so2_factor")]
    ash = pl.col("ash").fill_null(usual["ash"])
    sizes = {size: equations.pm_factor(ash, pl.col("ash_to_bottom"), pl.col(size)) for size in ("pm2_5", "pm10")}
    made += [_coal(rows, size, factor, "ash", "pm_factor") for size, factor in sizes.items()]
    for part in ("bc", "oc"):
        made.append(
            _coal(rows, part, equations.carbon_factor(sizes["pm2_5"], pl.col(part)), "ash", "carbon_factor")
        )
    return pl.concat(made)


def _usual(on: date, quantity: str) -> float:
    """The sulphur or ash [%] that stands in where no analysis is given."""
    return float(coal_parameters(on).filter(quantity=quantity)["value"][0])


def _coal(rows: pl.DataFrame, species: str, factor: pl.Expr, analysed: str, equation: str) -> pl.DataFrame:
    """Candidates of one species from a factor [kg/t] made of an analysed quantity."""
    told = pl.col(analysed).is_not_null()
    sigma = sigmas()["factor"]
    return candidates(
        rows.with_columns(factor=factor).filter(pl.col("factor").is_not_null()),
        species=species,
        method=pl.when(told).then(pl.lit("balance")).otherwise(pl.lit("factor_default")),
        uncontrolled_t=equations.by_factor(pl.col("amount"), pl.col("factor"), pl.col("scale")),
        factor_unit="kg/t",
        factor_id=pl.when(told)
        .then(pl.format("coal.{}.{}.{}", "sector", "technology", pl.lit(species)))
        .otherwise(pl.format("coal.default.{}", pl.lit(species))),
        equation=equation,
        # An analysis leaves the share that goes to the ash; the default stands for every coal of the country.
        sigma_factor=pl.when(told).then(1.0 + (sigma[species] - 1.0) / 2).otherwise(sigma[species] * 1.2),
        note=pl.when(~told).then(pl.lit(f"{analysed} of the coal not told: default")),
    )


def of_materials(activities: pl.DataFrame, book: RuleBook, factored: pl.DataFrame) -> pl.DataFrame:
    """Balances of VOC in solvents, of sulphur in sinter, losses of tanks, flares and found leaks.

    factored : candidates by factor. Of sealing points that LDAR could not reach, each leaks as the factor has it
    (eq. 16), beside the leaks that were found (eq. 15).
    """
    content = pl.col("voc_content") * scale("%", "kg/t")
    solvent = activities.filter((pl.col("kind") == "solvent") & pl.col("voc_content").is_not_null())
    sinter = activities.filter((pl.col("fuel") == "sinter") & pl.all_horizontal(pl.col(*_SINTER).is_not_null()))
    tanks = activities.filter((pl.col("fuel") == "tank") & pl.all_horizontal(pl.col(*_TANKS).is_not_null()))
    flares = activities.filter(pl.col("fuel") == "flare")
    leaks = activities.filter(
        (pl.col("fuel") == "sealing_point") & pl.all_horizontal(pl.col(*_LEAKS).is_not_null())
    )
    whole = factored.filter(species="nmvoc").select("_row", whole="uncontrolled_t")
    leaks = leaks.join(whole, on="_row", how="left")
    unreached = pl.when(pl.col("amount") > 0).then(pl.col("whole") * pl.col("unreachable") / pl.col("amount"))
    efficiency = book.number("flare.efficiency") * scale("%", "1")
    leak = book.number("leak.factor")
    ore, sulphur, fuel, in_fuel = (pl.col(name) for name in _SINTER)
    made = [
        _material(
            _in_tonnes(solvent),
            "nmvoc",
            equations.solvent(pl.col("amount_t"), content, pl.col("recovered_t").fill_null(0.0)).clip(0.0),
            ("solvent", "kg/t"),
            factor=content,
        ),
        _material(
            sinter,
            "so2",
            equations.sinter_so2(ore, sulphur, fuel, in_fuel, book.number("sinter.so2_per_sulphur")),
            ("sinter_so2", ""),
        ),
        _material(tanks, "nmvoc", equations.tanks(*(pl.col(name) for name in _TANKS)), ("tanks", "")),
        _material(
            _in_tonnes(flares),
            "nmvoc",
            equations.flare(pl.col("amount_t"), efficiency),
            ("flare", "t/t"),
            factor=pl.lit(1.0 - efficiency),
        ),
        _material(
            leaks,
            "nmvoc",
            equations.leaks(pl.col("leaks"), pl.col("repaired"), leak, pl.col("hours")) + unreached.fill_null(0.0),
            ("leaks", "kg/h/个"),
            factor=pl.lit(leak),
        ),
    ]
    return pl.concat(made)


_SINTER = ("ore", "ore_sulphur", "solid_fuel", "fuel_sulphur")
_TANKS = ("amount", "working_loss", "tanks", "standing_loss")
_LEAKS = ("leaks", "repaired", "hours")


def _in_tonnes(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows whose amount is a mass, with `amount_t`."""
    scales = _scales(rows.with_columns(factor_unit=pl.lit("t/t")))
    return rows.join(scales.filter(needs=""), on="unit").with_columns(amount_t=pl.col("amount") * pl.col("scale"))


def _material(
    rows: pl.DataFrame, species: str, mass: pl.Expr, named: tuple[str, str], factor: pl.Expr | None = None
) -> pl.DataFrame:
    """Candidates of a balance; `named` is the equation and the unit of its factor."""
    equation, unit = named
    return candidates(
        rows,
        species=species,
        method="balance",
        uncontrolled_t=mass,
        factor=factor,
        factor_unit=unit or None,
        factor_id=pl.format("balance.{}@{}", pl.lit(equation), "source_id"),
        equation=equation,
        sigma_factor=1.0,
    )


def slip(activities: pl.DataFrame, book: RuleBook) -> pl.DataFrame:
    """NH3 that slips through the denitration of coal, by the coal; behind the devices (T/CSES 144 table E.1)."""
    coal = activities.filter(pl.col("fuel").is_in(COALS) & pl.col("nox_control").is_not_null())
    # SNCR is asked first: its name holds the other.
    device = pl.coalesce(
        pl.when(pl.col("nox_control").str.contains(name)).then(pl.lit(name)) for name in ("sncr", "scr")
    )
    rows = _in_tonnes(coal.with_columns(device=device).filter(pl.col("device").is_not_null()))
    factor = pl.when(pl.col("device") == "scr").then(book.number("slip.scr")).otherwise(book.number("slip.sncr"))
    return candidates(
        rows,
        species="nh3",
        method="factor_technology",
        uncontrolled_t=equations.by_factor(pl.col("amount_t"), factor, emitted("t", "g/kg")),
        factor=factor,
        factor_unit="g/kg",
        factor_id=pl.format("slip.{}", "device"),
        equation="by_factor",
        sigma_factor=sigmas()["factor"]["nh3"],
        after=True,
    )


def measured(activities: pl.DataFrame) -> pl.DataFrame:
    """Factors measured at the source, behind its devices: kg/t where the amount is a mass, else g/m3."""
    names = [f"measured_{species}" for species in SPECIES]
    long = activities.unpivot(
        names, index=["_row", "source_id", "amount", "unit"], variable_name="species", value_name="factor"
    )
    given = long.filter(pl.col("factor").is_not_null()).with_columns(
        pl.col("species").str.strip_prefix("measured_")
    )
    both = pl.concat([given.with_columns(factor_unit=pl.lit(unit)) for unit in ("kg/t", "g/m3")])
    rows = both.join(_scales(both).filter(needs=""), on=["unit", "factor_unit"])
    return candidates(
        rows,
        method="measured",
        uncontrolled_t=equations.by_factor(pl.col("amount"), pl.col("factor"), pl.col("scale")),
        factor_id=pl.format("measured.{}@{}", "species", "source_id"),
        equation="by_factor",
        sigma_factor=1.0,
        after=True,
    )


def cooking(activities: pl.DataFrame) -> pl.DataFrame:
    """Fume of kitchens, measured behind the filter: concentration [mg/m3] x flow [m3/h] x hours, as fine dust.

    The amount is in stove hours, so that the hours are the amount for each stove. Fume is oil mist: all of it
    counts as PM2.5, which is the project's reading; the guide's kitchen factor was not seen.
    """
    rows = activities.filter((pl.col("fuel") == "meals") & pl.all_horizontal(pl.col(*_FUME).is_not_null()))
    hours = pl.col("amount") / pl.col("stoves")
    mass = equations.cems(pl.col("fume"), pl.col("flow"), hours)
    made = [
        candidates(
            rows.filter(pl.col("stoves") > 0),
            species=species,
            method="measured",
            uncontrolled_t=mass,
            factor=pl.col("fume"),
            factor_unit="mg/m3",
            factor_id=pl.format("fume@{}", "source_id"),
            equation="cems",
            sigma_factor=sigmas()["factor"]["pm2_5"],
            after=True,
        )
        for species in ("pm2_5", "pm10")
    ]
    return pl.concat(made)


_FUME = ("fume", "flow", "stoves")


def monitored(
    activities: pl.DataFrame, best: pl.DataFrame, cems: pl.DataFrame | None, book: RuleBook
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Annual sums by CEMS, shared out over the activities of a source; candidates and faults.

    best : `_row, species, emission_t` of the other methods: a source's sum is shared in their proportion, equally
        where there is none. Monitored dust (`pm`) counts as PM10, and its finer parts keep their proportion to it.
    cems : `source_id, species, emission_t`, optionally `year`, `valid` [%]; or the rows' own ``cems_<species>_t``.
    """
    names = ["cems_pm_t", *(f"cems_{species}_t" for species in SPECIES)]
    terms = activities.unpivot(names, index=["_row", "cems_valid"], variable_name="species", value_name="total")
    own = terms.filter(pl.col("total").is_not_null()).select(
        "_row",
        pl.col("species").str.strip_prefix("cems_").str.strip_suffix("_t"),
        "total",
        valid="cems_valid",
        group=pl.format("row {}", "_row"),
    )
    sums = own if cems is None else pl.concat([own, _of_sources(activities, cems)])
    low = pl.col("valid") < book.number("cems.capture_min")
    faults = sums.filter(low).select(
        "_row",
        "species",
        reason=pl.lit("cems_capture"),
        detail=pl.format("{} % of the hours are valid, 0 where a month is missing", pl.col("valid").round(1)),
    )
    usable = sums.filter(~low.fill_null(False))
    gases = usable.filter(pl.col("species") != "pm").join(best, on=["_row", "species"], how="left")
    whole, n = pl.col("emission_t").sum().over("group", "species"), pl.len().over("group", "species")
    share = pl.when(whole > 0).then(pl.col("emission_t").fill_null(0.0) / whole).otherwise(1.0 / n)
    parts = [gases.select("_row", "species", mass=pl.col("total") * share, note=pl.lit(None, dtype=pl.String))]
    dust = usable.filter(species="pm").drop("species")
    if not dust.is_empty():
        sizes = best.filter(pl.col("species").is_in(["pm10", "pm2_5", "bc", "oc"]))
        met = dust.join(sizes, on="_row")
        pm10 = pl.col("emission_t").filter(pl.col("species") == "pm10").sum().over("group")
        scaled = met.with_columns(mass=pl.col("total") * pl.col("emission_t") / pm10).filter(pm10 > 0)
        parts.append(scaled.select("_row", "species", "mass", note=pl.lit("monitored dust taken as PM10")))
    made = candidates(
        pl.concat(parts).join(activities.select("_row", "source_id"), on="_row"),
        method="cems",
        uncontrolled_t=pl.col("mass"),
        factor_id=pl.format("cems.{}@{}", "species", "source_id"),
        equation="cems",
        sigma_factor=1.0,
        after=True,
    )
    return made, faults


def _of_sources(activities: pl.DataFrame, cems: pl.DataFrame) -> pl.DataFrame:
    """Sums of a frame of sources set beside every activity of the source."""
    keys = ["source_id", *(["year"] if "year" in cems.columns else [])]
    valid = pl.col("valid").cast(pl.Float64) if "valid" in cems.columns else pl.lit(None, dtype=pl.Float64)
    year = [pl.col("year").cast(pl.Int32)] if "year" in cems.columns else []
    held = cems.select("source_id", *year, "species", total=pl.col("emission_t").cast(pl.Float64), valid=valid)
    return (
        activities.select("_row", "source_id", "year")
        .join(held, on=keys)
        .select("_row", "species", "total", "valid", group=pl.format("source {} {}", "source_id", "year"))
    )
