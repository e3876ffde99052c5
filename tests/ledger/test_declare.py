"""Declarations of ledgers. Source: docs/design/0012-ledgers.md; the plan's list of ledgers, evidence.yaml."""

import pytest
from tests.ledger.rows import checked, raw_of

from qinglan.core.errors import ContentError, UnknownName
from qinglan.ledger.activity import activities
from qinglan.ledger.cells import fold, spellings
from qinglan.ledger.declare import code_lists, ledgers, load_ledger, parse_ledger
from qinglan.ledger.expressions import ADDED
from qinglan.ledger.faults import FAULTS
from qinglan.plan.content import read
from qinglan.plan.pack import load_plan


@pytest.mark.parametrize("name", ledgers())
def test_every_declared_ledger_fits_the_grammar(name):
    """Parses, its rules compile against its typed columns, its codes are known (all of them in the reading)."""
    ledger = load_ledger(name)
    assert set(ledger.identity) <= set(ledger.schema)
    assert not set(ADDED) & set(ledger.schema)
    assert ledger.good
    assert ledger.bad


@pytest.mark.parametrize("name", ledgers())
def test_references_of_a_ledger_lead_to_a_column_that_identifies_rows(name):
    for column in load_ledger(name).columns:
        if column.refers:
            other, _, target = column.refers.partition(".")
            assert other in ledgers(), f"{name}.{column.name} refers to {other}"
            assert target in load_ledger(other).identity or target == load_ledger(other).source


def raw():
    return read("ledgers", "boilers")


def fault_of(document):
    with pytest.raises(ContentError) as caught:
        parse_ledger("boilers", document, "boilers.yaml", code_lists())
    return "\n".join(caught.value.problems)


def test_every_fault_of_a_file_is_listed_at_once():
    document = raw()
    document["identity"] = ["nothing"]
    document["checks"][0]["holds"] = "capacity >= 'a'"
    document["checks"][1]["where"] = "fuel = 'coke_from_mars'"
    document["indicators"][0]["count"] = "SUM(capacity)"
    document["deadlines"][0]["done"] = "state = 'retired'"
    document["examples"]["bad"][0]["column"] = "colour"
    problems = fault_of(document)
    for part in (
        "identity[0]: 'nothing'",
        "checks[no_small_coal_in_built_up].holds",
        "fuel has no code 'coke_from_mars'",
        "one row",
        "No column state",
        "examples.bad[0].column: 'colour'",
    ):
        assert part in problems


@pytest.mark.parametrize(
    ("where", "value", "said"),
    [
        ("columns", {"name": "x", "zh": "甲", "en": "X", "type": "number"}, "A number has a unit"),
        ("columns", {"name": "x", "zh": "甲", "en": "X", "type": "colour"}, "Known: text"),
        ("columns", {"name": "x", "zh": "燃料", "en": "X", "type": "text"}, "Two columns have this header"),
        ("columns", {"name": "x", "zh": "甲", "en": "X", "type": "code", "codes": "nowhere"}, "no such list"),
        ("columns", {"name": "x", "zh": "甲", "en": "X", "type": "text", "pattern": "(?=a)"}, "look-around"),
        ("columns", {"name": "x", "zh": "甲", "en": "X", "type": "text", "required": "lon"}, "wanted is a truth"),
    ],
)  # fmt: skip
def test_a_bad_column_is_told(where, value, said):
    document = raw()
    document[where].append(value)
    assert said in fault_of(document)


def test_a_state_that_leads_nowhere_known_is_told():
    document = raw()
    document["states"]["moves"]["in_use"] = ["gone"]
    assert "Known: planned, in_use, idle, retired" in fault_of(document)


def test_codes_of_the_inventory_are_those_of_the_ledgers():
    fuels = read("factors", "categories")["fuels"]
    fuel = load_ledger("boilers").column("fuel")
    assert set(fuel.codes) <= set(fuels)
    assert fuel.codes["coal"].words == {"zh": fuels["coal"]["zh"], "en": fuels["coal"]["en"]}


def test_every_fault_has_words_and_a_remedy_in_both_languages():
    for fault in FAULTS.values():
        assert all(fault.words[lang] and fault.remedy[lang] for lang in ("zh", "en"))


def test_an_unknown_ledger_is_told():
    with pytest.raises(UnknownName, match="boilers"):
        load_ledger("broilers")


@pytest.mark.parametrize("name", ledgers())
def test_an_indicator_answers_a_target_that_this_ledger_judges(name):
    """Source: targets.yaml of the plan: `judged_by: ledger`, the ledger, the unit."""
    targets = {t.id: t for t in load_plan("qinghai-2024").targets}
    for indicator in load_ledger(name).indicators:
        if indicator.target:
            target = targets[indicator.target]
            assert (target.judged_by, target.ledger, target.unit) == ("ledger", name, indicator.unit)


def test_every_target_that_a_ledger_judges_has_one_indicator():
    asked = sorted(t.id for t in load_plan("qinghai-2024").targets if t.judged_by == "ledger")
    answered = sorted(i.target for name in ledgers() for i in load_ledger(name).indicators if i.target)
    assert answered == asked


@pytest.mark.parametrize("name", ledgers())
def test_every_word_of_a_choice_means_one_code(name):
    """A drop-down whose word is read as another code, or as none, would lose what a person chose."""
    for column in load_ledger(name).columns:
        known = spellings(column)
        for code, entry in column.codes.items():
            assert {known.get(fold(entry.words[lang])) for lang in ("zh", "en")} == {code}, (
                name,
                column.name,
                code,
            )


@pytest.mark.parametrize("name", [n for n in ledgers() if load_ledger(n).activity])
def test_activity_is_named_as_the_inventory_names_it(name):
    """Source: content/factors/categories.yaml. Rules with CASE give names only of rows: those of the examples."""
    ledger = load_ledger(name)
    told = activities(ledger, checked(ledger, raw_of(ledger.good, list(ledger.schema))).rows)
    categories = read("factors", "categories")
    for column, names in (("sector", "sectors"), ("fuel", "fuels"), ("technology", "technologies")):
        assert set(told[column].drop_nulls()) - {""} <= set(categories[names]), (name, column)
