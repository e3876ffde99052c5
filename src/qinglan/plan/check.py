"""Checks a plan pack and lists every error at once: the grammar of each file and the references between them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from qinglan.core.errors import NotFound
from qinglan.plan.pack_schema import EVIDENCE, Problem, RawPack, as_day, name_of, read_raw
from qinglan.plan.places import Places, load_places

__all__ = ["Problem", "check_plan", "check_raw"]


def check_plan(path: str | Path | Traversable, places: Places | None = None) -> list[Problem]:
    """Every problem of the pack in a folder, in file order; empty when the pack is sound.

    `places` are the places its codes may name (default: those of the package).
    """
    folder = Path(path) if isinstance(path, str) else path
    if not folder.is_dir():
        raise NotFound(f"no plan pack at {folder}.", remedy="Give the folder that holds plan.yaml.")
    return check_raw(read_raw(folder), places or load_places())


def check_raw(raw: RawPack, places: Places) -> list[Problem]:
    """The problems of a pack already read: those of its grammar, then those of its references."""
    problems = [
        *raw.problems,
        *_plan(raw, places),
        *_duplicates(raw),
        *_articles(raw),
        *_regions(raw, places),
        *_targets(raw, places),
        *_tasks(raw, places),
    ]
    return sorted(problems, key=lambda p: p.file)


def _ids(entries: Iterable[Any], key: str = "id") -> list[Any]:
    return [e[key] for e in entries if isinstance(e, Mapping) and isinstance(e.get(key), str | int)]


def _plan(raw: RawPack, places: Places) -> Iterator[Problem]:
    plan = raw.documents.get("plan.yaml")
    if not isinstance(plan, Mapping):
        return
    if isinstance(plan.get("place"), str) and plan["place"] not in places:
        yield Problem("plan.yaml", "place", repr(plan["place"]), "Give a known division code.")
    span = plan.get("period")
    start, end = (as_day(span.get(k)) for k in ("start", "end")) if isinstance(span, Mapping) else (None, None)
    if start and end and end < start:
        yield Problem("plan.yaml", "period", f"ends {end} before it starts {start}", "Swap the dates.")
    changes, version = raw.texts.get("CHANGES.md"), plan.get("version")
    if changes is not None and not re.search(rf"^## {re.escape(str(version))}\s*$", changes, re.MULTILINE):
        yield Problem("CHANGES.md", "headings", f"have no '## {version}'", "Say what this version changed.")


def _duplicates(raw: RawPack) -> Iterator[Problem]:
    sections = [("regions.yaml", "regions", "id"), ("targets.yaml", "targets", "id")]
    sections += [("departments.yaml", "departments", "id"), ("articles.yaml", "chapters", "number")]
    sections += [("evidence.yaml", kind, "id") for kind in EVIDENCE.values() if kind != "targets"]
    sections.append(("articles.yaml", "articles", "number"))
    for file, section, key in sections:
        ids = _ids(raw.section(file, section), key)
        for one in sorted({i for i in ids if ids.count(i) > 1}, key=str):
            yield Problem(file, f"{section}[{one}]", f"occurs {ids.count(one)} times", "Keep one.")
    first: dict[str, str] = {}
    for file, _, task in _each_task(raw):
        one = task.get("id")
        if isinstance(one, str) and one in first:
            yield Problem(file, f"tasks[{one}]", f"is a duplicate id, first in {first[one]}", "Rename one.")
        first.setdefault(str(one), file)


def _articles(raw: RawPack) -> Iterator[Problem]:
    plan = raw.documents.get("plan.yaml")
    expected = plan.get("articles_expected") if isinstance(plan, Mapping) else None
    articles = raw.section("articles.yaml", "articles")
    numbers = _ids(articles, "number")
    wanted = list(range(1, expected + 1)) if isinstance(expected, int) else expected
    if isinstance(wanted, list):
        for number in [n for n in wanted if n not in numbers]:
            yield Problem("articles.yaml", f"articles[{number}]", "is missing", "Add the article of the plan.")
        for number in [n for n in numbers if n not in wanted]:
            yield Problem("articles.yaml", f"articles[{number}]", "is not expected", "Mend articles_expected.")
    chapters = _ids(raw.section("articles.yaml", "chapters"), "number")
    duties = raw.duties()
    with_tasks = {d.get("article") for _, d in duties}
    for article in articles:
        where = f"articles[{article.get('number')}]"
        if article.get("chapter") not in chapters:
            yield Problem(
                "articles.yaml", where, f"is in unknown chapter {article.get('chapter')}", "Add the chapter."
            )
        if duties and (article.get("number") in with_tasks) == ("no_tasks" in article):
            value = "has tasks and no_tasks" if "no_tasks" in article else "has no task"
            yield Problem("articles.yaml", where, value, "Write its tasks, or say in no_tasks why there are none.")


def _regions(raw: RawPack, places: Places) -> Iterator[Problem]:
    numbers = _ids(raw.section("articles.yaml", "articles"), "number")
    for region in raw.section("regions.yaml", "regions"):
        where = f"regions[{region.get('id')}]"
        yield from _known_places("regions.yaml", where, region.get("places"), places)
        if numbers and region.get("article") not in numbers and region.get("article") != 2:
            yield Problem(
                "regions.yaml", where, f"names unknown article {region.get('article')}", "Mend the number."
            )


def _known_places(file: str, where: str, codes: Any, places: Places) -> Iterator[Problem]:
    for code in codes if isinstance(codes, list) else ():
        if isinstance(code, str) and code not in places:
            yield Problem(file, f"{where}.places", repr(code), "Give a known division code or zone.")


def _scope(raw: RawPack, file: str, where: str, scope: Any, places: Places) -> Iterator[Problem]:
    if not isinstance(scope, Mapping):
        return
    yield from _known_places(file, f"{where}.scope", scope.get("places"), places)
    known = _ids(raw.section("regions.yaml", "regions"))
    regions = scope.get("regions")
    for region in regions if isinstance(regions, list) else ():
        if region not in known:
            yield Problem(file, f"{where}.scope.regions", repr(region), f"Known: {', '.join(known)}.")
    if not scope.get("places") and not regions:
        yield Problem(file, f"{where}.scope", "is empty", "Give places or regions.")


def _targets(raw: RawPack, places: Places) -> Iterator[Problem]:
    file = "targets.yaml"
    numbers = _ids(raw.section("articles.yaml", "articles"), "number")
    ledgers = _ids(raw.section("evidence.yaml", "ledgers"))
    proved = {
        e.get("id") for _, _, t in _each_task(raw) for e in _list(t.get("evidence")) if e.get("type") == "target"
    }
    plan = raw.documents.get("plan.yaml")
    issued = as_day(plan.get("issued")) if isinstance(plan, Mapping) else None
    for target in raw.section(file, "targets"):
        where = f"targets[{target.get('id')}]"
        if target.get("article") not in numbers:
            yield Problem(file, f"{where}.article", repr(target.get("article")), "Give an article of this plan.")
        yield from _scope(raw, file, where, target.get("scope"), places)
        for value, remedy in _target_faults(target, ledgers):
            yield Problem(file, where, value, remedy)
        values = target.get("values")
        for due, entry in values.items() if isinstance(values, Mapping) else ():
            if isinstance(entry, Mapping) and entry.get("unit") != target.get("unit"):
                remedy = f"The target's unit is {target.get('unit')!r}."
                yield Problem(file, f"{where}.values.{due}.unit", repr(entry.get("unit")), remedy)
            reached = as_day(due)
            if issued and reached and reached < issued:
                yield Problem(file, f"{where}.values.{due}", f"is before the issue {issued}", "Mend the date.")
        if raw.duties() and target.get("id") not in proved:
            yield Problem(file, where, "is proved by no task", "Name it in the evidence of a task.")


def _list(value: Any) -> list[Any]:
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, list) else []


def _target_faults(target: Mapping[str, Any], ledgers: list[Any]) -> Iterator[tuple[str, str]]:
    judge, comparison = target.get("judged_by"), target.get("comparison")
    if (judge == "air") != ("air" in target):
        yield (
            f"judged_by {judge!r} with{'' if 'air' in target else 'out'} air",
            "An air target has air, others not.",
        )
    if judge == "ledger" and "ledger" not in target:
        yield "judged_by 'ledger' without ledger", "Name the ledger that answers."
    if "ledger" in target and target["ledger"] not in ledgers:
        yield f"names unknown ledger {target['ledger']!r}", "Declare it in evidence.yaml."
    if comparison == "about" and not ("tolerance" in target and "better" in target):
        yield (
            "compares 'about' without tolerance and better",
            "Say how much counts as about and which side is good.",
        )
    if (comparison in ("increase", "decrease") or target.get("relative")) and "baseline" not in target:
        yield "is relative without baseline", "Declare the baseline, value null when the plan gives none."
    variants = _ids(target["air"].get("variants") or (), "name") if isinstance(target.get("air"), Mapping) else []
    for name in sorted({v for v in variants if variants.count(v) > 1}):
        yield f"has variant {name!r} twice", "Rename one."
    air = target.get("air")
    if isinstance(air, Mapping) and (air.get("statistic") == "mean") != ("item" in air):
        yield (
            f"has statistic {air.get('statistic')!r} and item {air.get('item')!r}",
            "A mean, and only it, has an item.",
        )


def _each_task(raw: RawPack) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    for file, duty in raw.duties():
        for task in _list(duty.get("tasks")):
            yield file, duty, task


def _tasks(raw: RawPack, places: Places) -> Iterator[Problem]:
    departments = _ids(raw.section("departments.yaml", "departments"))
    numbers = _ids(raw.section("articles.yaml", "articles"), "number")
    for index, (file, duty) in enumerate(raw.duties()):
        where = f"duties{name_of(duty, index)} of article {duty.get('article')}"
        if duty.get("article") not in numbers:
            yield Problem(file, where, f"names unknown article {duty.get('article')!r}", "Mend the number.")
        named = [d for key in ("lead", "supporting") for d in (duty.get(key) or ()) if isinstance(d, str)]
        for one in sorted(set(named)):
            if one not in departments:
                yield Problem(file, where, f"names unknown department {one!r}", "Declare it in departments.yaml.")
            if named.count(one) > 1:
                yield Problem(file, where, f"names {one!r} {named.count(one)} times", "Name it once.")
    catalogue = _catalogue(raw)
    for file, _, task in _each_task(raw):
        where = f"tasks[{task.get('id')}]"
        if "scope" in task:
            yield from _scope(raw, file, where, task["scope"], places)
        for value, remedy in _timing_faults(task):
            yield Problem(file, where, value, remedy)
        for index, item in enumerate(_list(task.get("evidence"))):
            for value, remedy in _evidence_faults(item, catalogue):
                yield Problem(file, f"{where}.evidence[{index}]", value, remedy)


def _catalogue(raw: RawPack) -> dict[str, dict[str, str]]:
    """Known ids with their unit (empty where they have none), by evidence type."""
    known: dict[str, dict[str, str]] = {}
    for kind, section in EVIDENCE.items():
        file = "targets.yaml" if kind == "target" else "evidence.yaml"
        known[kind] = {str(e.get("id")): str(e.get("unit", "")) for e in raw.section(file, section)}
    return known


def _timing_faults(task: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    cadence = task.get("cadence", "continuous")
    if (cadence == "once") != ("deadline" in task):
        yield (
            f"has cadence {cadence!r} and deadline {task.get('deadline')!r}",
            "A deadline goes with cadence: once.",
        )
    each = task.get("due_each")
    if (cadence in ("annual", "quarterly", "monthly")) != (each is not None):
        yield f"has cadence {cadence!r} and due_each {each!r}", "A recurring task says when it is due."
    elif isinstance(each, str) and cadence in ("annual", "monthly") and (cadence == "annual") != ("-" in each):
        yield f"has cadence {cadence!r} and due_each {each!r}", 'Yearly: "MM-DD"; monthly: "DD".'


def _evidence_faults(
    item: Mapping[str, Any], catalogue: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, str]]:
    kind, one = str(item.get("type")), str(item.get("id"))
    if kind not in catalogue:
        return
    if one not in catalogue[kind]:
        place = "targets.yaml" if kind == "target" else "evidence.yaml"
        yield f"names unknown {kind} {one!r}", f"Declare it in {place}."
    if kind != "target" and "done_when" not in item:
        yield f"({kind} {one}) has no done_when", "Say in both languages what makes it done."
    judged = {"comparison", "value", "unit"} & set(item)
    if (kind == "reported_value" and len(judged) < 3) or (kind != "reported_value" and judged):
        yield (
            f"({kind} {one}) has {sorted(judged)}",
            "comparison, value and unit belong to a reported_value, all three.",
        )
    unit = catalogue[kind].get(one)
    if kind == "reported_value" and unit and item.get("unit") != unit:
        yield f"has unit {item.get('unit')!r}", f"The indicator {one} is in {unit}."
