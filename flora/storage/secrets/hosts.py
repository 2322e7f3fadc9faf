"""Which hosts a secret may be sent to.

A pattern is a host name, `*.suffix` (the suffix itself and everything below it), or a URL or host:port, of
which only the host counts. Hosts are compared in lower case and as punycode. What cannot be read matches
nothing, and a secret without patterns goes nowhere.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

MAX_HOST: Final = 253
_LABELS: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII)


def normal_host(text: str) -> str | None:
    """`text`, a bare host, in the form that is compared; None when it is no host."""
    host = text.strip().lower()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if ":" in host or host.replace(".", "").isdecimal():
        try:
            return str(ipaddress.ip_address(host))
        except ValueError:
            return None
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii").lower()
        except UnicodeError:
            return None
    if len(host) > MAX_HOST or not _LABELS.fullmatch(host):
        return None
    return host


def normal_pattern(pattern: str) -> str | None:
    """A pattern as it is compared, None when it can match nothing."""
    text = pattern.strip()
    if "://" not in text and not text.startswith("["):
        text = f"//{text}" if _is_address(text) is None else f"//[{text}]"
    elif text.startswith("["):
        text = f"//{text}"
    try:
        host = urlsplit(text).hostname
    except ValueError:
        return None
    if not host:
        return None
    if host.startswith("*."):
        suffix = normal_host(host[2:])
        return f"*.{suffix}" if suffix is not None else None
    return normal_host(host)


def allowed(host: str | None, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns matches `host`, a bare host name or address."""
    target = normal_host(host) if host else None
    if target is None:
        return False
    for pattern in patterns:
        normal = normal_pattern(pattern)
        if normal is None:
            continue
        if normal.startswith("*."):
            suffix = normal[2:]
            if target == suffix or target.endswith(f".{suffix}"):
                return True
        elif target == normal:
            return True
    return False


def _is_address(text: str) -> ipaddress.IPv6Address | None:
    try:
        return ipaddress.IPv6Address(text)
    except ValueError:
        return None
