"""How the command line speaks: two languages, tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text as Line

#: Colours of target and task states; the word stands beside them.
STATE_STYLES = {
    **dict.fromkeys(("met", "on_track", "reported_met", "done"), "green"),
    **dict.fromkeys(("not_met", "reported_not_met", "overdue"), "bold red"),
    **dict.fromkeys(("at_risk", "no_data"), "yellow"),
    **dict.fromkeys(("waiting", "not_started", "continuous", "in_progress"), "dim"),
}

STATES = {
    "met": ("达标", "met"),
    "not_met": ("未达标", "not met"),
    "on_track": ("进度正常", "on track"),
    "at_risk": ("有风险", "at risk"),
    "waiting": ("待证据", "waiting"),
    "reported_met": ("据报达标", "reported met"),
    "reported_not_met": ("据报未达标", "reported not met"),
    "no_data": ("数据不足", "no data"),
    "done": ("完成", "done"),
    "overdue": ("逾期", "overdue"),
    "in_progress": ("进行中", "in progress"),
    "continuous": ("长期坚持", "continuous"),
    "not_started": ("未启动", "not started"),
}


@dataclass
class Shell:
    """What every command knows: the home folder, the language, and whether to speak JSON."""

    home: Path
    lang: str = "zh"
    as_json: bool = False
    out: Console = field(default_factory=lambda: Console(highlight=False))
    err: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))

    def say(self, zh: str, en: str) -> str:
        """The text in the chosen language."""
        return zh if self.lang == "zh" else en

    def pick(self, text: Mapping[str, str] | str | None) -> str:
        """A bilingual text of the content in the chosen language."""
        if text is None:
            return ""
        return text if isinstance(text, str) else str(text.get(self.lang) or text.get("zh") or "")

    def state(self, name: str) -> Line:
        """A status as a coloured word."""
        zh, en = STATES.get(name, (name, name))
        return Line(self.say(zh, en), style=STATE_STYLES.get(name, ""))

    def progress(self, message: str) -> None:
        """A line of progress on the error stream, so that `--json` stays clean."""
        self.err.print(f"… {message}", style="dim", markup=False)

    def give(self, data: Any) -> None:
        """Print JSON."""
        self.out.print_json(json.dumps(data, ensure_ascii=False, default=str))

    def table(self, title: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Any]]) -> None:
        """Print a table; a column is (heading, "left" or "right")."""
        made = Table(
            title=title or None,
            title_justify="left",
            title_style="bold",
            header_style="bold",
            box=None,
            pad_edge=False,
        )
        for heading, side in columns:
            made.add_column(heading, justify="right" if side == "right" else "left", overflow="fold")
        for row in rows:
            made.add_row(*[cell if isinstance(cell, Line) else Line(shown(cell)) for cell in row])
        self.out.print(made)


def shown(value: Any) -> str:
    """A cell: nothing for None, plain numbers without binary tails."""
    if value is None:
        return "—"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def day_of(text: str) -> date:
    """A date as it is typed; UsageError says how to write one."""
    from qinglan.core.errors import UsageError

    try:
        return date.fromisoformat(text)
    except ValueError as cause:
        raise UsageError(f"cannot read date {text!r}.", remedy="Write YYYY-MM-DD.") from cause


def options_of(settings: Sequence[str]) -> dict[str, dict[str, str]]:
    """``["hj663.mda8_window=labels_01_24"]`` -> ``{"hj663": {"mda8_window": "labels_01_24"}}``."""
    from qinglan.core.errors import UsageError

    found: dict[str, dict[str, str]] = {}
    for text in settings:
        name, equals, choice = text.partition("=")
        book, dot, option = name.partition(".")
        if not (equals and dot and book and option and choice):
            raise UsageError(
                f"cannot read option {text!r}.", remedy="Write BOOK.OPTION=CHOICE, see `qinglan rules`."
            )
        found.setdefault(book, {})[option] = choice
    return found
