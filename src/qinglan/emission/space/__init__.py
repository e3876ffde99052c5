"""Where emissions are: grids, shares of units in cells, and one grid's masses on another."""

from qinglan.emission.space.grid import Grid
from qinglan.emission.space.place import place_on, surrogates_of
from qinglan.emission.space.regrid import Regridding, regrid
from qinglan.emission.space.spread import Spread

__all__ = ["Grid", "Regridding", "Spread", "place_on", "regrid", "surrogates_of"]
