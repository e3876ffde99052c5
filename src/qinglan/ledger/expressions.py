"""Rules of a ledger: SQL over its columns, compiled by Polars and held against the columns' types.

A rule sees the ledger's columns and three more: `_today` (the day asked), `_year` (its year) and `_key_region`
(whether the row's place lies in a key region of the plan). It is three-valued: what is missing is neither true nor
false. No rule may look at other rows, at tables or outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import polars as pl
from polars.exceptions import PolarsError

#: Type of a column to the type of its frame. A month is the first day of it.
DTYPES: Mapping[str, pl.DataType] = {
    "text": pl.String(),
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "boolean": pl.Boolean(),
    "date": pl.Date(),
    "month": pl.Date(),
    "year": pl.Int64(),
    "code": pl.String(),
    "state": pl.String(),
    "place": pl.String(),
    "uscc": pl.String(),
    "permit": pl.String(),
    "lon": pl.Float64(),
    "lat": pl.Float64(),
    "wkt": pl.String(),
    "reference": pl.String(),
}
#: Columns that every rule may use besides those of its ledger.
ADDED: Mapping[str, pl.DataType] = {"_today": pl.Date(), "_year": pl.Int64(), "_key_region": pl.Boolean()}
TRUTH, NUMBER, DAY, ANY = "truth", "number", "day", "any"

_WORD = re.compile(r"[a-z_][a-z0-9_]*")
_COMPARED = re.compile(r"\b([a-z_][a-z0-9_]*)\s*(?:=|<>|!=)\s*'([^']*)'", re.IGNORECASE)
_LISTED = re.compile(r"\b([a-z_][a-z0-9_]*)\s+(?:not\s+)?in\s*\(([^()]*)\)", re.IGNORECASE)
_QUOTED = re.compile(r"'([^']*)'")


@lru_cache(maxsize=4096)
def expression(text: str) -> pl.Expr:
    """The compiled rule; Polars' own error when it is no SQL.

    >>> pl.DataFrame({"fuel": ["coal", None]}).select(expression("fuel = 'coal'")).to_series().to_list()
    [True, None]
    """
    return pl.sql_expr(text)


def names_in(text: str) -> tuple[str, ...]:
    """Columns that a rule looks at."""
    return tuple(dict.fromkeys(expression(text).meta.root_names()))


def word_or_rule(text: str, columns: Sequence[str]) -> str:
    """A category's entry as a rule: a column's name is the column, another bare word is itself, the rest is SQL.

    >>> word_or_rule("fuel", ["fuel"]), word_or_rule("coal", ["fuel"])
    ('fuel', "'coal'")
    """
    return f"'{text}'" if _WORD.fullmatch(text) and text not in columns else text


def problems_of(
    text: object, schema: Mapping[str, pl.DataType], wanted: str, codes: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    """(what is wrong, what to do) of a rule; nothing when it fits.

    schema : columns it may use; wanted : ``truth``, ``number``, ``day`` or ``any``;
    codes : the known codes of coded columns, so that a misspelt code does not make a rule that never holds.
    """
    if not isinstance(text, str) or not text.strip():
        yield repr(text), "Write an SQL expression over the ledger's columns."
        return
    try:
        compiled = expression(text)
        used = compiled.meta.root_names()
    except PolarsError as error:
        yield text, f"This is no SQL expression: {_first_line(error)}."
        return
    unknown = [name for name in dict.fromkeys(used) if name not in schema]
    if unknown:
        yield text, f"No column {', '.join(unknown)}. Known: {', '.join(schema)}."
        return
    try:
        made = pl.DataFrame(schema=dict(schema)).select(compiled.alias("_"))
    except PolarsError as error:
        yield text, f"The types do not fit: {_first_line(error)}."
        return
    if used and made.height:
        yield text, "A rule looks at one row; sums and counts over rows belong to indicators."
    if not _fits(made.schema["_"], wanted):
        yield text, f"Gives {made.schema['_']}, wanted is a {wanted}."
    yield from _literal_problems(text, schema, codes)


def _literal_problems(
    text: str, schema: Mapping[str, pl.DataType], codes: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, str]]:
    pairs = [(m[1], m[2]) for m in _COMPARED.finditer(text)]
    for match in _LISTED.finditer(text):
        pairs += [(match[1], word) for word in _QUOTED.findall(match[2])]
    for column, word in pairs:
        if column in codes and word not in codes[column]:
            yield text, f"{column} has no code {word!r}. Known: {', '.join(codes[column])}."
        elif schema.get(column) in (pl.Boolean(), pl.Date()):
            yield text, f"{column} is compared with the text {word!r}. Write date '...' for a day, true or false."


def _fits(dtype: pl.DataType, wanted: str) -> bool:
    if wanted == TRUTH:
        return dtype == pl.Boolean
    if wanted == NUMBER:
        return dtype.is_numeric()
    if wanted == DAY:
        return dtype == pl.Date
    return True


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
