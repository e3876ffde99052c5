"""`qinglan source`. Source: docs/how-to/one-identity.md; the examples of the ledgers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qinglan.flow import ledgers
from qinglan.flow.workspace import Workspace, init
from qinglan.ledger.declare import load_ledger

ENTERPRISE, GRADE = (load_ledger(n).good[0] for n in ("air-enterprises", "performance-grades"))
CODE = str(ENTERPRISE["uscc"])


def take(space: Workspace, name: str, row: dict[str, Any]) -> None:
    cells = {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in row.items() if v is not None}
    report = ledgers.import_workbook(
        space, name, pl.DataFrame([cells]).write_csv().encode(), name=f"{name}.csv", today=date(2026, 1, 5),
        me=ledgers.local_office(space, "tests"), now=datetime(2026, 1, 5, tzinfo=UTC),
    )  # fmt: skip
    assert report.aside == 0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """One enterprise whose grade two ledgers tell differently, under one name."""
    made = init(tmp_path / "home")
    take(made, "air-enterprises", dict(ENTERPRISE))
    others = [g for g in load_ledger("performance-grades").column("grade").codes if g != ENTERPRISE["grade"]]
    same = {"uscc": CODE, "enterprise": ENTERPRISE["name"], "county": ENTERPRISE["county"]}
    take(made, "performance-grades", {**GRADE, **same, "grade": others[0]})
    return made.home


def test_sources_are_listed_shown_disputed_and_decided(qinglan: Any, home: Path) -> None:
    def say(*words: object) -> Any:
        return qinglan("--home", home, "source", *words)

    listed = say("list", "--only", "open", "--json").json
    assert [(r["identity"], r["ledgers"], r["conflicts"]) for r in listed] == [
        (CODE, ["air-enterprises", "performance-grades"], 1)
    ]
    assert "共 0 条" in say("list", "--lacks", "air-enterprises").flat
    shown = say("show", CODE, "--json").json
    fact = next(f for f in shown["facts"] if f["fact"] == "grade")
    assert (fact["won"]["origin"], [v["state"] for v in fact["others"]]) == ("performance-grades", ["differs"])
    assert say("show", CODE).code == 0
    assert say("decide", CODE, "grade", "air-enterprises", "--reason", "复核", "--by", "李").code == 0
    conflict = say("conflicts", "--by", "person", "--json").json[0]
    assert (conflict["winner"], conflict["decided_by"], conflict["zh"]) == ("air-enterprises", "李", "复核")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "9163"), "no source 9163"),
        (("conflicts", "--fact", "colour"), "colour"),
        (("list", "--record", "boats"), "boats"),
        (("decide", CODE, "grade", "air-enterprises", "--reason", " "), "a decision needs a reason"),
        (("decide", CODE, "grade", "cems", "--reason", "x"), "cems"),
    ],
)
def test_a_wrong_word_is_named(qinglan: Any, home: Path, words: tuple[str, ...], said: str) -> None:
    found = qinglan("--home", home, "source", *words)
    assert found.code != 0
    assert said in found.flat
