"""Judging targets. Sources: GB/T 8170-2008 3.2 (half to even), the plan's article 3."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from qinglan.core.errors import UsageError
from qinglan.core.provenance import Coverage
from qinglan.core.rounding import half_even
from qinglan.plan.judge import STATUSES, Measured, Reported, accept_reported, judge_targets, meets, reported_faults
from qinglan.plan.pack import load_plan

PLAN, NATIONAL = load_plan("qinghai-2024"), load_plan("national-2023")
END, MID, PAST = date(2025, 12, 31), date(2025, 6, 30), date(2026, 3, 1)


def one(target, measured=None, reported=(), as_of=END, plan=PLAN):
    given = {target: measured} if measured is not None else {}
    return next(v for v in judge_targets(plan, given, reported, as_of) if v["id"] == target)


def told(target, value, unit, as_of=END, source="公报", baseline=None):
    return Reported(target, value, unit, as_of, source, "省生态环境厅", baseline)


@pytest.mark.parametrize(
    ("target", "value", "shown", "status"),
    [
        ("pm2_5-2025", 20.5, "20", "met"),  # a tie goes to the even neighbour
        ("pm2_5-2025", 21.4, "21", "met"),
        ("pm2_5-2025", Decimal("21.5"), "22", "not_met"),
        ("pm2_5-2025", Fraction(43, 2), "22", "not_met"),
        ("good-day-rate-2025", 96.25, "96.2", "not_met"),  # half to even: 96.2, not 96.3
        ("good-day-rate-2025", 96.2501, "96.3", "met"),
        ("good-day-rate-2025", 96.35, "96.4", "met"),
        ("good-day-rate-2025", np.float64(96.3), "96.3", "met"),
        ("heavy-days-2025", 0, "0", "met"),
        ("heavy-days-2025", 1, "1", "not_met"),
    ],
)
def test_the_comparison_is_made_on_the_value_as_the_target_is_printed(target, value, shown, status):
    verdict = one(target, Measured(value))
    assert (verdict["shown"], verdict["status"]) == (shown, status)
    assert verdict["value"] == float(value)


def test_every_tenth_around_the_limits_against_integer_arithmetic():
    rate, mean = PLAN.target("good-day-rate-2025"), PLAN.target("pm2_5-2025")
    for hundredths in range(9500, 9701):
        tenths, rest = divmod(hundredths, 10)
        rounded = tenths + (rest > 5 or (rest == 5 and tenths % 2 == 1))
        assert meets(rate, Decimal(hundredths) / 100, 96.3) == (rounded >= 963)
        assert meets(rate, hundredths / 100, 96.3) == (rounded >= 963)
    for tenths in range(150, 260):
        assert meets(mean, tenths / 10, 21) == (int(half_even(Decimal(tenths) / 10)) <= 21)


def test_the_verdict_carries_what_the_contract_promises():
    verdict = one(
        "pm2_5-2025",
        Measured(
            20.4,
            Coverage(2920, 2890),
            "GB 3095-2012",
            "out",
            variants={"raw": 23.1},
            trend={"method": "theil_sen", "slope_per_year": -0.8},
            budget={"probability": 0.93},
            projection={"value": 20.4},
        ),
    )
    expected = {
        "id": "pm2_5-2025",
        "article": 3,
        "status": "met",
        "value": 20.4,
        "shown": "20",
        "limit": 21,
        "comparison": "<=",
        "unit": "µg/m³",
        "due": "2025-12-31",
        "period": "2025",
        "edition": "GB 3095-2012",
        "dust": "out",
        "waiting_for": None,
        "reported": None,
        "refused": [],
        "coverage": {"expected": 2920, "observed": 2890, "percent": 99.0},
    }
    assert {k: verdict[k] for k in expected} == expected
    assert verdict["distance"] == pytest.approx(-0.6)
    (raw,) = verdict["variants"]
    assert (raw["name"], raw["value"], raw["shown"], raw["status"]) == ("raw", 23.1, "23", "not_met")
    assert set(raw["title"]) == set(verdict["title"]) == {"zh", "en"}
    assert verdict["trend"]["slope_per_year"] == -0.8


def test_every_target_is_answered_once_and_the_silent_ones_say_what_they_wait_for():
    verdicts = judge_targets(PLAN, {}, [], PAST)
    assert [v["id"] for v in verdicts] == [t.id for t in PLAN.targets]
    assert {v["status"] for v in verdicts} <= set(STATUSES)
    air = {v["id"]: v["status"] for v in verdicts if v["judged_by"] == "air"}
    assert set(air.values()) == {"no_data"}
    assert {v["status"] for v in verdicts if v["judged_by"] != "air"} == {"waiting"}
    assert all(v["waiting_for"]["zh"] and v["waiting_for"]["en"] for v in verdicts)
    assert "锅炉" in next(v for v in verdicts if v["id"] == "new-coal-boilers")["waiting_for"]["zh"]
    before = {v["status"] for v in judge_targets(PLAN, {}, [], MID)}
    assert before == {"waiting"}


@pytest.mark.parametrize(
    ("value", "probability", "status"),
    [
        *((20.0, 0.93, "on_track"), (20.0, 0.2, "at_risk"), (22.0, 0.6, "on_track"), (20.0, 0.5, "on_track")),
        *((21.4, None, "on_track"), (21.6, None, "at_risk")),
    ],
)
def test_before_the_due_date_the_budget_decides_else_the_value(value, probability, status):
    budget = None if probability is None else {"probability": probability}
    assert one("pm2_5-2025", Measured(value, budget=budget), as_of=MID)["status"] == status


def test_a_count_that_can_only_grow_is_lost_before_the_end_and_a_sum_won():
    assert one("heavy-days-2025", Measured(1, budget={"probability": 0.9}), as_of=MID)["status"] == "not_met"
    assert one("heavy-days-2025", Measured(0), as_of=MID)["status"] == "on_track"
    early = told("voc-reduction-2025", 1500, "t", as_of=date(2025, 3, 1))
    assert one("voc-reduction-2025", None, [early], MID)["status"] == "reported_met"
    short = told("voc-reduction-2025", 1499.4, "t", as_of=date(2025, 3, 1))
    verdict = one("voc-reduction-2025", None, [short], MID)
    assert (verdict["status"], verdict["shown"]) == ("waiting", "1499")
    assert verdict["waiting_for"]["en"] == "a value as of 2025-12-31"


def test_too_little_data_is_no_verdict_unless_the_count_is_already_over():
    assert one("pm2_5-2025", Measured(18.0, data_valid=False))["status"] == "no_data"
    assert one("heavy-days-2025", Measured(0, data_valid=False))["status"] == "no_data"
    assert one("heavy-days-2025", Measured(2, data_valid=False))["status"] == "not_met"
    assert one("pm2_5-2025", Measured(None))["status"] == "no_data"
    assert one("pm2_5-2025", Measured(18.0, data_valid=False), as_of=MID)["status"] == "on_track"


def test_reported_values_are_judged_and_kept_with_their_source():
    verdict = one(
        "straw-use", None, [told("straw-use", 85.4, "%"), told("straw-use", 86.5, "%", as_of=PAST)], PAST
    )
    assert (verdict["status"], verdict["shown"]) == ("reported_met", "86")
    assert verdict["reported"]["source"] == "公报"
    assert verdict["reported"]["as_of"] == "2026-03-01"
    assert one("straw-use", None, [told("straw-use", 85.4, "%")])["status"] == "reported_not_met"
    both = one("pm2_5-2025", Measured(22.0), [told("pm2_5-2025", 19, "µg/m³")])
    assert (both["status"], both["value"], both["reported"]["value"]) == ("not_met", 22.0, 19.0)


def test_about_accepts_the_declared_width_on_the_bad_side_only():
    for value, status in ((52.2, "met"), (51.7, "met"), (51.6, "not_met"), (60, "met")):
        report = told("non-fossil-share-2025", value, "%")
        assert one("non-fossil-share-2025", None, [report])["status"] == f"reported_{status}", value
    for value, status in ((0, "met"), (1, "met"), (1.2, "not_met")):
        report = told("black-smoke-2025", value, "%")
        assert one("black-smoke-2025", None, [report])["status"] == f"reported_{status}", value


def test_increase_compares_with_the_baseline_that_came_along():
    grown = told("rail-freight-2025", 4100, "万吨", baseline=4000)
    verdict = one("rail-freight-2025", None, [grown])
    assert (verdict["status"], verdict["value"]) == ("reported_met", 100.0)
    same = told("rail-freight-2025", 4000, "万吨", baseline=4000)
    assert one("rail-freight-2025", None, [same])["status"] == "reported_not_met"
    alone = one("rail-freight-2025", None, [told("rail-freight-2025", 4100, "万吨")])
    assert alone["status"] == "waiting"
    assert "2020" in alone["refused"][0]


def test_a_relative_target_forms_the_change_from_its_declared_baseline():
    # National 2025: 28.0 against 33 in 2020 is -15.2 %, and at least 10 % was asked for.
    verdict = one("pm2_5-change-2025", Measured(28.0), plan=NATIONAL)
    assert (verdict["status"], verdict["shown"], verdict["limit"]) == ("met", "-15.2", -10)
    assert one("pm2_5-change-2025", Measured(29.8), plan=NATIONAL)["status"] == "not_met"  # -9.7 %
    assert one("pm2_5-change-2025", Measured(29.7), plan=NATIONAL)["status"] == "met"  # exactly -10.0 %
    assert one("pm2_5-jingjinji-2025", Measured(40.0), plan=NATIONAL)["status"] == "no_data"  # no 2020 value
    got = one("pm2_5-jingjinji-2025", Measured(40.0, baseline_value=51.0), plan=NATIONAL)
    assert (got["status"], got["shown"]) == ("met", "-21.6")
    direct = told("pm2_5-change-2025", -15.2, "%")
    assert one("pm2_5-change-2025", None, [direct], plan=NATIONAL)["status"] == "reported_met"


def test_a_reported_value_with_a_wrong_unit_a_future_date_or_no_source_is_refused():
    bad = Reported("voc-reduction-2025", 1.5, "kt", date(2026, 5, 1), " ", "")
    faults = reported_faults(PLAN, bad, END)
    assert len(faults) == 4
    for part in ("unit 'kt'; give it in t", "after 2025-12-31", "has no source", "who reported it"):
        assert part in " ".join(faults)
    with pytest.raises(UsageError, match="unit 'kt'"):
        accept_reported(PLAN, bad, END)
    good = told("voc-reduction-2025", 1500, "t")
    assert accept_reported(PLAN, good, END) is good
    verdict = one("voc-reduction-2025", None, [bad, good])
    assert verdict["status"] == "reported_met"
    assert len(verdict["refused"]) == 4
    assert reported_faults(PLAN, told("voc", 1, "t"), END) == [
        "reported value of 'voc': the plan qinghai-2024 has no such target."
    ]


def test_stray_ids_variants_and_values_are_errors():
    with pytest.raises(UsageError, match="has no target 'pm25'"):
        judge_targets(PLAN, {"pm25": Measured(1)}, [], END)
    with pytest.raises(UsageError, match="has no variant wet"):
        one("pm2_5-2025", Measured(20, variants={"wet": 1}))
    with pytest.raises(UsageError, match="nan is not a value"):
        one("pm2_5-2025", Measured(float("nan")))


def test_a_target_with_two_dates_is_judged_at_the_next_one():
    assert one("key-units-coverage", as_of=date(2024, 10, 1))["due"] == "2024-12-31"
    assert one("key-units-coverage", as_of=date(2025, 1, 1))["due"] == "2025-12-31"
    assert one("key-units-coverage", as_of=date(2027, 1, 1))["due"] == "2025-12-31"
    first = told("key-units-coverage", 100, "%", as_of=date(2024, 12, 31))
    assert one("key-units-coverage", None, [first], date(2024, 12, 31))["status"] == "reported_met"
    assert one("key-units-coverage", None, [first], date(2025, 6, 1))["status"] == "waiting"


def test_a_ledgers_number_without_its_baseline_waits_for_that_and_takes_it_from_a_report():
    """docs/design/0012-ledgers.md: a ledger may be younger than the year that a target is compared with."""
    target = PLAN.target("site-video")
    bare = {"site-video": Measured(131, basis={"kind": "ledger"})}
    [row] = [v for v in judge_targets(PLAN, bare, [], date(2026, 1, 31)) if v["id"] == target.id]
    assert (row["status"], row["value"]) == ("waiting", None)
    assert "2024" in row["waiting_for"]["zh"]
    told = Reported(target.id, 120, target.unit, date(2025, 12, 31), "统计表", "处", baseline_value=100)
    [row] = [v for v in judge_targets(PLAN, bare, [told], date(2026, 1, 31)) if v["id"] == target.id]
    assert (row["status"], row["value"], row["conflict"]) == ("met", 31, True)
