"""Rows of an emergency list: drafted for lines that are not on it, put right where they cannot be, and completed.

Shares are 0 to 1 within, and per cent with two decimals in the rows of the ledger ``emergency-list``: a share is
rounded so that it stays within its bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from qinglan.core.errors import LayoutError
from qinglan.core.rulebook import RuleBook
from qinglan.episode.completion import LEVELS, SPECIES
from qinglan.episode.grades import Action, action
from qinglan.episode.industries import industry_of
from qinglan.episode.requirement import reachable

Row = dict[str, Any]
#: What is known of each line or device in use: tonnes a day of each species by the inventory (null where it tells
#: nothing), and how it can be checked. `ledger, row_key`: where it stands; `grade_from`: assessed, copied, expired
#: or none.
LINES: dict[str, Any] = {
    **dict.fromkeys(("ledger", "row_key", "uscc", "enterprise", "county", "line_no", "line"), pl.String),
    **dict.fromkeys(("sector", "product", "code", "grade", "grade_from"), pl.String),
    "guaranteed": pl.Boolean,
    "lead_hours": pl.Float64,
    **dict.fromkeys(SPECIES, pl.Float64),
    **dict.fromkeys(("electricity", "stack"), pl.String),
}
#: Steps of a share that an order can say: a hundredth of a per cent.
_STEP = 1e-4
#: Whether a line of :data:`LINES` emits.
EMITS = pl.sum_horizontal(SPECIES) > 0
CHECKED = {
    "electricity": ("用电监控", "electricity"),
    "stack": ("在线监测", "stack data"),
    "inspection": ("现场检查", "inspection"),
}


@dataclass(frozen=True, slots=True)
class Books:
    """The rule books that a list asks: grades, cuts, and which industries the guide grades."""

    grades: RuleBook
    cuts: RuleBook
    industries: RuleBook


def down(share: float) -> float:
    """A share in steps of an order, never above it.

    >>> down(0.77086), down(0.5)
    (0.7708, 0.5)
    """
    return math.floor(share / _STEP + 1e-6) * _STEP if share < 1 else 1.0


def up(share: float) -> float:
    """A share in steps of an order, never below it (but for what a solver cannot tell apart)."""
    return min(1.0, math.ceil(share / _STEP - 1e-2) * _STEP)


def percent(share: float) -> float:
    """As the ledger writes it."""
    return round(100 * share, 2)


def grade_for(books: Books, row: Mapping[str, Any]) -> str:
    """The grade that a line's measures follow: its own, or what the option says for industries outside the guide.

    row : `sector, grade`, and `product, code` where they are known.
    """
    if row["grade"] != "none":
        return str(row["grade"])
    industry = industry_of(books.industries, row["sector"], row.get("product"), row.get("code"))
    return "none" if industry.name else books.industries.option("outside_as").upper()


def verified_by(line: Mapping[str, Any]) -> str:
    """How a line can be checked, as the ledger's cell says it: electricity and stacks by name, and inspection."""
    parts = [f"{CHECKED[k][0]}（{line[k]}）" for k in ("electricity", "stack") if line[k]]
    return "、".join([*parts, CHECKED["inspection"][0]])


def slow(books: Books, hours: float | None) -> bool:
    """Whether a line that needs `hours` to stop is not down by the end of the first day: it lowers its load."""
    return (hours or 0.0) > books.cuts.number("notice") + 24


def measure_for(asked: Action, cut: float, is_slow: bool = False) -> str:
    """The measure of the ledger's code ``emergency_measure`` that fits a cut.

    >>> stop, load = Action("stop", 1, 1, "low"), Action("load", 0.1, 0.4, "low")
    >>> measure_for(stop, 0.8), measure_for(stop, 0.5, is_slow=True), measure_for(load, 0.0)
    ('stop', 'load', 'none')
    """
    if asked.measure == "self":
        return "self"
    if cut <= 0:
        return "none"
    if is_slow:
        return "load"
    # A full stop may cut less on the first day, while the line comes down.
    return "stop" if cut >= 1 else asked.measure


def drafted(lines: pl.DataFrame, books: Books, year: int, today: date) -> pl.DataFrame:
    """Ledger rows for lines of :data:`LINES`: what its grade demands at least, as far as it can be down in time.

    Beside the ledger's columns `_key`, and `product, code` of the line.
    """
    lacking = [name for name in LINES if name not in lines.columns]
    if lacking:
        raise LayoutError(f"lines lack {', '.join(lacking)}.", remedy="Give all columns of LINES.")
    made = []
    for line in lines.iter_rows(named=True):
        reach = down(reachable(books.cuts, line["lead_hours"] or 0.0))
        grade = grade_for(books, line)
        row: Row = {
            "_key": f"{line['uscc']}|{line['line_no']}|{year}", "year": year, "plan_updated": today,
            **{k: line[k] for k in ("uscc", "enterprise", "county", "line_no", "line", "sector", "grade")},
            "guaranteed": bool(line["guaranteed"]), "lead_hours": line["lead_hours"],
            **{f"{s}_day": round(1000 * (line[s] or 0.0), 2) for s in SPECIES},
            "verified_by": verified_by(line), "status": "listed",
            "product": line["product"], "code": line["code"],
        }  # fmt: skip
        for level in LEVELS:
            asked = action(books.grades, grade, level)
            cut = 0.0 if line["guaranteed"] else min(asked.least, reach)
            row |= {level: measure_for(asked, cut, slow(books, line["lead_hours"])), f"{level}_cut": percent(cut)}
        made.append(row)
    return pl.DataFrame(made, schema_overrides=_DRAFTED, infer_schema_length=None) if made else pl.DataFrame(
        schema=_DRAFTED
    )  # fmt: skip


