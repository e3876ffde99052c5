"""What the pages of ledgers show: the list by chapter, a ledger's rows with filters, a row's form, its map."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from qinglan.access import Principal
from qinglan.flow.ledgers import rights, watching
from qinglan.flow.ledgers.asking import Asked, asked_of, wanted
from qinglan.flow.ledgers.frames import frame
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import Column, Ledger, ledgers, load_ledger
from qinglan.plan.pack import load_plan
from qinglan.store import ledgers as store

Row = dict[str, Any]

#: Columns of the table on a page: the widest that a reader takes in at once.
_SHOWN = 8
#: Choices of a filter, at most; columns with more values are searched instead.
_MOST_CHOICES = 60
#: Filters that stand over a table.
_FILTERS = 4
#: Marks on a map; more are gathered by cells of a grid.
_MOST_MARKS, _MOST_SHAPES = 400, 2000
_SHAPES = {
    "POLYGON": "Polygon", "MULTIPOLYGON": "MultiPolygon", "LINESTRING": "LineString",
    "MULTILINESTRING": "MultiLineString",
}  # fmt: skip
_PAIR = re.compile(r"(-?\d+(?:\.\d+)?)\s+(-?\d+(?:\.\d+)?)")
#: Kinds of filter that narrow a table by what watches found.
ONLY = ("finding", "due", "made")


def listing(workspace: Workspace, me: Principal, today: date) -> dict[str, Any]:
    """All ledgers by chapter of the plan, with their counts, and the totals of these."""
    plan = load_plan(workspace.settings.plan)
    chapters = {a.number: a.chapter for a in plan.articles}
    groups: dict[int, list[Row]] = {}
    rows = watching.overview(workspace, me, today)
    for row in rows:
        articles = [n for n in row["ledger"].articles if n in chapters]
        groups.setdefault(chapters[articles[0]] if articles else 0, []).append(row)
    other = {"zh": "其他", "en": "Other"}
    made = [
        {"title": plan.chapters[n].as_dict() if n in plan.chapters else other, "ledgers": groups[n]}
        for n in sorted(groups, key=lambda n: n or 99)
    ]
    names = ("rows", "findings", "overdue", "soon", "aside")
    return {
        "groups": made,
        "totals": {name: sum(r[name] for r in rows) for name in names} | {"ledgers": len(rows)},
        "departments": watching.departments(workspace),
    }


@dataclass(frozen=True, slots=True)
class Table:
    """A page of a ledger's rows. `rows` hold typed cells and `_row, _findings, _stands`; `choices` the filters."""

    ledger: Ledger
    asked: Asked
    only: str
    total: int
    found: int
    page: int
    pages: int
    columns: Sequence[Column]
    rows: Sequence[Row]
    choices: Sequence[tuple[Column, Sequence[tuple[str, int]]]]
    places: Sequence[tuple[str, int]]
    findings: Mapping[str, int]
    due: Mapping[str, int]


def selected(
    workspace: Workspace, ledger_id: str, me: Principal, today: date, query: Mapping[str, str]
) -> tuple[watching.Watched, pl.DataFrame, Asked, str]:
    """The rows that an address asks for, in its order, with the whole that somebody may see.

    query : as :func:`qinglan.flow.ledgers.asking.asked_of`, and ``only``: ``finding``, ``finding:<check>``,
    ``due``, ``due:<deadline>``, ``made:<indicator>`` (the rows to which the number applies).
    """
    ledger = load_ledger(ledger_id)
    part = watching.seen(workspace, ledger_id, today, me)
    kind, _, name = query.get("only", "").partition(":")
    numbers: frozenset[int] | None = None
    if kind == "finding":
        hits = part.findings.filter(pl.col("level") == "finding")
        numbers = frozenset((hits.filter(pl.col("check") == name) if name else hits)["_row"].to_list())
    elif kind == "due":
        open_ones = part.due.filter(pl.col("stands") != "later")
        numbers = frozenset((part.due.filter(pl.col("deadline") == name) if name else open_ones)["_row"].to_list())
    elif kind == "made":
        numbers = watching.made_of(workspace, part.base, name, today)
    asked = asked_of(ledger, query, numbers)
    return part, wanted(ledger, part.base.rows, asked), asked, query.get("only", "") if kind in ONLY else ""


