"""Grammar of a ledger's file: its keys, its rules held against its columns, its examples against both.

Every fault is collected (:class:`qinglan.plan.pack_schema.Walk`); the reader raises them all at once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from qinglan.ledger.expressions import (
    ADDED,
    ANY,
    DAY,
    DTYPES,
    NUMBER,
    TRUTH,
    problems_of,
    word_or_rule,
)
from qinglan.ledger.faults import FAULTS, LEVELS
from qinglan.plan.pack_schema import (
    BOTH,
    Rule,
    Walk,
    as_day,
    choice,
    flag,
    keyed,
    listing,
    number,
    record,
    slug,
    text,
    whole,
)
from qinglan.plan.places import LEVELS as PLACE_LEVELS
from qinglan.plan.schema import CERTAINTIES

NAME = re.compile(r"[a-z][a-z0-9_]*")
EDITORS = ("province", "prefecture", "county", "department", "operator", "enterprise")
KINDS = ("point", "line", "polygon")
SPANS = ("days", "months", "years")
CHANGES = ("difference", "percent")
STACK = ("height", "diameter", "temperature", "velocity", "flow")
_MEASURES = ("count", "sum", "share")
_RANGED = ("number", "integer", "year", "lon", "lat")


def name(walk: Walk, where: str, value: Any) -> None:
    """A column's name: lower-case letters, digits and _."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        walk.fault(where, value, "Write a name of lower-case letters, digits and _.")


def anything(walk: Walk, where: str, value: Any) -> None:
    """Held against the columns later."""


def truth(walk: Walk, where: str, value: Any) -> None:
    """true, false or a rule."""
    if not isinstance(value, bool | str):
        walk.fault(where, value, "Write true, false or an SQL condition.")


def pattern(walk: Walk, where: str, value: Any) -> None:
    """A regular expression that Polars can compile."""
    try:
        re.compile(value)
        pl.Series([""]).str.contains(value)
    except (re.error, TypeError, pl.exceptions.PolarsError):
        walk.fault(where, value, "Write a regular expression without look-around.")


def code_list(walk: Walk, where: str, value: Any) -> None:
    """The name of a shared list, a choice out of one (`from`, `only`, `also`), or the codes themselves."""
    if isinstance(value, str):
        slug(walk, where, value)
    elif isinstance(value, Mapping) and "from" in value:
        record({"from": slug}, {"only": listing(text), "also": keyed(text, CODE)})(walk, where, value)
    else:
        keyed(text, CODE)(walk, where, value)


def due(walk: Walk, where: str, value: Any) -> None:
    """A day, a date column, or a column and a span after it."""
    if isinstance(value, Mapping):
        record({"column": name}, dict.fromkeys(SPANS, whole))(walk, where, value)
        if sum(span in value for span in SPANS) != 1:
            walk.fault(where, value, f"Give one of {', '.join(SPANS)}.")
    elif as_day(value) is None:
        name(walk, where, value)


CODE = record({"zh": text, "en": text}, {"aliases": listing(text), "note": text})
CODES_FILE = record(
    {"id": slug, "title": BOTH, "codes": code_list},
    {"source": text, "certainty": choice(*CERTAINTIES), "note": text},
)
COLUMN = record(
    {"name": name, "zh": text, "en": text, "type": choice(*DTYPES)},
    {
        "required": truth,
        "unit": text,
        "codes": code_list,
        "level": choice(*PLACE_LEVELS),
        "min": number,
        "max": number,
        "pattern": pattern,
        "refers": text,
        "personal": flag,
        "about": BOTH,
        "aliases": listing(text),
        "decimals": whole,
    },
)
CHECK = record(
    {"id": slug, "level": choice(*LEVELS[:3]), "holds": anything, "on": name, "message": BOTH, "remedy": BOTH},
    {"where": anything, "article": whole, "source": text, "certainty": choice(*CERTAINTIES)},
)
DEADLINE = record(
    {"id": slug, "due": due, "done": anything, "message": BOTH},
    {"where": anything, "article": whole, "source": text, "warn_days": whole},
)
INDICATOR = record(
    {"id": slug, "title": BOTH, "unit": text},
    {
        **dict.fromkeys(("where", "of", "weight", *_MEASURES), anything),
        "target": slug,
        "article": whole,
        "decimals": whole,
        "change": record({"baseline": anything, "as": choice(*CHANGES)}),
        "note": BOTH,
    },
)
ACTIVITY = record(
    {
        "id": slug,
        "category": record({"sector": anything}, {"fuel": anything, "technology": anything}),
        "year": anything,
        "amount": record({"value": anything, "unit": text}),
    },
    {
        "where": anything,
        "terms": keyed(name, anything),
        "stack": record({}, dict.fromkeys(STACK, anything)),
        "quality": anything,
        "note": text,
    },
)
STATES = record(
    {"initial": slug, "all": keyed(slug, BOTH), "moves": keyed(slug, listing(slug, empty=True))},
)
EXAMPLES = record(
    {
        "good": listing(keyed(name, anything)),
        "bad": listing(
            record(
                {"row": keyed(name, anything), "code": choice(*FAULTS), "column": name},
                {"check": slug, "existing": keyed(name, anything)},
            )
        ),
    }
)
LEDGER: Rule = record(
    {
        "id": slug,
        "title": BOTH,
        "about": BOTH,
        "articles": listing(whole, empty=True),
        "keeper": slug,
        "editors": listing(choice(*EDITORS)),
        "identity": listing(name),
        "label": name,
        "columns": listing(COLUMN),
        "examples": EXAMPLES,
    },
    {
        "place": name,
        "enterprise": name,
        "source": name,
        "geometry": record({"kind": choice(*KINDS)}, {"lon": name, "lat": name, "wkt": name}),
        "states": STATES,
        "checks": listing(CHECK),
        "deadlines": listing(DEADLINE),
        "indicators": listing(INDICATOR),
        "activity": listing(ACTIVITY),
        "sources": listing(text),
    },
)


