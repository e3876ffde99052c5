"""Reports of pollution: taken from the public, followed by number and secret code, handled by offices.

What may be reported, the states and the legal moves are data (``content/public/complaints.yaml``). The secret code
is kept only as a hash; who reported is kept apart and shown only to those who may handle the report.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from qinglan.core.clock import CST, midnight, today
from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.emission.linkage import EARTH, meters
from qinglan.flow import photos
from qinglan.flow.workspace import Workspace
from qinglan.plan import content
from qinglan.store import complaints as store
from qinglan.store.complaints import AlreadySent
from qinglan.store.files import Files

__all__ = [
    "AlreadySent",
    "Faulty",
    "Receipt",
    "answer",
    "check_digit",
    "erase_contact",
    "follow",
    "listed",
    "number_of",
    "one",
    "photo",
    "rules",
    "submit",
]

Row = dict[str, Any]

#: Letters and digits of the secret code that nobody confuses when reading them from paper.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
CODE_LENGTH = 10
#: What was seen longer ago than this belongs to no report of now [days].
OLDEST = 365
_NUMBER = re.compile(r"(\d{8})-?(\d{4,6})-?(\d)")


class Faulty(UsageError):
    """A form that cannot be taken. `faults` maps each field to the key of what is wrong with it."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        self.faults = dict(faults)
        listed = ", ".join(f"{name} ({why})" for name, why in self.faults.items())
        super().__init__(f"the report cannot be taken: {listed}.", remedy="Correct these fields.")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the sender gets: the report's number, and the code that only he knows."""

    number: str
    code: str


@cache
def rules() -> Mapping[str, Any]:
    """Categories, states, legal moves, sizes and rates."""
    found: Mapping[str, Any] = content.read("public", "complaints")
    return found


def check_digit(digits: str) -> int:
    """Check digit of ISO 7064 MOD 11,10: finds every single wrong digit and nearly every swap of neighbours.

    >>> check_digit("0794")
    5
    """
    product = 10
    for digit in digits:
        product = (product + int(digit)) % 10 or 10
        product = product * 2 % 11
    return (11 - product) % 10


def _numbered(day: str, n: int) -> str:
    digits = f"{day}{n:04d}"
    return f"{day}-{n:04d}-{check_digit(digits)}"


def number_of(text: str) -> str:
    """A report's number as written by a person, in its one form; UsageError when a digit must be wrong."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None or check_digit(found[1] + found[2]) != int(found[3]):
        raise UsageError(
            f"{text[:40]!r} is no number of a report.", remedy="Read it again: it looks like 20260401-0001-5."
        )
    return f"{found[1]}-{found[2]}-{found[3]}"


def _code_hash(number: str, code: str) -> str:
    """What is kept of a code: 50 random bits need no slow hash; the number salts it."""
    return hashlib.sha256(f"{number}:{code}".encode()).hexdigest()


def _plain_code(text: str) -> str:
    """A code as typed: case, spaces and dashes do not matter."""
    return re.sub(r"[\s-]", "", text).upper()


def place_choices(workspace: Workspace) -> list[Row]:
    """Where something may be reported: the office's own place, and every place inside it."""
    home = workspace.settings.place
    return [
        {"place": p.place, "name": p.name, "name_en": p.name_en, "level": p.level}
        for p in workspace.places
        if p.place == home or workspace.places.is_within(p.place, home)
    ]


