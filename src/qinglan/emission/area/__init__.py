"""Area sources: dust, farms, open burning, waste, people (docs/explanation/inventory-area.md)."""

from qinglan.emission.area.build import build, sectors

__all__ = ["build", "sectors"]
