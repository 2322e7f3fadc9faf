"""The control API of the chat page, the command line and tests: act as a person, watch, break things.

Everything under /playground/api is flora's own and no part of Discord. Errors have Discord's shape,
`{"message", "code"}`.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, Final, get_args

import trio

from flora.playground import intents, slash
from flora.playground import permissions as may
from flora.playground.actions import commands, guilds, interactions, messages, polls, reactions
from flora.playground.answers import collect_answers, message_view
from flora.playground.drafts import MAX_CONTENT, MessageDraft
from flora.playground.entities import Channel, Guild, User
from flora.playground.errors import Json, PlaygroundRefusedError
from flora.playground.faults import read_rest_fault, read_seconds
from flora.playground.forms import Form
from flora.playground.gateway.connection import GatewayConnection
from flora.playground.gateway.hub import Armed, Point
from flora.playground.model import visible
from flora.playground.rest.context import model, no_content, playground, query_int, read_json, reply
from flora.playground.snowflake import WorldClock, isoformat
from flora.playground.web import Answer, Routes, current

routes = Routes()

EVENTS_PATH: Final = "/playground/api/events"  # a stream, which is served with the pages
MAX_WAIT: Final = 60.0


# watching


@routes.get("/state")
async def state() -> Answer:
    """The world: people, guilds with their channels, members and commands, and who is connected."""
    world = model()
    return reply(
        {
            "application": {"id": world.application.id, "name": world.application.name},
            "users": [each.json() for each in world.users.values()],
            "guilds": [_guild_view(each) for each in world.guilds.values()],
            "gateway": _gateway_view(),
        }
    )


@routes.get("/channels/<channel_id>/messages")
async def history(channel_id: str) -> Answer:
    """The newest messages that `user` sees, oldest first."""
    user = find_user(current().arg("user"))
    channel = model().channel(channel_id, user)
    limit = query_int("limit", default=100, least=1, most=1000)
    shown = [each for each in channel.messages.values() if visible(each, user.id)]
    return reply([message_view(model(), channel, each, user) for each in shown[-limit:]])


# acting as a person


@routes.post("/say")
async def say() -> Answer:
    """Post a message or, with a leading slash, use a command; `wait` seconds for the bot's answers."""
    form = Form(await read_json())
    text = form.text("text", least=1, most=MAX_CONTENT, required=True) or ""
    wait = read_seconds(form, "wait", default=0.0, most=MAX_WAIT)
    form.finish()
    user, guild, channel = _place(form)
    body: Json = {
        "user": {"id": user.id, "username": user.username},
        "guild": {"id": guild.id, "name": guild.name},
        "channel": {"id": channel.id, "name": channel.name},
    }
    start = model().next_id()
    if text.startswith("/"):
        typed = slash.parse(model(), guild, text)
        interaction = interactions.start_command(model(), user, channel, typed)
        body["interaction_id"] = interaction.id
    else:
        message = messages.create_message(model(), user, channel, MessageDraft(content=text))
        body["message"] = message_view(model(), channel, message, user)
    if wait:
        answers = await collect_answers(playground(), channel, user, start, wait)
        body["answers"] = [message_view(model(), channel, each, user) for each in answers]
    return reply(body)


@routes.post("/slash")
async def use_command() -> Answer:
    """Use a command by its id with structured options, also a context-menu command with `target_id`."""
    form, user, channel, typed = await _typed()
    target = form.snowflake("target_id")
    form.finish()
    if typed.command.kind != commands.CHAT_INPUT and target is None:
        raise PlaygroundRefusedError(f"{typed.command.name} needs a target_id.")
    interaction = interactions.start_command(model(), user, channel, typed, target_id=target)
    return reply({"interaction_id": interaction.id})


@routes.post("/autocomplete")
async def autocomplete() -> Answer:
    """Ask the bot for choices; the option being typed has `focused: true`."""
    _, user, channel, typed = await _typed()
    interaction = interactions.start_command(model(), user, channel, typed, kind=interactions.AUTOCOMPLETE)
    subscription = playground().feed.subscribe(user)
    try:
        with trio.move_on_after(interactions.ANSWER_WITHIN):
            while interaction.choices is None:
                await subscription.events.receive()
    except trio.EndOfChannel:
        pass
    finally:
        subscription.close()
    return reply({"choices": interaction.choices or []})


@routes.post("/component")
async def click() -> Answer:
    """Click a button or choose `values` of a select."""
    form = Form(await read_json())
    message_id = form.snowflake("message_id", required=True) or ""
    custom_id = form.text("custom_id", most=100, required=True) or ""
    form.finish()
    user, _, channel = _place(form)
    values = form.data.get("values")
    chosen = [str(each) for each in values] if isinstance(values, list) else None
    message = model().message(channel, message_id, user)
    interaction = interactions.start_component(model(), user, channel, message, custom_id, chosen)
    return reply({"interaction_id": interaction.id})


