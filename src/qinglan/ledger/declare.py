"""Ledgers (台账) as their files declare them: ``content/ledgers/<id>.yaml``, checked and frozen.

The grammar is in :mod:`qinglan.ledger.grammar`, the contract in docs/design/0012-ledgers.md.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import polars as pl

from qinglan.core.errors import ContentError, UnknownName
from qinglan.core.provenance import fingerprint
from qinglan.ledger.expressions import DTYPES, word_or_rule
from qinglan.ledger.grammar import (
    CODES_FILE,
    LEDGER,
    check_columns,
    check_examples,
    check_roles,
    check_rules,
)
from qinglan.plan.content import names, read
from qinglan.plan.pack_schema import Walk

_FOLDER = "ledgers"
_FACTOR_LISTS = ("sectors", "fuels", "technologies", "controls")

Text = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Code:
    """A choice: its code, its words (``zh``, ``en``) and other spellings that are read as it."""

    code: str
    words: Text
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `type` one of :data:`qinglan.ledger.expressions.DTYPES`, `unit` as people write it.

    required : always (True), never (False) or where a rule says so (its SQL)
    codes : of columns of type code and state, in the file's order
    refers : ``ledger.column`` that must hold the value; aliases : other headers that are read as this column
    """

    name: str
    words: Text
    type: str
    required: bool | str = False
    unit: str = ""
    codes: Mapping[str, Code] = field(default_factory=dict)
    level: str = ""
    min: float | None = None
    max: float | None = None
    pattern: str = ""
    refers: str = ""
    personal: bool = False
    about: Text = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    decimals: int | None = None

    @property
    def dtype(self) -> pl.DataType:
        """Its type in a frame."""
        return DTYPES[self.type]


@dataclass(frozen=True, slots=True)
class States:
    """The life of a row: where a new one starts when nothing is written, and from where it can go where."""

    initial: str
    words: Mapping[str, Text]
    moves: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Check:
    """A rule on rows: where `where` is true, `holds` must not be false. `on` is the cell that is marked."""

    id: str
    level: str
    holds: str
    on: str
    message: Text
    remedy: Text
    where: str = "true"
    article: int | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Something due: on a day (``2025-12-31``), on a date column's day, or `after` = (span, how many) it."""

    id: str
    due: str
    done: str
    message: Text
    after: tuple[str, int] | None = None
    where: str = "true"
    article: int | None = None
    warn_days: int = 30


@dataclass(frozen=True, slots=True)
class Indicator:
    """A number of the ledger: `measure` is ``count``, ``sum`` or ``share`` (in %) and `value` its rule.

    of, weight : the whole of a share and what its rows weigh; baseline, change : the same measure at a base, and
    whether the indicator is its ``difference`` from it or its ``percent`` change
    """

    id: str
    title: Text
    unit: str
    measure: str
    value: str
    where: str = "true"
    of: str = "true"
    weight: str = ""
    baseline: str = ""
    change: str = ""
    target: str = ""
    article: int | None = None
    decimals: int | None = None
    note: Text = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Activity:
    """How a row becomes activity data: every entry is a rule over the row's columns."""

    id: str
    sector: str
    fuel: str
    technology: str
    year: str
    amount: str
    unit: str
    where: str = "true"
    terms: Mapping[str, str] = field(default_factory=dict)
    stack: Mapping[str, str] = field(default_factory=dict)
    quality: str = ""


