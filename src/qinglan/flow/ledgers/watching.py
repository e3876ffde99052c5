"""What ledgers say of the plan: breaches found, deadlines, and indicators that answer targets.

Made once for a ledger's frame and a day, and kept; every question after that is a filter.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from qinglan.access import Principal
from qinglan.access.principal import within
from qinglan.core import clock
from qinglan.core.errors import UnknownName
from qinglan.flow.ledgers import repairing, rights
from qinglan.flow.ledgers.frames import Frame, frame_at
from qinglan.flow.ledgers.importing import key_region
from qinglan.flow.workspace import Workspace
from qinglan.ledger import watch as pure
from qinglan.ledger.declare import Ledger, ledgers, load_ledger
from qinglan.plan.pack import load_plan
from qinglan.store import ledgers as store

Row = dict[str, Any]
#: How a deadline stands on a day; `soon` within the declaration's days of warning.
STANDS = ("overdue", "soon", "later")
#: Watches that a process keeps.
_MOST = 120


@dataclass(frozen=True, slots=True)
class Watched:
    """A ledger's frame on a day, with what is found in it. Two tables begin with `_row, _key, label, place`.

    findings : ``check, level, article, column, zh, en``. due : ``deadline, article, due, days, stands, zh, en``
    of what is not done; `days` until it is due, negative when it is over. numbers : of
    :func:`qinglan.ledger.watch.indicators`, over all rows of `base`.
    """

    base: Frame
    findings: pl.DataFrame
    due: pl.DataFrame
    numbers: pl.DataFrame


_kept: OrderedDict[tuple[Any, ...], Watched] = OrderedDict()
_lock = threading.Lock()


def watch(workspace: Workspace, ledger_id: str, today: date, number: int | None = None) -> Watched:
    """A ledger on a day. `number` : its newest change, when it was asked for already."""
    ledger = load_ledger(ledger_id)
    change = store.newest(workspace.registry).get(ledger_id, 0) if number is None else number
    key = (str(workspace.home), ledger_id, ledger.hash, change, today)
    with _lock:
        found = _kept.get(key)
        if found is not None:
            _kept.move_to_end(key)
            return found
    made = _watch(workspace, frame_at(workspace, ledger, change), today)
    with _lock:
        for other in [k for k in _kept if k[:2] == key[:2] and k[3] < change]:
            del _kept[other]
        _kept[key] = made
        while len(_kept) > _MOST:
            _kept.popitem(last=False)
    return made


def watch_all(workspace: Workspace, today: date) -> None:
    """Look at every ledger that has rows once, so that nobody waits for it."""
    for name, number in store.newest(workspace.registry).items():
        watch(workspace, name, today, number)


def _watch(workspace: Workspace, base: Frame, today: date) -> Watched:
    ledger, region = base.ledger, key_region(workspace)
    about = base.rows.select(
        "_row", "_key", pl.col(ledger.label).cast(pl.String).alias("label"),
        (pl.col(ledger.place) if ledger.place else pl.lit("")).alias("place"),
    )  # fmt: skip
    found = pure.findings(ledger, base.rows, today, key_region=region, places=workspace.places)
    open_ones = pure.due(ledger, base.rows, today, key_region=region, places=workspace.places)
    return Watched(
        base,
        about.join(found, on="_key", how="inner", maintain_order="left"),
        about.join(open_ones, on="_key", how="inner").sort("due", "_key"),
        _numbers(workspace, base, today),
    )


def _numbers(workspace: Workspace, base: Frame, today: date) -> pl.DataFrame:
    return pure.indicators(
        base.ledger, base.rows, today, key_region=key_region(workspace), places=workspace.places
    )


def seen(workspace: Workspace, ledger_id: str, today: date, me: Principal, number: int | None = None) -> Watched:
    """The part of a ledger on a day that somebody may see. Forbidden when that is nothing at all."""
    scope = rights.need(me, load_ledger(ledger_id), rights.VIEW)
    whole = watch(workspace, ledger_id, today, number)
    if scope.everything:
        return whole
    rows = whole.base.rows.filter(scope.of(whole.base.ledger))
    if rows.height == whole.base.rows.height:
        return whole
    mine, base = rows.select("_row"), Frame(whole.base.ledger, whole.base.change, rows)
    return Watched(
        base,
        whole.findings.join(mine, on="_row", how="semi", maintain_order="left"),
        whole.due.join(mine, on="_row", how="semi", maintain_order="left"),
        _numbers(workspace, base, today),
    )


def visible(me: Principal) -> list[Ledger]:
    """The ledgers of which somebody may see anything."""
    declared = [load_ledger(name) for name in ledgers()]
    return [ledger for ledger in declared if rights.scope(me, ledger, rights.VIEW)]


def overview(workspace: Workspace, me: Principal, today: date) -> list[Row]:
    """Every ledger that somebody may see: rows, last change, findings, deadlines over and near, lines aside."""
    newest = store.newest(workspace.registry)
    last, aside = store.last_changes(workspace.registry), store.aside_counts(workspace.registry)
    made = []
    for ledger in visible(me):
        part = seen(workspace, ledger.id, today, me, newest.get(ledger.id, 0))
        counts = dict(part.due.group_by("stands").len().iter_rows())
        change = last.get(ledger.id)
        breaches = part.findings.filter(pl.col("level") == "finding")
        made.append(
            {
                "ledger": ledger,
                "rows": part.base.rows.height,
                "change": change,
                "findings": breaches.height,
                "rows_with_findings": breaches["_row"].n_unique(),
                "overdue": counts.get("overdue", 0),
                "soon": counts.get("soon", 0),
                "aside": _aside(workspace, ledger, me) if ledger.id in aside else 0,
            }
        )
    return made


def _aside(workspace: Workspace, ledger: Ledger, me: Principal) -> int:
    """Open lines kept aside that are somebody's to repair."""
    return len(repairing.aside(workspace, ledger.id, me=me))


