"""Grammar of a plan pack: which files there are, which keys they hold and what each may contain.

A fault never stops the reading: every one becomes a :class:`Problem`, and the caller sees them all at once.
Unknown keys and unknown files are faults, because a key that is ignored is a rule that is not applied.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from qinglan.core.clock import Period
from qinglan.core.errors import ContentError, UsageError
from qinglan.plan.content import parse

COMPARISONS = (">=", "<=", "=", "about", "increase", "decrease")
STRENGTHS = ("binding", "in_principle", "strive", "encourage")
JUDGES = ("air", "ledger", "reported")
STATISTICS = ("good_day_rate", "mean", "heavy_days", "heavy_day_rate")
CADENCES = ("continuous", "once", "annual", "quarterly", "monthly")
LEAD_RULES = ("first_listed", "named", "sole", "unstated")
EVIDENCE = {
    "target": "targets",
    "ledger": "ledgers",
    "document": "documents",
    "reported_value": "indicators",
    "dataset": "datasets",
    "run": "runs",
}
TASK_KINDS = (
    *(
        "assess",
        "build",
        "control",
        "cooperate",
        "incentive",
        "ledger",
        "legislate",
        "monitor",
        "plan",
        "prohibit",
    ),
    *("promote", "publish", "research", "retire", "retrofit", "supervise"),
)
CERTAINTIES = ("high", "medium", "low")
SLUG = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of a pack: which file, where in it, what stands there, what to do."""

    file: str
    where: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.where}: {self.value}. {self.remedy}"


@dataclass
class Walk:
    """Collects the problems of one file while its rules walk over it."""

    file: str
    problems: list[Problem] = field(default_factory=list)

    def fault(self, where: str, value: object, remedy: str) -> None:
        """Note a fault; values are shortened for reading."""
        shown = value if isinstance(value, str) and value.startswith("is ") else repr(value)
        self.problems.append(Problem(self.file, where, shown if len(shown) < 120 else shown[:117] + "...", remedy))


Rule = Callable[[Walk, str, Any], None]


def text(walk: Walk, where: str, value: Any) -> None:
    """Text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        walk.fault(where, value, "Write text; quote numbers and codes.")


def slug(walk: Walk, where: str, value: Any) -> None:
    """An id: lower-case letters, digits, - and _."""
    if not isinstance(value, str) or not SLUG.fullmatch(value):
        walk.fault(where, value, "Write an id of lower-case letters, digits, - and _.")


def number(walk: Walk, where: str, value: Any) -> None:
    """An int or float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        walk.fault(where, value, "Write a number.")


def number_or_null(walk: Walk, where: str, value: Any) -> None:
    """A number, or null when the plan does not give one."""
    if value is not None:
        number(walk, where, value)


