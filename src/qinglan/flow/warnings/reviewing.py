"""After lifting: what was promised and kept, by whom not, when what happened, and what the air did."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from qinglan.core.clock import today
from qinglan.core.errors import NotFound
from qinglan.episode.review import effect, kept
from qinglan.flow import forecasts
from qinglan.flow.views.result import current
from qinglan.flow.warnings.orders import orders_of, summed
from qinglan.flow.workspace import Workspace
from qinglan.forecast.air_index import QUANTILES
from qinglan.store import warnings as store

Row = dict[str, Any]
_DRAWS = 181


def review_of(workspace: Workspace, head: Row, now: datetime) -> Row:
    """The review of a warning (its row of the store) as the records have it.

    `hours` in force, by level; `orders` summed; `kept` : lines promised against found, least kept first (only
    those that were checked); `cases` : enterprises that refused, never answered, or did not keep a line; `air` :
    observed days from two before the start to two after the end; `effect` : of :func:`effect_of`.
    """
    warning, place = head["id"], head["place"]
    history = store.history(workspace.registry, warning)
    orders = orders_of(workspace, warning, now)
    air = air_of(workspace, place, history, now)
    return {
        "warning": warning,
        "hours": hours_in_force(history, now),
        "orders": summed(orders),
        "kept": _kept(orders),
        "cases": cases(orders),
        "air": air,
        "effect": effect_of(workspace, place, history, air),
    }


def effect_of(workspace: Workspace, place: str, history: list[Row], air: list[Row]) -> Row | None:
    """What PM2.5 [ug/m3] was while the warning was in force, against the forecast made before it was issued.

    That forecast knows of no cuts. `observed, without, change, low, high, sure, hours` (here days) of
    :func:`qinglan.episode.review.effect`, and `made_at`; None where no such forecast reaches the days. The errors
    of its days are taken to go wholly together, which makes the interval as wide as it can be; a forecast that is
    biased makes a biased effect.
    """
    issued = [m for m in history if m["move"] == "issue"]
    days = {r["day"]: r["pm2_5"] for r in air if r["in_force"] and r["pm2_5"] is not None}
    if not issued or not days:
        return None
    try:
        said = forecasts.latest(workspace, [place], as_of=issued[0]["at"]).values
    except NotFound:
        return None
    rows = (
        said.filter(pl.col("item") == "pm2_5", pl.col("day").is_in(list(days))).drop_nulls(QUANTILES).sort("day")
    )
    if rows.is_empty():
        return None
    levels = [int(name[1:]) / 100 for name in QUANTILES]
    ranks = np.linspace(levels[0], levels[-1], _DRAWS)
    without = np.stack(
        [np.interp(ranks, levels, quantiles) for quantiles in rows.select(QUANTILES).rows()], axis=1
    )
    observed = np.array([days[day] for day in rows["day"]], dtype=np.float64)
    # The draws end at the outer quantiles, so all of them are the interval that lies between these.
    found = effect(observed, without, level=1.0)
    return {**asdict(found), "made_at": rows["made_at"][0].isoformat(), "level": levels[-1] - levels[0]}


def hours_in_force(history: list[Row], now: datetime) -> dict[str, float]:
    """Hours that each level was in force, from its start on."""
    found: dict[str, float] = {}
    level, since = "", now
    for move in history:
        if move["move"] in ("issue", "change"):
            if level:
                found[level] = found.get(level, 0.0) + max(0.0, (move["at"] - since) / timedelta(hours=1))
            level, since = ("" if move["state"] == "lifted" else move["level"]), move["starts_at"]
    if level:
        found[level] = found.get(level, 0.0) + max(0.0, (now - since) / timedelta(hours=1))
    return found


def _kept(orders: list[Row]) -> list[Row]:
    lines = [
        {"key": f"{o['uscc']}|{x['line_no']}", "promised": x["cut"] / 100, "done": x["done"]}
        for o in orders
        for x in o["lines"]
    ]
    if not lines:
        return []
    schema = {"key": pl.String, "promised": pl.Float64, "done": pl.Float64}
    table = pl.DataFrame(lines, schema=schema)
    done = table.filter(pl.col("done").is_not_null()).select("key", cut=pl.col("done") / 100)
    rows = kept(table.select("key", cut="promised"), done)
    return rows.filter(pl.col("done").is_not_null()).to_dicts()


def cases(orders: list[Row]) -> list[Row]:
    """Enterprises to be looked into: `uscc, enterprise, order, why` (refused, overdue, late, broken), `note`."""
    found = []
    for order in orders:
        head = {"uscc": order["uscc"], "enterprise": order["enterprise"], "order": order["id"]}
        notes = [r["note"] for r in order["replies"] if r["kind"] == "refused"]
        if order["state"] in ("refused", "overdue"):
            found.append({**head, "why": order["state"], "note": notes[-1] if notes else ""})
        elif order["late"]:
            found.append({**head, "why": "late", "note": ""})
        broken = [x["line_no"] for x in order["lines"] if x["kept"] is False]
        if broken:
            found.append({**head, "why": "broken", "note": ", ".join(broken)})
    return found


def air_of(workspace: Workspace, place: str, history: list[Row], now: datetime) -> list[Row]:
    """Observed days around a warning: `day, aqi, level, primary, pm2_5, in_force`."""
    issued = [m for m in history if m["move"] == "issue"]
    begin = (issued[0]["starts_at"] if issued else history[0]["starts_at"]) or history[0]["at"]
    ended = [m["at"] for m in history if m["state"] == "lifted"]
    end = ended[0] if ended else now
    first, last = today(begin) - timedelta(days=2), min(today(end) + timedelta(days=2), today(now))
    try:
        result = current(workspace)
    except NotFound:
        return []
    within = "place = $place and day between $first and $last"
    span = {"place": place, "first": first, "last": last}
    fine = {r["day"]: r["pm2_5"] for r in result.rows("place_days", within, "day", **span)}
    return [
        {"day": r["day"], "aqi": r["aqi"], "level": r["level"], "primary": r["primary_pollutant"],
         "pm2_5": fine.get(r["day"]), "in_force": bool(issued) and today(begin) <= r["day"] <= today(end)}
        for r in result.rows("place_aqi", f"in_force and {within}", "day", **span)
    ]  # fmt: skip
