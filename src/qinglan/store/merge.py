"""What happens when new rows meet the old ones of a partition. Pure: frames in, frames out.

A key that is new is *inserted*. A row that says nothing new is *unchanged*: an empty cell says nothing, unless
the load replaces. A row that only fills empty cells is *filled*; one that changes a value *supersedes*. The old
row of the last two is kept, with its own load, so that every number can be followed back.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from qinglan.core.tables import Dataset

INSERTED, UNCHANGED, SUPERSEDED, FILLED = "inserted", "unchanged", "superseded", "filled"
OUTCOMES = (INSERTED, UNCHANGED, SUPERSEDED, FILLED)

#: Optional column of a write: a number (of the source file) by which outcomes are counted.
SOURCE = "_source"
_OUTCOME, _OLD, _ORDER = "_outcome", "_old_", "_order"


@dataclass(frozen=True, slots=True)
class Merged:
    """rows : the whole partition, sorted by key. old : rows that were replaced, with `cause`.
    outcomes : (_source, _outcome, len)."""

    rows: pl.DataFrame
    old: pl.DataFrame
    outcomes: pl.DataFrame

    @property
    def changed(self) -> bool:
        """Whether the partition must be written."""
        return bool(self.outcomes.filter(pl.col(_OUTCOME) != UNCHANGED).height)


def merge(old: pl.DataFrame, new: pl.DataFrame, contract: Dataset, *, replace: bool = False) -> Merged:
    """Merge `new` (contract columns and `_source`) into `old` (contract columns).

    A key that comes several times in `new` is merged in the order given, as if each came in its own load.
    """
    keys = list(contract.key)
    turns = new.with_columns(pl.int_range(pl.len()).over(keys).alias(_ORDER)) if _repeats(new, keys) else None
    if turns is None:
        rows, gone, outcomes = _merge_once(old, new, contract, replace)
        return Merged(rows.sort(keys), gone, outcomes)
    rows, gone_all, outcomes_all = old, [], []
    for turn in sorted(turns[_ORDER].unique().to_list()):
        part = turns.filter(pl.col(_ORDER) == turn).drop(_ORDER)
        rows, gone, outcomes = _merge_once(rows, part, contract, replace)
        gone_all.append(gone)
        outcomes_all.append(outcomes)
    counted = pl.concat(outcomes_all).group_by(SOURCE, _OUTCOME).agg(pl.col("len").sum())
    return Merged(rows.sort(keys), pl.concat(gone_all), counted)


def changing(old: pl.DataFrame, new: pl.DataFrame, contract: Dataset, *, replace: bool = False) -> pl.Series:
    """For each row of `new`, in its order, whether it alone would change anything in `old`."""
    values = list(contract.values)
    kept_old = old.select(*contract.key, *(pl.col(v).alias(_OLD + v) for v in (*values, "load_id")))
    joined = new.join(kept_old, on=list(contract.key), how="left", maintain_order="left")
    return joined.select((_outcome(values, replace) != UNCHANGED).alias("changing")).to_series()


def _repeats(frame: pl.DataFrame, keys: list[str]) -> bool:
    return frame.select(pl.struct(keys).is_duplicated().any()).item()  # type: ignore[no-any-return]


def _merge_once(
    old: pl.DataFrame, new: pl.DataFrame, contract: Dataset, replace: bool
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    keys, names = list(contract.key), list(contract.names)
    values = list(contract.values)
    if old.is_empty():
        judged = new.with_columns(pl.lit(INSERTED).alias(_OUTCOME))
        return new.select(names), _replaced(old, None, names), _count(judged)
    kept_old = old.select(*keys, *(pl.col(v).alias(_OLD + v) for v in (*values, "load_id")))
    joined = new.join(kept_old, on=keys, how="left", maintain_order="left")
    judged = joined.with_columns(_outcome(values, replace).alias(_OUTCOME))
    touched = judged.filter(pl.col(_OUTCOME).is_in([SUPERSEDED, FILLED]))
    merged = touched if replace else touched.with_columns(pl.coalesce(v, _OLD + v).alias(v) for v in values)
    inserted = judged.filter(pl.col(_OUTCOME) == INSERTED)
    if touched.is_empty():
        staying, gone = old, _replaced(old, None, names)
    else:
        staying = old.join(touched, on=keys, how="anti")
        gone = _replaced(old, touched.select(*keys, _OUTCOME, pl.col("load_id").alias("superseded_by")), names)
    rows = pl.concat([staying.select(names), merged.select(names), inserted.select(names)])
    return rows, gone, _count(judged)


def _outcome(values: list[str], replace: bool) -> pl.Expr:
    changed, filled = [], []
    for value in values:
        now, before = pl.col(value), pl.col(_OLD + value)
        differs = now.ne_missing(before)
        changed.append(before.is_not_null() & differs & (pl.lit(replace) | now.is_not_null()))
        filled.append(before.is_null() & now.is_not_null())
    return (
        pl.when(pl.col(_OLD + "load_id").is_null())
        .then(pl.lit(INSERTED))
        .when(pl.any_horizontal(changed))
        .then(pl.lit(SUPERSEDED))
        .when(pl.any_horizontal(filled))
        .then(pl.lit(FILLED))
        .otherwise(pl.lit(UNCHANGED))
    )


def _replaced(old: pl.DataFrame, touched: pl.DataFrame | None, names: list[str]) -> pl.DataFrame:
    """The old rows of `touched` keys with who replaced them and why."""
    if touched is None:
        empty = old.clear().select(names)
        return empty.with_columns(pl.lit("").alias("superseded_by"), pl.lit("").alias("cause"))
    keys = [k for k in touched.columns if k not in (_OUTCOME, "superseded_by")]
    cause = pl.when(pl.col(_OUTCOME) == FILLED).then(pl.lit("filled")).otherwise(pl.lit("changed")).alias("cause")
    return old.join(touched, on=keys, how="inner").select(*names, "superseded_by", cause)


def _count(judged: pl.DataFrame) -> pl.DataFrame:
    return judged.group_by(SOURCE, _OUTCOME).agg(pl.len().cast(pl.Int64).alias("len"))