@routes.post("/modal")
async def submit_modal() -> Answer:
    """Send a modal with its `values` by custom id."""
    form = Form(await read_json())
    opened_by = model().interactions.get(form.snowflake("interaction_id", required=True) or "")
    form.finish()
    if opened_by is None:
        raise PlaygroundRefusedError("There is no open modal.")
    given = form.data.get("values")
    values = {str(key): str(value) for key, value in given.items()} if isinstance(given, dict) else {}
    interaction = interactions.submit_modal(model(), find_user(form.data.get("user")), opened_by, values)
    return reply({"interaction_id": interaction.id})


@routes.post("/react")
async def react() -> Answer:
    form = Form(await read_json())
    message_id = form.snowflake("message_id", required=True) or ""
    emoji = form.text("emoji", least=1, most=64, required=True) or ""
    remove = form.boolean("remove")
    form.finish()
    user, _, channel = _place(form)
    message = model().message(channel, message_id, user)
    action = reactions.remove_reaction if remove else reactions.add_reaction
    action(model(), user, channel, message, emoji)
    return no_content()


@routes.post("/vote")
async def vote() -> Answer:
    """Choose `answers` (their numbers) of a message's poll; an empty list takes the vote back."""
    form = Form(await read_json())
    message_id = form.snowflake("message_id", required=True) or ""
    given = form.data.get("answers")
    if not isinstance(given, list) or not all(isinstance(each, int) for each in given):
        form.fault("answers", "LIST_TYPE_CONVERT", "A list of numbers.")
    form.finish()
    user, _, channel = _place(form)
    polls.vote(model(), user, channel, model().message(channel, message_id, user), form.data["answers"])
    return no_content()


@routes.post("/delete")
async def delete() -> Answer:
    form = Form(await read_json())
    message_id = form.snowflake("message_id", required=True) or ""
    form.finish()
    user, _, channel = _place(form)
    messages.delete_as(model(), user, channel, model().message(channel, message_id, user))
    return no_content()


@routes.post("/typing")
async def typing() -> Answer:
    user, _, channel = _place(Form(await read_json()))
    messages.typing(model(), user, channel)
    return no_content()


# the world around the bot


@routes.post("/guilds/<guild_id>/bot")
async def bot_presence(guild_id: str) -> Answer:
    """Invite the bot to a guild (`present: true`) or remove it."""
    present = Form(await read_json()).boolean("present", default=True)
    guild = find_guild(guild_id)
    bot = model().application.bot
    if present:
        guilds.join_guild(model(), guild, bot)
    elif bot.id in guild.members:
        guilds.leave_guild(model(), guild, bot)
    return no_content()


@routes.post("/guilds/<guild_id>/outage")
async def outage(guild_id: str) -> Answer:
    """Begin (`unavailable: true`) or end an outage of the guild."""
    unavailable = Form(await read_json()).boolean("unavailable", default=True)
    guilds.set_available(model(), find_guild(guild_id), not unavailable)
    return no_content()


@routes.post("/settings")
async def settings() -> Answer:
    """Change limits and gateway settings while the playground runs; answers all of them."""
    form = Form(await read_json())
    gateway, limits = playground().hub.settings, playground().limits
    scale = read_seconds(form, "rate_limit_scale", default=limits.scale, most=1e6)
    heartbeat = read_seconds(form, "heartbeat_interval", default=gateway.heartbeat_interval)
    identify = read_seconds(form, "identify_interval", default=gateway.identify_interval)
    concurrency = form.integer("max_concurrency", least=1, most=1000)
    privileged = form.integer("allowed_privileged")
    per_minute = form.integer("commands_per_minute", least=1, most=1_000_000)
    form.finish()
    limits.scale = scale
    gateway.heartbeat_interval = max(heartbeat, 0.01)
    gateway.identify_interval = identify
    gateway.max_concurrency = concurrency or gateway.max_concurrency
    if privileged is not None:
        gateway.allowed_privileged = privileged
        intents.announce(model().application, privileged)
    gateway.commands_per_minute = per_minute or gateway.commands_per_minute
    return reply(
        {
            "rate_limit_scale": limits.scale,
            "heartbeat_interval": gateway.heartbeat_interval,
            "identify_interval": gateway.identify_interval,
            "max_concurrency": gateway.max_concurrency,
            "allowed_privileged": gateway.allowed_privileged,
            "commands_per_minute": gateway.commands_per_minute,
        }
    )


@routes.get("/clock")
async def clock() -> Answer:
    return _clock_view(_world_clock())