def submit(
    workspace: Workspace, form: Mapping[str, str], image: bytes | None, *, once: str, language: str, now: datetime
) -> Receipt:
    """Take a report.

    form : ``category``, ``place`` (division code), ``spot`` and ``text``; optional ``seen`` (Beijing wall time),
        ``lat`` and ``lon`` (degrees), ``contact``.
    image : bytes of a photo; it is kept without its metadata.
    once : a random word that makes a repeated form known.

    Raises Faulty naming every field at fault, AlreadySent when the form came before.
    """
    faults: dict[str, str] = {}
    row = _checked(workspace, form, faults, now)
    kept = _photo(image, faults)
    if not once:
        faults["once"] = "missing"
    if faults:
        raise Faulty(faults)
    digest = Files(workspace.home).put(kept) if kept else ""
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    day = today(now)
    number = store.receive(
        workspace.registry,
        {**row, "photo": digest, "status": rules()["first"], "language": language,
         "once": hashlib.sha256(once.encode()).hexdigest()},
        contact=form.get("contact", "").strip(),
        numbered=lambda n: _numbered(f"{day:%Y%m%d}", n),
        code_hash=lambda made: _code_hash(made, code),
        at=now,
        day_start=midnight(day).astimezone(UTC),
    )  # fmt: skip
    return Receipt(number, f"{code[:5]}-{code[5:]}")


def _checked(workspace: Workspace, form: Mapping[str, str], faults: dict[str, str], now: datetime) -> Row:
    """The fields of a form as columns; what is wrong goes to `faults`."""
    sizes = rules()["sizes"]
    texts = {name: form.get(name, "").strip() for name in ("text", "spot", "contact")}
    for name, most in (("text", sizes["text"]), ("spot", sizes["where"]), ("contact", sizes["contact"])):
        if len(texts[name]) > most:
            faults[name] = "long"
        elif not texts[name] and name != "contact":
            faults[name] = "missing"
    category, place = form.get("category", ""), form.get("place", "")
    if category not in rules()["categories"]:
        faults["category"] = "missing"
    if place not in {each["place"] for each in place_choices(workspace)}:
        faults["place"] = "missing"
    lat, lon = _degrees(form, "lat", 90, faults), _degrees(form, "lon", 180, faults)
    if (lat is None) != (lon is None) and not faults.keys() & {"lat", "lon"}:
        faults["lat" if lat is None else "lon"] = "both"
    return {
        "category": category, "place": place, "spot": texts["spot"], "text": texts["text"], "lat": lat, "lon": lon,
        "seen_at": _seen(form.get("seen", "").strip(), faults, now),
    }  # fmt: skip


def _degrees(form: Mapping[str, str], name: str, most: float, faults: dict[str, str]) -> float | None:
    text = form.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -most <= value <= most:  # true of a NaN too
        faults[name] = "number"
        return None
    return value


def _seen(text: str, faults: dict[str, str], now: datetime) -> datetime | None:
    """Beijing wall time of a form (``2026-04-01T08:30``) as an instant, neither to come nor long past."""
    if not text:
        return None
    try:
        seen = datetime.fromisoformat(text)
    except ValueError:
        faults["seen"] = "time"
        return None
    seen = seen.replace(tzinfo=CST) if seen.tzinfo is None else seen
    if not now - timedelta(days=OLDEST) <= seen <= now + timedelta(minutes=10):
        faults["seen"] = "time"
        return None
    return seen.astimezone(UTC)


def _photo(image: bytes | None, faults: dict[str, str]) -> bytes | None:
    if not image:
        return None
    sizes = rules()["sizes"]
    try:
        return photos.clean(
            image, most_bytes=sizes["photo_bytes"], most_pixels=sizes["photo_pixels"], side=sizes["photo_side"]
        )
    except UsageError:
        faults["photo"] = "photo"
        return None


def follow(workspace: Workspace, number: str, code: str) -> Row:
    """How a report stands, for who knows its code: nothing in it tells who sent it or what he wrote.

    NotFound, in the same words, when there is no such report and when the code is not its own.
    """
    found = store.get(workspace.registry, number_of(number))
    given = _code_hash(found["number"] if found else "", _plain_code(code))
    if found is None or not hmac.compare_digest(given, found["code_hash"]):
        raise NotFound("no report has this number and code.", remedy="Read both again from your note.")
    public = ("number", "category", "place", "status", "answer", "at", "changed_at")
    moves = [{"after": m["after"], "at": m["at"]} for m in found["moves"]]
    return {**{name: found[name] for name in public}, "moves": moves}


