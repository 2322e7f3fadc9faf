"""What scripts may reach: the policy, without any I/O.

A request passes twice. `Policy.target` reads its URL as a browser would (URL Standard, "host parsing") and
refuses what can be refused by its name, port or notation. The name is then resolved once, by flora, and
`Policy.permits` decides about each address found; the connection is made to a permitted address and to no
other, so that a name that resolves differently a moment later gains nothing. Redirects pass both again.

Addresses are judged by the registries of IANA (special-purpose addresses of IPv4 and IPv6, RFC 6890): what
is not globally reachable is refused. Of IPv6 only global unicast is permitted, and there nothing that
carries an IPv4 address for somebody else to unwrap (6to4, Teredo, NAT64, ISATAP).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote, urljoin

from flora.config import EgressConfig
from flora.errors import FloraError, StartupError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL: Final = 16 * 1024
"""Characters; a placeholder of a secret among them may become longer."""
MAX_HOST: Final = 253

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

BAD_PORTS: Final = frozenset(
    (1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
     109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
     526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049,
     3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080)
)  # fmt: skip
"""Ports of other protocols, on which no browser speaks HTTP (Fetch Standard, "port blocking")."""

_V4_REFUSED: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers (CGNAT); Alibaba's metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host, public by number only
        "169.254.0.0/16",  # link-local; the metadata service of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocol assignments; Oracle's metadata service
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # automatic multicast tunnelling
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_V6_GLOBAL: Final = ipaddress.IPv6Network("2000::/3")
_V6_REFUSED: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # IETF protocol assignments: Teredo, ORCHID, benchmarks
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # 6bone, returned
        "3fff::/20",  # documentation
    )
)
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})
"""The upper half of an interface identifier whose lower half is an IPv4 address (RFC 5214)."""

_LOCAL_SUFFIXES: Final = (
    "localhost",
    "local",
    "internal",
    "intranet",
    "lan",
    "home.arpa",
    "corp",
    "home",
    "private",
)
"""Names that mean something in the operator's network only (RFC 6761, 6762, 8375, ICANN's SAC113)."""

_SCHEME: Final = re.compile(r"(?P<scheme>https?):", re.IGNORECASE)
_PORT: Final = re.compile(r"[0-9]{0,5}")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_DOTS: Final = str.maketrans("。．｡", "...")
"""What UTS 46 maps to a full stop."""
_SAFE: Final = "!#$%&'()*+,/:;=?@[]~|^`{}\\\"<>"


class EgressDeniedError(FloraError):
    """The policy does not let a script reach this."""

    code = "EGRESS_DENIED"


class EgressUrlError(FloraError):
    """Not a URL that can be requested."""

    code = "INVALID_URL"


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL asks for. `host` is lower case ASCII, an IPv6 address without brackets."""

    scheme: str
    host: str
    port: int
    path: str
    """Path and query, ASCII."""
    address: Address | None
    """When the host is an address and no name."""

    @property
    def tls(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """For the Host header (RFC 9110, 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


class Policy:
    """Made of the configuration. Raises StartupError for a network, a port or a host that it cannot read."""

    def __init__(self, config: EgressConfig) -> None:
        self._allow = tuple(_pattern(text, "egress.allow_hosts") for text in config.allow_hosts)
        self._deny = tuple(_pattern(text, "egress.deny_hosts") for text in config.deny_hosts)
        self._ports = tuple(_ports(text) for text in config.allow_ports)
        self._private = tuple(_network(text) for text in config.allow_private_addresses)

    def target(self, url: str) -> Target:
        """Read `url` and refuse what its notation already tells. Raises EgressUrlError, EgressDeniedError."""
        target = parse_url(url)
        host = target.host
        if _matches(host, self._deny):
            raise EgressDeniedError(f"the operator of this host does not allow requests to {host}.")
        if self._allow and not _matches(host, self._allow):
            raise EgressDeniedError(
                f"{host} is not among the hosts that the operator allows requests to (egress.allow_hosts)."
            )
        if target.port in BAD_PORTS or not any(target.port in ports for ports in self._ports):
            raise EgressDeniedError(f"requests to port {target.port} are not allowed.")
        if target.address is not None:
            if not self.permits(target.address):
                raise EgressDeniedError(f"{host} is not a public address.")
        elif not self._private and ("." not in host or _matches(host, _LOCAL_PATTERNS)):
            raise EgressDeniedError(f"{host} is not a public name.")
        return target

    def permits(self, address: Address) -> bool:
        """Whether a connection to `address` may be opened."""
        return self.excepts(address) or is_public(address)

    def excepts(self, address: Address) -> bool:
        """Whether the operator permits `address` although it may not be public (allow_private_addresses)."""
        return any(address in network for network in self._private if network.version == address.version)


def is_public(address: Address) -> bool:
    """Whether `address` is globally reachable and stands for itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _V4_REFUSED)
    if address.scope_id is not None or address not in _V6_GLOBAL:
        return False
    if int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
        return False
    return not any(address in network for network in _V6_REFUSED)