@routes.post("/clock")
async def set_clock() -> Answer:
    """Make ids, tokens and times the same in every run.

    `stand: true` stops the clock, `at` (seconds since 1970, or an ISO time) at this time; `stand: false` lets
    it go on; `advance` moves it by so many seconds, also while it goes. `seed` begins the session ids, tokens
    and codes anew. While it stands REST has no limits, since no window would end. A time before the last id
    leaves ids increasing one by one from there.
    """
    form = Form(await read_json())
    at = _time(form, "at")
    stand = form.boolean("stand", default=at is not None)
    advance = read_seconds(form, "advance", default=0.0, most=366 * 24 * 3600.0)
    seed = form.integer("seed")
    if at is not None and not stand:
        form.fault("at", "BASE_TYPE_CHOICES", "Only a clock that stands can be set.")
    form.finish()
    clock = _world_clock()
    if at is not None:
        clock.stand(at)
    elif "stand" in form and stand != clock.stands:
        clock.stand(clock.now()) if stand else clock.run()
    clock.advance(advance)
    if seed is not None:
        model().tokens.seed(seed)
    return _clock_view(clock)


def _world_clock() -> WorldClock:
    clock = model().clock
    if not isinstance(clock, WorldClock):
        raise PlaygroundRefusedError("The clock of this world is its owner's.")
    return clock


def _clock_view(clock: WorldClock) -> Answer:
    return reply({"now": clock.now(), "iso": isoformat(clock.now()), "stands": clock.stands})


def _time(form: Form, key: str) -> float | None:
    value = form.data.get(key)
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0):
        return value
    try:
        return datetime.fromisoformat(str(value)).timestamp()
    except ValueError:
        form.fault(key, "DATE_TIME_TYPE_PARSE", "Seconds since 1970, or an ISO8601 time.")
        return None


@routes.get("/audit")
async def audit() -> Answer:
    """Who did what through REST, with its X-Audit-Log-Reason, oldest first."""
    return reply(model().audit)


# faults on purpose


@routes.get("/faults")
async def faults() -> Answer:
    waiting = [each.json() for each in playground().faults.waiting]
    armed = [each.at for each in playground().hub.armed]
    return reply({"rest": waiting, "armed": armed, "gateway": _gateway_view()})


@routes.post("/faults/rest")
async def rest_fault() -> Answer:
    """The next `times` requests that match: `kind` status, rate_limit or delay."""
    fault = read_rest_fault(await read_json())
    playground().faults.waiting.append(fault)
    return reply(fault.json())


@routes.post("/faults/gateway")
async def gateway_fault() -> Answer:
    """Break the open gateway connections (all, or those of `user` and `shard`).

    `action`: drop, close (`code`), reconnect, invalid_session (`resumable`), heartbeat, delay (`seconds`),
    stall (`on`), zombie (`on`), duplicate (`times`); refuse (`code`, an HTTP status, 0 to stop) is for new
    connections. With `at` (hello, identify, ready, resume, dispatch) the next connection that comes to this
    point is broken there instead, before it gets an answer. Answers how many connections it met.
    """
    form = Form(await read_json())
    action = form.text("action", most=20, required=True)
    code = form.integer("code", most=4999)
    times = form.integer("times", least=1, most=1_000_000) or 1
    seconds = read_seconds(form, "seconds", default=0.0)
    resumable, on = form.boolean("resumable"), form.boolean("on", default=True)
    at: Any = form.text("at", most=20)
    if at is not None and at not in get_args(Point):
        form.fault("at", "BASE_TYPE_CHOICES", f"Value must be one of {get_args(Point)}.")
    if action not in GATEWAY_ACTIONS:
        form.fault("action", "BASE_TYPE_CHOICES", f"Value must be one of {GATEWAY_ACTIONS}.")
    form.finish()
    if action == "refuse":
        playground().gateway.refuse_upgrades = 503 if code is None else code
        return reply({"connections": 0})
    strike = partial(
        _strike, str(action), code=code or 4000, times=times, seconds=seconds, resumable=resumable, on=on
    )
    if at is not None:
        playground().hub.armed.append(Armed(at, strike))
        return reply({"connections": 0})
    met = _connections(form)
    for connection in met:
        strike(connection)
    return reply({"connections": len(met)})


def _strike(
    action: str,
    connection: GatewayConnection,
    *,
    code: int,
    times: int,
    seconds: float,
    resumable: bool,
    on: bool,
) -> bool:
    """True when it takes the place of whatever the client would get."""
    match action:
        case "drop":
            connection.drop = True
            connection.wake()
        case "close":
            connection.close(code, "Closed by fault injection.")
        case "reconnect":
            connection.demand_reconnect()
        case "invalid_session":
            connection.invalidate(resumable)
        case "heartbeat":
            connection.demand_heartbeat()
        case "delay":
            connection.faults.delay = seconds
        case "stall":
            connection.faults.stalled = on
            connection.wake()
        case "zombie":
            connection.faults.mute_acks = on
        case _:
            connection.faults.duplicate = times
    return action in ("drop", "close", "reconnect", "invalid_session")


