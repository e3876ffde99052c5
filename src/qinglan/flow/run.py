"""The main job: raw hours -> control -> days -> index -> periods -> the verdict on the plan, written as a run."""

from __future__ import annotations

import filecmp
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from qinglan.air.aqi import hourly_aqi
from qinglan.core.clock import Period
from qinglan.core.errors import NotFound
from qinglan.core.names import HOURLY_ITEMS
from qinglan.core.provenance import Coverage, Run, fingerprint
from qinglan.flow import air_results, console_settings, dust, quality
from qinglan.flow.air_results import AirTables, Options
from qinglan.flow.beside import build as build_beside
from qinglan.flow.ledgers import targets as ledger_targets
from qinglan.flow.measure import Basis, Evaluated
from qinglan.flow.outlook import outlook
from qinglan.flow.review import final_months
from qinglan.flow.series import build as build_series
from qinglan.flow.workspace import Workspace
from qinglan.plan.judge import Measured, Reported, judge_targets
from qinglan.plan.pack import Plan, Target, load_plan
from qinglan.plan.rules import rules_on
from qinglan.plan.tasks import EvidenceRecord, articles_verdict, record_faults, task_states
from qinglan.store import decisions, runs, stations

Progress = Callable[[str], None]

#: Tables of a run that are written beside its verdict, each in the order of its key: equal runs are equal files.
WRITTEN: Mapping[str, tuple[str, ...]] = {
    "station_days": ("station", "day"),
    "place_days": ("place", "day"),
    "place_aqi": ("place", "day", "edition"),
    "station_aqi": ("station", "day", "edition"),
    "evaluation": ("place", "period", "item", "statistic", "dust"),
    "exceedance": ("place", "period", "item"),
    "summary": ("place", "period", "dust"),
    "ranking": ("field", "period", "dust", "rank", "place"),
    "hourly_aqi": ("place", "station", "time"),
    "dust_days": ("place", "day"),
    "dust_events": ("id",),
    "stations": ("station",),
}
_HOURS_SHOWN = 240


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run decided: the content of ``verdict.json`` and the folder that holds its tables."""

    folder: Path
    content: Mapping[str, Any]


def _silent(_: str) -> None:
    return None


def air_tables(
    workspace: Workspace,
    as_of: date | None = None,
    *,
    options: Options | None = None,
    periods: Sequence[Period] | None = None,
    progress: Progress = _silent,
    review: Callable[[Workspace], None] | None = None,
) -> tuple[AirTables, date, list[Period]]:
    """Everything the air room says of a workspace up to a day (by default the last day of data).

    review : called between the proposing of dust events and their use, for a reviewer who is a program.

    Raises NotFound when the lake holds no observations.
    """
    chosen = console_settings.options(workspace, options)
    first, last = data_span(workspace)
    as_of = min(as_of, last) if as_of is not None else last
    progress("quality control")
    quality.control(workspace, rules_on(as_of, chosen).control)
    lake = workspace.lake
    con = lake.connect()
    air = AirTables(con)
    register = _register(workspace)
    rules = rules_on(as_of, chosen)
    progress("daily values")
    checked, reported = (lake.table(name, con=con) for name in ("checked", "city_days"))
    air_results.compute_days(air, checked, reported, register, rules, as_of)
    progress("dust")
    dust.propose(workspace, air, rules.dust)
    if review is not None:
        review(workspace)
    dust.apply_confirmed(workspace, air)
    progress("daily index")
    air_results.compute_aqi(air, as_of, chosen)
    wanted = list(periods) if periods is not None else air_results.evaluation_periods(first, as_of)
    before = [p.back() for p in wanted if p.back() not in wanted and p.back().start >= first]
    air_results.compute_periods(air, [*wanted, *before], chosen, progress)
    return air, as_of, [*wanted, *before]


def data_span(workspace: Workspace) -> tuple[date, date]:
    """First and last statistical day of observations; NotFound when there are none."""
    spans: list[tuple[date, date]] = []
    for name in ("hours", "city_days"):
        if workspace.lake.rows(name):
            table = workspace.lake.table(name)
            row = table.aggregate(low=table.day.min(), high=table.day.max()).to_pyarrow().to_pylist()[0]
            spans.append((row["low"], row["high"]))
    if not spans:
        raise NotFound(
            f"{workspace.home} holds no observations.", remedy="Load some: `qinglan ingest LAYOUT PATH...`."
        )
    return min(s[0] for s in spans), max(s[1] for s in spans)


def _register(workspace: Workspace) -> ir.Table:
    """The station register as a table."""
    rows = [{k: v for k, v in row.items() if k != "aliases"} for row in stations.stations(workspace.registry)]
    schema = pa.schema(
        [
            *[(n, pa.string()) for n in ("station", "name", "place", "county", "kind")],
            *[(n, pa.float64()) for n in ("lon", "lat", "altitude")],
            ("control_point", pa.bool_()),
            ("valid_from", pa.date32()),
            ("valid_to", pa.date32()),
        ]
    )
    return ibis.memtable(pa.Table.from_pylist([{n: r.get(n) for n in schema.names} for r in rows], schema=schema))


def run(
    workspace: Workspace,
    *,
    now: datetime,
    as_of: date | None = None,
    options: Options | None = None,
    who: str = "qinglan",
    progress: Progress = _silent,
    review: Callable[[Workspace], None] | None = None,
) -> Verdict:
    """Judge the workspace's plan and make the result the current one.

    options : of the rule books, for this run, over those set in the console; the verdict carries what was used.
    """
    plan = load_plan(workspace.settings.plan)
    options = console_settings.options(workspace, options)
    wanted = _periods(workspace, plan, as_of)
    air, as_of, periods = air_tables(
        workspace, as_of, options=options, periods=wanted, progress=progress, review=review
    )
    try:
        progress("ranking")
        air_results.compute_ranking(air, fields_of(workspace, air), periods)
        _keep_extras(workspace, air, as_of, options)
        progress("verdict")
        content = _content(workspace, plan, air, as_of, options, now)
        folder = _write(workspace, air, content)
    finally:
        air.con.disconnect()
    build_series(workspace, folder)
    build_beside(workspace, folder)
    runs.record_run(workspace.registry, content["run"]["id"], "run", content["run"], who=who, at=now)
    return Verdict(folder, content)


def _periods(workspace: Workspace, plan: Plan, as_of: date | None) -> list[Period]:
    """All periods of the data, and those that the plan's targets speak of."""
    first, last = data_span(workspace)
    until = min(as_of, last) if as_of is not None else last
    found = air_results.evaluation_periods(first, until)
    asked = [_until(v.period, until) for t in plan.targets if t.air is not None for v in t.values]
    return found + [p for p in dict.fromkeys(asked) if p is not None and p not in found and p.end >= first]


