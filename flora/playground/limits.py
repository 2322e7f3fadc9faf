"""REST rate limits as Discord's clients meet them: buckets by route and major parameter, and one global.

Windows are fixed: the first request opens one, and it ends `per` seconds later.
Source: Discord API Reference, "Rate Limits".
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Final, TypeVar

_K = TypeVar("_K")

GLOBAL_LIMIT: Final = 50
GLOBAL_PER: Final = 1.0
_MAJOR: Final = re.compile(r"/(?:channels|guilds)/([^/]+)|/webhooks/([^/]+/[^/]+)|/interactions/([^/]+)")


@dataclass(frozen=True, slots=True)
class Rule:
    """`limit` requests in `per` seconds for every route that matches; `name` names its bucket."""

    methods: frozenset[str]
    pattern: re.Pattern[str]
    limit: int
    per: float
    name: str
    bucket: str  # as the headers show it


def _rule(methods: str, pattern: str, limit: int, per: float) -> Rule:
    name = f"{methods} {pattern}"
    bucket = hashlib.sha256(name.encode()).hexdigest()[:32]
    return Rule(frozenset(methods.split()), re.compile(pattern), limit, per, name, bucket)


# Discord publishes no table; these are the limits that its headers showed, the order is the order of search.
_RULES: Final = (
    _rule("PUT DELETE", r"/messages/[^/]+/reactions", 4, 1.0),
    _rule("POST", r"^/channels/[^/]+/messages$", 5, 5.0),
    _rule("PATCH", r"^/channels/[^/]+/messages/[^/]+$", 5, 5.0),
    _rule("DELETE", r"^/channels/[^/]+/messages/[^/]+$", 5, 1.0),
    _rule("POST", r"^/channels/[^/]+/messages/bulk-delete$", 1, 3.0),
    _rule("POST", r"^/channels/[^/]+/typing$", 5, 5.0),
    _rule("PATCH DELETE", r"^/channels/[^/]+$", 5, 15.0),
    _rule("POST PATCH DELETE", r"^/webhooks/[^/]+/[^/]+", 5, 2.0),
    _rule("POST", r"^/interactions/", 5, 1.0),
    _rule("PUT POST PATCH DELETE", r"^/applications/[^/]+(/guilds/[^/]+)?/commands", 20, 20.0),
    _rule("PUT PATCH DELETE", r"^/guilds/[^/]+/(members|bans)", 10, 10.0),
    _rule("GET POST PUT PATCH DELETE", r"", 50, 1.0),
)
# What answers an interaction stands outside the global limit.
_OUTSIDE_GLOBAL: Final = re.compile(r"^/(interactions|webhooks)/")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the limiter says to one request, as its headers show it. Times in seconds."""

    allowed: bool
    limit: int
    remaining: int
    reset_after: float
    reset_at: float
    bucket: str
    scope: str = "user"
    is_global: bool = False

    def headers(self) -> tuple[tuple[str, str], ...]:
        """How an answer tells of its bucket. The global limit has none."""
        if self.is_global:
            return ()
        return (
            ("X-RateLimit-Limit", str(self.limit)),
            ("X-RateLimit-Remaining", str(self.remaining)),
            ("X-RateLimit-Reset", f"{self.reset_at:.3f}"),
            ("X-RateLimit-Reset-After", f"{self.reset_after:.3f}"),
            ("X-RateLimit-Bucket", self.bucket),
        )


@dataclass(slots=True)
class _Window:
    ends: float
    used: int = 0


@dataclass(slots=True)
class RateLimiter:
    """Call `check` for each request; `scale` multiplies every limit, 0 turns the limits off."""

    scale: float = 1.0
    _windows: dict[tuple[str, str, str], _Window] = field(default_factory=dict)
    _global: dict[str, _Window] = field(default_factory=dict)

    def check(self, caller: str, method: str, path: str, now: float) -> Verdict | None:
        """Count the request of `caller` (a token or an address) on `path` (below /api/v10)."""
        if self.scale == 0:
            return None
        if len(self._windows) > 10_000:
            self._windows = {key: each for key, each in self._windows.items() if each.ends > now}
        if not _OUTSIDE_GLOBAL.match(path):
            limit = max(1, int(GLOBAL_LIMIT * self.scale))
            everything = _window(self._global, caller, now, GLOBAL_PER)
            if everything.used >= limit:
                reset = everything.ends - now
                return Verdict(False, limit, 0, reset, everything.ends, "", "global", is_global=True)
            everything.used += 1
        rule = next(each for each in _RULES if method in each.methods and each.pattern.search(path))
        major = _MAJOR.match(path)
        key = (caller, rule.name, major[0] if major else "")
        window = _window(self._windows, key, now, rule.per)
        limit = max(1, int(rule.limit * self.scale))
        allowed = window.used < limit
        window.used += allowed
        left = max(window.ends - now, 0.001)
        return Verdict(allowed, limit, limit - window.used, left, window.ends, rule.bucket)


def _window(windows: dict[_K, _Window], key: _K, now: float, per: float) -> _Window:
    window = windows.get(key)
    if window is None or window.ends <= now:
        window = windows[key] = _Window(now + per)
    return window
