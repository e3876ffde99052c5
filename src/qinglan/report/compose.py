"""From numbers to a document: the sections of a kind, in one language, with sentences made of the numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qinglan.core.rounding import shown
from qinglan.report import sections
from qinglan.report.bulletin import Bulletin, PlaceLine
from qinglan.report.document import Block, Document, Figure, Heading, Note, Text
from qinglan.report.kinds import kind_of, period_words, texts

GeoJson = Mapping[str, Any]
NOTHING = "—"
_NUMERALS = "一二三四五六七八九十"
#: The heading that each section opens; a section named here twice in a row opens it once.
_HEADINGS = {
    "overall": "overall", "ranking_text": "ranking", "place_table": "places", "day_table": "places",
    "days_table": "places", "ranking_table": "ranking", "compare_table": "places", "index_chart": "places",
    "fine_chart": "places", "map": "places", "primary": "primary", "levels_chart": "primary", "dust": "dust",
    "targets": "targets", "method": "method",
}  # fmt: skip


@dataclass
class Writer:
    """Writes one bulletin in one language: words, numbers as printed, running numbers of tables and figures."""

    bulletin: Bulletin
    language: str
    counted: dict[str, int] = field(default_factory=dict)

    def say(self, key: str, **values: Any) -> str:
        """A sentence."""
        return texts(self.language)[key].format(**values)

    def numbered(self, kind: str, key: str, **values: Any) -> str:
        """The caption of the next table or figure."""
        self.counted[kind] = self.counted.get(kind, 0) + 1
        return self.say(f"{kind}.{key}", n=self.counted[kind], **values)

    def name(self, place: PlaceLine) -> str:
        """A place's name."""
        return str(place.name[self.language])

    def names(self, places: Sequence[PlaceLine]) -> str:
        """Several names."""
        return self.join(self.name(p) for p in places)

    def join(self, parts: Any) -> str:
        """A list in words."""
        return self.say("separator").join(parts)

    @property
    def period(self) -> str:
        """The period in words."""
        return period_words(self.bulletin.span, self.language)

    def item(self, value: float | None, item: str) -> str:
        """A concentration as printed."""
        return NOTHING if value is None else shown(value, self.bulletin.decimals[item])

    def unit(self, unit: str) -> str:
        """A target's unit behind its number, in this language."""
        if unit == "%":
            return unit
        return f" {texts(self.language).get(f'unit.{unit}', unit)}"

    def level(self, number: int | None) -> str:
        """The name of a level."""
        found = [x for x in self.bulletin.levels if x["level"] == number]
        return str(found[0][self.language]) if found else NOTHING

    @staticmethod
    def fixed(value: float | None, decimals: int) -> str:
        """A number with fixed decimals and a true minus."""
        return NOTHING if value is None else shown(value, decimals).replace("-", "−")


def compose(
    bulletin: Bulletin,
    language: str,
    *,
    version: int = 1,
    issued_on: str | None = None,
    replaces: tuple[int, str] | None = None,
    boundaries: GeoJson | None = None,
) -> Document:
    """The document of a bulletin.

    language : zh or en. issued_on : ISO date; None for a version not issued, which is marked as a draft.
    replaces : number of the version that this one corrects, and why. boundaries : GeoJSON of the places (their
    division code in ``properties.place``); None leaves the map out with a note.
    """
    writer = Writer(bulletin, language)
    kind = kind_of(bulletin.kind)
    title = kind.title[language].format(place=bulletin.place_name[language], period=writer.period)
    lines = [writer.say("version_line", version=version)]
    if issued_on:
        lines.append(writer.say("issued_line", day=issued_on))
    if replaces:
        lines.append(writer.say("correction_line", version=replaces[0], reason=replaces[1]))
    if bulletin.simulated:
        lines.append(writer.say("simulated"))
    return Document(
        language, title, writer.say("office_line", office=bulletin.office[language]), tuple(lines),
        tuple(_blocks(writer, kind.sections, boundaries)), "" if issued_on else writer.say("draft_mark"),
        f"{bulletin.kind}-{bulletin.place}-{bulletin.run_id}-{version}",
    )  # fmt: skip


