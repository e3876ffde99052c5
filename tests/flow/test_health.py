"""Health of the house. Sources: docs/design/0008-operations.md §5; GB 3095-2012 6.2 for a valid day (20 of 24 h).

What must come out is worked out by hand from rows that are made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from qinglan.core.batch import Batch, LayoutInfo
from qinglan.core.errors import LayoutError, StoreError, UnknownName, UsageError
from qinglan.flow import backup, console_settings, feeds, health, operations
from qinglan.flow.ingest import ingest
from qinglan.flow.run import run
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.store import jobs as book
from qinglan.store import registry

NOW = datetime(2025, 3, 10, 4, 20, tzinfo=UTC)
EDGE = datetime(2025, 3, 10, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Hourly:
    """A layout whose file names stations and how many of the last hours each sends: ``1480A 24``, a line each."""

    LAYOUT = LayoutInfo("hourly", "", "", ("hours",), (".txt",))

    def sniff(self, path: Path) -> bool:
        return True

    def read(self, path: Path, context: Any) -> Any:
        cells: dict[str, list[Any]] = {"station": [], "time": [], "pm10": []}
        for line in path.read_text().splitlines():
            if len(line.split()) != 3:
                raise LayoutError(f"{path.name} is not hourly.")
            station, first, last = line.split()
            for back in range(int(first), int(last)):
                for name, value in (("station", station), ("time", EDGE - back * HOUR), ("pm10", 40.0 + back % 7)):
                    cells[name].append(value)
        cells["time"] = pa.array(cells["time"], pa.timestamp("us", "UTC"))
        yield Batch("hours", pa.table(cells), path.name)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two stations in Xining, one in Haidong, one that ended long ago."""
    rows: list[Mapping[str, Any]] = [
        {"station": "1480A", "name": "a", "place": "630100"},
        {"station": "1481A", "name": "b", "place": "630100"},
        {"station": "2667A", "name": "c", "place": "630200"},
        {"station": "9999A", "name": "d", "place": "630200", "valid_to": date(2020, 1, 1)},
    ]
    return init(tmp_path / "home", Settings(), stations=rows)


def load(workspace: Workspace, tmp_path: Path, text: str) -> None:
    path = tmp_path / f"{abs(hash(text))}.txt"
    path.write_text(text)
    ingest(workspace, Hourly(), [path])


def source(workspace: Workspace, name: str, now: datetime = NOW) -> dict[str, Any]:
    return next(row for row in feeds.feeds(workspace, now) if row["id"] == name)


def test_a_group_that_sends_every_hour_is_ok_and_its_shares_are_counted(
    workspace: Workspace, tmp_path: Path
) -> None:
    load(workspace, tmp_path, "1480A 0 168\n1481A 0 84\n2667A 0 24")
    xining = source(workspace, "630100")
    assert (xining["state"], xining["reasons"], xining["units"]) == ("ok", [], 2)
    assert (xining["share_day"], xining["share_week"]) == (100.0, 75.0)
    assert xining["lag"] == pytest.approx(1 / 3)
    assert source(workspace, "630200")["units"] == 1  # the station that ended is not waited for


@pytest.mark.parametrize(
    ("text", "state", "why"),
    [
        ("1480A 0 20\n1481A 0 20", "ok", []),
        ("1480A 0 19\n1481A 0 20", "late", ["thin"]),
        ("1480A 2 40\n1481A 2 40", "late", ["late"]),
        ("1480A 30 40\n1481A 30 40", "silent", ["silent"]),
        ("1480A 0 30\n1481A 30 40", "late", ["stations", "thin"]),
        ("2667A 0 24", "silent", ["never"]),
    ],
)
def test_late_silent_and_thin_by_the_thresholds(
    workspace: Workspace, tmp_path: Path, text: str, state: str, why: list[str]
) -> None:
    load(workspace, tmp_path, text)
    row = source(workspace, "630100")
    assert (row["state"], [name for name, _ in row["reasons"]]) == (state, why)


def test_a_setting_moves_the_threshold_and_the_log_says_who_and_why(workspace: Workspace, tmp_path: Path) -> None:
    load(workspace, tmp_path, "1480A 3 60\n1481A 3 60\n2667A 3 60")
    assert source(workspace, "630100")["state"] == "late"
    console_settings.change(workspace, "health.hourly_late", "6", reason="slow line", who="wang", now=NOW)
    assert source(workspace, "630100")["state"] == "ok"
    (event,) = registry.events(workspace.registry, what="setting.changed")
    assert (event["who"], event["subject"]) == ("wang", "health.hourly_late")
    assert event["detail"] == {"value": 6.0, "before": None, "reason": "slow line"}
    with pytest.raises(UsageError, match="1 to 48"):
        console_settings.change(workspace, "health.hourly_late", "0", reason="r", who="wang", now=NOW)
    with pytest.raises(UsageError, match="reason"):
        console_settings.change(workspace, "health.hourly_late", "5", reason=" ", who="wang", now=NOW)
    with pytest.raises(UnknownName):
        console_settings.change(workspace, "health.hourly", "5", reason="r", who="wang", now=NOW)


def test_a_load_that_failed_makes_its_feed_failing(workspace: Workspace, tmp_path: Path) -> None:
    load(workspace, tmp_path, "1480A 0 24\n1481A 0 24\n2667A 0 24")
    feed = source(workspace, "hours:hourly")
    assert (feed["cadence"], feed["state"], feed["load"]["read"]) == ("irregular", "idle", 72)
    load(workspace, tmp_path, "this is no station")
    feed = source(workspace, "hours:hourly")
    assert (feed["state"], [name for name, _ in feed["reasons"]]) == ("failing", ["failed"])
    assert feeds.feeds(workspace, NOW)[0]["id"] == "hours:hourly"  # the worst first


