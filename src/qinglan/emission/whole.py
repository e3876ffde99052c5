"""The whole inventory out of its parts: each activity goes to exactly one of them."""

from __future__ import annotations

import polars as pl

from qinglan.emission import area, mobile
from qinglan.emission.build import build
from qinglan.emission.frames import Inventory, joined


def build_all(
    activities: pl.DataFrame, cems: pl.DataFrame | None = None, *, weather: pl.DataFrame | None = None
) -> Inventory:
    """Emissions and gaps of all activities: of mobile sources by :mod:`mobile`, of area sources by :mod:`area`.

    All others, and names that nobody knows (they become gaps), go through :func:`build.build`.

    cems : as for :func:`qinglan.emission.build.build`; weather : as for :func:`qinglan.emission.area.build`.
    """
    moving, wide = (part.sectors().fill_null(False) for part in (mobile, area))
    return joined(
        build(activities.filter(~moving & ~wide), cems=cems),
        mobile.build(activities.filter(moving)),
        area.build(activities.filter(wide), weather=weather),
    )
