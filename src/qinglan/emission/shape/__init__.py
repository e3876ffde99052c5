"""When, as what and how high a year's tonnes are emitted, and the hourly field that follows from it (pure).

The field is E[species, layer, cell, hour] = sum over groups of M x T x V x S; it is kept as its factors and
never written out whole (docs/explanation/inventory-shape.md).
"""
