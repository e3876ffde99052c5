"""The forecaster's desk. Sources: HJ 633-2026 5 (20:00); fact sheet 13 (range, level span); issue 5."""

from __future__ import annotations

import io
import runpy
import shutil
import threading
import zipfile
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qinglan.access import Forbidden, Grant, Principal
from qinglan.core.errors import ContentError, NotFound, QinglanError, UnknownName, UsageError
from qinglan.flow.forecasts import desk
from qinglan.flow.forecasts.desk import Edit
from qinglan.flow.forecasts.desk.rules import level_of
from qinglan.flow.workspace import Workspace, open_workspace
from qinglan.store import desk as store
from qinglan.store.registry import events, verify_events

made = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("desk_home.py"))))
CHIEF, CLERK, SECOND, XINING, COUNTY = made.CHIEF, made.CLERK, made.SECOND, made.XINING, made.COUNTY
NOW, TODAY, at, forecast, office, person = made.NOW, made.TODAY, made.at, made.forecast, made.office, made.person
D1, D2 = TODAY + timedelta(days=1), TODAY + timedelta(days=2)
PROVINCE = "630000"
TO_ISSUE = ((CLERK, "submit"), (CHIEF, "approve"), (CLERK, "issue"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One office that every test gets a copy of: making one costs half a second."""
    space = office(tmp_path_factory.mktemp("desk") / "home")
    space.registry.close()
    return Path(space.home)


@pytest.fixture
def workspace(template: Path, tmp_path: Path) -> Workspace:
    return open_workspace(shutil.copytree(template, tmp_path / "home"))


@pytest.fixture
def bulletin(workspace: Workspace) -> str:
    return desk.begin(workspace, PROVINCE, me=CLERK, at=NOW)


def go(workspace: Workspace, bulletin: str, *steps: tuple[Any, ...], when: Any = NOW) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for me, name, *rest in steps:
        found = desk.act(workspace, bulletin, name, me=me, at=when, **(rest[0] if rest else {}))
    return found


def said(workspace: Workspace, bulletin: str) -> dict[tuple[str, date], dict[str, Any]]:
    moves, edits = store.history(workspace.registry, bulletin)
    version = desk.one(workspace, bulletin)["version"]
    rows = desk.table(workspace, desk.machine_of(workspace, moves, version), desk.lasting(moves, edits, version))
    return {(r["place"], r["day"]): r for r in rows}


def put(
    workspace: Workspace, bulletin: str, me: Any = CLERK, place: str = "630100", day: date = D1, **given: Any
) -> bool:
    values = {"low": 105, "high": 135, "primary": "pm2_5", "reason": "静稳加重"} | given
    return desk.edit(workspace, bulletin, place, day, Edit(**values), me=me, at=NOW)


def test_a_bulletin_goes_from_the_proposal_to_its_correction(workspace: Workspace, bulletin: str) -> None:
    assert bulletin == "F630000-20260310"
    assert {p for p, _ in said(workspace, bulletin)} == {"630100", "630200"}, "a county is not the province's"
    assert len(said(workspace, bulletin)) == 2 * 5
    put(workspace, bulletin)
    go(
        workspace,
        bulletin,
        (CLERK, "consult"),
        (XINING, "comment", {"reason": "夜间逆温"}),
        (COUNTY, "agree"),
        *TO_ISSUE,
    )
    moves, edits = store.history(workspace.registry, bulletin)
    assert [(m["move"], m["office"]) for m in moves if m["office"]] == [("comment", "630100"), ("agree", "630105")]
    assert edits[0]["machine"]["low"] == 80, "the machine's value stands beside the edit"
    first = desk.kept(workspace, moves[-1]["content"])
    row = desk.act(workspace, bulletin, "correct", me=CLERK, at=at(21), reason="沙尘路径有变")
    assert (row["version"], row["state"], row["replaces"]) == (2, "draft", 1)
    assert said(workspace, bulletin)["630100", D1]["low"] == 105, "a correction begins with what was issued"
    put(workspace, bulletin, SECOND, day=D2, low=160, high=190, primary="pm10", reason="沙尘")
    assert desk.one(workspace, bulletin, 1)["state"] == "issued", "the old version holds until the new one is out"
    go(workspace, bulletin, *TO_ISSUE, when=at(21, 30))
    assert [r["state"] for r in store.listed(workspace.registry)] == ["issued", "corrected"]
    moves, _ = store.history(workspace.registry, bulletin)
    assert desk.kept(workspace, next(m for m in moves if m["move"] == "issue")["content"]) == first
    told = [e["what"] for e in events(workspace.registry) if e["subject"] == bulletin]
    assert sorted(told) == sorted([f"desk.{m['move']}" for m in moves] + ["desk.edit"] * 2)
    assert verify_events(workspace.registry).holds


def test_an_edit_says_level_span_middle_and_machine(workspace: Workspace, bulletin: str) -> None:
    """105–135 by HJ 633-2026: level 3 at both ends; the machine's 80–110 spans levels 2 and 3."""
    assert put(workspace, bulletin, words="早晚高峰 偏高")
    cell, other = said(workspace, bulletin)["630100", D1], said(workspace, bulletin)["630200", D2]
    assert (cell["level"], cell["level_low"], cell["level_high"], cell["middle"]) == (3, 3, 3, 120)
    assert (cell["machine"]["level_low"], cell["machine"]["level_high"]) == (2, 3)
    assert (other["edited"], other["middle"], other["low"]) == (False, 40, 30)
    assert put(workspace, bulletin, low=None, high=None, primary="", words="", reason="数据已到")
    assert said(workspace, bulletin)["630100", D1]["low"] == 80, "the machine's proposal stands again"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"reason": " "}, "needs its reason"),
        ({"low": 130, "high": 90}, "AQI 130–90 is no range"),
        ({"low": None}, "no range"),
        ({"high": 501}, "no range"),
        ({"level": 5}, "level 5 lies outside AQI 105–135 \\(levels 3 to 3\\)"),
        ({"primary": "pm1"}, "pm1"),
        ({"primary": ""}, "above AQI 50 the primary pollutant is named"),
        ({"low": 20, "high": 50}, "named only above AQI 50"),
        ({"words": "长" * 201}, "201 characters"),
        ({"day": TODAY}, "630100 2026-03-10"),
        ({"place": "630105"}, "630105"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_with_place_day_value_and_remedy(
    workspace: Workspace, bulletin: str, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(QinglanError, match=told) as wrong:
        put(workspace, bulletin, **given)
    assert wrong.value.remedy
    assert store.history(workspace.registry, bulletin)[1] == []


def test_the_width_of_a_range_is_an_option(workspace: Workspace, bulletin: str) -> None:
    """By default told, not refused; rule book forecast: up to AQI 200 sixty is the widest."""
    assert put(workspace, bulletin, low=101, high=190)
    assert said(workspace, bulletin)["630100", D1]["wide"]
    (workspace.home / "desk.yaml").write_text("options: {width: refused}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="89 wide; at most 60"):
        put(workspace, bulletin, low=102, high=191)
    assert put(workspace, bulletin, low=101, high=161)
    (workspace.home / "desk.yaml").write_text("options: {width: narrow}\n", encoding="utf-8")
    with pytest.raises(ContentError, match="narrow"):
        put(workspace, bulletin)


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (((CLERK, "issue"),), "is draft: issue is not possible"),
        (((CLERK, "submit"), (CLERK, "consult")), "is submitted: consult is not possible"),
        (((XINING, "comment", {"reason": "高"}),), "is draft: comment is not possible"),
        (((CLERK, "submit"), (CHIEF, "return")), "return needs a reason"),
        (((*TO_ISSUE[:1], *TO_ISSUE[1:], (CLERK, "correct"))), "correct needs a reason"),
        (((CLERK, "consult"), (SECOND, "agree")), "belongs to the office of this bulletin"),
        (((CLERK, "consult", {"until": at(12)}),), "which is past"),
        (((CLERK, "vanish"),), "vanish"),
    ],
)  # fmt: skip
def test_illegal_moves_are_refused_with_a_sentence(
    workspace: Workspace, bulletin: str, steps: tuple[Any, ...], told: str
) -> None:
    go(workspace, bulletin, *steps[:-1])
    before = store.history(workspace.registry, bulletin)
    with pytest.raises(QinglanError, match=told) as wrong:
        go(workspace, bulletin, steps[-1])
    assert wrong.value.remedy
    assert store.history(workspace.registry, bulletin) == before


def test_rank_and_another_person_approve(workspace: Workspace, bulletin: str) -> None:
    with pytest.raises(Forbidden, match=r"forecast\.draft"):
        put(workspace, bulletin, XINING)
    both = person("王", "province", "chief")
    put(workspace, bulletin, both)
    go(workspace, bulletin, (SECOND, "submit"))
    with pytest.raises(Forbidden, match=r"forecast\.approve"):
        go(workspace, bulletin, (SECOND, "approve"))
    with pytest.raises(UsageError, match="王 may not approve it: 王 did open it"):
        go(workspace, bulletin, (both, "approve"))
    with pytest.raises(Forbidden):
        go(workspace, bulletin, (person("外", "chief", place="630100"), "approve"))
    assert go(workspace, bulletin, (CHIEF, "approve"))["state"] == "approved"


def test_a_consultation_ends(workspace: Workspace, bulletin: str) -> None:
    go(workspace, bulletin, (CLERK, "consult"))
    moves, _ = store.history(workspace.registry, bulletin)
    assert moves[-1]["until"] == at(18), "rule book forecast: desk.consult_hour"
    with pytest.raises(UsageError, match="ended at 2026-03-10 18:00"):
        go(workspace, bulletin, (XINING, "agree"), when=at(18, 1))
    go(workspace, bulletin, (CLERK, "consult", {"until": at(19)}), when=at(18, 2))
    assert go(workspace, bulletin, (XINING, "agree"), when=at(18, 30))["state"] == "consultation"
    weather = Principal("云", "云", (Grant("department", department="省气象局"),), via="session")
    go(workspace, bulletin, (weather, "comment", {"reason": "夜间转北风"}), when=at(18, 40))
    assert store.history(workspace.registry, bulletin)[0][-1]["office"] == "省气象局", (
        "consulted jointly, in practice"
    )


def test_what_is_late_is_said(workspace: Workspace, bulletin: str) -> None:
    """HJ 633-2026 5: by 20:00."""
    row = desk.one(workspace, bulletin)
    moves, _ = store.history(workspace.registry, bulletin)
    assert not desk.clock(workspace, row, moves, at(20))["late"]
    assert desk.clock(workspace, row, moves, at(20, 25))["minutes"] == 25
    go(workspace, bulletin, *TO_ISSUE, when=at(20, 41))
    moves, _ = store.history(workspace.registry, bulletin)
    told = desk.clock(workspace, row, moves, at(23))
    assert (told["late"], told["minutes"], told["issued"]) == (True, 41, at(20, 41))
    issue = next(e for e in events(workspace.registry) if e["what"] == "desk.issue")
    assert issue["detail"]["late_minutes"] == 41
    (workspace.home / "desk.yaml").write_text("options: {issue_by: early}\n", encoding="utf-8")
    assert desk.due_at(workspace, TODAY) == at(17)


def test_two_people_at_once_cannot_write_over_each_other(workspace: Workspace, bulletin: str) -> None:
    assert put(workspace, bulletin, seen=0)
    with pytest.raises(UsageError, match="changed by 王 meanwhile"):
        put(workspace, bulletin, SECOND, low=60, high=90, seen=0)
    moves, edits = store.history(workspace.registry, bulletin)
    looked = desk.stamp(moves, edits)
    go(workspace, bulletin, (CLERK, "submit", {"seen": looked}))
    with pytest.raises(UsageError, match="changed meanwhile"):
        go(workspace, bulletin, (CHIEF, "approve", {"seen": looked}))
    faults: list[str] = []

    def approve(name: str) -> None:
        try:
            go(workspace, bulletin, (person(name, "chief"), "approve"))
        except QinglanError as cause:
            faults.append(str(cause))

    threads = [threading.Thread(target=approve, args=(name,)) for name in ("甲", "乙", "丙")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(faults) == 2
    assert [m["move"] for m in store.history(workspace.registry, bulletin)[0]].count("approve") == 1


def test_twice_the_same_is_once(workspace: Workspace, bulletin: str) -> None:
    assert desk.begin(workspace, PROVINCE, me=SECOND, at=NOW) == bulletin
    assert put(workspace, bulletin)
    assert not put(workspace, bulletin, reason="再点一次")
    for me, name in TO_ISSUE:
        go(workspace, bulletin, (me, name), (me, name))
    moves, edits = store.history(workspace.registry, bulletin)
    assert [m["move"] for m in moves] == ["open", "submit", "approve", "issue"]
    assert len(edits) == 1
    assert desk.begin(workspace, PROVINCE, me=CLERK, at=at(19)) == bulletin


def test_what_was_dropped_begins_anew_without_its_edits(workspace: Workspace, bulletin: str) -> None:
    put(workspace, bulletin)
    go(workspace, bulletin, (CLERK, "drop", {"reason": "误开"}))
    with pytest.raises(UsageError, match="is dropped"):
        put(workspace, bulletin, low=110)
    desk.begin(workspace, PROVINCE, me=CLERK, at=NOW)
    assert desk.one(workspace, bulletin)["version"] == 2
    assert said(workspace, bulletin)["630100", D1]["low"] == 80
    go(workspace, bulletin, *TO_ISSUE)
    desk.act(workspace, bulletin, "correct", me=CLERK, at=at(19), reason="更正")
    go(workspace, bulletin, (CLERK, "drop", {"reason": "不必"}))
    assert (desk.one(workspace, bulletin)["version"], desk.one(workspace, bulletin)["state"]) == (2, "issued")


def test_a_newer_machine_forecast_is_taken_and_edits_stay(workspace: Workspace, bulletin: str) -> None:
    put(workspace, bulletin)
    with pytest.raises(UsageError, match="newest machine forecast already"):
        go(workspace, bulletin, (CLERK, "renew"))
    forecast(workspace.home, at(17), {("630200", 1): (90, 100, 120, "pm10")})
    go(workspace, bulletin, (CLERK, "renew"), when=at(17, 5))
    cells = said(workspace, bulletin)
    assert (cells["630200", D1]["low"], cells["630100", D1]["low"]) == (90, 105)


def test_without_a_forecast_of_the_days_there_is_nothing_to_open(workspace: Workspace) -> None:
    with pytest.raises(NotFound, match="says nothing of 630000 after 2026-04-01"):
        desk.begin(workspace, PROVINCE, me=CLERK, at=at(16, day=date(2026, 4, 1)))
    with pytest.raises(UnknownName, match="bulletin"):
        desk.begin(workspace, "630105", me=CLERK, at=NOW)
    with pytest.raises(NotFound, match="no forecast bulletin"):
        desk.one(workspace, "F1")
    assert desk.begin(workspace, "630100", me=CLERK, at=NOW) == "F630100-20260310"
    assert {p for p, _ in said(workspace, "F630100-20260310")} == {"630100", "630105"}


def test_documents_are_frozen_in_both_languages(workspace: Workspace, bulletin: str) -> None:
    put(workspace, bulletin, words="早晚偏高")
    go(workspace, bulletin, *TO_ISSUE)
    text, name = desk.export(workspace, bulletin, 1, "zh", "txt")
    assert name == "F630000-20260310-1-zh.txt"
    assert "2026年3月11日起5天空气质量预报：西宁市良至轻度污染；海东市优至良" in text.decode()
    assert "最差为西宁市2026年3月11日，AQI 105–135，首要污染物PM₂.₅" in text.decode()
    data, _ = desk.export(workspace, bulletin, 1, "en", "docx")
    body = zipfile.ZipFile(io.BytesIO(data)).read("word/document.xml").decode()
    assert "105–135" in body
    assert "lightly polluted" in body
    page, _ = desk.export(workspace, bulletin, 1, "zh", "html")
    assert "早晚偏高" in page.decode()
    assert "儿童、老年人及心脏病" in page.decode(), "the advice of level 3"
    desk.act(workspace, bulletin, "correct", me=CLERK, at=at(21), reason="路径有变")
    go(workspace, bulletin, *TO_ISSUE, when=at(21, 30))
    assert desk.export(workspace, bulletin, 1, "zh", "txt")[0] == text
    again, _ = desk.export(workspace, bulletin, 2, "zh", "html")
    assert "本版更正2026年3月10日16:30发布的第1版，原因：路径有变" in again.decode()
    assert desk.export(workspace, bulletin, 2, "zh", "txt")[0].decode().rstrip().endswith("（更正）。")
    with pytest.raises(UnknownName, match="pdf"):
        desk.export(workspace, bulletin, 1, "zh", "pdf")


def test_levels_are_those_of_the_valid_day() -> None:
    """HJ 633 table 2: 50, 100, 150, 200, 300 close their levels."""
    assert [level_of(x, D1) for x in (0, 50, 51, 100, 150, 200, 300, 301, 500)] == [1, 1, 2, 2, 3, 4, 5, 6, 6]


def week(workspace: Workspace) -> str:
    """A bulletin edited on two days and issued at 19:00, one of whose days is corrected the next morning."""
    bulletin = desk.begin(workspace, PROVINCE, me=CLERK, at=NOW)
    put(workspace, bulletin)
    put(workspace, bulletin, place="630200", low=140, high=160, primary="pm10")
    go(workspace, bulletin, *TO_ISSUE, when=at(19))
    morning = at(9, day=D1)
    desk.act(workspace, bulletin, "correct", me=CLERK, at=morning, reason="沙尘提前")
    for day in (D1, D2):
        desk.edit(
            workspace, bulletin, "630100", day, Edit(210, 250, primary="pm10", reason="沙尘"), me=CLERK, at=morning
        )
    go(workspace, bulletin, *TO_ISSUE, when=at(10, day=D1))
    return bulletin


def test_office_and_machine_are_scored_apart_on_the_same_days(workspace: Workspace) -> None:
    """By hand. Lead 1, 11 March: Xining 105–135 (middle 120) against the machine's 80–110 (95), came 118 by PM2.5;
    Haidong 140–160 (150) against 60–80 (70), came 75. 12 March at lead 1 is the correction's: Xining 210–250 (230)
    against 60–80 (70), came 240; Haidong unedited 30–48 (40), came 60. Lead 2: what the first version said of the
    12th, 60–80 of Xining, stays its own.
    """
    week(workspace)
    made.air(
        workspace,
        {("630100", D1): (118, "pm2_5"), ("630200", D1): (75, "pm10"), ("630100", D2): (240, "pm10"),
         ("630200", D2): (60, "pm10")},
    )  # fmt: skip
    pairs = desk.issued_pairs(workspace)
    kept = pairs.filter(place="630100", day=D1, who="office")
    assert kept.select("version", "lead_day", "low").rows() == [(1, 1, 105)], "the correction came on the day"
    twelfth = pairs.filter(place="630100", day=D2, who="office").sort("lead_day")
    assert twelfth.select("version", "lead_day", "low").rows() == [(2, 1, 210), (1, 2, 60)]
    found = desk.apart(workspace)
    rows = {(r["who"], r["lead_day"]): r for r in found.scores.to_dicts()}
    office_1, machine_1 = rows["office", 1], rows["machine", 1]
    assert office_1["n"] == machine_1["n"] == 4
    assert office_1["mae"] == pytest.approx((2 + 75 + 10 + 20) / 4)
    assert machine_1["mae"] == pytest.approx((23 + 5 + 170 + 20) / 4)
    assert office_1["rmse"] == pytest.approx(((4 + 5625 + 100 + 400) / 4) ** 0.5)
    assert (office_1["range_hit"], machine_1["range_hit"]) == (0.5, 0.25)
    assert (office_1["level_hit"], machine_1["level_hit"]) == (0.5, 0.5)
    assert (office_1["primary_hit"], machine_1["primary_hit"]) == (0.75, 0.75)
    assert [office_1[f"{k}_100"] for k in ("hits", "misses", "false_alarms")] == [2, 0, 1]
    assert [machine_1[f"{k}_100"] for k in ("hits", "misses", "false_alarms")] == [0, 2, 0]
    assert [office_1[f"{k}_200"] for k in ("hits", "misses", "false_alarms")] == [1, 0, 0]
    assert rows["office", 2]["mae"] == rows["machine", 2]["mae"], "nobody edited that day in version 1"
    assert found.edits.filter(lead_day=1).to_dicts() == [{"lead_day": 1, "edited": 3, "better": 2, "worse": 1}]
    assert (found.bulletins, found.days) == (1, (D1, D2))
    assert desk.apart(workspace, by=("place",), places=["630200"]).scores["n"].to_list() == [3, 3]


def test_nothing_issued_or_nothing_come_is_said(workspace: Workspace, bulletin: str) -> None:
    made.air(workspace, {("630100", D1): (118, "pm2_5")})
    put(workspace, bulletin)
    go(workspace, bulletin, *TO_ISSUE[:2])
    with pytest.raises(NotFound, match="no issued day has come"):
        desk.apart(workspace)
    go(workspace, bulletin, TO_ISSUE[2], when=at(8, day=D1))
    with pytest.raises(NotFound, match="no issued day has come"):
        desk.apart(workspace)
    with pytest.raises(UnknownName, match="moon"):
        desk.apart(workspace, by=("moon",))
