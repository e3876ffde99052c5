"""Grammar of a rule-book file. Every fault of a file is collected; one ContentError lists them all.

::

    id: gb3095
    title: {zh: ..., en: ...}
    editions:    {<date>: {edition, phase?, source, certainty, note?}}
    parameters:  {<key>: {unit, values: {<date>: {value, source, certainty?, note?}}}}
    options:     {<name>: {default, choices: {<choice>: {zh, en}}, why}}
    examples:    [{ask, on, expect} | {kind, ...}]

A ``value`` of null withdraws the parameter from its date on. Values change only on the date of an edition, so that
a book is the same on every day of its edition.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from qinglan.core.errors import ContentError
from qinglan.core.names import QUANTITIES
from qinglan.core.provenance import fingerprint
from qinglan.core.rulebook import Option, Value

CERTAINTIES = ("high", "medium-high", "medium", "medium-low", "low")

#: Units a rule may carry; "1" is a pure number, a name or a table of them. A record names one for each part,
#: joined by "; ".
UNITS = (
    "1", "%", "µg/m³", "mg/m³", "ppm", "ppb", "K", "°C", "hPa", "kPa", "m", "m/s", "°",
    "h", "d", "month", "year", "days", "hours", "means", "stations", "min", "decimals", "µg/m³/h", "g/mol",
    "km", "item", "items", "kg", "kg/h", "kg/m³", "CNY", "outlets",
)  # fmt: skip

#: Fields of a comparator's form (``form.<item>.<span>.<role>``): how a legal statistic is made and compared.
FORM_FIELDS = {
    "item": tuple(QUANTITIES),
    "series": ("day", "hour", "hour_max", "8h_max"),
    "statistic": ("mean", "mean_of_quarters", "percentile", "nth_highest", "exceedances", "peak_season"),
    "method": ("linear", "nearest_rank", "floor_rank"),
    "rounding": ("half_up", "truncate"),
    "value_rounding": ("half_up", "truncate"),
}
FORM_NUMBERS = ("limit", "years", "p", "n", "allowed", "decimals", "value_decimals")
FORM_NEEDS = {"percentile": "p", "nth_highest": "n", "exceedances": "allowed"}

_KEY = re.compile(r"^[a-z][a-z0-9_]*(\.[a-z0-9][a-z0-9_]*)*$")
_NAME = re.compile(r"^[a-z0-9][a-z0-9_]*$")


@dataclass(frozen=True, slots=True)
class Edition:
    """One text of a family: when it holds (`valid_to` included; None: open) and where that is said."""

    family: str
    edition: str
    phase: str
    valid_from: date
    valid_to: date | None
    source: str
    certainty: str
    note: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Edition with its phase, unique within the family."""
        return f"{self.edition} ({self.phase})" if self.phase else self.edition


