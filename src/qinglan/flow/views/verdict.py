"""What the verdict says: targets on the board, articles with their tasks, the rule books that judged."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from qinglan.core.errors import ContentError, RuleError, UnknownName
from qinglan.flow.views.result import Result, Row
from qinglan.plan.pack import load_plan
from qinglan.plan.rules import load_book

#: How a target's status sorts it on the board: judged by the air, by a ledger, waiting for evidence, reported.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "air": ("not_met", "at_risk", "no_data", "on_track", "met"),
    "ledger": ("not_met", "at_risk", "no_data", "on_track", "met"),
    "waiting": ("waiting",),
    "reported": ("reported_not_met", "reported_met"),
}

#: Fields of a verdict's rows that a run may leave out; pages see None.
OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "target": ("value", "shown", "limit", "unit", "distance", "due", "period", "coverage", "edition", "dust",
               "variants", "trend", "budget", "projection", "waiting_for", "reported", "series", "formula",
               "reading", "source", "certainty", "refused", "data_valid", "basis", "conflict"),
    "article": ("title", "summary", "no_tasks", "tasks"),
    "task": ("title", "status", "due", "cadence", "late", "lead", "supporting", "local", "conditional",
             "evidence"),
}  # fmt: skip

#: Where the plan pack keeps the names of a kind of evidence.
CATALOGUES: Mapping[str, str] = {
    "ledger": "ledgers", "document": "documents", "reported_value": "indicators", "dataset": "datasets",
    "run": "runs",
}  # fmt: skip


def board(result: Result) -> dict[str, Any]:
    """Targets grouped for reading (judged by the air, by ledgers, waiting, reported), worst first.

    Counts per status are of those that the air judged, of the waiting and of the reported."""
    targets = targets_of(result)
    groups: dict[str, list[Row]] = {}
    for name, statuses in GROUPS.items():
        members = [t for t in targets if t["status"] in statuses and _judged(t, name)]
        groups[name] = sorted(members, key=lambda t: statuses.index(t["status"]))
    unknown = {t["status"] for t in targets} - {s for group in GROUPS.values() for s in group}
    if unknown:
        raise UnknownName("target status", sorted(unknown)[0], [s for g in GROUPS.values() for s in g])
    counts = {
        status: sum(t["status"] == status and _judged(t, name) for t in targets)
        for name, group in GROUPS.items() if name != "ledger" for status in group
    }  # fmt: skip
    return {"groups": groups, "counts": {k: n for k, n in counts.items() if n}, "total": len(targets)}


def _judged(target: Row, group: str) -> bool:
    """Whether a target belongs to a group by what answered it: the rows of a ledger, or not."""
    return group in ("waiting", "reported") or (target["basis"] is not None) == (group == "ledger")


def _whole(kind: str, row: Mapping[str, Any]) -> Row:
    """A verdict's row with every optional field present."""
    return {**dict.fromkeys(OPTIONAL[kind]), **row}


def targets_of(result: Result) -> list[Row]:
    """The verdict's targets."""
    return [_whole("target", each) for each in result.verdict.get("targets", [])]


def target(result: Result, name: str) -> Row:
    """One target of the verdict by its id."""
    known = targets_of(result)
    for each in known:
        if each["id"] == name:
            return each
    raise UnknownName("target", name, [t["id"] for t in known])


def articles_of(result: Result) -> list[Row]:
    """The plan's articles in their order, each with its tasks, departments and evidence by name."""
    found = [_whole("article", each) for each in result.verdict.get("articles", [])]
    for each in found:
        each["tasks"] = [_task(result, task) for task in each["tasks"] or []]
    return sorted(found, key=lambda a: a["number"])


def _task(result: Result, written: Mapping[str, Any]) -> Row:
    """A task with its departments and evidence named."""
    task = _whole("task", written)
    for role in ("lead", "supporting"):
        task[f"{role}_ids"] = list(task[role] or [])
        task[role] = [department(result, name) for name in task[role] or []]
    task["evidence"] = [
        {**item, "title": _evidence_title(result, item), "have": item["state"] == "have"}
        for item in task["evidence"] or []
    ]
    return task


