"""A task's status, computed from its evidence and the day; never typed.

Every task says in its pack what would prove it. Here the evidence that was filed, and the status of the targets,
are held against that list:

=============  ==========================================================================================
done           everything that proves it is there (a recurring task: for the cycle now running)
continuous     a standing duty, all of whose evidence is fresh (not older than a year)
in_progress    some of the evidence is there, or a target it stands on is under way
waiting        nothing is there yet, and what is missing comes by itself: a target, ledger, data set or run
not_started    nothing is there yet, and an office has to file a document or value; or it has not begun
overdue        its deadline, or the last due day of its cycle, has passed without complete evidence
=============  ==========================================================================================

A conditional task (only when a goal was missed, say) is never overdue.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from qinglan.core.errors import UnknownName, UsageError
from qinglan.plan.pack import Evidence, Plan, Task

STATUSES: tuple[str, ...] = ("done", "overdue", "in_progress", "waiting", "continuous", "not_started")
RECURRING: tuple[str, ...] = ("annual", "quarterly", "monthly")
AUTOMATIC: tuple[str, ...] = ("target", "ledger", "dataset", "run")
FRESH = timedelta(days=366)
MONTHS = {"annual": 12, "quarterly": 3, "monthly": 1}


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """Something filed for one item of a task's evidence.

    item : position in the task's evidence list, from 0.
    ref : what was filed: the hash of a file, the id of a run, the number of a document.
    cycle : label of the cycle it belongs to ("2024", "2024Q3", "2024-08"); empty: by its date.
    satisfied : False when what was filed shows that the condition is not met.
    value, unit : for a reported_value; whether it satisfies is then computed.
    """

    task: str
    item: int
    ref: str
    on: date
    source: str
    by: str
    cycle: str = ""
    satisfied: bool = True
    value: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class ItemState:
    """One item of evidence: have, partial, failed, stale or missing; the record or target status behind it."""

    evidence: Evidence
    state: str
    record: EvidenceRecord | None = None
    target_status: str = ""


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task on a day: status, when it is next due, and the evidence that makes it so."""

    task: Task
    status: str
    due: date | None
    items: tuple[ItemState, ...]
    late: bool = False
    open_cycle: str = ""

    @property
    def have(self) -> tuple[ItemState, ...]:
        """What proves it."""
        return tuple(i for i in self.items if i.state == "have")

    @property
    def missing(self) -> tuple[ItemState, ...]:
        """What is still wanted."""
        return tuple(i for i in self.items if i.state != "have")


def _months_on(year: int, month: int, months: int) -> tuple[int, int]:
    total = year * 12 + month - 1 + months
    return total // 12, total % 12 + 1


def _on(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, monthrange(year, month)[1]))


def _due_in(task: Task, year: int, month: int) -> date:
    """The due day of the cycle that a month lies in."""
    if task.cadence == "annual":
        month, day = (int(part) for part in task.due_each.split("-"))
        return _on(year, month, day)
    if task.cadence == "quarterly":
        month += (3 - month) % 3
    return _on(year, month, int(task.due_each))


def due_next(task: Task, as_of: date) -> date | None:
    """The next due day on or after a day: the deadline, the next cycle's day, or None for a standing duty.

    A deadline stays what it is when it has passed; a recurring task rolls over to its next cycle.

    >>> from qinglan.plan.pack import load_plan
    >>> units = load_plan("qinghai-2024").task("a28-key-units")
    >>> due_next(units, date(2024, 12, 31)).isoformat(), due_next(units, date(2025, 1, 1)).isoformat()
    ('2024-12-31', '2025-12-31')
    """
    if task.cadence not in RECURRING:
        return task.deadline
    day = max(as_of, task.starts)
    due = _due_in(task, day.year, day.month)
    if due < day:
        due = _due_in(task, *_months_on(day.year, day.month, MONTHS[task.cadence]))
    return due


def due_before(task: Task, as_of: date) -> date | None:
    """The last due day of a recurring task before a day; None when none has passed since it began."""
    coming = due_next(task, as_of)
    if task.cadence not in RECURRING or coming is None:
        return None
    due = _due_in(task, *_months_on(coming.year, coming.month, -MONTHS[task.cadence]))
    return due if due >= task.starts else None


def cycle_of(task: Task, due: date) -> str:
    """Label of the cycle that ends on a due day."""
    if task.cadence == "annual":
        return f"{due.year}"
    if task.cadence == "quarterly":
        return f"{due.year}Q{(due.month + 2) // 3}"
    return f"{due:%Y-%m}"


