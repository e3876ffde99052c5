"""The life of a bulletin (docs/design/0006, section 6), on real days of June 2016."""

from __future__ import annotations

import hashlib
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from qinglan.cli import main
from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.flow import publications as life
from qinglan.flow.ingest import ingest
from qinglan.flow.run import run
from qinglan.flow.views import publications as views
from qinglan.flow.workspace import Settings, Workspace, init, open_workspace
from qinglan.report import moves
from qinglan.store import publications as store
from qinglan.store.files import Files
from qinglan.store.registry import events

pytestmark = [pytest.mark.data, pytest.mark.xdist_group("bulletins")]
NOW = datetime(2016, 7, 5, 2, tzinfo=UTC)
ID = "monthly-630000-2016-06"


@pytest.fixture(scope="session")
def judged(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("published") / "home"
    workspace = init(home, Settings())
    folder = test_data / "cn_city_daily_aqistudy_2013_2017"
    ingest(workspace, "city_daily", [folder / "qinghai_8_prefectures_daily.csv.gz"])
    run(workspace, now=NOW, as_of=datetime(2016, 6, 30, tzinfo=UTC).date())
    workspace.registry.close()
    return home


@pytest.fixture
def workspace(judged: Path, tmp_path: Path) -> Workspace:
    home = tmp_path / "home"
    shutil.copytree(judged, home, ignore=shutil.ignore_patterns("lake"))
    return open_workspace(home)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents as short bytes: what is tested is the life, not the typesetting."""
    monkeypatch.setattr("qinglan.report.figures._png", lambda made: b"")
    monkeypatch.setattr(life, "write", lambda made, form: f"{form}|{made.identity}|{made.mark}".encode())


def act(workspace: Workspace, name: str, who: str, **more: Any) -> dict[str, Any]:
    return life.act(workspace, ID, name, who=who, at=NOW, **more)


def issued(workspace: Workspace) -> None:
    life.draft(workspace, "monthly", "2016-06", who="甲", at=NOW)
    act(workspace, "submit", "乙")
    act(workspace, "approve", "丙")
    act(workspace, "issue", "丙")


def test_an_issued_version_is_frozen_bytes_with_its_run(workspace: Workspace, plain: None) -> None:
    issued(workspace)
    row = life.one(workspace, ID)
    assert (row["state"], row["version"]) == ("issued", 1)
    kept = store.frozen(workspace.registry, ID, 1)
    assert {(k["language"], k["form"]) for k in kept} == {
        (lang, form) for lang in ("zh", "en") for form in ("docx", "pdf", "html", "xlsx")
    }
    for k in kept:
        data, name = life.export(workspace, ID, k["form"], language=k["language"])
        assert hashlib.sha256(data).hexdigest() == k["digest"]
        assert name == f"{ID}-v1-{k['language']}.{k['form']}"
        assert data.endswith(b"|"), "no mark of a draft"
    assert row["run_id"] in kept_identity(workspace)


def kept_identity(workspace: Workspace) -> str:
    return life.export(workspace, ID, "pdf")[0].decode()


def test_who_drafted_or_submitted_does_not_approve(workspace: Workspace) -> None:
    life.draft(workspace, "monthly", "2016-06", who="甲", at=NOW)
    act(workspace, "submit", "乙")
    for who in ("甲", "乙"):
        with pytest.raises(UsageError, match=f"{who} may not approve"):
            act(workspace, "approve", who)
    assert life.one(workspace, ID)["state"] == "submitted"
    assert act(workspace, "approve", "丙")["state"] == "approved"


@pytest.mark.parametrize("state", ["draft", "submitted", "approved", "issued", "withdrawn"])
def test_only_the_moves_of_the_table_are_legal(workspace: Workspace, plain: None, state: str) -> None:
    life.draft(workspace, "monthly", "2016-06", who="甲", at=NOW)
    path = {"draft": [], "submitted": ["submit"], "approved": ["submit", "approve"],
            "issued": ["submit", "approve", "issue"], "withdrawn": ["withdraw"]}[state]  # fmt: skip
    for step, who in zip(path, ("乙", "丙", "丙"), strict=False):
        act(workspace, step, who, reason="试")
    before = store.history(workspace.registry, ID)
    for name, rule in moves().items():
        if state not in rule.sources:
            with pytest.raises(UsageError, match=f"is {state}: {name} is not possible"):
                act(workspace, name, "丁", reason="试")
    assert store.history(workspace.registry, ID) == before
    with pytest.raises(UnknownName):
        act(workspace, "delete", "丁")


def test_a_correction_names_what_it_replaces_and_why(workspace: Workspace, plain: None) -> None:
    issued(workspace)
    first = life.export(workspace, ID, "pdf")[0]
    with pytest.raises(UsageError, match="needs a reason"):
        act(workspace, "correct", "甲")
    row = act(workspace, "correct", "甲", reason="数据更正")
    assert (row["version"], row["state"], row["replaces"], row["correction"]) == (2, "draft", 1, "数据更正")
    assert life.one(workspace, ID, 1)["state"] == "issued", "until the new one is issued"
    act(workspace, "submit", "甲")
    act(workspace, "approve", "丙")
    act(workspace, "issue", "丙")
    assert life.one(workspace, ID, 1)["state"] == "corrected"
    assert life.one(workspace, ID)["state"] == "issued"
    assert life.export(workspace, ID, "pdf", version=1)[0] == first, "the old bytes stay"
    shown = views.shown(workspace, ID, 2, "zh")
    assert "本版更正并取代第1版。更正原因：数据更正" in shown["document"].lines
    assert shown["changes"] == [], "same run, same numbers"
    assert [r["version"] for r in views.published(workspace)] == [2]


def test_every_move_is_an_event_and_nothing_is_half_done(
    workspace: Workspace, plain: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued(workspace)
    happened = [e["what"] for e in events(workspace.registry, subject=ID)]
    assert happened == [f"publication.{n}" for n in ("draft", "submit", "approve", "issue")]

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("cut")

    monkeypatch.setattr(store, "append_event", broken)
    with pytest.raises(RuntimeError, match="cut"):
        act(workspace, "withdraw", "丙", reason="试")
    assert life.one(workspace, ID)["state"] == "issued"


def test_a_reopened_month_marks_what_was_issued_of_it(workspace: Workspace, plain: None) -> None:
    issued(workspace)
    life.draft(workspace, "quarterly", "2016Q2", who="甲", at=NOW)
    assert life.month_reopened(workspace, "2016-05", who="丙", reason="补录", at=NOW) == []
    assert life.month_reopened(workspace, "2016-06", who="丙", reason="补录", at=NOW) == [ID]
    row = life.one(workspace, ID)
    assert (row["pending"], row["state"]) == (True, "issued")
    assert life.month_reopened(workspace, "2016-06", who="丙", reason="补录", at=NOW) == [], "marked once"
    assert act(workspace, "correct", "甲", reason="月份重开")["version"] == 2


def test_two_who_move_one_version_do_not_both_succeed(workspace: Workspace) -> None:
    life.draft(workspace, "monthly", "2016-06", who="甲", at=NOW)
    stale = life.one(workspace, ID)
    act(workspace, "submit", "乙")

    def make(found: list[dict[str, Any]]) -> store.Made:
        life.legal("submit", found[-1]["state"], ID, 1)
        raise AssertionError("the state was not read inside the transaction")

    with pytest.raises(UsageError, match="is submitted"):
        store.move(workspace.registry, ID, stale["version"], make)


def test_a_draft_exists_once_and_again_only_after_withdrawal(workspace: Workspace) -> None:
    life.draft(workspace, "monthly", "2016-06", who="甲", at=NOW)
    with pytest.raises(UsageError, match="exists already"):
        life.draft(workspace, "monthly", "2016-06", who="甲", at=NOW)
    act(workspace, "withdraw", "丙", reason="试")
    assert life.draft(workspace, "monthly", "2016-06", who="甲", at=NOW).version == 2
    with pytest.raises(NotFound):
        life.draft(workspace, "monthly", "2030-06", who="甲", at=NOW)
    with pytest.raises(UsageError, match="nobody"):
        life.draft(workspace, "quarterly", "2016Q2", who=" ", at=NOW)


def test_what_is_due_is_drafted_once(workspace: Workspace) -> None:
    # 5 July 2016, 10:00 in Beijing: June and last year are due; the quarter (on the 10th) is not.
    made = {d.id for d in life.draft_due(workspace, NOW)}
    assert {ID, "ranking-630000-2016-06", "annual-630000-2015"} <= made
    assert "quarterly-630000-2016Q2" not in made
    assert life.draft_due(workspace, NOW) == []
    later = {d.id for d in life.draft_due(workspace, NOW + timedelta(days=6))}
    assert "quarterly-630000-2016Q2" in later
    assert {r["who"] for r in views.listing(workspace)} == {"bulletins.draft"}


def test_a_prefecture_s_bulletin_holds_only_itself(workspace: Workspace) -> None:
    made = life.draft(workspace, "monthly", "2016-06", who="甲", at=NOW, place="630100")
    numbers = life.numbers_of(workspace, life.one(workspace, made.id))
    assert [p.place for p in numbers.places] == ["630100"]
    assert {d.place for d in numbers.days} == {"630100"}


def test_the_commands(
    workspace: Workspace, plain: None, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    home = ["--home", str(workspace.home)]
    for words in (
        ["draft", "monthly", "2016-06", "--by", "甲"], ["submit", ID, "--by", "乙"],
        ["list", "--state", "submitted"],
        ["move", ID, "return", "--reason", "改标题", "--by", "丙"], ["submit", ID, "--by", "乙"],
        ["approve", ID, "--by", "丙"], ["issue", ID, "--by", "丙"],
        ["export", ID, str(tmp_path / "june.pdf")], ["correct", ID, "--reason", "补录", "--by", "甲"],
        ["show", ID],
    ):  # fmt: skip
        with pytest.raises(SystemExit) as left:
            main([*home, "report", *words])
        assert left.value.code in (0, None), (words, capsys.readouterr())
    assert "补录" in capsys.readouterr().out
    assert (tmp_path / "june.pdf").read_bytes() == Files(workspace.home).open(
        next(k["digest"] for k in store.frozen(workspace.registry, ID, 1)
             if (k["language"], k["form"]) == ("zh", "pdf"))
    )  # fmt: skip
