"""The loader of rule books: dates, editions, options, and every fault of a file at once.

Sources: dates of force from ``docs/design/0002-contracts.md`` and the standards named in the files; the faults are
made here, one by one, in a small book.
"""

from __future__ import annotations

import copy
import pickle
from datetime import date, timedelta
from itertools import pairwise

import pytest

from qinglan.core.errors import ContentError, NotFound, RuleError, UnknownName
from qinglan.core.names import DAILY_ITEMS
from qinglan.core.rulebook import RuleBook
from qinglan.plan import content
from qinglan.plan.rules import document, editions, families, load_book, rules_on
from qinglan.plan.schema import parse_book

SUITE = ("gb3095", "hj633", "hj663", "ranking", "dust", "gbt8170", "qc")


def small() -> dict:
    """A book without fault."""
    return {
        "id": "demo",
        "title": {"zh": "示例", "en": "demo"},
        "editions": {
            "2012-01-01": {"edition": "D-2012", "source": "s", "certainty": "high"},
            "2026-03-01": {"edition": "D-2026", "source": "s", "certainty": "low", "phase": "first"},
        },
        "parameters": {
            "limit.x": {"unit": "µg/m³", "values": {"2012-01-01": {"value": 35, "source": "t1"}}},
            "breakpoints.iaqi": {"unit": "1", "values": {"2012-01-01": {"value": [0, 50, 100], "source": "t"}}},
            "breakpoints.x.day": {
                "unit": "µg/m³",
                "values": {"2012-01-01": {"value": [0, 35, 75], "source": "t"}},
            },
            "old": {
                "unit": "1",
                "values": {
                    "2012-01-01": {"value": 1, "source": "t"},
                    "2026-03-01": {"value": None, "source": "gone"},
                },
            },
        },
        "options": {"way": {"default": "a", "choices": {c: {"zh": c, "en": c} for c in "ab"}, "why": "open [D]"}},
        "examples": [{"ask": "limit.x", "on": "2012-01-01", "expect": 35}],
    }


def faults(raw: object) -> tuple[str, ...]:
    with pytest.raises(ContentError) as caught:
        parse_book("demo", raw, "standards/demo.yaml")
    return caught.value.problems


@pytest.mark.parametrize(
    ("on", "limit"),
    [
        ("2012-02-29", 35),
        ("2026-02-28", 35),
        ("2026-03-01", 30),
        ("2030-12-31", 30),
        ("2031-01-01", 25),
        ("2099-01-01", 25),
    ],
)
def test_newest_value_on_or_before_the_day_answers(on: str, limit: int) -> None:
    """PM2.5, class 2, year: 35, 30 from 2026-03-01, 25 from 2031-01-01 (GB 3095-2012, -2026 table 1)."""
    value = load_book("gb3095", date.fromisoformat(on)).get("limit.pm2_5.year.class2")
    assert (value.value, value.unit) == (limit, "µg/m³")
    assert value.valid_from <= date.fromisoformat(on)


@pytest.mark.parametrize("family", SUITE)
def test_the_day_before_the_first_edition_names_it(family: str) -> None:
    first = editions(family)[0].valid_from
    assert load_book(family, first).valid_from == first
    with pytest.raises(RuleError, match=f"holds from {first}"):
        load_book(family, first - timedelta(days=1))


@pytest.mark.parametrize("family", SUITE)
def test_editions_follow_each_other_without_gap(family: str) -> None:
    found = editions(family)
    assert [e.valid_from for e in found] == sorted({e.valid_from for e in found})
    assert len({e.label for e in found}) == len(found)
    for earlier, later in pairwise(found):
        assert earlier.valid_to == later.valid_from - timedelta(days=1)
    assert found[-1].valid_to is None


@pytest.mark.parametrize("family", SUITE)
def test_a_book_is_the_same_on_every_day_of_its_edition(family: str) -> None:
    for edition in editions(family):
        last = edition.valid_to or edition.valid_from + timedelta(days=400)
        first_day, last_day = load_book(family, edition.valid_from), load_book(family, last)
        assert first_day.edition == last_day.edition == edition.label
        assert first_day.values == last_day.values


