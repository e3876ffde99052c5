"""Activities become emissions: by every way that a source allows, the best taken, the others kept beside it."""

from __future__ import annotations

from datetime import date

import polars as pl

from qinglan.emission import controls, methods
from qinglan.emission.categories import NONE, categories
from qinglan.emission.factors import all_factors, sigmas
from qinglan.emission.frames import EMISSIONS, GAPS, METHODS, NUMBERS, Inventory, as_activities
from qinglan.plan.rules import load_book

#: Classes whose sources are stationary, and the sectors of others that are computed by the same ways.
CLASSES = ("power_heat", "industry", "residential")
SECTORS = ("oil_depot", "oil_transport", "filling_station")

_FAULT = pl.Schema({"_row": pl.UInt32, "species": pl.String, "reason": pl.String, "detail": pl.String})
_KEPT = ("source_id", "ledger", "row_key", "activity", "place", "year", "sector", "fuel", "technology")


#: Largest value of a term by its unit, and the last year that is taken for one.
_TOP = {"%": 100.0}
_LAST_YEAR = 2100


def stationary() -> pl.Expr:
    """Whether a row of activities is for :func:`build`; vehicles, dust, farms and fires have their own modules."""
    known = categories()
    own = [name for name in known.sectors if known.class_of(name) in CLASSES or name in SECTORS]
    own.remove("human")  # people are an area source of the residential class
    return pl.col("sector").is_in(own)


def build(activities: pl.DataFrame, *, cems: pl.DataFrame | None = None) -> Inventory:
    """Emissions of stationary activities, by the best method that each allows.

    Parameters
    ----------
    activities : frame of activities (docs/design/0012-ledgers.md); terms as in :data:`frames.NUMBERS` and `TEXTS`
    cems : frame `source_id, species, emission_t` [t], optionally `year` and `valid` [% of hours], where annual
        sums by CEMS stand apart from the ledgers

    Returns
    -------
    Inventory
        Every activity is in `emissions` or in `gaps`, or in both with different species.
        Methods in order: :data:`frames.METHODS`. Raises LayoutError when a needed column is missing.
    """
    spread = as_activities(activities)
    faulty = _faults_of_rows(spread)
    sound = _described(spread.join(faulty, on="_row", how="anti"))
    won, lost, faults = [], [], [faulty]
    for year in sound["year"].unique().sort():
        best, others, gaps = _of_year(sound.filter(pl.col("year") == year), int(year), cems)
        won.append(best)
        lost.append(others)
        faults.append(gaps)
    emissions = pl.concat(won) if won else _empty()
    alternatives = pl.concat(lost) if lost else _empty()
    told = pl.concat(faults)
    idle = spread.join(pl.concat([emissions.select("_row"), faulty.select("_row")]), on="_row", how="anti")
    silent = idle.join(told, on="_row", how="anti").select(
        "_row",
        species=pl.lit(None, dtype=pl.String),
        reason=pl.lit("no_factor"),
        detail=pl.format("{} / {} / {}", "sector", "fuel", "technology"),
    )
    missing = pl.concat([told, silent]).join(
        emissions.select("_row", "species"), on=["_row", "species"], how="anti"
    )
    cut_short = told.filter(pl.col("reason") == "cems_capture")
    gaps = pl.concat([missing, cut_short]).unique(maintain_order=True).sort("_row", "species", "reason")
    return Inventory(
        emissions.sort("_row", "species").select(*EMISSIONS),
        alternatives.sort("_row", "species", "method").select(*EMISSIONS),
        gaps.join(spread.select("_row", *_KEPT), on="_row", how="left", maintain_order="left").select(*GAPS),
    )


def _empty() -> pl.DataFrame:
    return pl.DataFrame(schema={"_row": pl.UInt32, **EMISSIONS})


