"""From rows of ledgers to tonnes, and from tonnes to cells, hours and species. Pure.

Method: T/CSES 144-2024 (docs/design/0012-ledgers.md). Every result keeps the row, the factor and the equation that
it came from.

Names and numbers: `categories`, `factors`, `controls`, `units`. Tonnes of stationary sources: `frames` (what goes
in and out), `equations`, `methods`, `build`; `cems` and `stacks` (sums by monitoring). About the tonnes:
`uncertainty`, `change`, `checks`, `trace`. Law: `limits`, `tax`, `projects`.
"""
