"""Locked months at the door. Source: docs/design/0010-review.md, "Months": final data change by reopening only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from qinglan.core.batch import Batch, LayoutInfo
from qinglan.core.errors import StoreError
from qinglan.flow import repair, review
from qinglan.flow.ingest import ALREADY, IngestReport, IngestSettings, ingest, retry_rejects
from qinglan.flow.views import review as view
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.store import loads, registry
from qinglan.store.review import ReviewRefused, signs

NOW = datetime(2025, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
#: Ends of the hours labelled 24:00 of the last day of March, and 01:00 of the first of April, at Xining.
MARCH, APRIL = datetime(2025, 3, 31, 16, tzinfo=UTC), datetime(2025, 3, 31, 17, tzinfo=UTC)


class Bias:
    """A layout: every hour of 31 March and 1 April of two stations, raised by the number in the file."""

    LAYOUT = LayoutInfo("bias", "", "", ("hours",), (".txt",))

    def sniff(self, path: Path) -> bool:
        return True

    def read(self, path: Path, context: Any) -> Iterator[Batch]:
        bias = float(path.read_text().split()[0])
        cells: dict[str, list[Any]] = {"station": [], "time": [], "pm10": []}
        for station in ("1480A", "2667A"):
            for k in range(-23, 25):
                cells["station"].append(station)
                cells["time"].append(MARCH + timedelta(hours=k))
                cells["pm10"].append(40.0 + k % 5 + bias)
        cells["time"] = pa.array(cells["time"], pa.timestamp("us", "UTC"))
        yield Batch("hours", pa.table(cells), path.name)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Loaded by zhao; March of Xining is locked, March of Haidong is not."""
    service = {"valid_from": date(2025, 3, 31), "valid_to": date(2025, 4, 1)}
    rows = [
        {"station": s, "name": s, "place": p, **service} for s, p in (("1480A", "630100"), ("2667A", "630200"))
    ]
    made = init(tmp_path / "home", Settings(), stations=rows)
    load(made, tmp_path, "0", "zhao")
    for level, who in (("operator", "qian"), ("prefecture", "sun"), ("province", "li")):
        review.sign(made, "1480A", date(2025, 3, 31), date(2025, 3, 31), level, remark="", who=who, now=NOW)
    review.lock(made, "630100", "2025-03", exceptions={}, who="li", now=NOW)
    return made


def load(workspace: Workspace, folder: Path, text: str, who: str = "zhou", **more: Any) -> IngestReport:
    path = folder / f"{text.replace(' ', '-')}.txt"
    path.write_text(text)
    return ingest(workspace, Bias(), [path], settings=IngestSettings(who=who), **more)


def reopen(workspace: Workspace) -> None:
    review.reopen(workspace, "630100", "2025-03", reason="the span gas was wrong", who="li", now=NOW)


def values(workspace: Workspace, station: str = "1480A") -> dict[datetime, float]:
    table = workspace.lake.table("hours", stations=[station]).select("time", "pm10").to_pyarrow()
    return {row["time"]: row["pm10"] for row in table.to_pylist()}


def test_rows_of_a_locked_month_are_set_aside_and_all_others_go_in(workspace: Workspace, tmp_path: Path) -> None:
    before = values(workspace)
    report = load(workspace, tmp_path, "5")
    (file,) = report.files
    assert (file.read, file.superseded, file.rejected) == (96, 72, 24)
    assert file.read == file.accepted + file.rejected
    assert report.by_code() == {"locked_month": 24}
    after = values(workspace)
    assert all(after[t] == before[t] for t in before if t <= MARCH)
    assert all(after[t] == before[t] + 5 for t in before if t >= APRIL)
    assert values(workspace, "2667A")[MARCH] == 43.0 + 2.0  # Haidong's March is open: 40 + 0 % 5 + 5
    rows = loads.rejects(workspace.registry)
    assert len(rows) == 24
    assert rows[0]["detail"] == "2025-03 of 630100, locked by li on 2025-06-01"
    assert "重开" in rows[0]["remedy_zh"]
    assert repair.reject(workspace, rows[0]["id"])["fields"]["pm10"] == pytest.approx(
        before[MARCH - 23 * HOUR] + 5
    )


def test_saying_again_what_is_there_is_no_change(workspace: Workspace, tmp_path: Path) -> None:
    report = load(workspace, tmp_path, "0 again")
    assert (report.total("unchanged"), report.total("rejected")) == (96, 0)


