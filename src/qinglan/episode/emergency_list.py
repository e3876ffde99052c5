"""An emergency list checked against what it must be, and made ready for its completion.

Rows are those of the ledger ``emergency-list`` (kg a day by species, a measure and a cut at each level).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from qinglan.core.errors import LayoutError, NotFound
from qinglan.core.rulebook import RuleBook
from qinglan.episode.completion import LEVELS, SPECIES, Terms, rows_of
from qinglan.episode.grades import action
from qinglan.episode.reasons import LEVEL_WORDS, SPECIES_WORDS
from qinglan.episode.requirement import reachable

#: Columns of the ledger that are read; `_key` is a row's identity.
READ = (
    *("_key", "uscc", "line_no", "year", "sector", "grade", "guaranteed", "status", "lead_hours"),
    *(f"{s}_day" for s in SPECIES), *LEVELS, *(f"{level}_cut" for level in LEVELS),
)  # fmt: skip
#: What a finding says: the row (empty: the list), the value, and both languages.
FINDINGS = dict.fromkeys(("check", "key", "level", "value", "zh", "en", "remedy_zh", "remedy_en"), pl.String)


def listed(rows: pl.DataFrame, year: int) -> pl.DataFrame:
    """Rows of a year that are on the list, with tonnes a day by species; NotFound when there are none."""
    lacking = [name for name in READ if name not in rows.columns]
    if lacking:
        raise LayoutError(f"rows of the list lack {', '.join(lacking)}.", remedy="Read the ledger emergency-list.")
    found = rows.filter((pl.col("year") == year) & (pl.col("status") == "listed"))
    if found.is_empty():
        raise NotFound(f"no line is listed for {year}.", remedy="Import the list of that year.")
    return found.with_columns((pl.col(f"{s}_day").fill_null(0.0) / 1000).alias(s) for s in SPECIES)


def bounded(rows: pl.DataFrame, grades: RuleBook, cuts: RuleBook, cost: Mapping[str, float]) -> pl.DataFrame:
    """Lines as :func:`qinglan.episode.completion.complete` takes them, out of :func:`listed`.

    What is listed already is the least; the most is what the grade allows and the line can reach in time, but
    never below what is listed. Protected lines cut no more than is listed. cost : CNY a tonne cut, by sector;
    ``*`` for those not named.
    """
    made = []
    for row in rows.iter_rows(named=True):
        line: dict[str, Any] = {
            "key": row["_key"], "enterprise": row["uscc"], "group": f"{row['sector']}|{row['grade']}",
            **{s: row[s] for s in SPECIES},
            "cost": cost.get(row["sector"], cost["*"]) * sum(row[s] for s in SPECIES), "whole": False,
        }  # fmt: skip
        for level in LEVELS:
            line |= _bounds(row, level, grades, cuts)
        made.append(line)
    return pl.DataFrame(made, infer_schema_length=None)


def _bounds(row: Mapping[str, Any], level: str, grades: RuleBook, cuts: RuleBook) -> dict[str, Any]:
    asked = action(grades, row["grade"], level)
    own = (row[f"{level}_cut"] or 0.0) / 100
    reach = reachable(cuts, row["lead_hours"] or 0.0)
    high, why = min((asked.most, "exempt" if asked.most == 0 else "grade"), (reach, "ramp"))
    if high >= 1:
        why = "whole"
    low, low_why = (own, "listed") if own >= asked.least else (asked.least, "grade")
    if row["guaranteed"]:
        low, low_why, high, why = own, "listed", 0.0, "protected"
    low = min(low, max(high, own))
    return {
        f"low_{level}": low, f"high_{level}": max(high, own), f"low_why_{level}": low_why if low else "none",
        f"high_why_{level}": why,
    }  # fmt: skip


def findings(
    rows: pl.DataFrame, terms: Terms, cuts: RuleBook, emitting: Iterable[tuple[str, str]] = ()
) -> pl.DataFrame:
    """What is wrong with a list: :data:`FINDINGS`. rows : of :func:`listed`.

    emitting : (credit code, name) of all enterprises that emit. Checked are the reduction, the coverage, the same
    measures for all grades of an industry, protected lines that are cut, lines that cannot be down in time, and
    lines counted twice. The list's cuts count as listed, whether a line can reach them or not.
    """
    made = [*_short(rows, terms), *_uncovered(rows, emitting), *_alike(rows), *_lines(rows, cuts), *_twice(rows)]
    return pl.DataFrame(made, schema=FINDINGS)


def _found(check: str, key: str, level: str, value: str, *words: str) -> dict[str, str]:
    return dict(zip(FINDINGS, (check, key, level, value, *words), strict=True))


def _short(rows: pl.DataFrame, terms: Terms) -> Iterable[dict[str, str]]:
    for need in rows_of(terms):
        share = rows[f"{need.level}_cut"].fill_null(0.0) / 100
        reached = sum(float((rows[s] * share).sum()) / terms.base[s] for s in need.species)
        if reached < need.share - 1e-9:
            level, species = LEVEL_WORDS[need.level], SPECIES_WORDS[need.name]
            got, asked = f"{100 * reached:.1f} %", f"{100 * need.share:.1f} %"
            yield _found(
                "reduction", "", need.level, got,
                f"{level[0]}预警{species[0]}减排{got}，要求{asked}。",
                f"{species[1]} at {level[1]} is cut by {got} of {asked}.",
                "补足减排措施。", "Complete the list.",
            )  # fmt: skip


def _uncovered(rows: pl.DataFrame, emitting: Iterable[tuple[str, str]]) -> Iterable[dict[str, str]]:
    known = set(rows["uscc"].to_list())
    for uscc, name in emitting:
        if uscc not in known:
            yield _found(
                "coverage", "", "", uscc, f"{name}（{uscc}）未纳入清单。", f"{name} ({uscc}) is not on the list.",
                "纳入清单。", "List its lines.",
            )  # fmt: skip


def _alike(rows: pl.DataFrame) -> Iterable[dict[str, str]]:
    """One size for all: an industry of several grades in which every line has the same measure and cut."""
    free = rows.filter(~pl.col("guaranteed"))
    for level in LEVELS:
        told = free.group_by("sector").agg(
            pl.col("grade").n_unique().alias("grades"),
            pl.struct(level, f"{level}_cut").n_unique().alias("ways"),
            pl.col(f"{level}_cut").first().alias("cut"),
        )
        for row in (
            told.filter((pl.col("grades") > 1) & (pl.col("ways") == 1) & (pl.col("cut") > 0))
            .sort("sector")
            .to_dicts()
        ):
            yield _found(
                "one_size", "", level, row["sector"],
                f"{row['sector']}行业{row['grades']}个等级措施相同，属一刀切。",
                f"{row['grades']} grades of {row['sector']} have one measure.",
                "按绩效等级分别定措施。", "Set measures by grade.",
            )  # fmt: skip


def _lines(rows: pl.DataFrame, cuts: RuleBook) -> Iterable[dict[str, str]]:
    for row in rows.iter_rows(named=True):
        hours = row["lead_hours"] or 0.0
        reach = 100 * reachable(cuts, hours)
        for level in LEVELS:
            cut = row[f"{level}_cut"] or 0.0
            if row["guaranteed"] and cut > 0:
                yield _found(
                    "protected", row["_key"], level, f"{cut:g} %",
                    f"民生保障类被要求减排{cut:g} %。", f"A protected line is cut by {cut:g} %.",
                    "取消减排，或核对民生保障认定。", "Lift the cut, or check that it is protected.",
                )  # fmt: skip
            if cut > reach + 0.05:
                yield _found(
                    "ramp", row["_key"], level, f"{hours:g} h",
                    f"停产需{hours:g}小时，首日最多减{reach:.0f} %，清单为{cut:g} %。",
                    f"It needs {hours:g} h to stop and can cut {reach:.0f} % on the first day, not {cut:g} %.",
                    "提前通知，或调低首日减排比例。", "Tell it earlier, or list less for the first day.",
                )  # fmt: skip


def _twice(rows: pl.DataFrame) -> Iterable[dict[str, str]]:
    """A line's number is its own in the province; two rows of one count its tonnes twice."""
    many = (
        rows.group_by("line_no").agg(pl.col("_key").sort()).filter(pl.col("_key").list.len() > 1).sort("line_no")
    )
    for row in many.iter_rows(named=True):
        for key in row["_key"][1:]:
            yield _found(
                "twice", key, "", row["line_no"],
                f"生产线{row['line_no']}重复计入。", f"Line {row['line_no']} is counted twice.",
                "保留一行。", "Keep one of the rows.",
            )  # fmt: skip
