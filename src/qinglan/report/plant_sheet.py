"""The sheet of one plant (一厂一策): what each of its lines does at yellow, orange and red, and how it is checked.

What it holds follows the technical guide of 2020 (环办大气函〔2020〕340号) as the ledger's columns carry it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from qinglan.core.rounding import shown
from qinglan.episode.completion import LEVELS, SPECIES
from qinglan.report.document import Block, Cell, Document, Heading, Note, Table, Text
from qinglan.report.kinds import texts

Words = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SheetLine:
    """A line of the plant. day : kg on a normal day by species. cuts : measure and share (0 to 100) by level.

    reach : the most that it can cut on the first day (0 to 100). hours : until it is down (None: not said).
    """

    number: str
    name: str
    sector: Words
    grade: Words
    protected: bool
    day: Mapping[str, float]
    cuts: Mapping[str, tuple[Words, float]]
    hours: float | None
    reach: float
    verified_by: str


@dataclass(frozen=True, slots=True)
class PlantSheet:
    """What a sheet is made of. notice : hours from the warning to its first day. source : change of the list."""

    uscc: str
    enterprise: str
    place: Words
    office: Words
    year: int
    day: date
    notice: float
    contacts: tuple[str, ...]
    lines: tuple[SheetLine, ...]
    source: str
    simulated: bool


def plant_sheet(sheet: PlantSheet, language: str) -> Document:
    """The sheet as a document that :func:`qinglan.report.writers.write` can write."""
    say = _Saying(language)
    checked = [Text(say("plant.checked", line=x.name, by=x.verified_by)) for x in sheet.lines]
    blocks: list[Block] = [
        Heading(say("plant.about")), *_about(sheet, say), Heading(say("plant.normal")), _normal(sheet, say),
        Heading(say("plant.measures")), *(_level(sheet, say, level) for level in LEVELS),
        Note(say("plant.first_day")), Heading(say("plant.time")), *_time(sheet, say),
        Heading(say("plant.checking")), *checked, Heading(say("plant.signed")),
        Text(say("plant.sign_plant")), Text(say("plant.sign_office")),
        Note(say("plant.source", source=sheet.source, day=sheet.day.isoformat())),
    ]  # fmt: skip
    lines = (say("plant.line", year=sheet.year, uscc=sheet.uscc), *([say("simulated")] if sheet.simulated else ()))
    title, identity = say("plant.title", enterprise=sheet.enterprise), f"emergency-list {sheet.year} {sheet.uscc}"
    return Document(language, title, say.word(sheet.office), lines, tuple(blocks), "", identity)


class _Saying:
    """Sentences of a language, and numbers with fixed decimals."""

    def __init__(self, language: str) -> None:
        self.language, self.texts = language, texts(language)

    def __call__(self, key: str, **values: Any) -> str:
        return self.texts[key].format(**values) if values else self.texts[key]

    def word(self, words: Words) -> str:
        return str(words[self.language])


def _about(sheet: PlantSheet, say: _Saying) -> list[Block]:
    grades = say("separator").join(dict.fromkeys(say.word(x.grade) for x in sheet.lines))
    made: list[Block] = [
        Text(say("plant.who", enterprise=sheet.enterprise, uscc=sheet.uscc, place=say.word(sheet.place),
                 year=sheet.year, n=len(sheet.lines), grades=grades))
    ]  # fmt: skip
    if sheet.contacts:
        made.append(Text(say("plant.contact", contact=say("separator").join(sheet.contacts))))
    kept = say("separator").join(x.name for x in sheet.lines if x.protected)
    return [*made, *([Text(say("plant.protected", lines=kept))] if kept else [])]


def _number(value: float, decimals: int = 1) -> tuple[str, Cell]:
    return shown(value, decimals).replace("-", "−"), value


def _table(
    name: str, caption: str, heads: Sequence[str], cells: Sequence[Sequence[tuple[str, Cell]]],
    left: tuple[int, ...], widths: tuple[float, ...],
) -> Table:  # fmt: skip
    return Table(
        name, caption, tuple(heads), tuple(tuple(t for t, _ in r) for r in cells),
        tuple(tuple(v for _, v in r) for r in cells), left, widths,
    )  # fmt: skip


def _species(say: _Saying) -> list[str]:
    return [say(f"plant.{s}") for s in SPECIES]


def _normal(sheet: PlantSheet, say: _Saying) -> Table:
    cells: list[list[tuple[str, Cell]]] = []
    for x in sheet.lines:
        words = (x.name, x.number, say.word(x.sector), say.word(x.grade))
        hours: tuple[str, Cell] = ("—", None) if x.hours is None else _number(x.hours, 0)
        cells.append([*((w, w) for w in words), *(_number(x.day[s]) for s in SPECIES), hours])
    total = say("plant.total")
    sums = [_number(sum(x.day[s] for x in sheet.lines)) for s in SPECIES]
    cells.append([(total, total), *[("", None)] * 3, *sums, ("", None)])
    heads = (say("plant.name"), say("plant.number"), say("plant.sector"), say("plant.grade"), *_species(say),
             say("plant.hours"))  # fmt: skip
    return _table(
        "normal",
        say("plant.table.normal"),
        heads,
        cells,
        (0, 1, 2, 3),
        (3, 2.4, 2.2, 1.4, 1.5, 1.5, 1.5, 1.5, 1.5),
    )


def _level(sheet: PlantSheet, say: _Saying, level: str) -> Table:
    cells: list[list[tuple[str, Cell]]] = []
    for x in sheet.lines:
        measure, share = x.cuts[level]
        words = (x.name, x.number, say.word(measure))
        cut = [_number(x.day[s] * share / 100) for s in SPECIES]
        cells.append([*((w, w) for w in words), _number(share, 2), *cut])
    total = say("plant.total")
    sums = [_number(sum(x.day[s] * x.cuts[level][1] / 100 for x in sheet.lines)) for s in SPECIES]
    cells.append([(total, total), *[("", None)] * 3, *sums])
    heads = (say("plant.name"), say("plant.number"), say("plant.measure"), say("plant.share"), *_species(say))
    return _table(
        level, say(f"plant.table.{level}"), heads, cells, (0, 1, 2), (3, 2.4, 3, 1.4, 1.5, 1.5, 1.5, 1.5)
    )


def _time(sheet: PlantSheet, say: _Saying) -> list[Block]:
    made: list[Block] = [Text(say("plant.notice", notice=f"{sheet.notice:g}"))]
    for x in sheet.lines:
        if x.protected:
            continue
        if x.hours is None:
            made.append(Text(say("plant.unsaid", line=x.name)))
        elif x.reach < 100:
            made.append(Text(say("plant.slow", line=x.name, hours=f"{x.hours:g}", reach=shown(x.reach, 1))))
        else:
            made.append(Text(say("plant.quick", line=x.name, hours=f"{x.hours:g}")))
    return made