_DRAFTED: dict[str, Any] = {
    **dict.fromkeys(("_key", "uscc", "enterprise", "county", "line_no", "line", "sector", "grade"), pl.String),
    "year": pl.Int64,
    "guaranteed": pl.Boolean,
    **{f"{s}_day": pl.Float64 for s in SPECIES},
    **dict.fromkeys(LEVELS, pl.String),
    **{f"{level}_cut": pl.Float64 for level in LEVELS},
    "lead_hours": pl.Float64,
    "verified_by": pl.String,
    "plan_updated": pl.Date,
    "status": pl.String,
    **dict.fromkeys(("product", "code"), pl.String),
}
#: What was put right: the row, the level, shares before and after, why (ramp, protected), in both languages.
MENDS: dict[str, Any] = {
    **dict.fromkeys(("key", "level"), pl.String),
    **dict.fromkeys(("before", "after"), pl.Float64),
    **dict.fromkeys(("why", "zh", "en"), pl.String),
}


def mended(rows: pl.DataFrame, books: Books) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows whose cuts can be given, and :data:`MENDS`: protected lines cut nothing, none more than it can reach.

    rows : of the ledger, or of :func:`drafted`.
    """
    made, told = [], []
    for row in rows.iter_rows(named=True):
        reach = down(reachable(books.cuts, row["lead_hours"] or 0.0))
        for level in LEVELS:
            before = (row[f"{level}_cut"] or 0.0) / 100
            after, why = (0.0, "protected") if row["guaranteed"] else (min(before, reach), "ramp")
            if after < before - 1e-9:
                row[f"{level}_cut"] = percent(after)
                if row["guaranteed"]:
                    row[level] = "none"
                zh, en = _MEND_WORDS[why]
                filled = {"hours": f"{row['lead_hours'] or 0:g}", "cut": percent(after)}
                told.append(
                    {"key": row["_key"], "level": level, "before": before, "after": after, "why": why,
                     "zh": zh.format(**filled), "en": en.format(**filled)}
                )  # fmt: skip
        made.append(row)
    frame = pl.DataFrame(made, schema=rows.schema) if made else rows
    return frame, pl.DataFrame(told, schema=MENDS)


_MEND_WORDS = {
    "ramp": (
        "停产需{hours}小时，首日最多减排{cut:g} %，按此计。",
        "It needs {hours} h to stop: on the first day at most {cut:g} %, which counts.",
    ),
    "protected": ("民生保障类不减排。", "Needed by the people: it cuts nothing."),
}


def gridded(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines of a completion with bounds in steps of an order, so that a rounded cut stays within them."""
    made = lines.with_columns(
        pl.col(f"high_{level}").map_elements(down, return_dtype=pl.Float64) for level in LEVELS
    )
    return made.with_columns(
        pl.min_horizontal(pl.col(f"low_{level}").map_elements(up, return_dtype=pl.Float64), f"high_{level}").alias(
            f"low_{level}"
        )
        for level in LEVELS
    )


def completed(rows: pl.DataFrame, cuts: pl.DataFrame, books: Books) -> pl.DataFrame:
    """Rows with the cuts of a completion (`key, level, cut`) and the measures that go with them.

    A measure stays as it is where its cut does not change.
    """
    found = {(r["key"], r["level"]): up(r["cut"]) for r in cuts.iter_rows(named=True)}
    made = []
    for row in rows.iter_rows(named=True):
        grade = grade_for(books, row)
        least = 0.0
        for level in LEVELS:
            before = (row[f"{level}_cut"] or 0.0) / 100
            cut = max(found.get((row["_key"], level), before), least)
            least = cut
            if abs(cut - before) > _STEP / 2:
                row[f"{level}_cut"] = percent(cut)
                asked = action(books.grades, grade, level)
                row[level] = _stronger(row[level], measure_for(asked, cut, slow(books, row["lead_hours"])))
        made.append(row)
    return pl.DataFrame(made, schema=rows.schema)


_STRENGTH = ("none", "self", "transport", "load", "stop_lines", "stop")


def _stronger(before: str, after: str) -> str:
    """A measure never becomes weaker than it was while its cut grows."""
    known = [m for m in (before, after) if m in _STRENGTH]
    return max(known, key=_STRENGTH.index) if known else after
