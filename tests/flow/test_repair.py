"""Mending what was set aside: the same door, a load that says who and why, and nothing done twice.

Source: docs/design/0006-console.md (data), docs/design/0002-contracts.md section 1 (the door).
"""

from __future__ import annotations

import runpy
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from qinglan.core.clock import from_day_and_hour
from qinglan.core.errors import LayoutError, UsageError
from qinglan.flow import repair
from qinglan.flow.ingest import ingest
from qinglan.flow.workspace import Workspace, init
from qinglan.store import loads, registry

FakeLayout = runpy.run_path(str(Path(__file__).with_name("fake_layout.py")))["FakeLayout"]
DAY = date(2025, 3, 5)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Two stations, and a layout that the repair finds by its name."""
    for module in ("ingest", "repair"):
        monkeypatch.setattr(f"qinglan.flow.{module}.layout_named", lambda name: FakeLayout())
    rows = [{"station": c, "name": f"站{c}", "place": "630100"} for c in "AB"]
    return init(tmp_path / "home", stations=rows)


def load(workspace: Workspace, folder: Path, *lines: str) -> str:
    """Load a file of these lines; the load's id."""
    path = folder / "day.txt"
    path.write_text("\n".join(["fake", *lines]) + "\n", encoding="utf-8")
    return ingest(workspace, FakeLayout(), [path]).load_id


def only(workspace: Workspace) -> dict[str, Any]:
    """The one open reject."""
    (found,) = loads.rejects(workspace.registry)
    return found


def hours(workspace: Workspace) -> dict[tuple[str, int], float | None]:
    """PM10 by station and hour, as the lake holds it."""
    table = workspace.lake.table("hours").to_pyarrow().to_pylist()
    return {(r["station"], r["hour"]): r["pm10"] for r in table}


def test_a_corrected_line_enters_once_and_says_who_and_why(workspace: Workspace, tmp_path: Path) -> None:
    load(workspace, tmp_path, f"A,{DAY},1,50,0.5", f"A,{DAY},2,?,0.6")
    number = only(workspace)["id"]
    found = repair.reject(workspace, number)
    assert (found["how"], found["text"]) == ("line", f"A,{DAY},2,?,0.6")
    made = repair.mend(workspace, number, reason="log book", who="zhang", text=f"A,{DAY},2,61,0.6")
    assert sum(made.outcomes.values()) == 1
    assert hours(workspace) == {("A", 1): 50.0, ("A", 2): 61.0}
    written = loads.load(workspace.registry, made.load_id)
    assert (written["layout"], written["status"], written["arguments"]["rejects"]) == ("repair", "done", [number])
    assert written["arguments"]["reason"] == "log book"
    events = registry.events(workspace.registry, subject=made.load_id)
    assert {e["who"] for e in events} == {"zhang"}
    mark = workspace.lake.fingerprint("hours")
    with pytest.raises(UsageError, match="repaired already"):
        repair.mend(workspace, number, reason="again", who="zhang", text=f"A,{DAY},2,99,0.6")
    assert workspace.lake.fingerprint("hours") == mark


@pytest.mark.parametrize("text", [f"A,{DAY},2,?,0.6", f"A,{DAY},2,-5000,0.6", f"Z,{DAY},2,61,0.6"])
def test_what_does_not_pass_the_door_is_not_written(workspace: Workspace, tmp_path: Path, text: str) -> None:
    load(workspace, tmp_path, f"A,{DAY},2,?,0.6")
    mark, before = workspace.lake.fingerprint("hours"), len(workspace.loads())
    with pytest.raises(UsageError):
        repair.mend(workspace, only(workspace)["id"], reason="guess", who="zhang", text=text)
    assert (workspace.lake.fingerprint("hours"), len(workspace.loads())) == (mark, before)
    assert only(workspace)["status"] == "open"


def test_the_other_of_two_conflicting_rows_can_be_taken(workspace: Workspace, tmp_path: Path) -> None:
    load(workspace, tmp_path, f"A,{DAY},1,50,0.5", f"A,{DAY},1,70,0.5")
    assert hours(workspace) == {("A", 1): 50.0}
    found = repair.reject(workspace, only(workspace)["id"])
    assert (found["how"], found["fields"]["pm10"]) == ("fields", 70.0)
    fields = {name: str(value) for name, value in found["fields"].items()}
    made = repair.mend(workspace, found["id"], reason="second is the calibrated one", who="li", fields=fields)
    assert made.outcomes["superseded"] == 1
    assert hours(workspace) == {("A", 1): 70.0}
    row = workspace.lake.table("hours").to_pyarrow().to_pylist()[0]
    assert (row["time"], row["load_id"]) == (from_day_and_hour(DAY, 1), made.load_id)


def test_naming_a_station_brings_its_rows_in(workspace: Workspace, tmp_path: Path) -> None:
    load(workspace, tmp_path, f"西站,{DAY},1,50,0.5", f"西站,{DAY},2,51,0.5", f"A,{DAY},1,9,0.5")
    assert hours(workspace) == {("A", 1): 9.0}
    report = repair.name_station(workspace, "西站", "B", reason="old name, notice 12", who="li")
    assert (report.repaired, report.still_open) == (2, 0)
    assert hours(workspace) == {("A", 1): 9.0, ("B", 1): 50.0, ("B", 2): 51.0}
    assert loads.rejects(workspace.registry) == []
    assert workspace.station_lookup()("西站") == "B"


def test_unusable_rows_want_a_reason_and_stay_settled(workspace: Workspace, tmp_path: Path) -> None:
    load_id = load(workspace, tmp_path, f"Z,{DAY},1,50,0.5", f"Y,{DAY},1,50,0.5")
    with pytest.raises(UsageError, match="reason"):
        repair.dismiss_all(workspace, load_id, "unknown_station", reason=" ", who="li")
    assert repair.dismiss_all(workspace, load_id, "unknown_station", reason="test rig", who="li") == 2
    assert repair.dismiss_all(workspace, load_id, "unknown_station", reason="test rig", who="li") == 0
    assert {r["status"] for r in loads.rejects(workspace.registry, status=None)} == {"dismissed"}


def test_looking_at_a_file_writes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "day.txt"
    path.write_text(f"fake\nA,{DAY},1,50,0.5\nA,{DAY},2,-5000,0.5\nZ,{DAY},1,5,0.5\n", encoding="utf-8")
    found = repair.preview(workspace, path, "fake")
    assert dict(found.rows) == {"hours": 2}
    assert sorted(r.code for r in found.rejects) == ["out_of_contract", "unknown_station"]
    assert (workspace.lake.rows("hours"), workspace.loads()) == (0, [])
    path.write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(LayoutError):
        repair.preview(workspace, path, "fake")
