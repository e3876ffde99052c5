"""Rows of a ledger as activity data: what the inventory reads. One row for each row and activity that applies."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import polars as pl

from qinglan.ledger.check import with_rule_columns
from qinglan.ledger.declare import Activity, Ledger
from qinglan.ledger.expressions import expression
from qinglan.ledger.grammar import STACK
from qinglan.plan.places import load_places

#: The fixed columns; `terms` is a struct of numbers and texts by the names that the ledger's activities give.
COLUMNS: Mapping[str, pl.DataType] = {
    **dict.fromkeys(
        ("source_id", "ledger", "row_key", "activity", "enterprise", "name", "place"), pl.String()
    ),
    "year": pl.Int64(),
    **dict.fromkeys(("sector", "fuel", "technology"), pl.String()),
    "amount": pl.Float64(),
    "unit": pl.String(),
    "lon": pl.Float64(),
    "lat": pl.Float64(),
    "geometry": pl.String(),
    "stack": pl.Struct(dict.fromkeys(STACK, pl.Float64())),
    "quality": pl.String(),
}  # fmt: skip


def activities(ledger: Ledger, rows: pl.DataFrame, today: date | None = None) -> pl.DataFrame:
    """The ledger's rows as activity data: COLUMNS and `terms` (a struct; absent terms of an activity are null).

    rows : typed, with `_key`; today : what `_today` in rules means (None: it is missing there). A row whose amount
    or year is missing stands with null there: the inventory lists it as a gap.
    """
    frame = with_rule_columns(ledger, rows, today, load_places(), ())
    names = list(dict.fromkeys(name for activity in ledger.activity for name in activity.terms))
    dtypes = {name: _dtype(ledger, frame, name) for name in names}
    parts = [_one(ledger, activity, frame, dtypes) for activity in ledger.activity]
    terms = pl.Struct(dtypes) if dtypes else pl.Struct({"none": pl.String()})
    empty = pl.DataFrame(schema={**COLUMNS, "terms": terms})
    return pl.concat([empty, *parts])


def _dtype(ledger: Ledger, frame: pl.DataFrame, name: str) -> pl.DataType:
    """Numbers where every activity gives a number, texts otherwise."""
    given = [a.terms[name] for a in ledger.activity if name in a.terms]
    kinds = [frame.clear().select(expression(text).alias("_")).schema["_"] for text in given]
    return pl.Float64() if all(kind.is_numeric() for kind in kinds) else pl.String()


def _one(
    ledger: Ledger, activity: Activity, frame: pl.DataFrame, terms: Mapping[str, pl.DataType]
) -> pl.DataFrame:
    applies = frame.select("_key", _applies=expression(activity.where))["_applies"].fill_null(False)
    chosen = frame.filter(applies)

    def column(name: str) -> pl.Expr:
        return pl.col(name).cast(pl.String) if name else pl.lit(None, pl.String)

    def part(rules: Mapping[str, str], dtypes: Mapping[str, pl.DataType]) -> pl.Expr:
        made = [
            (expression(rules[name]) if name in rules else pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in dtypes.items()
        ]
        return pl.struct(made) if made else pl.struct(pl.lit(None, pl.String).alias("none"))

    geometry = ledger.geometry
    made = chosen.select(
        "_key",
        source_id=column(ledger.source) if ledger.source else pl.col("_key"),
        ledger=pl.lit(ledger.id),
        row_key=pl.col("_key"),
        activity=pl.lit(activity.id),
        enterprise=column(ledger.enterprise),
        name=column(ledger.label),
        place=column(ledger.place),
        year=expression(activity.year).cast(pl.Int64),
        sector=expression(activity.sector).cast(pl.String),
        fuel=expression(activity.fuel).cast(pl.String),
        technology=expression(activity.technology).cast(pl.String),
        amount=expression(activity.amount).cast(pl.Float64),
        unit=pl.lit(activity.unit),
        lon=pl.col(geometry["lon"]) if "lon" in geometry else pl.lit(None, pl.Float64),
        lat=pl.col(geometry["lat"]) if "lat" in geometry else pl.lit(None, pl.Float64),
        geometry=column(geometry.get("wkt", "")),
        stack=part(activity.stack, dict.fromkeys(STACK, pl.Float64())),
        quality=expression(activity.quality).cast(pl.String) if activity.quality else pl.lit(None, pl.String),
        terms=part(activity.terms, terms),
    )
    return made.select(*COLUMNS, "terms")
