"""The hourly field as its factors: E[species, layer, cell, hour], worked out where it is asked for.

E = sum over groups g of M[g, s, cell] x T[g, hour] x V[g, layer] x S[g, s -> species], with M in tonnes a year. A
group is what shares time, height and split: a sector, or a source with its own monitoring or stack. Memory grows
with M, not with the hours (docs/explanation/inventory-shape.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numba
import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse

from qinglan.core.errors import LayoutError, UnknownName, UsageError
from qinglan.emission.shape import height, species, time
from qinglan.emission.space.grid import Grid
from qinglan.emission.space.spread import Spread

Vector = NDArray[np.float64]
Index = NDArray[np.int64]
_UNIT = ("ledger", "row_key", "activity")
_NEEDED = (*_UNIT, "sector", "species", "emission_t")


@dataclass(frozen=True, slots=True)
class Shape:
    """Choices of time, height and species.

    interfaces : of layers [m above ground], from 0. holidays, holiday_as : as of :func:`time.weights`. splits : as
    of :func:`species.splits`. time_of : profile by sector in place of the content's.
    own_hours : emission of each hour by `source_id` (any unit, NaN where missing), in place of the profile.
    stacks : by `source_id`; with `plume`, their layers come from the rise of the plume, else from the sector.
    """

    interfaces: Sequence[float] = field(default_factory=height.default_layers)
    holidays: frozenset[date] = frozenset()
    holiday_as: int = time.SUNDAY
    splits: species.Splits = field(default_factory=species.splits)
    time_of: Mapping[str, time.Profile] = field(default_factory=dict)
    own_hours: Mapping[str, Vector] = field(default_factory=dict)
    stacks: Mapping[str, height.Stack] = field(default_factory=dict)
    plume: bool = True


@dataclass(frozen=True, slots=True)
class Factored:
    """An inventory year by species, layer, cell and hour, kept as its factors. Made by :func:`factored`.

    rows : emissions in the grid's units, in tonnes a year, with the numbers of their unit, time, height and split.
    unplaced : rows whose unit the spread does not hold; outside_t : tonnes by species beyond the grid.
    filled : hours that the profile filled, by source. faults : parts of PM that would be below zero.
    """

    year: int
    grid: Grid
    interfaces: tuple[float, ...]
    splits: species.Splits
    rows: pl.DataFrame
    unplaced: pl.DataFrame
    outside_t: Mapping[str, float]
    filled: Mapping[str, int]
    faults: pl.DataFrame
    times: Vector  #: share of each hour, shape (times, hours)
    heights: Vector  #: share of each layer, shape (heights, layers)
    shares: Vector  #: of mass, shape (splits x inventory species, species)
    groups: Index  #: numbers of time, height and split of each row of `mass`, shape (rows of mass, 3)
    mass: Any  #: tonnes a year, CSR (groups, cells)
    by_cell: Any  #: the same, CSC
    placed: Any  #: shares of the units, CSC (units, cells)

    @property
    def species(self) -> tuple[str, ...]:
        """Species of the mechanism, in the order of the first axis."""
        return self.splits.names

    @property
    def hours_count(self) -> int:
        """Hours of the year."""
        return int(self.times.shape[1])

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Sizes: species, layers, ny, nx."""
        return len(self.species), self.heights.shape[1], int(self.grid.ny), int(self.grid.nx)

    def hour(self, t: int) -> Vector:
        """Tonnes in one hour, shape (species, layers, ny, nx); UsageError beyond the year."""
        return self._worked(self.times[:, self._hour(t)])

    def hours(self, a: int, b: int) -> Vector:
        """Tonnes in each of the hours a to b - 1, shape (hours, species, layers, ny, nx)."""
        if not 0 <= a <= b <= self.hours_count:
            raise UsageError(f"hours {a} to {b} are not in 0..{self.hours_count} of {self.year}.")
        made = np.empty((b - a, *self.shape))
        for i, t in enumerate(range(a, b)):
            made[i] = self.hour(t)
        return made

    def summed(self, a: int = 0, b: int | None = None) -> Vector:
        """Tonnes over the hours a to b - 1 (the whole year), shape (species, layers, ny, nx)."""
        return self._worked(self.times[:, a:b].sum(axis=1))

    def cell(self, iy: int, ix: int) -> Vector:
        """Tonnes in one cell, all layers, shape (species, hours)."""
        column = self.by_cell[:, [self._cell(iy, ix)]].tocoo()
        made = np.zeros((len(self.species), self.hours_count))
        for number, tonnes in zip(column.row, column.data, strict=True):
            t, _, s = self.groups[number]
            made += tonnes * np.outer(self.shares[s], self.times[t])
        return made

    def totals(self) -> dict[str, float]:
        """Tonnes a year inside the grid by species of the mechanism."""
        made = np.asarray(self.mass.sum(axis=1)).ravel() @ self.shares[self.groups[:, 2]]
        return dict(zip(self.species, made.tolist(), strict=True))

    def trace(self, iy: int, ix: int, hour: int, name: str) -> pl.DataFrame:
        """Rows of ledgers that make a number: cell, hour (0 is the year's first) and species of the mechanism.

        Returns
        -------
        frame `ledger, row_key, activity, source_id, sector, inventory_species, year_t` (the row's tonnes a year),
        `in_cell` (share of the row in the cell), `in_hour` (of the hour), `as_species`, `tonnes` (the product) and
        `share` of the whole, largest first. `tonnes` sums to ``cell(iy, ix)[species, hour]``.
        """
        if name not in self.species:
            raise UnknownName("species", name, self.species)
        column = self.placed[:, [self._cell(iy, ix)]].tocoo()
        here = pl.DataFrame({"_unit": column.row.astype(np.int64), "in_cell": column.data.astype(np.float64)})
        at = self.times[:, self._hour(hour)]
        found = self.rows.join(here, on="_unit", how="inner", maintain_order="left")
        found = found.with_columns(
            in_hour=pl.Series(at[found["_time"].to_numpy()], dtype=pl.Float64),
            as_species=pl.Series(
                self.shares[found["_split"].to_numpy(), self.species.index(name)], dtype=pl.Float64
            ),
        )
        made = found.with_columns(
            tonnes=pl.col("year_t") * pl.col("in_cell") * pl.col("in_hour") * pl.col("as_species")
        ).filter(pl.col("tonnes") != 0)
        told = made.with_columns(share=pl.col("tonnes") / pl.col("tonnes").sum()).sort(
            "tonnes", descending=True, maintain_order=True
        )
        first = ("ledger", "row_key", "activity", "source_id", "sector", "inventory_species", "year_t")
        return told.select(*first, "in_cell", "in_hour", "as_species", "tonnes", "share")

    def _worked(self, weight: Vector) -> Vector:
        made = np.zeros(self.shape)
        flat = made.reshape(self.shape[0], self.shape[1], -1)
        m = self.mass
        _spread(m.indptr, m.indices, m.data, self.groups, weight, (self.heights, self.shares), flat)
        return made

    def _hour(self, t: int) -> int:
        if not 0 <= t < self.hours_count:
            raise UsageError(f"hour {t} is not in 0..{self.hours_count - 1} of {self.year}.")
        return t

    def _cell(self, iy: int, ix: int) -> int:
        if not (0 <= iy < self.grid.ny and 0 <= ix < self.grid.nx):
            raise UsageError(
                f"cell ({iy}, {ix}) is not in a grid of {self.grid.ny} rows x {self.grid.nx} columns."
            )
        return int(iy * self.grid.nx + ix)


