"""Simulated rows as a clerk hands them in: text cells with Chinese words, and the mistakes clerks make. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import polars as pl

from qinglan.core.errors import NotFound
from qinglan.plan.content import read
from qinglan.plan.places import load_places
from qinglan.sim.recipes import stream

#: What is planted, by the code that a check of the ledger gives it.
PLANTED = {
    "line": pl.Int64,
    "column": pl.String,
    "code": pl.String,
    "value": pl.String,
}


@cache
def declared(ledger: str) -> tuple[Mapping[str, Any], ...]:
    """The columns of a ledger's file, as they stand there."""
    return tuple(read("ledgers", ledger)["columns"])


def written(ledger: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Typed rows as text cells, in the order of the declaration, with `_line` (4 is the first row of a workbook).

    Codes and states are written as Chinese words where the file itself says them, places by their Chinese name.
    """
    cells = [pl.Series("_line", range(4, 4 + frame.height), dtype=pl.Int64)]
    here = [column for column in declared(ledger) if column["name"] in frame.columns]
    cells += [_cell(ledger, column, frame[column["name"]]).alias(column["name"]) for column in here]
    return pl.DataFrame(cells)


def _cell(ledger: str, column: Mapping[str, Any], values: pl.Series) -> pl.Series:
    kind = column["type"]
    if kind == "boolean":
        words = {True: "是", False: "否"}
        return pl.Series([words.get(v) for v in values.cast(pl.Boolean)], dtype=pl.String)
    if kind in ("number", "lon", "lat"):
        return values.cast(pl.Float64).cast(pl.String).str.replace(r"\.0$", "")
    if kind in ("integer", "year"):
        return values.cast(pl.Int64).cast(pl.String)
    if kind == "month":
        return values.dt.strftime("%Y-%m") if values.dtype == pl.Date else values.cast(pl.String)
    if kind in ("code", "state"):
        return values.cast(pl.String).replace(_words(ledger, column))
    if kind == "place":
        places = load_places()
        names = {code: places[code].name for code in values.unique().drop_nulls()}
        return values.replace(names)
    return values.cast(pl.String)


def _words(ledger: str, column: Mapping[str, Any]) -> dict[str, str]:
    """Code to Chinese word of a column's own or shared list; codes of the inventory's names stay as they are."""
    if column["type"] == "state":
        return {code: text["zh"] for code, text in read("ledgers", ledger)["states"]["all"].items()}
    codes = column["codes"]
    return _shared(codes) if isinstance(codes, str) else _chinese(codes)


@cache
def _shared(name: str) -> dict[str, str]:
    try:
        return _chinese(read("ledgers", "codes", name)["codes"])
    except NotFound:  # one of the inventory's own lists
        return _chinese({"from": name})


def _chinese(codes: Mapping[str, Any]) -> dict[str, str]:
    """Code to word; of names taken from the inventory those that categories.yaml words (devices stay codes)."""
    if "from" not in codes:
        return {code: text["zh"] for code, text in codes.items()}
    whole = read("factors", "categories").get(codes["from"], {})
    kept = [code for code in codes.get("only", whole) if code in whole]
    return {code: whole[code]["zh"] for code in kept} | _chinese(codes.get("also", {}))


def spoiled(ledger: str, cells: pl.DataFrame, seed: int, share: float = 0.05) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Cells with mistakes planted in a share of the rows, and what was planted (columns of PLANTED).

    One mistake a row: a required cell left empty, letters in a number, a day that is none, a word that is no code,
    a place that is none, a wrong check digit, or the same row twice.
    """
    rng = stream(seed, ledger, "mistakes")
    struck = [i for i, hit in enumerate(rng.random(cells.height) < share) if hit]
    columns = {name: cells[name].to_list() for name in cells.columns}
    planted = []
    for i in struck:
        kinds = _mistakes(ledger, {name: values[i] for name, values in columns.items()})
        if not kinds:
            continue
        name, code, value = kinds[int(rng.integers(len(kinds)))]
        columns[name][i] = value
        planted.append((columns["_line"][i], name, code, value))
    made = pl.DataFrame(columns, schema=cells.schema)
    return made, pl.DataFrame(planted, schema=PLANTED, orient="row")


def _mistakes(ledger: str, row: Mapping[str, Any]) -> list[tuple[str, str, str | None]]:
    """Mistakes that can be made in a row: column, code of the fault, the cell afterwards."""
    found: list[tuple[str, str, str | None]] = []
    for column in declared(ledger):
        name, kind = column["name"], column["type"]
        value = row.get(name)
        if value is None:
            continue
        if column.get("required") is True and kind not in ("state",):
            found.append((name, "missing", None))
        wrong = {
            "number": ("bad_number", f"约{value}"),
            "integer": ("bad_number", f"{value}多"),
            "date": ("bad_date", value[:5] + "13-41"),
            "boolean": ("bad_boolean", "基本落实"),
            "code": ("unknown_code", value + "类?"),
            "place": ("unknown_place", "月牙县"),
            "uscc": ("bad_uscc", value[:-1] + ("0" if value[-1] != "0" else "1")),
        }.get(kind)
        if wrong is not None:
            found.append((name, *wrong))
    return found
