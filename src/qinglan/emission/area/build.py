"""Area sources become emissions: raised dust by its equations, the rest by factors as stationary sources are."""

from __future__ import annotations

import polars as pl

from qinglan.core.errors import LayoutError
from qinglan.emission import controls, methods
from qinglan.emission.area import dust
from qinglan.emission.build import _described, _faults_of_rows, _ranked, _told
from qinglan.emission.build import build as build_by_factor
from qinglan.emission.categories import categories
from qinglan.emission.frames import EMISSIONS, GAPS, NUMBERS, TEXTS, Inventory, as_activities, joined
from qinglan.emission.units import UnitMismatch, emitted

CLASSES = ("agriculture", "dust", "waste", "biomass")
DUST = ("road_dust", "construction_dust", "soil_dust", "stockpile_dust")
#: Terms of dust, beside those of stationary sources; the last five may come from a frame of weather.
TERMS = ("silt_load", "silt_share", "moisture", "speed", "weight", "months", "width", "disturbances")
WEATHER = ("rain_days", "wind", "gust", "rain", "temperature")
_KEPT = ("source_id", "ledger", "row_key", "activity", "place", "year", "sector", "fuel", "technology")


def sectors() -> pl.Expr:
    """Whether a row of activities is for :func:`build`: agriculture, dust, waste, biomass and people."""
    known = categories()
    own = [name for name in known.sectors if known.class_of(name) in CLASSES or name == "human"]
    return pl.col("sector").is_in(own).fill_null(False)


def build(activities: pl.DataFrame, *, weather: pl.DataFrame | None = None, speed: str = "mph") -> Inventory:
    """Emissions of area sources; every activity is in `emissions` or in `gaps`.

    Parameters
    ----------
    activities : frame of activities (docs/design/0012-ledgers.md)
    weather : frame `place` with any of `rain_days` [d a year], `wind` and `gust` [m/s], `rain` [mm a year],
        `temperature` [C]; a row's own term comes first. What neither gives is a gap, never a guess
    speed : reading of the unpaved road's reference speed (:func:`dust.unpaved`)

    Raises LayoutError when a needed column is missing or a place stands twice in `weather`.
    """
    dusty = pl.col("sector").is_in(DUST).fill_null(False)
    return joined(build_by_factor(activities.filter(~dusty)), _of_dust(activities.filter(dusty), weather, speed))


def _of_dust(activities: pl.DataFrame, weather: pl.DataFrame | None, speed: str) -> Inventory:
    numbers = (*NUMBERS, *TERMS, *WEATHER)
    spread = as_activities(activities, numbers, (*TEXTS, "control", "soil", "material"))
    rows = _with_weather(spread, weather).with_columns(
        dust_control=pl.coalesce("dust_control", pl.when(pl.col("control") != "none").then("control"))
    )
    faulty = _faults_of_rows(rows)
    sound = _described(rows.join(faulty, on="_row", how="anti"))
    made, gaps = [pl.DataFrame(schema=methods.CANDIDATES)], [faulty]
    taken = []
    for sector, technology, needs, unit in _forms():
        mine = sound.filter(sector=sector, technology=technology)
        taken.append(mine.select("_row"))
        lacking = pl.concat_str(
            [pl.when(pl.col(n).is_null() | ~_usable(n)).then(pl.lit(n)) for n in needs],
            separator=", ",
            ignore_nulls=True,
        )
        fits = pl.col("unit").is_in([u for u in mine["unit"].drop_nulls().unique() if _fits(u, unit)])
        told = mine.with_columns(lacking=lacking, fits=fits.fill_null(False))
        gaps.append(
            _gap(told.filter(~pl.col("fits")), "unit_mismatch", pl.format("{} with {}", "unit", pl.lit(unit)))
        )
        gaps.append(
            _gap(told.filter(pl.col("fits") & (pl.col("lacking") != "")), "missing_term", pl.col("lacking"))
        )
        ready = told.filter(pl.col("fits") & (pl.col("lacking") == ""))
        made += [_candidate(ready, (sector, technology), size, unit, speed) for size in dust.SIZES]
    known = pl.concat(taken) if taken else sound.select("_row").head(0)
    gaps.append(
        _gap(sound.join(known, on="_row", how="anti"), "no_factor", pl.format("{} / {}", "sector", "technology"))
    )
    found = _told(_ranked(controls.apply(pl.concat(made), sound)), sound)
    told_gaps = pl.concat(gaps).join(rows.select("_row", *_KEPT), on="_row").sort("_row").select(*GAPS)
    return Inventory(found.sort("_row", "species").select(*EMISSIONS), pl.DataFrame(schema=EMISSIONS), told_gaps)


