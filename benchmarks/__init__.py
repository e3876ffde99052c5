"""Speed, measured side by side with peers: ``python -m benchmarks [name ...] [--quick]``.

Contestants of one race run in turn (A B A B), each in a fresh process, and their answers must agree. Nothing here
is a timed test: what is claimed is a ratio, in ``docs/explanation/speed.md``.
"""
