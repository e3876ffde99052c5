"""Any CSV or Excel table, described by a mapping file (YAML).

The mapping says which column is what, in which unit, how time is written and what stands for missing
(docs/how-to/load-your-data.md). Three shapes: `long` (a column for each item), `tall` (a column that names the
item and one with the value) and `wide` (a column for each station). Keys that the mapping does not know are
errors, and all faults of a mapping are listed at once.
"""

from qinglan.connect.table.parse import LAYOUT, read, sniff

__all__ = ["LAYOUT", "read", "sniff"]