@routes.delete("/faults")
async def clear_faults() -> Answer:
    playground().faults.waiting.clear()
    playground().gateway.refuse_upgrades = 0
    playground().hub.armed.clear()
    for connection in playground().gateway.connections():
        connection.clear_faults()
    return no_content()


GATEWAY_ACTIONS: Final = (
    "drop",
    "close",
    "reconnect",
    "invalid_session",
    "heartbeat",
    "delay",
    "stall",
    "zombie",
    "duplicate",
    "refuse",
)


def _connections(form: Form) -> list[GatewayConnection]:
    user = find_user(form.data["user"]) if form.data.get("user") is not None else None
    shard = form.integer("shard")
    form.finish()
    return [
        each
        for each in playground().gateway.connections()
        if (user is None or (each.session is not None and each.session.user.id == user.id))
        and (shard is None or (each.session is not None and each.session.shard == shard))
    ]


# names and views


async def _typed() -> tuple[Form, User, Channel, slash.Typed]:
    form = Form(await read_json())
    command_id = form.snowflake("command_id", required=True)
    form.finish()
    user, guild, channel = _place(form)
    command = next((each for each in commands.usable_in(model(), guild.id) if each.id == command_id), None)
    if command is None:
        raise PlaygroundRefusedError("That command is no longer registered.")
    return form, user, channel, slash.resolve(model(), guild, command, form.data.get("options"))


def _place(form: Form) -> tuple[User, Guild, Channel]:
    """Who speaks where: names or ids; by default ann in the first guild's #general."""
    user = find_user(form.data.get("user"))
    wanted = form.data.get("channel")
    direct = model().channels.get(str(wanted))
    if direct is not None and direct.guild_id is not None and form.data.get("guild") is None:
        guild = model().guilds[direct.guild_id]
    else:
        guild = find_guild(form.data.get("guild"))
    name = "general" if wanted is None else str(wanted).lstrip("#")
    for channel in guild.channels.values():
        if name in (channel.id, channel.name) and channel.has_messages:
            if not model().permissions(channel, user.id) & may.VIEW_CHANNEL:
                raise PlaygroundRefusedError(f"{user.username} cannot see #{channel.name}.")
            return user, guild, channel
    names = ", ".join(f"#{each.name}" for each in guild.channels.values() if each.has_messages)
    raise PlaygroundRefusedError(f"There is no channel {name!r} in {guild.name}. There are: {names}.")


def find_guild(wanted: Any) -> Guild:
    """A guild by id or name; the first by default. Raises PlaygroundRefusedError with all names."""
    found = list(model().guilds.values())
    for guild in found:
        if wanted is None or guild.id == wanted or guild.name.lower() == str(wanted).lower():
            return guild
    names = ", ".join(each.name for each in found)
    raise PlaygroundRefusedError(f"There is no guild {str(wanted)!r}. There are: {names}.")


def find_user(wanted: Any) -> User:
    """A person by id or name; the first by default. Raises PlaygroundRefusedError with all names."""
    people = [each for each in model().users.values() if not each.bot]
    for user in people:
        if wanted is None or wanted == user.id or str(wanted).lower().lstrip("@") == user.username.lower():
            return user
    names = ", ".join(each.username for each in people)
    raise PlaygroundRefusedError(f"There is no user {str(wanted)!r}. There are: {names}.")


def _guild_view(guild: Guild) -> Json:
    return {
        "id": guild.id,
        "name": guild.name,
        "available": guild.available,
        "channels": [
            {
                "id": each.id,
                "name": each.name,
                "type": each.kind,
                "topic": each.topic,
                "parent_id": each.parent_id,
                "viewers": [
                    user_id
                    for user_id in guild.members
                    if model().permissions(each, user_id) & may.VIEW_CHANNEL
                ],
            }
            for each in guild.channels.values()
        ],
        "roles": [each.json() for each in guild.roles.values()],
        "members": [each.json() for each in guild.members.values()],
        "commands": [each.json() for each in commands.usable_in(model(), guild.id)],
    }


def _gateway_view() -> list[Json]:
    return [
        {
            "user": each.session.user.username if each.session else None,
            "session_id": each.session.id if each.session else None,
            "shard": [each.session.shard, each.session.shard_count] if each.session else None,
            "intents": each.session.intents if each.session else None,
            "seq": each.session.seq if each.session else None,
            "status": each.session.presence if each.session else None,
            "activities": each.session.activities if each.session else None,
        }
        for each in playground().gateway.connections()
    ]
