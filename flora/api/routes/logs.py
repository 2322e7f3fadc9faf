"""`GET /logs/{guild_id}`: what a guild's script said, and with follow=true what it says from now on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from quart import Blueprint, Response, g, request
from quart_schema import tag_blueprint

from flora.actors.loghub import Dropped, Follower, LogEntry, at_least
from flora.api.auth import Permission, requires
from flora.api.models import LogEntryModel, LogsModel, LogsQuery
from flora.api.openapi import answers, answers_media, takes_query
from flora.api.services import Services
from flora.api.sse import Event, event_stream
from flora.engine.api import LogLevel
from flora.ids import GuildId

blueprint = Blueprint("logs", __name__)
tag_blueprint(blueprint, ["logs"])

FOLLOW_DESCRIPTION = (
    "With follow=true: events `log` (data as LogEntryModel, id is the line's id), `dropped` (data "
    '{"count": n or null}, where lines were lost before they could be sent) and `end` (data {"reason": '
    '"shutdown" or "forbidden"}: the caller may not read this log any more). '
    "Connecting again with Last-Event-ID goes on after that line."
)


@blueprint.get("/logs/<guild_id>")
@answers(LogsModel, fails=[422])
@answers_media("text/event-stream", FOLLOW_DESCRIPTION)
@requires(Permission.GUILD_READ)
@takes_query(LogsQuery)
async def logs(guild_id: GuildId, query_args: LogsQuery) -> LogsModel | Response:
    """A guild's log

    The newest lines, oldest first; with follow=true as server-sent events that go on with what comes.
    """
    services: Services = g.services
    since = _milliseconds(query_args.since) if query_args.since else None
    if not query_args.follow:
        lines = await services.logs.recent(guild_id, query_args.limit, query_args.level, since)
        return LogsModel(items=[_model(line) for line in lines])
    if (resume_after := _last_event_id()) is not None:
        replay, follower = await services.logs.follow(guild_id, resume_after)
    else:
        replay, follower = await services.logs.follow_recent(
            guild_id, query_args.limit, query_args.level, since
        )
    source = _GuildLog(follower, replay, query_args.level)
    return event_stream(source, shutdown=services.shutdown, keepalive_secs=services.limits.sse_keepalive_secs)


class _GuildLog:
    """What a stream sends: the lines to replay, then the follower's."""

    def __init__(
        self, follower: Follower, replay: Sequence[LogEntry | Dropped], level: LogLevel | None
    ) -> None:
        self._follower = follower
        self._replay = replay
        self._level = level

    def take(self) -> list[Event]:
        if self._replay:
            events = list(self._wanted(self._replay))
            self._replay = ()
            if events:
                return events
        # Lines below the level may fill whole batches: go on until something is to be sent.
        while batch := self._follower.take():
            if events := list(self._wanted(batch)):
                return events
        return []

    def _wanted(self, batch: Sequence[LogEntry | Dropped]) -> Iterator[Event]:
        for item in batch:
            if isinstance(item, Dropped):
                yield Event("dropped", {"count": item.count})
            elif at_least(item, self._level):
                yield _event(item)

    async def wait(self) -> None:
        await self._follower.wait()

    def close(self) -> None:
        self._follower.close()


def _milliseconds(moment: datetime) -> int:
    """Since 1970; a time that names no zone is in UTC."""
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _last_event_id() -> int | None:
    """Where the client's stream broke off; what is no id of ours counts as none (WHATWG HTML, 9.2.4)."""
    text = request.headers.get("Last-Event-ID", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else None


def _model(line: LogEntry) -> LogEntryModel:
    return LogEntryModel(
        id=line.id,
        timestamp=line.timestamp,
        level=line.level,
        target=line.target,
        guild_id=line.guild_id,
        message=line.message,
        event_id=line.event_id,
    )


def _event(line: LogEntry) -> Event:
    return Event("log", line, str(line.id))
