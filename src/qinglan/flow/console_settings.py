"""Settings that are changed in the console: options of the rule books, and thresholds of the house's own watch.

An option takes effect at the next run, whose verdict carries it; nothing that is published moves. What belongs to
the file or the environment (:class:`qinglan.flow.workspace.Settings`) is not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from qinglan.core.errors import UnknownName, UsageError
from qinglan.flow.workspace import Workspace
from qinglan.plan import content
from qinglan.plan.rules import Suite, document
from qinglan.store import settings as book

Row = dict[str, Any]
Options = Mapping[str, Mapping[str, str]]
OPTION, AT_ONCE, NEXT_RUN = "option", "at_once", "next_run"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    default : a number, or the name of a choice. low, high : bounds of a number, both included. choices : texts by
    name; empty for a number. effect : ``at_once`` or ``next_run``. source : the rule book and why its authors left
    it open, or why we chose the number.
    """

    key: str
    group: str
    default: float | str
    title: Mapping[str, str]
    why: Mapping[str, str]
    effect: str
    unit: str = ""
    low: float = 0.0
    high: float = 0.0
    choices: Mapping[str, Mapping[str, str]] | None = None

    def read(self, text: str) -> float | str:
        """A value from a form; UnknownName or UsageError saying what would be accepted."""
        said = text.strip()
        if self.choices is not None:
            if said not in self.choices:
                raise UnknownName(f"choice of {self.key}", said, tuple(self.choices))
            return said
        try:
            value = float(said)
        except ValueError:
            value = float("nan")
        if not self.low <= value <= self.high:
            raise UsageError(
                f"{self.key}: {text!r} is not a number from {self.low:g} to {self.high:g}.",
                remedy="Correct the number.",
            )
        return value


@cache
def declared() -> Mapping[str, Setting]:
    """Every setting by key, those of the rule books first."""
    found: dict[str, Setting] = {}
    for family in Suite().families().values():
        text = document(family)
        for name, option in text.options.items():
            key = f"{OPTION}.{family}.{name}"
            found[key] = Setting(
                key, family, option.default, {"zh": name, "en": name}, {"zh": option.why, "en": option.why},
                NEXT_RUN, choices=text.option_texts[name],
            )  # fmt: skip
    for key, said in content.read("settings", "console").items():
        found[key] = Setting(
            key, said["group"], said["default"], said["title"], said["why"], AT_ONCE, said["unit"], said["low"],
            said["high"],
        )  # fmt: skip
    return found


def _setting(key: str) -> Setting:
    if key not in declared():
        raise UnknownName("setting", key, tuple(declared()))
    return declared()[key]


def in_force(workspace: Workspace) -> list[Row]:
    """Every setting with the value that holds: ``setting, value, changed`` (by, at, reason; None: the default)."""
    last = {row["key"]: row for row in book.changes(workspace.registry)}
    made = []
    for key, setting in declared().items():
        said = last.get(key)
        there = said is not None and _still(setting, said["value"])
        made.append(
            {"setting": setting, "value": said["value"] if there and said else setting.default, "changed": said}
        )
    return made


def _still(setting: Setting, value: Any) -> bool:
    """Whether a value may still be had: a newer Qinglan may have dropped a choice or narrowed the bounds."""
    if setting.choices is not None:
        return value in setting.choices
    return isinstance(value, int | float) and setting.low <= value <= setting.high


def number(workspace: Workspace, key: str) -> float:
    """A threshold as it holds now."""
    return numbers(workspace)[key]


def numbers(workspace: Workspace) -> dict[str, float]:
    """All thresholds as they hold now, by key."""
    return {r["setting"].key: float(r["value"]) for r in in_force(workspace) if r["setting"].choices is None}


def options(workspace: Workspace, given: Options | None = None) -> dict[str, dict[str, str]]:
    """Options of the rule books for a run: those set in the console, and over them those `given` for this run.

    Only what is not the default is named, so that a workspace in which nothing was ever set runs as before.
    """
    made: dict[str, dict[str, str]] = {}
    for row in in_force(workspace):
        setting: Setting = row["setting"]
        if setting.choices is not None and row["value"] != setting.default:
            made.setdefault(setting.group, {})[setting.key.split(".", 2)[2]] = str(row["value"])
    for family, chosen in (given or {}).items():
        made[family] = {**made.get(family, {}), **chosen}
    return made


def change(workspace: Workspace, key: str, text: str, *, reason: str, who: str, now: datetime) -> None:
    """Set a value from its text (the default is stored as no value of its own), with a reason.

    Raises UnknownName (setting or choice) and UsageError (number, no reason, no change).
    """
    setting = _setting(key)
    value = setting.read(text)
    kept = None if value == setting.default else value
    book.change(workspace.registry, key, kept, reason=reason, who=who, at=now)


def history(workspace: Workspace) -> list[Row]:
    """Every change, newest first."""
    return book.changes(workspace.registry)[::-1]