def department(result: Result, name: str) -> Mapping[str, str]:
    """A department's name in both languages, by the plan's id of it."""
    known: Mapping[str, Mapping[str, str]] = result.verdict.get("departments", {})
    return known.get(name) or {"zh": name, "en": name}


def _evidence_title(result: Result, item: Mapping[str, Any]) -> Mapping[str, str]:
    """What a piece of evidence is called: a target's title, or its name in the plan pack's catalogue."""
    titles: Mapping[str, Mapping[str, str]]
    if item["type"] == "target":
        titles = {t["id"]: t["title"] for t in result.verdict.get("targets", [])}
    else:
        titles = _catalogue(str(result.verdict["plan"]["id"]), CATALOGUES.get(item["type"], ""))
    return titles.get(item["id"]) or {"zh": item["id"], "en": item["id"]}


@lru_cache(maxsize=32)
def _catalogue(plan: str, kind: str) -> Mapping[str, Mapping[str, str]]:
    """Names of a kind of evidence in a plan pack; empty when this version of the package has no such pack."""
    try:
        pack = load_plan(plan)
    except (UnknownName, ContentError):
        return {}
    return {name: named.title.as_dict() for name, named in pack.catalogue.get(kind, {}).items()}


def plan_page(result: Result, lead: str | None = None, status: str | None = None) -> dict[str, Any]:
    """Articles with their tasks, filtered by leading department and status; beside them what occurs of both."""
    articles = articles_of(result)
    tasks = [task for article in articles for task in article["tasks"]]
    names = {name: department(result, name) for task in tasks for name in task["lead_ids"]}
    statuses = sorted({task["status"] for task in tasks})
    if lead and lead not in names:
        raise UnknownName("department", lead, sorted(names))
    if status and status not in statuses:
        raise UnknownName("task status", status, statuses)

    def kept(task: Row) -> bool:
        return (not lead or lead in task["lead_ids"]) and (not status or task["status"] == status)

    shown = [{**a, "tasks": [t for t in a["tasks"] if kept(t)]} for a in articles]
    if lead or status:
        shown = [a for a in shown if a["tasks"]]
    counts = {s: sum(t["status"] == s for t in tasks) for s in statuses}
    return {"articles": shown, "departments": names, "counts": counts, "tasks": len(tasks), "total": len(articles)}


def article(result: Result, number: int) -> Row:
    """One article of the plan with its tasks, the targets that it sets, and its neighbours' numbers."""
    known = articles_of(result)
    numbers = [a["number"] for a in known]
    if number not in numbers:
        raise UnknownName("article", number, numbers)
    found = known[numbers.index(number)]
    return {**found, "targets": [t for t in targets_of(result) if t.get("article") == number], "numbers": numbers}


def rule_books(result: Result) -> list[Row]:
    """The rule books of the run: what it wrote about each, with the title and the options of the book itself.

    A book that this version of the package no longer carries keeps what the run wrote.
    """
    found = []
    for written in result.verdict["run"].get("rules", []):
        row = {"options": {}, "content_hash": None, "valid_from": None, "title": None, "choices": [], **written}
        on = row["valid_from"] or result.verdict["as_of"]
        try:
            book = load_book(row["book"], date.fromisoformat(on))
        except (UnknownName, RuleError):
            found.append(row)
            continue
        row["title"] = {"zh": book.title_zh, "en": book.title_en}
        row["choices"] = [
            {"name": o.name, "default": o.default, "why": o.why, "chosen": row["options"].get(o.name, o.default),
             "choices": {name: _two(words) for name, words in o.choices.items()}}
            for o in book.options.values()
        ]  # fmt: skip
        found.append(row)
    return found


def _two(words: str) -> dict[str, str]:
    """Both languages of a choice, which a rule book writes as `Chinese / English`.

    >>> _two("整日剔除 / the whole day")
    {'zh': '整日剔除', 'en': 'the whole day'}
    """
    chinese, _, english = words.partition(" / ")
    return {"zh": chinese, "en": english or chinese}
