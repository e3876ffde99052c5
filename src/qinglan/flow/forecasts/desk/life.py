"""The life of a forecast bulletin: opened, edited, consulted on, approved by another, issued in time, corrected.

Which move is legal from which state, and whom it asks, is content/forecast/desk.yaml. A version that is issued is
frozen with its documents in the same transaction; what comes after is a new version, and the old one stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from qinglan.access import Grant, Principal
from qinglan.core.clock import CST, today
from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.flow.forecasts.desk.cells import as_issued, chain, jurisdiction, kept, lasting, proposal, table
from qinglan.flow.forecasts.desk.notices import freeze
from qinglan.flow.forecasts.desk.rules import (
    OPEN,
    SPOKEN,
    Edit,
    book_of,
    checked,
    consult_until,
    due_at,
    moves,
    office_of,
)
from qinglan.flow.workspace import Workspace
from qinglan.store import desk as store
from qinglan.store.desk import DROPPED, ISSUED, Made
from qinglan.store.files import Files

Row = dict[str, Any]
#: Moves that may be said twice by the same person, as a double click does: the second changes nothing.
_TWICE = ("consult", "agree", "submit", "approve", "issue")
#: Moves whose makers may not approve the version: they made it.
_MAKERS = ("open", "renew", "submit", "correct")


def identity(place: str, day: date) -> str:
    """The id of the bulletin of a place and day."""
    return f"F{place}-{day:%Y%m%d}"


def begin(workspace: Workspace, place: str, *, me: Principal, at: datetime) -> str:
    """Open the bulletin of a place for the days after today on the machine's newest forecast; its id.

    One that is open or issued already stays as it is. NotFound when the machine says nothing of these days.
    """
    me.need("forecast.draft", place)
    jurisdiction(place)
    content = Files(workspace.home).put(proposal(workspace, place, at))
    name = identity(place, today(at))
    row = {"id": name, "place": place, "day": today(at).isoformat()}
    store.begin(workspace.registry, row, Made("open", "draft", 1, content, me.id, at))
    return name


def one(workspace: Workspace, bulletin: str, version: int | None = None) -> Row:
    """A version as :func:`store.desk.listed` gives it: the newest that was not dropped, or the one named."""
    rows = store.listed(workspace.registry, bulletin=bulletin) if bulletin else []
    if not rows:
        raise NotFound(f"no forecast bulletin {bulletin!r}.", remedy="See `qinglan forecast desk list`.")
    if version is None:
        return next((r for r in rows if r["state"] != DROPPED), rows[0])
    found = [r for r in rows if r["version"] == version]
    if not found:
        raise UnknownName("version", version, [r["version"] for r in rows])
    return found[0]


def machine_of(workspace: Workspace, history: Sequence[Row], version: int) -> Row:
    """The machine's table of a version: as it was proposed."""
    return kept(workspace, _content(history, version))


def _content(history: Sequence[Row], version: int) -> str:
    """Digest of the machine's table: moves that follow an issue keep what was issued."""
    last = (m for m in reversed(history) if m["version"] == version and m["move"] not in ("issue", "corrected"))
    return str(next(last)["content"])


def stamp(history: Sequence[Row], edits: Sequence[Row]) -> str:
    """Changes with every move and edit but not with what other offices say."""
    last = max((m["id"] for m in history if m["move"] not in SPOKEN), default=0)
    return f"{last}.{max((e['id'] for e in edits), default=0)}"


def possible(row: Row, me: Principal) -> list[str]:
    """Moves legal from a version's state that somebody may do; only other offices speak in its consultation."""
    guest = any(g.place or g.department for g in me.grants if (g.place or g.department) != row["place"])
    return [
        m.id
        for m in moves().values()
        if row["state"] in m.sources and me.may(m.permission, row["place"]) and (guest or m.id not in SPOKEN)
    ]