def table(
    workspace: Workspace,
    ledger_id: str,
    me: Principal,
    today: date,
    query: Mapping[str, str],
    *,
    page: int = 1,
    size: int = 50,
) -> Table:
    """One page of a ledger's rows as asked, with the filters that there are and what is found in the ledger."""
    part, rows, asked, only = selected(workspace, ledger_id, me, today, query)
    ledger = part.base.ledger
    pages = max(1, math.ceil(rows.height / size))
    page = min(max(page, 1), pages)
    shown = rows.slice((page - 1) * size, size)
    marks = part.findings.filter(pl.col("level") == "finding", pl.col("_row").is_in(shown["_row"].implode()))
    breaches = dict(marks.group_by("_row").len().iter_rows())
    near = part.due.filter(pl.col("stands") != "later", pl.col("_row").is_in(shown["_row"].implode()))
    stands = dict(near.group_by("_row").agg(pl.col("stands").sort().first()).iter_rows())
    columns = columns_shown(ledger)
    names = ["_row", *(c.name for c in columns)]
    breach = part.findings.filter(pl.col("level") == "finding")
    return Table(
        ledger, asked, only, part.base.rows.height, rows.height, page, pages, columns,
        [
            {**r, "_findings": breaches.get(r["_row"], 0), "_stands": stands.get(r["_row"], "")}
            for r in shown.select(names).iter_rows(named=True)
        ],
        _choices(ledger, part.base.rows),
        _counted(part.base.rows, ledger.place) if ledger.place else (),
        _tally(breach, "check"), _tally(part.due.filter(pl.col("stands") != "later"), "deadline"),
    )  # fmt: skip


def _choices(ledger: Ledger, rows: pl.DataFrame) -> Sequence[tuple[Column, Sequence[tuple[str, int]]]]:
    """The filters of a ledger: its state, then codes, years, yes and no, as far as they tell rows apart."""
    known = [c for kind in ("state", "code", "year", "boolean") for c in ledger.columns if c.type == kind]
    found = [(c, _counted(rows, c.name)) for c in known[: 2 * _FILTERS]]
    return [(c, values) for c, values in found if len(values) > 1][:_FILTERS]


def _tally(rows: pl.DataFrame, column: str) -> dict[str, int]:
    return {str(k): int(n) for k, n in rows.group_by(column, maintain_order=True).len().iter_rows()}


def _counted(rows: pl.DataFrame, column: str) -> Sequence[tuple[str, int]]:
    """Values of a column with their rows, the most frequent first; nothing when there are too many to choose."""
    found = rows.select(pl.col(column).cast(pl.String)).drop_nulls().group_by(column).len()
    if found.height > _MOST_CHOICES:
        return ()
    return [(str(v), int(n)) for v, n in found.sort(["len", column], descending=[True, False]).iter_rows()]


def columns_shown(ledger: Ledger) -> tuple[Column, ...]:
    """The columns of a ledger's table: its name, identity, place and state first, then as the declaration goes."""
    first = [ledger.label, *ledger.identity, ledger.place, ledger.state]
    told = [c for c in ledger.columns if c.type in ("code", "number", "integer", "date")]
    rest = [c.name for c in sorted(told, key=lambda c: c.required is not True)]  # what every row says comes first
    names = [n for n in dict.fromkeys([*first, *rest]) if n]
    hidden = {c.name for c in ledger.columns if c.personal or c.type in ("lon", "lat", "wkt")}
    return tuple(ledger.column(n) for n in names if n not in hidden)[:_SHOWN]


def readable(ledger: Ledger, me: Principal) -> tuple[Column, ...]:
    """The columns that somebody may read: personal ones only for those who may edit."""
    personal = rights.sees_personal(me, ledger)
    return tuple(c for c in ledger.columns if personal or not c.personal)


# -- map -----------------------------------------------------------------------------------------------------


def features(ledger: Ledger, rows: pl.DataFrame, findings: frozenset[int]) -> dict[str, Any]:
    """GeoJSON of rows: points (gathered by cells of a grid when there are many), outlines and lines as they are.

    Properties are those of the map's marks: `aqi` (what is written on it: a count, or nothing), `level` (4 where a
    breach of the plan is found, else 0), `label`, `href`, `kind`.
    """
    geometry = ledger.geometry
    if not geometry or not rows.height:
        return {"type": "FeatureCollection", "features": []}
    if geometry["kind"] == "point":
        return {"type": "FeatureCollection", "features": _points(ledger, rows, findings)}
    made = []
    for row in rows.select("_row", ledger.label, geometry["wkt"]).head(_MOST_SHAPES).iter_rows():
        shape = geojson_of(row[2] or "")
        if shape is None:
            continue
        told = _told(ledger, int(row[0]), str(row[1] or ""), findings)
        made.append({"type": "Feature", "geometry": shape, "properties": {**told, "kind": "shape"}})
        if len(made) < _MOST_MARKS:
            made.append(_point(*_middle(shape["coordinates"]), told))
    return {"type": "FeatureCollection", "features": made}


