"""What `GET /metrics` reads from live parts when somebody asks; the rest is counted in flora/metrics.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import trio

from flora.actors.audit import AuditLog
from flora.actors.guild_logs import GuildLogs
from flora.actors.runtime import GuildRuntime
from flora.actors.schedules import Schedules
from flora.api.services import ActorInfo
from flora.engine.host import Engine
from flora.engine.report import resident_bytes
from flora.gateway.rest import DiscordRest
from flora.host.gateway import Gateway
from flora.host.storage import Storage
from flora.metrics import GaugeSample, Metrics


def register_gauges(
    metrics: Metrics,
    *,
    runtime: GuildRuntime,
    rest: DiscordRest,
    gateway: Gateway,
    engine: Engine,
    storage: Storage,
    logs: GuildLogs,
    audit: AuditLog,
    schedules: Schedules,
    actors: Callable[[], Sequence[ActorInfo]],
) -> None:
    def one(read: Callable[[], float]) -> Callable[[], list[GaugeSample]]:
        return lambda: [((), read())]

    gauge = metrics.gauge
    metrics.gauges(
        {
            "flora_queue_depth": "Events that wait in the guilds' mailboxes.",
            "flora_events_in_flight": "Events that are being handled.",
            "flora_queue_delay": "Seconds that the oldest event waits for a slot.",
        },
        ("worker",),
        lambda: [
            ((str(worker.index),), (worker.waiting, worker.in_flight, worker.queue_delay))
            for worker in runtime.workers()
        ],
    )
    gauge(
        "flora_guilds",
        "Guilds with a script, by how they are.",
        ("status",),
        lambda: [((condition.value,), count) for condition, count in runtime.conditions().items()],
    )
    gauge(
        "flora_mailbox_depth",
        "Messages that wait in actors' mailboxes, by kind of actor.",
        ("kind",),
        lambda: _by_kind(actors()),
    )
    gauge(
        "flora_gateway_latency",
        "Seconds of a heartbeat and its acknowledgement.",
        ("shard",),
        lambda: [
            ((str(state.shard_id),), state.latency) for state in gateway.states() if state.latency is not None
        ],
    )
    gauge(
        "flora_gateway_ready",
        "1 for a shard that receives events.",
        ("shard",),
        lambda: [((str(state.shard_id),), float(state.phase == "ready")) for state in gateway.states()],
    )
    gauge(
        "flora_rest_buckets",
        "Rate limit buckets of Discord's REST API.",
        (),
        one(lambda: rest.limiter.buckets),
    )
    gauge(
        "flora_rest_waiting", "Calls that wait for a rate limit of Discord's.", (), one(lambda: rest.waiting)
    )
    metrics.sampled(
        "flora_isolate_memory",
        "Bytes of all guild processes, shared pages counted in each.",
        lambda: _memory(engine),
    )
    gauge(
        "flora_fork_server_restarts",
        "Fork servers started in place of another one.",
        (),
        one(lambda: engine.report().fork_server_restarts),
    )
    gauge(
        "flora_database_connections", "Connections to PostgreSQL.", ("state",), lambda: _connections(storage)
    )
    gauge(
        "flora_cache_degraded",
        "1 while Redis is away.",
        (),
        one(lambda: float(storage.cache.status().degraded)),
    )
    gauge("flora_log_bytes", "Guild logs in memory.", (), one(lambda: logs.hub.statistics().bytes))
    gauge(
        "flora_log_followers",
        "Open event streams of guild logs.",
        (),
        one(lambda: logs.hub.statistics().followers),
    )
    gauge("flora_audit_waiting", "Audit entries that are not stored yet.", (), one(lambda: audit.waiting))
    gauge(
        "flora_schedule_depth",
        "Cron runs and tasks that are due and have not ended.",
        ("kind",),
        lambda: [((kind.value,), depth) for kind, depth in schedules.depths().items()],
    )
    metrics.counter(
        "flora_schedule_runs",
        "Cron runs and attempts at tasks, by how they ended.",
        ("kind", "outcome"),
        lambda: [
            ((kind.value, outcome.value), count) for (kind, outcome), count in schedules.endings().items()
        ],
    )
    metrics.counter(
        "flora_log_lines", "Lines that scripts said.", (), one(lambda: logs.hub.statistics().lines_accepted)
    )
    metrics.counter(
        "flora_log_lines_lost", "Lines that were never on the disk.", (), one(lambda: logs.lines_lost)
    )


async def _memory(engine: Engine) -> float:
    """In a thread: the kernel is asked about each process."""
    pids = [process.pid for process in engine.processes()]
    return await trio.to_thread.run_sync(lambda: sum(map(resident_bytes, pids)))


def _by_kind(actors: Sequence[ActorInfo]) -> list[GaugeSample]:
    depths: Counter[str] = Counter()
    for actor in actors:
        depths[actor.kind] += actor.mailbox_depth
    return [((kind,), depth) for kind, depth in depths.items()]


def _connections(storage: Storage) -> list[GaugeSample]:
    found = storage.db.statistics()
    return [(("in_use",), found.in_use), (("idle",), found.idle)]
