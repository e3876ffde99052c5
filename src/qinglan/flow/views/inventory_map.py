"""The inventory on the map: what cells emit, and a cell's hour followed to the ledgers' rows, for pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from qinglan.access import Principal
from qinglan.emission.categories import SPECIES
from qinglan.emission.shape.factored import Factored
from qinglan.flow import inventory
from qinglan.flow.inventory import Held, Version, fields
from qinglan.flow.views.inventory import of_reader
from qinglan.flow.workspace import Workspace

Row = dict[str, Any]

#: A map leaves out cells below this share of the largest: they could not be told from the ground.
_FAINT = 1e-4
#: Cells that a map draws at most.
MOST_CELLS = 4000


@dataclass(frozen=True, slots=True)
class Gridded:
    """A frozen version in cells of one size, and one species of it."""

    held: Held
    field: Factored
    step: int  #: size of a cell [km]
    species: str
    cells: pl.DataFrame  #: of fields.cells, tonnes a year

    @property
    def year(self) -> int:
        """The inventory's year."""
        return self.held.version.year


def gridded(workspace: Workspace, version: str, species: str, step: int) -> Gridded:
    """A version ('' is the newest) in cells of `step` [km]. NotFound, UnknownName for no such choice."""
    held = inventory.open_version(workspace, version or None)
    field = fields.field_of(held, step)
    return Gridded(held, field, step, species, fields.cells(field, species))


def versions(workspace: Workspace) -> Sequence[Version]:
    """What can be chosen, newest first."""
    return inventory.versions(workspace)


def overview(found: Gridded) -> Row:
    """Tonnes inside the grid, beyond it and without a place; how many cells hold half of them."""
    tonnes = found.cells["tonnes"]
    total = float(tonnes.sum())
    lost = found.field.unplaced.filter(species=found.species)["emission_t"].sum()
    return {
        "total": total,
        "outside": float(found.field.outside_t.get(found.species, 0.0)),
        "unplaced": float(lost),
        "cells": tonnes.len(),
        "half": int((tonnes.cum_sum() < total / 2).sum()) + 1 if total else 0,
    }


def drawn(found: Gridded) -> pl.DataFrame:
    """The cells that the map shows."""
    largest = found.cells["tonnes"].max()
    return found.cells.filter(pl.col("tonnes") >= _FAINT * float(largest or 0.0)).head(MOST_CELLS)  # type: ignore[arg-type]


def features(found: Gridded, labels: Iterable[str], hrefs: Iterable[str]) -> Row:
    """GeoJSON of :func:`drawn`: outlines of cells with `strength` (0 to 1, logarithmic), `label` and `href`."""
    shown = drawn(found)
    lon, lat = found.field.grid.corners()
    tonnes = shown["tonnes"].to_numpy()
    span = np.log(tonnes.max() / tonnes.min()) if tonnes.size else 0.0
    strength = np.round(1 + 0.92 * np.log(tonnes / tonnes.max()) / span, 3) if span else np.ones(tonnes.size)
    made = []
    for (iy, ix), deep, label, href in zip(
        shown.select("iy", "ix").iter_rows(), strength.tolist(), labels, hrefs, strict=True
    ):
        ring = [
            [round(float(lon[iy + j, ix + i]), 4), round(float(lat[iy + j, ix + i]), 4)]
            for j, i in ((0, 0), (0, 1), (1, 1), (1, 0), (0, 0))
        ]
        told = {"level": 0, "strength": deep, "label": label, "href": href, "kind": "cell"}
        made.append(
            {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": told}
        )
    return {"type": "FeatureCollection", "features": made}


@dataclass(frozen=True, slots=True)
class Traced:
    """One cell in one hour.

    tonnes : of the hour, of all rows. year_t : of the year. rows : of fields.trace_cell that the reader may see,
    with `number` (of the ledger's row today; null: withdrawn since). hidden : rows of other offices, hidden_t :
    their tonnes. hours : tonnes in each hour of the day (24,).
    """

    lon: float
    lat: float
    tonnes: float
    year_t: float
    rows: pl.DataFrame
    hidden: int
    hidden_t: float
    hours: tuple[float, ...]


def traced(
    workspace: Workspace, me: Principal, found: Gridded, cell: tuple[int, int], at: tuple[date, int]
) -> Traced:
    """What a cell (iy, ix) emits in the hour that ends at a day's label (1 to 24), by row, and the day's course.

    UsageError for a cell outside the grid, or a day or hour outside the inventory's year.
    """
    number = fields.hour_of(found.year, *at)
    rows = fields.trace_cell(found.held, found.field, *cell, number, found.species)
    shown = of_reader(workspace, me, rows)
    series = found.field.cell(*cell)[SPECIES.index(found.species)]
    first = number - at[1] + 1
    lon, lat = found.field.grid.centres()
    total = float(rows["tonnes"].sum())
    return Traced(
        float(lon[cell]), float(lat[cell]), total, float(series.sum()), shown, rows.height - shown.height,
        total - float(shown["tonnes"].sum()), tuple(series[first : first + 24].tolist()),
    )  # fmt: skip
