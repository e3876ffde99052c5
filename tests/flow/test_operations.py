"""Scheduled jobs: due once, done by one, written down. Source: docs/design/0008-operations.md, §3."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from qinglan.core.errors import UnknownName, UsageError
from qinglan.flow import operations, scheduler
from qinglan.flow.workspace import REGISTRY_VARIABLE, Workspace, init, open_workspace
from qinglan.store import jobs as book
from qinglan.store.registry import events

#: Monday, 08:00 on the office's clock.
NOW = datetime(2025, 3, 3, 0, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def workspace(registry_place: Path | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """On both engines, with a job of our own each day at 03:30."""
    monkeypatch.setenv(REGISTRY_VARIABLE, str(registry_place) if isinstance(registry_place, str) else "")
    made = init(tmp_path / "home")
    for row in operations.jobs(made, NOW - 10 * DAY):  # the standard ones rest here
        operations.change_job(made, row["name"], enabled=False, who="t", now=NOW - 10 * DAY)
    yield made
    made.registry.close()


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, Any]]:
    """What an action called `note` was given."""
    calls: list[Mapping[str, Any]] = []

    def note(_workspace: Workspace, arguments: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
        calls.append(arguments)
        if arguments.get("fail"):
            raise UsageError("this cannot be done.")
        return {"at": now.isoformat()}

    monkeypatch.setitem(operations._ACTIONS, "note", note)
    return calls


def daily(workspace: Workspace, at: datetime, **changes: Any) -> None:
    row = {"name": "daily", "action": "note", "schedule": "30 3 * * *", "arguments": {"a": 1}, "enabled": True}
    operations.keep_job(workspace, {**row, **changes}, who="王", now=at)


def look(workspace: Workspace, now: datetime, holder: str = "a") -> list[operations.Claimed]:
    return operations.due_now(workspace, holder=holder, now=now)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of March 2025 on the office's clock (UTC+8)."""
    return datetime(2025, 3, day, hour, minute, tzinfo=UTC) - timedelta(hours=8)


def test_the_last_due_moment_is_of_the_offices_clock() -> None:
    def last(schedule: str, now: datetime, after: datetime | None = None) -> datetime | None:
        return operations.last_due(schedule, "Asia/Shanghai", after=after or at(1, 0), now=now)

    assert last("30 3 * * *", at(3, 8)) == at(3, 3, 30)
    assert last("30 3 * * *", at(3, 3, 30)) == at(3, 3, 30)
    assert last("30 3 * * *", at(3, 3, 29)) == at(2, 3, 30)
    assert last("30 3 * * *", at(3, 8), after=at(3, 3, 30)) is None
    assert last("0 8 * * mon", at(4, 0)) == at(3, 8)  # 3 March 2025 was a Monday
    assert last("0 9 1 * *", at(20, 0), after=at(1, 9) - 500 * DAY) == at(1, 9)
    assert last("* * * * *", at(3, 8), after=at(3, 8) - 900 * DAY) == at(3, 8)
    for wrong in ("30 3 * *", "0 8 * * 1", "99 3 * * *", "x"):
        with pytest.raises(UsageError, match="cannot be read"):
            last(wrong, at(3, 8))


def test_a_job_is_due_once_and_its_run_is_written_down(workspace: Workspace, done: list[Any]) -> None:
    daily(workspace, at(1, 12))
    assert look(workspace, at(2, 3, 29)) == []
    (claimed,) = look(workspace, at(2, 3, 31))
    assert (claimed.job["name"], claimed.due) == ("daily", at(2, 3, 30))
    assert look(workspace, at(2, 3, 31)) == []
    assert operations.execute(workspace, claimed, lambda: at(2, 3, 32)) == "done"
    assert done == [{"a": 1}]
    assert look(workspace, at(2, 12)) == []
    (row,) = operations.history(workspace)
    assert (row["outcome"], row["due"], row["finished_at"]) == ("done", at(2, 3, 30), at(2, 3, 32))
    assert row["result"] == {"at": at(2, 3, 32).isoformat()}
    assert [e["what"] for e in events(workspace.registry, subject="daily")] == [
        "job.entered", "job.begun", "job.done",
    ]  # fmt: skip


def test_what_was_due_while_the_server_was_down_runs_once(workspace: Workspace, done: list[Any]) -> None:
    daily(workspace, at(1, 12))
    (claimed,) = look(workspace, at(9, 12))
    assert claimed.due == at(9, 3, 30)
    operations.execute(workspace, claimed, lambda: at(9, 12))
    assert look(workspace, at(9, 13)) == []
    daily(workspace, at(9, 14), schedule="0 9 * * *")  # a new schedule does not make up for its own past
    assert look(workspace, at(9, 15)) == []


def test_one_process_is_the_scheduler_until_its_lease_ends(workspace: Workspace, done: list[Any]) -> None:
    daily(workspace, at(1, 12))
    assert look(workspace, at(1, 13), "a") == []
    assert look(workspace, at(1, 13) + MINUTE, "b") == []
    assert book.take_lease(workspace.registry, operations.LEASE, "b", now=at(2, 8), until=at(2, 9))
    assert look(workspace, at(2, 8), "a") == []
    assert len(look(workspace, at(2, 8), "b")) == 1


