"""Data of the races: national years, made once and kept."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.racing import Bench


def national(bench: Bench, stations: int, days: int) -> Path:
    """A folder with ``hours-*.parquet`` and ``register.parquet`` of an invented network."""
    from qinglan.flow.simulate import write_national

    return bench.data(f"national-{stations}x{days}", lambda folder: _write(write_national, folder, stations, days))


def _write(write, folder: Path, stations: int, days: int) -> None:  # type: ignore[no-untyped-def]
    write(folder, stations, days, seed=1)


def files(folder: str | Path) -> list[Path]:
    """The files of hours in order."""
    return sorted(Path(folder).glob("hours-*.parquet"))


def scheme(on: date, *, hourly: bool) -> dict[str, Any]:
    """Breakpoints of an index from the rule book in force on a date, as plain numbers for a peer.

    `index` the steps, `items` item to its breakpoints, `above` item to the index above the last one (or null),
    `tenths` items that are printed with one decimal.
    """
    from qinglan.air.aqi import hourly_indicators
    from qinglan.core.names import DAILY_ITEMS, quantity
    from qinglan.plan.rules import load_book

    book = load_book("hj633", on)
    asked = hourly_indicators(book) if hourly else {item: (item, "day") for item in DAILY_ITEMS}
    kinds = {item: averaging for item, (_, averaging) in asked.items()}
    return {
        "index": book.get("breakpoints.iaqi").value,
        "items": {i: book.get(f"breakpoints.{i}.{a}").value for i, a in kinds.items()},
        "above": {i: book.get(f"above_top.{i}.{a}").value["iaqi"] for i, a in kinds.items()},
        "tenths": [i for i in kinds if quantity(i).decimals == 1],
    }
