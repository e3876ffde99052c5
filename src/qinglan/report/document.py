"""A document without a format: what each writer (Word, PDF, HTML, Excel) is handed."""

from __future__ import annotations

from dataclasses import dataclass

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a section, already numbered."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Small print below a table or figure."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `rows` hold text as printed; `values` the same cells as numbers where they are numbers.

    name : of its sheet. left : columns that are text and stand left. fills : (row, column) to an RGB colour.
    widths : relative widths of the columns.
    """

    name: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    values: tuple[tuple[Cell, ...], ...]
    left: tuple[int, ...]
    widths: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture (PNG) with its caption and the words that stand for it."""

    name: str
    caption: str
    png: bytes
    alternative: str


Block = Heading | Text | Note | Table | Figure


@dataclass(frozen=True, slots=True)
class Document:
    """Title, the lines below it, and the blocks in order. `mark` is printed across a version not issued."""

    language: str
    title: str
    office: str
    lines: tuple[str, ...]
    blocks: tuple[Block, ...]
    mark: str
    identity: str