def finding(workspace: Workspace, name: str, now: datetime = NOW) -> health.Finding:
    return next(f for f in health.look(workspace, now).findings if f.name == name)


def test_what_was_never_done_is_told_and_what_was_done_is_shown(workspace: Workspace, tmp_path: Path) -> None:
    assert [finding(workspace, n).said for n in ("backup", "proof", "chain", "run")] == ["none"] * 4
    assert finding(workspace, "scheduler").level == "bad"
    book.take_lease(workspace.registry, operations.LEASE, "a", now=NOW, until=NOW + HOUR)
    assert finding(workspace, "scheduler").level == "good"
    now = datetime.now(UTC)
    operations.change_job(
        workspace, "backup", arguments={"folder": str(tmp_path / "safe"), "keep": 2}, who="t", now=now
    )
    for name in ("backup", "prove-backup", "verify-audit"):
        row = operations.run_job(workspace, name, who="t", clock=lambda: now)
        assert row["outcome"] == "done", row["error"]
    later = now + timedelta(minutes=1)
    assert [finding(workspace, n, later).level for n in ("backup", "proof", "chain")] == ["good"] * 3
    old = now + timedelta(days=40)
    assert [finding(workspace, n, old).said for n in ("backup", "proof", "chain")] == ["old"] * 3
    assert not [p for p in (tmp_path / "safe").iterdir() if p.name.startswith(".proving")]
    assert health.look(workspace, later).facts["registry"] > 0


def test_a_damaged_backup_is_not_proven(workspace: Workspace, tmp_path: Path) -> None:
    made = backup.backup(workspace, tmp_path / "safe" / "a.tar", now=NOW)
    with Path(made["file"]).open("r+b") as handle:
        handle.seek(Path(made["file"]).stat().st_size // 2)
        handle.write(b"changed")
    with pytest.raises(StoreError):
        backup.prove(workspace, Path(made["file"]), who="t", now=NOW)
    assert backup.newest(workspace, backup.PROVEN) is None


def test_results_older_than_the_data_are_told(workspace: Workspace, tmp_path: Path) -> None:
    from qinglan.store import runs

    runs.record_run(workspace.registry, "r", "run", {}, who="t", at=datetime.now(UTC))
    assert finding(workspace, "run", datetime.now(UTC)).said == "fine"
    load(workspace, tmp_path, "1480A 0 24")
    later = finding(workspace, "run", datetime.now(UTC) + timedelta(days=2))
    assert (later.said, later.level, later.numbers["n"]) == ("older", "warn", 1)


def test_a_job_that_loads_a_folder_says_when_it_comes_next(workspace: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.csv").write_text("odd\n1\n")
    row = {"name": "fetch", "action": "ingest", "schedule": "15 * * * *", "enabled": True,
           "arguments": {"folder": str(folder), "layout": "hourly"}}  # fmt: skip
    operations.keep_job(workspace, row, who="t", now=NOW)
    load(workspace, tmp_path, "1480A 0 24")
    assert source(workspace, "hours:hourly")["next"] == datetime(2025, 3, 10, 5, 15, tzinfo=UTC)
    auto = {**row, "name": "auto", "arguments": {"folder": str(folder), "layout": "auto"}}
    operations.keep_job(workspace, auto, who="t", now=NOW)
    done = operations.run_job(workspace, "auto", who="t", clock=lambda: NOW)
    assert (done["outcome"], "a.csv" in done["error"]) == ("failed", True)


def test_pausing_needs_a_reason_and_leaves_it_in_the_log(workspace: Workspace) -> None:
    def pause(enabled: bool, reason: str) -> None:
        operations.set_enabled(workspace, "bulletins", enabled, reason=reason, who="wang", now=NOW)

    with pytest.raises(UsageError, match="reason"):
        pause(False, " ")
    pause(False, "holiday")
    with pytest.raises(UsageError, match="already"):
        pause(False, "again")
    event = registry.events(workspace.registry, what="job.changed")[-1]
    assert (event["who"], event["detail"]["reason"], event["detail"]["after"]["enabled"]) == (
        "wang",
        "holiday",
        False,
    )
    assert next(r for r in operations.jobs(workspace, NOW) if r["name"] == "bulletins")["next"] is None


def test_an_option_set_in_the_console_is_carried_by_the_next_run_and_moves_none_before(
    workspace: Workspace, tmp_path: Path
) -> None:
    load(workspace, tmp_path, "1480A 0 100\n1481A 0 100\n2667A 0 100")
    before = run(workspace, now=NOW)
    stood = (before.folder / "verdict.json").read_bytes()
    key = "option.hj663.attainment"
    console_settings.change(workspace, key, "mean_only", reason="as the ministry's letter", who="wang", now=NOW)
    assert (before.folder / "verdict.json").read_bytes() == stood
    after = run(workspace, now=NOW)
    assert after.content["run"]["id"] != before.content["run"]["id"]
    assert after.content["run"]["arguments"]["options"] == {"hj663": {"attainment": "mean_only"}}
    (used,) = [r["options"]["attainment"] for r in after.content["run"]["rules"] if r["book"] == "hj663"]
    assert used == "mean_only"
    default = str(console_settings.declared()[key].default)
    given = {"hj663": {"attainment": default}}  # what is asked of one run goes before what is set
    assert console_settings.options(workspace, given) == given
    console_settings.change(workspace, key, default, reason="back", who="wang", now=NOW)
    assert console_settings.options(workspace) == {}