@numba.njit(cache=True)
def _spread(starts, cells, data, groups, weight, tables, out):  # type: ignore[no-untyped-def]
    heights, shares = tables
    for row in range(groups.shape[0]):
        w = weight[groups[row, 0]]
        if w == 0.0:
            continue
        for m in range(shares.shape[1]):
            of_mass = w * shares[groups[row, 2], m]
            if of_mass == 0.0:
                continue
            for k in range(heights.shape[1]):
                part = of_mass * heights[groups[row, 1], k]
                if part == 0.0:
                    continue
                for j in range(starts[row], starts[row + 1]):
                    out[m, k, cells[j]] += part * data[j]


def factored(emissions: pl.DataFrame, spread: Spread, year: int, shape: Shape | None = None) -> Factored:
    """The hourly field of one inventory year.

    Parameters
    ----------
    emissions : frame of emissions (frames.EMISSIONS); needed are `ledger, row_key, activity, sector, species,
        emission_t` [t/a], and `source_id` for own hours and stacks
    spread : of emission.space
    year : whose hours are taken; shape : choices of time, height and species

    Raises LayoutError for a missing column, UsageError for emissions of other years, UnknownName for a sector or
    species that is not known.
    """
    asked = shape or Shape()
    _checked(emissions, year)
    named = (
        emissions.with_columns(pl.lit(None, dtype=pl.String).alias("source_id"))
        if ("source_id" not in emissions.columns)
        else emissions
    )
    kept = named.select("source_id", *_NEEDED).filter(pl.col("emission_t") != 0)
    none = pl.DataFrame(schema=dict.fromkeys((*_UNIT, "species"), pl.String) | {"short_t": pl.Float64})
    kept, faults = species.parted(kept, asked.splits.carbon) if asked.splits.nested else (kept, none)
    units = spread.units.select(*_UNIT).with_row_index("_unit").cast({"_unit": pl.Int64})
    joined = kept.join(units, on=list(_UNIT), how="left", nulls_equal=True, maintain_order="left")
    rows, unplaced = joined.filter(pl.col("_unit").is_not_null()), joined.filter(pl.col("_unit").is_null())
    rows, times, filled = _timed(rows, year, asked)
    rows, heights = _raised(rows, asked)
    rows, shares = _split(rows, asked.splits)
    matrix = sparse.csr_array(spread.matrix)
    keyed = rows.with_columns(_group=pl.struct("_time", "_height", "_split").rank("dense").cast(pl.Int64) - 1)
    groups = keyed.unique("_group").sort("_group").select("_time", "_height", "_split").to_numpy().astype(np.int64)
    placing = (keyed["emission_t"].to_numpy(), (keyed["_group"].to_numpy(), keyed["_unit"].to_numpy()))
    mass = sparse.csr_array(sparse.csr_array(placing, shape=(len(groups), matrix.shape[0])) @ matrix)
    beyond = rows["emission_t"].to_numpy() * np.asarray(spread.outside, dtype=np.float64)[rows["_unit"].to_numpy()]
    outside = beyond @ shares[rows["_split"].to_numpy()] if rows.height else np.zeros(len(asked.splits.names))
    kept_rows = rows.rename({"species": "inventory_species", "emission_t": "year_t"})
    return Factored(
        year,
        spread.grid,
        tuple(float(z) for z in asked.interfaces),
        asked.splits,
        kept_rows,
        unplaced.drop("_unit"),
        dict(zip(asked.splits.names, outside.tolist(), strict=True)),
        filled,
        faults,
        times,
        heights,
        shares,
        groups.reshape(-1, 3),
        mass,
        mass.tocsc(),
        sparse.csc_array(matrix),
    )