def _blocks(writer: Writer, names: Sequence[str], boundaries: GeoJson | None) -> list[Block]:
    blocks: list[Block] = []
    opened, number = "", 0
    for name in names:
        made = _section(writer, name, boundaries)
        heading = _HEADINGS[name]
        if made and heading != opened:
            opened = heading
            words = writer.say(f"section.{heading}")
            if heading == "method":
                blocks.append(Heading(words))
            else:
                number += 1
                mark = f"{_NUMERALS[number - 1]}、" if writer.language == "zh" else f"{number}. "
                blocks.append(Heading(f"{mark}{words}"))
        blocks += made
    return blocks


_TEXTS: Mapping[str, Callable[[Any], list[Block]]] = {
    "overall": sections.overall,
    "ranking_text": sections.ranking_text,
    "place_table": sections.place_table,
    "compare_table": sections.compare_table,
    "day_table": sections.day_table,
    "days_table": sections.days_table,
    "ranking_table": sections.ranking_table,
    "primary": sections.primary,
    "dust": sections.dust,
    "targets": sections.targets,
    "method": sections.method,
}


def _section(writer: Writer, name: str, boundaries: GeoJson | None) -> list[Block]:
    if name == "map":
        return _map(writer, boundaries)
    if name.endswith("_chart"):
        return _chart(writer, name.removesuffix("_chart"))
    return _TEXTS[name](writer)


def _chart(writer: Writer, name: str) -> list[Block]:
    from qinglan.report import figures  # Matplotlib takes most of a second: whoever draws nothing needs none

    b = writer.bulletin
    labels = [writer.name(p) for p in b.places]
    if name == "index":
        rows = [p for p in b.places if p.index is not None]
        if not rows:
            return []
        png = figures.bars(
            [writer.name(p) for p in rows], [p.index or 0.0 for p in rows], writer.say("axis.index"), decimals=2
        )
        said = writer.join(f"{writer.name(p)} {writer.fixed(p.index, 2)}" for p in rows)
    elif name == "levels":
        if not b.total("valid_days"):
            return []
        png = figures.level_stack(labels, [p.levels for p in b.places], b.levels, writer.say("axis.days"),
                                  writer.language)  # fmt: skip
        said = writer.join(f"{writer.name(p)} {'/'.join(str(n) for n in p.levels)}" for p in b.places)
    else:
        now = [p.items["pm2_5"].value for p in b.places]
        last = [p.items["pm2_5"].previous for p in b.places]
        if all(v is None for v in now):
            return []
        words = (writer.say("axis.this"), writer.say("axis.last"))
        png = figures.paired_bars(labels, now, last, writer.say("axis.fine"), words)
        said = writer.join(
            f"{n} {writer.item(a, 'pm2_5')} ({writer.item(c, 'pm2_5')})"
            for n, a, c in zip(labels, now, last, strict=True)
        )
    return [Figure(name, writer.numbered("figure", name), png, said)]


def _map(writer: Writer, boundaries: GeoJson | None) -> list[Block]:
    b = writer.bulletin
    if boundaries is None:
        return [Note(writer.say("map.none"))]
    from qinglan.report import figures

    daily = b.kind == "daily"
    what = writer.say("map.level" if daily else "map.rate")
    colours, labels = {}, {}
    aqi = {d.place: d for d in b.days}
    for p in b.places:
        if daily:
            day = aqi.get(p.place)
            level = next((x for x in b.levels if day and x["level"] == day.level), None)
            colours[p.place] = tuple(c / 255 for c in level["rgb"]) if level else None
            value = str(day.aqi) if day and day.aqi is not None else NOTHING
        else:
            colours[p.place] = None if p.rate is None else figures.rate_colour(p.rate)
            value = NOTHING if p.rate is None else f"{writer.fixed(p.rate, 1)}%"
        labels[p.place] = f"{writer.name(p)}\n{value}"
    about = boundaries.get("about", {})
    png = figures.area_map(boundaries, colours, labels, None if daily else figures.RATE_STEPS, writer.language)
    said = writer.join(text.replace("\n", " ") for text in labels.values())
    source = writer.say("map.source", source=about.get("source", NOTHING), datum=about.get("datum", NOTHING))
    return [Figure("map", writer.numbered("figure", "map", what=what), png, said), Note(source)]


def plain_text(document: Document) -> str:
    """All words of a document, for searching and for tests."""
    parts: list[str] = [document.title, document.office, *document.lines]
    for block in document.blocks:
        if isinstance(block, Heading | Text | Note):
            parts.append(block.text)
        elif isinstance(block, Figure):
            parts.append(block.caption)
        else:
            parts += [block.caption, *block.heads, *(cell for row in block.rows for cell in row)]
    return "\n".join(parts)
