"""pandas and openpyxl: a workbook read into SQLite, and a table written as a workbook. No check of anything."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd


def take(file: str, out: str) -> dict[str, Any]:
    """Read the sheet by its machine names (row 3), numbers where they are numbers, write one table."""
    frame = pd.read_excel(file, header=2, engine="openpyxl", dtype=str)
    frame["power"] = pd.to_numeric(frame["power"], errors="coerce")
    Path(out).unlink(missing_ok=True)
    with sqlite3.connect(out) as connection:
        frame.to_sql("machines", connection, index=False)
    return {"rows": len(frame), "sum": float(frame["power"].sum())}


def give(file: str, out: str) -> dict[str, Any]:
    """The table as a workbook, row by row."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("machines")
    with sqlite3.connect(file) as connection:
        found = connection.execute("SELECT * FROM machines")
        sheet.append([part[0] for part in found.description])
        number = 0
        for row in found:
            sheet.append(row)
            number += 1
    book.save(out)
    return {"rows": number}
