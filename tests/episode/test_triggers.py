"""Warning levels against worked sequences. Sources: levels of 2018 and 2024 as in the fact sheet, section 6.1.

Each row of the table is a sequence written by hand with the level that the text asks for, clause and edge by edge.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from qinglan.core.errors import LayoutError
from qinglan.episode.triggers import SERIES, evaluate, propose, together
from qinglan.plan.rules import load_book

#: 18:00 of Beijing: every sequence crosses midnight.
START = datetime(2025, 1, 10, 10, tzinfo=UTC)
OLD, NEW = date(2023, 11, 30), date(2025, 1, 10)
HOURLY = {"basis": "hourly"}
WHOLE = {**HOURLY, "joined": "whole"}
BRIDGED = {**HOURLY, "gap": "bridged"}


def series(*parts: tuple[float | None, int], step: int = 1, observed: int = 0, **flags: bool) -> pl.DataFrame:
    """AQI for so many hours, one part after the other; `step` 24 makes days of them."""
    rows, at = [], START
    for value, hours in parts:
        for _ in range(hours // step):
            row = {"start": at, "hours": step, "aqi": value, "observed": len(rows) < observed}
            rows.append({**row, "dust": flags.get("dust", False), "ozone": flags.get("ozone", False)})
            at += timedelta(hours=step)
    return pl.DataFrame(rows, schema=SERIES)


#: What the sequence is, on which day it is asked, options, and the level.
TABLE: list[tuple[str, list[tuple[float | None, int]], date, dict[str, str], str]] = [
    # 2024, each clause at its edge.
    ("24 h above 200", [(201, 24)], NEW, {}, "yellow"),
    ("23 h above 200", [(201, 23)], NEW, {}, "none"),
    ("exactly 200 for 24 h", [(200, 24)], NEW, {}, "none"),
    ("exactly 200 for 48 h is above 150", [(200, 48)], NEW, {}, "yellow"),
    ("48 h above 150", [(151, 48)], NEW, {}, "yellow"),
    ("47 h above 150", [(151, 47)], NEW, {}, "none"),
    ("exactly 150 for 48 h", [(150, 48)], NEW, {}, "none"),
    ("48 h above 200", [(201, 48)], NEW, {}, "orange"),
    ("47 h above 200 is one whole day of it", [(201, 47)], NEW, {}, "yellow"),
    ("72 h above 150", [(151, 72)], NEW, {}, "orange"),
    ("72 h above 200, 24 of them above 300", [(201, 48), (301, 24)], NEW, {}, "red"),
    ("72 h above 200, red at AQI exactly 300", [(201, 48), (300, 24)], NEW, {}, "orange"),
    ("71 h above 200, 24 above 300", [(201, 47), (301, 24)], NEW, HOURLY, "orange"),
    ("24 h above 300 alone", [(301, 24)], NEW, {}, "yellow"),
    ("above 300 in another episode", [(301, 24), (80, 48), (201, 72)], NEW, {}, "orange"),
    ("AQI of 500 for an hour, new text", [(500, 1), (90, 23)], NEW, {}, "none"),
    # 2018.
    ("48 h above 200, old text", [(201, 48)], OLD, {}, "yellow"),
    ("47 h above 200, old text", [(201, 47)], OLD, HOURLY, "none"),
    ("a long time above 150, old text", [(199, 200)], OLD, {}, "none"),
    ("72 h above 200, old text", [(201, 72)], OLD, {}, "orange"),
    ("96 h above 200 without 300, old text", [(201, 96)], OLD, {}, "orange"),
    ("96 h above 200, 48 above 300, old text", [(201, 48), (301, 48)], OLD, {}, "red"),
    ("96 h above 200, 47 above 300, old text", [(201, 49), (301, 47)], OLD, HOURLY, "orange"),
    ("AQI of 500 for an hour, old text", [(500, 1), (90, 23)], OLD, {}, "red"),
    ("AQI of 499 for an hour, old text", [(499, 1), (90, 23)], OLD, {}, "none"),
    # How hours count.
    ("one hour of 200 among 24, by means", [(230, 12), (200, 1), (230, 11)], NEW, {}, "yellow"),
    ("one hour of 200 among 24, hour by hour", [(230, 12), (200, 1), (230, 11)], NEW, HOURLY, "none"),
    ("one hour missing, by means", [(230, 12), (None, 1), (230, 11)], NEW, {}, "yellow"),
    ("five hours missing, by means", [(230, 12), (None, 5), (230, 7)], NEW, {}, "none"),
    ("one hour missing, hour by hour", [(230, 12), (None, 1), (230, 11)], NEW, HOURLY, "none"),
    ("one hour missing, bridged", [(230, 12), (None, 1), (230, 11)], NEW, BRIDGED, "yellow"),
    ("two hours missing are not bridged", [(230, 12), (None, 2), (230, 10)], NEW, BRIDGED, "none"),
    # Two episodes.
    ("a day apart, not cleared", [(210, 24), (120, 24), (210, 24)], NEW, HOURLY, "orange"),
    ("cleared for an hour", [(210, 24), (120, 12), (100, 1), (120, 11), (210, 24)], NEW, HOURLY, "yellow"),
    ("36 h apart", [(210, 24), (120, 36), (210, 24)], NEW, HOURLY, "yellow"),
    ("35 h apart", [(210, 24), (120, 35), (210, 24)], NEW, HOURLY, "orange"),
    ("hours between count", [(210, 24), (120, 24), (210, 24), (310, 24)], NEW, WHOLE, "red"),
    ("hours between do not", [(210, 24), (120, 24), (210, 12), (310, 24)], NEW, HOURLY, "orange"),
    ("short spells are no episodes", [(210, 12), (120, 1), (210, 12)], NEW, HOURLY, "none"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "parts", "day", "options", "level"), TABLE, ids=[row[0] for row in TABLE])
def test_a_sequence_asks_for_its_level(
    name: str, parts: list[tuple[float | None, int]], day: date, options: dict[str, str], level: str
) -> None:
    assert evaluate(series(*parts), load_book("heavy_pollution", day, **options)).level == level


def test_the_day_on_which_the_text_changes() -> None:
    two_days = series((160, 48))
    levels = [
        evaluate(two_days, load_book("heavy_pollution", d)).level for d in (date(2023, 12, 31), date(2024, 1, 1))
    ]
    assert levels == ["none", "yellow"]


def test_days_are_never_cut() -> None:
    """Of a day only its mean is known: no window may begin inside it."""
    book = load_book("heavy_pollution", NEW)
    assert evaluate(series((210, 24), (100, 24), step=24), book).level == "yellow"
    hours = evaluate(series((390, 12), (100, 12), (50, 24)), book)
    assert hours.level == "yellow", "24 h with the mean 245"
    assert evaluate(series((190, 24), (215, 24), (90, 24), step=24), book).level == "yellow"


@pytest.mark.parametrize("flag", ["dust", "ozone"])
def test_what_is_left_out_counts_only_where_the_option_says_so(flag: str) -> None:
    given = series((320, 72), **{flag: True})
    found = evaluate(given, load_book("heavy_pollution", NEW))
    assert (found.level, found.left_out) == ("none", 72)
    assert evaluate(given, load_book("heavy_pollution", NEW, **{flag: "counted"})).level == "red"


def test_what_lacks_is_told() -> None:
    found = evaluate(series((160, 47)), load_book("heavy_pollution", NEW, **HOURLY))
    told = {(f.level, f.clause): (f.holds, f.has, f.asks) for f in found.findings}
    assert told["yellow", ">150/48h"] == (False, 47, 48)
    assert told["orange", ">150/72h"] == (False, 47, 72)
    assert told["red", ">200/72h + >300/24h"] == (False, 0, 72)


def test_observation_and_forecast_run_on_into_each_other() -> None:
    found = evaluate(series((210, 48), observed=20), load_book("heavy_pollution", NEW))
    assert (found.level, found.start, found.end) == ("orange", START, START + timedelta(hours=48))
    assert {f.basis for f in found.findings if f.holds} == {"both"}


def test_a_place_may_have_levels_of_its_own() -> None:
    own = {"yellow": [[{"above": 120, "hours": 24}]]}
    assert evaluate(series((130, 24)), load_book("heavy_pollution", NEW), own).level == "yellow"


def act(given: pl.DataFrame, hours: int, current: str, **options: str) -> tuple[str, str]:
    book = load_book("heavy_pollution", NEW, **options)
    found = propose(given, START + timedelta(hours=hours), current, book, notice=24)
    return found.act, found.level


def test_what_is_proposed_as_the_forecast_is_revised() -> None:
    """Issued, raised, kept, lowered and lifted; the notice of 24 h before the start."""
    book = load_book("heavy_pollution", NEW)
    first = propose(series((80, 30), (210, 24), (80, 40)), START, "none", book, notice=24)
    # The 24 h whose mean is above 200 begin an hour before the air is: (80 + 23 x 210) / 24 = 204.6.
    assert (first.act, first.level, first.urgent, first.notice) == ("issue", "yellow", False, 29.0)
    near = propose(series((80, 23), (210, 24), (80, 40)), START, "none", book, notice=24)
    assert (near.act, near.urgent) == ("issue", True)
    assert act(series((80, 30), (210, 48), (80, 40)), 0, "yellow") == ("upgrade", "orange")
    assert act(series((210, 48), (80, 40)), 12, "orange") == ("keep", "orange")
    assert act(series((210, 48), (160, 60)), 48, "orange") == ("keep", "orange"), "above 150 for 108 h by now"
    red = ((310, 24), (210, 48))
    assert act(series(*red, (160, 60)), 48, "red") == ("keep", "red")
    assert act(series(*red, (160, 60)), 73, "red") == ("downgrade", "orange")
    assert act(series(*red, (160, 30)), 73, "red") == ("keep", "red"), "only 29 h are known"
    assert act(series(*red, (90, 40)), 73, "red") == ("lift", "none")
    assert act(series((210, 48), (80, 36)), 48, "orange") == ("lift", "none")
    assert act(series((210, 48), (80, 35)), 48, "orange") == ("keep", "orange"), "36 h are asked"
    assert act(series((210, 48), (80, 20), (151, 1), (80, 15)), 48, "orange") == ("keep", "orange")
    assert act(series((210, 24), (90, 60)), 40, "none") == ("none", "none"), "what is over asks for nothing"


def test_partners_respond_together() -> None:
    levels = {"630100": "red", "630200": "none", "632800": "yellow"}
    groups = [["630100", "630200"]]
    assert together(levels, groups, "same") == {**levels, "630200": "red"}
    assert together(levels, groups, "own") == levels


def test_a_bad_series_is_refused_with_its_place() -> None:
    book = load_book("heavy_pollution", NEW)
    with pytest.raises(LayoutError, match="lacks dust"):
        evaluate(series((80, 24)).drop("dust"), book)
    twice = pl.concat([series((80, 24), step=24), series((80, 3))])
    with pytest.raises(LayoutError, match="overlap"):
        evaluate(twice, book)
    assert evaluate(series(), book).level == "none"
