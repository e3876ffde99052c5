"""Composite index and ranking of places (城市环境空气质量排名技术规定, 2018)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import ibis
import ibis.expr.types as ir

from qinglan.air.exact import GRID, carried, grid, half_even
from qinglan.air.statistics import carried_decimals
from qinglan.core.clock import Period
from qinglan.core.names import DAILY_ITEMS
from qinglan.core.rounding import exact
from qinglan.core.rulebook import Rules


def composite_index(evaluated: ir.Table, rules: Rules) -> ir.Table:
    """``I = sum(w_i C_i / S_i)`` over the six items, with the largest single index and its pollutant.

    Parameters
    ----------
    evaluated : Table (place, period, item, statistic, dust)
        From :func:`qinglan.air.evaluate.evaluation` or `statistics`; C is the mean, for CO and MDA8 the
        percentile that the ranking rule names.

    Returns
    -------
    Table (place, period, dust)
        `composite_index` rounded to the rule's decimals, `index_count` (the same as an exact integer, to
        compare), `max_index`, `main_pollutant` (ties joined by ``,``), `items` that took part; null index when
        one of the six is missing.

    Notes
    -----
    With L the least common multiple of all S, each term is an integer number of 1 / (L 10^6): the sum is
    exact, and equal indices are equal.
    """
    book = rules.ranking
    weights = _weights(rules)
    standards = {item: exact(book.number(f"standard.{item}")) for item in DAILY_ITEMS}
    scale = math.lcm(*(s.numerator for s in standards.values()))
    factors = {item: weights[item] * scale / standards[item] for item in DAILY_ITEMS}
    common = math.lcm(*(f.denominator for f in factors.values()))
    wanted = {item: _statistic(book.get(f"item.{item}").value) for item in DAILY_ITEMS}

    value = {
        item: carried(
            grid(evaluated.value.max(where=(evaluated["item"] == item) & (evaluated.statistic == statistic))),
            carried_decimals(item, rules),
        )
        for item, statistic in wanted.items()
    }
    wide = evaluated.group_by(["place", "period", "dust"]).aggregate(
        **value,
        data_valid=evaluated.data_valid.all(),
    )
    wide = wide.mutate(
        **{f"term_{item}": grid(wide[item]) * float(factors[item] * common) for item in DAILY_ITEMS},
    )
    total: ir.NumericValue = ibis.literal(0.0)
    for item in DAILY_ITEMS:
        total = total + wide[f"term_{item}"]
    unit = float(scale * common * GRID)
    decimals = int(book.number("index.decimals"))
    wide = wide.mutate(total=total, largest=ibis.greatest(*[wide[f"term_{item}"] for item in DAILY_ITEMS]))
    spelled: ir.StringValue = ibis.literal("")
    for item in DAILY_ITEMS:
        spelled = spelled + (wide[f"term_{item}"] == wide.largest).fill_null(False).ifelse(f",{item}", "")
    count = wide.total if book.option("rank_on") == "unrounded" else half_even(wide.total * 10**decimals / unit)
    return wide.mutate(
        composite_index=half_even(wide.total * 10**decimals / unit) / float(10**decimals),
        index_count=count,
        max_index=half_even(wide.largest * 10**decimals / unit) / float(10**decimals),
        main_pollutant=ibis.ifelse(wide.total.notnull(), spelled.substr(1), ibis.null("string")),
    ).select(
        "place",
        "period",
        "dust",
        "composite_index",
        "index_count",
        "max_index",
        "main_pollutant",
        "data_valid",
        *DAILY_ITEMS,
    )


def _statistic(rule: str | int | float) -> str:
    return "mean" if rule == "mean" else f"p{int(rule)}"


def _weights(rules: Rules) -> dict[str, Fraction]:
    """Weights of the items under the options ``weights`` and ``divide_by_weights``."""
    book = rules.ranking
    prefix = f"weight.{book.option('weights')}"
    weights = {item: exact(book.number(f"{prefix}.{item}")) for item in DAILY_ITEMS}
    if book.option("divide_by_weights") == "true":
        total = sum(weights.values(), Fraction(0))
        weights = {item: w / total for item, w in weights.items()}
    return weights


def ranking(indexed: ir.Table, *, among: Sequence[str] | None = None) -> ir.Table:
    """Ranks, best air first; equal indices share a rank and the next one is skipped.

    Parameters
    ----------
    indexed : Table from :func:`composite_index`
    among : list of places, optional
        The field of the ranking; all places by default. Places without an index get no rank.
    """
    if among is not None:
        indexed = indexed.filter(indexed.place.isin(list(among)))
    w = ibis.window(group_by=["period", "dust"], order_by=indexed.index_count)
    placed = indexed.filter(indexed.index_count.notnull()).mutate(rank=ibis.rank().over(w) + 1)
    unplaced = indexed.filter(indexed.index_count.isnull()).mutate(rank=ibis.null("int64"))
    return placed.union(unplaced)


def with_change(ranked: ir.Table, periods: Sequence[Period]) -> ir.Table:
    """Change of the index against the same period of the year before, and the rank of the change.

    `change_percent` = (I - I_before) / I_before x 100, one decimal; below 0 the air improved; `change_rank` 1 is
    the largest improvement. Nulls where the year before is not in `ranked`, or where either of the two lacks the
    minimum of valid data (GB 3095 table 4): a change against a handful of days says nothing.
    """
    pairs = ibis.memtable(
        {"period": [p.label for p in periods], "before": [p.back().label for p in periods]},
        schema={"period": "string", "before": "string"},
    )
    sound = ranked.filter(ranked.data_valid)
    earlier = sound.select(
        before_place="place",
        before="period",
        before_dust="dust",
        previous_index="composite_index",
        previous_rank="rank",
    )
    now = ranked.inner_join(pairs, "period")
    joined = now.left_join(
        earlier,
        [
            now.place == earlier.before_place,
            now.before == earlier.before,
            now.dust == earlier.before_dust,
            now.data_valid,
        ],
    )
    # Hundredths of an index are integers, so the rate is one division of integers.
    was = half_even(joined.previous_index * 100)
    is_now = half_even(joined.composite_index * 100)
    change = half_even((is_now - was) * 1000 / was.nullif(0.0)) / 10.0
    joined = joined.mutate(change_percent=change)
    w = ibis.window(group_by=["period", "dust"], order_by=joined.change_percent)
    rank = ibis.ifelse(joined.change_percent.notnull(), ibis.rank().over(w) + 1, ibis.null("int64"))
    return joined.mutate(change_rank=rank).drop("before", "before_right", "before_place", "before_dust")
