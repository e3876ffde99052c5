"""Where emissions are: grids, shares of units in cells, and one grid's masses on another."""

from qinglan.emission.space.grid import Grid
from qinglan.emission.space.spread import Spread

__all__ = ["Grid", "Spread"]