def _until(period: Period, day: date) -> Period | None:
    """The part of a period that is over on a day; None when it has not begun."""
    return None if day < period.start else Period(period.start, min(period.end, day))


def fields_of(workspace: Workspace, air: AirTables) -> dict[str, list[str]]:
    """Who is ranked against whom: prefecture-level cities, and counties, that have data."""
    places = air.con.to_pyarrow(air["place_days"].select("place").distinct())["place"].to_pylist()
    fields: dict[str, list[str]] = {"prefectures": [], "counties": []}
    for code in sorted(places):
        known = workspace.places[code].level if code in workspace.places else "prefecture"
        fields["counties" if known == "county" else "prefectures"].append(code)
    return {name: codes for name, codes in fields.items() if codes}


def _keep_extras(workspace: Workspace, air: AirTables, as_of: date, options: Options) -> None:
    """Tables that pages show beside the results: the last hours' index, dust events, the register."""
    con = air.con
    checked = workspace.lake.table("checked", con=con)
    newest = con.to_pyarrow(checked.filter(checked.day <= as_of).time.max()).as_py()
    rules = rules_on(as_of, options)
    start = None if newest is None else newest.timestamp() - _HOURS_SHOWN * 3600
    register = air.con.create_table("register", _register(workspace), temp=True)
    parts = []
    for key, table in (("station", checked), ("place", air["place_hours"])):
        recent = table.filter(table.day <= as_of)
        if start is not None:
            recent = recent.filter(recent.time.epoch_seconds() > int(start))
        indexed = hourly_aqi(recent, rules, key=key)
        values = recent.select(key, "time", *HOURLY_ITEMS)
        joined = indexed.inner_join(values, [key, "time"])
        if key == "station":
            joined = joined.left_join(register.select("station", "place"), "station").drop("station_right")
        else:
            joined = joined.mutate(station=ibis.null("string"))
        parts.append(joined)
    names = parts[0].columns
    air.keep("hourly_aqi", parts[0].union(parts[1].select(*names)))
    air.tables["stations"] = register
    events = [
        {**e, "evidence": json.dumps(e["evidence"], default=str)}
        for e in decisions.dust_events(workspace.registry)
    ]
    air.keep("dust_events", ibis.memtable(_event_table(events)))


def _event_table(events: Sequence[Mapping[str, Any]]) -> pa.Table:
    schema = pa.schema(
        [
            *[(n, pa.string()) for n in ("id", "place", "removal", "status", "reviewer", "reason", "evidence")],
            ("start", pa.timestamp("us", "UTC")),
            ("end", pa.timestamp("us", "UTC")),
            ("rule_version", pa.string()),
        ]
    )
    return pa.Table.from_pylist([{n: e.get(n) for n in schema.names} for e in events], schema=schema)


