"""Status of tasks from their evidence. Sources: the plan's deadlines; the table in the module's docstring."""

from dataclasses import replace
from datetime import date

import pytest

from qinglan.core.errors import UnknownName, UsageError
from qinglan.plan.judge import judge_targets
from qinglan.plan.pack import Evidence, load_plan
from qinglan.plan.tasks import (
    RECURRING,
    STATUSES,
    EvidenceRecord,
    accept_record,
    articles_verdict,
    count_tasks,
    cycle_of,
    due_before,
    due_next,
    record_faults,
    task_state,
    task_states,
)

PLAN = load_plan("qinghai-2024")
END, PAST = date(2025, 12, 31), date(2026, 1, 1)


def filed(task, on, item=0, **more):
    return EvidenceRecord(task, item, "sha256:ab12", on, "青环函〔2025〕1号", "省生态环境厅", **more)


def status(task, as_of, targets=None, records=()):
    return task_state(PLAN.task(task), targets or {}, records, as_of).status


def test_a_dated_task_follows_its_target():
    name, target = "a34-prefecture-plans", "prefecture-plans-2024"
    assert status(name, date(2024, 7, 1)) == "waiting"
    assert status(name, date(2024, 8, 31)) == "waiting"
    assert status(name, date(2024, 9, 1)) == "overdue"
    assert status(name, date(2024, 7, 1), {target: "reported_met"}) == "done"
    assert status(name, date(2024, 8, 31), {target: "reported_not_met"}) == "overdue"
    assert status("a15-buses", date(2025, 6, 1), {"bus-electrification-2025": "at_risk"}) == "in_progress"


def test_a_task_with_several_targets_needs_all_of_them():
    three = ("good-day-rate-2025", "pm2_5-2025", "heavy-days-2025")
    assert status("a03-air-goals", END, dict.fromkeys(three, "met")) == "done"
    mixed = dict.fromkeys(three, "met") | {"heavy-days-2025": "not_met"}
    assert status("a03-air-goals", END, mixed) == "overdue"
    state = task_state(PLAN.task("a03-air-goals"), mixed, [], END)
    assert [i.state for i in state.items] == ["have", "have", "failed"]
    assert [i.evidence.id for i in state.missing] == ["heavy-days-2025"]
    assert status("a03-air-goals", date(2025, 6, 1), dict.fromkeys(three, "on_track")) == "in_progress"


def test_a_standing_duty_needs_fresh_evidence():
    name, day = "a27-revise-plan", date(2024, 10, 1)
    assert status(name, date(2024, 6, 1)) == "not_started"
    assert status(name, day) == "not_started"  # an office has to file a document
    assert status("a11-interconnect", day) == "waiting"  # a ledger will answer
    record = filed(name, day)
    assert status(name, day, records=[record]) == "continuous"
    assert status(name, date(2025, 10, 2), records=[record]) == "continuous"  # 366 days
    assert status(name, date(2025, 10, 3), records=[record]) == "in_progress"
    assert status(name, date(2024, 9, 30), records=[record]) == "not_started"  # not filed yet on that day


def test_evidence_that_shows_failure_is_no_proof():
    name, day = "a13-boiler-ledger", date(2025, 3, 1)
    bad = filed(name, day, satisfied=False)
    assert status(name, day, records=[bad]) == "in_progress"
    assert status(name, day, records=[bad, filed(name, date(2025, 2, 1))]) == "in_progress"  # the latest counts
    assert status(name, date(2025, 4, 1), records=[bad, filed(name, date(2025, 4, 1))]) == "continuous"


def test_a_reported_value_is_held_against_its_own_condition():
    name, day = "a18-prefab", date(2025, 3, 1)
    item = PLAN.task(name).evidence[0]
    assert (item.type, item.comparison, item.value, item.unit) == ("reported_value", "increase", 0, "%")
    for value, expected in ((1.5, "continuous"), (0.0, "in_progress"), (-2.0, "in_progress")):
        assert status(name, day, records=[filed(name, day, value=value, unit="%")]) == expected


def test_annual_deadlines_roll_over():
    task = PLAN.task("a25-set-goals")
    assert task.cadence == "annual"
    assert due_next(task, date(2024, 7, 1)) == date(2024, 12, 31)
    assert due_next(task, date(2024, 12, 31)) == date(2024, 12, 31)
    assert due_next(task, date(2025, 1, 1)) == date(2025, 12, 31)
    assert due_next(task, date(2020, 1, 1)) == date(2024, 12, 31)  # never before the plan begins
    assert due_before(task, date(2024, 12, 31)) is None
    assert due_before(task, date(2026, 3, 1)) == date(2025, 12, 31)
    assert cycle_of(task, date(2025, 12, 31)) == "2025"


def test_a_missed_year_is_overdue_until_its_evidence_is_filed():
    name = "a25-set-goals"
    assert status(name, date(2024, 12, 31)) == "not_started"
    assert status(name, date(2025, 1, 1)) == "overdue"
    late = filed(name, date(2025, 2, 1), cycle="2024")
    state = task_state(PLAN.task(name), {}, [late], date(2025, 3, 1))
    assert (state.status, state.open_cycle) == ("in_progress", "2025")
    assert status(name, date(2025, 3, 1), records=[filed(name, date(2025, 2, 1))]) == "overdue"  # counts for 2025
    assert status(name, PAST, records=[filed(name, date(2024, 12, 31))]) == "overdue"  # not for 2025 as well
    both = [filed(name, date(2024, 11, 1)), filed(name, date(2025, 11, 1))]
    assert status(name, date(2024, 12, 1), records=both) == "done"
    assert status(name, END, records=both) == "done"
    assert status(name, PAST, records=both) == "in_progress"


