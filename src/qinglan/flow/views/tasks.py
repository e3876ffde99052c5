"""Tasks of the plan as the office works them: all of them, filtered; one with the path that leads through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from qinglan.core.errors import UnknownName
from qinglan.flow.views.places import places
from qinglan.flow.views.result import Result, Row
from qinglan.flow.views.verdict import articles_of, department, targets_of

#: Order of the list: what is late first, then by deadline.
STATUSES = ("overdue", "in_progress", "not_started", "waiting", "continuous", "done")
DUE = ("overdue", "quarter", "year", "later", "none")


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for; empty means any. due : one of :data:`DUE`, counted from the run's day."""

    department: str = ""
    place: str = ""
    status: str = ""
    due: str = ""
    article: int | None = None
    text: str = ""


def all_tasks(result: Result) -> list[Row]:
    """Every task, with `article` (number) and `article_title`, overdue first, then by deadline."""
    key = f"{result.folder}|{result.key}"
    if key not in _kept:
        _kept.clear()
        _kept[key] = _sorted(result)
    return _kept[key]


#: The tasks of the newest run that somebody asked for: naming 262 tasks with their evidence takes a while.
_kept: dict[str, list[Row]] = {}


def _sorted(result: Result) -> list[Row]:
    made = [
        {"places": [], "regions": [], "kind": None, "open_cycle": "", **task, "article": article["number"],
         "article_title": article["title"]}
        for article in articles_of(result) for task in article["tasks"]
    ]  # fmt: skip
    rank = {name: k for k, name in enumerate(STATUSES)}
    return sorted(made, key=lambda t: (rank.get(t["status"], 9), t["due"] or "9999", t["article"], t["id"]))


def find(result: Result, asked: Filter) -> Row:
    """Tasks that fit a filter, with what occurs of each kind to filter by and the counts by status.

    UnknownName for a department, place, status or article that no task has.
    """
    tasks = all_tasks(result)
    names = {n: department(result, n) for t in tasks for n in (*t["lead_ids"], *t["supporting_ids"])}
    known = places(result)
    codes = {code: known.get(code) or {"place": code, "name": code} for t in tasks for code in t["places"]}
    offered: dict[str, tuple[Any, list[Any]]] = {
        "department": (asked.department, sorted(names)),
        "place": (asked.place, sorted(codes)),
        "status": (asked.status, list(STATUSES)),
        "due": (asked.due, list(DUE)),
        "article": (asked.article, sorted({t["article"] for t in tasks})),
    }
    words = {"department": "department", "place": "place", "status": "task status", "due": "deadline",
             "article": "article"}  # fmt: skip
    for name, (value, choices) in offered.items():
        if value not in ("", None) and value not in choices:
            raise UnknownName(words[name], str(value), [str(c) for c in choices])
    today = date.fromisoformat(str(result.verdict["as_of"]))
    kept = [t for t in tasks if _fits(t, asked, today)]
    return {
        "tasks": kept,
        "total": len(tasks),
        "counts": {s: sum(t["status"] == s for t in tasks) for s in STATUSES},
        "by_department": {
            n: {s: sum(t["status"] == s for t in tasks if n in t["lead_ids"]) for s in STATUSES} for n in names
        },
        "departments": dict(sorted(names.items(), key=lambda pair: str(pair[1].get("zh")))),
        "places": dict(sorted(codes.items())),
        "articles": offered["article"][1],
    }


def _fits(task: Row, asked: Filter, today: date) -> bool:
    text = asked.text.strip().casefold()
    title = task["title"] or {}
    said = " ".join([task["id"], *(str(v) for v in (title.values() if isinstance(title, Mapping) else [title]))])
    return (
        (not asked.department or asked.department in (*task["lead_ids"], *task["supporting_ids"]))
        and (not asked.place or asked.place in task["places"])
        and (not asked.status or task["status"] == asked.status)
        and (asked.article is None or task["article"] == asked.article)
        and (not asked.due or _due_kind(task, today) == asked.due)
        and all(part in said.casefold() for part in text.split())
    )


def _due_kind(task: Row, today: date) -> str:
    if task["status"] == "overdue":
        return "overdue"
    if not task["due"]:
        return "none"
    left = (date.fromisoformat(str(task["due"])[:10]) - today).days
    return "quarter" if left <= 92 else "year" if left <= 366 else "later"


def task(result: Result, name: str) -> Row:
    """One task with its `targets` (those its evidence names and those of its article), and its neighbours."""
    tasks = all_tasks(result)
    names = [t["id"] for t in tasks]
    if name not in names:
        raise UnknownName("task", name, names)
    found = tasks[names.index(name)]
    named = {e["id"] for e in found["evidence"] if e["type"] == "target"}
    targets = targets_of(result)
    return {
        **found,
        "targets": [t for t in targets if t["id"] in named],
        "article_targets": [t for t in targets if t.get("article") == found["article"] and t["id"] not in named],
        "siblings": [t for t in tasks if t["article"] == found["article"] and t["id"] != name],
    }
