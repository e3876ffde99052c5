"""A person's word reaches the checked hours: conservation, reported values stay, only the judged one changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from qinglan.core.batch import Batch, LayoutInfo
from qinglan.flow import quality
from qinglan.flow.decide import overrule_flag
from qinglan.flow.ingest import ingest
from qinglan.flow.workspace import Settings, Workspace, init

DAY = date(2025, 3, 1)
FIRST = datetime(2025, 2, 28, 17, tzinfo=UTC)  # the end of the hour labelled 01:00
SPIKE = FIRST + timedelta(hours=11)


class _Made:
    """A layout whose one file is made here: a calm day of PM10 with one hour far above it."""

    LAYOUT = LayoutInfo("made", "", "", ("hours",), (".txt",))

    def sniff(self, path):
        return True

    def read(self, path, context):
        times = [FIRST + timedelta(hours=h) for h in range(24)]
        values = [900.0 if t == SPIKE else 40.0 + h % 5 for h, t in enumerate(times)]
        table = {"station": ["1480A"] * 24, "time": pa.array(times, pa.timestamp("us", "UTC")), "pm10": values}
        yield Batch("hours", pa.table(table), path.name)


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    register = [{"station": "1480A", "name": "x", "place": "630100"}]
    home = init(tmp_path / "home", Settings(), stations=register)
    (tmp_path / "a.txt").write_text("a")
    ingest(home, _Made(), [tmp_path / "a.txt"])
    return home


def _spike_row(workspace: Workspace) -> dict:
    return next(r for r in workspace.station_hours("checked", "1480A", DAY) if r["time"] == SPIKE)


def test_a_kept_value_returns_and_a_rejected_one_goes(workspace):
    found = quality.control_on(workspace, DAY)
    assert found.flags == 1
    assert _spike_row(workspace)["pm10"] is None
    assert _spike_row(workspace)["pm10_state"] == "invalid"

    overrule_flag(
        workspace, "1480A", SPIKE, "pm10", "spike", "keep", reason="dust, seen by the neighbours", who="a"
    )
    again = quality.control_on(workspace, DAY)
    assert (again.decisions, again.reused) == (1, False)
    assert _spike_row(workspace)["pm10"] == 900.0
    assert _spike_row(workspace)["pm10_state"] == "valid"

    overrule_flag(workspace, "1480A", SPIKE, "pm10", "*", "reject", reason="it was the filter change", who="b")
    quality.control_on(workspace, DAY)
    assert _spike_row(workspace)["pm10"] is None
    reported = next(r for r in workspace.station_hours("hours", "1480A", DAY) if r["time"] == SPIKE)
    assert reported["pm10"] == 900.0