def _checked(emissions: pl.DataFrame, year: int) -> None:
    missing = [name for name in _NEEDED if name not in emissions.columns]
    if missing:
        raise LayoutError(
            f"emissions have no column {', '.join(missing)}.", remedy=f"Needed: {', '.join(_NEEDED)}."
        )
    if "year" in emissions.columns:
        others = emissions.filter(pl.col("year") != year)["year"].unique().sort().to_list()
        if others:
            raise UsageError(f"emissions of {others} among those of {year}.", remedy="Give one inventory year.")
    bad = emissions.filter(~pl.col("emission_t").is_finite().fill_null(False) | (pl.col("emission_t") < 0))
    if bad.height:
        first = bad.row(0, named=True)
        raise UsageError(
            f"{bad.height} emission(s) are no tonnes, such as {first['emission_t']} of {first['row_key']}."
        )
    known = height.of_sector()
    for sector in emissions["sector"].unique().to_list():
        if sector not in known:
            raise UnknownName("sector", sector, tuple(known))


def _timed(rows: pl.DataFrame, year: int, asked: Shape) -> tuple[pl.DataFrame, Vector, dict[str, int]]:
    """Rows with the number of their time, and the shares of the hours, shape (times, hours)."""
    book = time.time_profiles()
    made: list[Vector] = []
    numbers: dict[tuple[str, str], int] = {}
    at: dict[time.Profile, int] = {}
    filled: dict[str, int] = {}
    for sector, source in rows.select("sector", "source_id").unique(maintain_order=True).iter_rows():
        profile = asked.time_of.get(sector) or book.profile(book.of_sector[sector])
        if profile not in at:
            at[profile] = len(made)
            made.append(time.weights(year, profile, holidays=asked.holidays, holiday_as=asked.holiday_as))
        number = at[profile]
        if source in asked.own_hours:
            own = time.own_hours(np.asarray(asked.own_hours[source], dtype=np.float64), made[number])
            filled[source], number = own.filled, len(made)
            made.append(own.shares)
        numbers[sector, source] = number
    return _numbered(rows, "_time", numbers), np.array(made).reshape(len(made), time.hours_of(year)), filled