def _stems(places: Sequence[str]) -> list[str] | None:
    """Beginnings of division codes below some places; None for everywhere."""
    if tuple(places) == ("*",):
        return None
    return [p[:2] if p.endswith("0000") else p[:4] if p.endswith("00") else p for p in places]


def listed(
    workspace: Workspace,
    places: Sequence[str],
    *,
    status: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[list[Row], dict[str, int]]:
    """Reports in some places (division codes, or ``("*",)``), newest first, and how many are in each state."""
    if status is not None and status not in rules()["states"]:
        raise UnknownName("state of a report", status, tuple(rules()["states"]))
    stems = _stems(places)
    rows = store.listed(workspace.registry, places=stems, status=status, before=before, limit=limit)
    return rows, store.counts(workspace.registry, places=stems)


def near(workspace: Workspace, lon: float, lat: float, within: float) -> list[Row]:
    """Reports whose spot was given and lies within so many metres of a point, newest first, with `meters`."""
    north = math.degrees(within / EARTH)
    east = north / max(math.cos(math.radians(lat)), 1e-6)
    rows = store.inside(workspace.registry, lat - north, lat + north, lon - east, lon + east)
    told = [{**row, "meters": meters((lon, lat), (row["lon"], row["lat"]))} for row in rows]
    return [row for row in told if row["meters"] <= within]


def one(workspace: Workspace, number: str) -> Row:
    """A report with its moves and the moves that are legal next; NotFound. Who sent it: :func:`contact`."""
    number = number_of(number)
    found = store.get(workspace.registry, number)
    if found is None:
        raise NotFound(f"no report {number}.", remedy="`qinglan complaints list` shows them.")
    found.pop("code_hash")
    return {**found, "next": [m for m in rules()["moves"] if m["from"] == found["status"]]}


def contact(workspace: Workspace, number: str) -> str:
    """How the sender asked to be reached; only for those who may handle the report."""
    return store.contact_of(workspace.registry, number_of(number))


def erase_contact(workspace: Workspace, number: str, *, who: str, now: datetime) -> bool:
    """Erase how the sender of a closed report asked to be reached; the report stays. Whether there was anything.

    Personal Information Protection Law, article 47: what is no longer needed for its purpose is deleted.
    UsageError while the report is open, for then the office may still have to ask him. Backups made before keep
    their copy.
    """
    found = one(workspace, number)
    if found["next"]:
        raise UsageError(
            f"report {found['number']} is {found['status']}: its sender may still have to be asked.",
            remedy="Close it first.",
        )
    return store.erase_contact(workspace.registry, found["number"], found["status"], who=who, at=now)


def answer(
    workspace: Workspace,
    number: str,
    to: str,
    *,
    handler: str = "",
    note: str = "",
    answer: str = "",
    who: str,
    now: datetime,
) -> None:
    """Move a report to another state.

    handler : office or person who takes it. note : stays inside. answer : the sender reads it.
    Raises UsageError for a move that is not legal or lacks a field that it needs.
    """
    found = one(workspace, number)
    legal = {move["to"]: move["needs"] for move in found["next"]}
    if to not in legal:
        raise UsageError(
            f"a report that is {found['status']} cannot become {to!r}.",
            remedy=f"From here: {', '.join(legal) or 'nothing'}.",
        )
    given = {"handler": handler.strip(), "note": note.strip(), "answer": answer.strip()}
    missing = [name for name in legal[to] if not given[name]]
    if missing:
        raise UsageError(f"{', '.join(missing)} must be given to make a report {to}.")
    sizes = rules()["sizes"]
    long = [name for name, text in given.items() if len(text) > sizes.get(name, sizes["where"])]
    if long:
        raise UsageError(f"{', '.join(long)} is too long.", remedy=f"At most {sizes['note']} characters.")
    store.move(workspace.registry, found["number"], found["status"], to, **given, who=who, at=now)


def photo(workspace: Workspace, number: str) -> bytes:
    """The photo of a report (JPEG); NotFound when it has none."""
    digest = one(workspace, number)["photo"]
    if not digest:
        raise NotFound(f"report {number} has no photo.")
    return Files(workspace.home).open(digest)
