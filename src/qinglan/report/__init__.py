"""Bulletins: numbers of a run in, documents out (Word, PDF, HTML, Excel). Pure but for fonts of the machine."""

from qinglan.report.bulletin import Bulletin, DayLine, ItemValue, PlaceLine, TargetLine, differences
from qinglan.report.compose import compose, plain_text
from qinglan.report.document import Document
from qinglan.report.kinds import LANGUAGES, STATES, kind_of, kinds, move_of, moves, period_words, short_label
from qinglan.report.writers import FORMS, MEDIA, pages, write

__all__ = [
    "FORMS",
    "LANGUAGES",
    "MEDIA",
    "STATES",
    "Bulletin",
    "DayLine",
    "Document",
    "ItemValue",
    "PlaceLine",
    "TargetLine",
    "compose",
    "differences",
    "kind_of",
    "kinds",
    "move_of",
    "moves",
    "pages",
    "period_words",
    "plain_text",
    "short_label",
    "write",
]