def _faults_of_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of which nothing can be computed, each with the first reason."""
    known = categories()
    levels = (("sector", known.sectors), ("fuel", known.fuels), ("technology", known.technologies))
    strange = [
        pl.when(~pl.col(level).is_in(list(names)).fill_null(False)).then(
            pl.format("{} {}", pl.lit(level), pl.col(level).fill_null("?"))
        )
        for level, names in levels
    ]
    finite = pl.col("amount").is_finite() & (pl.col("amount") >= 0)
    first = all_factors()["valid_from"].dt.year().min()
    dated = pl.col("year").is_between(pl.lit(first), _LAST_YEAR).fill_null(False)
    bad = [
        pl.when(~(pl.col(name).is_finite() & pl.col(name).is_between(0, _TOP.get(unit, float("inf"))))).then(
            pl.format("{} {}", pl.lit(name), name)
        )
        for name, unit in NUMBERS.items()
    ]
    parts = [
        _fault(
            rows, pl.any_horizontal(e.is_not_null() for e in strange), "unknown_category", pl.coalesce(strange)
        ),
        _fault(rows, ~finite.fill_null(False), "no_amount", pl.col("amount").cast(pl.String).fill_null("?")),
        _fault(rows, ~dated, "no_year", pl.col("year").cast(pl.String).fill_null("?")),
        _fault(rows, pl.any_horizontal(e.is_not_null() for e in bad), "bad_term", pl.coalesce(bad)),
        controls.unknown_controls(rows).select(
            "_row", species=pl.lit(None, dtype=pl.String), reason=pl.lit("unknown_control"), detail="detail"
        ),
    ]
    return pl.concat(parts).cast(_FAULT).unique("_row", keep="first", maintain_order=True)


def _fault(rows: pl.DataFrame, when: pl.Expr, reason: str, detail: pl.Expr) -> pl.DataFrame:
    return rows.filter(when).select(
        "_row", species=pl.lit(None, dtype=pl.String), reason=pl.lit(reason), detail=detail
    )


def _described(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with the kind of level 3, whether a product's factor holds the smoke, and whether it is burnt."""
    known = categories()
    whole = [name for name, entry in known.sectors.items() if entry.get("in_product")]
    kilns = [name for name, entry in known.technologies.items() if entry.get("kiln")]
    fuel = pl.col("kind").is_in(["fuel", "biofuel"])
    return rows.join(known.kinds(), on="fuel", how="left", maintain_order="left").with_columns(
        in_product=pl.col("sector").is_in(whole) & pl.col("technology").is_in(kilns) & fuel,
        stored=pl.col("sector").is_in([name for name, entry in known.sectors.items() if entry.get("stores")]),
    )


def _of_year(
    rows: pl.DataFrame, year: int, cems: pl.DataFrame | None
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Emissions, alternatives and faults of one inventory year, under the factors and the book of its last day."""
    on = date(year, 12, 31)
    book = load_book("tcses144", on)
    steam = pl.when(pl.col("sector") == "power").then(pl.col("capacity") * book.number("power.mw_per_steam"))
    rows = rows.with_columns(unit_capacity=pl.coalesce("unit_capacity", steam))
    factored, faults = methods.by_factor(rows, on)
    found = pl.concat(
        [
            *(factored, methods.of_coal(rows, on, book), methods.of_materials(rows, book, factored)),
            *(methods.slip(rows, book), methods.measured(rows), methods.cooking(rows)),
        ]
    )
    # A coal's default balance stands behind a factor for its very technology, and before one that is borrowed.
    found = _ranked(controls.apply(found, rows))
    best = found.filter(pl.col("place_") == 1).select("_row", "species", "emission_t")
    summed, short = methods.monitored(rows, best, cems, book)
    everything = _ranked(pl.concat([found.drop("place_"), controls.apply(summed, rows)]))
    full = _told(everything, rows)
    first = pl.col("place_") == 1
    return (
        full.filter(first).drop("place_"),
        full.filter(~first).drop("place_"),
        pl.concat([faults, short]).cast(_FAULT),
    )


def _ranked(found: pl.DataFrame) -> pl.DataFrame:
    """Candidates with their place among those of their activity and species; of one method, the first wins."""
    order = pl.col("method").replace_strict({m: i for i, m in enumerate(METHODS)}, return_dtype=pl.Int8)
    placed = found.with_columns(order=order).sort("_row", "species", "order", maintain_order=True)
    return placed.with_columns(place_=pl.int_range(1, pl.len() + 1).over("_row", "species")).drop("order")


def _told(found: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Candidates with what the row says and how sure each input is."""
    sigma = sigmas()
    kept = rows.select("_row", *_KEPT, "amount", "unit", "quality")
    after = pl.col("after")
    device = pl.col("removal_id").fill_null(NONE)
    of_device = pl.when(device.str.contains("@")).then(sigma["removal"]["measured"])
    grade = pl.col("quality").replace_strict(
        sigma["amount"], default=sigma["amount"]["E"], return_dtype=pl.Float64
    )
    spread = pl.struct(
        amount=pl.when(pl.col("method") == "cems").then(1.0).otherwise(grade),
        factor=pl.col("sigma_factor"),
        method=pl.col("method").replace_strict(sigma["method"], return_dtype=pl.Float64),
        removal=pl.when(after | (pl.col("removal") == 0))
        .then(1.0)
        .otherwise(of_device.otherwise(sigma["removal"]["table"])),
    )
    told = found.join(kept, on="_row", how="left", maintain_order="left").with_columns(sigma=spread)
    return told.select("_row", *(pl.col(name).cast(dtype) for name, dtype in EMISSIONS.items()), "place_")
