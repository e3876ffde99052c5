"""Evaluation pages: any period on demand, comparisons and ranks.

Sources: HJ 663-2013 (mean and percentiles, annex A: linear interpolation, as numpy's default), GB 3095-2012 and
GB 3095-2026 (limits of PM2.5 for the year: 35 and 30 ug/m3), docs/design/0006-console.md.
"""

from __future__ import annotations

import io
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook
from starlette.testclient import TestClient

from qinglan.core.clock import Period
from qinglan.flow import evaluate_any, views
from qinglan.flow.views import evaluations
from qinglan.flow.views.result import Result

SPAN = Period(date(2025, 3, 5), date(2025, 4, 20))


@pytest.fixture(scope="module")
def result(client: TestClient) -> Result:
    """The fabricated run."""
    return views.current(client.app.state.site.workspace)


def days(home: Path, item: str, period: Period = SPAN) -> np.ndarray:
    """Values of Xining in a period, straight from the file."""
    rows = pq.read_table(next((home / "results").glob("*")) / "place_days.parquet").to_pylist()
    inside = [r for r in rows if r["place"] == "630100" and period.start <= r["day"] <= period.end]
    return np.array([r[item] for r in inside if r[item] is not None])


@pytest.mark.parametrize(
    ("item", "statistic", "percent"), [("pm2_5", "mean", 0), ("mda8", "p90", 90), ("co", "p95", 95)]
)
def test_any_span_is_evaluated_on_demand(
    home: Path, result: Result, item: str, statistic: str, percent: int
) -> None:
    found = evaluate_any.assess_any(result, SPAN)
    assert found.on_demand
    rows = [r for r in found.tables["evaluation"] if (r["place"], r["item"], r["statistic"], r["dust"]) ==
            ("630100", item, statistic, "in")]  # fmt: skip
    values = days(home, item)
    wanted = values.mean() if statistic == "mean" else np.percentile(values, percent)
    assert rows[0]["value"] == pytest.approx(wanted, abs=2e-6)
    assert (rows[0]["valid_days"], rows[0]["expected_days"]) == (len(values), 47)


def test_other_texts_bring_their_own_limits(result: Result) -> None:
    def limit(edition: str) -> float:
        rows = evaluate_any.assess_any(result, Period.year(2025), edition).tables["evaluation"]
        return next(r["limit"] for r in rows if (r["item"], r["statistic"]) == ("pm2_5", "mean"))

    assert (limit("GB 3095-2012"), limit("GB 3095-2026 (transition)")) == (35.0, 30.0)


def test_a_span_without_a_whole_month_is_judged(result: Result) -> None:
    """HJ 663 asks months; a span without one is asked half of its days (it used to fail on the empty table)."""
    short = evaluate_any.assess_any(result, Period(date(2025, 3, 5), date(2025, 3, 20)))
    assert short.tables["summary"]


def test_an_answer_is_kept(result: Result) -> None:
    first = evaluate_any.assess_any(result, SPAN)
    assert evaluate_any.assess_any(result, SPAN) is first


def test_the_pages_answer_in_both_languages(client: TestClient) -> None:
    for path in ("/evaluation", "/evaluation?period=2025-03-05..2025-04-20&dust=in&place=630100",
                 "/evaluation?first=2025-03-05&last=2025-04-20&edition=GB+3095-2012&hj663.attainment=mean_only",
                 "/evaluation/compare", "/evaluation/compare?place=630100&against=2025Q1&period=2026Q1",
                 "/evaluation/compare?place=630100&other=630200", "/evaluation/ranking?kind=quarter",
                 "/evaluation/ranking?field=counties&kind=month"):  # fmt: skip
        for language in ("zh", "en"):
            answer = client.get(path, headers={"cookie": f"qinglan_lang={language}"})
            assert answer.status_code == 200, (path, answer.text[:300])
    page = client.get("/evaluation?first=2025-03-05&last=2025-04-20").text
    assert "即时评价" in page, "an answer made on demand says so"


@pytest.mark.parametrize(
    ("query", "status"),
    [("first=2025-04-20&last=2025-03-05", 422), ("first=2025-04-20", 422), ("period=1999", 422),
     ("edition=GB+1", 404), ("hj663.mda8_window=labels_01_24", 404), ("hj663.attainment=perhaps", 404),
     ("dust=maybe", 404), ("sort=colour", 404), ("place=999999", 404)],
)  # fmt: skip
def test_wrong_questions_are_answered_plainly(client: TestClient, query: str, status: int) -> None:
    assert client.get(f"/evaluation?{query}").status_code == status


def test_comparison_is_of_printed_numbers() -> None:
    """A rise from 29 to 30 is +1 and +3.4 %; a share changes in points only; fewer good days is worse."""
    assert evaluations.change(29.0, 30.0, "pm2_5") == {"change": 1.0, "percent": 3.4, "better": False}
    assert evaluations.change(90.4, 89.9, "raw_good_rate") == {"change": -0.5, "percent": None, "better": False}
    assert evaluations.change(None, 30.0, "pm2_5")["change"] is None


def test_both_sides_say_whether_they_are_valid(result: Result) -> None:
    now = evaluate_any.assess_any(result, Period.quarter(2026, 1))
    then = evaluate_any.assess_any(result, Period.quarter(2024, 1).back(-1))
    rows = evaluations.compare_periods(result, now, then, "out", "pm2_5")
    assert {r["place"] for r in rows} >= {"630100", "632801"}
    assert all(r["both_valid"] == (r["before_valid"] and r["after_valid"]) for r in rows)


def test_ranks_are_those_of_the_run(result: Result) -> None:
    history = evaluations.rank_history(result, "month", "out", "prefectures")
    assert history["periods"][-1] == "2026-03"
    assert [r["now"]["rank"] for r in history["rows"]] == list(range(1, 9))


def test_tables_come_as_csv_and_xlsx(client: TestClient) -> None:
    for path in ("/evaluation/places", "/evaluation/place/630100", "/evaluation/compare", "/evaluation/ranking"):
        text = client.get(f"{path}.csv").content.decode("utf-8-sig")
        sheet = load_workbook(io.BytesIO(client.get(f"{path}.xlsx").content)).active
        assert sheet.max_row == len(text.splitlines()) > 5, path
        assert client.get(f"{path}.exe").status_code == 404


def test_charts_say_what_the_tables_say(client: TestClient, result: Result) -> None:
    levels = client.get("/evaluation/charts/levels.json?period=2025").json()
    rows = evaluations.table(result, evaluate_any.assess_any(result, Period.year(2025)), "out", "place")
    rows = [r for r in rows if r["level"] != "county"]
    assert levels["series"][1]["data"] == [r["level_2"] for r in rows]
    for name in ("limits", "compare", "ranking"):
        assert client.get(f"/evaluation/charts/{name}.json").json()["series"]
