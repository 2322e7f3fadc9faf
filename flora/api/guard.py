"""What stands before every route: whose address it is, how often it may ask, and the audit log's entry."""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from quart import g, request

from flora.api.auth import SAFE_METHODS, Identity
from flora.api.buckets import Buckets, RateLimits
from flora.errors import FloraError, StartupError
from flora.storage.audit import NewAuditEntry

AUTH_PREFIX: Final = "/auth/"
ABANDONED: Final = 499
"""The status of an audit entry whose client left before it was answered (nginx' number for it)."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TooManyRequestsError(FloraError):
    """`retry_after` is in whole seconds."""

    code = "RATE_LIMITED"

    def __init__(self, seconds: float) -> None:
        self.retry_after = max(1, math.ceil(seconds))
        super().__init__("too many requests.", hint=f"Try again in {self.retry_after} s.")


class Rates:
    """The buckets of one application."""

    def __init__(self, limits: RateLimits, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._auth = Buckets(limits.auth)
        self._stranger = Buckets(limits.stranger)
        self._write = Buckets(limits.write)
        self._operator_write = Buckets(limits.operator_write)
        self._address_write = Buckets(limits.address_write)
        self._clock = clock

    def request(self, address: str, *, auth: bool, write: bool) -> None:
        """A request comes in. Raises TooManyRequestsError."""
        if auth:
            self._take(self._auth, address)
        elif write:
            self._take(self._address_write, address)

    def before_identification(self, address: str) -> None:
        """An address that has guessed too often is not listened to for a while. Raises
        TooManyRequestsError.
        """
        if (seconds := self._stranger.wait(address, self._clock())) > 0:
            raise TooManyRequestsError(seconds)

    def stranger(self, address: str) -> None:
        """What it sent is no identity."""
        self._stranger.take(address, self._clock())

    def identified_write(self, identity: Identity) -> None:
        """Raises TooManyRequestsError."""
        self._take(self._operator_write if identity.kind == "operator" else self._write, identity.key)

    def _take(self, buckets: Buckets, key: str) -> None:
        if (seconds := buckets.take(key, self._clock())) > 0:
            raise TooManyRequestsError(seconds)


class Guard:
    """Of one request; `g.guard`."""

    def __init__(self, rates: Rates, address: str) -> None:
        self._rates = rates
        self.address = address

    def open(self) -> None:
        """Raises TooManyRequestsError."""
        auth = request.path.startswith(AUTH_PREFIX)
        self._rates.request(self.address, auth=auth, write=request.method not in SAFE_METHODS)

    def before_identification(self) -> None:
        self._rates.before_identification(self.address)

    def count_stranger(self) -> None:
        if "Authorization" in request.headers or "Cookie" in request.headers:
            self._rates.stranger(self.address)

    def count_write(self, identity: Identity) -> None:
        self._rates.identified_write(identity)

    def entry(self, status: int) -> NewAuditEntry | None:
        """What the audit log says of this request; None when it has nothing to say."""
        identity: Identity | None = g.get("identity")
        if not g.get("audited") or identity is None:
            return None
        token = identity.token
        return NewAuditEntry(
            kind=identity.kind,
            user_id=identity.user_id,
            username=identity.username,
            token_id=None if token is None else token.id,
            address=self.address,
            request_id=g.request_id,
            guild_id=g.get("guild_id"),
            action=request.endpoint or "",
            method=request.method,
            path=request.path,
            status=status,
        )

    def note_abandoned(self) -> None:
        if (entry := self.entry(ABANDONED)) is not None:
            g.services.audit.note(entry)


def parse_networks(text: str) -> tuple[Network, ...]:
    """Addresses and networks divided by commas. Raises StartupError."""
    try:
        return tuple(
            ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()
        )
    except ValueError as error:
        raise StartupError(f"api.trusted_proxies: {error}.", exit_code=2) from None


def client_address(peer: str | None, forwarded: str | None, trusted: Sequence[Network]) -> str:
    """Where a request comes from: its peer, or behind trusted proxies the last address that is not one.

    `forwarded` is the X-Forwarded-For header, which anybody may send: it is believed from the right, as far
    as proxies of ours wrote it.
    """
    address = peer or "unknown"
    hops = [hop.strip() for hop in (forwarded or "").split(",") if hop.strip()]
    while hops and _is_in(address, trusted):
        hop = hops.pop()
        if _parsed(hop) is None:
            break
        address = hop
    return address


def is_loopback(*addresses: str | None) -> bool:
    """Whether all of these are this machine's own."""
    parsed = [_parsed(address or "") for address in addresses]
    return all(each is not None and each.is_loopback for each in parsed)


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parsed(address: str) -> Any:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None
