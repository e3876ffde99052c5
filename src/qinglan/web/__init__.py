"""The console: pages rendered on the server from the files of the current run."""

from qinglan.web.app import create_app
from qinglan.web.server import serve

__all__ = ["create_app", "serve"]
