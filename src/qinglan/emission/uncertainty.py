"""How sure the tonnes are: Monte Carlo with shared errors, error propagation beside it, and what weighs most.

Every emission is a product, E = A x F x M x (1 - kept), of inputs that each err by a factor: lognormal with the
mean that was stated and a geometric standard deviation. Rows that use the same factor share its error, so that a
thousand boilers with one factor are as unsure as the factor; so do rows with the same device from the table, and
the species of one activity share its amount. What passes a device (1 - kept) cannot exceed 1: its error is cut.

Source: IPCC 2006 vol. 1 ch. 3 (approach 1: error propagation, approach 2: Monte Carlo); T/CSES 144-2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
import polars as pl
from numpy.typing import NDArray

from qinglan.core.errors import UsageError

Vector = NDArray[np.float64]
Index = NDArray[np.int64]

#: Inputs of an emission in the order in which a row's errors are multiplied.
INPUTS = ("amount", "factor", "method", "removal")
#: Half of a 95 % interval in standard deviations.
Z95 = 1.959963984540054
#: Draws made at one time: bounds the memory to block x inputs.
BLOCK = 50
#: Totals (draws x groups) held at one time; more groups are drawn one lot after another.
TOTALS = 10_000_000


@dataclass(frozen=True, slots=True)
class Inputs:
    """Emissions as products of named errors.

    base : tonnes of each row, shape (rows,). keys : number of each row's error by input, shape (rows, 4).
    sigma : geometric standard deviation of each error, shape (errors,). ceiling : largest value that an error may
    take (inf but for what passes a device). names, inputs : what each error is.
    """

    base: Vector
    keys: Index
    sigma: Vector
    ceiling: Vector
    names: tuple[str, ...]
    inputs: tuple[str, ...]


def inputs(emissions: pl.DataFrame) -> Inputs:
    """Errors of a frame of emissions (frames.EMISSIONS): which rows share which.

    amount : of one activity of a source, for all its species. factor : by `factor_id`. method : of one activity
    and species. removal : by `removal_id`, apart for gases and for dust. Of rows that share an error the largest
    sigma counts.
    """
    activity = pl.concat_str(["source_id", "ledger", "row_key", "activity"], separator="/", ignore_nulls=True)
    dust = pl.col("species").is_in(["pm10", "pm2_5", "bc", "oc"])
    kind = pl.when(dust).then(pl.lit("dust")).otherwise(pl.col("species"))
    device = pl.when(pl.col("removal").fill_null(0.0) > 0).then(
        pl.concat_str(["removal_id", kind], separator=" of ")
    )
    named = emissions.with_columns(
        amount_key=pl.concat_str(activity, pl.col("year"), separator=" of "),
        factor_key=pl.col("factor_id"),
        method_key=pl.concat_str(activity, "species", separator=" "),
        removal_key=device,
    )
    kept = pl.col("removal") * pl.col("running") * pl.col("capture")
    passed = emissions.select((1.0 - kept.fill_null(0.0)).clip(1e-12)).to_series().to_numpy()
    sigma, ceiling, names, kinds = [1.0], [np.inf], [""], [""]
    columns = []
    for name in INPUTS:
        keyed = named.select(key=f"{name}_key", sigma=pl.col("sigma").struct.field(name), passed=pl.Series(passed))
        found = (
            keyed.drop_nulls("key")
            .group_by("key", maintain_order=True)
            .agg(pl.col("sigma").max(), top=(1.0 / pl.col("passed")).min())
        )
        numbered = found.with_columns(number=pl.int_range(pl.len()) + len(sigma))
        columns.append(keyed.join(numbered, on="key", how="left", maintain_order="left")["number"].fill_null(0))
        sigma += numbered["sigma"].fill_null(1.0).to_list()
        ceiling += numbered["top"].to_list() if name == "removal" else [np.inf] * numbered.height
        names += numbered["key"].to_list()
        kinds += [name] * numbered.height
    keys = np.column_stack([column.to_numpy() for column in columns]).astype(np.int64)
    base = emissions["emission_t"].to_numpy().astype(np.float64)
    return Inputs(base, keys, np.array(sigma), np.array(ceiling), tuple(names), tuple(kinds))


def draw(made: Inputs, groups: Index, draws: int, rng: np.random.Generator) -> Vector:
    """Totals of each draw and group [t], shape (draws, groups), by Monte Carlo.

    groups : number of the group of each row, shape (rows,), -1 for none. Memory is bounded by BLOCK x errors.
    Raises UsageError for fewer than two draws.
    """
    if draws < 2:
        raise UsageError(f"{draws} draw(s) say nothing of a spread.", remedy="Ask for some hundreds.")
    totals = np.zeros((draws, int(groups.max(initial=-1)) + 1))
    spread = np.log(made.sigma)
    for start in range(0, draws, BLOCK):
        block = totals[start : start + BLOCK]
        _accumulate(made.base, made.keys, _errors(spread, made.ceiling, len(block), rng), groups, block)
    return totals


def _errors(spread: Vector, ceiling: Vector, draws: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Lognormal errors of mean 1, shape (draws, errors); those above their ceiling are drawn again.

    Single precision: an error of a factor needs no more than seven digits, and drawing is what takes the time.
    """
    narrow = spread.astype(np.float32)
    made = rng.standard_normal((draws, narrow.size), dtype=np.float32)
    made *= narrow
    made -= narrow**2 / 2
    np.exp(made, out=made)
    bounded = np.flatnonzero(np.isfinite(ceiling))
    for _ in range(100):
        rows, columns = np.nonzero(made[:, bounded] > ceiling[bounded])
        if not rows.size:
            return made
        s = narrow[bounded[columns]]
        made[rows, bounded[columns]] = np.exp(rng.standard_normal(rows.size, dtype=np.float32) * s - s**2 / 2)
    made[:, bounded] = np.minimum(made[:, bounded], ceiling[bounded])
    return made


