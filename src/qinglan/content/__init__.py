"""Data in the wheel: rule books, plan packs, places, layouts. Only :mod:`qinglan.plan` reads these files."""