def edit(
    workspace: Workspace, bulletin: str, place: str, day: date, given: Edit, *, me: Principal, at: datetime
) -> bool:
    """Say something else of a place's day than the machine; True when it was written, False when it stood already.

    UsageError when the version is not open to edits, when somebody else edited the same day since (`given.seen`),
    or when the values are wrong (:func:`rules.checked`); UnknownName for a place or day of no cell.
    """
    row = one(workspace, bulletin)
    me.need("forecast.draft", row["place"])
    named = workspace.named(place)["name"] if place in workspace.places else place
    columns = checked(given, f"{named} {day}", day, book_of(workspace, day))

    def make(history: list[Row], edits: list[Row]) -> Mapping[str, Any] | None:
        now = _newest(history)
        if now["state"] not in OPEN:
            raise UsageError(
                f"{bulletin} version {now['version']} is {now['state']}: it cannot be edited.",
                remedy="Correct it: that begins a new version." if now["state"] == ISSUED else "Return it first.",
            )
        cells = machine_of(workspace, history, now["version"])
        cell = next((c for c in cells["cells"] if (c["place"], c["day"]) == (place, day.isoformat())), None)
        if cell is None:
            raise UnknownName(
                "place and day", f"{place} {day}", [f"{p} {cells['days'][0]}" for p in cells["places"]]
            )
        last = lasting(history, edits, now["version"]).get((place, day.isoformat()))
        if given.seen is not None and given.seen != (last["id"] if last else 0):
            who = last["who"] if last else "somebody"
            raise UsageError(
                f"{named} {day} was changed by {who} meanwhile.", remedy="Look at it again, then edit."
            )
        same = ("low", "high", "level", "primary", "words")
        before = last or {"low": None, "high": None, "level": None, "primary": "", "words": ""}
        if all(before[k] == columns[k] for k in same):
            return None
        return {"version": now["version"], "place": place, "day": day.isoformat(), "machine": cell, **columns}

    return store.edit(workspace.registry, bulletin, make, who=me.id, at=at)


def _newest(history: Sequence[Row]) -> Row:
    """The last move of the newest version that was not dropped."""
    last = {m["version"]: m for m in history}
    live = [m for m in last.values() if m["state"] != DROPPED]
    return max(live or list(last.values()), key=lambda m: m["version"])


def act(
    workspace: Workspace, bulletin: str, name: str, *, me: Principal, at: datetime, reason: str = "",
    until: datetime | None = None, seen: str = "",
) -> Row:  # fmt: skip
    """Move a bulletin's newest version and return it as it then stands.

    until : of `consult`, when others have spoken; by default the hour of the rule book. seen : :func:`stamp` of
    what was looked at. Forbidden without the right; UsageError for a move that its state does not allow (naming
    those that it does), without the reason it asks, after the consultation's end, of what changed since it was
    seen, or when an approver made the version.
    """
    row = one(workspace, bulletin)
    if name not in moves():
        raise UnknownName("move", name, tuple(moves()))
    rule = moves()[name]
    me.need(rule.permission, row["place"])
    if rule.reason and not reason.strip():
        raise UsageError(f"{name} needs a reason.", remedy="Say why.")
    office = office_of(me, row["place"]) if name in SPOKEN else ""
    base = Made(name, rule.goal, row["version"], "", me.id, at, reason.strip(), office)

    def make(history: list[Row], edits: list[Row]) -> Made | None:
        now = _newest(history)
        if _again(now, base) and (until is None or until == now["until"]):
            return None
        if now["state"] not in rule.sources:
            raise _illegal(bulletin, now, name)
        if seen and name not in SPOKEN and seen != stamp(history, edits):
            raise UsageError(f"{bulletin} changed meanwhile.", remedy="Look at it again.")
        if rule.other:
            _another(history, edits, now["version"], me)
        made = replace(base, version=now["version"], content=now["content"])
        return _with(workspace, row, made, history, edits, until)

    store.move(workspace.registry, bulletin, make)
    return one(workspace, bulletin)