def _usable(name: str) -> pl.Expr:
    """Whether a value lies where its equation holds; where it is too cold the climate's index has no meaning."""
    if name in ("soil", "material"):
        keys = [key.rsplit(".", 1)[1] for key, _ in dust.constants() if key.startswith(_TABLES[name])]
        return pl.col(name).is_in(keys)
    if name == "temperature":
        return pl.col(name) > dust.forms()["climate"]["coldest"]
    if name == "rain_days":
        return pl.col(name).is_between(0, 365)
    return pl.col(name) > 0


_TABLES = {"soil": "soil.erodibility.", "material": "erosion.threshold."}


def _fits(unit: str, factor_unit: str) -> bool:
    try:
        emitted(unit, factor_unit)
    except UnitMismatch:
        return False
    return True


def _forms() -> tuple[tuple[str, str, tuple[str, ...], str], ...]:
    """Sector, technology, what the equation needs, unit of its factor."""
    return (
        ("road_dust", "paved", ("silt_load", "weight", "rain_days"), "g/km"),
        ("road_dust", "unpaved", ("silt_share", "speed", "moisture", "rain_days"), "g/km"),
        *(("construction_dust", kind, ("months",), "t/m2") for kind in ("housing", "demolition", "road_building")),
        ("soil_dust", "wind_erosion", ("soil", "width", "wind", "rain", "temperature"), "t/ha"),
        ("stockpile_dust", "handling", ("wind", "moisture"), "kg/t"),
        ("stockpile_dust", "wind_erosion", ("material", "gust", "disturbances"), "g/m2"),
    )


def _candidate(rows: pl.DataFrame, form: tuple[str, str], size: str, unit: str, speed: str) -> pl.DataFrame:
    known = dust.constants()
    sector, technology = form
    dry = 1.0 - pl.col("rain_days") / 365.0
    if sector == "road_dust" and technology == "paved":
        factor = dust.paved(pl.col("silt_load"), pl.col("weight"), known["paved.k", size]) * dry
    elif sector == "road_dust":
        terms = (pl.col("silt_share"), pl.col("speed"), pl.col("moisture"))
        factor = dust.unpaved(*terms, known["unpaved.k", size], speed) * dry
    elif sector == "construction_dust":
        factor = pl.col("months") * known["construction.tsp", ""] * known["construction.part", size]
    elif sector == "soil_dust":
        kept = {key.rsplit(".", 1)[1]: v for (key, _), v in known.items() if key.startswith(_TABLES["soil"])}
        erodible = pl.col("soil").replace_strict(kept, default=None, return_dtype=pl.Float64)
        climate = dust.climate(pl.col("wind"), pl.col("rain"), pl.col("temperature"))
        factor = dust.soil(erodible, pl.col("width"), climate, known["soil.k", size])
    elif technology == "handling":
        factor = dust.handling(pl.col("wind"), pl.col("moisture"), known["handling.k", size])
    else:
        kept = {key.rsplit(".", 1)[1]: v for (key, _), v in known.items() if key.startswith(_TABLES["material"])}
        threshold = pl.col("material").replace_strict(kept, default=None, return_dtype=pl.Float64)
        once = dust.erosion(pl.col("gust"), threshold, known["erosion.roughness", ""], known["erosion.k", size])
        factor = once * pl.col("disturbances")
    scales = {u: emitted(u, unit) for u in rows["unit"].drop_nulls().unique()}
    mass = pl.col("amount") * factor * pl.col("unit").replace_strict(scales, default=None, return_dtype=pl.Float64)
    return methods.candidates(
        rows,
        species=size,
        method="factor_technology",
        uncontrolled_t=mass,
        factor=factor,
        factor_unit=unit,
        factor_id=f"dust.{sector}.{technology}.{size}",
        equation=f"{sector}.{technology}",
        sigma_factor=dust.forms()["sigma"]["value"],
    )


def _gap(rows: pl.DataFrame, reason: str, detail: pl.Expr) -> pl.DataFrame:
    return rows.select("_row", species=pl.lit(None, dtype=pl.String), reason=pl.lit(reason), detail=detail)


def _with_weather(rows: pl.DataFrame, weather: pl.DataFrame | None) -> pl.DataFrame:
    """Rows with what they do not say of the weather taken from their place."""
    if weather is None:
        return rows
    if "place" not in weather.columns or weather["place"].is_duplicated().any():
        raise LayoutError("weather has no column place, or a place twice.", remedy="Give one row for each place.")
    given = [name for name in WEATHER if name in weather.columns]
    there = weather.select("place", *(pl.col(name).cast(pl.Float64).alias(f"{name}_there") for name in given))
    met = rows.join(there, on="place", how="left", maintain_order="left")
    filled = met.with_columns(pl.coalesce(name, f"{name}_there").alias(name) for name in given)
    return filled.drop([f"{name}_there" for name in given])
