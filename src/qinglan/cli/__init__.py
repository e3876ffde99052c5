"""The command line: every flow from a shell, each with a readable table and `--json`."""

from __future__ import annotations

from qinglan.cli.app import main

__all__ = ["main"]
