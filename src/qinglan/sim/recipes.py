"""How simulated rows are drawn: a recipe names for each column a distribution, or SQL over the columns before it.

A recipe (``content/sim/ledgers/*.yaml``)::

    over: counties | prefectures | enterprises | {ledger: <id>}    # one row for each, or
    joined: [{ledger: <id>, on: [columns], sum: {<column>: <its column>}, mean: {..}}]    # of other ledgers' rows
    where: "<SQL>"; each: <number or SQL>                          # so many for each (`k`); a fraction is drawn
    total: 20000; weight: "<SQL>"                                  # or so many in all, dealt by weight
    cross: {<column>: [values]}                                    # one row for each value
    columns: {<column>: <draw>}; years: [..]; yearly: {<column>: <draw>}
    breaches: [{share: 0.03, where: "<SQL>", set: {<column>: "<SQL>"}}]   # planted on purpose, for findings

A draw is SQL text, or one of ``pick, uniform, lognormal, whole, chance, day, serial, near, square`` with ``where``
(null elsewhere), ``decimals``, ``min`` and ``max``. Every column has its own random stream, so that a column added
to a recipe does not move the others. Pure.
"""

from __future__ import annotations

import string
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qinglan.core.errors import ContentError
from qinglan.plan.outlines import Rings, inside

Recipe = Mapping[str, Any]
Floats = NDArray[np.float64]

#: Kilometres of one degree of latitude.
_DEGREE = 111.2
_KINDS = ("pick", "uniform", "lognormal", "whole", "chance", "day", "serial", "near", "square")


def stream(seed: int, *names: str) -> np.random.Generator:
    """The random stream of a name: the same seed and name give the same numbers, whatever else is drawn."""
    return np.random.default_rng([seed, zlib.crc32("/".join(names).encode())])