def whole(walk: Walk, where: str, value: Any) -> None:
    """A whole number of zero or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        walk.fault(where, value, "Write a whole number.")


def flag(walk: Walk, where: str, value: Any) -> None:
    """true or false."""
    if not isinstance(value, bool):
        walk.fault(where, value, "Write true or false.")


def day(walk: Walk, where: str, value: Any) -> None:
    """An ISO date."""
    if as_day(value) is None:
        walk.fault(where, value, "Write a date as YYYY-MM-DD.")


def as_day(value: Any) -> date | None:
    """The date that an ISO text names, or None."""
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else None
    except ValueError:
        return None


def month_day(walk: Walk, where: str, value: Any) -> None:
    """``MM-DD``: a day of every year; ``DD``: of every month, the last day when the month is shorter."""
    ok = isinstance(value, str) and (
        as_day(f"2024-{value}") is not None or (value.isdigit() and 1 <= int(value) <= 31)
    )
    if not ok:
        walk.fault(where, value, 'Write "MM-DD" for a yearly or "DD" for a monthly day, in quotes.')


def period(walk: Walk, where: str, value: Any) -> None:
    """A period such as "2025" or 2021-01-01..2025-12-31."""
    try:
        Period.parse(value if isinstance(value, str) else "")
    except UsageError as error:
        walk.fault(where, value, error.remedy)


def choice(*known: str) -> Rule:
    """One of a few words."""

    def rule(walk: Walk, where: str, value: Any) -> None:
        if value not in known:
            walk.fault(where, value, f"Known: {', '.join(known)}.")

    return rule


def listing(item: Rule, *, empty: bool = False) -> Rule:
    """A list; each entry follows a rule and is named by its id where it has one."""

    def rule(walk: Walk, where: str, value: Any) -> None:
        if not isinstance(value, list) or not (value or empty):
            walk.fault(where, value, "Write a list" + ("." if empty else " with at least one entry."))
            return
        for index, entry in enumerate(value):
            item(walk, f"{where}{name_of(entry, index)}", entry)

    return rule


def name_of(entry: Any, index: int) -> str:
    """How an entry is called in a message: ``[id]``, else its place in the list."""
    if isinstance(entry, Mapping):
        for key in ("id", "number", "name"):
            if isinstance(entry.get(key), str | int):
                return f"[{entry[key]}]"
    return f"[{index}]"


def record(required: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None) -> Rule:
    """A mapping with known keys only."""
    known = {**required, **(optional or {})}

    def rule(walk: Walk, where: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            walk.fault(where, value, f"Write a mapping with {', '.join(required)}.")
            return
        for key in value:
            if key not in known:
                walk.fault(f"{where}.{key}".strip("."), "is an unknown key", f"Known: {', '.join(known)}.")
        for key in required:
            if key not in value:
                walk.fault(f"{where}.{key}".strip("."), "is missing", "Add it.")
        for key, sub in known.items():
            if key in value:
                sub(walk, f"{where}.{key}".strip("."), value[key])

    return rule


def keyed(key: Rule, item: Rule) -> Rule:
    """A mapping whose keys follow a rule too."""

    def rule(walk: Walk, where: str, value: Any) -> None:
        if not isinstance(value, Mapping) or not value:
            walk.fault(where, value, "Write a mapping with at least one entry.")
            return
        for name, entry in value.items():
            key(walk, f"{where}.{name}", name)
            item(walk, f"{where}.{name}", entry)

    return rule


def articles_expected(walk: Walk, where: str, value: Any) -> None:
    """38 (then 1..38 must be there) or the list of the numbers the pack covers."""
    if isinstance(value, list):
        listing(whole)(walk, where, value)
    else:
        whole(walk, where, value)


BOTH = record({"zh": text, "en": text})
SCOPE = record({}, {"places": listing(text), "regions": listing(slug), "enterprise": text})
WINDOW: dict[str, Rule] = {"valid_from": day, "valid_to": day}
NAMED = record({"id": slug, "zh": text, "en": text}, {"aliases": listing(text), "unit": text})
AMOUNT = record({"value": number, "unit": text, "source": text}, {"certainty": choice(*CERTAINTIES)})
VARIANT = record(
    {"name": slug, "title": BOTH},
    {"combine": choice("mean_of_places", "pooled", "sum"), "dust": choice("in", "out")},
)
AIR = record(
    {
        "statistic": choice(*STATISTICS),
        "over": choice("prefectures", "places", "regions"),
        "combine": choice("mean_of_places", "pooled", "sum"),
        "dust": choice("in", "out"),
        "variants": listing(VARIANT, empty=True),
    },
    {"item": slug},
)
TARGET = record(
    {
        "id": slug,
        "article": whole,
        "title": BOTH,
        "indicator": slug,
        "scope": SCOPE,
        "comparison": choice(*COMPARISONS),
        "unit": text,
        "decimals": whole,
        "strength": choice(*STRENGTHS),
        "values": keyed(
            day,
            record(
                {"value": number, "unit": text, "period": period, "source": text},
                {"certainty": choice(*CERTAINTIES)},
            ),
        ),
        "judged_by": choice(*JUDGES),
    },
    {
        "relative": flag,
        "only_grows": flag,
        "better": choice("higher", "lower"),
        "air": AIR,
        "ledger": slug,
        "baseline": record(
            {"value": number_or_null, "unit": text, "period": period, "source": text},
            {"note": BOTH, "certainty": choice(*CERTAINTIES)},
        ),
        "parameters": keyed(slug, AMOUNT),
        "tolerance": record({"value": number, "unit": text, "why": BOTH}),
        "exclusions": listing(NAMED),
        "reading": BOTH,
        **WINDOW,
    },
)
EVIDENCE_ITEM = record(
    {"type": choice(*EVIDENCE), "id": slug},
    {"done_when": BOTH, "comparison": choice(*COMPARISONS), "value": number, "unit": text},
)
TASK = record(
    {"id": slug, "kind": choice(*TASK_KINDS), "title": BOTH, "evidence": listing(EVIDENCE_ITEM)},
    {
        "scope": SCOPE,
        "cadence": choice(*CADENCES),
        "deadline": day,
        "due_each": month_day,
        "reading": BOTH,
        "conditional": BOTH,
        "parameters": keyed(slug, AMOUNT),
        **WINDOW,
    },
)
DUTY = record(
    {
        "article": whole,
        "lead_rule": choice(*LEAD_RULES),
        "lead": listing(slug),
        "supporting": listing(slug, empty=True),
        "and_others": flag,
        "local": flag,
        "tasks": listing(TASK),
    }
)
FILES: dict[str, Rule] = {
    "plan.yaml": record(
        {
            "id": slug,
            "version": text,
            "title": BOTH,
            "number": text,
            "issuer": BOTH,
            "issued": day,
            "period": record({"start": day, "end": day}),
            "place": text,
            "source": text,
            "articles_expected": articles_expected,
            "not_a_target": listing(record({"text": text, "why": BOTH}), empty=True),
        },
        {"published": day, "implements": text},
    ),
    "articles.yaml": record(
        {
            "chapters": listing(record({"number": whole, "title": BOTH})),
            "articles": listing(
                record({"number": whole, "chapter": whole, "title": BOTH, "summary": BOTH}, {"no_tasks": BOTH})
            ),
        }
    ),
    "regions.yaml": record(
        {
            "regions": listing(
                record({"id": slug, "title": BOTH, "article": whole, "places": listing(text), "source": text}),
                empty=True,
            )
        }
    ),
    "targets.yaml": record({"targets": listing(TARGET)}),
}
OPTIONAL: dict[str, Rule] = {
    "departments.yaml": record({"departments": listing(NAMED)}),
    "evidence.yaml": record({}, {k: listing(NAMED, empty=True) for k in EVIDENCE.values() if k != "targets"}),
}
TASKS_FILE = record({"duties": listing(DUTY)})
PLAIN_FILES = ("CHANGES.md", "README.md")


@dataclass(frozen=True)
class RawPack:
    """A pack's files as they were read: parsed documents by name, plain texts, and the hash of all of it."""

    name: str
    documents: Mapping[str, Any]
    texts: Mapping[str, str]
    problems: tuple[Problem, ...]
    hash: str

    def section(self, file: str, key: str) -> list[Any]:
        """A list of mappings under a key of a file, faulty entries left out."""
        document = self.documents.get(file)
        entries = document.get(key) if isinstance(document, Mapping) else None
        return [e for e in entries if isinstance(e, Mapping)] if isinstance(entries, list) else []

    def duties(self) -> list[tuple[str, Any]]:
        """(file, duty) of every tasks file."""
        files = [f for f in self.documents if f == "tasks.yaml" or f.startswith("tasks/")]
        return [(f, d) for f in files for d in self.section(f, "duties")]


