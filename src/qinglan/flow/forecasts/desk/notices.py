"""An issued forecast as documents: Word, HTML and the short message in both languages, frozen with its version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from qinglan.core.clock import CST
from qinglan.core.errors import UnknownName
from qinglan.core.names import QUANTITIES
from qinglan.flow.forecasts.desk.rules import levels, named_above
from qinglan.flow.workspace import Workspace
from qinglan.plan import content
from qinglan.plan.rules import load_book
from qinglan.report.document import Block, Document, Heading, Note, Table, Text
from qinglan.report.kinds import LANGUAGES
from qinglan.report.writers import MEDIA, write
from qinglan.store import desk as store
from qinglan.store.desk import Made
from qinglan.store.files import Files

Row = dict[str, Any]
FORMS: Mapping[str, str] = {"docx": MEDIA["docx"], "html": MEDIA["html"], "txt": "text/plain; charset=utf-8"}


def freeze(
    workspace: Workspace, row: Row, made: Made, rows: Sequence[Row], old: Row | None, why: str
) -> list[Row]:
    """The documents of a version that is issued, in every language and form: `language, form, digest, size`.

    rows : of :func:`cells.table`. old : the issue that it corrects, and `why`; None for a first version.
    """
    files, kept = Files(workspace.home), []
    for language in LANGUAGES:
        writer = _Writer(workspace, row, made, rows, language, old, why)
        document = writer.document()
        for form in FORMS:
            data = (writer.message() + "\n").encode() if form == "txt" else write(document, form)
            kept.append({"language": language, "form": form, "digest": files.put(data), "size": len(data)})
    return kept


def export(workspace: Workspace, bulletin: str, version: int, language: str, form: str) -> tuple[bytes, str]:
    """A frozen document and a name for its file; UnknownName when the version has none."""
    for kept in store.frozen(workspace.registry, bulletin):
        if (kept["version"], kept["language"], kept["form"]) == (version, language, form):
            return Files(workspace.home).open(kept["digest"]), f"{bulletin}-{version}-{language}.{form}"
    raise UnknownName("document", f"{bulletin}/{version}.{form}", tuple(FORMS))


class _Writer:
    """One bulletin in one language."""

    def __init__(
        self, workspace: Workspace, row: Row, made: Made, rows: Sequence[Row], language: str, old: Row | None,
        why: str,
    ) -> None:  # fmt: skip
        self.workspace, self.rows, self.language, self.old = workspace, rows, language, old
        self.texts: Mapping[str, str] = content.read("forecast", "texts")[language]
        self.day = date.fromisoformat(row["day"])
        self.values = {
            "id": row["id"], "version": made.version, "place": self.place(row["place"]),
            "day": self.date(self.day), "at": self.moment(made.at), "reason": why,
            "before": old["version"] if old else "",
            "old": self.moment(old["at"]) if old else "",
        }  # fmt: skip
        self.values["office"] = self.say("office")

    def say(self, key: str, **values: Any) -> str:
        return self.texts[key].format(**{**self.values, **values})

    def place(self, code: str) -> str:
        named = self.workspace.named(code)
        return str(named["name"] if self.language == "zh" else named["name_en"])

    def date(self, day: date) -> str:
        return f"{day.year}年{day.month}月{day.day}日" if self.language == "zh" else day.isoformat()

    def moment(self, at: Any) -> str:
        here = at.astimezone(CST)
        return f"{self.date(here.date())}{here:%H:%M}" if self.language == "zh" else f"{here:%Y-%m-%d %H:%M}"

    def span(self, row: Row) -> str:
        """Names of the levels of a range."""
        names = {r["level"]: r[self.language] for r in levels(row["day"])}
        low, high = names[row["level_low"]], names[row["level_high"]]
        return str(low) if low == high else self.say("span", low=low, high=high)

    def items(self, text: str) -> str:
        return self.say("list").join(QUANTITIES[n].symbol for n in text.split(",") if n) or self.say("none")

    def message(self) -> str:
        """The short message: each place over its days, and the worst day."""
        said = []
        for code in dict.fromkeys(r["place"] for r in self.rows):
            own = [r for r in self.rows if r["place"] == code]
            whole = {"day": own[0]["day"], "level_low": min(r["level_low"] for r in own),
                     "level_high": max(r["level_high"] for r in own)}  # fmt: skip
            said.append(self.say("said", place=self.place(code), span=self.span(whole)))
        worst = max(self.rows, key=lambda r: (r["high"], r["low"]))
        primary = self.say("worst.primary", primary=self.items(worst["primary"])) if worst["primary"] else ""
        days = sorted({r["day"] for r in self.rows})
        return self.say(
            "message", day=self.date(days[0]), count=len(days), said=self.say("said.join").join(said),
            mark=self.say("mark") if self.old else "",
            worst=self.say("worst", place=self.place(worst["place"]), day=self.date(worst["day"]),
                           low=worst["low"], high=worst["high"], primary=primary),
        )  # fmt: skip

    def document(self) -> Document:
        """The bulletin."""
        blocks: list[Block] = [Text(self.say("correction"))] if self.old else []
        blocks += [Heading(self.say("heading.table")), self._table(), Note(self._basis())]
        blocks.append(Heading(self.say("heading.words")))
        told = [
            Text(self.say("words", place=self.place(r["place"]), day=self.date(r["day"]), words=r["words"]))
            for r in self.rows
            if r["words"]
        ]
        blocks += [*(told or [Text(self.say("no_words"))]), Heading(self.say("heading.health")), *self._health()]
        simulated = self.workspace.settings.simulated
        return Document(
            self.language, self.say("title"), self.values["office"], (self.say("number"), self.say("at")),
            tuple(blocks), self.say("simulated") if simulated else "",
            f"{self.values['id']}-{self.values['version']}",
        )  # fmt: skip

    def _basis(self) -> str:
        editions = self.say("list").join(dict.fromkeys(load_book("hj633", r["day"]).edition for r in self.rows))
        return self.say("basis", edition=editions, named=f"{named_above(self.rows[0]['day']):g}")

    def _table(self) -> Table:
        heads = ("place", "day", "aqi", "level", "primary", "words")
        rows = [
            (self.place(r["place"]), r["day"].isoformat(), f"{r['low']}–{r['high']}", self.span(r),
             self.items(r["primary"]), r["words"] or self.say("none"))
            for r in self.rows
        ]  # fmt: skip
        return Table(
            self.say("sheet"), self.say("table"), tuple(self.say(f"column.{h}") for h in heads), tuple(rows),
            tuple(tuple(r) for r in rows), (0, 1, 2, 3, 4, 5), (3, 2.2, 2, 3, 3, 4),
        )  # fmt: skip

    def _health(self) -> list[Block]:
        """What the levels of the table mean, the highest first."""
        met = {n for r in self.rows for n in range(r["level_low"], r["level_high"] + 1)}
        told = [r for r in levels(self.rows[-1]["day"]) if r["level"] in met]
        return [
            Text(self.say("health", level=r[self.language], health=r[f"health_{self.language}"],
                          advice=r[f"advice_{self.language}"]))
            for r in sorted(told, key=lambda r: -r["level"])
        ]  # fmt: skip
