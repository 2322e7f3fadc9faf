"""Connections for scripts: a name is resolved here, and only a permitted address of it is connected to.

TLS asks for the certificate of the name, not of the address. Resolution runs in threads of its own pool: a
name server that never answers holds up scripts, never flora's own threads.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from flora.net.connector import CONNECT_DEADLINE, ConnectError, Connector, Endpoint
from flora.net.egress import Address, EgressDeniedError, Policy

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""A name (ASCII, no final dot) and a port -> addresses as text, the best first. Raises OSError."""

RESOLVER_THREADS: Final = 64
ATTEMPT_SECS: Final = 3.0
"""For one address while there are others: SYN and one retransmission."""
_PROBE_PORT: Final = 9  # discard; nothing is sent to it


class GuardedConnector(Connector):
    """A Connector whose connections the policy permits. Raises EgressDeniedError besides ConnectErrors."""

    def __init__(
        self,
        policy: Policy,
        *,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        deadline: float = CONNECT_DEADLINE,
    ) -> None:
        super().__init__(ssl_context=ssl_context, deadline=deadline)
        self._policy = policy
        self._resolve = resolver or SystemResolver()

    async def _open(self, endpoint: Endpoint) -> trio.SocketStream:
        addresses = await self._addresses(endpoint)
        refused: OSError | None = None
        for index, address in enumerate(addresses):
            patience = ATTEMPT_SECS if index + 1 < len(addresses) else float("inf")
            with trio.move_on_after(patience):
                try:
                    return await _connect(address, endpoint.port)
                except OSError as error:
                    refused = error
        raise ConnectError(f"cannot connect to {endpoint}: {refused or 'no answer'}.")

    async def _addresses(self, endpoint: Endpoint) -> list[Address]:
        """The permitted addresses of the host."""
        try:
            found: list[Address] = [ipaddress.ip_address(endpoint.host)]
        except ValueError:
            found = await self._look_up(endpoint)
        permitted = [address for address in found if self._permits(address)]
        if not permitted:
            raise EgressDeniedError(f"{endpoint.host} has no public address.")
        return permitted

    async def _look_up(self, endpoint: Endpoint) -> list[Address]:
        try:
            texts = await self._resolve(endpoint.host, endpoint.port)
            return list(dict.fromkeys(ipaddress.ip_address(text) for text in texts))
        except (OSError, UnicodeError, ValueError) as error:
            raise ConnectError(f"the name {endpoint.host} cannot be resolved.") from error

    def _permits(self, address: Address) -> bool:
        if self._policy.excepts(address):
            return True
        return self._policy.permits(address) and not is_own(address)


class SystemResolver:
    """getaddrinfo(3), in threads that are abandoned when the caller has waited long enough."""

    def __init__(self) -> None:
        self._threads = trio.CapacityLimiter(RESOLVER_THREADS)

    async def __call__(self, host: str, port: int) -> list[str]:
        def look_up() -> list[str]:
            # The final dot keeps the machine's search domains out of it.
            found = socket.getaddrinfo(f"{host}.", port, type=socket.SOCK_STREAM)
            return [str(entry[4][0]) for entry in found]

        return await trio.to_thread.run_sync(look_up, abandon_on_cancel=True, limiter=self._threads)


def is_own(address: Address) -> bool:
    """Whether `address` belongs to this machine: the way to it then begins at it. Sends nothing."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), _PROBE_PORT))
            return bool(ipaddress.ip_address(probe.getsockname()[0]) == address)
    except OSError:
        return False  # no way there at all, which the connection will find out


async def _connect(address: Address, port: int) -> trio.SocketStream:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        await sock.connect((str(address), port))
        return trio.SocketStream(sock)
    except BaseException:
        sock.close()
        raise