@numba.njit(cache=True)
def _accumulate(base, keys, errors, groups, totals):  # type: ignore[no-untyped-def]
    for d in range(errors.shape[0]):
        for r in range(base.size):
            if groups[r] >= 0:
                value = base[r]
                for k in range(keys.shape[1]):
                    value *= errors[d, keys[r, k]]
                totals[d, groups[r]] += value


def contributions(made: Inputs, rows: NDArray[np.bool_]) -> pl.DataFrame:
    """What each error adds to the variance of the rows' total, largest first.

    Returns `input, name, mass_t, variance, share` (of the summed variances). It is the first-order index of a sum
    of products of independent errors of mean 1, in closed form:
    Var(E[T | error]) = (tonnes of the rows that hold it)^2 x (exp(ln(sigma)^2) - 1).
    Source: Saltelli et al. 2010, first-order index (doi:10.1016/j.cpc.2009.09.018), worked out for this model.
    """
    return _parts(made, np.where(rows, 0, -1)).drop("group")


def _parts(made: Inputs, groups: Index) -> pl.DataFrame:
    """Contributions of every group at once: `group` and the columns of :func:`contributions`, largest first."""
    held = pl.concat(
        pl.DataFrame({"group": groups, "error": column, "mass_t": made.base}).filter(
            (pl.col("group") >= 0) & (pl.col("error") > 0)
        )
        for column in made.keys.T
    )
    errors = pl.DataFrame({"input": made.inputs, "name": made.names, "cv2": np.expm1(np.log(made.sigma) ** 2)})
    summed = held.group_by("group", "error").agg(pl.col("mass_t").sum())
    named = summed.join(errors.with_row_index("error").cast({"error": pl.Int64}), on="error")
    weighed = named.with_columns(variance=pl.col("mass_t") ** 2 * pl.col("cv2")).filter(pl.col("variance") > 0)
    share = pl.col("variance") / pl.col("variance").sum().over("group")
    ranked = weighed.sort("group", "variance", "error", descending=[False, True, False])
    return ranked.with_columns(share=share).select("group", "input", "name", "mass_t", "variance", "share")


