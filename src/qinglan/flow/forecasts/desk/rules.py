"""Rules of the forecaster's desk: moves, hours, widths and levels; and what an office sets of its own.

An office chooses options of the rule book ``forecast`` in ``desk.yaml`` of its workspace:
`options: {width: refused}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from qinglan.access import Principal
from qinglan.core.clock import midnight
from qinglan.core.errors import ContentError, QinglanError, UnknownName, UsageError
from qinglan.core.names import DAILY_ITEMS
from qinglan.core.rulebook import RuleBook
from qinglan.flow.warnings.rules import own_text
from qinglan.flow.workspace import Workspace
from qinglan.plan import content
from qinglan.plan.moves import Move, read_moves
from qinglan.plan.rules import load_book

Row = dict[str, Any]
OWN_FILE = "desk.yaml"
#: Moves by which other offices speak; they change nothing that is said.
SPOKEN = ("comment", "agree")
#: States in which a version's days may be edited.
OPEN = ("draft", "consultation")
#: Longest remark on a place's day [characters].
WORDS = 200
#: Top of the index (HJ 633).
TOP = 500


@cache
def moves() -> Mapping[str, Move]:
    """All moves by id."""
    raw = content.read("forecast", "desk")
    return read_moves(raw["moves"], raw["states"], "forecast/desk.yaml")


@cache
def states() -> Mapping[str, Mapping[str, str]]:
    """Names of the states in both languages."""
    found: Mapping[str, Mapping[str, str]] = content.read("forecast", "desk")["states"]
    return found


def book_of(workspace: Workspace, on: date) -> RuleBook:
    """The rule book ``forecast`` on a day under the office's options; ContentError names what is wrong."""
    text = own_text(workspace, OWN_FILE)
    raw = (content.parse(text, OWN_FILE) if text else None) or {}
    if not isinstance(raw, Mapping) or set(raw) - {"options"} or not isinstance(raw.get("options", {}), Mapping):
        raise ContentError(OWN_FILE, ["must hold `options` only, a choice under each name"])
    try:
        return load_book("forecast", on, **{str(k): str(v) for k, v in (raw.get("options") or {}).items()})
    except QinglanError as cause:
        raise ContentError(OWN_FILE, [f"options: {cause}"]) from cause


def due_at(workspace: Workspace, day: date) -> datetime:
    """When a day's bulletin is due: the hour of HJ 633 on that day, or the office's earlier one."""
    book, standard = book_of(workspace, day), load_book("hj633", day)
    if book.option("issue_by") == "early":
        hour = book.number("desk.early_hour")
    elif standard.has("timing.forecast_by_hour"):
        hour = standard.number("timing.forecast_by_hour")
    else:
        hour = book.number("desk.issue_hour")
    return midnight(day) + timedelta(hours=hour)


def consult_until(workspace: Workspace, day: date) -> datetime:
    """When a day's consultation ends unless another hour is named."""
    return midnight(day) + timedelta(hours=book_of(workspace, day).number("desk.consult_hour"))


@cache
def levels(on: date) -> Sequence[Row]:
    """Levels of the index on a valid day: `level, aqi_low, aqi_high, zh, en, health_zh ...` of HJ 633."""
    found: Sequence[Row] = load_book("hj633", on).get("levels").value
    return found


def level_of(aqi: float, on: date) -> int:
    """The level that an index belongs to on a day.

    >>> level_of(50, date(2025, 3, 1)), level_of(51, date(2025, 3, 1)), level_of(301, date(2026, 3, 1))
    (1, 2, 6)
    """
    return next(int(r["level"]) for r in levels(on) if r["aqi_high"] is None or aqi <= r["aqi_high"])


def named_above(on: date) -> float:
    """The index up to which no primary pollutant is named."""
    return load_book("hj633", on).number("primary.aqi_above")


