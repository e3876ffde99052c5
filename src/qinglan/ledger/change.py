"""What a file would change: rows by identity, cells by value. What a file leaves out it does not withdraw."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from qinglan.ledger.declare import Ledger

ADDED, CHANGED, SAME = "added", "changed", "same"
#: Numbers are the same within this share: what a workbook writes and reads again is the same.
_PRECISION = 1e-12


def difference(
    ledger: Ledger, existing: pl.DataFrame, rows: pl.DataFrame, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """For each row: `_key`, `kind` (added, changed, same), `columns` that differ, in the declaration's order.

    existing, rows : typed frames with `_key`; columns : those that the file has (default: those of `rows`); the
    others are not compared
    """
    compared = [c for c in (columns or rows.columns) if c in ledger.schema and c in rows.columns]
    before = existing.select("_key", pl.lit(True).alias("_there"), *(c for c in compared if c in existing.columns))
    both = rows.select("_key", *compared).join(
        before.unique("_key", keep="any"), on="_key", how="left", suffix="_before", maintain_order="left"
    )
    flags = [
        pl.when(_differs(c, ledger.schema[c], f"{c}_before" if f"{c}_before" in both.columns else None)).then(
            pl.lit(c)
        )
        for c in compared
    ]
    changed = pl.concat_list(flags).list.drop_nulls() if flags else pl.lit([], dtype=pl.List(pl.String))
    found = both.select("_key", "_there", changed.alias("columns"))
    there = pl.col("_there").fill_null(False)
    kind = (
        pl.when(~there)
        .then(pl.lit(ADDED))
        .when(pl.col("columns").list.len() > 0)
        .then(pl.lit(CHANGED))
        .otherwise(pl.lit(SAME))
    )
    listed = pl.when(there).then(pl.col("columns")).otherwise(pl.lit([], dtype=pl.List(pl.String)))
    return found.select("_key", kind.alias("kind"), listed.alias("columns"))


def _differs(column: str, dtype: pl.DataType, before: str | None) -> pl.Expr:
    now = pl.col(column)
    if before is None:
        return now.is_not_null()
    was = pl.col(before)
    if dtype == pl.Float64:
        near = (now - was).abs() <= _PRECISION * pl.max_horizontal(now.abs(), was.abs())
        return ~(near.fill_null(False) | (now.is_null() & was.is_null()))
    return now.ne_missing(was)


def missing_keys(existing: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
    """Keys of existing rows that a file does not have: what withdrawing the missing would withdraw."""
    return existing.join(rows.select("_key"), on="_key", how="anti", maintain_order="left")["_key"]