def _content(
    workspace: Workspace, plan: Plan, air: AirTables, as_of: date, options: Options, now: datetime
) -> dict[str, Any]:
    rules = rules_on(as_of, options)
    events = decisions.dust_events(workspace.registry)
    making = Run(
        kind="run",
        started_at=now,
        inputs=_inputs(workspace, plan, as_of),
        rules=rules.uses(),
        arguments={
            "plan": plan.id,
            "as_of": as_of.isoformat(),
            "options": {k: dict(v) for k, v in options.items()},
        },
    )
    judged = judged_targets(workspace, plan, air, as_of, options)
    filed, refused = _filed(workspace, plan, as_of)
    states = task_states(plan, {t["id"]: t["status"] for t in judged}, filed, as_of)
    return {
        "run": making.as_dict(),
        "plan": {"id": plan.id, "title": plan.title.as_dict(), "hash": plan.hash, "number": plan.number},
        "as_of": as_of.isoformat(),
        "simulated": workspace.settings.simulated,
        "targets": judged,
        "articles": articles_verdict(plan, states),
        "refused_evidence": refused,
        "departments": {d.id: d.title.as_dict() for d in plan.departments.values()},
        "places": _place_rows(workspace, air, as_of),
        "dust": {
            state: sum(e["status"] == state for e in events) for state in ("proposed", "confirmed", "rejected")
        },
        "control": quality.control(workspace, rules.control).as_dict(),
        "review": {"final_months": final_months(workspace)},
    }


def _inputs(workspace: Workspace, plan: Plan, as_of: date) -> dict[str, str]:
    """Fingerprints of all that a verdict stands on: observations, register, plan, and what people decided."""
    registry = workspace.registry
    said: dict[str, list[dict[str, Any]]] = {
        "stations": stations.stations(registry),
        "dust_events": decisions.dust_events(registry),
        "reported_values": decisions.reported_values(registry, as_of=as_of),
        "task_evidence": decisions.task_evidence(registry, as_of=as_of),
    }
    # Not who wrote it down when; an event's own evidence is made from the hours again.
    left_out = ("at", "id", "version", "evidence", "rule_version")
    rest = {name: [{k: v for k, v in r.items() if k not in left_out} for r in rows] for name, rows in said.items()}
    return {
        **{f"lake/{n}": workspace.lake.fingerprint(n) for n in ("hours", "city_days", "checked")},
        "plan": plan.hash,
        "final_months": fingerprint(final_months(workspace)),
        "ledgers": ledger_targets.state(workspace),
        **{name: fingerprint(sorted(fingerprint(row) for row in rows)) for name, rows in rest.items()},
    }


def judged_targets(
    workspace: Workspace, plan: Plan, air: AirTables, as_of: date, options: Options
) -> list[dict[str, Any]]:
    """Every target with its status: air targets measured, others from ledgers or from what offices reported."""
    summary, evaluation = (air.con.to_pyarrow(air[name]).to_pylist() for name in ("summary", "evaluation"))
    least = int(rules_on(as_of, options).limits.number("validity.year.days_min"))
    rows = Evaluated(summary, evaluation, least_share=Fraction(least, 365))
    measured: dict[str, Measured] = ledger_targets.answers(workspace, plan, as_of)
    series: dict[str, list[dict[str, Any]]] = {}
    for target in plan.targets:
        if target.air is not None:
            found = _measured(workspace, plan, target, rows, air, as_of, options)
            if found is not None:
                measured[target.id], series[target.id] = found
    told = decisions.reported_values(workspace.registry, as_of=as_of)
    reported = [
        Reported(r["target_id"], r["value"], r["unit"], r["as_of"], r["source"], r["by"], r["baseline_value"])
        for r in told
        if any(r["target_id"] == t.id for t in plan.targets)
    ]
    judged = judge_targets(plan, measured, reported, as_of)
    for row in judged:
        row["series"] = series.get(row["id"], [])
    return judged