def test_reference_state_changes_with_the_amendment_of_2018() -> None:
    """Gases 273.15 K -> 298.15 K, particles reference -> actual state, from 2018-09-01 (amendment 1)."""
    before, after = load_book("gb3095", date(2018, 8, 31)), load_book("gb3095", date(2018, 9, 1))
    assert (before.number("reference_state.gas.temperature"), before.get("reference_state.particle").value) == (
        273.15,
        "reference",
    )
    assert (after.number("reference_state.gas.temperature"), after.get("reference_state.particle").value) == (
        298.15,
        "actual",
    )
    assert before.edition != after.edition == "GB 3095-2012"


def test_a_value_begins_and_ends_with_its_edition() -> None:
    """HJ 633-2026 5.3.1 brings the rule of the incomplete day; the sliding 8 h leaves the hourly report."""
    old, new = load_book("hj633", date(2026, 2, 28)), load_book("hj633", date(2026, 3, 1))
    assert not old.has("incomplete_day.publish_above")
    assert new.number("incomplete_day.publish_above") == 100
    assert old.has("breakpoints.o3_8h.hour")
    assert not new.has("breakpoints.o3_8h.hour")
    with pytest.raises(RuleError, match=r"says nothing about 'breakpoints\.o3_8h\.hour'"):
        new.get("breakpoints.o3_8h.hour")


def test_rules_on_gathers_the_books_of_one_day() -> None:
    rules = rules_on(date(2026, 3, 1), {"dust": {"removal": "hour_removal"}, "hj663": {"area_class": "1"}})
    assert [book.book for book in rules.books()] == list(SUITE)
    assert all(book.on == date(2026, 3, 1) for book in rules.books())
    assert rules.dust.option("removal") == "hour_removal"
    assert rules.dust.option("count_as_valid") == "true"
    used = {use.book: use for use in rules.uses()}
    assert used["hj663"].options["area_class"] == "1"
    assert used["hj663"].options["city_o3_order"] == "mean_of_station_mda8"
    assert used["gb3095"].edition == "GB 3095-2026 (transition)"
    assert len({use.content_hash for use in used.values()}) == len(SUITE)


def test_the_books_answer_for_all_years_of_the_data() -> None:
    """The real data begin in 2013 (shared data README)."""
    assert rules_on(date(2013, 1, 1)).evaluation.edition.startswith("HJ 663-2013")


def test_wrong_names_are_refused_with_the_known_ones() -> None:
    on = date(2025, 1, 1)
    with pytest.raises(UnknownName, match=r"rule book 'gb9999'.*gb3095"):
        load_book("gb9999", on)
    with pytest.raises(UnknownName, match=r"option of dust 'remove'.*removal"):
        load_book("dust", on, remove="day_removal")
    with pytest.raises(UnknownName, match=r"choice of removal 'week'.*day_removal"):
        load_book("dust", on, removal="week")
    with pytest.raises(UnknownName, match="rule book of the air 'who2021'"):
        rules_on(on, {"who2021": {}})


def test_a_chosen_option_does_not_stick() -> None:
    on = date(2025, 1, 1)
    assert load_book("dust", on, removal="hour_removal").option("removal") == "hour_removal"
    assert load_book("dust", on).option("removal") == "day_removal"


def test_books_travel_to_workers() -> None:
    """A process pool or a cluster pickles its arguments."""
    book = load_book("hj633", date(2026, 3, 1))
    assert pickle.loads(pickle.dumps(book)) == book


def test_tables_in_a_book_cannot_be_changed_by_a_caller() -> None:
    points = load_book("hj633", date(2026, 3, 1)).get("breakpoints.pm2_5.day").value
    with pytest.raises(TypeError):
        points[2] = 75


def test_content_hash_follows_the_content_and_nothing_else() -> None:
    base = parse_book("demo", small(), "demo.yaml").content_hash
    reordered = dict(reversed(small().items()))
    assert parse_book("demo", reordered, "demo.yaml").content_hash == base
    changed = small()
    changed["parameters"]["limit.x"]["values"]["2012-01-01"]["value"] = 35.1
    assert parse_book("demo", changed, "demo.yaml").content_hash != base
    noted = small()
    noted["parameters"]["limit.x"]["values"]["2012-01-01"]["certainty"] = "low"
    assert parse_book("demo", noted, "demo.yaml").content_hash != base