def _all_of(
    workspace: Workspace, me: Principal, today: date, ledger_id: str, table: str
) -> tuple[list[Row], dict[str, Ledger]]:
    newest = store.newest(workspace.registry)
    chosen = [load_ledger(ledger_id)] if ledger_id else visible(me)
    rows: list[Row] = []
    for ledger in chosen:
        if not newest.get(ledger.id):
            rights.need(me, ledger, rights.VIEW)
            continue
        part: pl.DataFrame = getattr(seen(workspace, ledger.id, today, me, newest[ledger.id]), table)
        rows += [{"ledger": ledger.id, "keeper": ledger.keeper, **r} for r in part.iter_rows(named=True)]
    return rows, {ledger.id: ledger for ledger in chosen}


def deadlines(
    workspace: Workspace,
    me: Principal,
    today: date,
    *,
    ledger: str = "",
    article: int | None = None,
    keeper: str = "",
    place: str = "",
    stands: str = "",
    within_days: int | None = None,
) -> list[Row]:
    """What is not done yet over all ledgers (or one), the earliest first; filtered as asked.

    within_days : only what is due in at most so many days (what is over counts).
    """
    rows, _ = _all_of(workspace, me, today, ledger, "due")
    kept = [r for r in _filtered(rows, article, keeper, place) if stands in ("", r["stands"])]
    if within_days is not None:
        kept = [r for r in kept if r["days"] <= within_days]
    return sorted(kept, key=lambda r: (r["due"], r["ledger"], r["_key"]))


def findings(
    workspace: Workspace,
    me: Principal,
    today: date,
    *,
    ledger: str = "",
    article: int | None = None,
    keeper: str = "",
    place: str = "",
    level: str = "finding",
) -> list[Row]:
    """Breaches (or warnings) over all ledgers (or one); `level` empty: both."""
    rows, _ = _all_of(workspace, me, today, ledger, "findings")
    return [r for r in _filtered(rows, article, keeper, place) if level in ("", r["level"])]


def _filtered(rows: Sequence[Row], article: int | None, keeper: str, place: str) -> list[Row]:
    return [
        r for r in rows
        if article in (None, r["article"]) and keeper in ("", r["keeper"])
        and (not place or within(r["place"] or "", place))
    ]  # fmt: skip


def indicators(workspace: Workspace, me: Principal, today: date, *, ledger: str = "") -> list[Row]:
    """Every number that ledgers give, each over the rows that one may see; those of empty ledgers say None."""
    newest = store.newest(workspace.registry)
    last = store.last_changes(workspace.registry)
    made: list[Row] = []
    for declared in [load_ledger(ledger)] if ledger else visible(me):
        part = seen(workspace, declared.id, today, me, newest.get(declared.id, 0))
        made += measured(part, last.get(declared.id))
    return made


def measured(part: Watched, change: Mapping[str, Any] | None = None) -> list[Row]:
    """The indicators of a ledger on a day: ``ledger, id, title, unit, target, article, value, baseline, moved``,
    ``rows`` (to which it applies), ``known`` (whose value is known), ``change`` and ``as_of`` (of the ledger)."""
    base, ledger = part.base, part.base.ledger
    values = {r["indicator"]: r for r in part.numbers.iter_rows(named=True)}
    made = []
    for indicator in ledger.indicators:
        told = values.get(indicator.id, {})
        known = bool(base.rows.height)
        made.append(
            {
                "ledger": ledger.id, "id": indicator.id, "title": dict(indicator.title), "unit": indicator.unit,
                "target": indicator.target, "article": indicator.article, "decimals": indicator.decimals,
                **{n: told.get(n) if known else None for n in ("value", "baseline", "coverage")},
                "moved": told.get("change") if known else None, "moves": indicator.change,
                "rows": told.get("rows", 0) if known else 0, "known": told.get("known", 0) if known else 0,
                "all_rows": base.rows.height, "change": base.change,
                "as_of": clock.today(change["at"]) if change else None,
            }
        )  # fmt: skip
    return made


def made_of(workspace: Workspace, base: Frame, indicator: str, today: date) -> frozenset[int]:
    """Numbers of the rows to which an indicator applies: they are what its number was made of.

    Raises UnknownName for an indicator that the ledger has not.
    """
    known = [i.id for i in base.ledger.indicators]
    if indicator not in known:
        raise UnknownName(f"indicator of {base.ledger.id}", indicator, known)
    region = key_region(workspace)
    told = pure.making(base.ledger, base.rows, indicator, today, key_region=region, places=workspace.places)
    applies = told.filter(pl.col("state") != pure.UNDECIDED).select("_key")
    return frozenset(base.rows.join(applies, on="_key", how="semi")["_row"].to_list())


def departments(workspace: Workspace) -> dict[str, dict[str, str]]:
    """Names of the plan's departments by id (keepers of ledgers)."""
    plan = load_plan(workspace.settings.plan)
    return {d.id: d.title.as_dict() for d in plan.departments.values()}
