"""The life of a bulletin: draft, submit, approve, issue, correct, withdraw; and its documents.

Which move is legal from which state is a table (``content/publications/kinds.yaml``). The numbers of a version are
frozen when it is drafted; the bytes of its documents when it is issued.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from threading import Lock
from typing import Any

from qinglan.core.clock import Period, today
from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.flow.bulletins import boundaries, bulletin, place_of
from qinglan.flow.views.result import NoRun, Row, current
from qinglan.flow.workspace import Workspace
from qinglan.report import (
    FORMS,
    LANGUAGES,
    Bulletin,
    Document,
    compose,
    kind_of,
    kinds,
    move_of,
    short_label,
    write,
)
from qinglan.store import publications as store
from qinglan.store.files import Files
from qinglan.store.publications import Made

#: Matplotlib draws for one thread at a time.
_DRAWING = Lock()
#: Who drafts when nobody does: the scheduler.
SCHEDULER = "bulletins.draft"


@dataclass(frozen=True, slots=True)
class Drafted:
    """A draft that was made: its publication and version."""

    id: str
    version: int


def identity(kind: str, place: str, period: Period) -> str:
    """The id of a publication: kind, place and period."""
    return f"{kind}-{place}-{short_label(period)}"


def draft(
    workspace: Workspace, kind: str, period: str, *, who: str, at: datetime, place: str | None = None
) -> Drafted:
    """Draft a bulletin of a period from the current run. NoRun or NotFound when the run has nothing about it."""
    code = place_of(workspace, place)
    span = kind_of(kind).period(period)
    numbers = bulletin(workspace, current(workspace), kind, span, code)
    content = Files(workspace.home).put(numbers.to_bytes())
    row = {
        "id": identity(kind, code, span), "kind": kind, "place": code, "period": span.label,
        "first_day": span.start.isoformat(), "last_day": span.end.isoformat(),
    }  # fmt: skip
    made = Made("draft", "draft", numbers.run_id, content, _person(who), at)
    return Drafted(row["id"], store.add(workspace.registry, row, made))


def _person(who: str) -> str:
    if not who.strip():
        raise UsageError("nobody is named.", remedy="Say who does this.")
    return who


def one(workspace: Workspace, publication: str, version: int | None = None) -> Row:
    """A version (the newest when none is asked) as :func:`store.publications.listed` gives it."""
    rows = [r for r in store.listed(workspace.registry) if r["id"] == publication]
    if not rows:
        raise UnknownName("publication", publication)
    if version is None:
        return rows[0]
    found = [r for r in rows if r["version"] == version]
    if not found:
        raise UnknownName("version", version, [r["version"] for r in rows])
    return found[0]


def numbers_of(workspace: Workspace, row: Row) -> Bulletin:
    """The frozen numbers of a version."""
    return Bulletin.from_bytes(Files(workspace.home).open(row["content"]))


def act(
    workspace: Workspace,
    publication: str,
    name: str,
    *,
    who: str,
    at: datetime,
    reason: str = "",
    version: int | None = None,
) -> Row:
    """Do a move to a version (the newest when none is named) and return the version that it left.

    UsageError when the state does not allow it (naming those that do), when a reason is asked and none given, or
    when the one who drafted or submitted would approve. All is written in one transaction, or nothing.
    """
    row = one(workspace, publication, version)
    if name not in _ACTS:
        raise UnknownName("move", name, _ACTS)
    number = int(row["version"])
    legal(name, row["state"], publication, number)
    if move_of(name).reason and not reason.strip():
        raise UsageError(f"{name} needs a reason.", remedy="Say why.")
    run_id, content = row["run_id"], row["content"]
    if name in ("redraft", "correct"):
        fresh = bulletin(workspace, current(workspace), row["kind"], Period.parse(row["period"]), row["place"])
        run_id, content = fresh.run_id, Files(workspace.home).put(fresh.to_bytes())
    files = _freeze(workspace, row, today(at).isoformat()) if name == "issue" else []

    def checked(moves: Sequence[Row]) -> None:
        legal(name, moves[-1]["state"], publication, number)
        if moves[-1]["content"] != row["content"]:
            raise UsageError(f"{publication} changed meanwhile.", remedy="Look at it again.")
        if move_of(name).other:
            _another(moves, who)

    if name == "correct":
        begun = Made("correct", "draft", run_id, content, _person(who), at, reason)
        number = store.correct(workspace.registry, publication, number, begun, lambda m: _correctable(m, checked))
        return one(workspace, publication, number)

    def make(moves: list[Row]) -> Made:
        checked(moves)
        return Made(name, move_of(name).goal, run_id, content, _person(who), at, reason)

    store.move(workspace.registry, publication, number, make, files)
    return one(workspace, publication, number)


_ACTS = ("redraft", "submit", "return", "approve", "issue", "correct", "withdraw")


def _correctable(moves: list[Row], checked: Any) -> None:
    if not moves:
        raise NotFound("there is no such version.", remedy="See `qinglan report show`.")
    checked(moves)


def legal(name: str, state: str, publication: str, version: int) -> None:
    """UsageError unless the table of moves allows a move from a state."""
    rule = move_of(name)
    if state not in rule.sources:
        raise UsageError(
            f"{publication} version {version} is {state}: {name} is not possible.",
            remedy=f"{name} goes from: {', '.join(rule.sources)}.",
        )


def _another(moves: Sequence[Row], who: str) -> None:
    """The one who approves neither drafted nor submitted what he approves."""
    for row in moves:
        if row["move"] in ("draft", "redraft", "submit", "correct") and row["who"] == who:
            raise UsageError(
                f"{who} may not approve it: {who} did {row['move']} it.", remedy="Another person approves."
            )


def document(workspace: Workspace, row: Row, language: str, day: str | None = None) -> Document:
    """The document of a version, marked as a draft unless the `day` of its issue is given."""
    replaces = (int(row["replaces"]), str(row["correction"])) if row["replaces"] else None
    with _DRAWING:
        return _composed(
            str(workspace.home), row["content"], language, int(row["version"]), day, replaces, row["place"]
        )


@lru_cache(maxsize=32)
def _composed(
    home: str,
    content: str,
    language: str,
    version: int,
    day: str | None,
    replaces: tuple[int, str] | None,
    place: str,
) -> Document:
    """A document of frozen numbers never changes, so it is drawn once."""
    numbers = Bulletin.from_bytes(Files(home).open(content))
    return compose(
        numbers, language, version=version, issued_on=day, replaces=replaces, boundaries=boundaries(place)
    )


def _freeze(workspace: Workspace, row: Row, day: str) -> list[dict[str, Any]]:
    """Every language and format of a version, kept by content."""
    files, kept = Files(workspace.home), []
    for language in LANGUAGES:
        made = document(workspace, row, language, day)
        for form in FORMS:
            data = write(made, form)
            kept.append({"language": language, "form": form, "digest": files.put(data), "size": len(data)})
    return kept


def issued_on(workspace: Workspace, row: Row) -> str | None:
    """The official day on which a version was issued; None when it never was."""
    moves = store.history(workspace.registry, row["id"])
    found = [m["at"] for m in moves if m["version"] == row["version"] and m["move"] == "issue"]
    return today(found[0]).isoformat() if found else None


def export(
    workspace: Workspace, publication: str, form: str, *, language: str = "zh", version: int | None = None
) -> tuple[bytes, str]:
    """The bytes of a version's document and a name for its file.

    What was issued comes from the frozen files, also after it was corrected or withdrawn; a draft is written anew
    and marked as one.
    """
    if form not in FORMS:
        raise UnknownName("format", form, FORMS)
    if language not in LANGUAGES:
        raise UnknownName("language", language, LANGUAGES)
    row = one(workspace, publication, version)
    name = f"{publication}-v{row['version']}-{language}.{form}"
    for kept in store.frozen(workspace.registry, publication, row["version"]):
        if (kept["language"], kept["form"]) == (language, form):
            return Files(workspace.home).open(kept["digest"]), name
    return write(document(workspace, row, language), form), name


def draft_due(workspace: Workspace, now: datetime) -> list[Drafted]:
    """Draft what is due at a moment and does not exist yet; again at once it drafts nothing.

    A kind that the current run has no data for is left for the next time.
    """
    known = {r["id"] for r in store.listed(workspace.registry)}
    made = []
    for kind in kinds().values():
        period = kind.last_due(now)
        code = workspace.settings.place
        if identity(kind.id, code, period) in known:
            continue
        try:
            made.append(draft(workspace, kind.id, short_label(period), who=SCHEDULER, at=now))
        except (NoRun, NotFound):
            continue
    return made


def month_reopened(workspace: Workspace, month: str, *, who: str, reason: str, at: datetime) -> list[str]:
    """Mark what is issued about days of a reopened month; ids of the publications marked.

    The review calls :func:`store.publications.mark_reopened` itself when it holds the transaction.
    """
    span = Period.parse(month)
    first, last = span.start.isoformat(), span.end.isoformat()
    with workspace.registry.begin() as con:
        return store.mark_reopened(con, first, last, places=None, who=_person(who), reason=reason, at=at)


def as_json(rows: Sequence[Row]) -> list[Row]:
    """Rows as plain JSON."""
    made: list[Row] = json.loads(json.dumps(list(rows), default=str, ensure_ascii=False))
    return made
