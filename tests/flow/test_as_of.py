"""The verdict of a past day: nothing later is looked at, and a year that has not begun is waited for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest

from qinglan.core.batch import Batch, LayoutInfo
from qinglan.flow.ingest import ingest
from qinglan.flow.run import run
from qinglan.flow.workspace import Settings, Workspace, init

FIRST, LAST = date(2024, 12, 1), date(2025, 1, 31)
PREFECTURES = ("630100", "630200", "632200", "632300", "632500", "632600", "632700", "632800")
NOW = datetime(2025, 6, 1, tzinfo=UTC)


class _Days:
    """City days made here: clean air in December 2024, AQI over 100 by PM2.5 in January 2025."""

    LAYOUT = LayoutInfo("made", "", "", ("city_days",), (".txt",))

    def sniff(self, path):
        return True

    def read(self, path, context):
        days = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
        rows = [(place, day) for place in PREFECTURES for day in days]
        calm = dict.fromkeys(("so2", "no2", "mda8", "pm10"), [10.0] * len(rows)) | {"co": [0.5] * len(rows)}
        table = {
            "place": [p for p, _ in rows],
            "day": [d for _, d in rows],
            "pm2_5": [80.0 if d.year == 2025 else 9.0 for _, d in rows],
            **calm,
        }
        yield Batch("city_days", pa.table(table), path.name)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory) -> Workspace:
    folder = tmp_path_factory.mktemp("asof")
    home = init(folder / "home", Settings())
    (folder / "a.txt").write_text("a")
    ingest(home, _Days(), [folder / "a.txt"])
    return home


def test_before_the_year_begins_its_target_waits(workspace):
    verdict = run(workspace, now=NOW, as_of=date(2024, 12, 31)).content
    rate = next(t for t in verdict["targets"] if t["id"] == "good-day-rate-2025")
    assert (rate["status"], rate["value"], rate["limit"]) == ("waiting", None, 96.3)
    assert {(row["period"], row["valid_days"]) for row in verdict["places"]} == {("2024", 31)}


def test_a_later_day_sees_what_came_until_then(workspace):
    verdict = run(workspace, now=NOW, as_of=date(2025, 1, 10)).content
    rate = next(t for t in verdict["targets"] if t["id"] == "good-day-rate-2025")
    assert rate["value"] == 0.0
    assert rate["coverage"] == {"expected": 80, "observed": 80, "percent": 100.0}