@dataclass(frozen=True, slots=True)
class BadExample:
    """A row that must give one fault: the first good row with the cells of `row` changed."""

    row: Mapping[str, Any]
    code: str
    column: str
    check: str = ""
    existing: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ledger:
    """One ledger, checked. `hash` is that of its declaration with the code lists it uses."""

    id: str
    title: Text
    about: Text
    articles: tuple[int, ...]
    keeper: str
    editors: tuple[str, ...]
    identity: tuple[str, ...]
    label: str
    columns: tuple[Column, ...]
    place: str = ""
    enterprise: str = ""
    source: str = ""
    geometry: Mapping[str, str] = field(default_factory=dict)
    states: States | None = None
    checks: tuple[Check, ...] = ()
    deadlines: tuple[Deadline, ...] = ()
    indicators: tuple[Indicator, ...] = ()
    activity: tuple[Activity, ...] = ()
    sources: tuple[str, ...] = ()
    good: tuple[Mapping[str, Any], ...] = ()
    bad: tuple[BadExample, ...] = ()
    hash: str = ""

    def column(self, name: str) -> Column:
        """A column by name; UnknownName with the known ones."""
        for column in self.columns:
            if column.name == name:
                return column
        raise UnknownName(f"column of {self.id}", name, tuple(c.name for c in self.columns))

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Column to type of its frame of rows."""
        return {column.name: column.dtype for column in self.columns}

    @property
    def state(self) -> str:
        """The column of the state; empty when rows have none."""
        return next((c.name for c in self.columns if c.type == "state"), "")


@cache
def ledgers() -> tuple[str, ...]:
    """Ids of all declared ledgers.

    >>> "boilers" in ledgers()
    True
    """
    return names(_FOLDER)


@cache
def code_lists() -> Mapping[str, Mapping[str, Code]]:
    """Every shared code list by name; ContentError with every fault of every list.

    ``sectors``, ``fuels``, ``technologies`` and ``controls`` are those of ``content/factors``, so that a ledger's
    codes are the inventory's; the rest lies in ``content/ledgers/codes``.
    """
    problems: list[str] = []
    made: dict[str, Mapping[str, Code]] = dict(_factor_lists())
    for name in names(_FOLDER, "codes"):
        raw, walk = read(_FOLDER, "codes", name), Walk(f"{_FOLDER}/codes/{name}.yaml")
        CODES_FILE(walk, "", raw)
        if not walk.problems and (raw["id"] != name or name in _FACTOR_LISTS):
            walk.fault("id", raw["id"], f"The file is named {name!r}; {', '.join(_FACTOR_LISTS)} are taken.")
        if not walk.problems:
            made[name] = codes_of(walk, "codes", raw["codes"], _factor_lists())
        problems += [str(p) for p in walk.problems]
    if problems:
        raise ContentError(f"{_FOLDER}/codes", problems)
    return made


@cache
def _factor_lists() -> Mapping[str, Mapping[str, Code]]:
    categories = read("factors", "categories")
    made = {name: _codes(categories[name]) for name in _FACTOR_LISTS if name in categories}
    file = resources.files("qinglan.content") / "factors" / "controls.csv"
    rows = csv.DictReader(io.StringIO(file.read_text(encoding="utf-8")))
    made["controls"] = _codes({row["control"]: row for row in rows})
    return made


@cache
def load_ledger(id: str) -> Ledger:  # noqa: A002 - the word of the contract
    """A declared ledger; UnknownName when there is none, ContentError with every fault of its file.

    >>> load_ledger("boilers").identity
    ('boiler_no',)
    """
    if id not in ledgers():
        raise UnknownName("ledger", id, ledgers())
    return parse_ledger(id, read(_FOLDER, id), f"{_FOLDER}/{id}.yaml", code_lists())


def parse_ledger(id: str, raw: Any, where: str, lists: Mapping[str, Mapping[str, Code]]) -> Ledger:  # noqa: A002
    """Check a parsed file and build its ledger; ContentError lists every problem.

    lists : shared code lists by name

    >>> parse_ledger("x", {"id": "y"}, "x.yaml", {})
    Traceback (most recent call last):
    ...
    qinglan.core.errors.ContentError: x.yaml: 9 problem(s)
      - x.yaml: title: is missing. Add it.
      - x.yaml: about: is missing. Add it.
      - x.yaml: articles: is missing. Add it.
      - x.yaml: keeper: is missing. Add it.
      - x.yaml: editors: is missing. Add it.
      - x.yaml: identity: is missing. Add it.
      - x.yaml: label: is missing. Add it.
      - x.yaml: columns: is missing. Add it.
      - x.yaml: examples: is missing. Add it.
    """
    walk = Walk(where)
    LEDGER(walk, "", raw)
    if not walk.problems:
        if raw["id"] != id:
            walk.fault("id", raw["id"], f"The file is named {id!r}.")
        found = {c["name"]: _column_codes(walk, c, raw, lists) for c in raw["columns"]}
        known = {name: list(codes) for name, codes in found.items() if codes}
        check_columns(walk, raw)
        check_roles(walk, raw)
        check_rules(walk, raw, known)
        check_examples(walk, raw)
    if walk.problems:
        raise ContentError(where, [str(p) for p in walk.problems])
    return _build(raw, found)


def _codes(raw: Mapping[str, Any]) -> dict[str, Code]:
    return {
        str(code): Code(str(code), {"zh": entry["zh"], "en": entry["en"]}, tuple(entry.get("aliases", ())))
        for code, entry in raw.items()
    }


def codes_of(
    walk: Walk, where: str, raw: str | Mapping[str, Any], lists: Mapping[str, Mapping[str, Code]]
) -> Mapping[str, Code]:
    """The codes that a `codes` entry means; what it names and is not there is noted in `walk`."""
    if not isinstance(raw, str) and "from" not in raw:
        return _codes(raw)
    entry: Mapping[str, Any] = {"from": raw} if isinstance(raw, str) else raw
    if entry["from"] not in lists:
        walk.fault(where, entry["from"], f"There is no such list. Known: {', '.join(sorted(lists))}.")
        return {}
    whole = lists[entry["from"]]
    for word in entry.get("only", ()):
        if word not in whole:
            walk.fault(f"{where}.only", word, f"Not in {entry['from']}. Known: {', '.join(whole)}.")
    chosen = {word: whole[word] for word in entry.get("only", whole) if word in whole}
    return chosen | _codes(entry.get("also", {}))


def _column_codes(
    walk: Walk, column: Mapping[str, Any], raw: Mapping[str, Any], lists: Mapping[str, Mapping[str, Code]]
) -> Mapping[str, Code]:
    if column["type"] == "state" and "states" in raw:
        return _codes(raw["states"]["all"])
    return codes_of(walk, f"columns[{column['name']}].codes", column["codes"], lists) if "codes" in column else {}


def _build(raw: Mapping[str, Any], codes: Mapping[str, Mapping[str, Code]]) -> Ledger:
    columns = [c["name"] for c in raw["columns"]]
    states = raw.get("states")
    plain: dict[str, Any] = {key: raw[key] for key in ("id", "title", "about", "keeper", "label")}
    plain |= {key: tuple(raw.get(key, ())) for key in ("articles", "editors", "identity", "sources")}
    plain |= {key: raw.get(key, "") for key in ("place", "enterprise", "source")}
    return Ledger(
        **plain,
        geometry=raw.get("geometry", {}),
        columns=tuple(_column(c, codes[c["name"]]) for c in raw["columns"]),
        states=States(states["initial"], states["all"], {k: tuple(v) for k, v in states["moves"].items()})
        if states
        else None,
        checks=tuple(Check(**_without(c, "certainty")) for c in raw.get("checks", ())),
        deadlines=tuple(_deadline(d) for d in raw.get("deadlines", ())),
        indicators=tuple(_indicator(i) for i in raw.get("indicators", ())),
        activity=tuple(_activity(a, columns) for a in raw.get("activity", ())),
        good=tuple(raw["examples"]["good"]),
        bad=tuple(BadExample(**entry) for entry in raw["examples"]["bad"]),
        hash=fingerprint(
            [raw, {name: {c.code: dict(c.words) for c in of.values()} for name, of in codes.items()}]
        ),
    )


def _column(raw: Mapping[str, Any], codes: Mapping[str, Code]) -> Column:
    rest = {k: v for k, v in raw.items() if k not in ("zh", "en", "codes", "aliases")}
    return Column(
        **rest, words={"zh": raw["zh"], "en": raw["en"]}, codes=codes, aliases=tuple(raw.get("aliases", ()))
    )


def _deadline(raw: Mapping[str, Any]) -> Deadline:
    due, rest = raw["due"], _without(raw, "due", "source")
    if isinstance(due, str):
        return Deadline(**rest, due=due)
    span = next((key, value) for key, value in due.items() if key != "column")
    return Deadline(**rest, due=due["column"], after=span)


def _indicator(raw: Mapping[str, Any]) -> Indicator:
    measure = next(key for key in ("count", "sum", "share") if key in raw)
    change = raw.get("change", {})
    return Indicator(
        **_without(raw, measure, "change"),
        measure=measure,
        value=raw[measure],
        baseline=change.get("baseline", ""),
        change=change.get("as", ""),
    )


def _activity(raw: Mapping[str, Any], columns: list[str]) -> Activity:
    rest = _without(raw, "category", "amount", "note", "quality")
    rest |= {
        part: word_or_rule(raw["category"].get(part, "''"), columns) for part in ("sector", "fuel", "technology")
    }
    quality = word_or_rule(str(raw["quality"]), columns) if "quality" in raw else ""
    return Activity(**rest, amount=raw["amount"]["value"], unit=raw["amount"]["unit"], quality=quality)


def _without(raw: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if key not in keys}
