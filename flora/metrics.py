"""flora's metrics: one `Metrics` for each running system, on a registry of its own.

Actors increment the fields, `GET /metrics` renders them. No metric has a label for each guild, since the
number of guilds is unbounded. Counters appear with Prometheus' suffix `_total`; durations are in seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.process_collector import ProcessCollector

# From a handler that does nothing (a fraction of a millisecond) to the longest event deadline.
DISPATCH_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
QUIESCE_BUCKETS: Final = (0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
# From a fork on an idle machine to the boot and load of a script that takes its time.
WAKE_BUCKETS: Final = (0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
HTTP_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

GaugeSample = tuple[tuple[str, ...], float]
_Read = tuple[
    type[GaugeMetricFamily | CounterMetricFamily],
    str,
    tuple[str, ...],
    Callable[[], Iterable[GaugeSample]],
]
_ReadTogether = tuple[
    Mapping[str, str],
    tuple[str, ...],
    Callable[[], Iterable[tuple[tuple[str, ...], tuple[float, ...]]]],
]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters and histograms of one system. Any thread may use them: Prometheus' client locks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._families: _GaugeFamilies = _GaugeFamilies()
        self._samples: list[Callable[[], Awaitable[None]]] = []
        self.registry.register(self._families)
        ProcessCollector(registry=self.registry)
        self.dispatch_success = self._counter("flora_dispatch_success", "Events whose handlers ended well.")
        self.dispatch_error = self._counter("flora_dispatch_error", "Events whose handlers failed.")
        self.dispatch_duration = Histogram(
            "flora_dispatch_duration",
            'Seconds of one event by stage: "queue" until its handlers start, "handler" until they end.',
            ["stage"],
            registry=self.registry,
            buckets=DISPATCH_BUCKETS,
        )
        self.queue_duration = self.dispatch_duration.labels("queue")
        self.handler_duration = self.dispatch_duration.labels("handler")
        self.timeout_error = self._counter("flora_timeout_error", "Events that ran past a deadline.")
        self.oom_error = self._counter("flora_oom_error", "Guild processes that ran out of memory.")
        self.isolate_restarted = self._counter(
            "flora_isolate_restarted", "Guild processes started in place of another one."
        )
        self.isolate_count = Gauge(
            "flora_isolate_count", "Guild processes that run now.", registry=self.registry
        )
        self.migration_success = self._counter("flora_migration_success", "Guilds moved to another worker.")
        self.migration_timeout = self._counter(
            "flora_migration_timeout", "Moves given up because the guild did not quiesce in time."
        )
        self.migration_quiesce_duration = Histogram(
            "flora_migration_quiesce_duration",
            "Seconds until a guild that moves was quiet.",
            registry=self.registry,
            buckets=QUIESCE_BUCKETS,
        )
        self.guild_hibernated = self._counter(
            "flora_guild_hibernated", "Guilds put to sleep: their process was ended until it is needed."
        )
        self.guild_woken = self._counter(
            "flora_guild_woken", "Guilds that slept and whose process was started again."
        )
        self.wake_duration = Histogram(
            "flora_wake_duration",
            "Seconds from what wakes a guild until its script has loaded.",
            registry=self.registry,
            buckets=WAKE_BUCKETS,
        )
        self.http_requests = Counter(
            "flora_http_requests",
            "Answers of the HTTP API.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.http_duration = Histogram(
            "flora_http_duration",
            "Seconds until an answer of the HTTP API began.",
            ["route"],
            registry=self.registry,
            buckets=HTTP_BUCKETS,
        )

    def gauge(
        self, name: str, help: str, labels: tuple[str, ...], read: Callable[[], Iterable[GaugeSample]]
    ) -> None:
        """A gauge whose values are read when someone asks, for state that already exists elsewhere.

        `read` gives (label values, value) pairs; it runs on the thread that renders and must not wait.
        """
        self._families.add(GaugeMetricFamily, name, help, labels, read)

    def gauges(
        self,
        helps: Mapping[str, str],
        labels: tuple[str, ...],
        read: Callable[[], Iterable[tuple[tuple[str, ...], tuple[float, ...]]]],
    ) -> None:
        """Several gauges (name: help) that one look gives: `read` gives (label values, a value for each)."""
        self._families.add_together(helps, labels, read)

    def sampled(self, name: str, help: str, read: Callable[[], Awaitable[float]]) -> None:
        """A gauge whose value has to be waited for; it is asked before everything is rendered."""
        value = 0.0

        async def sample() -> None:
            nonlocal value
            value = await read()

        self._samples.append(sample)
        self.gauge(name, help, (), lambda: [((), value)])

    def counter(
        self, name: str, help: str, labels: tuple[str, ...], read: Callable[[], Iterable[GaugeSample]]
    ) -> None:
        """A counter that is kept elsewhere, read as `gauge` does."""
        self._families.add(CounterMetricFamily, name, help, labels, read)

    async def render(self) -> bytes:
        """Everything in Prometheus' text format (version 0.0.4)."""
        for sample in self._samples:
            await sample()
        return generate_latest(self.registry)

    def _counter(self, name: str, help: str) -> Counter:
        return Counter(name, help, registry=self.registry)


class _GaugeFamilies:
    """Read from live objects at the time of the scrape (a Prometheus custom collector)."""

    def __init__(self) -> None:
        self._reads: dict[str, _Read] = {}
        self._together: list[_ReadTogether] = []

    def add(
        self,
        kind: type[GaugeMetricFamily | CounterMetricFamily],
        name: str,
        help: str,
        labels: tuple[str, ...],
        read: Callable[[], Iterable[GaugeSample]],
    ) -> None:
        self._reads[name] = (kind, help, labels, read)

    def add_together(
        self,
        helps: Mapping[str, str],
        labels: tuple[str, ...],
        read: Callable[[], Iterable[tuple[tuple[str, ...], tuple[float, ...]]]],
    ) -> None:
        self._together.append((helps, labels, read))

    def collect(self) -> Iterable[Metric]:
        for name, (kind, help, labels, read) in self._reads.items():
            family = kind(name, help, labels=labels)
            for values, value in read():
                family.add_metric(values, value)
            yield family
        for helps, labels, read_all in self._together:
            families = [GaugeMetricFamily(name, help, labels=labels) for name, help in helps.items()]
            for label_values, row in read_all():
                for gauge, value in zip(families, row, strict=True):
                    gauge.add_metric(label_values, value)
            yield from families