def width_max(book: RuleBook, low: int, high: int) -> float | None:
    """The widest range for one with this middle; None when any is welcome."""
    if book.option("width") == "free":
        return None
    middle = (low + high) / 2
    return next(float(width) for top, width in book.get("desk.width_max").value if middle <= top)


def too_wide(book: RuleBook, low: int, high: int) -> bool:
    """Whether a range is wider than the rule has it."""
    most = width_max(book, low, high)
    return most is not None and high - low > most


@dataclass(frozen=True, slots=True)
class Edit:
    """What a forecaster says of a place's day; `low` None: the machine's proposal stands again.

    low, high : AQI, both ends included. level : None takes that of the middle. primary : items by commas, the
    likeliest first. seen : number of the edit that was there when it was typed (0: none; None: not asked).
    """

    low: int | None
    high: int | None
    level: int | None = None
    primary: str = ""
    words: str = ""
    reason: str = ""
    seen: int | None = None


def checked(edit: Edit, where: str, day: date, book: RuleBook) -> Row:
    """An edit's columns; UsageError names the place and day, the value that is wrong and what to write.

    The level lies within those of the range; primary pollutants are items of HJ 633 and only of an AQI above 50.
    """
    if not edit.reason.strip():
        raise UsageError(f"{where}: an edit needs its reason.", remedy="Say why the machine's value is changed.")
    words, reason = " ".join(edit.words.split()), edit.reason.strip()
    if len(words) > WORDS:
        raise UsageError(f"{where}: the remark has {len(words)} characters.", remedy=f"Write {WORDS} at most.")
    if edit.low is None and edit.high is None:
        return {"low": None, "high": None, "level": None, "primary": "", "words": words, "reason": reason}
    low, high = edit.low, edit.high
    if low is None or high is None or not 0 <= low <= high <= TOP:
        raise UsageError(
            f"{where}: AQI {low}–{high} is no range.", remedy=f"Give both ends, 0 to {TOP}, the lower one first."
        )
    if book.option("width") == "refused" and too_wide(book, low, high):
        raise UsageError(
            f"{where}: AQI {low}–{high} is {high - low} wide; at most {width_max(book, low, high):g} is allowed.",
            remedy="Narrow it, or choose another option `width` of the rule book forecast.",
        )
    span = (level_of(low, day), level_of(high, day))
    level = edit.level if edit.level is not None else level_of((low + high) / 2, day)
    if not span[0] <= level <= span[1]:
        raise UsageError(
            f"{where}: level {level} lies outside AQI {low}–{high} (levels {span[0]} to {span[1]}).",
            remedy="Change the level or the range.",
        )
    return {"low": low, "high": high, "level": level, "primary": _primary(edit.primary, where, low, high, day),
            "words": words, "reason": reason}  # fmt: skip


def _primary(text: str, where: str, low: int, high: int, day: date) -> str:
    names = list(dict.fromkeys(name.strip() for name in text.replace("，", ",").split(",") if name.strip()))
    for name in names:
        if name not in DAILY_ITEMS:
            raise UnknownName(f"primary pollutant of {where}", name, DAILY_ITEMS)
    above = named_above(day)
    if names and high <= above:
        raise UsageError(
            f"{where}: a primary pollutant ({', '.join(names)}) is named only above AQI {above:g}.",
            remedy="Leave it empty, or raise the range.",
        )
    if not names and low > above:
        raise UsageError(
            f"{where}: above AQI {above:g} the primary pollutant is named.",
            remedy=f"Name one or more of {', '.join(DAILY_ITEMS)}.",
        )
    return ",".join(names)


def office_of(me: Principal, own: str) -> str:
    """The office that somebody speaks for in the consultation of another one's bulletin; UsageError when none."""
    held = [g.place or g.department for g in me.grants if g.place or g.department]
    for name in held:
        if name != own:
            return name
    raise UsageError(
        f"{me.id} belongs to the office of this bulletin ({own}).",
        remedy="Other offices speak in its consultation; change the forecast with an edit.",
    )