def test_loading_the_same_file_again_after_reopening_takes_them_in(workspace: Workspace, tmp_path: Path) -> None:
    load(workspace, tmp_path, "5")
    again = load(workspace, tmp_path, "5")
    assert again.total("rejected") == 24  # still locked: kept out again, and asked for once
    assert Counter(r["status"] for r in loads.rejects(workspace.registry, status=None)) == {
        "open": 24,
        "repeated": 24,
    }
    reopen(workspace)
    third = load(workspace, tmp_path, "5")
    assert (third.total("superseded"), third.total("unchanged"), third.total("rejected")) == (24, 72, 0)
    assert loads.rejects(workspace.registry) == []
    assert values(workspace)[MARCH] == 45.0
    assert load(workspace, tmp_path, "5").files[0].status == ALREADY


def test_reading_the_rejects_again_takes_them_in_too(workspace: Workspace, tmp_path: Path) -> None:
    first = load(workspace, tmp_path, "5")
    assert retry_rejects(workspace, first.load_id, layout=Bias(), who="zhou").still_open == 24
    reopen(workspace)
    (newest,) = {r["load_id"] for r in loads.rejects(workspace.registry)}
    done = retry_rejects(workspace, newest, layout=Bias(), who="zhou")
    assert (done.repaired, done.still_open) == (24, 0)
    assert values(workspace)[MARCH] == 45.0


def test_a_repair_into_a_locked_month_is_refused_and_writes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    load(workspace, tmp_path, "5")
    row = repair.reject(workspace, loads.rejects(workspace.registry)[0]["id"])
    count = len(workspace.loads())
    fields = {name: str(value) for name, value in row["fields"].items()}
    with pytest.raises(ReviewRefused, match="locked by li") as caught:
        repair.mend(workspace, row["id"], reason="r", who="zhou", fields=fields)
    assert "Reopen" in caught.value.remedy
    assert len(workspace.loads()) == count
    reopen(workspace)
    assert repair.mend(workspace, row["id"], reason="r", who="zhou", fields=fields).outcomes["superseded"] == 1
    assert repair.reject(workspace, row["id"])["status"] == "repaired"


def test_a_preview_says_what_would_be_kept_out(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "layout_named", lambda name: Bias())
    (tmp_path / "p.txt").write_text("5")
    found = repair.preview(workspace, tmp_path / "p.txt", "bias")
    assert (found.rows["hours"], Counter(r.code for r in found.rejects)) == (72, {"locked_month": 24})
    assert values(workspace)[MARCH] == 40.0  # nothing was written


def test_reported_days_of_a_locked_place_are_guarded_and_weather_is_not(workspace: Workspace) -> None:
    from qinglan.flow import locked

    days = {"place": ["630100", "630200", "630100"], "pm10": [50.0] * 3,
            "day": [date(2025, 3, 31), date(2025, 3, 31), date(2025, 4, 1)]}  # fmt: skip
    passed, kept_out = locked.split(workspace, "city_days", pl.DataFrame(days))
    assert (passed["place"].to_list(), kept_out.rows()) == (
        ["630200", "630100"],
        [("630100", 50.0, days["day"][0])],
    )
    wind = pl.DataFrame({"station": ["1480A"], "time": [MARCH], "day": [date(2025, 3, 31)], "wind_speed": [2.0]})
    assert locked.split(workspace, "weather", wind)[1].is_empty()


def test_a_reopened_month_is_provisional_until_the_province_signs_anew(workspace: Workspace) -> None:
    day = date(2025, 3, 31)
    assert view.state_of(workspace, station="1480A", day=day)["state"] == "final"
    reopen(workspace)
    assert view.state_of(workspace, station="1480A", day=day)["state"] == "provisional"
    assert set(view.day_review(workspace, "1480A", day)["signs"]) == {"operator", "prefecture"}
    (old,) = [s for s in signs(workspace.registry, station="1480A", history=True) if not s["live"]]
    assert (old["level"], old["by"], old["withdrawn_by"]) == ("province", "li", "li")
    assert "span gas" in old["withdrawn_why"]
    with pytest.raises(ReviewRefused) as caught:
        review.lock(workspace, "630100", "2025-03", exceptions={}, who="li", now=NOW)
    assert caught.value.code == "unsigned"
    review.sign(workspace, "1480A", day, day, "province", remark="", who="li", now=NOW)
    review.lock(workspace, "630100", "2025-03", exceptions={}, who="li", now=NOW)
    assert view.state_of(workspace, station="1480A", day=day)["state"] == "final"
    (event,) = registry.events(workspace.registry, what="month.reopened")
    assert event["detail"]["signs_withdrawn"] == 1


def test_a_month_is_not_locked_while_a_load_goes_on(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from qinglan.flow.workspace import open_workspace

    monkeypatch.setattr(review, "_PATIENCE", 0.1)
    other = open_workspace(workspace.home)
    with other.lake.writing(), pytest.raises(StoreError, match="another process"):
        review.lock(workspace, "630200", "2025-03", exceptions={"2667A": "r"}, who="li", now=NOW)
