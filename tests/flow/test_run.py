"""The main job on a small simulated province. Sources: design 0002 sections 2 and 4; fractions over its tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qinglan.core.errors import NotFound, UsageError
from qinglan.core.rounding import exact, half_even
from qinglan.flow import decide
from qinglan.flow.run import Verdict, run
from qinglan.flow.simulate import simulate_into
from qinglan.flow.views import current, day_making, hours_making
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.plan.judge import STATUSES, Reported
from qinglan.plan.places import load_stations
from qinglan.plan.tasks import STATUSES as TASK_STATUSES
from qinglan.plan.tasks import EvidenceRecord
from qinglan.store import decisions, runs

NOW = datetime(2026, 1, 5, 2, tzinfo=UTC)
FIRST, LAST = date(2024, 11, 1), date(2025, 12, 31)
#: One station for each prefecture, three for Xining of which one is its background point, and one county.
STATIONS = ("1480A", "1481A", "1483A", "3867A", "2671A", "2672A", "2673A", "2674A", "2675A", "2676A")
PREFECTURES = {"630100", "630200", "632200", "632300", "632500", "632600", "632700", "632800"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Fourteen months: long enough for a year against part of the one before."""
    home = init(tmp_path_factory.mktemp("run") / "home", Settings(simulated=True))
    chosen = [s for s in load_stations("qinghai") if s.station in STATIONS]
    chosen += [s for s in load_stations("simulated") if s.place == "630121"][:1]
    simulate_into(home, FIRST, LAST, stations=chosen)
    return home


@pytest.fixture(scope="module")
def first(workspace: Workspace) -> Verdict:
    """The run before anybody has decided anything."""
    return run(workspace, now=NOW)


def table(verdict: Verdict, name: str, **where: Any) -> pl.DataFrame:
    """Rows of a run's table whose columns equal the given values."""
    return pl.read_parquet(verdict.folder / f"{name}.parquet").filter(**where)


def target(verdict: Verdict, name: str) -> dict[str, Any]:
    return next(t for t in verdict.content["targets"] if t["id"] == name)


def task(verdict: Verdict, name: str) -> dict[str, Any]:
    return next(t for a in verdict.content["articles"] for t in a["tasks"] if t["id"] == name)


def test_the_verdict_on_disk_holds_what_the_contract_says(workspace: Workspace, first: Verdict) -> None:
    written = json.loads((first.folder / "verdict.json").read_text(encoding="utf-8"))
    assert written == json.loads(json.dumps(first.content, default=str))
    assert {"run", "plan", "as_of", "simulated", "targets", "articles", "places"} <= set(written)
    assert set(written["run"]) >= {"id", "started_at", "rules", "inputs", "arguments", "code_version"}
    assert {r["book"] for r in written["run"]["rules"]} == {
        "gb3095",
        "hj633",
        "hj663",
        "ranking",
        "dust",
        "gbt8170",
        "qc",
    }
    assert (written["as_of"], written["simulated"], written["plan"]["id"]) == ("2025-12-31", True, "qinghai-2024")
    keys = "id article title status value shown limit comparison unit distance due period coverage edition dust"
    keys += " variants trend budget projection waiting_for reported"
    for found in written["targets"]:
        assert set(keys.split()) <= set(found), found["id"]
        assert found["status"] in STATUSES
    assert len(written["articles"]) == 38
    tasks = [t for a in written["articles"] for t in a["tasks"]]
    assert all(
        {"id", "status", "due", "lead", "evidence"} <= set(t) and t["status"] in TASK_STATUSES for t in tasks
    )
    assert {p["place"] for p in written["places"] if p["level"] == "prefecture"} == PREFECTURES
    assert runs.current_run(workspace.registry, "run")["run_id"] == written["run"]["id"] == first.folder.name
    assert not list(workspace.results.glob("*.draft"))