def test_monthly_and_quarterly_days_are_cut_to_the_month():
    month = replace(PLAN.task("a25-set-goals"), cadence="monthly", due_each="31")
    assert due_next(month, date(2025, 2, 10)) == date(2025, 2, 28)
    assert due_next(month, date(2025, 3, 1)) == date(2025, 3, 31)
    assert due_before(month, date(2025, 3, 1)) == date(2025, 2, 28)
    assert cycle_of(month, date(2025, 2, 28)) == "2025-02"
    quarter = replace(month, cadence="quarterly", due_each="15")
    assert due_next(quarter, date(2025, 1, 1)) == date(2025, 3, 15)
    assert due_next(quarter, date(2025, 3, 16)) == date(2025, 6, 15)
    assert due_next(quarter, date(2024, 12, 20)) == date(2025, 3, 15)
    assert cycle_of(quarter, date(2025, 6, 15)) == "2025Q2"
    leap = replace(month, cadence="annual", due_each="02-29")
    assert due_next(leap, date(2025, 1, 1)) == date(2025, 2, 28)


def test_consecutive_cycles_share_no_day_and_leave_none_out():
    for cadence, each in (("annual", "12-31"), ("quarterly", "31"), ("monthly", "31")):
        task = replace(PLAN.task("a36-credit-records"), cadence=cadence, due_each=each)
        for ordinal in range(date(2024, 12, 1).toordinal(), date(2026, 12, 31).toordinal()):
            day = date.fromordinal(ordinal)
            record = filed(task.id, day)
            due = due_next(task, day)
            assert task_state(task, {}, [record], day).items[0].state == "have" or due_before(task, day)
            assert task_state(replace(task, starts=day), {}, [record], due).status == "done", (cadence, day)


def test_a_conditional_task_is_never_overdue():
    names = {t.id for t in PLAN.tasks if t.conditional}
    assert names == {"a25-improve", "a35-reward", "a35-interview", "a35-penalty", "a35-inspection"}
    assert all(status(n, date(2026, 6, 1)) != "overdue" for n in names)


def test_late_evidence_makes_a_task_done_and_says_late():
    task = replace(PLAN.task("a16-retained"))
    assert task.deadline == END
    assert task.evidence[0].type == "ledger"
    on_time, late = filed(task.id, END), filed(task.id, date(2026, 2, 1))
    assert task_state(task, {}, [on_time], date(2026, 2, 1)).late is False
    state = task_state(task, {}, [late], date(2026, 2, 1))
    assert (state.status, state.late) == ("done", True)
    assert task_state(task, {}, [late], date(2026, 1, 31)).status == "overdue"


def test_records_that_cannot_be_taken_are_refused_with_every_fault():
    bad = EvidenceRecord("a18-prefab", 0, "", date(2026, 5, 1), " ", "", value=3, unit="m²")
    faults = " ".join(record_faults(PLAN, bad, END))
    for part in ("ref is empty", "source is empty", "by is empty", "after 2025-12-31", "give a number in %"):
        assert part in faults
    with pytest.raises(UsageError, match="source is empty"):
        accept_record(PLAN, bad, END)
    assert "no such task" in record_faults(PLAN, filed("a99-x", END), END)[0]
    assert "items 0 to 0" in record_faults(PLAN, filed("a18-prefab", END, item=1), END)[0]
    assert "report its value instead" in record_faults(PLAN, filed("a34-prefecture-plans", END), END)[0]
    with pytest.raises(UsageError, match="no such task"):
        task_states(PLAN, {}, [filed("a99-x", END)], END)


def test_the_whole_plan_without_evidence_after_its_end():
    targets = {v["id"]: v["status"] for v in judge_targets(PLAN, {}, [], PAST)}
    states = task_states(PLAN, targets, [], PAST)
    assert len(states) == len(PLAN.tasks) == 262
    by_status = count_tasks(PLAN, states, "status")["all"]
    dated = [t for t in PLAN.tasks if t.deadline]
    yearly = [t for t in PLAN.tasks if t.cadence in RECURRING and not t.conditional]
    assert by_status["overdue"] == len(dated) + len(yearly)
    assert by_status["done"] == by_status["continuous"] == by_status["in_progress"] == 0
    assert set(by_status) == set(STATUSES)
    assert sum(by_status.values()) == 262
    articles = articles_verdict(PLAN, states)
    assert [a["number"] for a in articles] == list(range(1, 39))
    assert sum(len(a["tasks"]) for a in articles) == 262
    first = articles[2]["tasks"][0]
    assert first["evidence"][0]["target_status"] == "no_data"
    assert first["due"] == "2025-12-31"


def test_counts_by_department_article_region_and_place():
    states = task_states(PLAN, {}, [], date(2024, 7, 1))
    total = {by: count_tasks(PLAN, states, by) for by in ("article", "lead", "department", "region", "place")}
    assert sum(sum(r.values()) for r in total["article"].values()) == 262
    assert sum(sum(r.values()) for r in total["lead"].values()) == 262  # one lead each
    assert sum(total["lead"]["ecology"].values()) < sum(total["department"]["ecology"].values())
    assert sum(total["region"]["clean-heating-unfunded"].values()) == 1
    assert sum(total["place"]["620100"].values()) == 2  # Lanzhou: cooperation and consultation
    with pytest.raises(UnknownName, match="by 'colour'"):
        count_tasks(PLAN, states, "colour")


def test_a_task_without_automatic_evidence_waits_for_an_office():
    task = replace(PLAN.task("a08-low-price"), evidence=(Evidence("ledger", "x"), Evidence("document", "report")))
    assert task_state(task, {}, [], date(2025, 1, 1)).status == "not_started"
    half = [filed(task.id, date(2025, 1, 1), item=0)]
    assert task_state(task, {}, half, date(2025, 1, 1)).status == "in_progress"