def record_faults(plan: Plan, record: EvidenceRecord, as_of: date) -> list[str]:
    """Why a piece of evidence cannot be taken; empty when it can."""
    task = next((t for t in plan.tasks if t.id == record.task), None)
    name = f"evidence for {record.task!r}"
    if task is None:
        return [f"{name}: the plan {plan.id} has no such task."]
    faults: list[str] = []
    if not 0 <= record.item < len(task.evidence):
        return [f"{name}: item {record.item}; the task has items 0 to {len(task.evidence) - 1}."]
    item = task.evidence[record.item]
    if item.type == "target":
        faults.append(f"{name}: item {record.item} is the target {item.id}; report its value instead.")
    for what, text in (("ref", record.ref), ("source", record.source), ("by", record.by)):
        if not text.strip():
            faults.append(f"{name}: {what} is empty.")
    if record.on > as_of:
        faults.append(f"{name}: dated {record.on}, which is after {as_of}.")
    if item.type == "reported_value" and (record.value is None or record.unit != item.unit):
        faults.append(f"{name}: value {record.value!r} {record.unit!r}; give a number in {item.unit}.")
    return faults


def accept_record(plan: Plan, record: EvidenceRecord, as_of: date) -> EvidenceRecord:
    """The record itself when it can be taken; UsageError with every fault otherwise."""
    faults = record_faults(plan, record, as_of)
    if faults:
        raise UsageError(" ".join(faults), remedy="Mend it and file it again.")
    return record


def _satisfies(item: Evidence, record: EvidenceRecord) -> bool:
    if item.type != "reported_value" or record.value is None or item.value is None:
        return record.satisfied
    tests: dict[str, Callable[[float, float], bool]] = {
        ">=": lambda a, b: a >= b,
        "<=": lambda a, b: a <= b,
        "=": lambda a, b: a == b,
        "about": lambda a, b: a == b,
        "increase": lambda a, b: a > b,
        "decrease": lambda a, b: a < b,
    }
    return record.satisfied and tests[item.comparison](record.value, item.value)


def _target_state(item: Evidence, status: str) -> ItemState:
    state = "missing"
    if status in ("met", "reported_met"):
        state = "have"
    elif status in ("not_met", "reported_not_met"):
        state = "failed"
    elif status in ("on_track", "at_risk"):
        state = "partial"
    return ItemState(item, state, target_status=status)


def _item_states(
    task: Task,
    targets: Mapping[str, str],
    records: Sequence[EvidenceRecord],
    counts: Callable[[EvidenceRecord], bool],
) -> tuple[ItemState, ...]:
    """State of each item; `counts` says which records belong to the window asked for."""
    states: list[ItemState] = []
    for index, item in enumerate(task.evidence):
        if item.type == "target":
            states.append(_target_state(item, targets.get(item.id, "")))
            continue
        filed = sorted((r for r in records if r.item == index), key=lambda r: r.on)
        inside = [r for r in filed if counts(r)]
        if inside:
            states.append(ItemState(item, "have" if _satisfies(item, inside[-1]) else "failed", inside[-1]))
        elif filed:
            states.append(ItemState(item, "stale", filed[-1]))
        else:
            states.append(ItemState(item, "missing"))
    return tuple(states)


def _complete(states: Iterable[ItemState]) -> bool:
    return all(s.state == "have" for s in states)


def _begun(task: Task, states: Sequence[ItemState], as_of: date) -> str:
    """Status of a task that is neither complete nor late."""
    if any(s.state in ("have", "partial", "failed", "stale") for s in states):
        return "in_progress"
    if as_of < task.starts:
        return "not_started"
    return "waiting" if all(s.evidence.type in AUTOMATIC for s in states) else "not_started"


def task_state(
    task: Task, targets: Mapping[str, str], records: Sequence[EvidenceRecord], as_of: date
) -> TaskState:
    """A task's status on a day.

    Parameters
    ----------
    targets : status of each target of the plan by id, as :func:`qinglan.plan.judge.judge_targets` gave it.
    records : evidence filed; that of other tasks and that dated after `as_of` is left out of account.
    """
    mine = [r for r in records if r.task == task.id and r.on <= as_of]
    due = due_next(task, as_of)
    if task.cadence in RECURRING and due is not None:
        return _recurring(task, targets, mine, as_of, due)
    if task.cadence == "once" and due is not None:
        states = _item_states(task, targets, mine, lambda r: True)
        if _complete(states):
            late = any(s.record is not None and s.record.on > due for s in states)
            return TaskState(task, "done", due, states, late)
        passed = as_of > due or (as_of == due and any(s.state == "failed" for s in states))
        status = "overdue" if passed and task.conditional is None else _begun(task, states, as_of)
        return TaskState(task, status, due, states)
    states = _item_states(task, targets, mine, lambda r: as_of - r.on <= FRESH)
    status = "continuous" if _complete(states) else _begun(task, states, as_of)
    return TaskState(task, status, None, states)


