"""What a ledger's rows say of the plan on a day: breaches, what is due, and numbers with their making."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import polars as pl

from qinglan.ledger.check import broken_by, with_rule_columns
from qinglan.ledger.declare import Deadline, Indicator, Ledger
from qinglan.ledger.expressions import expression
from qinglan.plan.pack_schema import as_day
from qinglan.plan.places import Places, load_places

OVERDUE, SOON, LATER = "overdue", "soon", "later"
_SPANS = {"days": "d", "months": "mo", "years": "y"}
COUNTED, NOT_COUNTED, LACKING, UNDECIDED = "counted", "not_counted", "lacking", "undecided"

_FINDINGS = {
    "_key": pl.String(), "check": pl.String(), "level": pl.String(), "article": pl.Int64(), "column": pl.String(),
    "value": pl.String(), "zh": pl.String(), "en": pl.String(),
}  # fmt: skip
_DUE = {
    "_key": pl.String(), "deadline": pl.String(), "article": pl.Int64(), "due": pl.Date(), "days": pl.Int64(),
    "stands": pl.String(), "zh": pl.String(), "en": pl.String(),
}  # fmt: skip
_INDICATORS = {
    "indicator": pl.String(), "place": pl.String(), "value": pl.Float64(), "baseline": pl.Float64(),
    "change": pl.Float64(), "rows": pl.Int64(), "known": pl.Int64(), "lacking": pl.Int64(),
    "undecided": pl.Int64(), "coverage": pl.Float64(),
}  # fmt: skip


def findings(
    ledger: Ledger,
    rows: pl.DataFrame,
    today: date,
    *,
    key_region: Collection[str] = (),
    places: Places | None = None,
) -> pl.DataFrame:
    """Rows that break a warning or a finding today: `_key, check, level, article, column, value, zh, en`.

    An error is no finding: such rows are not in the ledger.
    """
    frame = with_rule_columns(ledger, rows, today, places or load_places(), key_region)
    found = [pl.DataFrame(schema=_FINDINGS)]
    for check in ledger.checks:
        if check.level == "error":
            continue
        broken = frame.filter(broken_by(frame, check))
        if broken.height:
            found.append(
                broken.select(
                    "_key",
                    check=pl.lit(check.id),
                    level=pl.lit(check.level),
                    article=pl.lit(check.article, pl.Int64),
                    column=pl.lit(check.on),
                    value=pl.col(check.on).cast(pl.String),
                    zh=pl.lit(check.message["zh"]),
                    en=pl.lit(check.message["en"]),
                )
            )
    return pl.concat(found)


def due(
    ledger: Ledger,
    rows: pl.DataFrame,
    today: date,
    *,
    key_region: Collection[str] = (),
    places: Places | None = None,
) -> pl.DataFrame:
    """What is not done: `_key, deadline, article, due, days, stands, zh, en`, the earliest first.

    days : until it is due, negative when it is over
    stands : ``overdue``, ``soon`` (within the deadline's `warn_days`) or ``later``
    """
    frame = with_rule_columns(ledger, rows, today, places or load_places(), key_region)
    found = [pl.DataFrame(schema=_DUE)]
    for deadline in ledger.deadlines:
        judged = frame.select(
            "_key",
            _applies=expression(deadline.where),
            _done=expression(deadline.done),
            due=_day_due(deadline),
            days=(_day_due(deadline) - pl.lit(today, pl.Date)).dt.total_days(),
        )
        open_ones = judged.filter(
            pl.col("_applies").fill_null(False) & ~pl.col("_done").fill_null(False) & pl.col("due").is_not_null()
        )
        days = pl.col("days")
        stands = pl.when(days < 0).then(pl.lit(OVERDUE)).when(days <= deadline.warn_days).then(pl.lit(SOON))
        found.append(
            open_ones.select(
                "_key",
                deadline=pl.lit(deadline.id),
                article=pl.lit(deadline.article, pl.Int64),
                due="due",
                days=days.cast(pl.Int64),
                stands=stands.otherwise(pl.lit(LATER)),
                zh=pl.lit(deadline.message["zh"]),
                en=pl.lit(deadline.message["en"]),
            )
        )
    return pl.concat(found).sort("due", "_key", "deadline")


def _day_due(deadline: Deadline) -> pl.Expr:
    fixed = as_day(deadline.due)
    if fixed is not None:
        return pl.lit(fixed, pl.Date)
    day = pl.col(deadline.due)
    if deadline.after is None:
        return day
    span, count = deadline.after
    return day.dt.offset_by(f"{count}{_SPANS[span]}")


def indicators(
    ledger: Ledger,
    rows: pl.DataFrame,
    today: date,
    *,
    by: str = "",
    key_region: Collection[str] = (),
    places: Places | None = None,
) -> pl.DataFrame:
    """Every number the ledger gives, with its making.

    Columns: `indicator`, `place` (empty: all rows), `value`, `baseline` and `change` where it is compared,
    `rows` (to which it applies), `known` (whose value is known), `lacking` (whose value is not), `undecided` (of
    which it is not known whether it applies), `coverage` (known of rows, in %; null of no rows).
    A share is of the rows whose value is known. by : ``place`` adds a row for each place
    """
    frame = with_rule_columns(ledger, rows, today, places or load_places(), key_region)
    found = [pl.DataFrame(schema=_INDICATORS)]
    for indicator in ledger.indicators:
        made = _made(indicator, frame)
        found.append(_summed(indicator, made.with_columns(place=pl.lit(""))))
        if by == "place" and ledger.place:
            placed = made.with_columns(place=frame[ledger.place].fill_null("")).filter(
                pl.col("state") != UNDECIDED
            )
            found.append(_summed(indicator, placed).sort("place"))
    return pl.concat(found)


def making(
    ledger: Ledger,
    rows: pl.DataFrame,
    indicator: str,
    today: date,
    *,
    key_region: Collection[str] = (),
    places: Places | None = None,
) -> pl.DataFrame:
    """The rows that made a number: `_key`, `amount` and `whole` (what each gave to it), `state`.

    state : ``counted``, ``not_counted``, ``lacking`` (its value is missing), ``undecided`` (whether it applies is)
    """
    frame = with_rule_columns(ledger, rows, today, places or load_places(), key_region)
    chosen = next(i for i in ledger.indicators if i.id == indicator)
    made = _made(chosen, frame)
    return made.filter(pl.col("state") != "").select("_key", "amount", "whole", "state")


def _made(indicator: Indicator, frame: pl.DataFrame) -> pl.DataFrame:
    """`_key`, `amount`, `whole`, `base`, `state` (empty where the indicator does not apply)."""
    value = expression(indicator.value)
    one = pl.lit(1.0)
    weight = expression(indicator.weight).cast(pl.Float64) if indicator.weight else one
    if indicator.measure == "sum":
        amount = value.cast(pl.Float64)
    else:
        amount = pl.when(value.is_not_null() & weight.is_not_null()).then(value.cast(pl.Float64) * weight)
    applies = expression(indicator.where)
    if indicator.measure == "share":
        applies = applies & expression(indicator.of)
    base = pl.lit(None, pl.Float64)
    if indicator.baseline:
        base = expression(indicator.baseline).cast(pl.Float64)
    told = frame.select("_key", _applies=applies, amount=amount, whole=weight, base=base)
    state = (
        pl.when(pl.col("_applies").is_null())
        .then(pl.lit(UNDECIDED))
        .when(~pl.col("_applies"))
        .then(pl.lit(""))
        .when(pl.col("amount").is_null())
        .then(pl.lit(LACKING))
        .when((pl.col("amount") != 0) | (indicator.measure == "sum"))
        .then(pl.lit(COUNTED))
        .otherwise(pl.lit(NOT_COUNTED))
    )
    return told.select("_key", "amount", "whole", "base", state=state)


def _summed(indicator: Indicator, made: pl.DataFrame) -> pl.DataFrame:
    """One row of _INDICATORS for each place of a making."""
    inside = pl.col("state").is_in([COUNTED, NOT_COUNTED, LACKING])
    known = pl.col("state").is_in([COUNTED, NOT_COUNTED])
    total = pl.col("amount").filter(known).sum()
    whole = pl.col("whole").filter(known).sum()
    value = pl.when(whole > 0).then(100 * total / whole) if indicator.measure == "share" else total
    base = pl.col("base").filter(inside).sum() if indicator.baseline else pl.lit(None, pl.Float64)
    told = made.group_by("place").agg(
        value=value,
        baseline=base,
        rows=inside.sum(),
        known=known.sum(),
        lacking=(pl.col("state") == LACKING).sum(),
        undecided=(pl.col("state") == UNDECIDED).sum(),
    )
    if not told.height and (not made.height or made["place"].n_unique() <= 1):
        empty = {"place": [""], "value": [None if indicator.measure == "share" else 0.0]}
        counts = {key: [0] for key in ("rows", "known", "lacking", "undecided")}
        told = pl.DataFrame({**empty, "baseline": [0.0 if indicator.baseline else None], **counts})
    change = pl.lit(None, pl.Float64)
    if indicator.change == "difference":
        change = pl.col("value") - pl.col("baseline")
    elif indicator.change == "percent":
        change = pl.when(pl.col("baseline") != 0).then(100 * (pl.col("value") / pl.col("baseline") - 1))
    coverage = pl.when(pl.col("rows") > 0).then(100 * pl.col("known") / pl.col("rows"))
    return told.with_columns(indicator=pl.lit(indicator.id), change=change, coverage=coverage).select(
        pl.col(name).cast(dtype) for name, dtype in _INDICATORS.items()
    )