#: Contract 0002 section 2: key and other columns of each table.
COLUMNS = {
    "station_days": "station day so2 no2 co pm10 pm2_5 mda8 o3_1h so2_n no2_n co_n o3_n pm10_n pm2_5_n mda8_n",
    "place_days": "place day so2 no2 co mda8 pm10 pm2_5 stations so2_stations mda8_stations pm2_5_stations",
    "place_aqi": "place day edition aqi level primary_pollutant aqi_state iaqi_so2 iaqi_mda8 iaqi_pm2_5",
    "evaluation": "place period item statistic dust value limit attained exceedance_factor valid_days "
    "expected_days data_valid edition",
    "summary": "place period dust edition valid_days good_days good_rate heavy_days level_1 level_6 "
    "composite_index max_index main_pollutant attained data_valid",
    "ranking": "period place dust rank composite_index main_pollutant previous_index change_percent change_rank",
    "hourly_aqi": "station place time edition aqi level primary_pollutant aqi_state",
    "dust_events": "id place start end removal status",
}
KEYS = {
    "station_days": ["station", "day"],
    "place_days": ["place", "day"],
    "place_aqi": ["place", "day", "edition"],
    "evaluation": ["place", "period", "item", "statistic", "dust"],
    "summary": ["place", "period", "dust"],
    "ranking": ["period", "place", "dust"],
    "dust_events": ["id"],
}


def test_the_tables_have_their_columns_and_keys(first: Verdict) -> None:
    for name, columns in COLUMNS.items():
        frame = table(first, name)
        assert set(columns.split()) <= set(frame.columns), name
        assert frame.height > 0, name
        if name in KEYS:
            assert frame.select(KEYS[name]).is_duplicated().sum() == 0, name
    both = table(first, "place_aqi").group_by("edition").agg(pl.len(), pl.col("in_force").sum())
    assert {e: n for e, _, n in both.iter_rows()}["HJ 633-2026"] == 0, "no day of these is judged by the new ruler"
    assert both["len"].n_unique() == 1, "every day stands under both"


def test_running_again_changes_nothing(workspace: Workspace, first: Verdict) -> None:
    def files(folder: Path) -> dict[str, tuple[int, bytes]]:
        found = sorted(p for p in folder.rglob("*") if p.is_file())
        return {str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.read_bytes()) for p in found}

    before = files(first.folder)
    assert any(name.startswith("series/") for name in before)
    again = run(workspace, now=datetime(2026, 1, 6, tzinfo=UTC))
    assert again.content["run"]["id"] == first.content["run"]["id"]
    assert files(again.folder) == before
    assert len([p for p in workspace.results.iterdir() if p.is_dir()]) == 1


def test_a_number_can_be_followed_to_the_hours_behind_it(workspace: Workspace, first: Verdict) -> None:
    """PM2.5 of the province -> cities' year -> a city's days -> its stations' days -> the checked hours."""
    goal = target(first, "pm2_5-2025")
    year = table(first, "evaluation", period="2025", item="pm2_5", statistic="mean", dust="out")
    year = year.filter(pl.col("place").is_in(sorted(PREFECTURES)))
    assert year.height == 8
    mean = sum(map(exact, year["value"].to_list())) / 8
    assert goal["value"] == pytest.approx(float(mean), abs=1e-12)
    assert goal["shown"] == str(half_even(mean))
    assert goal["coverage"] == {
        "expected": 8 * 365,
        "observed": year["valid_days"].sum(),
        "percent": round(100 * year["valid_days"].sum() / 2920, 1),
    }
    place = "630100"
    days = table(first, "place_days", place=place).filter(pl.col("day").dt.year() == 2025).drop_nulls("pm2_5")
    own = year.row(by_predicate=pl.col("place") == place, named=True)
    assert own["valid_days"] == days.height
    assert exact(own["value"]) == half_even(sum(map(exact, days["pm2_5"].to_list())) / days.height, 6)

    result = current(workspace)
    stations = {s["station"]: s for s in result.rows("stations")}
    for row in days.sample(6, seed=1).iter_rows(named=True):
        made = day_making(result, place, row["day"])["stations"]
        taking_part = [r for r in made if not stations[r["station"]]["control_point"] and r["pm2_5"] is not None]
        assert {r["station"] for r in taking_part} <= {"1480A", "1481A"}, "not the background point"
        assert row["pm2_5_stations"] == len(taking_part)
        assert exact(row["pm2_5"]) == half_even(sum(exact(r["pm2_5"]) for r in taking_part) / len(taking_part), 6)
        for station in taking_part:
            found = hours_making(workspace, result, station["station"], row["day"])
            assert found["day"] == station
            values = [c["pm2_5"] for _, _, c in found["hours"] if c is not None and c["pm2_5"] is not None]
            assert station["pm2_5_n"] == len(values) >= 20
            assert exact(station["pm2_5"]) == half_even(sum(map(exact, values)) / len(values), 6)
            for _, reported, checked in found["hours"]:
                if checked is not None and checked["pm2_5"] is not None:
                    assert reported["pm2_5"] == checked["pm2_5"], "control never edits a value"