def _measured(
    workspace: Workspace,
    plan: Plan,
    target: Target,
    rows: Evaluated,
    air: AirTables,
    as_of: date,
    options: Options,
) -> tuple[Measured, list[dict[str, Any]]] | None:
    """The figure of an air target, its variants, and that of the years before; None without any data."""
    assert target.air is not None
    places = plan.air_places(target, workspace.places)
    goal = target.value_at(as_of)
    period = _until(goal.period, as_of)
    if period is None:
        return None
    base = target.air

    def basis(combine: str, dusty: str) -> Basis:
        return Basis(base.statistic, base.item, combine, dusty)

    main = basis(base.combine, base.dust)
    figure = rows.figure(places, period, main)
    if figure.value is None:
        return None
    variants = {v.name: rows.figure(places, period, basis(v.combine, v.dust)).value for v in base.variants}
    before = None
    if target.baseline is not None and target.baseline.value is None:
        before = rows.figure(places, target.baseline.period, main).value
    years = [Period.year(y) for y in range(goal.period.end.year - 9, as_of.year + 1)]
    found = [(p, rows.figure(places, p, main)) for p in years if p.end <= as_of]
    series = [
        {"period": p.label, "value": float(f.value), "data_valid": f.data_valid}
        for p, f in found
        if f.value is not None
    ]
    ahead = outlook(air, target, places, goal, as_of, rules_on(as_of, options))
    projection = ahead.projection
    if as_of >= goal.period.end:  # nothing is left to project: the value itself, places weighted as judged
        projection = dict.fromkeys(("value", "low", "high"), float(figure.value))
    made = Measured(
        value=figure.value,
        coverage=Coverage(figure.coverage.expected, figure.coverage.observed),
        edition=figure.edition if base.statistic == "mean" else _index_editions(period, options),
        dust=base.dust,
        data_valid=figure.data_valid,
        variants=variants,
        baseline_value=before,
        trend=ahead.trend,
        budget=ahead.budget,
        projection=projection,
    )
    return made, series


def _index_editions(period: Period, options: Options) -> str:
    """The editions of HJ 633 whose index counted the days of a period."""
    return ", ".join(dict.fromkeys(rules_on(day, options).aqi.edition for day in (period.start, period.end)))


def _filed(workspace: Workspace, plan: Plan, as_of: date) -> tuple[list[EvidenceRecord], list[str]]:
    """Evidence that was filed for tasks, as the plan room reads it, and why some of it fits the plan no more."""
    records = [
        EvidenceRecord(
            task=row["task_id"],
            item=row["item"],
            ref=row["reference"],
            on=row["as_of"],
            source=row["source"],
            by=row["by"],
            cycle=row["cycle"],
            satisfied=row["satisfied"],
            value=row["value"],
            unit=row["unit"],
        )
        for row in decisions.task_evidence(workspace.registry, as_of=as_of)
    ]
    faults = [record_faults(plan, record, as_of) for record in records]
    return [r for r, f in zip(records, faults, strict=True) if not f], [text for f in faults for text in f]


def _place_rows(workspace: Workspace, air: AirTables, as_of: date) -> list[dict[str, Any]]:
    """The latest evaluated year (else the longest period) of each place with its ranking, dust out."""
    summary, ranking = air["summary"], air["ranking"]
    labels = set(air.con.to_pyarrow(summary.select("period").distinct())["period"].to_pylist())
    newest = max(
        (Period.parse(label) for label in labels), key=lambda p: (p.end <= as_of, p.days >= 365, p.end, p.days)
    )
    chosen = summary.filter((summary.period == newest.label) & (summary.dust == "out"))
    ranks = ranking.filter((ranking.period == newest.label) & (ranking.dust == "out"))
    ranks = ranks.select("place", "rank", "field", "previous_index", "change_percent", "change_rank")
    joined = chosen.left_join(ranks, "place").drop("place_right").order_by(["field", "rank", "place"])
    return [{**workspace.named(row["place"]), **row} for row in air.con.to_pyarrow(joined).to_pylist()]


def _write(workspace: Workspace, air: AirTables, content: Mapping[str, Any]) -> Path:
    """Write a run's folder whole or not at all. A folder that says the same already stays as it is."""
    folder: Path = workspace.results / content["run"]["id"]
    draft = folder.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, key in WRITTEN.items():
        if name in air.tables:
            air.con.to_parquet(air[name].order_by(list(key)), draft / f"{name}.parquet")
    (draft / "verdict.json").write_text(
        json.dumps(content, ensure_ascii=False, indent=1, default=str), encoding="utf-8"
    )
    if _same(folder, draft):
        shutil.rmtree(draft)
        return folder
    old = folder.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    draft.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return folder


def _same(old: Path, new: Path) -> bool:
    """Whether two folders of a run hold the same, but for the moment at which they were made."""
    names = sorted(p.name for p in new.iterdir())
    # The series beside them are made of the checked hours alone, whose fingerprint is part of the run's id.
    if not old.is_dir() or sorted(p.name for p in old.iterdir() if p.is_file()) != names:
        return False
    tables = [n for n in names if n != "verdict.json"]
    if filecmp.cmpfiles(old, new, tables, shallow=False)[0] != tables:
        return False
    said = [json.loads((folder / "verdict.json").read_text(encoding="utf-8")) for folder in (old, new)]
    for content in said:
        content["run"].pop("started_at")
    return bool(said[0] == said[1])
