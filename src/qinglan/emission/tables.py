"""Reads the tables of content/factors: CSV with a fixed head, every fault of a file told at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib import resources

from qinglan.core.errors import ContentError
from qinglan.plan.schema import CERTAINTIES


@dataclass(slots=True)
class Table:
    """Rows of a CSV file as text, with what is wrong with them."""

    name: str
    rows: list[dict[str, str]]
    problems: list[str] = field(default_factory=list)

    def fault(self, row: Mapping[str, str], column: str, why: str) -> None:
        """Note a fault of a cell."""
        self.problems.append(f"{self.name} line {row['_line']}, {column} {row[column]!r}: {why}")

    def number(self, row: Mapping[str, str], column: str, *, low: float = 0.0, high: float = 1e9) -> float | None:
        """A number within bounds; None for an empty cell and, with a fault noted, for anything else."""
        if row[column] == "":
            return None
        try:
            value = float(row[column])
        except ValueError:
            self.fault(row, column, "write a number.")
            return None
        if not low <= value <= high:
            self.fault(row, column, f"outside {low:g}..{high:g}.")
            return None
        return value

    def among(self, row: Mapping[str, str], column: str, known: Sequence[str] | Mapping[str, object]) -> str:
        """A name of a closed list."""
        if row[column] not in known:
            self.fault(row, column, "is not a known name.")
        return row[column]

    def day(self, row: Mapping[str, str], column: str) -> date | None:
        """A date, YYYY-MM-DD."""
        try:
            return date.fromisoformat(row[column])
        except ValueError:
            self.fault(row, column, "write YYYY-MM-DD.")
            return None

    def told(self, row: Mapping[str, str]) -> None:
        """A row says where it is from and how sure that is."""
        self.among(row, "certainty", CERTAINTIES)
        if not row["source"].strip():
            self.fault(row, "source", "is empty; say where the value stands.")

    def unique(self, key: Callable[[Mapping[str, str]], object], what: str) -> None:
        """No two rows share a key."""
        seen: dict[object, str] = {}
        for row in self.rows:
            if key(row) in seen:
                self.problems.append(f"{self.name} line {row['_line']}: {what} repeats line {seen[key(row)]}.")
            seen.setdefault(key(row), row["_line"])

    def close(self) -> None:
        """Raise ContentError when something was wrong."""
        if self.problems:
            raise ContentError(f"factors/{self.name}", self.problems)


def parse_table(text: str, name: str, columns: Sequence[str]) -> Table:
    """A table from CSV text; ContentError when its head is not `columns`."""
    reader = csv.DictReader(io.StringIO(text))
    head = list(reader.fieldnames or ())
    if head != list(columns):
        raise ContentError(f"factors/{name}", [f"has columns {', '.join(head)}; wanted {', '.join(columns)}."])
    table = Table(name, [])
    for row in reader:
        if None in row or any(value is None for value in row.values()):
            table.problems.append(f"{name} line {reader.line_num}: has not {len(head)} cells.")
            continue
        table.rows.append({**{k: v.strip() for k, v in row.items()}, "_line": str(reader.line_num)})
    return table


def read_table(name: str, columns: Sequence[str]) -> Table:
    """A table of content/factors."""
    file = resources.files("qinglan.content").joinpath("factors", name)
    return parse_table(file.read_text(encoding="utf-8"), name, columns)


def headed(first: str) -> tuple[str, ...]:
    """Names of the tables of content/factors whose first column is `first`, sorted."""
    folder = resources.files("qinglan.content").joinpath("factors")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".csv")), key=lambda f: f.name)
    return tuple(f.name for f in files if f.read_text(encoding="utf-8").split(",", 1)[0] == first)
