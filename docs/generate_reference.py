"""Write the reference pages of the rule books from their data files: ``python docs/generate_reference.py``.

With ``--check`` nothing is written; the exit code says whether the pages are in step with the data.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from qinglan.core.names import QUANTITIES
from qinglan.plan import content
from qinglan.plan.rules import document, families
from qinglan.plan.schema import Document

PAGE = Path(__file__).resolve().parent / "reference" / "standards.md"

#: Families in reading order; others follow by name.
ORDER = ("gb3095", "hj633", "hj663", "ranking", "dust", "gbt8170", "qc", "who2021", "eu2024", "usepa2024")

HEAD = """\
# Rule books 规则库

<!-- Written by docs/generate_reference.py from src/qinglan/content/standards; do not edit. -->

Every legal number that Qinglan uses stands here with its date, unit, source and certainty. A value holds from its
date until the next one; a dash means that the text has no such rule from then on. Where the sources are silent or
at odds, the book has a named **option** with a default; every result names the choice in force.
Certainty: *high* was read in the text or is common ground; *medium* and *low* must be checked against the official
text before a legal decision rests on them. Keys in square brackets are explained at the end; "fact sheet" is the
project's compiled technical fact sheet with its section.

青蓝所用的每一个法定数值均列于此：生效日期、单位、出处与可靠程度。数值自所列日期起有效，至下一日期止；
“–”表示自该日起不再有此规定。出处未载或相互矛盾之处设为**选项**并给出默认值，每个结果都注明所用选项。
"""


def cell(value: Any) -> str:
    """One value as a table cell."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        parts = (f"{key} {cell(item)}" for key, item in value.items() if key != "note")
        return "; ".join(parts)
    if isinstance(value, tuple):
        return ", ".join(cell(item) for item in value)
    return str(value).replace("|", "\\|")


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def editions(book: Document) -> list[str]:
    """When which text holds."""
    rows = [
        [
            str(e.valid_from),
            str(e.valid_to or "…"),
            e.label,
            " ".join(e.note.values()),
            e.source,
            e.certainty,
        ]
        for e in book.editions
    ]
    return table(["from", "to", "edition", "note", "source", "certainty"], rows)


def parameters(book: Document) -> list[str]:
    """One row per key, one column per date on which any value of the book changes."""
    plain = {key: p for key, p in book.parameters.items() if key != "levels"}
    dates: list[date] = sorted({value.valid_from for p in plain.values() for value in p.values})
    rows = []
    for key, parameter in plain.items():
        dated = {value.valid_from: value for value in parameter.values}
        sources = list(dict.fromkeys(f"{v.source} ({v.certainty})" for v in parameter.values))
        values = [cell(dated[day].value) if day in dated else "" for day in dates]
        rows.append([f"`{key}`", parameter.unit, *values, "<br>".join(s.replace("|", "\\|") for s in sources)])
    return table(["key", "unit", *map(str, dates), "source (certainty)"], rows)


def levels(book: Document) -> list[str]:
    """The six levels of the index with their texts, of the newest edition."""
    if "levels" not in book.parameters:
        return []
    newest = book.parameters["levels"].values[-1]
    rows = [
        [
            str(row["level"]),
            f"{row['aqi_low']}–{row['aqi_high'] or '…'}",
            f"{row['zh']} {row['en']}",
            f"{row['colour_zh']} {row['rgb']}",
            f"{row['health_zh']}<br>{row['health_en']}",
            f"{row['advice_zh']}<br>{row['advice_en']}",
        ]
        for row in newest.value
    ]
    return [
        f"### Levels from {newest.valid_from}",
        "",
        *table(["level", "AQI", "name", "colour", "health", "advice"], rows),
    ]


def options(book: Document) -> list[str]:
    """Open points: choices, the default in bold, and why."""
    if not book.options:
        return []
    rows = []
    for name, option in book.options.items():
        choices = [
            f"**`{choice}`** (default): {text}" if choice == option.default else f"`{choice}`: {text}"
            for choice, text in option.choices.items()
        ]
        rows.append([f"`{name}`", "<br>".join(choices), option.why.replace("|", "\\|")])
    return ["### Options", "", *table(["option", "choices", "why"], rows)]


def sources() -> list[str]:
    """What the keys in square brackets mean."""
    rows = [[f"`{key}`", entry["en"], entry["read"]] for key, entry in content.read("sources").items()]
    return ["## Sources 出处", "", *table(["key", "is", "read as"], rows)]


def page() -> str:
    """The whole page."""
    ordered = [f for f in ORDER if f in families()] + [f for f in families() if f not in ORDER]
    lines = [HEAD]
    lines += ["Items: " + ", ".join(f"`{q.name}` {q.symbol} {q.zh} {q.en}" for q in QUANTITIES.values()) + ".", ""]
    for family in ordered:
        book = document(family)
        lines += [
            f"## `{family}` {book.title['zh']}",
            "",
            f"{book.title['en']}. Content hash `{book.content_hash[:16]}`.",
            "",
        ]
        lines += editions(book)
        lines += [f"Examples that a test runs: {len(book.examples)}.", "", "### Values", "", *parameters(book)]
        lines += levels(book) + options(book)
    lines += sources()
    return "\n".join(lines).rstrip() + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` compare; 0 when the page on disk is (now) in step."""
    text = page()
    if "--check" in arguments:
        return 0 if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text else 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