def _with(
    workspace: Workspace,
    row: Row,
    made: Made,
    history: Sequence[Row],
    edits: Sequence[Row],
    until: datetime | None,
) -> Made:
    """What belongs to a move besides its state."""
    day = date.fromisoformat(row["day"])
    if made.name == "renew":
        newest = Files(workspace.home).put(proposal(workspace, row["place"], made.at))
        if newest == made.content:
            raise UsageError(
                f"{row['id']} stands on the newest machine forecast already.",
                remedy="Make one first: qinglan forecast run.",
            )
        return replace(made, content=newest)
    if made.name == "consult":
        ends = until or consult_until(workspace, day)
        if ends <= made.at:
            raise UsageError(
                f"the consultation would end at {_hour(ends)}, which is past.", remedy="Name a later hour."
            )
        return replace(made, until=ends)
    if made.name in SPOKEN:
        ends = next(
            m["until"] for m in reversed(history) if m["version"] == made.version and m["until"] is not None
        )
        if made.at > ends:
            raise UsageError(
                f"the consultation on {row['id']} ended at {_hour(ends)}.",
                remedy="Ask its office to call again.",
            )
        return made
    if made.name == "correct":
        number = max(m["version"] for m in history) + 1
        machine = _content(history, made.version)
        return replace(made, version=number, replaces=made.version, content=machine)
    if made.name == "issue":
        return _issued(workspace, row, made, history, edits)
    return made


def _hour(at: datetime) -> str:
    return f"{at.astimezone(CST):%Y-%m-%d %H:%M}"


def _issued(workspace: Workspace, row: Row, made: Made, history: Sequence[Row], edits: Sequence[Row]) -> Made:
    """The version as it goes out: its table and documents frozen; how late it is, for a first version."""
    machine = machine_of(workspace, history, made.version)
    rows = table(workspace, machine, lasting(history, edits, made.version))
    before = chain(history, made.version)[:-1]
    due = due_at(workspace, date.fromisoformat(row["day"]))
    late = int((made.at - due) / timedelta(minutes=1)) if not before and made.at > due else None
    made = replace(made, content=Files(workspace.home).put(as_issued(machine, rows)), late=late)
    old = next((m for m in history if before and m["version"] == before[-1] and m["move"] == "issue"), None)
    why = next((m["reason"] for m in history if m["version"] == made.version and m["move"] == "correct"), "")
    return replace(made, files=freeze(workspace, row, made, rows, old, why))


def _again(now: Row, made: Made) -> bool:
    """Whether the same person has just said the same."""
    same = (now["move"], now["who"], now["reason"]) == (made.name, made.who, made.reason)
    return same and made.name in _TWICE


def _illegal(bulletin: str, now: Row, name: str) -> UsageError:
    able = [m.id for m in moves().values() if now["state"] in m.sources]
    return UsageError(
        f"{bulletin} version {now['version']} is {now['state']}: {name} is not possible.",
        remedy=f"Possible: {', '.join(able)}." if able else "It is closed.",
    )


def _another(history: Sequence[Row], edits: Sequence[Row], version: int, me: Principal) -> None:
    """Who approves neither made nor changed what he approves."""
    did = [m["move"] for m in history if (m["version"], m["who"]) == (version, me.id) and m["move"] in _MAKERS]
    did += ["edit" for e in edits if (e["version"], e["who"]) == (version, me.id)]
    if did:
        raise UsageError(
            f"{me.id} may not approve it: {me.id} did {did[0]} it.", remedy="Another person approves."
        )


def clock(workspace: Workspace, row: Row, history: Sequence[Row], now: datetime) -> Row:
    """Time limits of a bulletin: `due`, `issued` (its first version's, None: not yet), `late`, `minutes` after it;
    `until` and `closed` of the consultation that was called last."""
    due = due_at(workspace, date.fromisoformat(row["day"]))
    issued = next((m["at"] for m in history if m["move"] == "issue"), None)
    over = (issued or now) - due
    until = next((m["until"] for m in reversed(history) if m["until"] is not None), None)
    return {
        "due": due, "issued": issued, "late": over > timedelta(0), "minutes": int(over / timedelta(minutes=1)),
        "until": until, "closed": until is not None and now > until,
    }  # fmt: skip


def local_command(workspace: Workspace, who: str, place: str = "") -> Principal:
    """Who acts on this machine's command line for an office (the workspace's), under the account's name."""
    code = place or workspace.settings.place
    role = "province" if code.endswith("0000") else "prefecture" if code.endswith("00") else "county"
    roles = (role,) if place and place != workspace.settings.place else (role, "chief")
    return Principal(who, who, tuple(Grant(name, place=code) for name in roles), via="command")
