"""Judges the targets of a plan from measured and reported values. Pure: the day is an argument.

The comparison is made on the value **rounded as the target is printed** (GB/T 8170, half to even, once, from the
unrounded value): with a limit of 21 a mean of 21.4 is 21 and holds; with 96.3 % a rate of 96.25 is 96.2 and fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import isfinite
from typing import Any

from qinglan.core.errors import UsageError
from qinglan.core.provenance import Coverage
from qinglan.core.rounding import exact, half_even, shown
from qinglan.plan.pack import DatedValue, Plan, Target, Text

STATUSES: tuple[str, ...] = (
    *("met", "not_met", "on_track", "at_risk", "waiting", "reported_met", "reported_not_met", "no_data"),
)

Amount = int | float | Decimal | Fraction


@dataclass(frozen=True, slots=True)
class Measured:
    """What the air room or a ledger found for a target. Values are unrounded, in the target's unit.

    A relative target takes the value in its baseline's unit, with `baseline_value` where the plan gives none.
    `variants` holds values by variant name. `data_valid` says whether the evaluation met the standard's minimum of
    data. `trend`, `budget` (with ``probability``), `projection` and `basis` (of a ledger's number: which rows of
    which change, as of which day) are passed on as they are.
    """

    value: Amount | None
    coverage: Coverage | None = None
    edition: str = ""
    dust: str = ""
    data_valid: bool = True
    variants: Mapping[str, Amount | None] = field(default_factory=dict)
    baseline_value: Amount | None = None
    trend: Mapping[str, Any] | None = None
    budget: Mapping[str, Any] | None = None
    projection: Mapping[str, Any] | None = None
    basis: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Reported:
    """A value that an office reported: of which target, in which unit, as of which day, from which source."""

    target: str
    value: Amount
    unit: str
    as_of: date
    source: str
    reported_by: str
    baseline_value: Amount | None = None


def reported_faults(plan: Plan, report: Reported, as_of: date) -> list[str]:
    """Why a reported value cannot be taken; empty when it can."""
    faults: list[str] = []
    target = next((t for t in plan.targets if t.id == report.target), None)
    name = f"reported value of {report.target!r}"
    if target is None:
        return [f"{name}: the plan {plan.id} has no such target."]
    units = [target.unit]
    if target.baseline is not None and target.baseline.unit != target.unit:
        units.append(target.baseline.unit)
    if report.unit not in units:
        faults.append(f"{name}: unit {report.unit!r}; give it in {' or '.join(units)}.")
    if isinstance(report.value, float) and not isfinite(report.value):
        faults.append(f"{name}: value {report.value!r} is not a number.")
    if report.as_of > as_of:
        faults.append(f"{name}: as of {report.as_of}, which is after {as_of}.")
    if not report.source.strip():
        faults.append(f"{name}: has no source; name the document.")
    if not report.reported_by.strip():
        faults.append(f"{name}: says not who reported it.")
    if (
        not faults
        and target.baseline
        and _change(target, report.value, report.baseline_value, report.unit) is None
    ):
        faults.append(f"{name}: needs the value of {target.baseline.period.label} to compare with.")
    return faults


def accept_reported(plan: Plan, report: Reported, as_of: date) -> Reported:
    """The report itself when it can be taken; UsageError with every fault otherwise."""
    faults = reported_faults(plan, report, as_of)
    if faults:
        raise UsageError(" ".join(faults), remedy="Mend it and report again.")
    return report


def judge_targets(
    plan: Plan,
    measured: Mapping[str, Measured],
    reported: Sequence[Reported],
    as_of: date,
    *,
    probability_min: float = 0.5,
) -> list[dict[str, Any]]:
    """Every target of the plan with its status, in the plan's order, as the verdict carries it.

    Parameters
    ----------
    measured : by target id; a target that observations answer but that is absent here has no data.
    reported : what offices reported; one that cannot be taken is listed under ``refused`` of its target.
    as_of : the last day of which data are known.
    probability_min : from which probability of meeting it an unfinished target is on track.

    Raises UsageError when a measured or reported value names no target of the plan.
    """
    known = {t.id for t in plan.targets}
    stray = sorted({*measured, *(r.target for r in reported)} - known)
    if stray:
        raise UsageError(f"{plan.id} has no target {', '.join(map(repr, stray))}.", remedy="Mend the id.")
    return [
        _Judge(plan, target, as_of, probability_min).verdict(
            measured.get(target.id), [r for r in reported if r.target == target.id]
        )
        for target in plan.targets
    ]


def meets(target: Target, value: Amount, limit: Amount) -> bool:
    """Whether a value (in the target's unit, changes already formed) meets a limit after rounding.

    >>> from qinglan.plan.pack import load_plan
    >>> rate = load_plan("qinghai-2024").target("good-day-rate-2025")
    >>> meets(rate, 96.25, 96.3), meets(rate, 96.26, 96.3)
    (False, True)
    """
    rounded, bound = half_even(_number(value), target.decimals), exact(_number(limit))
    width = exact(_number(target.tolerance.value)) if target.tolerance else Fraction(0)
    match target.comparison:
        case ">=":
            return rounded >= bound
        case "<=":
            return rounded <= bound
        case "=":
            return rounded == bound
        case "about":
            return rounded >= bound - width if target.better == "higher" else rounded <= bound + width
        case "increase":
            return exact(_number(value)) > bound
        case "decrease":
            return exact(_number(value)) < bound
        case other:
            raise UsageError(f"unknown comparison {other!r} of target {target.id}.")


def _number(value: Amount) -> Amount:
    """Floats of other libraries become our own, so that they are read by their shortest decimal."""
    if isinstance(value, float):
        if not isfinite(value):
            raise UsageError(f"{value!r} is not a value.", remedy="Give None where there is none.")
        return float(value)
    return value


def _needs_baseline(target: Target, unit: str) -> bool:
    if target.relative:
        return unit != target.unit
    return target.comparison in ("increase", "decrease")


def _baseline(target: Target, given: Amount | None) -> Fraction | None:
    value = given if given is not None else (target.baseline.value if target.baseline else None)
    return None if value is None else exact(_number(value))


def _change(target: Target, value: Amount, given: Amount | None, unit: str) -> Fraction | None:
    """The value in the target's own terms: a change where the target speaks of one; None without a baseline."""
    number = exact(_number(value))
    if not _needs_baseline(target, unit):
        return number
    base = _baseline(target, given)
    if base is None or (target.relative and base == 0):
        return None
    return (number - base) / base * 100 if target.relative else number - base


def _compared_with(target: Target) -> str:
    """The period that a target is compared with, for people; empty when it is compared with none."""
    return target.baseline.period.label if target.baseline else ""


class _Judge:
    """One target on one day."""

    def __init__(self, plan: Plan, target: Target, as_of: date, probability_min: float) -> None:
        self.plan, self.target, self.as_of, self.probability_min = plan, target, as_of, probability_min
        self.goal: DatedValue = target.value_at(as_of)
        self.finished = as_of >= self.goal.due

    def verdict(self, measured: Measured | None, reported: Sequence[Reported]) -> dict[str, Any]:
        target, goal = self.target, self.goal
        refused = [fault for r in reported for fault in reported_faults(self.plan, r, self.as_of)]
        taken = [r for r in reported if not reported_faults(self.plan, r, self.as_of)]
        report = max(enumerate(taken), key=lambda pair: (pair[1].as_of, pair[0]))[1] if taken else None
        value: Fraction | None = None
        if measured is not None and measured.value is not None:
            unit = target.baseline.unit if target.relative and target.baseline else target.unit
            base = measured.baseline_value
            # A ledger may not reach back to the year that it is compared with.
            if base is None and report is not None and measured.basis is not None:
                base = report.baseline_value
            value = _change(target, measured.value, base, unit)
        told = _change(target, report.value, report.baseline_value, report.unit) if report else None
        status, waiting = self.status(measured, value, report, told)
        judged = value if value is not None else told
        return {
            "id": target.id,
            "article": target.article,
            "title": target.title.as_dict(),
            "status": status,
            "value": None if judged is None else float(judged),
            "shown": None if judged is None else shown(judged, target.decimals),
            "limit": goal.value,
            "comparison": target.comparison,
            "unit": target.unit,
            "distance": None if judged is None else float(judged - exact(_number(goal.value))),
            "due": goal.due.isoformat(),
            "period": goal.period.label,
            "strength": target.strength,
            "judged_by": target.judged_by,
            "coverage": measured.coverage.as_dict() if measured and measured.coverage else None,
            "data_valid": measured.data_valid if measured else None,
            "edition": measured.edition if measured else "",
            "dust": (measured.dust if measured else "") or (target.air.dust if target.air else ""),
            "variants": self.variants(measured),
            "trend": _dict(measured.trend if measured else None),
            "budget": _dict(measured.budget if measured else None),
            "projection": _dict(measured.projection if measured else None),
            "waiting_for": waiting.as_dict() if waiting else None,
            "reported": self.report(report, told),
            "basis": _dict(measured.basis if measured else None),
            "conflict": value is not None and told is not None and self.differ(value, told),
            "refused": refused,
            "reading": target.reading.as_dict() if target.reading else None,
            "source": goal.source,
            "certainty": goal.certainty,
        }

    def status(
        self, measured: Measured | None, value: Fraction | None, report: Reported | None, told: Fraction | None
    ) -> tuple[str, Text | None]:
        """Status and, where something is missing, what it waits for."""
        if value is not None and measured is not None:
            if not self.finished:
                return self.unfinished(value, measured), None
            if measured.data_valid or self.settled(value) == "not_met":
                return ("met" if meets(self.target, value, self.goal.value) else "not_met"), None
        if report is not None and told is not None:
            return self.told(report, told)
        if value is not None:
            return "no_data", Text(
                "有效数据未达到标准的最低要求", "the standard's minimum of valid data is not met"
            )
        if self.target.judged_by == "air" and self.finished:
            return "no_data", Text("评价期内没有监测数据", "no observations of the period")
        if measured is not None and measured.value is not None and _compared_with(self.target):
            label = _compared_with(self.target)
            return "waiting", Text(
                f"已有数值，等待基准期（{label}）的数值", f"the value of {label} to compare with"
            )
        return "waiting", self.waits()

    def settled(self, value: Fraction) -> str:
        """A verdict that more days cannot undo, because the figure can only grow; else empty."""
        if not self.target.only_grows:
            return ""
        ok = meets(self.target, value, self.goal.value)
        if self.target.comparison == "<=" and not ok:
            return "not_met"
        return "met" if self.target.comparison == ">=" and ok else ""

    def unfinished(self, value: Fraction, measured: Measured) -> str:
        done = self.settled(value)
        if done:
            return done
        probability = (measured.budget or {}).get("probability")
        if probability is not None:
            return "on_track" if probability >= self.probability_min else "at_risk"
        return "on_track" if meets(self.target, value, self.goal.value) else "at_risk"

    def differ(self, value: Fraction, told: Fraction) -> bool:
        """Whether what was reported is another number than what was found, as the target is printed."""
        return half_even(value, self.target.decimals) != half_even(told, self.target.decimals)

    def told(self, report: Reported, told: Fraction) -> tuple[str, Text | None]:
        """A reported value is final when it speaks of the due date or later, or can only grow."""
        ok = meets(self.target, told, self.goal.value)
        if report.as_of >= self.goal.due or self.settled(told):
            return ("reported_met" if ok else "reported_not_met"), None
        day = self.goal.due.isoformat()
        return "waiting", Text(f"等待截至{day}的数值", f"a value as of {day}")

    def waits(self) -> Text:
        target = self.target
        if target.judged_by == "air":
            return Text("等待监测数据", "observations")
        if target.judged_by == "ledger":
            name = self.plan.catalogue["ledgers"][target.ledger].title
            return Text(f"等待台账“{name.zh}”或报送值", f"the ledger of {name.en}, or a reported value")
        return Text("等待报送值(注明来源和日期)", "a reported value with source and date")

    def variants(self, measured: Measured | None) -> list[dict[str, Any]]:
        if measured is None or self.target.air is None:
            return []
        unknown = sorted(set(measured.variants) - {v.name for v in self.target.air.variants})
        if unknown:
            raise UsageError(f"target {self.target.id} has no variant {', '.join(unknown)}.")
        made = []
        for variant in self.target.air.variants:
            raw = measured.variants.get(variant.name)
            unit = self.target.baseline.unit if self.target.relative and self.target.baseline else self.target.unit
            value = None if raw is None else _change(self.target, raw, measured.baseline_value, unit)
            status = "no_data"
            if value is not None:
                ok = meets(self.target, value, self.goal.value)
                open_status = self.settled(value) or ("on_track" if ok else "at_risk")
                status = ("met" if ok else "not_met") if self.finished else open_status
            made.append(
                {
                    "name": variant.name,
                    "title": variant.title.as_dict(),
                    "value": None if value is None else float(value),
                    "shown": None if value is None else shown(value, self.target.decimals),
                    "status": status,
                }
            )
        return made

    def report(self, report: Reported | None, told: Fraction | None) -> dict[str, Any] | None:
        if report is None:
            return None
        return {
            "value": float(report.value),
            "shown": None if told is None else shown(told, self.target.decimals),
            "unit": report.unit,
            "as_of": report.as_of.isoformat(),
            "source": report.source,
            "reported_by": report.reported_by,
        }


def _dict(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)