def propagated(made: Inputs, rows: NDArray[np.bool_]) -> float:
    """Standard deviation of the rows' total [t] by error propagation: root of the summed first-order variances.

    Shared errors are counted as shared; IPCC 2006 vol. 1 ch. 3 approach 1 is the case where nothing is.
    """
    return float(np.sqrt(contributions(made, rows)["variance"].to_numpy().sum()))


def uncertainty(
    emissions: pl.DataFrame, by: Sequence[str], *, rng: np.random.Generator, draws: int = 1000
) -> pl.DataFrame:
    """Spread of totals: columns of `by`, `emission_t, mean, sd, low, high, low_percent, high_percent,
    propagated_percent, main_input, main_name, main_share`.

    Parameters
    ----------
    emissions : frame of emissions
    by : columns of it, such as ``["species"]`` or ``["species", "sector"]``
    rng : source of chance; the same seed gives the same numbers

    Returns
    -------
    One row for each group, sorted. `low` and `high` are the 2.5th and 97.5th percentiles [t], in percent against
    the stated total; `propagated_percent` is half of the 95 % interval by error propagation.
    """
    numbered = emissions.select(*by).with_columns(group=pl.struct(*by).rank("dense").cast(pl.Int64) - 1)
    groups = numbered["group"].to_numpy()
    made = inputs(emissions)
    drawn = _drawn(made, groups, draws, rng)
    first = pl.col("input", "name", "share").first().name.prefix("main_")
    parts = _parts(made, groups).group_by("group", maintain_order=True)
    heaviest = parts.agg(first, propagated=pl.col("variance").sum().sqrt())
    percent = pl.when(pl.col("emission_t") > 0).then(100.0 / pl.col("emission_t"))
    table = drawn.join(heaviest, on="group", how="left", maintain_order="left")
    told = table.with_columns(
        low_percent=(pl.col("low") - pl.col("emission_t")) * percent,
        high_percent=(pl.col("high") - pl.col("emission_t")) * percent,
        propagated_percent=Z95 * pl.col("propagated").fill_null(0.0) * percent,
    ).drop("propagated")
    labels = numbered.unique("group").sort("group")
    return labels.join(told, on="group", maintain_order="left").drop("group")


def _drawn(made: Inputs, groups: Index, draws: int, rng: np.random.Generator) -> pl.DataFrame:
    """group, emission_t, mean, sd, low, high; so many groups at a time that their totals fit in TOTALS."""
    many = int(groups.max(initial=-1)) + 1
    step = max(TOTALS // draws, 1)
    parts = []
    for start in range(0, many, step):
        stop = min(start + step, many)
        rows = (groups >= start) & (groups < stop)
        mine = groups[rows] - start
        held = _only(made, rows)
        totals = draw(held, mine, draws, rng)
        low, high = np.percentile(totals, [2.5, 97.5], axis=0)
        spread = {"sd": totals.std(axis=0, ddof=1), "low": low, "high": high}
        stated = np.bincount(mine, weights=held.base, minlength=stop - start)
        middle = {"emission_t": stated, "mean": totals.mean(axis=0)}
        parts.append(pl.DataFrame({"group": np.arange(start, stop), **middle, **spread}))
    head = ("group", "emission_t", "mean", "sd", "low", "high")
    return (
        pl.concat(parts) if parts else pl.DataFrame(schema={**dict.fromkeys(head, pl.Float64), "group": pl.Int64})
    )


def _only(made: Inputs, rows: NDArray[np.bool_]) -> Inputs:
    """The inputs of some rows, with the errors that these hold (the first, which is no error, always)."""
    used, keys = np.unique(np.append(made.keys[rows].ravel(), 0), return_inverse=True)
    return Inputs(
        made.base[rows],
        keys[:-1].reshape(-1, made.keys.shape[1]).astype(np.int64),
        made.sigma[used],
        made.ceiling[used],
        tuple(made.names[i] for i in used),
        tuple(made.inputs[i] for i in used),
    )
