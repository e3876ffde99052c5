"""What goes out of ledgers: workbooks that can be imported again, changes as they are told, likely duplicates."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl

from qinglan.access import Forbidden, Principal
from qinglan.access.principal import within
from qinglan.flow.ledgers import rights
from qinglan.flow.ledgers.asking import Asked, wanted
from qinglan.flow.ledgers.editing import as_cells
from qinglan.flow.ledgers.frames import Frame, frame
from qinglan.flow.ledgers.importing import Prepared, prepare
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import Column, Ledger, load_ledger
from qinglan.ledger.likeness import likely_same
from qinglan.ledger.workbook import template
from qinglan.plan.places import Place, Places
from qinglan.store import ledgers as store

Row = dict[str, Any]
#: Rows among which likenesses are looked for at once; larger ledgers are looked at place by place.
_MOST_PAIRS = 200


def export(
    workspace: Workspace, ledger_id: str, rows: pl.DataFrame | None, *, me: Principal, lang: str = "zh"
) -> bytes:
    """A workbook of rows (or an empty template) with drop-downs and notes; personal columns as rights allow.

    A workbook that leaves columns out changes nothing in them when it is imported again.
    """
    ledger = load_ledger(ledger_id)
    scope = rights.need(me, ledger, rights.VIEW)
    choices = [p.place for p in place_choices(workspace, ledger, rights.scope(me, ledger, rights.IMPORT))]
    if rows is None:
        return template(ledger, None, lang=lang, places=workspace.places, choices=choices)
    told = rows.filter(scope.of(ledger))
    if not rights.sees_personal(me, ledger):
        told = told.drop([c.name for c in ledger.columns if c.personal], strict=False)
    told = told.select([c for c in ledger.schema if c in told.columns])
    return template(ledger, told, lang=lang, places=workspace.places, choices=choices)


def place_choices(workspace: Workspace, ledger: Ledger, scope: rights.Scope, column: str = "") -> list[Place]:
    """Places near home that a cell may hold (of the ledger's place column, or another), within a scope."""
    name = column or ledger.place
    if not name:
        return []
    level, home = ledger.column(name).level or "county", workspace.settings.place[:2]
    near = [p for p in workspace.places if p.level == level and p.place.startswith(home)]
    if scope.places and not scope.everything:
        near = [p for p in near if any(within(p.place, code) for code in scope.places)]
    return near


def typed_text(column: Column, value: Any) -> str:
    """A typed cell as a form or a workbook would hold it.

    >>> from qinglan.ledger.declare import Column
    >>> typed_text(Column("n", {}, "number"), 4.0), typed_text(Column("b", {}, "boolean"), True)
    ('4', 'true')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.15g}"
    if column.type == "month" and isinstance(value, date):
        return f"{value:%Y-%m}"
    return value.isoformat() if isinstance(value, date) else str(value)


def changes(
    workspace: Workspace, ledger_id: str, *, me: Principal, limit: int = 50, dry: bool = False
) -> list[Row]:
    """Changes of a ledger, newest first: those of others only for who sees the whole ledger."""
    ledger = load_ledger(ledger_id)
    scope = rights.need(me, ledger, rights.VIEW)
    found = store.changes(workspace.registry, ledger.id, limit=limit, dry=dry)
    if scope.everything or workspace.settings.place in scope.places:
        return found
    return [c for c in found if c["by"] == me.id]


def change_of(workspace: Workspace, ledger_id: str, number: int, *, me: Principal) -> Row:
    """One change; Forbidden when somebody else made it and one does not see the whole ledger."""
    ledger = load_ledger(ledger_id)
    scope = rights.need(me, ledger, rights.VIEW)
    found = store.change(workspace.registry, ledger.id, number)
    if found["by"] != me.id and not scope.everything and workspace.settings.place not in scope.places:
        raise Forbidden(rights.VIEW, signed_in=me.signed_in)
    return found


def likely_pairs(workspace: Workspace, ledger_id: str, *, me: Principal, today: date) -> list[Row]:
    """Pairs of rows that likely mean the same, the likeliest first: ``a, b`` (numbers), labels, score, reasons."""
    ledger = load_ledger(ledger_id)
    scope = rights.need(me, ledger, rights.VIEW)
    rows = frame(workspace, ledger).rows.filter(scope.of(ledger))
    return _pairs(ledger, rows, workspace.places)


def _pairs(ledger: Ledger, rows: pl.DataFrame, places: Places) -> list[Row]:
    found = likely_same(ledger, rows, places=places)
    about = rows.select("_key", "_row", pl.col(ledger.label).cast(pl.String).alias("label"))
    for side in ("a", "b"):
        part = about.select(pl.all().name.prefix(f"{side}_"))
        found = found.join(part, left_on=side, right_on=f"{side}__key", how="inner")
    return found.sort("score", descending=True).head(_MOST_PAIRS).to_dicts()


def number_of(workspace: Workspace, ledger_id: str, key: str) -> int:
    """Number of the row with an identity (its parts joined by ``|``); NotFound."""
    return store.row_of_key(workspace.registry, load_ledger(ledger_id).id, key)


def recheck(workspace: Workspace, ledger_id: str, *, me: Principal, today: date) -> Prepared:
    """All rows that somebody sees, held against the declaration as it is now; nothing is written."""
    ledger = load_ledger(ledger_id)
    scope = rights.need(me, ledger, rights.VIEW)
    base = frame(workspace, ledger)
    cells = as_cells(ledger, base.rows.filter(scope.of(ledger)))
    return prepare(workspace, base, cells, today=today, scope=scope)


def declaration(ledger: Ledger) -> Row:
    """What a ledger declares, for programs: in the manner of JSON Schema, with words in both languages."""
    return {
        "id": ledger.id, "title": dict(ledger.title), "description": dict(ledger.about),
        "articles": list(ledger.articles), "keeper": ledger.keeper, "editors": list(ledger.editors),
        "identity": list(ledger.identity), "label": ledger.label, "place": ledger.place,
        "enterprise": ledger.enterprise, "source": ledger.source, "geometry": dict(ledger.geometry),
        "properties": {c.name: _property(c) for c in ledger.columns},
        "required": [c.name for c in ledger.columns if c.required is True],
        "states": {
            "initial": ledger.states.initial,
            "moves": {k: list(v) for k, v in ledger.states.moves.items()},
        } if ledger.states else None,
        "checks": [
            {"id": c.id, "level": c.level, "article": c.article, "where": c.where, "holds": c.holds, "on": c.on,
             "message": dict(c.message)} for c in ledger.checks
        ],
        "deadlines": [
            {"id": d.id, "article": d.article, "where": d.where, "due": d.due, "after": d.after, "done": d.done,
             "message": dict(d.message)} for d in ledger.deadlines
        ],
        "indicators": [
            {"id": i.id, "title": dict(i.title), "unit": i.unit, "measure": i.measure, "value": i.value,
             "where": i.where, "target": i.target or None} for i in ledger.indicators
        ],
        "hash": ledger.hash,
    }  # fmt: skip


_KINDS = {"number": "number", "lon": "number", "lat": "number", "integer": "integer", "year": "integer",
          "boolean": "boolean"}  # fmt: skip


def _property(column: Column) -> Row:
    made: Row = {"type": _KINDS.get(column.type, "string"), "kind": column.type, "title": dict(column.words)}
    if column.type in ("date", "month"):
        made["format"] = "date"
    told = {
        "unit": column.unit, "pattern": column.pattern, "refers": column.refers, "level": column.level,
        "minimum": column.min, "maximum": column.max, "personal": column.personal or None,
        "required_when": column.required if isinstance(column.required, str) else None,
        "description": dict(column.about) or None,
    }  # fmt: skip
    made |= {k: v for k, v in told.items() if v not in (None, "")}
    if column.codes:
        made["enum"] = list(column.codes)
        made["words"] = {code.code: dict(code.words) for code in column.codes.values()}
    return made


def readable_rows(base: Frame, me: Principal, asked: Asked) -> pl.DataFrame:
    """The rows of a frame that somebody may see and asks for, with the columns that he may read, by identity."""
    ledger = base.ledger
    scope = rights.need(me, ledger, rights.VIEW)
    rows = wanted(ledger, base.rows.filter(scope.of(ledger)), asked)
    hidden = [] if rights.sees_personal(me, ledger) else [c.name for c in ledger.columns if c.personal]
    return rows.drop("_change", *hidden)