def put(raw: dict, path: str, value: object) -> dict:
    """Set the value at a path of ``/``-joined keys; ``...`` as value deletes it."""
    *folder, last = path.split("/")
    node = raw
    for key in folder:
        node = node[key]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return raw


EDITION = {"edition": "D-2012", "source": "s", "certainty": "high"}
LIMIT = "parameters/limit.x/values/2012-01-01"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("id", "other", "id: is 'other', the file is named 'demo'"),
        ("surprise", 1, "surprise: unknown key"),
        ("options", ..., "options: is missing"),
        ("title/en", ..., "title.en: is missing"),
        ("editions/2012-01-01/certainty", "sure", "certainty: 'sure' is not one of high"),
        ("editions/2012-1-1", EDITION, "'2012-1-1' is not a date; write YYYY-MM-DD"),
        ("editions/2013-02-30", EDITION, "'2013-02-30' is not a date"),
        ("editions/2013-01-01", EDITION, "label 'D-2012' is used twice"),
        ("parameters/limit.x/unit", ..., "parameters.limit.x.unit: is missing"),
        ("parameters/limit.x/unit", "ug/m3", "'ug/m3' is not a known unit"),
        (f"{LIMIT}/source", ..., "source: is missing"),
        (f"{LIMIT}/source", " ", "source: must be text"),
        (f"{LIMIT}/value", ..., "value: is missing"),
        (f"{LIMIT}/sauce", "x", "sauce: unknown key"),
        (f"{LIMIT}/value", None, "begins with a withdrawal"),
        ("parameters/limit.x/values", {}, "must be a non-empty mapping"),
        ("parameters/limit.x/values/2014-01-01", {"value": 1, "source": "s"}, "values change with an edition"),
        ("parameters/Limit.X", {"unit": "1", "values": {}}, "a key is lower-case words joined by dots"),
        ("parameters/breakpoints.x.day/values/2012-01-01/value", [0, 35, 35], "breakpoints do not rise"),
        ("parameters/breakpoints.x.day/values/2012-01-01/value", [0, 75, 35], "breakpoints do not rise"),
        ("parameters/breakpoints.x.day/values/2012-01-01/value", [0, "35"], "must be a list of numbers"),
        (
            "parameters/breakpoints.x.day/values/2012-01-01/value",
            [0, 1, 2, 3],
            "has 4 points, breakpoints.iaqi has 3",
        ),
        ("options/way/default", "c", "'c' is not among a, b"),
        ("options/way/why", ..., "options.way.why: is missing"),
        ("options/way/choices", {"a": {"zh": "a", "en": "a"}}, "at least two choices"),
        ("options/way/choices/b", {"zh": "b"}, "choices.b.en: is missing"),
        ("options/way/choices", {True: {"zh": "a", "en": "a"}, "a": {"zh": "b", "en": "b"}}, "quote true, false"),
        ("examples", [], "examples: must be a non-empty list"),
        ("examples", [{"ask": "limit.y", "on": "2012-01-01", "expect": 1}], "'limit.y' is not a parameter"),
        ("examples", [{"on": "2012-01-01"}], "has either `ask`"),
        ("examples", [{"kind": "iaqi", "on": "yesterday"}], "'yesterday' is not a date"),
    ],
)
def test_each_fault_is_named(path: str, value: object, message: str) -> None:
    parse_book("demo", small(), "demo.yaml")
    found = faults(put(small(), path, value))
    assert any(message in problem for problem in found), found


def test_all_faults_are_listed_at_once() -> None:
    raw = small()
    put(raw, "options/way/default", "c")
    put(raw, f"{LIMIT}/source", ...)
    put(raw, "surprise", 1)
    put(raw, "parameters/breakpoints.x.day/values/2012-01-01/value", [5, 1])
    assert len(faults(raw)) == 4


@pytest.mark.parametrize("raw", [None, [], "text", 5, {}])
def test_a_file_that_is_no_book_is_a_content_error(raw: object) -> None:
    assert faults(raw)


