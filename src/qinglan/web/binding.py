"""Where the console may listen: this machine always; elsewhere with TLS or behind a proxy, and with accounts."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qinglan.core.errors import UsageError

LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Binding:
    """A place to listen that was found safe.

    proxies : addresses whose ``X-Forwarded-*`` headers count. names : host names that we answer to.
    local : only this machine can reach us.
    """

    host: str
    port: int
    certfile: str = ""
    keyfile: str = ""
    proxies: tuple[str, ...] = ()
    names: tuple[str, ...] = LOCAL_NAMES
    local: bool = True

    @property
    def origin(self) -> str:
        """Address to show."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certfile else 'http'}://{host}:{self.port}"

    def server_options(self) -> dict[str, Any]:
        """What uvicorn is told: host, port, certificate, and whose forwarded headers to believe (nobody's)."""
        told: dict[str, Any] = {"host": self.host, "port": self.port, "server_header": False}
        if self.certfile:
            told |= {"ssl_certfile": self.certfile, "ssl_keyfile": self.keyfile}
        return told | {"proxy_headers": bool(self.proxies), "forwarded_allow_ips": list(self.proxies)}


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


def check_binding(
    host: str,
    port: int,
    *,
    certfile: str = "",
    keyfile: str = "",
    behind_proxy: tuple[str, ...] = (),
    host_names: tuple[str, ...] = (),
    administrator: bool = False,
) -> Binding:
    """A binding, or UsageError with what is missing.

    behind_proxy : addresses (or networks) of the proxies in front of us, which end TLS. administrator : whether
    somebody can manage accounts.
    """
    if not 0 < port < 65536:
        raise UsageError(f"port {port} is not in 1..65535.")
    if bool(certfile) != bool(keyfile):
        raise UsageError("a certificate needs its key.", remedy="Give both --certfile and --keyfile.")
    for path in filter(None, (certfile, keyfile)):
        if not Path(path).is_file():
            raise UsageError(f"{path!r} is not a file.")
    for address in behind_proxy:
        _check_proxy(address)
    local = loopback(host) and not behind_proxy
    if not local:
        _check_exposed(host, bool(certfile), bool(behind_proxy), bool(host_names), administrator)
    names = tuple(dict.fromkeys((*LOCAL_NAMES, *(name.strip("[]").lower() for name in host_names))))
    return Binding(host, port, certfile, keyfile, tuple(behind_proxy), names, local)


def _check_proxy(address: str) -> None:
    try:
        network = ipaddress.ip_network(address, strict=False)
    except ValueError as cause:
        raise UsageError(
            f"{address!r} is not the address of a proxy.", remedy="Write its IP address, such as 10.0.0.5."
        ) from cause
    if network.prefixlen == 0:
        raise UsageError("every machine would count as the proxy.", remedy="Write the proxy's own address.")


def _check_exposed(host: str, tls: bool, proxied: bool, named: bool, administrator: bool) -> None:
    if not (tls or proxied):
        raise UsageError(
            f"host {host!r} can be reached from other machines, and there is neither TLS nor a trusted proxy.",
            remedy="Give --certfile and --keyfile, or --behind-proxy ADDRESS; or serve on 127.0.0.1.",
        )
    if not administrator:
        raise UsageError(
            f"host {host!r} can be reached from other machines, and there is no administrator.",
            remedy="First make one: `qinglan user add NAME --role administrator`.",
        )
    if not named:
        raise UsageError(
            "the name by which people reach the console is not known.",
            remedy="Give --host-name NAME (repeatable).",
        )
