"""Sources of data: one package per layout, each turning a file into batches that the door can judge.

A layout package offers `LAYOUT`, `sniff` and `read` (:mod:`qinglan.core.batch`). Layouts do not import each
other; what several need lives in :mod:`qinglan.connect.reading` (bytes to text cells, lines kept),
:mod:`qinglan.connect.cells` (text cells to numbers and times) and :mod:`qinglan.connect.units`.
"""