@dataclass(frozen=True, slots=True)
class Drawer:
    """Draws the columns of one ledger. outlines: rings of counties by code, for points inside them."""

    ledger: str
    seed: int
    outlines: Mapping[str, Rings]

    def rows(self, recipe: Recipe, base: pl.DataFrame, size: int | None = None) -> pl.DataFrame:
        """The typed rows of a recipe over its base; columns of the base stay in the frame.

        size : rows in all of a recipe with `total`; of the others at most so many
        """
        frame = base.filter(pl.sql_expr(recipe["where"])) if "where" in recipe else base
        frame = self._multiplied(frame, recipe, size)
        for name, values in recipe.get("cross", {}).items():
            frame = frame.drop(name, strict=False).join(pl.DataFrame({name: list(values)}), how="cross")
        frame = frame.with_row_index("n", offset=1)
        frame = self.columns(frame, recipe.get("columns", {}))
        if "years" in recipe:
            years = pl.DataFrame({"year": list(recipe["years"])}, schema={"year": pl.Int64})
            frame = frame.drop("year", strict=False).join(years, how="cross")
        frame = self.columns(frame, recipe.get("yearly", {}))
        if "keep" in recipe:
            frame = frame.filter(pl.sql_expr(recipe["keep"]))
        for number, breach in enumerate(recipe.get("breaches", ())):
            frame = self._breached(frame, breach, number)
        return frame if size is None or "total" in recipe else frame.head(size)

    def _multiplied(self, frame: pl.DataFrame, recipe: Recipe, size: int | None) -> pl.DataFrame:
        rng = stream(self.seed, self.ledger, "rows")
        if "total" in recipe:
            weight = _numbers(frame, recipe.get("weight", 1))
            wanted = recipe["total"] if size is None else size
            chosen = np.sort(rng.choice(frame.height, wanted, p=weight / weight.sum()))
            return frame[chosen].drop("n", strict=False)
        if "each" not in recipe:
            return frame.drop("n", strict=False)
        asked = _numbers(frame, recipe["each"])
        counts = np.floor(asked) + (rng.random(frame.height) < asked - np.floor(asked))
        repeats = counts.astype(int)
        which = np.concatenate([np.arange(1, c + 1) for c in repeats]) if repeats.sum() else np.array([], int)
        many = frame[np.repeat(np.arange(frame.height), repeats)].drop("n", strict=False)
        return many.with_columns(k=pl.Series(which.astype(np.int64)))

    def columns(self, frame: pl.DataFrame, columns: Mapping[str, Any]) -> pl.DataFrame:
        """The frame with each column drawn in turn, so that later ones may use earlier ones."""
        for name, draw in columns.items():
            drawn = self.column(frame, name, draw)
            frame = frame.with_columns(drawn) if isinstance(drawn, list) else frame.with_columns(drawn.alias(name))
        return frame

    def column(self, frame: pl.DataFrame, name: str, draw: Any) -> Any:
        """One column's values; ContentError for a draw that is none."""
        if not isinstance(draw, Mapping):
            return _sql(frame, str(draw), f"{self.ledger}.{name}")
        kind = next((k for k in _KINDS if k in draw), None)
        if kind is None:
            raise ContentError(f"sim/ledgers: {self.ledger}.{name}", [f"{dict(draw)!r} names none of {_KINDS}."])
        rng = stream(self.seed, self.ledger, name)
        values = getattr(self, f"_{kind}")(frame, rng, draw)
        if isinstance(values, list):
            return values
        if "decimals" in draw:
            values = pl.Series(np.round(values.to_numpy(), draw["decimals"]))
        if "min" in draw or "max" in draw:
            values = values.clip(draw.get("min"), draw.get("max"))
        if "where" in draw:
            asked = _sql(frame, draw["where"], f"{self.ledger}.{name}.where").fill_null(False)
            values = values.zip_with(asked, pl.Series([None] * frame.height, dtype=values.dtype))
        return values

    def _pick(self, frame: pl.DataFrame, rng: np.random.Generator, draw: Mapping[str, Any]) -> pl.Series:
        chance = rng.random(frame.height)
        if "by" not in draw:
            return pl.Series(_dealt(chance, draw["pick"]))
        groups = _sql(frame, draw["by"], self.ledger).cast(pl.String).to_numpy()
        made = np.full(frame.height, None, dtype=object)
        for group in np.unique(groups.astype(str)):
            options = draw["pick"].get(group, draw["pick"].get("else"))
            if options is not None:
                mine = groups == group
                made[mine] = _dealt(chance[mine], options)
        return pl.Series(made.tolist(), strict=False)

    def _uniform(self, frame: pl.DataFrame, rng: np.random.Generator, draw: Mapping[str, Any]) -> pl.Series:
        low, high = (_numbers(frame, edge) for edge in draw["uniform"])
        return pl.Series(low + (high - low) * rng.random(frame.height))

    def _lognormal(self, frame: pl.DataFrame, rng: np.random.Generator, draw: Mapping[str, Any]) -> pl.Series:
        median, spread = (_numbers(frame, part) for part in draw["lognormal"])
        return pl.Series(median * np.exp(spread * rng.standard_normal(frame.height).clip(-2.5, 2.5)))

    def _whole(self, frame: pl.DataFrame, rng: np.random.Generator, draw: Mapping[str, Any]) -> pl.Series:
        low, high = (_numbers(frame, edge) for edge in draw["whole"])
        return pl.Series(np.floor(low + (high - low + 1) * rng.random(frame.height)).astype(np.int64))

    def _chance(self, frame: pl.DataFrame, rng: np.random.Generator, draw: Mapping[str, Any]) -> pl.Series:
        return pl.Series(rng.random(frame.height) < _numbers(frame, draw["chance"]))

    def _day(self, frame: pl.DataFrame, rng: np.random.Generator, draw: Mapping[str, Any]) -> pl.Series:
        low, high = (_days(frame, edge) for edge in draw["day"])
        chosen = low + np.floor((high - low + 1).clip(1) * rng.random(frame.height))
        epoch = pl.Series(np.nan_to_num(chosen).astype(np.int32)).cast(pl.Date)
        return epoch.zip_with(pl.Series(~np.isnan(chosen)), pl.Series([None] * frame.height, dtype=pl.Date))

    def _serial(self, frame: pl.DataFrame, rng: np.random.Generator, draw: Mapping[str, Any]) -> pl.Series:
        form = draw["serial"]
        fields = list(dict.fromkeys(f.split(":")[0] for _, f, _, _ in string.Formatter().parse(form) if f))
        cells = [frame[f].to_list() for f in fields]
        return pl.Series([form.format(**dict(zip(fields, row, strict=True))) for row in zip(*cells, strict=True)])

    def _near(self, frame: pl.DataFrame, rng: np.random.Generator, draw: Mapping[str, Any]) -> list[pl.Series]:
        """Points about the base's `lon`, `lat`, at most three spreads [km] off and inside the county."""
        lon, lat = frame["lon"].to_numpy().astype(float), frame["lat"].to_numpy().astype(float)
        counties = frame["county"].to_numpy()
        found = np.stack([lon, lat])
        left = np.arange(frame.height)
        for _ in range(12):
            away = draw["near"] * rng.standard_normal((2, left.size)).clip(-3, 3) / _DEGREE
            tried = np.stack([lon[left] + away[0] / np.cos(np.radians(lat[left])), lat[left] + away[1]]).round(5)
            good = np.zeros(left.size, dtype=bool)
            for county in np.unique(counties[left].astype(str)):
                mine = counties[left] == county
                good[mine] = inside(self.outlines[county], *tried[:, mine])
            found[:, left[good]] = tried[:, good]
            left = left[~good]
            if not left.size:
                break
        return [pl.Series("lon", found[0].round(5)), pl.Series("lat", found[1].round(5))]

    def _square(self, frame: pl.DataFrame, rng: np.random.Generator, draw: Mapping[str, Any]) -> pl.Series:
        """WKT of a square of so many m² about `lon`, `lat`."""
        half = np.sqrt(_numbers(frame, draw["square"])) / 2000 / _DEGREE
        lon, lat = frame["lon"].to_numpy().astype(float), frame["lat"].to_numpy().astype(float)
        wide = half / np.cos(np.radians(lat))
        west, east, south, north = (e.round(6).tolist() for e in (lon - wide, lon + wide, lat - half, lat + half))
        corners = zip(west, east, south, north, strict=True)
        return pl.Series([f"POLYGON (({w} {s}, {e} {s}, {e} {n}, {w} {n}, {w} {s}))" for w, e, s, n in corners])

    def _breached(self, frame: pl.DataFrame, breach: Mapping[str, Any], number: int) -> pl.DataFrame:
        """Some rows changed so that they breach a rule of the plan; the same rows on every call."""
        rng = stream(self.seed, self.ledger, f"breach {number}")
        struck = pl.Series(rng.random(frame.height) < breach["share"])
        if "where" in breach:
            struck = struck & _sql(frame, breach["where"], self.ledger).fill_null(False)
        made = []
        for name, text in breach["set"].items():
            value = _sql(frame, str(text), f"{self.ledger}.{name}").cast(frame.schema[name], strict=False)
            made.append(value.zip_with(struck, frame[name]).alias(name))
        return frame.with_columns(made)


