"""Plan packs: a plan's targets, tasks, departments and regions as frozen objects.

``load_plan("qinghai-2024")`` reads a pack that comes with the package, ``load_plan(Path("my-plan"))`` one of an
office. A pack with any fault is refused with all its faults (:func:`qinglan.plan.check.check_plan` lists them).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from qinglan.core.clock import Period
from qinglan.core.errors import ContentError, NotFound, UnknownName
from qinglan.plan.check import check_raw
from qinglan.plan.pack_schema import RawPack, as_day, read_raw
from qinglan.plan.places import Places, load_places


@dataclass(frozen=True, slots=True)
class Text:
    """The same words in Chinese and English."""

    zh: str
    en: str

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return {"zh": self.zh, "en": self.en}


@dataclass(frozen=True, slots=True)
class Named:
    """A department, ledger, kind of document, indicator, data set or run that a plan speaks of."""

    id: str
    title: Text
    aliases: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Region:
    """A named set of places, such as the key region."""

    id: str
    title: Text
    article: int
    places: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Article:
    """An article of the plan; `no_tasks` says why it carries none."""

    number: int
    chapter: int
    title: Text
    summary: Text
    no_tasks: Text | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Where something applies: place codes, region ids, and an enterprise by name."""

    places: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    enterprise: str = ""