def test_a_killed_run_is_tried_once_more(workspace: Workspace, done: list[Any]) -> None:
    daily(workspace, at(1, 12))
    assert len(look(workspace, at(2, 4), "a")) == 1  # and a is killed
    assert look(workspace, at(2, 4) + MINUTE, "b") == []
    (again,) = look(workspace, at(2, 4, 10), "b")
    assert again.due == at(2, 3, 30)
    assert look(workspace, at(2, 4, 20), "c") == []  # b too: then it is given up
    assert [(r["outcome"], r["attempt"]) for r in operations.history(workspace)] == [
        ("interrupted", 2), ("interrupted", 1),
    ]  # fmt: skip
    assert len(look(workspace, at(3, 4), "c")) == 1


def test_an_error_is_written_down_and_not_repeated(workspace: Workspace, done: list[Any]) -> None:
    daily(workspace, at(1, 12), arguments={"fail": True})
    (claimed,) = look(workspace, at(2, 4))
    assert operations.execute(workspace, claimed, lambda: at(2, 4)) == "failed"
    assert operations.history(workspace)[0]["error"] == "this cannot be done."
    assert look(workspace, at(2, 5)) == []


def test_a_job_can_be_run_by_hand_but_not_twice_at_once(workspace: Workspace, done: list[Any]) -> None:
    daily(workspace, at(1, 12), enabled=False)
    assert look(workspace, at(2, 4)) == []
    row = operations.run_job(workspace, "daily", who="李", clock=lambda: at(2, 4))
    assert (row["outcome"], row["by"]) == ("done", "李")
    daily(workspace, at(2, 5))
    assert len(look(workspace, at(3, 4))) == 1
    with pytest.raises(UsageError, match="is running"):
        operations.run_job(workspace, "daily", who="李", clock=lambda: at(3, 4))
    with pytest.raises(UnknownName, match=r"job 'none'.*daily"):
        operations.run_job(workspace, "none", who="李", clock=lambda: at(3, 4))
    with pytest.raises(UnknownName, match="action 'none'"):
        daily(workspace, at(3, 5), action="none")


def test_the_backup_job_keeps_the_newest(workspace: Workspace, tmp_path: Path) -> None:
    with_folder = {"folder": str(tmp_path / "saved"), "keep": 2}
    operations.change_job(workspace, "backup", arguments=with_folder, who="t", now=at(1, 1))
    for day in (1, 2, 3):
        row = operations.run_job(workspace, "backup", who="t", clock=lambda day=day: at(day, 2))
        assert row["outcome"] == "done", row["error"]
    assert sorted(p.name[8:16] for p in (tmp_path / "saved").iterdir()) == ["20250301", "20250302"]
    operations.change_job(workspace, "backup", arguments={"folder": "x"}, who="t", now=at(4, 1))
    row = operations.run_job(workspace, "backup", who="t", clock=lambda: at(4, 2))
    assert (row["outcome"], "absolute folder" in row["error"]) == ("failed", True)


def test_bulletins_are_drafted_when_there_is_a_run_to_draft_from(workspace: Workspace) -> None:
    row = operations.run_job(workspace, "bulletins", who="t", clock=lambda: at(2, 6))
    assert (row["outcome"], row["result"], row["error"]) == ("done", {"drafted": []}, "")


def test_the_list_shows_what_comes_and_what_was(workspace: Workspace, done: list[Any]) -> None:
    daily(workspace, at(1, 12))
    operations.run_job(workspace, "daily", who="t", clock=lambda: at(2, 1))
    rows = {row["name"]: row for row in operations.jobs(workspace, at(2, 2))}
    assert rows["daily"]["next"] == at(2, 3, 30)
    assert rows["daily"]["last"]["outcome"] == "done"
    assert rows["nightly-run"]["next"] is None
    assert rows["nightly-run"]["title"] == {"zh": "每夜运算", "en": "Nightly run"}


def test_the_scheduler_works_until_told_to_stop(workspace: Workspace, done: list[Any]) -> None:
    daily(workspace, datetime.now(UTC) - timedelta(minutes=2), schedule="* * * * *")
    stop = threading.Event()
    working = threading.Thread(target=scheduler.work, args=(workspace, stop), kwargs={"every": 0.05})
    working.start()
    wait_for(lambda: operations.history(workspace, "daily"))
    stop.set()
    working.join(20)
    assert not working.is_alive()
    assert {r["outcome"] for r in operations.history(workspace, "daily")} == {"done"}
    now = datetime.now(UTC)
    assert book.take_lease(workspace.registry, operations.LEASE, "next", now=now, until=now)


def wait_for(found: Any, seconds: float = 30) -> None:
    give_up = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def test_the_process_ends_with_the_server_and_frees_its_lease(tmp_path: Path) -> None:
    """Also when the server was killed: the pipe closes."""
    home = init(tmp_path / "home").home
    context = multiprocessing.get_context("spawn")
    for how in ("pipe", "signal"):
        theirs, ours = context.Pipe(duplex=False)
        process = context.Process(target=scheduler.serve_jobs, args=(home, theirs))
        process.start()
        theirs.close()
        opened = open_workspace(home)
        wait_for(lambda opened=opened: not _free(opened))
        if how == "pipe":
            ours.close()
        else:
            os.kill(process.pid or 0, signal.SIGTERM)
        process.join(20)
        assert process.exitcode == 0
        wait_for(lambda opened=opened: _free(opened), 1)


def _free(opened: Workspace) -> bool:
    now = datetime.now(UTC)
    held = book.take_lease(opened.registry, operations.LEASE, "test", now=now, until=now)
    return held and bool(book.jobs(opened.registry))