def test_yaml_traps_stay_text() -> None:
    """YAML 1.1 would read a bool, 750 minutes, a date, an octal, a float of a version."""
    text = "{a: no, b: 12:30, c: 2026-03-01, d: 010, e: 1_000, f: on, g: .5, h: '35', i: -3, j: 1.5e3}"
    assert content.parse(text, "t") == {
        "a": "no",
        "b": "12:30",
        "c": "2026-03-01",
        "d": "010",
        "e": "1_000",
        "f": "on",
        "g": ".5",
        "h": "35",
        "i": -3,
        "j": 1500.0,
    }


def test_a_repeated_key_is_a_fault() -> None:
    with pytest.raises(ContentError, match=r"line 3: key 'a' is repeated"):
        content.parse("a: 1\nb: 2\na: 3\n", "t.yaml")


def test_broken_yaml_is_a_content_error() -> None:
    with pytest.raises(ContentError, match=r"t\.yaml.*\n.*not valid YAML"):
        content.parse("a: [1, 2", "t.yaml")
    with pytest.raises(ContentError, match="not valid YAML"):
        content.parse("a: !!python/object/apply:os.getcwd []", "t.yaml")


def test_a_missing_file_names_its_neighbours() -> None:
    with pytest.raises(NotFound, match=r"standards/gb1\.yaml does not exist.*gb3095"):
        content.read("standards", "gb1")


def test_every_family_loads_and_every_parameter_answers_in_some_edition() -> None:
    assert set(SUITE) <= set(families())
    for family in families():
        answered: set[str] = set()
        for edition in editions(family):
            answered |= set(load_book(family, edition.valid_from).values)
        assert answered == set(document(family).parameters), family


def test_numbers_of_a_book_are_numbers() -> None:
    book = load_book("gb3095", date(2025, 1, 1))
    with pytest.raises(RuleError, match="not a number"):
        book.number("reference_state.particle")
    assert isinstance(book, RuleBook)


def test_ranking_standards_are_the_class_2_limits_of_the_day() -> None:
    """Si: annual class-2 limits, for CO and ozone those of the day (fact sheet 4). Two files, one truth."""
    for edition in editions("ranking"):
        rank, air = load_book("ranking", edition.valid_from), load_book("gb3095", edition.valid_from)
        for item in DAILY_ITEMS:
            span = "day" if item in ("co", "mda8") else "year"
            assert rank.number(f"standard.{item}") == air.number(f"limit.{item}.{span}.class2"), (edition, item)


def test_levels_cover_the_index_once() -> None:
    """Six levels, each beginning where the one below ends (HJ 633 annex A)."""
    for on in (date(2025, 1, 1), date(2026, 3, 1)):
        levels = load_book("hj633", on).get("levels").value
        assert [row["level"] for row in levels] == [1, 2, 3, 4, 5, 6]
        for low, high in pairwise(levels):
            assert high["aqi_low"] == low["aqi_high"] + 1
        assert levels[-1]["aqi_high"] is None
        for row in levels:
            texts = [row[f"{part}_{tongue}"] for part in ("health", "advice") for tongue in ("zh", "en")]
            assert all(texts)
            assert len(row["rgb"]) == 3


def test_a_class_1_limit_never_exceeds_class_2_and_limits_never_loosen() -> None:
    """GB 3095 tables 1 and 2: a transcription slip would break one of the two orders."""
    keys = [k for k in document("gb3095").parameters if k.startswith("limit.")]
    dates = [edition.valid_from for edition in editions("gb3095")]
    for key in keys:
        run = [load_book("gb3095", on).number(key) for on in dates]
        assert run == sorted(run, reverse=True), key
        if key.endswith(".class1"):
            twin = key.replace(".class1", ".class2")
            assert all(load_book("gb3095", on).number(key) <= load_book("gb3095", on).number(twin) for on in dates)


def test_small_book_is_not_changed_by_reading() -> None:
    raw = small()
    kept = copy.deepcopy(raw)
    parse_book("demo", raw, "demo.yaml")
    assert raw == kept