def parse_url(url: str) -> Target:
    """Read an absolute http or https URL (URL Standard, "basic URL parser"). Raises EgressUrlError.

    Credentials are refused, as fetch does. What the standard corrects silently is corrected here, too, so
    that nobody downstream reads it in another way: what is sent is made of the parts found here.
    """
    if len(url) > MAX_URL:
        raise EgressUrlError(f"a URL has at most {MAX_URL} characters.")
    text = url.strip("".join(map(chr, range(0x21)))).translate({9: None, 10: None, 13: None})
    scheme = _SCHEME.match(text)
    if scheme is None:
        raise EgressUrlError("only http: and https: URLs can be requested.")
    rest = text[scheme.end() :].partition("#")[0]
    before_query, mark, query = rest.partition("?")
    rest = before_query.replace("\\", "/").lstrip("/")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise EgressUrlError("a URL with a user name or password cannot be requested: use a header.")
    host, port = _split_authority(authority)
    protocol = scheme["scheme"].lower()
    name, address = _host(host)
    target = f"/{_encoded(slash and path)}" + (f"?{_encoded(query)}" if mark else "")
    return Target(protocol, name, _port(port, protocol), target, address)


def join_url(base: str, location: str) -> str:
    """Where a redirect leads: `location` as it stands, or relative to `base` (RFC 9110, 10.2.2)."""
    return urljoin(base, location.strip(" \t").replace("\\", "/"))


def _split_authority(authority: str) -> tuple[str, str]:
    if authority.startswith("["):
        host, closing, rest = authority[1:].partition("]")
        if not closing or (rest and not rest.startswith(":")):
            raise EgressUrlError("the host of the URL is not a valid IPv6 address.")
        return f"[{host}]", rest[1:]
    host, _, port = authority.partition(":")
    return host, port


def _port(text: str, scheme: str) -> int:
    if not _PORT.fullmatch(text) or int(text or 0) > 0xFFFF:
        raise EgressUrlError("the port of the URL is not valid.")
    return int(text) if text else DEFAULT_PORTS[scheme]


def _host(text: str) -> tuple[str, Address | None]:
    if text.startswith("["):
        try:
            v6 = ipaddress.IPv6Address(text[1:-1])
        except ValueError:
            raise EgressUrlError("the host of the URL is not a valid IPv6 address.") from None
        if v6.scope_id is not None:
            raise EgressUrlError("an address with a zone cannot be requested.")
        return str(v6), v6
    try:
        name = unquote(text, errors="strict").translate(_DOTS)
    except UnicodeDecodeError:
        raise EgressUrlError("the host of the URL is not a valid domain name.") from None
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            raise EgressUrlError("the host of the URL is not a valid domain name.") from None
    name = name.lower()
    relative = name[:-1] if name.endswith(".") else name
    labels = relative.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        address = _ipv4(labels)
        return str(address), address
    if len(relative) > MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise EgressUrlError("the host of the URL is not a valid domain name.")
    return relative, None


def _ipv4(parts: list[str]) -> ipaddress.IPv4Address:
    """Decimal, octal and hexadecimal, one to four parts (URL Standard, "IPv4 parser")."""
    refused = EgressUrlError("the host of the URL is not a valid IPv4 address.")
    if len(parts) > 4:
        raise refused
    numbers: list[int] = []
    for part in parts:
        if not _NUMBER.fullmatch(part):
            raise refused
        try:
            if part[:2] in {"0x", "0X"}:
                numbers.append(int(part[2:] or "0", 16))
            else:
                numbers.append(int(part, 8 if len(part) > 1 and part[0] == "0" else 10))
        except ValueError:
            raise refused from None
    *first, last = numbers
    if any(number > 255 for number in first) or last >= 256 ** (5 - len(numbers)):
        raise refused
    value = last
    for index, number in enumerate(first):
        value += number << (8 * (3 - index))
    return ipaddress.IPv4Address(value)


def _encoded(text: str) -> str:
    """Printable ASCII; an unpaired surrogate becomes U+FFFD, as in the URL Standard."""
    return quote(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), safe=_SAFE)


def _matches(host: str, patterns: Iterable[str]) -> bool:
    for pattern in patterns:
        if pattern.startswith("*."):
            if host == pattern[2:] or host.endswith(pattern[1:]):
                return True
        elif host == pattern:
            return True
    return False


_LOCAL_PATTERNS: Final = tuple(f"*.{suffix}" for suffix in _LOCAL_SUFFIXES)


def _pattern(text: str, key: str) -> str:
    wild = text.startswith("*.")
    bare = text[2:] if wild else text
    try:
        host, _ = _host(f"[{bare}]" if ":" in bare and not bare.startswith("[") else bare)
    except EgressUrlError:
        raise StartupError(
            f"{key}: {text!r} is no host.", hint='Write "example.com" or "*.example.com".', exit_code=2
        ) from None
    return f"*.{host}" if wild else host


def _ports(text: str) -> range:
    first, dash, last = text.partition("-")
    try:
        return range(int(first), int(last if dash else first) + 1)
    except ValueError:
        raise StartupError(
            f"egress.allow_ports: {text!r} is no port.", hint='Write "443" or "8000-8999".', exit_code=2
        ) from None


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise StartupError(f"egress.allow_private_addresses: {error}.", exit_code=2) from None
