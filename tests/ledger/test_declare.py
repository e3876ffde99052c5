"""Declarations of ledgers. Source: docs/design/0012-ledgers.md; the plan's list of ledgers, evidence.yaml."""

import pytest

from qinglan.core.errors import ContentError, UnknownName
from qinglan.ledger.declare import code_lists, ledgers, load_ledger, parse_ledger
from qinglan.ledger.expressions import ADDED
from qinglan.ledger.faults import FAULTS
from qinglan.plan.content import read


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
