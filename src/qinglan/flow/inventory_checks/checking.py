"""All questions to one year's inventory, frozen or as the ledgers stand now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import polars as pl

from qinglan.core.errors import NotFound
from qinglan.emission.findings import KINDS, Answers
from qinglan.emission.frames import Inventory
from qinglan.emission.top_down import Beside, Given, beside
from qinglan.emission.whole import build_all
from qinglan.flow.inventory import activities_of, open_version
from qinglan.flow.inventory_checks import questions
from qinglan.flow.inventory_checks.case import Case
from qinglan.flow.inventory_checks.given import kept
from qinglan.flow.ledgers.frames import frame_at
from qinglan.flow.memory import Memory
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import ledgers, load_ledger
from qinglan.plan.rules import document, load_book
from qinglan.store import ledgers as store

#: What stands for a version where the ledgers are asked as they are now.
DRAFT = "draft"
#: Bands of the ratio to a top-down inventory, by name, in words: choices of the option ``top_down_band``.
BANDS: Mapping[str, Mapping[str, str]] = document("tcses144").option_texts["top_down_band"]
_MOST = 4


@dataclass(frozen=True)
class Wanted:
    """What is to be checked: a version's id, or :data:`DRAFT` of a `year` (None: the newest); a band by name.

    given : a top-down inventory instead of the one that the workspace keeps.
    """

    version: str = DRAFT
    year: int | None = None
    band: str = ""
    given: Given | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Report:
    """What was asked and found.

    findings : :data:`qinglan.emission.findings.FINDINGS`. compared : things put beside something, by kind.
    lacking : (kind, why in both languages) of what could not be asked. beside : the top-down comparison, whole.
    coverage : `species, emission_t, covered_t, covered_percent` of the emergency list, of units with a line.
    """

    year: int
    version: str
    findings: pl.DataFrame
    compared: Mapping[str, int]
    lacking: tuple[tuple[str, Mapping[str, str]], ...]
    beside: Beside | None
    coverage: pl.DataFrame
    options: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Everything but the findings, ready for JSON."""
        table = self.beside
        told = None if table is None else {
            "year": table.year, "low": table.low, "high": table.high, "rows": table.rows.to_dicts(),
            "left": table.left.to_dicts(),
        }  # fmt: skip
        return {"year": self.year, "version": self.version, "checks": self.counts(), "top_down": told,
                "coverage": self.coverage.to_dicts(), "options": dict(self.options)}  # fmt: skip

    def counts(self) -> list[dict[str, Any]]:
        """By kind, in order: `kind, compared, found, lacking` (reasons)."""
        found = dict(self.findings.group_by("kind").len().iter_rows())
        return [
            {"kind": kind, "compared": self.compared.get(kind, 0), "found": found.get(kind, 0),
             "lacking": [why for name, why in self.lacking if name == kind]}
            for kind in KINDS
        ]  # fmt: skip


_cases = Memory[Case](_MOST)
_reports = Memory[Report](_MOST)


def years(workspace: Workspace) -> list[int]:
    """Years that the ledgers' live rows speak of, newest first."""
    newest = store.newest(workspace.registry)
    found: set[int] = set()
    for name in ledgers():
        ledger = load_ledger(name)
        if newest.get(name) and ledger.activity and "year" in ledger.schema:
            found |= set(frame_at(workspace, ledger, newest[name]).rows["year"].drop_nulls().unique())
    return sorted(found, reverse=True)


def check(workspace: Workspace, wanted: Wanted | None = None) -> Report:
    """Everything that can be asked of an inventory; kept in memory until a ledger or the given file changes.

    NotFound for a version that there is not, or when no ledger has rows; UnknownName for a band.
    """
    wanted = wanted or Wanted()
    own = None if wanted.given is not None else kept(workspace)
    given = wanted.given if own is None else own.given
    case = _case(workspace, wanted)
    if wanted.given is not None:
        return _asked(case, given)
    key = (*_stamp(workspace), case.version, case.year, wanted.band, own and (own.digest, own.region))
    return _reports.get(key, lambda: _asked(case, given))


def _stamp(workspace: Workspace) -> tuple[Any, ...]:
    return workspace.home, tuple(sorted(store.newest(workspace.registry).items()))


def _case(workspace: Workspace, wanted: Wanted) -> Case:
    version, year = wanted.version, _year(workspace, wanted)
    book = load_book("tcses144", date(year, 12, 31), **({"top_down_band": wanted.band} if wanted.band else {}))

    def made() -> Case:
        if version == DRAFT:
            activities = activities_of(workspace, year)
            return Case.of(workspace, DRAFT, build_all(activities), activities, year, book)
        held = open_version(workspace, version)
        built = Inventory(held.emissions, held.alternatives, held.gaps)
        return Case.of(workspace, version, built, held.activities, year, book)

    return _cases.get((*_stamp(workspace), version, year, wanted.band), made)


def _year(workspace: Workspace, wanted: Wanted) -> int:
    """The year that is asked: of the version, or of the draft (None: the newest). NotFound for none such."""
    if wanted.version != DRAFT:
        return open_version(workspace, wanted.version).version.year
    told = years(workspace)
    if not told:
        raise NotFound(
            "no ledger has rows with activity data.", remedy="Import workbooks first: qinglan ledger import."
        )
    if wanted.year is not None and wanted.year not in told:
        listed = ", ".join(map(str, told))
        raise NotFound(f"no row of a ledger is of {wanted.year}.", remedy=f"Years with rows: {listed}.")
    return told[0] if wanted.year is None else wanted.year


def _asked(case: Case, given: Given | None) -> Report:
    answers, table = Answers(), None
    if given is None:
        answers.lack("top_down", "no_top_down")
    else:
        table = beside(case.of_year, given, case.year, case.book)
        questions.top_down(case, table, answers)
    for ask in questions.EACH:
        ask(case, answers)
    return Report(
        case.year, case.version, answers.frame(), answers.compared, tuple(answers.lacking), table,
        questions.coverage(case), case.book.use().options,
    )  # fmt: skip