@dataclass(frozen=True, slots=True)
class DatedValue:
    """What must be reached by a date, over which period."""

    due: date
    value: float
    unit: str
    period: Period
    source: str
    certainty: str = "high"


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of the text that bounds a target or task (a size, a distance)."""

    value: float
    unit: str
    source: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a relative target starts from; value None when the plan does not give it."""

    value: float | None
    unit: str
    period: Period
    source: str
    note: Text | None = None


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far from the printed value still counts, for words such as "about"; a reading, with its reason."""

    value: float
    unit: str
    why: Text


@dataclass(frozen=True, slots=True)
class Variant:
    """Another basis on which an air target is shown beside the default one."""

    name: str
    title: Text
    combine: str
    dust: str


@dataclass(frozen=True, slots=True)
class AirBasis:
    """How observations answer a target.

    statistic: good_day_rate, mean, heavy_days, heavy_day_rate; item: for a mean; over: which places;
    combine: mean_of_places, pooled (days of all places together), sum; dust: in or out.
    """

    statistic: str
    item: str
    over: str
    combine: str
    dust: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """A number with a date that can be met or missed."""

    id: str
    article: int
    title: Text
    indicator: str
    scope: Scope
    comparison: str
    unit: str
    decimals: int
    strength: str
    values: tuple[DatedValue, ...]
    judged_by: str
    better: str = ""
    relative: bool = False
    only_grows: bool = False
    baseline: Baseline | None = None
    parameters: Mapping[str, Amount] = field(default_factory=dict)
    tolerance: Tolerance | None = None
    exclusions: tuple[Named, ...] = ()
    air: AirBasis | None = None
    ledger: str = ""
    reading: Text | None = None
    valid_from: date | None = None
    valid_to: date | None = None

    def value_at(self, day: date) -> DatedValue:
        """The value that counts on a day: the next one due, or the last when all are past."""
        return next((v for v in self.values if v.due >= day), self.values[-1])


@dataclass(frozen=True, slots=True)
class Evidence:
    """What would prove a task, wholly or in part.

    type: target, ledger, document, reported_value, dataset, run; id: which one; done_when: the condition.
    A reported_value carries its comparison, value and unit.
    """

    type: str
    id: str
    done_when: Text | None = None
    comparison: str = ""
    value: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """A measure or task: who, where, by when, and what proves it.

    lead_rule: first_listed (all share the duty, the first is taken as lead), named (the text names the lead),
    sole, unstated. cadence: once (then `deadline`), continuous, or recurring (then `due_each`: "MM-DD" or "DD").
    """

    id: str
    article: int
    kind: str
    title: Text
    scope: Scope
    lead: tuple[str, ...]
    supporting: tuple[str, ...]
    lead_rule: str
    and_others: bool
    local: bool
    cadence: str
    deadline: date | None
    due_each: str
    evidence: tuple[Evidence, ...]
    starts: date
    conditional: Text | None = None
    reading: Text | None = None
    parameters: Mapping[str, Amount] = field(default_factory=dict)
    valid_from: date | None = None
    valid_to: date | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as its pack says it; `hash` (SHA-256 over all files) names exactly this text."""

    id: str
    version: str
    title: Text
    number: str
    issuer: Text
    issued: date
    published: date | None
    period: Period
    place: str
    source: str
    implements: str
    chapters: Mapping[int, Text]
    articles: tuple[Article, ...]
    regions: Mapping[str, Region]
    departments: Mapping[str, Named]
    catalogue: Mapping[str, Mapping[str, Named]]
    targets: tuple[Target, ...]
    tasks: tuple[Task, ...]
    not_a_target: tuple[tuple[str, Text], ...]
    hash: str

    def target(self, id: str) -> Target:  # noqa: A002 - the field's name
        """The target with an id; UnknownName with the known ones."""
        for target in self.targets:
            if target.id == id:
                return target
        raise UnknownName(f"target of {self.id}", id, [t.id for t in self.targets])

    def task(self, id: str) -> Task:  # noqa: A002 - the field's name
        """The task with an id."""
        for task in self.tasks:
            if task.id == id:
                return task
        article = str(id).split("-", maxsplit=1)[0]
        raise UnknownName(f"task of {self.id}", id, [t.id for t in self.tasks if t.id.startswith(article)])

    def article(self, number: int) -> Article:
        """The article with a number."""
        for article in self.articles:
            if article.number == number:
                return article
        raise UnknownName(f"article of {self.id}", number, [a.number for a in self.articles])

    def tasks_of(self, article: int) -> tuple[Task, ...]:
        """The tasks of an article, in the text's order."""
        return tuple(t for t in self.tasks if t.article == article)

    def places_of(self, scope: Scope) -> tuple[str, ...]:
        """Every place code a scope covers, regions unfolded, without repeats."""
        codes = [*scope.places, *(code for region in scope.regions for code in self.regions[region].places)]
        return tuple(dict.fromkeys(codes))

    def air_places(self, target: Target, places: Places) -> tuple[str, ...]:
        """The places whose observations answer an air target, in code order.

        >>> plan = load_plan("qinghai-2024")
        >>> plan.air_places(plan.target("pm2_5-2025"), load_places())[:3]
        ('630100', '630200', '632200')
        """
        codes = self.places_of(target.scope)
        if target.air is None or target.air.over != "prefectures":
            return tuple(sorted(codes))
        found: dict[str, None] = {}
        for code in codes:
            level = places[code].level
            provinces = [p.place for p in places.children(code)] if level == "country" else [code]
            for one in provinces:
                below = places.prefectures(one) if places[one].level == "province" else (places[one],)
                found.update(dict.fromkeys(p.place for p in below))
        return tuple(sorted(found))

    def asof(self, day: date) -> Plan:
        """The plan as it stood on a day: targets and tasks whose `valid_from`/`valid_to` exclude it are left out.

        Entries without a window always hold; whether the plan was already issued is asked by :meth:`in_force`.
        """

        def holds(entry: Target | Task) -> bool:
            return (entry.valid_from is None or entry.valid_from <= day) and (
                entry.valid_to is None or day <= entry.valid_to
            )

        return replace(
            self,
            targets=tuple(t for t in self.targets if holds(t)),
            tasks=tuple(t for t in self.tasks if holds(t)),
        )

    def in_force(self, day: date) -> bool:
        """Whether the plan was issued by a day and its period has not ended."""
        return self.issued <= day <= self.period.end

    def identity(self) -> dict[str, Any]:
        """For the verdict: id, title, hash."""
        return {"id": self.id, "title": self.title.as_dict(), "hash": self.hash}


