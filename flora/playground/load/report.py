"""The figures of a run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from flora.playground.errors import Json


@dataclass(slots=True)
class Tally:
    """What became of the events of a kind. Times in seconds."""

    sent: int = 0
    timeouts: int = 0
    latencies: list[float] = field(default_factory=list)
    services: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)

    def json(self) -> Json:
        return {
            "sent": self.sent,
            "answered": len(self.latencies),
            "timeouts": self.timeouts,
            "latency_ms": milliseconds(self.latencies),
        }


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the run: seconds since the time that counts began, counts since the start."""

    at: float
    sent: int
    answered: int
    waiting: int
    frames: int

    def json(self) -> list[float]:
        return [round(self.at, 3), self.sent, self.answered, self.waiting, self.frames]


def milliseconds(values: Sequence[float]) -> Json:
    """Count, mean and nearest-rank percentiles of seconds, in milliseconds; only the count of none."""
    if not values:
        return {"count": 0}
    ordered = sorted(values)
    body: Json = {"count": len(ordered), "mean": _ms(math.fsum(ordered) / len(ordered))}
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)):
        body[name] = _ms(ordered[max(0, math.ceil(share * len(ordered)) - 1)])
    return body | {"max": _ms(ordered[-1])}


def growth(samples: Sequence[Sample], name: str) -> Json:
    """`max`, `end` and, by least squares over the second half, `per_sec` of one column."""
    if not samples:
        return {"max": 0, "end": 0, "per_sec": 0.0}
    values = [float(getattr(each, name)) for each in samples]
    half = len(samples) // 2
    times, late = [each.at for each in samples[half:]], values[half:]
    middle, level = math.fsum(times) / len(times), math.fsum(late) / len(late)
    spread = math.fsum((each - middle) ** 2 for each in times)
    slope = math.fsum((t - middle) * (v - level) for t, v in zip(times, late, strict=True))
    return {
        "max": int(max(values)),
        "end": int(values[-1]),
        "per_sec": round(slope / spread, 3) if spread else 0.0,
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
