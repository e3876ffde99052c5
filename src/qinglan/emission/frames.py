"""The frames of the room: activities in, emissions and gaps out (docs/design/0012-ledgers.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from qinglan.core.errors import LayoutError
from qinglan.emission.categories import NONE, SPECIES

#: How a number was come by, best first. The best that a source has is its emission; the others stand beside it.
METHODS = ("cems", "measured", "balance", "factor_technology", "factor_default")

#: Numbers that a ledger's `terms` may give, in the unit that methods expect. Shares are in %, as people write.
NUMBERS = {
    "sulphur": "%",
    "ash": "%",
    "heat_value": "MJ/kg",
    "unit_capacity": "MW",
    "capacity": "t/h",
    "hours": "h",
    "running_rate": "%",
    "so2_removal": "%",
    "nox_removal": "%",
    "dust_removal": "%",
    "voc_removal": "%",
    "capture": "%",
    "voc_content": "%",
    "recovered_t": "t",
    "leaks": "个",
    "repaired": "个",
    "unreachable": "个",
    "tanks": "座",
    "working_loss": "kg/t",
    "standing_loss": "kg/座",
    "ore": "t",
    "ore_sulphur": "%",
    "solid_fuel": "t",
    "fuel_sulphur": "%",
    "flow": "m3/h",
    "fume": "mg/m3",
    "stoves": "1",
    "cems_valid": "%",
    "cems_pm_t": "t",
    **{f"cems_{species}_t": "t" for species in SPECIES},
    **{f"measured_{species}": "kg/t or g/m3" for species in SPECIES},
}
#: Texts that it may give: names of controls.csv (several joined by `+`), what is handled, and yes or no as
#: ``true`` or ``false``.
TEXTS = ("so2_control", "nox_control", "dust_control", "voc_control", "capture_kind", "liquid", "open_pit")
#: Other spellings of the same.
ALIASES = {"pm_control": "dust_control", "pm_removal": "dust_removal", "running": "running_rate"}

_TEXT = (
    "source_id",
    "ledger",
    "row_key",
    "activity",
    "enterprise",
    "name",
    "place",
    "sector",
    "fuel",
    "technology",
)

#: Needed of a frame of activities; what else the contract names is taken when it is there.
REQUIRED = ("source_id", "year", "sector", "fuel", "technology", "amount", "unit")

SIGMA = pl.Struct({"amount": pl.Float64, "factor": pl.Float64, "method": pl.Float64, "removal": pl.Float64})

EMISSIONS: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("source_id", "ledger", "row_key", "activity", "place"), pl.String),
    "year": pl.Int32,
    **dict.fromkeys(("sector", "fuel", "technology", "species"), pl.String),
    "emission_t": pl.Float64,
    "method": pl.String,
    "amount": pl.Float64,
    "unit": pl.String,
    "factor": pl.Float64,
    **dict.fromkeys(("factor_unit", "factor_id"), pl.String),
    **dict.fromkeys(("uncontrolled_t", "removal", "capture", "running"), pl.Float64),
    **dict.fromkeys(("removal_id", "equation"), pl.String),
    "sigma": SIGMA,
    **dict.fromkeys(("quality", "note"), pl.String),
}

GAPS: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("source_id", "ledger", "row_key", "activity", "place"), pl.String),
    "year": pl.Int32,
    **dict.fromkeys(("sector", "fuel", "technology", "species", "reason", "detail"), pl.String),
}

#: Why something could not be computed.
REASONS = {
    "unknown_category": "sector, fuel or technology is not a name of categories.yaml",
    "no_amount": "the amount of the activity is missing, negative or not a number",
    "no_year": "the year of the activity is missing, or before the first factors",
    "bad_term": "a value of the row lies outside what it can be, such as a removal of 998 %",
    "no_factor": "no factor for this sector, fuel and technology",
    "unit_mismatch": "the unit of the amount does not fit the unit of the factor",
    "missing_term": "the method needs a value that the row does not give",
    "unknown_control": "a control device is not a name of controls.csv",
    "cems_capture": "too few valid hours for an annual sum by CEMS; another method was taken",
}


@dataclass(frozen=True, slots=True)
class Inventory:
    """What was built: one row for each source, activity and species; other methods' numbers; what is missing."""

    emissions: pl.DataFrame  #: columns of EMISSIONS
    alternatives: pl.DataFrame  #: the same columns, of the methods that did not win
    gaps: pl.DataFrame  #: columns of GAPS; `species` null when nothing of the activity could be computed


def joined(*parts: Inventory) -> Inventory:
    """One inventory of several that were built of different activities.

    >>> none = pl.DataFrame(schema=EMISSIONS)
    >>> empty = Inventory(none, none, pl.DataFrame(schema=GAPS))
    >>> joined(empty, empty).emissions.height
    0
    """
    frames = ((part.emissions, part.alternatives, part.gaps) for part in parts)
    emissions, alternatives, gaps = (pl.concat(kind) for kind in zip(*frames, strict=True))
    return Inventory(emissions, alternatives, gaps)


def as_activities(
    frame: pl.DataFrame, numbers: Iterable[str] = tuple(NUMBERS), texts: Iterable[str] = TEXTS
) -> pl.DataFrame:
    """Activities with a row number `_row`, every contracted column, and terms spread into columns of their own.

    numbers, texts : names of the terms that the methods of the caller read. Raises LayoutError naming the columns
    that are missing.
    """
    missing = [name for name in REQUIRED if name not in frame.columns]
    if missing:
        raise LayoutError(
            f"activities have no column {', '.join(missing)}.", remedy=f"Needed: {', '.join(REQUIRED)}."
        )
    held = frame.drop("_row", strict=False)
    kind = held.schema.get("terms")
    terms = held["terms"].struct.unnest() if isinstance(kind, pl.Struct) and kind.fields else pl.DataFrame()
    words = [_text(held, name) for name in _TEXT]
    amounts = pl.DataFrame({"amount": held["amount"].cast(pl.Float64, strict=False)})
    year = held["year"].cast(pl.Int32, strict=False)
    quality = _text(held, "quality").fill_null("C").alias("quality")
    spread = [_term(terms, name, pl.Float64, held.height) for name in numbers]
    spread += [_term(terms, name, pl.String, held.height) for name in texts]
    made = pl.DataFrame([*words, amounts["amount"], _text(held, "unit"), year, quality, *spread])
    return made.with_columns(
        pl.col("fuel", "technology").fill_null(NONE), pl.col("activity").fill_null("")
    ).with_row_index("_row")


def _text(frame: pl.DataFrame, name: str) -> pl.Series:
    if name in frame.columns:
        return frame[name].cast(pl.String)
    return pl.Series(name, [None] * frame.height, dtype=pl.String)


def _term(terms: pl.DataFrame, name: str, dtype: type[pl.DataType], height: int) -> pl.Series:
    """A term under its name or another spelling of it; nulls when no row gives it."""
    found = pl.Series(name, [None] * height, dtype=dtype)
    for spelled in (name, *(alias for alias, meant in ALIASES.items() if meant == name)):
        if spelled in terms.columns:
            given = terms[spelled].cast(dtype, strict=False).alias(name)
            found = pl.select(pl.coalesce(found, given)).to_series().alias(name)
    return found