def read_raw(folder: Path | Traversable) -> RawPack:
    """Read every file of a pack and hold it against the grammar; faults are collected, never raised."""
    texts: dict[str, str] = {}
    problems: list[Problem] = []
    for entry in sorted(folder.iterdir(), key=lambda e: e.name):
        if entry.name == "tasks" and entry.is_dir():
            for inner in sorted(entry.iterdir(), key=lambda e: e.name):
                texts[f"tasks/{inner.name}"] = _read(inner, f"tasks/{inner.name}", problems)
        elif entry.is_file() and not entry.name.startswith("."):
            texts[entry.name] = _read(entry, entry.name, problems)
    documents: dict[str, Any] = {}
    for name, content in texts.items():
        if name in PLAIN_FILES:
            continue
        rule = FILES.get(name) or OPTIONAL.get(name)
        if name == "tasks.yaml" or (name.startswith("tasks/") and name.endswith(".yaml")):
            rule = TASKS_FILE
        if rule is None:
            known = ", ".join((*FILES, *OPTIONAL, "tasks/*.yaml", *PLAIN_FILES))
            problems.append(Problem(name, "file", "is an unknown file", f"Known: {known}."))
            continue
        try:
            documents[name] = parse(content, name)
        except ContentError as error:
            problems += [Problem(name, "file", p, "Mend the YAML.") for p in error.problems]
            continue
        walk = Walk(name)
        rule(walk, "", documents[name])
        problems += walk.problems
    missing = [name for name in (*FILES, "CHANGES.md") if name not in texts]
    problems += [Problem(name, "file", "is missing", "Every pack has it.") for name in missing]
    digest = hashlib.sha256()
    for name in sorted(texts):
        digest.update(f"{name}\0{texts[name]}\0".encode())
    return RawPack(folder.name, documents, texts, tuple(problems), digest.hexdigest())


def _read(file: Path | Traversable, name: str, problems: list[Problem]) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        problems.append(Problem(name, "file", "is not UTF-8", "Save it as UTF-8."))
        return ""
