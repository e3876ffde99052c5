"""Every rule file has examples and every example holds.

The arithmetic here is on fractions, written from the text of the standards and apart from ``qinglan.air``, so that
the examples judge the data; the tests of ``air`` run the same examples through the table expressions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from qinglan.core.errors import RuleError
from qinglan.core.names import DAILY_ITEMS
from qinglan.core.rounding import exact, half_even, shown
from qinglan.core.rulebook import RuleBook
from qinglan.plan import content
from qinglan.plan.rules import document, editions, families, load_book

Example = Mapping[str, Any]

#: Kinds that need more than a book; the named test runs them.
ELSEWHERE = {"attain": "tests/air/test_comparators.py"}


def book_of(family: str, example: Example) -> RuleBook:
    return load_book(family, date.fromisoformat(example["on"]), **example.get("options", {}).get(family, {}))


def iaqi(book: RuleBook, item: str, period: str, value: Fraction) -> int | None:
    """HJ 633-2026 4.2.2-4.2.5: rounded, interpolated, rounded up."""
    decimals = int(load_book("gbt8170", book.on).number(f"decimals.{item}"))
    c = half_even(value, decimals)
    points = [Fraction(str(p)) for p in book.get(f"breakpoints.{item}.{period}").value]
    index = book.get("breakpoints.iaqi").value
    above = book.get(f"above_top.{item}.{period}").value
    assert above["above"] == points[-1]
    if c > points[-1]:
        return above["iaqi"]
    for i in range(1, len(points)):
        if c <= points[i]:
            return math.ceil(
                (index[i] - index[i - 1]) * (c - points[i - 1]) / (points[i] - points[i - 1]) + index[i - 1]
            )
    raise AssertionError("unreachable")


def plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def run_ask(family: str, example: Example) -> None:
    book = book_of(family, example)
    found = plain(book.get(example["ask"]).value) if book.has(example["ask"]) else None
    assert found == example["expect"]


def run_edition(family: str, example: Example) -> None:
    assert book_of(family, example).edition == example["expect"]


def run_before_first(family: str, example: Example) -> None:
    with pytest.raises(RuleError, match=re.escape(example["names"])):
        book_of(family, example)
    assert editions(family)[0].valid_from.isoformat() == example["names"]


def run_rounding(family: str, example: Example) -> None:
    decimals = int(book_of(family, example).number(f"decimals.{example['item']}"))
    assert shown(example["given"], decimals) == example["shown"]


def run_percentile(family: str, example: Example) -> None:
    book = book_of(family, example)
    assert book.get("percentile.method").value == "linear"
    span = example["given"]
    x = sorted(range(span["from"], span["to"] + 1))
    k = 1 + (len(x) - 1) * Fraction(example["p"], 100)
    s = int(k)
    m = Fraction(x[-1]) if s == len(x) else x[s - 1] + (x[s] - x[s - 1]) * (k - s)
    assert m == exact(example["expect"])


def run_iaqi(family: str, example: Example) -> None:
    book = book_of(family, example)
    for value, expected in example["points"].items():
        assert iaqi(book, example["item"], example["period"], Fraction(value)) == expected, value


def run_aqi_day(family: str, example: Example) -> None:
    book = book_of(family, example)
    parts = {item: iaqi(book, item, "day", exact(value)) for item, value in example["given"].items()}
    assert parts == example["iaqi"]
    aqi = max(value for value in parts.values() if value is not None)
    assert aqi == example["aqi"]
    level = next(r["level"] for r in book.get("levels").value if aqi <= (r["aqi_high"] or aqi))
    assert level == example["level"]
    primary = [i for i in DAILY_ITEMS if parts[i] == aqi] if aqi > book.number("primary.aqi_above") else []
    assert primary == example["primary"]


def run_composite(family: str, example: Example) -> None:
    book = book_of(family, example)
    weights = book.option("weights")
    terms = {
        item: exact(value)
        / exact(book.number(f"standard.{item}"))
        * exact(book.number(f"weight.{weights}.{item}"))
        for item, value in example["given"].items()
    }
    assert {item: shown(term, 3) for item, term in terms.items()} == {
        item: f"{term:.3f}" for item, term in example["terms"].items()
    }
    assert shown(sum(terms.values()), 3) == f"{example['expect']:.3f}"
    assert [item for item in DAILY_ITEMS if terms[item] == max(terms.values())] == example["main"]


def run_dust_hour(family: str, example: Example) -> None:
    book = book_of(family, example)
    window, hour = example["window"], example["hour"]
    assert len(window["pm10"]) == book.number("detect.window_hours")
    mean = Fraction(sum(window["pm10"]), len(window["pm10"]))
    ratio = sum(Fraction(f, c) for f, c in zip(window["pm2_5"], window["pm10"], strict=True)) / len(window["pm10"])
    jump = hour["pm10"] >= book.number("detect.start_pm10_ratio") * mean
    above = hour["pm10"] > book.number("detect.start_pm10_above")
    fall = Fraction(hour["pm2_5"], hour["pm10"]) <= exact(book.number("detect.start_ratio_share_max")) * ratio
    by_option = {
        "jump_only": jump and above,
        "jump_or_ratio": (jump and above) or fall,
        "floor_on_both": (jump or fall) and above,
    }
    assert by_option[book.option("start_test")] is example["starts"]


RUNNERS: dict[str, Callable[[str, Example], None]] = {
    "ask": run_ask,
    "edition": run_edition,
    "before_first": run_before_first,
    "rounding": run_rounding,
    "percentile": run_percentile,
    "iaqi": run_iaqi,
    "aqi_day": run_aqi_day,
    "composite": run_composite,
    "dust_hour": run_dust_hour,
}

EXAMPLES = [
    pytest.param(family, example, id=f"{family}-{i}-{example.get('ask', example.get('kind'))}")
    for family in families()
    for i, example in enumerate(document(family).examples)
]


@pytest.mark.parametrize(("family", "example"), EXAMPLES)
def test_example_holds(family: str, example: Example) -> None:
    kind = "ask" if "ask" in example else example["kind"]
    if kind in ELSEWHERE:
        return
    RUNNERS[kind](family, example)


@pytest.mark.parametrize("family", families())
def test_every_file_has_examples_that_run(family: str) -> None:
    kinds = {"ask" if "ask" in example else example["kind"] for example in document(family).examples}
    assert kinds & set(RUNNERS), f"{family} has no example that runs"
    assert kinds <= set(RUNNERS) | set(ELSEWHERE)


@pytest.mark.parametrize("family", families())
def test_every_edition_is_asked_by_an_example(family: str) -> None:
    """A text without an example could be wrong from its first day on."""
    asked = {
        load_book(family, date.fromisoformat(e["on"])).edition
        for e in document(family).examples
        if e.get("kind") != "before_first"
    }
    missing = {edition.label for edition in editions(family)} - asked
    assert not missing


#: Keys that ``docs/design/0002-contracts.md`` section 3 promises on 2025-12-31 and on 2026-03-01.
PROMISED = {
    "gb3095": [
        *[
            f"limit.{i}.{p}.class{c}"
            for i in ("so2", "no2", "pm10", "pm2_5")
            for p in ("year", "day")
            for c in (1, 2)
        ],
        *[f"limit.{i}.hour.class{c}" for i in ("so2", "no2", "co", "o3") for c in (1, 2)],
        *[f"limit.{i}.day.class{c}" for i in ("co", "mda8") for c in (1, 2)],
        "limit.pb.quarter.class2",
        "validity.day.hours_min",
        "validity.8h.hours_min",
        "validity.mda8.means_min",
        "validity.year.days_min",
        "validity.year.days_min_per_month",
        "validity.year.days_min_february",
        "reference_state.gas.temperature",
        "reference_state.gas.pressure",
        "reference_state.particle",
    ],
    "hj633": [
        "breakpoints.iaqi",
        *[f"{t}.{i}.day" for t in ("breakpoints", "above_top") for i in DAILY_ITEMS],
        *[f"{t}.{i}.hour" for t in ("breakpoints", "above_top") for i in ("so2", "no2", "co", "o3")],
        "items.daily",
        "items.hourly",
        "levels",
        "timing.hourly_lag_max",
        "primary.aqi_above",
    ],
    "hj663": [
        *[f"{t}.{i}" for t in ("percentile", "statistic") for i in DAILY_ITEMS],
        "city.stations_min_share",
        "city.few_stations",
        "city.stations_min_share_few",
        "good_day.aqi_max",
        "heavy_day.aqi_min",
        "spearman.critical",
    ],
    "ranking": [
        *[f"{t}.{i}" for t in ("item", "standard", "weight.equal") for i in DAILY_ITEMS],
        "index.decimals",
    ],
    "dust": ["detect.window_hours", "detect.start_pm10_ratio", "detect.start_pm10_above"],
    "gbt8170": [*[f"decimals.{i}" for i in DAILY_ITEMS], "decimals.exceedance_factor", "decimals.rate"],
}


@pytest.mark.parametrize("on", ["2025-12-31", "2026-03-01", "2031-01-01"])
@pytest.mark.parametrize("family", PROMISED)
def test_promised_keys_are_there(family: str, on: str) -> None:
    book = load_book(family, date.fromisoformat(on))
    assert not [key for key in PROMISED[family] if not book.has(key)]


@pytest.mark.parametrize("item", ["pm10", "pm2_5"])
def test_only_the_point_of_index_100_moved_in_2026(item: str) -> None:
    """HJ 633-2026 table 3 against HJ 633-2012 table 1."""
    old, new = (
        load_book("hj633", d).get(f"breakpoints.{item}.day").value for d in (date(2025, 1, 1), date(2026, 3, 1))
    )
    assert [i for i, (a, b) in enumerate(zip(old, new, strict=True)) if a != b] == [2]


def test_index_100_stands_at_the_class_2_limit_of_the_day() -> None:
    """The "100" of the daily index is the class-2 limit in both editions (CO, MDA8, PM); SO2 and NO2 too."""
    for on in (date(2025, 1, 1), date(2026, 3, 1)):
        air, aqi = load_book("gb3095", on), load_book("hj633", on)
        for item in DAILY_ITEMS:
            assert aqi.get(f"breakpoints.{item}.day").value[2] == air.number(f"limit.{item}.day.class2"), item


def keys_in(text: str) -> set[str]:
    """Source keys such as ``GB3095`` inside the square brackets of a text."""
    inside = re.findall(r"\[([^\]]*)\]", text)
    return {token for part in inside for token in re.findall(r"\b[A-Z][A-Z0-9]{2,}\b", part)}


@pytest.mark.parametrize("family", list(PROMISED))
def test_every_source_key_is_explained(family: str) -> None:
    known = set(content.read("sources"))
    book = document(family)
    texts = [e.source for e in book.editions] + [o.why for o in book.options.values()]
    texts += [value.source for p in book.parameters.values() for value in p.values]
    used = set().union(*map(keys_in, texts)) - NOT_KEYS
    assert used
    assert not used - known


#: Words in capitals that stand in brackets without being a key.
NOT_KEYS = {"AQI", "MDA8", "PM10"}