def plan_ids() -> tuple[str, ...]:
    """Ids of the packs that come with the package."""
    folder = resources.files("qinglan") / "content" / "plans"
    return tuple(sorted(f.name for f in folder.iterdir() if f.is_dir() and (f / "plan.yaml").is_file()))


def plan_folder(source: str | Path) -> Path | Traversable:
    """The folder of a pack, by the id of a packaged one or by path. NotFound lists the ids."""
    if isinstance(source, str) and source in plan_ids():
        return resources.files("qinglan") / "content" / "plans" / source
    folder = Path(source)
    if folder.is_dir():
        return folder
    raise NotFound(
        f"no plan pack {str(source)!r}.", remedy=f"Known: {', '.join(plan_ids())}; or give the path of a folder."
    )


def load_plan(source: str | Path, places: Places | None = None) -> Plan:
    """A plan by the id of a packaged pack or by the path of a folder.

    `places` are the places it may name (default: those of the package). Raises ContentError with every fault.

    >>> load_plan("qinghai-2024").target("pm2_5-2025").values[0].value
    21
    """
    if places is None and isinstance(source, str) and source in plan_ids():
        return _packaged(source)
    return _load(plan_folder(source), places or load_places())


@cache
def _packaged(id: str) -> Plan:  # noqa: A002
    return _load(plan_folder(id), load_places())


def _load(folder: Path | Traversable, places: Places) -> Plan:
    raw = read_raw(folder)
    problems = check_raw(raw, places)
    if problems:
        raise ContentError(f"plan pack {raw.name}", [str(p) for p in problems])
    return _build(raw)


def _text(entry: Mapping[str, Any] | None) -> Text:
    return Text(entry["zh"], entry["en"]) if entry else Text("", "")


def _maybe(entry: Mapping[str, Any] | None) -> Text | None:
    return Text(entry["zh"], entry["en"]) if entry else None


def _day(value: Any) -> date:
    found = as_day(value)
    if found is None:
        raise ContentError("plan pack", [f"{value!r} is not a date"])
    return found


def _named(entry: Mapping[str, Any]) -> Named:
    return Named(entry["id"], _text(entry), tuple(entry.get("aliases", ())), entry.get("unit", ""))


def _scope(entry: Mapping[str, Any] | None, default: Scope) -> Scope:
    if not entry:
        return default
    return Scope(tuple(entry.get("places", ())), tuple(entry.get("regions", ())), entry.get("enterprise", ""))


def _amounts(entry: Mapping[str, Any] | None) -> dict[str, Amount]:
    return {name: Amount(a["value"], a["unit"], a["source"]) for name, a in (entry or {}).items()}


def _air(entry: Mapping[str, Any] | None) -> AirBasis | None:
    if not entry:
        return None
    variants = tuple(
        Variant(v["name"], _text(v["title"]), v.get("combine", entry["combine"]), v.get("dust", entry["dust"]))
        for v in entry["variants"]
    )
    return AirBasis(
        entry["statistic"], entry.get("item", ""), entry["over"], entry["combine"], entry["dust"], variants
    )


def _baseline(entry: Mapping[str, Any] | None) -> Baseline | None:
    if not entry:
        return None
    period = Period.parse(entry["period"])
    return Baseline(entry["value"], entry["unit"], period, entry["source"], _maybe(entry.get("note")))


def _target(entry: Mapping[str, Any]) -> Target:
    values = sorted(
        (
            DatedValue(
                _day(due),
                v["value"],
                v["unit"],
                Period.parse(v["period"]),
                v["source"],
                v.get("certainty", "high"),
            )
            for due, v in entry["values"].items()
        ),
        key=lambda v: v.due,
    )
    tolerance = entry.get("tolerance")
    return Target(
        id=entry["id"],
        article=entry["article"],
        title=_text(entry["title"]),
        indicator=entry["indicator"],
        scope=_scope(entry["scope"], Scope()),
        comparison=entry["comparison"],
        unit=entry["unit"],
        decimals=entry["decimals"],
        strength=entry["strength"],
        values=tuple(values),
        judged_by=entry["judged_by"],
        better=entry.get("better", ""),
        relative=entry.get("relative", False),
        only_grows=entry.get("only_grows", False),
        baseline=_baseline(entry.get("baseline")),
        parameters=_amounts(entry.get("parameters")),
        tolerance=Tolerance(tolerance["value"], tolerance["unit"], _text(tolerance["why"])) if tolerance else None,
        exclusions=tuple(_named(e) for e in entry.get("exclusions", ())),
        air=_air(entry.get("air")),
        ledger=entry.get("ledger", ""),
        reading=_maybe(entry.get("reading")),
        valid_from=as_day(entry.get("valid_from")),
        valid_to=as_day(entry.get("valid_to")),
    )