def test_good_days_and_rate_are_those_of_the_daily_index(first: Verdict) -> None:
    goal = target(first, "good-day-rate-2025")
    aqi = table(first, "place_aqi", in_force=True).filter(
        pl.col("place").is_in(sorted(PREFECTURES)), pl.col("day").dt.year() == 2025, pl.col("aqi").is_not_null()
    )
    counted = aqi.group_by("place").agg(good=(pl.col("aqi") <= 100).sum(), valid=pl.len())
    rates = [Fraction(100 * g, v) for _, g, v in counted.iter_rows()]
    assert goal["value"] == pytest.approx(float(sum(rates) / 8), abs=1e-9)
    assert goal["shown"] == f"{float(half_even(sum(rates) / 8, 1)):.1f}"
    assert target(first, "heavy-days-2025")["value"] == (aqi["aqi"] > 200).sum()


def test_in_the_middle_of_the_year_the_rest_is_reckoned(workspace: Workspace, first: Verdict) -> None:
    verdict = run(workspace, now=NOW, as_of=date(2025, 6, 30))
    assert verdict.content["as_of"] == "2025-06-30"
    assert table(verdict, "place_days")["day"].max() == date(2025, 6, 30)
    assert table(verdict, "hourly_aqi")["time"].max() == datetime(2025, 6, 30, 16, tzinfo=UTC)
    for name in ("pm2_5-2025", "good-day-rate-2025"):
        found = target(verdict, name)
        assert found["status"] in ("on_track", "at_risk"), name
        assert found["budget"]["days_left"] == 184
        assert found["budget"]["said"]["zh"].startswith("余184天")
    half = table(verdict, "evaluation", period="2025H1", item="pm2_5", statistic="mean", dust="out")
    values = [exact(v) for v in half.filter(pl.col("place").is_in(sorted(PREFECTURES)))["value"].to_list()]
    pm = target(verdict, "pm2_5-2025")
    assert pm["value"] == pytest.approx(float(sum(values) / 8), abs=1e-12)
    # What the rest of the year may still have, so that the whole comes to the limit of 21 (days weigh alike).
    left = pm["budget"]["allowed_mean"]
    assert (181 * pm["value"] + 184 * left) / 365 == pytest.approx(21, abs=0.1)
    choice = run(workspace, now=NOW, as_of=date(2025, 6, 30), options={"hj663": {"mda8_window": "labels_01_24"}})
    assert choice.content["run"]["id"] != verdict.content["run"]["id"]
    used = {r["book"]: r["options"] for r in choice.content["run"]["rules"]}
    assert used["hj663"]["mda8_window"] == "labels_01_24"
    old, new = (table(v, "station_days")["mda8"] for v in (verdict, choice))
    pair = pl.DataFrame({"old": old, "new": new}).drop_nulls()
    assert (pair["new"] >= pair["old"]).all(), "more windows, never a lower maximum"
    assert (pair["new"] > pair["old"]).any()


def _reviewed(workspace: Workspace, events: pl.DataFrame, status: str) -> None:
    for row in events.iter_rows(named=True):
        decide.review_dust(workspace, row["id"], status, reason="卫星影像", who="李")


