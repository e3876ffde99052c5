"""Any period, and any texts, evaluated on demand from the days of a run by the functions that made the run.

A run evaluates the calendar's periods under the texts in force in each. Whoever asks for other days, or for other
texts ("how would 2025 stand under the standard of 2026?"), gets an answer made from the run's own `place_days`,
`place_aqi` and `dust_days`: the same days, the same code, and for a period of the run the same numbers. Answers
are kept in memory by run, period and choices; nothing is written.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import ibis

from qinglan.core.clock import Period
from qinglan.core.errors import UnknownName, UsageError
from qinglan.core.rulebook import Rules
from qinglan.flow import air_results, apart
from qinglan.flow.air_results import AirTables
from qinglan.flow.views.result import Result, Row
from qinglan.plan.rules import editions, rules_on

#: Options that act on finished days, by family. The others shape the days themselves: they ask for a run.
AFTER_DAYS: Mapping[str, tuple[str, ...]] = {
    "hj663": ("area_class", "attainment", "percentile_validity"),
    "ranking": ("weights", "divide_by_weights", "rank_on"),
    "dust": ("count_as_valid",),
}
IN_FORCE = ""
TABLES = ("summary", "evaluation", "exceedance", "ranking")
_KEPT = 256
_one_at_a_time = threading.Lock()

Choices = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Assessed:
    """A period, judged.

    tables : rows of `summary`, `evaluation`, `exceedance` and `ranking` (contract 0002).
    uses : book, edition and choices of what judged it. on_demand : made now and not by the run.
    """

    period: Period
    tables: Mapping[str, tuple[Row, ...]]
    uses: tuple[Row, ...]
    on_demand: bool


def texts() -> dict[str, date]:
    """Editions of the limits by label, each with the day on which its texts are taken: its last, or its first."""
    return {e.label: e.valid_to or e.valid_from for e in editions("gb3095")}


def choices(given: Mapping[str, str]) -> Choices:
    """Options as `family.option=choice`, checked; the defaults fall out.

    >>> choices({"hj663.attainment": "mean_only", "ranking.weights": "equal"})
    (('hj663.attainment', 'mean_only'),)
    """
    books = {book.book: book for book in rules_on(next(iter(reversed(texts().values())))).books()}
    kept = []
    for name, choice in sorted(given.items()):
        family, _, option = name.partition(".")
        if option not in AFTER_DAYS.get(family, ()):
            raise UnknownName(
                "option of an evaluation", name, [f"{f}.{o}" for f, os in AFTER_DAYS.items() for o in os]
            )
        books[family].with_options(**{option: choice})
        if choice != books[family].options[option].default:
            kept.append((name, choice))
    return tuple(kept)


def assess_any(result: Result, period: Period, edition: str = IN_FORCE, chosen: Choices = ()) -> Assessed:
    """A period under the texts in force in it, or under an edition of the limits with all that goes with it.

    Periods of the run under its own texts are read; all else is made on demand. Raises UsageError for a period
    outside the run's days, UnknownName for an edition or option that there is not.
    """
    if edition and edition not in texts():
        raise UnknownName("edition of the limits", edition, tuple(texts()))
    own = _own(result, period) if not edition and not chosen else None
    if own is not None:
        return own
    first, last = span(result)
    if period.end < first or period.start > last:
        raise UsageError(
            f"period {period.label} lies outside the data of this run.", remedy=f"Ask within {first} to {last}."
        )
    return _made(str(result.folder), result.stamp, period, edition, chosen)


def nothing(period: Period) -> Assessed:
    """A period of which there are no days: empty tables."""
    return Assessed(period, dict.fromkeys(TABLES, ()), (), on_demand=True)


def span(result: Result) -> tuple[date, date]:
    """First and last day of the run's places."""
    rows = result.rows("place_days", "true qualify day = min(day) over () or day = max(day) over ()", "day")
    if not rows:
        raise UsageError("this run has no days.", remedy="Load observations, then run `qinglan run`.")
    return rows[0]["day"], rows[-1]["day"]


def _own(result: Result, period: Period) -> Assessed | None:
    """What the run wrote of a period; None when it did not evaluate it."""
    tables = {name: tuple(result.rows(name, "period = $period", period=period.label)) for name in TABLES}
    if not tables["summary"]:
        return None
    given = result.verdict["run"].get("arguments", {}).get("options", {})
    return Assessed(period, tables, _uses(rules_on(period.end, given)), on_demand=False)


def _uses(rules: Rules) -> tuple[Row, ...]:
    """Text and options of each book."""
    return tuple(
        {"book": b.book, "edition": b.edition, "valid_from": b.valid_from.isoformat(),
         "content_hash": b.content_hash, "options": {name: b.option(name) for name in b.options}}
        for b in rules.books()
    )  # fmt: skip


@lru_cache(maxsize=_KEPT)
def _made(folder: str, stamp: int, period: Period, edition: str, chosen: Choices) -> Assessed:
    """Compute; `stamp` only keys the cache. One at a time, so that big questions leave a core to the readers."""
    with _one_at_a_time:
        return apart.run(_computed, Path(folder), period, edition, chosen)


def _computed(folder: Path, period: Period, edition: str, chosen: Choices) -> Assessed:
    options: dict[str, dict[str, str]] = {}
    for name, choice in chosen:
        family, _, option = name.partition(".")
        options.setdefault(family, {})[option] = choice
    judged = rules_on(texts()[edition], options) if edition else None
    con = ibis.duckdb.connect(threads=2)
    try:
        air = AirTables(con)
        wanted = [period, period.back()]
        first, last = min(p.start for p in wanted), period.end
        for name in ("place_days", "place_aqi", "dust_days"):
            table = con.read_parquet(str(folder / f"{name}.parquet"), table_name=f"run_{name}")
            table = table.filter(table.day >= first, table.day <= last)
            if name == "place_aqi" and judged is not None:
                table = table.mutate(in_force=table.edition == judged.aqi.edition)
            air.keep(name, table)
        air_results.compute_periods(air, wanted, options, lambda _: None, texts=judged)
        codes = con.to_pyarrow(air["place_days"].select("place").distinct().order_by("place"))["place"].to_pylist()
        counties = [code for code in codes if not code.endswith("00")]
        fields = {"prefectures": [c for c in codes if c.endswith("00")], "counties": counties}
        air_results.compute_ranking(air, {name: found for name, found in fields.items() if found}, wanted)
        tables: dict[str, tuple[Row, ...]] = {}
        for name in TABLES:
            table = air[name].filter(air[name].period == period.label)
            tables[name] = tuple(_plain(row) for row in con.to_pyarrow(table.order_by("place")).to_pylist())
    finally:
        con.disconnect()
    return Assessed(period, tables, _uses(judged or rules_on(period.end, options)), on_demand=True)


def _plain(row: dict[str, Any]) -> Row:
    return {name: None if value != value else value for name, value in row.items()}
