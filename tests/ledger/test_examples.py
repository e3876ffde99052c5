"""Every declared ledger judges its own examples. Source: `examples` of each file in content/ledgers."""

import polars as pl
import pytest
from tests.ledger.rows import checked, raw_of

from qinglan.ledger.declare import ledgers, load_ledger


def marks(faults, *levels):
    return {
        row[:3] for row in faults.filter(faults["level"].is_in(levels)).select("code", "column", "check").rows()
    }


@pytest.mark.parametrize("name", ledgers())
def test_good_rows_are_taken(name):
    ledger = load_ledger(name)
    found = checked(ledger, raw_of(ledger.good, list(ledger.schema)))
    assert found.faults.filter(found.faults["level"] == "error").rows() == []
    assert (found.read, found.taken, found.aside) == (len(ledger.good), len(ledger.good), 0)


@pytest.mark.parametrize("name", ledgers())
def test_a_bad_row_gives_exactly_its_fault(name):
    ledger = load_ledger(name)
    good = checked(ledger, raw_of(ledger.good[:1], list(ledger.schema)))
    usual = marks(good.faults, "warning", "finding")
    wrong = []
    for n, bad in enumerate(ledger.bad):
        found = checked(
            ledger, raw_of([{**ledger.good[0], **bad.row}], list(ledger.schema)), existing=before(ledger, bad)
        )
        level = next((c.level for c in ledger.checks if c.id == bad.check), "error")
        stated = (bad.code, bad.column, bad.check)
        if level == "error":
            right = marks(found.faults, "error") == {stated} and (found.taken, found.aside) == (0, 1)
        else:
            new = marks(found.faults, "warning", "finding") - usual
            right = stated in new and (found.taken, found.aside) == (1, 0)
        if not right:
            wrong.append((n, bad.row, stated, found.faults.select("code", "column", "check", "value").rows()))
    assert wrong == []


def before(ledger, bad):
    """The row as it stands in the registry: the first good one with the cells of `existing`."""
    if not bad.existing:
        return None
    row = {**ledger.good[0], **bad.existing}
    standing = checked(ledger, raw_of([{**ledger.good[0]}], list(ledger.schema))).rows
    assert standing.height == 1
    typed = checked(ledger, raw_of([row], list(ledger.schema)))
    changed = typed.rows if typed.taken else standing
    return changed.with_columns(pl.lit(v).cast(changed.schema[k]).alias(k) for k, v in bad.existing.items())
