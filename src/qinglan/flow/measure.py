"""What the observations say of a target: its value under the plan's own reading, and under each variant beside it.

Rates and means are formed here as exact fractions of what the air room counted, so that the one rounding of
the judgement is also the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from qinglan.core.clock import Period
from qinglan.core.errors import UnknownName
from qinglan.core.provenance import Coverage
from qinglan.core.rounding import exact

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Basis:
    """How a figure of a region is formed: as `qinglan.plan.pack.AirBasis`, one treatment at a time."""

    statistic: str
    item: str
    combine: str
    dust: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure. `value` is exact; `data_valid` says whether every place met the minimum of data."""

    value: Fraction | None
    coverage: Coverage
    data_valid: bool
    edition: str


class Evaluated:
    """Rows of `summary` and `evaluation` of a run, found by place, period and treatment.

    `least_share` is the share of a period's days that a count of days needs: the 324 of 365 that GB 3095 table 4
    asks of a year. (No text states a minimum for the good-day rate itself.)
    """

    def __init__(self, summary: Iterable[Row], evaluation: Iterable[Row], *, least_share: Fraction) -> None:
        self._least_share = least_share
        self._summary = {(r["place"], r["period"], r["dust"]): r for r in summary}
        self._values = {(r["place"], r["period"], r["dust"], r["item"], r["statistic"]): r for r in evaluation}

    def figure(self, places: Sequence[str], period: Period, basis: Basis) -> Figure:
        """The figure of a set of places for a period.

        A place without data is left out of a mean and makes the figure not valid; coverage counts place-days.
        """
        expected = period.days * len(places)
        if basis.statistic == "mean":
            found = [self._values.get((p, period.label, basis.dust, basis.item, "mean")) for p in places]
            rows = [r for r in found if r is not None]
            parts = [exact(r["value"]) for r in rows]
            valid = len(rows) == len(places) and all(r["data_valid"] for r in rows)
        else:
            counted = [self._summary.get((p, period.label, basis.dust)) for p in places]
            rows = [r for r in counted if r is not None and r["valid_days"]]
            parts = [_share(r, basis.statistic) for r in rows]
            enough = self._least_share * period.days
            valid = len(rows) == len(places) and all(r["valid_days"] >= enough for r in rows)
        observed = sum(int(r["valid_days"]) for r in rows)
        edition = ", ".join(dict.fromkeys(str(r["edition"]) for r in rows))
        return Figure(_combined(parts, rows, basis), Coverage(expected, observed), valid, edition)


def _share(row: Row, statistic: str) -> Fraction:
    """A place's own figure: percent of valid days, or a number of days."""
    match statistic:
        case "good_day_rate":
            return Fraction(100 * int(row["good_days"]), int(row["valid_days"]))
        case "heavy_day_rate":
            return Fraction(100 * int(row["heavy_days"]), int(row["valid_days"]))
        case "heavy_days":
            return Fraction(int(row["heavy_days"]))
        case _:
            raise UnknownName("statistic of an air target", statistic, ("mean", *_POOLED, "heavy_days"))


_POOLED = {"good_day_rate": "good_days", "heavy_day_rate": "heavy_days"}


def _combined(parts: Sequence[Fraction], rows: Sequence[Row], basis: Basis) -> Fraction | None:
    if not parts:
        return None
    if basis.combine == "sum":
        return sum(parts, Fraction(0))
    if basis.combine == "pooled" and basis.statistic in _POOLED:
        days = sum(int(r["valid_days"]) for r in rows)
        return Fraction(100 * sum(int(r[_POOLED[basis.statistic]]) for r in rows), days)
    if basis.combine in ("mean_of_places", "pooled"):
        return sum(parts, Fraction(0)) / len(parts)
    raise UnknownName("way to combine places", basis.combine, ("mean_of_places", "pooled", "sum"))
