"""An op of one guild reaches that guild alone, whatever a script names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flora.engine.api import OpError
from flora.gateway.events import GatewayEvent
from flora.ids import EventId, GuildId, Snowflake
from flora.ops.scope import INTERACTION_LIFETIME_SECS, MAX_INTERACTIONS, InteractionBook
from tests.ops.examples import EXAMPLES, TO, Args
from tests.ops.world import (
    CHANNEL,
    DM,
    FOREIGN,
    FOREIGN_CHANNEL,
    FOREIGN_INTERACTION,
    FOREIGN_INVITE,
    FOREIGN_TOKEN,
    FOREIGN_WEBHOOK,
    GUILD,
    LOOK_UP,
    TOKEN,
    WEBHOOK,
    World,
)

FOREIGN_VALUES: dict[str, tuple[Any, ...]] = {
    "channelId": (FOREIGN_CHANNEL, DM, "999"),
    "threadId": (FOREIGN_CHANNEL, DM, "999"),
    "toChannelId": (FOREIGN_CHANNEL,),
    "webhookChannelId": (FOREIGN_CHANNEL,),
    "sourceGuildId": (FOREIGN,),
    "webhookId": (FOREIGN_WEBHOOK, "999"),
    "interactionId": (FOREIGN_INTERACTION,),
}


def trespasses() -> list[Any]:
    """Each example with one of its ids exchanged for somebody else's."""
    found = []
    for name, (args, line) in EXAMPLES.items():
        for key, values in FOREIGN_VALUES.items():
            if key in args:
                wrap = isinstance(args[key], list)
                found += [(name, {**args, key: [value] if wrap else value}) for value in values]
        if args.get("token") == TOKEN:
            found.append((name, {**args, "token": FOREIGN_TOKEN}))
        if "/invites/" in line:
            found.append((name, {**args, "code": FOREIGN_INVITE}))
        if f"/guilds/{GUILD}" in line:
            found.append((name, {**args, "guildId": FOREIGN}))
        for key in args.keys() & {"payload"}:
            for place in ("channel_id", "parent_id", "system_channel_id", "guild_id"):
                foreign = FOREIGN if place == "guild_id" else FOREIGN_CHANNEL
                found.append((name, {**args, key: {**args[key], "deep": [{place: foreign}]}}))
    return [pytest.param(name, args, id=f"{name}-{index}") for index, (name, args) in enumerate(found)]


async def refused(discord: World, name: str, args: Args) -> OpError:
    with pytest.raises(OpError) as caught:
        await discord.op(name, args)
    assert caught.value.name == "ScopeForbiddenError", caught.value
    assert discord.deeds == []
    for request in discord.asked:  # nothing but the look-up that led to the refusal
        assert LOOK_UP.fullmatch(request.line), request.line
    return caught.value


@pytest.mark.parametrize(("name", "args"), trespasses())
async def test_what_belongs_to_others_is_refused(name: str, args: Args, discord: World) -> None:
    error = await refused(discord, name, args)
    assert error.error_code == "SCOPE_FORBIDDEN"
    assert str(error).startswith("Forbidden: ")


def test_every_op_is_tried() -> None:
    tried = {param.values[0] for param in trespasses()}
    assert EXAMPLES.keys() - tried == {"fetch_user"}, "which tells what anybody may know"


async def test_the_original_reasons(discord: World) -> None:
    for name, args, reason in (
        ("send_message", {"channelId": FOREIGN_CHANNEL, "content": "x"}, "channel is outside runtime scope"),
        ("send_message", {"channelId": DM, "content": "x"}, "channel is not a guild channel"),
        ("fetch_webhook", {"webhookId": FOREIGN_WEBHOOK}, "webhook is outside runtime scope"),
        ("fetch_roles", {"guildId": FOREIGN}, "guild is outside runtime scope"),
    ):
        assert str(await refused(discord, name, args)) == f"Forbidden: {reason}"


async def test_ids_that_are_numbers_are_no_way_around(discord: World) -> None:
    payload = {"name": "x", "channel_id": int(FOREIGN_CHANNEL)}
    with pytest.raises(OpError, match="Invalid input for channel_id: ids are text"):
        await discord.op("edit_webhook", {"webhookId": WEBHOOK, "payload": payload})
    assert discord.deeds == []


async def test_a_webhooks_token_is_no_interactions(discord: World) -> None:
    """Discord's routes for both look the same: /webhooks/{id}/{token}."""
    with pytest.raises(OpError, match="webhook is outside runtime scope"):
        await discord.op(
            "execute_webhook",
            {"webhookId": discord.ctx.application_id, "token": FOREIGN_TOKEN, "content": "x"},
        )
    assert discord.deeds == []


