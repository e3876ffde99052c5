"""Who warns by which levels, and which moves a warning may make: content/episode, and the office's own copy.

An office sets its jurisdictions in ``jurisdictions.yaml`` of its workspace, in the grammar of the file that ships;
a place named there stands in the place of ours, and `joint`, when it is there, of ours too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from typing import Any

from qinglan.core.errors import ContentError, QinglanError, UnknownName
from qinglan.core.rulebook import RuleBook
from qinglan.episode.triggers import LEVELS, NONE
from qinglan.flow.workspace import Workspace
from qinglan.plan import content
from qinglan.plan.moves import Move, read_moves
from qinglan.plan.places import load_places
from qinglan.plan.rules import load_book

BOOK = "heavy_pollution"
OWN_FILE = "jurisdictions.yaml"
#: Asked for a text of which option `form` keeps the older: the day before the newer one.
_KEPT_FORMS = {"form_2018": date(2023, 12, 31)}
OPEN = ("draft", "consultation", "submitted", "approved", "in_force", "changing")
IN_FORCE = ("in_force", "changing")


@dataclass(frozen=True, slots=True)
class Jurisdiction:
    """A place that warns: options of the rule book, levels of its own, where this stands and how sure it is."""

    place: str
    options: Mapping[str, str]
    clauses: Mapping[str, Any]
    source: str
    certainty: str


@cache
def moves() -> Mapping[str, Move]:
    """All moves by id; `permission` is ``rank`` where that of the level is asked."""
    raw = content.read("episode", "moves")
    return read_moves(raw["moves"], raw["states"], "episode/moves.yaml")


@cache
def words() -> Mapping[str, Any]:
    """Names of states and levels in both languages; a level's `mark` and the permission of its `rank`."""
    raw = content.read("episode", "moves")
    return {"states": raw["states"], "levels": raw["levels"]}


def rank_of(*levels: str) -> str:
    """The permission that approves what touches these levels: that of the strictest."""
    asked = [level for level in levels if level in LEVELS]
    top = max(asked, key=LEVELS.index, default=LEVELS[0])
    return str(words()["levels"][top]["rank"])


def level_name(level: str, language: str) -> str:
    """A level in words; what is none is empty."""
    return "" if level in ("", NONE) else str(words()["levels"][level][language])


def jurisdictions(workspace: Workspace) -> tuple[Mapping[str, Jurisdiction], Sequence[Sequence[str]]]:
    """Every place that warns, and the groups that respond together; ContentError lists every fault of a file.

    Every prefecture of the office's province warns, by its own entry or by that of the province.
    """
    return _read(own_text(workspace, OWN_FILE))


def own_text(workspace: Workspace, name: str) -> str:
    """A settings file that an office puts into its workspace, or nothing; ContentError when it is not UTF-8."""
    file = workspace.home / name
    try:
        return file.read_text(encoding="utf-8") if file.is_file() else ""
    except UnicodeDecodeError as cause:
        raise ContentError(name, [f"is not UTF-8 (byte {cause.start}): save it as UTF-8"]) from cause


@lru_cache(maxsize=4)
def _read(text: str) -> tuple[Mapping[str, Jurisdiction], Sequence[Sequence[str]]]:
    """Ours with those of an office's file: a page asks for them many times."""
    raw = dict(content.read("episode", "jurisdictions"))
    if text:
        own = content.parse(text, OWN_FILE) or {}
        _check(own)
        raw = {
            "jurisdictions": {**raw["jurisdictions"], **own.get("jurisdictions", {})},
            "joint": own.get("joint", raw["joint"]),
        }
    named, places = dict(raw["jurisdictions"]), load_places()
    whole = [p.place for p in places if p.level == "province" and p.place in named]
    for place in places:
        above = [code for code in whole if places.is_within(place.place, code)]
        if place.level == "prefecture" and place.valid_to is None and above:
            named.setdefault(place.place, named[above[0]])
    made = {
        place: Jurisdiction(
            place, row.get("options") or {}, row.get("clauses") or {}, row.get("source", ""),
            row.get("certainty", "low"),
        )
        for place, row in sorted(named.items())
        if place not in whole
    }  # fmt: skip
    return made, [list(group["places"]) for group in raw["joint"]]


def _check(own: Any) -> None:
    """ContentError lists what an office's file has wrong, with where it stands."""
    if not isinstance(own, Mapping) or set(own) - {"jurisdictions", "joint"}:
        raise ContentError(OWN_FILE, ["must hold `jurisdictions` and `joint` only"])
    if not isinstance(own.get("jurisdictions", {}), Mapping) or not isinstance(own.get("joint", []), list):
        raise ContentError(OWN_FILE, ["`jurisdictions` names places, `joint` is a list of groups"])
    faults = []
    for place, row in own.get("jurisdictions", {}).items():
        where = f"jurisdictions.{place}"
        if not isinstance(row, Mapping) or set(row) - {"options", "clauses", "source", "certainty"}:
            faults.append(f"{where} must hold options, clauses, source and certainty only")
            continue
        try:
            load_book(BOOK, date(2024, 1, 1), **(row.get("options") or {}))
        except (QinglanError, TypeError) as cause:
            faults.append(f"{where}.options: {cause}")
        own_levels = row.get("clauses") or {}
        if not isinstance(own_levels, Mapping):
            faults.append(f"{where}.clauses must name levels: {', '.join(LEVELS)}")
            continue
        for level, clauses in own_levels.items():
            if level not in LEVELS or not _is_clauses(clauses):
                faults.append(
                    f"{where}.clauses.{level}: write a list of lists such as [[{{above: 200, hours: 24}}]] under "
                    f"{', '.join(LEVELS)}"
                )
    for k, group in enumerate(own.get("joint", [])):
        if not isinstance(group, Mapping) or not isinstance(group.get("places"), list):
            faults.append(f"joint[{k}] must hold `places`, a list of division codes")
    if faults:
        raise ContentError(OWN_FILE, faults)


def _is_clauses(given: Any) -> bool:
    def condition(c: Any) -> bool:
        return (
            isinstance(c, Mapping)
            and set(c) in ({"above", "hours"}, {"reach", "hours"})
            and all(isinstance(v, int | float) and v > 0 for v in c.values())
        )

    return isinstance(given, list) and all(isinstance(g, list) and g and all(map(condition, g)) for g in given)


def jurisdiction(workspace: Workspace, place: str) -> Jurisdiction:
    """That of a place; UnknownName with those there are."""
    found, _ = jurisdictions(workspace)
    if place not in found:
        raise UnknownName("place that warns", place, tuple(found))
    return found[place]


def book_of(workspace: Workspace, place: str, on: date) -> tuple[RuleBook, Mapping[str, Any]]:
    """The rule book of a place on a day with the place's options, and its own levels."""
    own = jurisdiction(workspace, place)
    form = load_book(BOOK, on, **own.options).option("form")
    day = min(on, _KEPT_FORMS[form]) if form in _KEPT_FORMS else on
    return load_book(BOOK, day, **own.options), own.clauses


def partners(workspace: Workspace, place: str) -> Sequence[str]:
    """Places that respond together with one, without itself."""
    _, groups = jurisdictions(workspace)
    return [other for group in groups if place in group for other in group if other != place]
