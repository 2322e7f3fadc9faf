"""Payloads have the fields of schema/payloads.json: in the SDK, in its types, and in what flora sends."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from flora.actors.schedule.core import Run
from flora.actors.scheduler import task_payload
from flora.build.bundle import build_project
from flora.engine.host import Engine
from flora.gateway.event_payloads import PAYLOADS
from flora.ids import GuildId
from flora.playground import entry
from flora.playground import permissions as may
from flora.playground.actions import interactions, polls
from flora.playground.web import Call
from flora.storage.schedules import RunKind, Trigger
from flora.storage.tasks import Task
from flora.testkit.steps import (
    Autocomplete,
    Click,
    Declared,
    Delete,
    Edit,
    Join,
    Leave,
    React,
    Say,
    Slash,
    Submit,
)
from flora.testkit.world import TestClock, World
from tools import generate_events

from .guilds import Guild, guild

EVENTS: list[dict[str, Any]] = json.loads(generate_events.EVENTS.read_text("utf-8"))
SHAPES: dict[str, Any] = json.loads(generate_events.PAYLOADS.read_text("utf-8"))
LISTENING = "\n".join(
    f"on('{each['event']}', (ctx) => console.log(JSON.stringify(['{each['event']}', ctx.msg])));"
    for each in EVENTS
)
FROM_DISCORD = [each for each in EVENTS if each["event"] != "task"]
TEXT_CHANNEL = {"name": "beds", "topic": "What grows where"}
POLL = {"question": {"text": "Water?"}, "answers": [{"poll_media": {"text": text}} for text in ("yes", "no")]}
COMMANDS = [
    {
        "name": "plant",
        "description": "d",
        "options": [
            {"type": 3, "name": "kind", "description": "d", "autocomplete": True},
            {"type": 6, "name": "who", "description": "d"},
        ],
    }
]
BUTTON = {"type": 1, "components": [{"type": 2, "style": 1, "label": "Water", "custom_id": "water"}]}
MODAL = {
    "custom_id": "why",
    "title": "Why?",
    "components": [{"type": 18, "label": "Why", "component": {"type": 4, "custom_id": "text", "style": 1}}],
}


async def seen(running: Guild, dispatch: str, payload: Any) -> tuple[str, Any]:
    """Event and `ctx.msg` of a dispatch."""
    before = len(running.host.logs)
    await running.dispatch(dispatch, payload)
    [(_, text)] = running.host.logs[before:]
    event, msg = json.loads(text)
    return event, msg


class Day:
    """What happens in a playground's guild, as the bot's gateway session is told."""

    def __init__(self) -> None:
        self.world = World(TestClock())
        self.told: list[tuple[str, Any]] = []
        self.world.listen(lambda told, data: data and self.told.append((told.name, json.loads(data))))
        for role in self.world.guild.roles.values():
            role.permissions |= may.ADMINISTRATOR if role.bot_id is not None else 0
        self.world.register(COMMANDS)

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """REST as the bot. Raises AssertionError."""
        path = path.replace("GUILD", self.world.guild.id)
        authorization = ("authorization", f"Bot {self.world.bot.token}")
        fields = (authorization, ("content-type", "application/json"), ("host", "127.0.0.1"))
        headers = [(key.encode(), value.encode()) for key, value in fields]
        call = Call(
            self.world.playground,
            method,
            f"/api/v10{path}",
            "",
            headers,
            b"" if body is None else json.dumps(body).encode(),
            "127.0.0.1",
        )
        answer = await entry.answer(call)
        assert answer.status < 300, (method, path, answer)
        return json.loads(answer.body) if answer.body else None

    async def all_of_it(self) -> list[tuple[str, Any]]:
        await self.messages()
        await self.interactions()
        await self.guild_and_people()
        return self.told

    async def messages(self) -> None:
        world, declared = self.world, Declared(listens=[])
        general = world.channel("general")
        world.perform(Say(manifest=declared, content="<@" + world.user("ben").id + "> hello"))
        [message] = general.messages.values()
        on_it = {"manifest": declared, "channel_id": general.id, "message_id": message.id}
        world.perform(Edit(**on_it, content="hello all"))
        world.perform(React(**on_it, emoji="🌱"))
        world.perform(React(**on_it, emoji="🌱", remove=True))
        path = f"/channels/{general.id}/messages"
        await self.ask("PUT", f"{path}/pins/{message.id}")
        for reactions in ("🌱", ""):
            await self.ask("PUT", f"{path}/{message.id}/reactions/🌱/@me")
            await self.ask("DELETE", f"{path}/{message.id}/reactions/{reactions}".rstrip("/"))
        await self.ask("POST", f"{path}/{message.id}/threads", {"name": "More"})
        rich = {
            "content": "look",
            "embeds": [{"title": "Roses", "footer": {"text": "f", "icon_url": "https://a.test/b.png"}}],
            "components": [BUTTON],
            "message_reference": {"message_id": message.id},
        }
        ids = [
            (await self.ask("POST", path, body))["id"] for body in (rich, {"content": "x"}, {"content": "y"})
        ]
        await self.ask("POST", f"{path}/bulk-delete", {"messages": ids[1:]})
        poll = general.messages[(await self.ask("POST", path, {"poll": POLL}))["id"]]
        for chosen in ([1], []):
            polls.vote(world.model, world.user("ann"), general, poll, chosen)
        await self.ask("POST", f"/channels/{general.id}/typing")
        hook = await self.ask("POST", f"/channels/{general.id}/webhooks", {"name": "news"})
        await self.ask("POST", f"/webhooks/{hook['id']}/{hook['token']}", {"content": "by a webhook"})
        world.perform(Delete(**on_it))

    async def interactions(self) -> None:
        world, declared = self.world, Declared(listens=[])
        typed = {"kind": "fe"}
        world.perform(Autocomplete(manifest=declared, name="plant", focused="kind", values=typed))
        used = world.perform(Slash(manifest=declared, name="plant", values={"kind": "fern", "who": "ben"}))
        assert used is not None
        interactions.respond(world.model, used, 9, None, MODAL)
        world.perform(Submit(manifest=declared, custom_id="why", fields={"text": "because"}))
        world.perform(Click(manifest=declared, custom_id="water"))

    async def guild_and_people(self) -> None:
        world, declared = self.world, Declared(listens=[])
        made = (await self.ask("POST", "/guilds/GUILD/channels", TEXT_CHANNEL))["id"]
        overwrite = {"type": 0, "allow": "0", "deny": "2048"}
        await self.ask("PUT", f"/channels/{made}/permissions/{world.guild.id}", overwrite)
        thread = (await self.ask("POST", f"/channels/{made}/threads", {"name": "Herbs", "type": 11}))["id"]
        await self.ask("PUT", f"/channels/{thread}/thread-members/{world.user('ben').id}")
        await self.ask("PATCH", f"/channels/{thread}", {"archived": True})
        await self.ask("DELETE", f"/channels/{thread}")
        invite = await self.ask("POST", f"/channels/{made}/invites", {})
        await self.ask("DELETE", f"/invites/{invite['code']}")
        await self.ask("DELETE", f"/channels/{made}")
        role = (await self.ask("POST", "/guilds/GUILD/roles", {"name": "gardeners"}))["id"]
        await self.ask("PATCH", f"/guilds/GUILD/roles/{role}", {"color": 5})
        await self.ask("PUT", f"/guilds/GUILD/members/{world.user('ann').id}/roles/{role}")
        await self.ask("DELETE", f"/guilds/GUILD/roles/{role}")
        world.perform(Join(manifest=declared, name="dora"))
        world.perform(Leave(manifest=declared, name="dora"))
        ban = f"/guilds/GUILD/bans/{world.user('cleo').id}"
        await self.ask("PUT", ban, {})
        await self.ask("DELETE", ban)
        await self.ask("PATCH", "/guilds/GUILD", {"name": "Roses"})
        voice = (await self.ask("POST", "/guilds/GUILD/channels", {"name": "talk", "type": 13}))["id"]
        await self.ask("POST", "/stage-instances", {"channel_id": voice, "topic": "Bees"})
        event = {
            "name": "Fair",
            "privacy_level": 2,
            "entity_type": 2,
            "channel_id": (await self.ask("POST", "/guilds/GUILD/channels", {"name": "tea", "type": 2}))[
                "id"
            ],
            "scheduled_start_time": "2030-01-01T10:00:00+00:00",
        }
        await self.ask("POST", "/guilds/GUILD/scheduled-events", event)
        emoji = {"name": "leaf", "image": "data:image/png;base64,iVBORw0KGgo="}
        await self.ask("POST", "/guilds/GUILD/emojis", emoji)


async def test_what_happens_in_a_playground_has_the_fields_of_the_schema(engine: Engine) -> None:
    told = await Day().all_of_it()
    events: set[str] = set()
    async with guild(engine, LISTENING) as running:
        for dispatch, payload in told:
            event, msg = await seen(running, dispatch, payload)
            events.add(event)
            conforms(event, msg)
    wanted = {
        *(
            "messageCreate",
            "messageUpdate",
            "messageDelete",
            "messageDeleteBulk",
            "channelPinsUpdate",
            "typingStart",
        ),
        *("reactionAdd", "reactionRemove", "reactionRemoveEmoji", "reactionRemoveAll"),
        *("messagePollVoteAdd", "messagePollVoteRemove"),
        *("interactionCreate", "autocomplete", "componentInteraction", "modalSubmit"),
        *("channelCreate", "channelUpdate", "channelDelete", "threadCreate", "threadUpdate", "threadDelete"),
        *(
            "guildRoleCreate",
            "guildRoleUpdate",
            "guildRoleDelete",
            "guildUpdate",
            "inviteCreate",
            "inviteDelete",
        ),
        *("guildMemberAdd", "guildMemberUpdate", "guildMemberRemove", "guildBanAdd", "guildBanRemove"),
    }
    assert wanted - events == set()


@pytest.mark.parametrize("nullable", [False, True], ids=["absent", "null"])
async def test_where_discord_sends_nothing_scripts_see_what_the_schema_says(
    engine: Engine, nullable: bool
) -> None:
    """Each event with the least that Discord may send; or with null where it may send that."""
    async with guild(engine, LISTENING) as running:
        for each in FROM_DISCORD:
            event, msg = await seen(running, each["dispatch"], least(each, nullable))
            assert event == each["event"]
            conforms(event, msg)
            for field in generate_events.all_fields(SHAPES, each["payload"]):
                if field.absent is not generate_events.NOTHING and field.name not in given(each):
                    assert msg[field.name] == field.absent, (event, field.name)


def test_what_flora_sends_itself_has_the_fields_of_the_schema() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    owner = GuildId("1")
    task = Task(UUID(int=1), owner, "tea", None, b'{"a":1}', now, now, 0, None, None, now)
    run = Run(owner, RunKind.TASK, "tea", "e", Trigger.CATCH_UP, 2, now.timestamp(), now.timestamp(), task.id)
    conforms("task", json.loads(task_payload(run, task)))


def test_a_payload_without_a_field_does_not_conform() -> None:
    """The check itself checks: types and fields, at any depth."""
    author = {
        "id": "1",
        "username": "a",
        "discriminator": None,
        "bot": False,
        "globalName": None,
        "avatar": None,
    }
    message = {"id": "1", "channelId": "2", "guildId": None, "content": "", "author": author, "member": None}
    conforms("messageCreate", message)
    for wrong in (
        {**message, "content": None},
        {key: value for key, value in message.items() if key != "member"},
        {**message, "author": {**author, "bot": "no"}},
        {**message, "mentions": [{"id": "1"}]},
        {**message, "reactions": [{"count": 1, "me": True, "emoji": {"name": "x"}}]},
    ):
        with pytest.raises(msgspec.ValidationError):
            conforms("messageCreate", wrong)


async def test_handlers_get_the_payload_that_the_schema_names(tmp_path: Path) -> None:
    lines = [
        f'on("{each["event"]}", (ctx) => {{ const it: {each["payload"]} = ctx.msg;'
        f" const same: typeof ctx.msg = it; return same; }});"
        for each in EVENTS
    ]
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "main.ts").write_text("\n".join(lines))
    assert (await build_project(tmp_path)).code


def conforms(event: str, msg: Any) -> None:
    """Raises ValidationError."""
    try:
        msgspec.convert(msg, PAYLOADS[event])
    except msgspec.ValidationError as error:
        raise msgspec.ValidationError(f"{event}: {error} in {json.dumps(msg)}") from error


def least(event: dict[str, Any], nullable: bool) -> dict[str, Any]:
    """The least that Discord may send of an event, under Discord's names."""
    made = minimal(event["payload"], nullable)
    if event["dispatch"] == "INTERACTION_CREATE":
        # What the SDK renames or takes from elsewhere.
        made |= {
            "id": "1",
            "token": "t",
            "type": event["interactionType"],
            "user": minimal("EventUser", nullable),
        }
        made["data"] = {"name": "x"}
        if event["event"] == "componentInteraction":
            made["message"] = minimal("EventMessage", nullable)
    return made


def given(event: dict[str, Any]) -> set[str]:
    """What `least` gives although it may be absent."""
    return {"message"} if event["event"] == "componentInteraction" else set()


def minimal(shape: str, nullable: bool) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for field in generate_events.all_fields(SHAPES, shape):
        if field.optional or field.name in ("old", "new"):
            continue
        if field.absent is generate_events.NOTHING:
            made[generate_events.snake(field.name)] = sample(field.type, nullable)
        elif nullable and field.absent is None:
            made[generate_events.snake(field.name)] = None
    return made


def sample(written: str, nullable: bool) -> Any:
    kinds = written.split(" | ")
    kind = kinds[-1] if nullable else kinds[0]
    plain = {"string": "text", "number": 1, "boolean": True, "null": None, "any": {"a": 1}, "RawJson": {}}
    if kind in plain:
        return plain[kind]
    return [] if kind.endswith("[]") else minimal(kind, nullable)
