"""From quantiles of pollutants to what a forecast says: AQI range, level and its probability, primary pollutants.

AQI is the largest of the pollutants' own indices, so its distribution depends on how they go together. That is
taken from the past (Schaake shuffle; Clark et al. 2004, doi:10.1175/1525-7541(2004)005<0243:TSSAMF>2.0.CO;2): each
past day of the season gives the ranks of its pollutants, and each such day is one case, in which every pollutant
takes the value of its forecast at that rank. The assumption: pollutants will go together as they did at this time
of year. Each case is judged by :func:`qinglan.air.aqi.daily_aqi` under the rule of the **valid** day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist

import ibis
import numpy as np
import polars as pl

from qinglan.air.aqi import daily_aqi
from qinglan.core.names import DAILY_ITEMS
from qinglan.core.rulebook import RuleBook, Rules
from qinglan.forecast.series import LEVELS, Floats

#: Columns of quantiles, in the order of ``LEVELS``: q05 ... q95.
QUANTILES = tuple(f"q{round(100 * level):02d}" for level in LEVELS)
#: Cases when the past tells nothing of how pollutants go together: all at the same rank.
_TOGETHER = 99
#: Past days that are used at most, the newest.
_MOST = 400
#: Normal scores beyond which no tail is drawn out: the 0.5 and 99.5 per cent points.
_TAIL = 2.58


@dataclass(frozen=True)
class Joint:
    """How pollutants of a place go together: `ranks` item to (case,) within 0..1; `told` by the past or not."""

    ranks: Mapping[str, Floats]
    told: bool

    @property
    def cases(self) -> int:
        """How many."""
        return next(iter(self.ranks.values())).size


def joint(past: pl.DataFrame, items: Sequence[str], around: date, book: RuleBook) -> Joint:
    """Ranks of the items of one place on its past days near a day of the year.

    Parameters
    ----------
    past : frame `day` and a column for each item, up to the cut-off
    book : family ``forecast`` (`joint.days_around`, `joint.days_min`)
    """
    gap = (pl.col("day").dt.ordinal_day() - around.timetuple().tm_yday).abs()
    near = pl.min_horizontal(gap, 366 - gap) <= book.number("joint.days_around")
    rows = past.filter(near).drop_nulls(list(items)).sort("day").tail(_MOST).select(items).to_numpy()
    if len(rows) < book.number("joint.days_min"):
        same = (np.arange(_TOGETHER) + 0.5) / _TOGETHER
        return Joint(dict.fromkeys(items, same), told=False)
    places = np.argsort(np.argsort(rows, axis=0, kind="stable"), axis=0, kind="stable")
    ranks = (places + 0.5) / len(rows)
    return Joint({item: ranks[:, at] for at, item in enumerate(items)}, told=True)


def drawn(quantiles: Floats, ranks: Floats) -> Floats:
    """Values of forecasts (..., level) at ranks (case,): (..., case), not below zero.

    Straight lines between the quantiles, on a logarithmic scale against normal scores; beyond the outermost ones
    the last line goes on, to the 0.5 and 99.5 per cent points.
    """
    normal = NormalDist()
    known = np.array([normal.inv_cdf(level) for level in LEVELS])
    asked = np.clip([normal.inv_cdf(float(rank)) for rank in ranks], -_TAIL, _TAIL)
    at = np.clip(np.searchsorted(known, asked) - 1, 0, known.size - 2)
    share = (asked - known[at]) / (known[at + 1] - known[at])
    logs = np.log1p(quantiles)
    found: Floats = np.maximum(np.expm1(logs[..., at] + share * (logs[..., at + 1] - logs[..., at])), 0.0)
    return found


def cases(forecast: pl.DataFrame, together: Mapping[str, Joint]) -> pl.DataFrame:
    """Every case of every place and day: `case` (a number), `place`, `day`, `lead_day` and the six items.

    Parameters
    ----------
    forecast : frame (place, day, item) with `lead_day` and :data:`QUANTILES`
    together : place to :class:`Joint`; an item that a place has no forecast of stays null
    """
    parts = []
    for (place, day, lead), rows in forecast.group_by("place", "day", "lead_day", maintain_order=True):
        tied = together[str(place)]
        columns = {
            row["item"]: drawn(np.array([row[q] for q in QUANTILES]), tied.ranks[row["item"]])
            for row in rows.iter_rows(named=True)
            if row["item"] in tied.ranks and row["q50"] is not None
        }
        if columns:
            parts.append(
                pl.DataFrame(columns).with_columns(
                    place=pl.lit(place), day=pl.lit(day), lead_day=pl.lit(lead),
                    **{item: pl.lit(None, pl.Float64) for item in DAILY_ITEMS if item not in columns},
                ).select("place", "day", "lead_day", *DAILY_ITEMS)
            )  # fmt: skip
    shape = {"place": pl.String, "day": pl.Date, "lead_day": pl.Int64, **dict.fromkeys(DAILY_ITEMS, pl.Float64)}
    whole = pl.concat(parts) if parts else pl.DataFrame(schema=shape)
    return whole.with_row_index("case").with_columns(pl.col("case").cast(pl.Int64))


def air_index(forecast: pl.DataFrame, together: Mapping[str, Joint], rules: Mapping[date, Rules],
              book: RuleBook) -> pl.DataFrame:  # fmt: skip
    """What the forecast says of each place and day.

    Parameters
    ----------
    forecast, together : as :func:`cases`
    rules : valid day to the rules in force **on that day**
    book : family ``forecast`` on the day it is made

    Returns
    -------
    frame (place, day): `lead_day`; quantiles of AQI as :data:`QUANTILES`; `low`, `high` (the range); `level`,
    `level_low`, `level_high`; `primary` (the most frequent first, joined by ``,``; empty: none); `p1`..`p6`
    (probability of each level); `p_over` (of AQI above that of a good day), `p_dust`, `p_ozone` (of its being by
    dust or ozone alone); `dust`, `ozone` (flags); `edition` of HJ 633; `without` (items that have no forecast).
    """
    every = cases(forecast, together)
    days = {
        day: (rule.aqi.edition, rule.evaluation.number("good_day.aqi_max"), rule.aqi.number("primary.aqi_above"))
        for day, rule in rules.items()
    }
    told = pl.DataFrame(
        [(day, *values) for day, values in days.items()],
        schema={"day": pl.Date, "edition": pl.String, "good": pl.Float64, "named": pl.Float64},
        orient="row",
    )
    judged = []
    for edition in dict.fromkeys(value[0] for value in days.values()):
        mine = [day for day, value in days.items() if value[0] == edition]
        part = every.filter(pl.col("day").is_in(mine))
        if not part.is_empty():
            judged.append(_judged(part, rules[mine[0]]))
    if not judged:
        return pl.DataFrame()
    whole = pl.concat(judged).join(told, on="day")
    return _said(whole, book)


def _judged(part: pl.DataFrame, rules: Rules) -> pl.DataFrame:
    """Cases with `aqi`, `level` and `primary_pollutant` under one edition."""
    known = [item for item in DAILY_ITEMS if part[item].null_count() < part.height]
    lacking = part.unpivot(DAILY_ITEMS, index="case", variable_name="item").filter(pl.col("value").is_null())
    exempt = ibis.memtable(lacking.select("case", "item")) if lacking.height else None
    days = ibis.memtable(part.select("case", "day", *DAILY_ITEMS).with_columns(o3_1h=pl.lit(None, pl.Float64)))
    found = pl.from_arrow(
        ibis.duckdb.connect().to_pyarrow(daily_aqi(days, rules, key="case", exempt=exempt)
        .select("case", "aqi", "level", "primary_pollutant"))
    )  # fmt: skip
    assert isinstance(found, pl.DataFrame)
    assert known
    return part.join(found, on="case").drop_nulls("aqi")


def _said(whole: pl.DataFrame, book: RuleBook) -> pl.DataFrame:
    """Cases of a place and day in one row."""
    keys = ["place", "day", "lead_day"]
    over = pl.col("aqi") > pl.col("good")
    ratio = pl.col("pm2_5") <= book.number("dust.ratio_max") * pl.col("pm10")
    marked = whole.with_columns(
        dusty=(over & (pl.col("primary_pollutant") == "pm10") & ratio.fill_null(value=True)),
        ozonic=(over & (pl.col("primary_pollutant") == "mda8")),
        over=over,
    )
    low, high = book.number("range.low") / 100, book.number("range.high") / 100

    def at(column: str, level: float) -> pl.Expr:
        return pl.col(column).quantile(level, "nearest").cast(pl.Int64)

    level = at("level", 0.5) if book.option("level") == "median" else pl.col("level").mode().min().cast(pl.Int64)
    grouped = marked.group_by(keys, maintain_order=True).agg(
        **{name: at("aqi", q) for name, q in zip(QUANTILES, LEVELS, strict=True)},
        low=at("aqi", low), high=at("aqi", high), level=level,
        level_low=at("level", low), level_high=at("level", high),
        **{f"p{n}": (pl.col("level") == n).mean() for n in range(1, 7)},
        p_over=pl.col("over").mean(), p_dust=pl.col("dusty").mean(), p_ozone=pl.col("ozonic").mean(),
        edition=pl.col("edition").first(), named=pl.col("named").first(),
        without=pl.concat_str([_if_absent(item) for item in DAILY_ITEMS]).str.strip_chars(","),
    )  # fmt: skip
    enough = pl.col("p_over") >= book.number("flag.over_min") / 100
    share = book.number("flag.share_min") / 100
    flagged = grouped.join(_primary(marked, keys, book), on=keys, how="left", maintain_order="left").with_columns(
        primary=pl.when(pl.col("q50") > pl.col("named")).then(pl.col("primary")).fill_null(""),
        dust=enough & (pl.col("p_dust") >= share * pl.col("p_over")),
        ozone=enough & (pl.col("p_ozone") >= share * pl.col("p_over")),
    )  # fmt: skip
    order = [
        *keys, *QUANTILES, "low", "high", "level", "level_low", "level_high", "primary",
        *(f"p{n}" for n in range(1, 7)), "p_over", "p_dust", "p_ozone", "dust", "ozone", "edition", "without",
    ]  # fmt: skip
    return flagged.select(order).sort("place", "day")


def _if_absent(item: str) -> pl.Expr:
    """Name of an item that no case of a group has."""
    return pl.when(pl.col(item).null_count() == pl.len()).then(pl.lit(f"{item},")).otherwise(pl.lit("")).first()


def _primary(marked: pl.DataFrame, keys: Sequence[str], book: RuleBook) -> pl.DataFrame:
    """Pollutants that are primary often enough among the cases that have one."""
    rows = marked.filter(pl.col("aqi") > pl.col("named"))
    share = book.number("primary.share_min") / 100
    named = (
        rows.with_columns(item=pl.col("primary_pollutant").str.split(",")).explode("item")
        .group_by(*keys, "item").len("times")
        .join(rows.group_by(keys).len("of"), on=keys)
        .filter(pl.col("times") >= share * pl.col("of"))
        .sort("times", "item", descending=[True, False])
    )  # fmt: skip
    return named.group_by(keys, maintain_order=True).agg(primary=pl.col("item").str.join(","))