class TestLookUps:
    async def test_what_the_gateway_told_costs_no_request(self, discord: World) -> None:
        payload = json.dumps({"id": GUILD, "channels": [{"id": CHANNEL}], "threads": []}).encode()
        event = GatewayEvent(EventId(0, "s", 1), "GUILD_CREATE", GUILD, payload, 0.0)
        discord.guilds.observe(event)
        await discord.op("trigger_typing", {"channelId": CHANNEL})
        assert [each.line for each in discord.asked] == [f"POST /channels/{CHANNEL}/typing"]

    async def test_discords_answer_is_remembered_for_other_hosts(self, discord: World) -> None:
        for _ in range(2):
            await discord.op("trigger_typing", {"channelId": CHANNEL})
            await discord.op("execute_webhook", {"webhookId": WEBHOOK, "token": "w", "content": "x"})
        look_ups = [each.line for each in discord.asked if LOOK_UP.fullmatch(each.line)]
        assert look_ups == [f"GET /channels/{CHANNEL}", f"GET /webhooks/{WEBHOOK}/w"]
        for key in (f"flora:scope:ch:{CHANNEL}", f"flora:scope:wh:{WEBHOOK}"):
            kept = discord.store.peek(key)
            assert kept is not None
            assert kept[0] == GUILD.encode()
            assert kept[1] == pytest.approx(21_600, abs=60)

    async def test_what_other_hosts_remembered_counts(self, discord: World) -> None:
        await discord.store.set("flora:scope:ch:777", GUILD.encode(), ttl=60)
        await discord.store.set(f"flora:scope:ch:{CHANNEL}", FOREIGN.encode(), ttl=60)
        await discord.op("trigger_typing", {"channelId": "777"})
        with pytest.raises(OpError, match="outside runtime scope"):
            await discord.op("trigger_typing", {"channelId": CHANNEL})
        assert [each.line for each in discord.asked] == ["POST /channels/777/typing"]

    async def test_a_refusal_is_not_remembered(self, discord: World) -> None:
        discord.give(f"GET /channels/{CHANNEL}", {"message": "Missing Access", "code": 50001}, 403)
        await refused(discord, "trigger_typing", {"channelId": CHANNEL})
        del discord.answers[f"GET /channels/{CHANNEL}"]
        await discord.op("trigger_typing", {"channelId": CHANNEL})

    async def test_without_an_answer_nothing_is_done(self, discord: World) -> None:
        discord.give(f"GET /channels/{CHANNEL}", {"message": "down"}, 503)
        with pytest.raises(OpError) as caught:
            await discord.op("trigger_typing", {"channelId": CHANNEL})
        assert (caught.value.name, caught.value.extra["status"]) == ("DiscordHttpError", 503)
        assert discord.deeds == []

    async def test_a_channel_of_a_guild_that_was_left_is_forgotten(self, discord: World) -> None:
        discord.guilds.learn_channel(Snowflake(CHANNEL), GUILD)
        for guild, known in ((GuildId("1"), True), (GUILD, False)):
            payload = json.dumps({"id": guild}).encode()
            discord.guilds.observe(GatewayEvent(EventId(0, "s", 1), "GUILD_DELETE", guild, payload, 0.0))
            assert (discord.guilds.guild_of_channel(Snowflake(CHANNEL)) == GUILD) is known


class TestInteractions:
    def book(self, now: list[float]) -> InteractionBook:
        return InteractionBook(lambda: now[0])

    def allowed(self, book: InteractionBook, token: str, interaction_id: str | None = None) -> bool:
        try:
            book.check(token, interaction_id)
        except OpError:
            return False
        return True

    def test_a_token_counts_for_fifteen_minutes_and_with_its_own_id(self) -> None:
        now = [0.0]
        book = self.book(now)
        book.remember(b'{"id": "1", "token": "a", "data": {}}')
        assert self.allowed(book, "a", "1")
        assert not self.allowed(book, "a", "2")
        assert not self.allowed(book, "b")
        now[0] = INTERACTION_LIFETIME_SECS - 1
        assert self.allowed(book, "a")
        now[0] += 1
        assert not self.allowed(book, "a")

    def test_the_book_stays_small(self) -> None:
        now = [0.0]
        book = self.book(now)
        for number in range(MAX_INTERACTIONS + 5):
            book.remember(json.dumps({"id": "1", "token": str(number)}).encode())
        assert not self.allowed(book, "4")
        assert self.allowed(book, "5")
        now[0] = INTERACTION_LIFETIME_SECS
        book.remember(b'{"id": "1", "token": "new"}')
        assert len(book._tokens) == 1

    @pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"id": 1, "token": 2}', b'{"id": "1"'])
    def test_odd_payloads_are_ignored(self, payload: bytes) -> None:
        InteractionBook(lambda: 0.0).remember(payload)

    async def test_answers_need_both_id_and_token(self, discord: World) -> None:
        await refused(discord, "defer_interaction_update", {**TO, "interactionId": "151"})
        await discord.op("defer_interaction_update", TO)

    async def test_one_from_before_a_restart_is_asked_of_discord_once(self, discord: World) -> None:
        old = {"token": "token-before-restart"}
        for _ in range(2):
            await discord.op("edit_original_interaction_response", {**old, "content": "x"})
            await discord.op("create_followup_message", {**old, "content": "x"})
        look_ups = [each.line for each in discord.asked if "@original" in each.line and "GET" in each.line]
        assert look_ups == ["GET /webhooks/10/token-before-restart/messages/@original"]
        with pytest.raises(OpError, match="do not belong together"):  # a first answer needs the id
            await discord.op("defer_interaction_update", {**TO, **old})

    async def test_one_that_is_not_the_guilds_is_asked_of_discord_once(self, discord: World) -> None:
        for token in (FOREIGN_TOKEN, "token-of-nobody", "no/token"):
            for _ in range(3):
                await refused(discord, "create_followup_message", {"token": token, "content": "x"})
        asked = [each.line for each in discord.asked if "@original" in each.line]
        assert asked == [
            f"GET /webhooks/10/{token}/messages/@original" for token in (FOREIGN_TOKEN, "token-of-nobody")
        ]