def _recurring(
    task: Task, targets: Mapping[str, str], mine: Sequence[EvidenceRecord], as_of: date, due: date
) -> TaskState:
    def window(end: date) -> Callable[[EvidenceRecord], bool]:
        begin = _due_in(task, *_months_on(end.year, end.month, -MONTHS[task.cadence]))
        label = cycle_of(task, end)
        return lambda r: r.cycle == label if r.cycle else begin < r.on <= end

    last = due_before(task, as_of)
    if last is not None and task.conditional is None:
        # What a target's status was in a past cycle is not known here, so only filed evidence is asked for.
        states = _item_states(task, targets, mine, window(last))
        if not _complete(s for s in states if s.evidence.type != "target"):
            return TaskState(task, "overdue", due, states, open_cycle=cycle_of(task, last))
    states = _item_states(task, targets, mine, window(due))
    status = "done" if _complete(states) else _begun(task, states, as_of)
    return TaskState(task, status, due, states, open_cycle=cycle_of(task, due))


def task_states(
    plan: Plan, targets: Mapping[str, str], records: Sequence[EvidenceRecord], as_of: date
) -> tuple[TaskState, ...]:
    """Every task of a plan on a day, in the text's order. UsageError lists records that cannot be taken."""
    faults = [fault for r in records if r.on <= as_of for fault in record_faults(plan, r, as_of)]
    if faults:
        raise UsageError(
            "\n".join(faults), remedy="File evidence through accept_record, which refuses such records."
        )
    by_task: dict[str, list[EvidenceRecord]] = {}
    for record in records:
        by_task.setdefault(record.task, []).append(record)
    return tuple(task_state(task, targets, by_task.get(task.id, []), as_of) for task in plan.tasks)


def articles_verdict(plan: Plan, states: Sequence[TaskState]) -> list[dict[str, Any]]:
    """Articles with their tasks, as the verdict carries them."""
    by_article: dict[int, list[TaskState]] = {}
    for state in states:
        by_article.setdefault(state.task.article, []).append(state)
    return [
        {
            "number": article.number,
            "chapter": article.chapter,
            "title": article.title.as_dict(),
            "summary": article.summary.as_dict(),
            "no_tasks": article.no_tasks.as_dict() if article.no_tasks else None,
            "tasks": [_task_dict(plan, state) for state in by_article.get(article.number, [])],
        }
        for article in plan.articles
    ]


def _task_dict(plan: Plan, state: TaskState) -> dict[str, Any]:
    task = state.task
    return {
        "id": task.id,
        "title": task.title.as_dict(),
        "kind": task.kind,
        "status": state.status,
        "due": state.due.isoformat() if state.due else None,
        "cadence": task.cadence,
        "late": state.late,
        "open_cycle": state.open_cycle,
        "lead": list(task.lead),
        "supporting": list(task.supporting),
        "lead_rule": task.lead_rule,
        "local": task.local,
        "places": list(plan.places_of(task.scope)),
        "regions": list(task.scope.regions),
        "conditional": task.conditional.as_dict() if task.conditional else None,
        "evidence": [_item_dict(item) for item in state.items],
    }


def _item_dict(item: ItemState) -> dict[str, Any]:
    record = item.record
    return {
        "type": item.evidence.type,
        "id": item.evidence.id,
        "done_when": item.evidence.done_when.as_dict() if item.evidence.done_when else None,
        "state": item.state,
        "target_status": item.target_status,
        "ref": record.ref if record else None,
        "on": record.on.isoformat() if record else None,
        "source": record.source if record else None,
        "by": record.by if record else None,
    }


def count_tasks(plan: Plan, states: Iterable[TaskState], by: str) -> dict[str, dict[str, int]]:
    """How many tasks stand in each status, by status, article, lead, department, region or place.

    ``department`` counts leading and supporting ones, ``region`` the named regions, ``place`` the codes in
    scope; a task in several counts in each. Every status is present, so that rows add up.
    """
    keys: dict[str, Callable[[Task], Iterable[str]]] = {
        "status": lambda t: ("all",),
        "article": lambda t: (str(t.article),),
        "lead": lambda t: t.lead,
        "department": lambda t: (*t.lead, *t.supporting),
        "region": lambda t: t.scope.regions or (plan.place,),
        "place": lambda t: plan.places_of(t.scope),
    }
    if by not in keys:
        raise UnknownName("count of tasks by", by, tuple(keys))
    counts: dict[str, dict[str, int]] = {}
    for state in states:
        for key in keys[by](state.task):
            row = counts.setdefault(key, dict.fromkeys(STATUSES, 0))
            row[state.status] += 1
    return counts
