"""From rows of ledgers to tonnes, and from tonnes to cells, hours and species. Pure.

Method: T/CSES 144-2024 (docs/design/0012-ledgers.md). Every result keeps the row, the factor and the equation that
it came from.
"""
