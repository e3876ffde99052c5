"""Serving the console on this machine."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import uvicorn

from qinglan.core.errors import UsageError
from qinglan.web.app import create_app


def loopback(host: str) -> bool:
    """Whether a host name or address means this machine only.

    >>> loopback("127.0.0.1"), loopback("::1"), loopback("0.0.0.0"), loopback("10.1.2.3")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(str(address)).is_loopback for address in found)


def serve(home: Path, host: str = "127.0.0.1", port: int = 8000, *, log_level: str = "warning") -> None:
    """Serve the console of a workspace until interrupted.

    This version knows no accounts, so it refuses any host that another machine can reach (UsageError).
    """
    if not loopback(host):
        raise UsageError(
            f"host {host!r} can be reached from other machines, and this version has no accounts.",
            remedy="Serve on 127.0.0.1 and let people reach it through an SSH tunnel.",
        )
    if not 0 < port < 65536:
        raise UsageError(f"port {port} is not in 1..65535.")
    uvicorn.run(create_app(home), host=host, port=port, log_level=log_level, server_header=False)
