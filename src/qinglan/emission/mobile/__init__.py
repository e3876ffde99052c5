"""Road vehicles, non-road machines, locomotives and aircraft (docs/explanation/inventory-mobile.md). Pure."""

from qinglan.emission.mobile.build import Options, build, sectors

__all__ = ["Options", "build", "sectors"]
