"""Faults on purpose for REST: the next so many requests of a kind fail, are limited or come late."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from flora.playground.errors import Json
from flora.playground.forms import Form

KINDS: Final = ("status", "rate_limit", "delay")


@dataclass(slots=True)
class RestFault:
    """What happens to the next `times` requests whose method and path match."""

    kind: str
    method: str | None
    path: re.Pattern[str]
    times: int
    status: int = 500
    seconds: float = 1.0  # of the delay, or Retry-After
    scope: str = "user"  # of a 429: user, shared or global
    after: bool = False  # the request takes effect, but its answer is the fault

    def json(self) -> Json:
        return {
            "kind": self.kind,
            "method": self.method,
            "path": self.path.pattern,
            "times": self.times,
            "status": self.status,
            "seconds": self.seconds,
            "scope": self.scope,
            "after": self.after,
        }


@dataclass(slots=True)
class RestFaults:
    waiting: list[RestFault] = field(default_factory=list)

    def take(self, method: str, path: str) -> list[RestFault]:
        """The faults of one request, at most one of each kind; they are used up by it."""
        taken: dict[str, RestFault] = {}
        for fault in self.waiting:
            matches = fault.method in (None, method) and fault.path.search(path)
            if matches and fault.kind not in taken:
                fault.times -= 1
                taken[fault.kind] = fault
        self.waiting = [each for each in self.waiting if each.times > 0]
        return list(taken.values())


def read_rest_fault(value: Any) -> RestFault:
    """A fault from the control API's body. Raises DiscordError 50035 with what is wrong."""
    form = Form(value)
    kind = form.text("kind", most=20, required=True)
    if kind is not None and kind not in KINDS:
        form.fault("kind", "BASE_TYPE_CHOICES", f"Value must be one of {KINDS}.")
    method = form.text("method", most=10)
    pattern = form.text("path", most=200) or ""
    times = form.integer("times", least=1, most=1_000_000)
    status = form.integer("status", least=400, most=599)
    scope = form.text("scope", most=10) or "user"
    if scope not in ("user", "shared", "global"):
        form.fault("scope", "BASE_TYPE_CHOICES", "Value must be one of ('user', 'shared', 'global').")
    try:
        path = re.compile(pattern)
    except re.error as error:
        form.fault("path", "STRING_TYPE_REGEX", f"Not a regular expression: {error}.")
        path = re.compile("")
    seconds = read_seconds(form, "seconds", default=1.0)
    after = form.boolean("after")
    form.finish()
    return RestFault(
        kind or "status", method and method.upper(), path, times or 1, status or 500, seconds, scope, after
    )


def read_seconds(form: Form, key: str, *, default: float, most: float = 600.0) -> float:
    value = form.data.get(key)
    if value is None:
        return default
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= most:
        form.fault(key, "NUMBER_TYPE_COERCE", f"A number of seconds from 0 to {most:g}.")
        return default
    return float(value)