def _evidence(entry: Mapping[str, Any]) -> Evidence:
    return Evidence(
        entry["type"],
        entry["id"],
        _maybe(entry.get("done_when")),
        entry.get("comparison", ""),
        entry.get("value"),
        entry.get("unit", ""),
    )


def _task(duty: Mapping[str, Any], entry: Mapping[str, Any], everywhere: Scope, issued: date) -> Task:
    return Task(
        id=entry["id"],
        article=duty["article"],
        kind=entry["kind"],
        title=_text(entry["title"]),
        scope=_scope(entry.get("scope"), everywhere),
        lead=tuple(duty["lead"]),
        supporting=tuple(duty["supporting"]),
        lead_rule=duty["lead_rule"],
        and_others=duty["and_others"],
        local=duty["local"],
        cadence=entry.get("cadence", "continuous"),
        deadline=as_day(entry.get("deadline")),
        due_each=entry.get("due_each", ""),
        evidence=tuple(_evidence(e) for e in entry["evidence"]),
        starts=as_day(entry.get("valid_from")) or issued,
        conditional=_maybe(entry.get("conditional")),
        reading=_maybe(entry.get("reading")),
        parameters=_amounts(entry.get("parameters")),
        valid_from=as_day(entry.get("valid_from")),
        valid_to=as_day(entry.get("valid_to")),
    )


def _build(raw: RawPack) -> Plan:
    head = raw.documents["plan.yaml"]
    issued, everywhere = _day(head["issued"]), Scope(places=(head["place"],))
    regions = [
        Region(r["id"], _text(r["title"]), r["article"], tuple(r["places"]), r["source"])
        for r in raw.section("regions.yaml", "regions")
    ]
    articles = [
        Article(a["number"], a["chapter"], _text(a["title"]), _text(a["summary"]), _maybe(a.get("no_tasks")))
        for a in raw.section("articles.yaml", "articles")
    ]
    tasks = [_task(duty, entry, everywhere, issued) for _, duty in raw.duties() for entry in duty["tasks"]]
    return Plan(
        id=head["id"],
        version=head["version"],
        title=_text(head["title"]),
        number=head["number"],
        issuer=_text(head["issuer"]),
        issued=issued,
        published=as_day(head.get("published")),
        period=Period(_day(head["period"]["start"]), _day(head["period"]["end"])),
        place=head["place"],
        source=head["source"],
        implements=head.get("implements", ""),
        chapters={c["number"]: _text(c["title"]) for c in raw.section("articles.yaml", "chapters")},
        articles=tuple(sorted(articles, key=lambda a: a.number)),
        regions={r.id: r for r in regions},
        departments=_by_id(raw.section("departments.yaml", "departments")),
        catalogue={
            kind: _by_id(raw.section("evidence.yaml", kind))
            for kind in ("ledgers", "documents", "indicators", "datasets", "runs")
        },
        targets=tuple(_target(t) for t in raw.section("targets.yaml", "targets")),
        tasks=tuple(sorted(tasks, key=lambda t: t.article)),
        not_a_target=tuple((n["text"], _text(n["why"])) for n in head["not_a_target"]),
        hash=raw.hash,
    )


def _by_id(entries: Sequence[Mapping[str, Any]]) -> dict[str, Named]:
    return {e["id"]: _named(e) for e in entries}