def check_columns(walk: Walk, raw: Mapping[str, Any]) -> None:
    """Columns among themselves: names once, options that fit the type."""
    seen: set[str] = set()
    for column in raw["columns"]:
        where = f"columns[{column['name']}]"
        if column["name"] in seen:
            walk.fault(where, column["name"], "Each column has its own name.")
        seen.add(column["name"])
        kind = column["type"]
        if (kind == "code") != ("codes" in column):
            walk.fault(f"{where}.codes", kind, "Columns of type code, and only they, name their codes.")
        if kind == "reference" and "refers" not in column:
            walk.fault(f"{where}.refers", "is missing", "Say ledger.column.")
        if not re.fullmatch(r"[a-z0-9-]+\.[a-z0-9_]+", column.get("refers", "a.b")):
            walk.fault(f"{where}.refers", column["refers"], "Write ledger.column.")
        if {"min", "max"} & set(column) and kind not in _RANGED:
            walk.fault(where, kind, f"min and max belong to {', '.join(_RANGED)}.")
        if column.get("min", 0) > column.get("max", column.get("min", 0)):
            walk.fault(where, f"{column['min']}..{column['max']}", "min is not above max.")
        if kind == "number" and "unit" not in column:
            walk.fault(f"{where}.unit", "is missing", 'A number has a unit; "1" is a pure number.')
        for key, wanted in (("level", "place"), ("pattern", "text")):
            if key in column and kind not in (wanted, "reference" if key == "pattern" else wanted):
                walk.fault(f"{where}.{key}", kind, f"Belongs to columns of type {wanted}.")
    for spelled in ("zh", "en"):
        heads = [column[spelled] for column in raw["columns"]]
        for head in sorted({h for h in heads if heads.count(h) > 1}):
            walk.fault(f"columns.{spelled}", head, "Two columns have this header; a workbook could not tell them.")


def check_roles(walk: Walk, raw: Mapping[str, Any]) -> None:
    """Columns that play a part are there and of the right type."""
    types = {column["name"]: column["type"] for column in raw["columns"]}
    parts: list[tuple[str, Any, tuple[str, ...]]] = [("label", raw["label"], ())]
    parts += [(f"identity[{i}]", column, ()) for i, column in enumerate(raw["identity"])]
    wanted = {"place": ("place",), "enterprise": ("uscc", "reference"), "source": ()}
    parts += [(part, raw[part], kinds) for part, kinds in wanted.items() if part in raw]
    geometry = raw.get("geometry", {})
    parts += [(f"geometry.{k}", geometry[k], (k,)) for k in ("lon", "lat", "wkt") if k in geometry]
    for where, column, kinds in parts:
        if column not in types:
            walk.fault(where, column, f"No such column. Known: {', '.join(types)}.")
        elif kinds and types[column] not in kinds:
            walk.fault(where, column, f"Must be a column of type {' or '.join(kinds)}.")
    for column in raw["identity"]:
        required = next((c.get("required") for c in raw["columns"] if c["name"] == column), True)
        if required is not True:
            walk.fault(f"identity.{column}", "is not required", "A column of the identity is `required: true`.")
    if geometry:
        needs = ("lon", "lat") if geometry["kind"] == "point" else ("wkt",)
        if not set(needs) <= set(geometry):
            walk.fault("geometry", geometry["kind"], f"Names its columns {', '.join(needs)}.")
    _check_states(walk, raw, list(types.values()).count("state"))


def _check_states(walk: Walk, raw: Mapping[str, Any], columns: int) -> None:
    states = raw.get("states")
    if columns > 1 or bool(columns) != bool(states):
        walk.fault("states", columns, "One column of type state and `states` belong together.")
    if not states:
        return
    known = list(states["all"])
    named = [("initial", states["initial"])]
    for start, targets in states["moves"].items():
        named += [(f"moves.{start}", word) for word in (start, *targets)]
    for where, word in named:
        if word not in known:
            walk.fault(f"states.{where}", word, f"Known: {', '.join(known)}.")
    for word in known:
        if word not in states["moves"]:
            walk.fault("states.moves", word, "Say where it can go; [] is nowhere.")


