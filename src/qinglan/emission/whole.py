"""The whole inventory out of its parts: each activity goes to exactly one of them."""

from __future__ import annotations

import polars as pl

from qinglan.emission import area
from qinglan.emission.build import build
from qinglan.emission.frames import Inventory, joined


def build_all(
    activities: pl.DataFrame, cems: pl.DataFrame | None = None, *, weather: pl.DataFrame | None = None
) -> Inventory:
    """Emissions and gaps of all activities: area sources by :mod:`area`, all others by :func:`build.build`.

    cems : as for :func:`qinglan.emission.build.build`; weather : as for :func:`qinglan.emission.area.build`.
    What no part knows, and mobile sources until they have a part of their own, come out as gaps with a reason.
    """
    own = area.sectors()
    return joined(build(activities.filter(~own), cems=cems), area.build(activities.filter(own), weather=weather))