@dataclass(frozen=True, slots=True)
class Parameter:
    """A key with its unit and dated values, oldest first (`value` None: withdrawn)."""

    key: str
    unit: str
    values: tuple[Value, ...]
    notes: Mapping[date, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A whole family file, checked."""

    family: str
    title: Mapping[str, str]
    editions: tuple[Edition, ...]
    parameters: Mapping[str, Parameter]
    options: Mapping[str, Option]
    option_texts: Mapping[str, Mapping[str, Mapping[str, str]]]
    examples: tuple[Mapping[str, Any], ...]
    content_hash: str


def parse_book(family: str, raw: Any, where: str) -> Document:
    """Check a parsed file and build its document; ContentError lists every problem.

    >>> parse_book("x", {"id": "y"}, "x.yaml")
    Traceback (most recent call last):
    ...
    qinglan.core.errors.ContentError: x.yaml: 6 problem(s)
      - id: is 'y', the file is named 'x'.
      - title: is missing.
      - editions: is missing.
      - parameters: is missing.
      - options: is missing.
      - examples: is missing.
    """
    check = _Checker()
    raw = check.mapping("", raw, required=("id", "title", "editions", "parameters", "options", "examples"))
    if raw.get("id") not in (None, family):
        check.problems.insert(0, f"id: is {raw['id']!r}, the file is named {family!r}.")
    title = check.bilingual("title", raw["title"]) if "title" in raw else {}
    editions = check.editions(family, raw.get("editions", {}))
    starts = [edition.valid_from for edition in editions]
    parameters = check.parameters(raw.get("parameters", {}), starts)
    options, texts = check.options(raw.get("options", {}))
    examples = check.examples(raw.get("examples", []), parameters, raw)
    if check.problems:
        raise ContentError(where, check.problems)
    return Document(family, title, editions, parameters, options, texts, examples, fingerprint(raw))


class _Checker:
    """Collects problems while it reads; every method returns something usable so that reading can go on."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def fault(self, where: str, what: str) -> None:
        self.problems.append(f"{where}: {what}" if where else what)

    def mapping(
        self, where: str, raw: Any, required: Sequence[str] = (), optional: Sequence[str] = ()
    ) -> dict[str, Any]:
        """A mapping with exactly the known keys."""
        if not isinstance(raw, dict):
            self.fault(where, f"must be a mapping, not {raw!r}.")
            return {}
        known = (*required, *optional)
        for key in raw:
            if key not in known:
                self.fault(f"{where}.{key}".strip("."), f"unknown key; known here: {', '.join(known)}.")
        for key in required:
            if key not in raw:
                self.fault(f"{where}.{key}".strip("."), "is missing.")
        return {key: value for key, value in raw.items() if key in known}

    def entries(self, where: str, raw: Any, *, empty: bool = False) -> dict[Any, Any]:
        """A mapping with free keys."""
        if not isinstance(raw, dict) or not (raw or empty):
            self.fault(where, f"must be a {'' if empty else 'non-empty '}mapping, not {raw!r}.")
            return {}
        return raw

    def text(self, where: str, raw: Any) -> str:
        if not isinstance(raw, str) or not raw.strip():
            self.fault(where, f"must be text, not {raw!r}.")
            return ""
        return " ".join(raw.split())

    def bilingual(self, where: str, raw: Any) -> dict[str, str]:
        found = self.mapping(where, raw, required=("zh", "en"))
        return {key: self.text(f"{where}.{key}", value) for key, value in found.items()}

    def day(self, where: str, raw: Any) -> date | None:
        try:
            if isinstance(raw, str) and len(raw) == 10:
                return date.fromisoformat(raw)
        except ValueError:
            pass
        self.fault(where, f"{raw!r} is not a date; write YYYY-MM-DD.")
        return None

    def certainty(self, where: str, raw: Any) -> str:
        if raw not in CERTAINTIES:
            self.fault(where, f"{raw!r} is not one of {', '.join(CERTAINTIES)}.")
        return str(raw)

    def editions(self, family: str, raw: Any) -> tuple[Edition, ...]:
        found: list[tuple[date, dict[str, Any], str]] = []
        for key, entry in self.entries("editions", raw).items() if raw else ():
            where = f"editions.{key}"
            fields = self.mapping(where, entry, ("edition", "source", "certainty"), ("phase", "note"))
            start = self.day(where, key)
            for name in ("edition", "source", "phase"):
                if name in fields:
                    fields[name] = self.text(f"{where}.{name}", fields[name])
            if "certainty" in fields:
                self.certainty(f"{where}.certainty", fields["certainty"])
            if "note" in fields:
                fields["note"] = self.bilingual(f"{where}.note", fields["note"])
            if start is not None:
                found.append((start, fields, where))
        found.sort(key=lambda item: item[0])
        made: list[Edition] = []
        for i, (start, fields, where) in enumerate(found):
            end = found[i + 1][0] - timedelta(days=1) if i + 1 < len(found) else None
            edition = Edition(
                family,
                fields.get("edition", ""),
                fields.get("phase", ""),
                start,
                end,
                fields.get("source", ""),
                fields.get("certainty", "low"),
                fields.get("note", {}),
            )
            if edition.label in [other.label for other in made]:
                self.fault(where, f"label {edition.label!r} is used twice; tell them apart by `phase`.")
            made.append(edition)
        return tuple(made)

    def parameters(self, raw: Any, starts: Sequence[date]) -> dict[str, Parameter]:
        made: dict[str, Parameter] = {}
        for key, entry in self.entries("parameters", raw).items() if raw else ():
            where = f"parameters.{key}"
            if not isinstance(key, str) or not _KEY.match(key):
                self.fault(where, "a key is lower-case words joined by dots.")
            fields = self.mapping(where, entry, required=("unit", "values"))
            unit = fields.get("unit")
            if "unit" in fields and not _known_unit(unit):
                self.fault(f"{where}.unit", f"{unit!r} is not a known unit; known: {', '.join(UNITS)}.")
            made[str(key)] = self.parameter(str(key), str(unit), fields.get("values", {}), starts)
        for key, parameter in made.items():
            if key.startswith("breakpoints."):
                self.breakpoints(parameter, made)
            if key.startswith("form."):
                self.form(parameter)
        return made

    def parameter(self, key: str, unit: str, raw: Any, starts: Sequence[date]) -> Parameter:
        values: list[Value] = []
        notes: dict[date, Mapping[str, str]] = {}
        for day_key, entry in self.entries(f"parameters.{key}.values", raw).items():
            where = f"parameters.{key}.values.{day_key}"
            fields = self.mapping(where, entry, ("value", "source"), ("certainty", "note"))
            start = self.day(where, day_key)
            source = self.text(f"{where}.source", fields["source"]) if "source" in fields else ""
            certainty = self.certainty(f"{where}.certainty", fields.get("certainty", "high"))
            if start is None:
                continue
            if starts and start not in starts:
                self.fault(where, f"values change with an edition; editions start {', '.join(map(str, starts))}.")
            if "note" in fields:
                notes[start] = self.bilingual(f"{where}.note", fields["note"])
            values.append(Value(_frozen(fields.get("value")), unit, source, start, certainty))
        values.sort(key=lambda value: value.valid_from)
        if values and values[0].value is None:
            self.fault(f"parameters.{key}.values", "begins with a withdrawal (value: null).")
        return Parameter(key, unit, tuple(values), notes)

    def breakpoints(self, parameter: Parameter, parameters: Mapping[str, Parameter]) -> None:
        """Strictly rising numbers, at most as many as ``breakpoints.iaqi`` (a table may stop early)."""
        index = parameters.get("breakpoints.iaqi")
        for value in parameter.values:
            where = f"parameters.{parameter.key}.values.{value.valid_from}"
            points = value.value
            if points is None:
                continue
            if not isinstance(points, tuple) or not all(_is_number(p) for p in points):
                self.fault(where, f"breakpoints must be a list of numbers, not {points!r}.")
                continue
            if any(low >= high for low, high in pairwise(points)):
                self.fault(where, f"breakpoints do not rise: {list(points)}.")
            longest = (
                max((len(v.value) for v in index.values if isinstance(v.value, tuple)), default=0) if index else 0
            )
            if not 2 <= len(points) <= longest:
                self.fault(where, f"has {len(points)} points, breakpoints.iaqi has {longest}.")

    def form(self, parameter: Parameter) -> None:
        """A comparator's form: known fields with known values, and what its statistic needs."""
        for value in parameter.values:
            where = f"parameters.{parameter.key}.values.{value.valid_from}.value"
            if value.value is None:
                continue
            needed = ("item", "role", "series", "statistic", "limit")
            fields = self.mapping(where, value.value, needed, (*FORM_FIELDS, *FORM_NUMBERS, "note"))
            for name, known in FORM_FIELDS.items():
                if name in fields and fields[name] not in known:
                    self.fault(f"{where}.{name}", f"{fields[name]!r} is not one of {', '.join(known)}.")
            for name in FORM_NUMBERS:
                if name in fields and not _is_number(fields[name]):
                    self.fault(f"{where}.{name}", f"must be a number, not {fields[name]!r}.")
            lacking = FORM_NEEDS.get(str(fields.get("statistic")))
            if lacking and lacking not in fields:
                self.fault(f"{where}.{lacking}", f"is missing; statistic {fields['statistic']} needs it.")
            if "note" in fields:
                self.bilingual(f"{where}.note", fields["note"])

    def options(self, raw: Any) -> tuple[dict[str, Option], dict[str, dict[str, dict[str, str]]]]:
        made: dict[str, Option] = {}
        texts: dict[str, dict[str, dict[str, str]]] = {}
        for name, entry in self.entries("options", raw, empty=True).items():
            where = f"options.{name}"
            if not isinstance(name, str) or not _NAME.match(name):
                self.fault(where, "an option's name is a lower-case word; quote it when YAML reads it otherwise.")
            fields = self.mapping(where, entry, required=("default", "choices", "why"))
            choices: dict[str, dict[str, str]] = {}
            for choice, text in self.entries(f"{where}.choices", fields.get("choices", {})).items():
                if not isinstance(choice, str) or not _NAME.match(choice):
                    self.fault(
                        f"{where}.choices.{choice}",
                        "a choice is a lower-case word; quote true, false and numbers.",
                    )
                choices[str(choice)] = self.bilingual(f"{where}.choices.{choice}", text)
            if len(choices) < 2:
                self.fault(f"{where}.choices", "an option has at least two choices.")
            if fields.get("default") not in choices:
                self.fault(f"{where}.default", f"{fields.get('default')!r} is not among {', '.join(choices)}.")
            why = self.text(f"{where}.why", fields["why"]) if "why" in fields else ""
            texts[str(name)] = choices
            spelled = {choice: f"{text.get('zh', '')} / {text.get('en', '')}" for choice, text in choices.items()}
            made[str(name)] = Option(str(name), str(fields.get("default")), spelled, why)
        return made, texts

    def examples(
        self, raw: Any, parameters: Mapping[str, Parameter], whole: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], ...]:
        if "examples" in whole and (not isinstance(raw, list) or not raw):
            self.fault("examples", "must be a non-empty list.")
            return ()
        for i, example in enumerate(raw):
            where = f"examples[{i}]"
            if not isinstance(example, dict) or ("ask" in example) == ("kind" in example):
                self.fault(where, "has either `ask` (a key) or `kind`.")
                continue
            if "on" in example:
                self.day(f"{where}.on", example["on"])
            if "ask" in example:
                fields = self.mapping(where, example, ("ask", "on", "expect"), ("source",))
                if fields.get("ask") not in parameters:
                    self.fault(f"{where}.ask", f"{fields.get('ask')!r} is not a parameter.")
        return tuple(raw)


def _known_unit(unit: Any) -> bool:
    return isinstance(unit, str) and all(part in UNITS for part in unit.split("; "))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _frozen(value: Any) -> Any:
    """Lists become tuples: a book is shared between callers and must not change under them."""
    if isinstance(value, list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return value