def check_rules(walk: Walk, raw: Mapping[str, Any], codes: Mapping[str, Sequence[str]]) -> None:
    """Every expression compiles against the typed columns and gives what is wanted there."""
    schema = {c["name"]: DTYPES[c["type"]] for c in raw["columns"]} | dict(ADDED)
    columns = [c["name"] for c in raw["columns"]]

    def hold(where: str, value: Any, wanted: str) -> None:
        for shown, remedy in problems_of(value, schema, wanted, codes):
            walk.fault(where, shown, remedy)

    for column in raw["columns"]:
        if isinstance(column.get("required"), str):
            hold(f"columns[{column['name']}].required", column["required"], TRUTH)
    for section, keys in (
        ("checks", ("where", "holds")),
        ("deadlines", ("where", "done")),
        ("activity", ("where",)),
    ):
        for entry in _once(walk, section, raw.get(section, ())):
            for key in (k for k in keys if k in entry):
                hold(f"{section}[{entry['id']}].{key}", entry[key], TRUTH)
    for entry in raw.get("checks", ()):
        if entry["on"] not in columns:
            walk.fault(f"checks[{entry['id']}].on", entry["on"], f"No such column. Known: {', '.join(columns)}.")
    for entry in raw.get("deadlines", ()):
        limit = entry["due"]
        column = limit["column"] if isinstance(limit, Mapping) else limit
        if as_day(column) is None:
            hold(f"deadlines[{entry['id']}].due", column, DAY)
    for entry in _once(walk, "indicators", raw.get("indicators", ())):
        _check_indicator(walk, entry, hold)
    for entry in raw.get("activity", ()):
        where = f"activity[{entry['id']}]"
        for part, value in entry["category"].items():
            hold(
                f"{where}.category.{part}", word_or_rule(value, columns) if isinstance(value, str) else value, ANY
            )
        hold(f"{where}.year", entry["year"], NUMBER)
        hold(f"{where}.amount.value", entry["amount"]["value"], NUMBER)
        for part, wanted in (("terms", ANY), ("stack", NUMBER)):
            for key, value in entry.get(part, {}).items():
                hold(f"{where}.{part}.{key}", value, wanted)
        if "quality" in entry:
            hold(f"{where}.quality", word_or_rule(str(entry["quality"]), columns), ANY)


def _check_indicator(walk: Walk, entry: Mapping[str, Any], hold: Any) -> None:
    where = f"indicators[{entry['id']}]"
    measures = [key for key in _MEASURES if key in entry]
    if len(measures) != 1:
        walk.fault(where, measures, f"Give one of {', '.join(_MEASURES)}.")
    if ({"of", "weight"} & set(entry)) and "share" not in entry:
        walk.fault(where, measures, "`of` and `weight` belong to a share.")
    if "change" in entry and "share" in entry:
        walk.fault(f"{where}.change", "share", "A change is that of a count or a sum.")
    for key, wanted in (
        ("where", TRUTH),
        ("count", TRUTH),
        ("share", TRUTH),
        ("of", TRUTH),
        ("sum", NUMBER),
        ("weight", NUMBER),
    ):
        if key in entry:
            hold(f"{where}.{key}", entry[key], wanted)
    if "change" in entry:
        hold(f"{where}.change.baseline", entry["change"]["baseline"], NUMBER if "sum" in entry else TRUTH)


def check_examples(walk: Walk, raw: Mapping[str, Any]) -> None:
    """Examples name the ledger's columns and checks."""
    known = [c["name"] for c in raw["columns"]]
    checks = [c["id"] for c in raw.get("checks", ())]
    rows = [(f"good[{i}]", row) for i, row in enumerate(raw["examples"]["good"])]
    for i, entry in enumerate(raw["examples"]["bad"]):
        rows += [(f"bad[{i}].{part}", entry[part]) for part in ("row", "existing") if part in entry]
        if entry["column"] not in known:
            walk.fault(f"examples.bad[{i}].column", entry["column"], f"Known: {', '.join(known)}.")
        if "check" in entry and entry["check"] not in checks:
            walk.fault(f"examples.bad[{i}].check", entry["check"], f"Known: {', '.join(checks)}.")
        if (entry["code"] == "check_failed") != ("check" in entry):
            walk.fault(f"examples.bad[{i}]", entry["code"], "check_failed, and only it, names its check.")
    for where, row in rows:
        for column in row:
            if column not in known:
                walk.fault(f"examples.{where}", column, f"No such column. Known: {', '.join(known)}.")


def _once(walk: Walk, section: str, entries: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    seen: set[str] = set()
    for entry in entries:
        if entry["id"] in seen:
            walk.fault(f"{section}[{entry['id']}]", entry["id"], "Each id stands once.")
        seen.add(entry["id"])
    return entries
