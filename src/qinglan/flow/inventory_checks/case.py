"""One year's inventory with what it is held against: its rows with who owns them, and the ledgers' live rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from qinglan.core.rulebook import RuleBook
from qinglan.emission.frames import Inventory
from qinglan.flow.ledgers.frames import frame
from qinglan.flow.workspace import Workspace

_UNIT = ("ledger", "row_key", "activity")


@dataclass(frozen=True)
class Case:
    """A year's inventory to be questioned.

    activities : of the year, with `uscc` (credit code, null where a ledger has none). of_year : emissions of the
    year, with `uscc` and `name`. version : its id, or ``draft``.
    """

    workspace: Workspace
    year: int
    version: str
    built: Inventory
    activities: pl.DataFrame
    of_year: pl.DataFrame
    book: RuleBook
    _names: Mapping[str, tuple[str, str]]

    @classmethod
    def of(
        cls,
        workspace: Workspace,
        version: str,
        built: Inventory,
        activities: pl.DataFrame,
        year: int,
        book: RuleBook,
    ) -> Case:
        """The case of an inventory of a year; book : ``tcses144`` on its last day."""
        told = activities.rename({"enterprise": "uscc"})
        named = told.select(*_UNIT, "uscc", "name").unique(_UNIT, keep="first")
        emissions = built.emissions.filter(year=year)
        owned = emissions.join(named, on=_UNIT, how="left", nulls_equal=True, maintain_order="left")
        firms = frame(workspace, "air-enterprises").rows.select("uscc", "name", "county")
        names = {uscc: (name, county) for uscc, name, county in firms.iter_rows()}
        return cls(workspace, year, version, built, told, owned, book, names)

    def rows(self, ledger: str) -> pl.DataFrame:
        """A ledger's live rows as they are now, also where the inventory is an old version."""
        return frame(self.workspace, ledger).rows

    def names(self) -> Mapping[str, tuple[str, str]]:
        """Name and county of each enterprise of the register, by credit code."""
        return self._names