def geojson_of(wkt: str) -> Row | None:
    """The GeoJSON geometry of a line or outline in WKT, which the ledger has checked; None when it is neither.

    >>> geojson_of("LINESTRING (101.5 36.5, 101.75 36.5)")
    {'type': 'LineString', 'coordinates': [[101.5, 36.5], [101.75, 36.5]]}
    """
    kind, _, rest = wkt.partition("(")
    name = _SHAPES.get(kind.strip().upper())
    if name is None:
        return None
    pairs = _PAIR.sub(r"[\1,\2]", f"({rest}")
    try:
        return {"type": name, "coordinates": json.loads(pairs.replace("(", "[").replace(")", "]"))}
    except ValueError:
        return None


def _middle(coordinates: Any) -> tuple[float, float]:
    """The middle of the first ring or line, for its mark."""
    ring = coordinates
    while isinstance(ring[0][0], list):
        ring = ring[0]
    xs, ys = [x for x, _ in ring], [y for _, y in ring]
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2


def _told(ledger: Ledger, number: int, label: str, findings: frozenset[int]) -> dict[str, Any]:
    breach = number in findings
    return {
        "aqi": "!" if breach else "", "level": 4 if breach else 0, "label": label, "kind": "ledger",
        "href": f"/ledgers/{ledger.id}/rows/{number}",
    }  # fmt: skip


def _points(ledger: Ledger, rows: pl.DataFrame, findings: frozenset[int]) -> list[Row]:
    lon, lat = ledger.geometry["lon"], ledger.geometry["lat"]
    found = rows.select(
        "_row", pl.col(ledger.label).alias("label"), pl.col(lon).alias("x"), pl.col(lat).alias("y")
    )
    found = found.drop_nulls(["x", "y"])
    if found.height <= _MOST_MARKS:
        return [
            _point(x, y, _told(ledger, number, str(label or ""), findings))
            for number, label, x, y in found.iter_rows()
        ]
    spread = found.select(pl.max_horizontal(pl.col("x", "y").max() - pl.col("x", "y").min())).item()
    wide = max(spread, 0.01) / 24
    cells = (
        found.with_columns(breach=pl.col("_row").is_in(list(findings)))
        .group_by((pl.col("x") / wide).floor().alias("i"), (pl.col("y") / wide).floor().alias("j"))
        .agg(pl.len().alias("n"), pl.col("x", "y").mean(), pl.col("breach").sum())
        .sort("n")
    )
    return [
        _point(
            r["x"], r["y"],
            {"aqi": r["n"], "level": 4 if r["breach"] else 0, "label": f"{r['n']}", "kind": "place"},
        )
        for r in cells.iter_rows(named=True)
    ]  # fmt: skip


def _point(x: float, y: float, told: Row) -> Row:
    return {"type": "Feature", "geometry": {"type": "Point", "coordinates": [x, y]}, "properties": told}


# -- one row -------------------------------------------------------------------------------------------------


def about_row(
    workspace: Workspace, ledger_id: str, row: Mapping[str, Any], me: Principal, today: date
) -> dict[str, Any]:
    """What is found in one row (as :func:`qinglan.flow.ledgers.one` gives it), what is due, what it refers to."""
    part = watching.seen(workspace, ledger_id, today, me)
    number = int(row["id"])
    mine = pl.col("_row") == number
    return {
        "refers": _referred(workspace, part.base.ledger, row["data"], me),
        "findings": part.findings.filter(mine).to_dicts(),
        "due": part.due.filter(mine).to_dicts(),
        "merged": store.merged_into(workspace.registry, ledger_id, number),
    }


def _referred(
    workspace: Workspace, ledger: Ledger, data: Mapping[str, Any], me: Principal
) -> dict[str, tuple[str, int, str]]:
    """By column that names a row of another ledger: that ledger, the row's number and what it is called."""
    found = {}
    for column in ledger.columns:
        other, _, name = column.refers.partition(".")
        if not other or data.get(column.name) is None or other not in ledgers():
            continue
        target = load_ledger(other)
        rows = frame(workspace, target).rows.filter(pl.col(name).cast(pl.String) == str(data[column.name]))
        rows = rows.filter(rights.scope(me, target, rights.VIEW).of(target))
        if rows.height:
            found[column.name] = (other, int(rows["_row"][0]), str(rows[target.label][0] or data[column.name]))
    return found


def names_of(workspace: Workspace, codes: Iterable[str]) -> dict[str, Row]:
    """Names of places by code, for a page."""
    return {code: {"place": code, **workspace.named(code)} for code in set(codes) if code}
