"""The console: pages rendered on the server from the files of the current run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qinglan.web.app import create_app
    from qinglan.web.server import serve

__all__ = ["create_app", "serve"]


def __getattr__(name: str) -> Any:
    """The two are imported when they are asked for: whoever only starts workers needs no application himself."""
    if name == "create_app":
        from qinglan.web.app import create_app

        return create_app
    if name == "serve":
        from qinglan.web.server import serve

        return serve
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
