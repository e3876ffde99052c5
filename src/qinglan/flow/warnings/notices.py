"""The notice of a warning: Word and HTML in both languages, and the short message; frozen with the move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from qinglan.core.clock import CST, today
from qinglan.core.errors import UnknownName
from qinglan.core.rounding import shown
from qinglan.episode.completion import SPECIES
from qinglan.episode.triggers import NONE
from qinglan.flow.warnings.orders import totals
from qinglan.flow.warnings.proposing import kept_evidence
from qinglan.flow.warnings.rules import BOOK, level_name, words
from qinglan.flow.workspace import Workspace
from qinglan.plan import content
from qinglan.plan.rules import load_book
from qinglan.report.document import Block, Document, Heading, Table, Text
from qinglan.report.kinds import LANGUAGES
from qinglan.report.writers import MEDIA, write
from qinglan.store import warnings as store
from qinglan.store.files import Files
from qinglan.store.warnings import Made

Row = dict[str, Any]
KINDS = ("issue", "upgrade", "downgrade", "lift")
FORMS: Mapping[str, str] = {"docx": MEDIA["docx"], "html": MEDIA["html"], "txt": "text/plain; charset=utf-8"}


def freeze(workspace: Workspace, row: Row, kind: str, made: Made, orders: Sequence[Row]) -> list[Row]:
    """The notice of a move in every language and form, kept by content: `language, form, digest, size`."""
    files, kept = Files(workspace.home), []
    for language in LANGUAGES:
        writer = _Writer(workspace, row, kind, made, orders, language)
        document = writer.document()
        for form in FORMS:
            data = (writer.message() + "\n").encode() if form == "txt" else write(document, form)
            kept.append({"language": language, "form": form, "digest": files.put(data), "size": len(data)})
    return kept


def export(workspace: Workspace, warning: str, move: int, language: str, form: str) -> tuple[bytes, str]:
    """A frozen notice and a name for its file; UnknownName when the move has none."""
    for kept in store.notices(workspace.registry, warning):
        if (kept["move"], kept["language"], kept["form"]) == (move, language, form):
            return Files(workspace.home).open(kept["digest"]), f"warning-{warning}-{move}-{language}.{form}"
    raise UnknownName("notice", f"{warning}/{move}.{form}", tuple(FORMS))


class _Writer:
    """One notice in one language."""

    def __init__(
        self, workspace: Workspace, row: Row, kind: str, made: Made, orders: Sequence[Row], language: str
    ) -> None:
        self.workspace, self.kind, self.made, self.orders, self.language = workspace, kind, made, orders, language
        self.texts: Mapping[str, str] = content.read("episode", "texts")[language]
        book = load_book(BOOK, today(made.at))
        self.level = made.level
        self.values = {
            "id": row["id"], "place": self._place(row["place"]), "level": level_name(made.level, language),
            "mark": words()["levels"][made.level]["mark"], "before": self._before(row),
            "start": _moment(row["starts_at"], language), "at": _moment(made.at, language),
            "hours": f"{book.number('limit.order'):g}", "edition": book.edition,
        }  # fmt: skip
        self.values["office"] = self.say("office")

    def _before(self, row: Row) -> str:
        """The level before a change: the last that was in force."""
        last = store.history(self.workspace.registry, row["id"])[-1]
        return level_name(last["level"] if self.kind != "issue" else NONE, self.language)

    def _place(self, code: str) -> str:
        named = self.workspace.named(code)
        return str(named["name"] if self.language == "zh" else named["name_en"])

    def say(self, key: str, **values: Any) -> str:
        return self.texts[key].format(**self.values, **values)

    def message(self) -> str:
        """The short message."""
        return self.say(f"message.{self.kind}")

    def document(self) -> Document:
        """The notice."""
        blocks: list[Block] = [Text(self.say("to")), Text(self.say(self.kind)), Heading(self.say("heading.basis"))]
        blocks.append(Text(self.say("basis", clause=self._clause())))
        if self.made.reason:
            blocks.append(Text(self.say("reason", reason=self.made.reason)))
        if self.kind != "lift":
            blocks += [
                Heading(self.say("heading.measures")),
                *self._measures(),
                Heading(self.say("heading.health")),
            ]
            blocks.append(Text(self.say(f"health.{self.level}")))
        simulated = self.workspace.settings.simulated
        return Document(
            self.language, self.say(f"title.{self.kind}"), self.values["office"],
            (self.say("number"), self.say("at")), tuple(blocks), self.say("simulated") if simulated else "",
            f"{self.values['id']}-{self.kind}",
        )  # fmt: skip

    def _clause(self) -> str:
        """The clauses that hold for the level, out of the evidence that the warning keeps."""
        told = kept_evidence(self.workspace, self.made.content)
        held = [c["clause"] for c in told.get("clauses", []) if c["holds"] and c["level"] == self.level]
        return "; ".join(held) or self.say("none")

    def _measures(self) -> list[Block]:
        if not self.orders:
            return [Text(self.say("no_orders"))]
        lines = [line for order in self.orders for line in order["lines"]]
        whole = _promised(lines)
        count = {"count": len(self.orders), "lines": len(lines)}
        said = Text(self.say("orders", **count, **{s: shown(whole[s], 2) for s in SPECIES}))
        rows: list[tuple[str, ...]] = []
        values: list[tuple[str | int | float | None, ...]] = []
        for place in sorted({o["place"] for o in self.orders}):
            own = [o for o in self.orders if o["place"] == place]
            inside = [line for o in own for line in o["lines"]]
            sums = _promised(inside)
            numbers = (len(own), len(inside), *(sums[s] for s in SPECIES))
            values.append((self._place(place), *numbers))
            rows.append(
                (self._place(place), str(len(own)), str(len(inside)), *(shown(sums[s], 2) for s in SPECIES))
            )
        heads = tuple(self.say(f"table.{k}") for k in ("place", "count", "lines", *SPECIES))
        return [
            said,
            Table(self.say("sheet"), self.say("table"), heads, tuple(rows), tuple(values), (0,), (3, *[2] * 6)),
        ]


def _promised(lines: Sequence[Row]) -> Mapping[str, float]:
    found: Mapping[str, float] = totals([{**line, "done": None} for line in lines])["promised"]
    return found


def _moment(at: datetime | None, language: str) -> str:
    if at is None:
        return ""
    here = at.astimezone(CST)
    if language == "zh":
        return f"{here.year}年{here.month}月{here.day}日{here.hour}时" + (
            f"{here.minute}分" if here.minute else ""
        )
    return f"{here:%Y-%m-%d %H:%M}"
