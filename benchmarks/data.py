"""Data of the races: national years, made once and kept."""

from __future__ import annotations

from pathlib import Path

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