def _dealt(chance: Floats, options: Sequence[Any] | Mapping[Any, float]) -> list[Any]:
    """Options by their weights; equal ones in a list."""
    names = list(options)
    weights = np.array([options[n] for n in names] if isinstance(options, Mapping) else [1.0] * len(names), float)
    edges = np.cumsum(weights / weights.sum())
    chosen = np.searchsorted(edges, chance, side="right").clip(max=len(names) - 1)
    return [names[i] for i in chosen]


def _sql(frame: pl.DataFrame, text: str, where: str) -> pl.Series:
    try:
        made = frame.select(pl.sql_expr(text).alias("_")).to_series()
    except pl.exceptions.PolarsError as cause:
        raise ContentError(f"sim/ledgers: {where}", [f"{text!r}: {cause}"]) from cause
    return made if made.len() == frame.height else made.new_from_index(0, frame.height)


def _numbers(frame: pl.DataFrame, value: float | str) -> Floats:
    if isinstance(value, str):
        return _sql(frame, value, value).cast(pl.Float64).to_numpy()
    return np.full(frame.height, float(value))


def _days(frame: pl.DataFrame, value: str) -> Floats:
    """Days since 1970; NaN where the SQL gives none."""
    if len(value) == 10 and value[:4].isdigit():
        return np.full(frame.height, float((date.fromisoformat(value) - date(1970, 1, 1)) // timedelta(days=1)))
    return _sql(frame, value, value).cast(pl.Date).cast(pl.Int32).cast(pl.Float64).to_numpy()