def test_confirmed_dust_leaves_the_concentrations_without_it_only(workspace: Workspace, first: Verdict) -> None:
    """Decides things, so it stands late. Out changes, in does not; the raw rate keeps dust, the adjusted not."""
    events = table(first, "dust_events", place="630100", status="proposed")
    worst = (
        table(first, "place_days", place="630100")
        .sort("pm10", descending=True, nulls_last=True)
        .row(0, named=True)
    )
    shifted = pl.col("start").dt.offset_by("7h").dt.date(), pl.col("end").dt.offset_by("7h").dt.date()
    hit = events.filter(shifted[0] <= worst["day"], shifted[1] >= worst["day"])
    assert hit.height == 1, "the worst day of PM10 was proposed as dust"
    _reviewed(workspace, hit, "confirmed")
    _reviewed(workspace, events.filter(pl.col("id") != hit["id"][0]).head(1), "rejected")
    after = run(workspace, now=NOW)
    assert after.content["run"]["id"] != first.content["run"]["id"]
    assert (after.content["dust"]["confirmed"], after.content["dust"]["rejected"]) == (1, 1)
    keys = ["place", "period", "item", "statistic"]
    for treatment, changed in (("in", set()), ("out", {"pm10", "pm2_5"})):
        old, new = (table(v, "evaluation", dust=treatment).sort(keys) for v in (first, after))
        joined = old.join(new, on=keys, suffix="_new").filter(
            (pl.col("value") != pl.col("value_new")) | (pl.col("limit") != pl.col("limit_new"))
        )
        assert set(joined["item"]) == changed, treatment
        assert set(joined["place"]) <= {"630100"}
        assert set(old["valid_days"] - new["valid_days"]) == {0}, "a removed day counts as valid by default"
    gone = set(table(after, "dust_days")["day"])
    days = table(first, "place_days", place="630100").filter(
        pl.col("day").dt.year() == 2025, ~pl.col("day").is_in(gone)
    )
    kept = [exact(v) for v in days["pm10"].drop_nulls().to_list()]
    (out,) = table(
        after, "evaluation", place="630100", period="2025", item="pm10", statistic="mean", dust="out"
    ).to_dicts()
    assert exact(out["value"]) == half_even(sum(kept) / len(kept), 6)
    raw, adjusted = (
        table(after, "summary", place="630100", period="2025", dust=d).to_dicts()[0] for d in ("in", "out")
    )
    exceeding = [
        r
        for r in table(after, "place_aqi", place="630100", in_force=True).iter_rows(named=True)
        if r["day"] in gone and r["day"].year == 2025 and (r["aqi"] or 0) > 100
    ]
    assert raw["valid_days"] - adjusted["valid_days"] == len(exceeding) > 0
    assert raw["good_days"] == adjusted["good_days"]


def test_what_offices_file_and_report_is_judged(workspace: Workspace, first: Verdict) -> None:
    assert target(first, "rail-freight-2025")["status"] == "waiting"
    assert task(first, "a25-set-goals")["status"] == "overdue"

    def report(name: str, value: float, unit: str, baseline: float | None = None) -> Callable[[], None]:
        told = Reported(name, value, unit, LAST, "统计公报 2025", "发展改革委", baseline)
        return lambda: decide.report_value(workspace, told, today=date(2026, 1, 5))

    with pytest.raises(UsageError, match="needs the value of 2020"):
        report("rail-freight-2025", 4100, "万吨")()
    with pytest.raises(UsageError, match="unit '吨'"):
        report("rail-freight-2025", 4100, "吨", 4000)()
    report("rail-freight-2025", 4100, "万吨", 4000)()
    report("small-coal-boilers", 31, "台", 30)()
    report("non-fossil-share-2025", 52.5, "%")()
    for cycle in ("2024", "2025"):
        filed = EvidenceRecord("a25-set-goals", 0, f"青环〔{cycle}〕1号", date(2025, 6, 1), "省厅", "王", cycle)
        decide.file_evidence(workspace, filed, today=date(2026, 1, 5))
    # A plan that was rewritten since: its evidence is set aside and said so, and the run goes on.
    stale = {"task_id": "a99-gone", "kind": "document", "reference": "旧文", "as_of": LAST, "source": "档案"}
    decisions.add_evidence(workspace.registry, stale, who="王")
    verdict = run(workspace, now=NOW)
    freight = target(verdict, "rail-freight-2025")
    assert (freight["status"], freight["value"], freight["reported"]["value"]) == ("reported_met", 100.0, 4100.0)
    assert freight["reported"]["source"] == "统计公报 2025"
    assert target(verdict, "small-coal-boilers")["status"] == "reported_not_met"
    assert target(verdict, "non-fossil-share-2025")["status"] == "reported_met"
    goals = task(verdict, "a25-set-goals")
    assert goals["status"] == "done"
    assert (goals["evidence"][0]["state"], goals["evidence"][0]["ref"]) == ("have", "青环〔2025〕1号")
    assert len(verdict.content["refused_evidence"]) == 1
    assert "a99-gone" in verdict.content["refused_evidence"][0]
    assert verdict.content["run"]["id"] != first.content["run"]["id"]


def test_an_empty_workspace_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"holds no observations\. Load some: `qinglan ingest"):
        run(init(tmp_path / "home"), now=NOW)
