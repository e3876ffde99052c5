"""From flags and people's decisions to checked hours."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
from ibis.expr import types as ir

from qinglan.core.errors import UsageError
from qinglan.core.names import BELOW_DETECTION, INVALID, MISSING, VALID
from qinglan.core.rulebook import RuleBook

#: A decision under this rule speaks about the value, whatever rules flagged it.
ANY_RULE = "*"
DECISION_COLUMNS = ("station", "time", "item", "rule", "decision", "reason", "by", "decided_at")
_RANK = {BELOW_DETECTION: 1, MISSING: 2, INVALID: 3}
_CELL = ("station", "time", "item")


def _newest(decisions: ir.Table) -> ir.Table:
    """The newest decision for each value and rule; equal instants: the rejection, the cautious one, stands."""
    order = [ibis.desc(decisions.decided_at), ibis.desc(decisions.decision)]
    place = ibis.row_number().over(group_by=[decisions[c] for c in (*_CELL, "rule")], order_by=order)
    ranked = decisions.select(*DECISION_COLUMNS, place=place)
    return ranked.filter(ranked.place == 0).drop("place")


def effective(flags: ir.Table, decisions: ir.Table | None) -> ir.Table:
    """The flags that hold after people have spoken.

    ``keep`` lifts the flags of its rule from a value (rule ``*``: of every rule); ``reject`` makes the value
    invalid although no rule, or only a milder one, had flagged it. For each value and rule the newest word
    counts; between a word on one rule and a word on ``*`` again the newer.

    Parameters
    ----------
    flags : Table (station, time, item, rule, state, detail, ...)
    decisions : Table (station, time, item, rule, decision keep|reject, reason, by, decided_at)

    Returns
    -------
    Table (station, time, item, rule, state, detail)
    """
    flags = flags.select(*_CELL, "rule", "state", "detail")
    if decisions is None:
        return flags
    if lacking := [c for c in DECISION_COLUMNS if c not in decisions.columns]:
        raise UsageError(
            f"decisions lack the column(s) {', '.join(lacking)}.", remedy="Record them with each decision."
        )
    newest = _newest(decisions)
    star = newest.filter(newest.rule == ANY_RULE)
    star = star.select(*_CELL, star_decision=star.decision, star_at=star.decided_at)
    joined = newest.left_join(star, list(_CELL))
    joined = joined.select(*DECISION_COLUMNS, "star_decision", "star_at")
    overtaken = (joined.rule != ANY_RULE) & (joined.star_at > joined.decided_at).fill_null(False)
    word = joined.mutate(decision=ibis.ifelse(overtaken, joined.star_decision, joined.decision))
    own = word.select(*_CELL, "rule", own="decision")
    kept = flags.left_join(own, [*_CELL, "rule"]).select(*flags.columns, "own")
    kept = kept.left_join(star, list(_CELL)).select(*flags.columns, "own", "star_decision")
    said = ibis.coalesce(kept.own, kept.star_decision, ibis.literal("none"))
    kept = kept.filter(~said.isin(["keep", "reject"])).select(*flags.columns)
    rejected = word.filter(word.decision == "reject")
    detail = ibis.literal("人工判定 / decided by ") + rejected.by + ": " + rejected.reason
    rejected = rejected.select(*_CELL, "rule", state=ibis.literal(INVALID), detail=detail)
    return ibis.union(kept, rejected)


def _wide(flags: ir.Table, items: Sequence[str]) -> ir.Table:
    """Station, time and for each item the rank of its worst state (null: no flag)."""
    rank = ibis.cases(*[(flags.state == s, ibis.literal(r, "int8")) for s, r in _RANK.items()])
    ranked = flags.mutate(rank=rank)
    ranked = ranked.filter(ranked["rank"].notnull())
    columns = {f"rank_{i}": ranked["rank"].max(where=ranked.item == i) for i in items}
    return ranked.group_by("station", "time").aggregate(**columns)


def apply(
    hours: ir.Table,
    flags: ir.Table,
    decisions: ir.Table | None = None,
    *,
    book: RuleBook,
    items: Sequence[str],
) -> ir.Table:
    """Checked hours: six items, null unless usable, and the state of each.

    A value below detection takes what the option ``below_detection`` says: half the detection limit (HJ 193),
    zero, the raw value, or null. Invalid beats missing beats below detection.

    Returns
    -------
    Table (station, time, day, hour, items..., <item>_state...), one row per row of `hours`
    """
    wide = _wide(effective(flags, decisions), items)
    columns = ["station", "time", "day", "hour", *items]
    joined = hours.select(*columns).left_join(wide, ["station", "time"])
    joined = joined.select(*columns, *[f"rank_{i}" for i in items])
    values, states = {}, {}
    for item in items:
        raw, rank = joined[item], joined[f"rank_{item}"].fill_null(0)
        states[f"{item}_state"] = ibis.cases(
            (raw.isnull(), MISSING),
            (rank == _RANK[INVALID], INVALID),
            (rank == _RANK[MISSING], MISSING),
            (rank == _RANK[BELOW_DETECTION], BELOW_DETECTION),
            else_=VALID,
        )
        low = _below_detection(raw, item, book)
        values[item] = ibis.cases(
            (raw.isnull() | (rank >= _RANK[MISSING]), ibis.null("float64")), (rank == 1, low), else_=raw
        )
    return joined.select("station", "time", "day", "hour", **values, **states)


def _below_detection(raw: ir.Column, item: str, book: RuleBook) -> ir.Value:
    choice = book.option("below_detection")
    if choice == "half":
        return ibis.literal(float(book.number(f"detection.{item}")) / 2)
    return {"zero": ibis.literal(0.0), "raw": raw, "left_out": ibis.null("float64")}[choice]
