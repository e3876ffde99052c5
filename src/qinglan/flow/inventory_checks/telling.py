"""How questions tell what they found: numbers that may be missing, how far apart, whose row it is."""

from __future__ import annotations

from typing import Any

from qinglan.emission.findings import Words, plain, word
from qinglan.flow.inventory_checks.case import Case
from qinglan.ledger.declare import load_ledger

#: More percent than this are told as times.
_MUCH = 200
#: What a finding about a row keeps of it.
ROW = ("ledger", "row_key", "uscc", "name", "place")


def known(value: float | None) -> str | Words:
    """Tonnes, or the word for none."""
    return word("side", "none") if value is None else f"{plain(value)} t"


def apart(percent: float | None) -> Words:
    """How far two sides are apart, or that one has nothing.

    >>> apart(-50.0)["en"], apart(900.0)["en"], apart(None)["en"]
    ('-50 % apart', '10 times', 'on one side only')
    """
    if percent is None:
        return word("side", "one")
    if percent > _MUCH:
        times, said = plain(1 + percent / 100), word("side", "times")
        return {"zh": f"{times}{said['zh']}", "en": f"{times} {said['en']}"}
    said = word("side", "apart")
    return {"zh": f"{said['zh']}{percent:+.0f}%", "en": f"{percent:+.0f} % {said['en']}"}


def about(case: Case, row: dict[str, Any]) -> dict[str, Any]:
    """What a finding keeps of a row, with its name behind that of its enterprise."""
    firm = case.names().get(row["uscc"] or "", ("", ""))[0]
    own = row["name"] or row["row_key"]
    return {k: row[k] for k in ROW} | {"name": own if firm in ("", own) else f"{firm} {own}"}


def title(ledger: str) -> dict[str, str]:
    """A ledger's title in both languages."""
    words = load_ledger(ledger).title
    return {tongue: words[tongue] for tongue in ("zh", "en")}
