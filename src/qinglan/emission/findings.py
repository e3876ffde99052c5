"""What checks of an inventory say: one finding a line, with value, expectation and what to do, in two languages.

Sentences stand in content/inventory/checks.yaml. A finding is a question to who keeps the row, never a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from typing import Any

import polars as pl

from qinglan.plan.content import read

#: Questions, in the order in which they are told.
KINDS = (
    *("top_down", "fuel_balance", "coal_quality", "cems", "limit", "permit", "statistics"),
    *("outlier", "silent", "stranger", "emergency"),
)
#: A finding: its row in a ledger (null where it is about no row), who, where, and both numbers in `unit`.
FINDINGS: dict[str, pl.DataType | type[pl.DataType]] = {
    **dict.fromkeys(("kind", "ledger", "row_key", "uscc", "name", "place", "species", "sector"), pl.String),
    "value": pl.Float64,
    "expected": pl.Float64,
    **dict.fromkeys(("unit", "zh", "en", "remedy_zh", "remedy_en"), pl.String),
}
TONGUES = ("zh", "en")
Words = Mapping[str, str]


@cache
def texts() -> Mapping[str, Any]:
    """The sentences, by kind of check."""
    found: Mapping[str, Any] = read("inventory", "checks")
    return found


def word(family: str, name: str) -> Words:
    """A word of a family (``species``, ``method``, ``item``, ``where``, ``why``, ``side``) in both languages."""
    found: Words = texts()[family].get(name, {"zh": name, "en": name})
    return found


def said(template: Words, terms: Mapping[str, Any], tongue: str) -> str:
    """A sentence; a term that is a pair of words is told in the sentence's language, a number with four digits.

    >>> said({"zh": "{a}吨", "en": "{a} t of {b}"}, {"a": 12345.678, "b": {"zh": "煤", "en": "coal"}}, "en")
    '12350 t of coal'
    """
    made = {
        name: value[tongue] if isinstance(value, Mapping) else plain(value) if isinstance(value, float) else value
        for name, value in terms.items()
    }
    return template[tongue].format(**made)


def plain(value: float) -> str:
    """Four significant digits, never with an exponent.

    >>> plain(0.000123456), plain(123456.0), plain(2.0)
    ('0.0001235', '123500', '2')
    """
    return f"{Decimal(f'{value:.4g}'):f}"


@dataclass
class Answers:
    """Findings while they are gathered, how many things each check looked at, and what it could not ask.

    compared : things that were put beside something, by kind. lacking : (kind, reason in both languages).
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    compared: dict[str, int] = field(default_factory=dict)
    lacking: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def find(self, kind: str, terms: Mapping[str, Any], **about: Any) -> None:
        """One finding: `terms` fill its sentence, `about` is what FINDINGS holds beside it."""
        text = texts()[kind]
        told = {tongue: said(text["said"], terms, tongue) for tongue in TONGUES}
        remedy = {f"remedy_{tongue}": text["remedy"][tongue] for tongue in TONGUES}
        self.rows.append({"kind": kind, **about, **told, **remedy})

    def lack(self, kind: str, reason: str, **terms: Any) -> None:
        """Say what a check could not ask, and why."""
        text = texts()["lacking"][reason]
        self.lacking.append((kind, {tongue: said(text, terms, tongue) for tongue in TONGUES}))

    def frame(self) -> pl.DataFrame:
        """All findings, in the order of KINDS."""
        order = {kind: k for k, kind in enumerate(KINDS)}
        ranked = sorted(self.rows, key=lambda row: order[row["kind"]])
        return pl.DataFrame([dict.fromkeys(FINDINGS) | row for row in ranked], schema=FINDINGS)