def _raised(rows: pl.DataFrame, asked: Shape) -> tuple[pl.DataFrame, Vector]:
    """Rows with the number of their height, and the shares of the layers, shape (heights, layers)."""
    made: list[Vector] = []
    at: dict[object, int] = {}
    numbers: dict[tuple[str, str], int] = {}
    for sector, source in rows.select("sector", "source_id").unique(maintain_order=True).iter_rows():
        own = asked.stacks.get(source) if asked.plume else None
        key = own or height.of_sector()[sector]
        if key not in at:
            at[key] = len(made)
            made.append(
                height.plume_layers(own, asked.interfaces)
                if own
                else height.sector_layers(sector, asked.interfaces)
            )
        numbers[sector, source] = at[key]
    return _numbered(rows, "_height", numbers), np.array(made).reshape(len(made), len(asked.interfaces) - 1)


def _split(rows: pl.DataFrame, splits: species.Splits) -> tuple[pl.DataFrame, Vector]:
    """Rows with the number of their split, and the shares of mass, shape (splits, species)."""
    made: list[Vector] = []
    at: dict[tuple[str, str], int] = {}
    numbers: dict[tuple[str, str], int] = {}
    for sector, held in rows.select("sector", "species").unique(maintain_order=True).iter_rows():
        key = (splits.of_sector[sector], held)
        if key not in splits.shares:
            raise UnknownName("species", held, sorted({name for _, name in splits.shares}))
        if key not in at:
            at[key] = len(made)
            made.append(np.array([splits.shares[key].get(name, 0.0) for name in splits.names]))
        numbers[sector, held] = at[key]
    return _numbered(rows, "_split", numbers, "species"), np.array(made).reshape(len(made), len(splits.names))


def _numbered(
    rows: pl.DataFrame, name: str, numbers: Mapping[tuple[str, str], int], second: str = "source_id"
) -> pl.DataFrame:
    keys = pl.DataFrame(
        [(*key, number) for key, number in numbers.items()],
        schema={"sector": pl.String, second: pl.String, name: pl.Int64},
        orient="row",
    )
    return rows.join(keys, on=["sector", second], how="left", nulls_equal=True, maintain_order="left")
