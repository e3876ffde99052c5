"""Evaluation and ranking on demand: one period, straight from the lake, written nowhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from qinglan.core.clock import Period
from qinglan.core.errors import NotFound, UnknownName
from qinglan.flow import air_results, console_settings
from qinglan.flow.air_results import AirTables, Options
from qinglan.flow.decide import place_code
from qinglan.flow.run import air_tables, fields_of
from qinglan.flow.workspace import Workspace
from qinglan.plan.rules import rules_on

Progress = Callable[[str], None]


def assess(
    workspace: Workspace, period: Period, places: Sequence[str] | None, options: Options, progress: Progress
) -> dict[str, Any]:
    """Summary, evaluation and exceedance of places over a period, dust in and out, with the rules that judged."""
    options = console_settings.options(workspace, options)
    air, _, _ = air_tables(workspace, period.end, options=options, periods=[period], progress=progress)
    try:
        codes = [place_code(workspace, name) for name in places] if places else None
        found = {name: _rows(air, name, period, codes) for name in ("summary", "evaluation", "exceedance")}
    finally:
        air.con.disconnect()
    if not found["summary"]:
        raise NotFound(
            f"no observations in {period.label}.", remedy="Load some, or choose another period or place."
        )
    for rows in found.values():
        _name(workspace, rows)
    return {"period": period.label, "rules": rule_uses(period.end, options), **found}


def rank(
    workspace: Workspace, period: Period, among: str, dust: str, options: Options, progress: Progress
) -> dict[str, Any]:
    """Ranking of a field of places over a period, against the same period of the year before."""
    options = console_settings.options(workspace, options)
    air, _, periods = air_tables(workspace, period.end, options=options, periods=[period], progress=progress)
    try:
        fields = fields_of(workspace, air)
        if among == "all":
            fields = {"all": [code for codes in fields.values() for code in codes]}
        elif among not in fields:
            raise UnknownName("field of places", among, (*fields, "all"))
        else:
            fields = {among: fields[among]}
        air_results.compute_ranking(air, fields, periods)
        rows = [r for r in _rows(air, "ranking", period, None) if r["dust"] == dust]
    finally:
        air.con.disconnect()
    _name(workspace, rows)
    rows.sort(key=lambda r: (r["rank"] is None, r["rank"], r["place"]))
    return {
        "period": period.label,
        "dust": dust,
        "among": among,
        "rules": rule_uses(period.end, options),
        "ranking": rows,
    }


def rule_uses(on: date, options: Options | None = None) -> list[dict[str, Any]]:
    """The books of the air on a date: text in force, and for each option the choice, its choices and why."""
    return [
        {
            "book": book.book,
            "edition": book.edition,
            "valid_from": book.valid_from.isoformat(),
            "hash": book.content_hash,
            "options": [
                {"name": name, "choice": book.option(name), "choices": list(option.choices), "why": option.why}
                for name, option in book.options.items()
            ],
        }
        for book in rules_on(on, options).books()
    ]


def _rows(air: AirTables, name: str, period: Period, codes: Sequence[str] | None) -> list[dict[str, Any]]:
    table = air[name].filter(lambda t: t.period == period.label)
    if codes is not None:
        table = table.filter(table.place.isin(list(codes)))
    return air.con.to_pyarrow(table.order_by(["place"])).to_pylist()  # type: ignore[no-any-return]


def _name(workspace: Workspace, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        row.update(workspace.named(row["place"]))
