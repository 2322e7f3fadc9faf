"""The playground's only protection: it answers nobody but this machine.

It binds a loopback address, and it refuses requests whose Host or Origin is not one, so that a web page in
the same browser can neither read it (DNS rebinding) nor post to it.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final
from urllib.parse import urlsplit

from flora.errors import StartupError
from flora.playground.errors import NotLoopbackError

BACKLOG: Final = 512


def check_loopback(address: str) -> str:
    """The address, if it is a loopback one. Raises NotLoopbackError otherwise."""
    try:
        if ipaddress.ip_address(address).is_loopback:
            return address
    except ValueError:
        pass
    raise NotLoopbackError(
        f"The playground binds loopback addresses only, not {address!r}.", hint="Use 127.0.0.1."
    )


def bind(address: str, port: int, setting: str) -> socket.socket:
    """A listening socket on a loopback address. Raises StartupError naming the port and its setting."""
    check_loopback(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartupError(
            f"Port {port} on {address} cannot be used by the playground: {error.strerror}.",
            hint=f"Stop what runs there, or set {setting} to another port (0 takes any).",
        ) from error
    listener.setblocking(False)
    return listener


def is_loopback_host(host: str) -> bool:
    """True for a Host header that names this machine; false for any other name that resolves to it."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    if name is None:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_loopback_origin(origin: str | None) -> bool:
    """True when there is no Origin, or it is a page of this machine."""
    if origin is None:
        return True
    return is_loopback_host(origin.partition("://")[2])
