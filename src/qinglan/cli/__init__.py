"""The command line: every flow from a shell, each with a readable table and `--json`."""

from __future__ import annotations

import os

# Our matrices are small: where several processes share few cores, threads of linear algebra only wait for each
# other (training took six times the CPU). Before NumPy is imported, or it is too late; who sets it otherwise wins.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from qinglan.cli.app import main

__all__ = ["main"]
