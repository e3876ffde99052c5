"""What reduction projects may count: one source, one baseline, one species, one period, and no tonne twice.

The rule of 总量减排核算: a reduction is the emission of the baseline year less that of a year after the project.
Two projects on one source cannot both start from the old emission: the second starts where the first ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from qinglan.core.errors import LayoutError

#: Of each project, source and species. `verified_t` and `verified_on` are null until someone verified it.
COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("project", "source_id", "species", "period"), pl.String),
    **dict.fromkeys(("baseline_year", "year"), pl.Int32),
    **dict.fromkeys(("before_t", "after_t", "verified_t"), pl.Float64),
    "verified_on": pl.Date,
}

ADDED: dict[str, pl.DataType | type[pl.DataType]] = {
    "credited_t": pl.Float64,
    **dict.fromkeys(("state", "reason", "against"), pl.String),
}

#: Where a project's tonnes stand: counted whole or cut, waiting for verification, or refused.
STATES = ("counted", "cut", "pending", "refused")

#: Why tonnes do not count, or not all of them.
REASONS = {
    "incomplete": "source, species, period, a year or an emission is missing or negative",
    "no_reduction": "the emission afterwards is not below the baseline",
    "counted_already": "another project counts this source, baseline, species and period",
    "starts_too_high": "the baseline is above what an earlier project on this source left",
    "verified_less": "less was verified than the two emissions differ by",
    "not_verified": "nobody has verified it yet",
}

#: Tonnes below which two emissions are the same.
_SAME = 1e-6


@dataclass(frozen=True, slots=True)
class Account:
    """Projects with what each may count, and the sums."""

    rows: pl.DataFrame  #: COLUMNS and ADDED, in the order given

    def totals(self) -> pl.DataFrame:
        """species, period, `counted_t`, `pending_t`, `lost_t` (claimed, and refused or cut)."""
        state, credited = pl.col("state"), pl.col("credited_t")
        claimed = (pl.col("before_t") - pl.col("after_t")).fill_null(0.0).clip(0.0)
        live = state.is_in(["counted", "cut"])
        return (
            self.rows.group_by("species", "period", maintain_order=True)
            .agg(
                counted_t=credited.filter(live).sum(),
                pending_t=credited.filter(state == "pending").sum(),
                lost_t=(claimed - credited).sum(),
            )
            .sort("species", "period")
        )


def account(projects: pl.DataFrame) -> Account:
    """Credit each project with the tonnes that nobody else counts.

    Of projects with the same source, baseline, species and period the one verified first counts. On one source
    and species projects follow one another by their year: each starts no higher than the lowest emission that an
    earlier one left, so that the credits of a source never exceed its first baseline less its last emission. One
    that is not verified shows what it would count beside those that are.

    Raises LayoutError when a column of COLUMNS is missing.
    """
    missing = [name for name in COLUMNS if name not in projects.columns]
    if missing:
        raise LayoutError(
            f"projects have no column {', '.join(missing)}.", remedy=f"Needed: {', '.join(COLUMNS)}."
        )
    rows = projects.select(pl.col(name).cast(dtype) for name, dtype in COLUMNS.items()).with_row_index("_row")
    made: dict[int, dict[str, Any]] = {}
    for _, group in rows.group_by("source_id", "species", maintain_order=True):
        _follow(group.to_dicts(), made)
    added = [made[row] for row in range(rows.height)]
    return Account(pl.concat([rows.drop("_row"), pl.DataFrame(added, schema=ADDED)], how="horizontal"))


def _follow(group: list[dict[str, Any]], made: dict[int, dict[str, Any]]) -> None:
    """Credit the projects of one source and species in turn."""
    left: float | None = None  # the lowest emission that a counted project left
    by = ""
    taken: dict[tuple[Any, ...], str] = {}
    for row in sorted(group, key=_turn):
        if not _whole(row):
            made[row["_row"]] = _said(0.0, "refused", "incomplete")
            continue
        key = (row["baseline_year"], row["period"])
        claim = row["before_t"] - row["after_t"]
        if claim <= _SAME:
            made[row["_row"]] = _said(0.0, "refused", "no_reduction")
        elif key in taken:
            made[row["_row"]] = _said(0.0, "refused", "counted_already", taken[key])
        else:
            made[row["_row"]] = said = _credit(row, claim, left, by)
            if said["state"] in ("counted", "cut"):
                taken[key] = row["project"]
                # What was not verified is still in the air.
                left = min(row["before_t"] if left is None else left, row["before_t"]) - said["credited_t"]
                by = row["project"]


def _credit(row: dict[str, Any], claim: float, left: float | None, by: str) -> dict[str, Any]:
    room = claim if left is None else min(row["before_t"], left) - row["after_t"]
    if room <= _SAME:
        return _said(0.0, "refused", "starts_too_high", by)
    if row["verified_on"] is None:
        return _said(room, "pending", "not_verified")
    verified = claim if row["verified_t"] is None else row["verified_t"]
    if room < claim - _SAME and room <= verified:
        return _said(room, "cut", "starts_too_high", by)
    if verified < claim - _SAME:
        return _said(verified, "cut", "verified_less")
    return _said(claim, "counted", None)


def _turn(row: dict[str, Any]) -> tuple[Any, ...]:
    """Verified projects first, by the year from which they count, by the day of verification, by name."""
    day = row["verified_on"]
    return (day is None, row["year"] or 0, row["baseline_year"] or 0, str(day), row["project"] or "")


def _whole(row: dict[str, Any]) -> bool:
    named = all(
        row[name] is not None for name in ("project", "source_id", "species", "period", "baseline_year", "year")
    )
    return named and all(row[name] is not None and row[name] >= 0 for name in ("before_t", "after_t"))


def _said(credited: float, state: str, reason: str | None, against: str | None = None) -> dict[str, Any]:
    return {"credited_t": credited, "state": state, "reason": reason, "against": against}
