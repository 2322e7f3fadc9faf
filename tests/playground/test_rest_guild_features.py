"""Auto-moderation, scheduled events, soundboard, stages, voice, onboarding, templates and the like over REST.

That each answer is as Discord describes it is checked by the client (`conftest.rest`).
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from flora.ops import calls, table
from flora.playground import demo, entry
from flora.playground.model import Model
from tests import openapi

from .client import Gateway
from .test_rest import error

GUILD = f"/guilds/{demo.GARDEN}"
SOON = "2030-01-01T10:00:00+00:00"
LATER = "2030-01-01T12:00:00+00:00"


async def ok(response: httpx.Response, status: int = 200) -> Any:
    assert response.status_code == status, response.text
    return response.json() if response.content else None


@pytest.fixture
def bot_may_all(model: Model) -> None:
    guild = model.guilds[demo.GARDEN]
    own = next(each for each in guild.roles.values() if each.bot_id is not None)
    own.permissions |= 1 << 3


@pytest.fixture
async def all_bot(bot_may_all: None, bot: httpx.AsyncClient) -> httpx.AsyncClient:
    return bot


async def channel(bot: httpx.AsyncClient, name: str, kind: int) -> str:
    made = await ok(await bot.post(f"{GUILD}/channels", json={"name": name, "type": kind}), 201)
    return str(made["id"])


def declared() -> list[tuple[str, str]]:
    """Method and path of every op that is one request."""
    owners = [getattr(op.function, "__self__", None) for op in table._OPS.values()]
    return [(each._method, each._template) for each in owners if isinstance(each, calls._Call)]


def test_every_route_of_the_ops_is_answered() -> None:
    assert len(declared()) > 100
    for method, template in declared():
        path = "/".join("1" if part.startswith("{") else part for part in template.split("/"))
        assert entry.is_route(method, path), f"{method} {template}"


async def test_auto_moderation(all_bot: httpx.AsyncClient, gateway: Gateway) -> None:
    rules = f"{GUILD}/auto-moderation/rules"
    body = {
        "name": "words",
        "event_type": 1,
        "trigger_type": 1,
        "trigger_metadata": {"keyword_filter": ["weed"]},
        "actions": [
            {"type": 1, "metadata": {"custom_message": "no"}},
            {"type": 2, "metadata": {"channel_id": demo.GARDEN_GENERAL}},
            {"type": 3, "metadata": {"duration_seconds": 60}},
        ],
        "enabled": True,
    }
    assert openapi.check_request("POST", rules, body) == []
    rule = await ok(await all_bot.post(rules, json=body, headers={"X-Audit-Log-Reason": "peace"}))
    assert rule["trigger_metadata"] == {"keyword_filter": ["weed"], "regex_patterns": [], "allow_list": []}
    assert (await gateway.event("AUTO_MODERATION_RULE_CREATE"))["id"] == rule["id"]
    changed = await ok(await all_bot.patch(f"{rules}/{rule['id']}", json={"name": "other"}))
    assert changed == rule | {"name": "other"}
    assert await ok(await all_bot.get(rules)) == [changed]
    assert await ok(await all_bot.get(f"{rules}/{rule['id']}")) == changed
    for kind, metadata in ((3, None), (4, {"presets": [1]}), (5, {"mention_total_limit": 5})):
        more = {"name": "x", "event_type": 1, "trigger_type": kind, "actions": [{"type": 1}]}
        await ok(await all_bot.post(rules, json=more | ({"trigger_metadata": metadata} if metadata else {})))
        error(await all_bot.post(rules, json=more | {"trigger_metadata": {}}), 400, 50035)  # one of its type
    await ok(await all_bot.delete(f"{rules}/{rule['id']}"), 204)
    assert (await gateway.event("AUTO_MODERATION_RULE_DELETE"))["id"] == rule["id"]
    assert (await all_bot.get(f"{rules}/{rule['id']}")).status_code == 404
    entries = (await ok(await all_bot.get(f"{GUILD}/audit-logs")))["audit_log_entries"]
    assert next(each["reason"] for each in entries if each["action_type"] == 140) == "peace"


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"trigger_type": 2},
        {"actions": [{"type": 2}]},
        {"actions": [{"type": 2, "metadata": {"channel_id": "1"}}]},
        {"trigger_metadata": {"keyword_filter": ["x" * 61]}},
        {"trigger_metadata": {"keyword_filter": "x"}},
    ],
)
async def test_wrong_rules_are_refused(all_bot: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    body = {"name": "r", "event_type": 1, "trigger_type": 1, "actions": [{"type": 1}]}
    error(await all_bot.post(f"{GUILD}/auto-moderation/rules", json=body | wrong), 400, 50035)


async def test_scheduled_events(
    all_bot: httpx.AsyncClient, gateway: Gateway, control: httpx.AsyncClient
) -> None:
    events = f"{GUILD}/scheduled-events"
    body = {
        "name": "harvest",
        "privacy_level": 2,
        "entity_type": 3,
        "scheduled_start_time": SOON,
        "scheduled_end_time": LATER,
        "entity_metadata": {"location": "the field"},
    }
    assert openapi.check_request("POST", events, body) == []
    event = await ok(await all_bot.post(events, json=body))
    assert (await gateway.event("GUILD_SCHEDULED_EVENT_CREATE"))["name"] == "harvest"
    path = f"{events}/{event['id']}"
    await ok(await control.put(f"{path}/users/ann", json={}), 204)
    assert (await gateway.event("GUILD_SCHEDULED_EVENT_USER_ADD"))["user_id"] == demo.ANN
    [user] = await ok(await all_bot.get(f"{path}/users?with_member=true"))
    assert (user["user"]["username"], "member" in user) == ("ann", True)
    assert (await ok(await all_bot.get(f"{path}?with_user_count=true")))["user_count"] == 1
    assert (await ok(await all_bot.patch(path, json={"status": 2})))["status"] == 2
    error(await all_bot.patch(path, json={"status": 1}), 400, 50035)
    voice = await channel(all_bot, "talk", 2)
    inside = {"entity_type": 2, "channel_id": voice, "entity_metadata": None, "scheduled_end_time": None}
    await ok(await all_bot.post(events, json=body | inside))
    assert len(await ok(await all_bot.get(events))) == 2
    for wrong in ({"entity_type": 2}, {"scheduled_start_time": "soon"}, {"entity_metadata": None}):
        error(await all_bot.post(events, json=body | wrong), 400, 50035)
    await ok(await all_bot.delete(path), 204)
    error(await all_bot.get(path), 404, 10070)


async def test_soundboard(all_bot: httpx.AsyncClient, gateway: Gateway, control: httpx.AsyncClient) -> None:
    sounds = f"{GUILD}/soundboard-sounds"
    body = {"name": "quack", "sound": "data:audio/mp3;base64,AAAA", "volume": 0.5}
    assert openapi.check_request("POST", sounds, body) == []
    sound = await ok(await all_bot.post(sounds, json=body), 201)
    assert (sound["volume"], sound["user"]["username"]) == (0.5, "flora")
    path = f"{sounds}/{sound['sound_id']}"
    assert (await ok(await all_bot.patch(path, json={"emoji_name": "🦆"})))["emoji_name"] == "🦆"
    assert (await ok(await all_bot.get(sounds)))["items"] == [await ok(await all_bot.get(path))]
    voice = await channel(all_bot, "talk", 2)
    play = f"/channels/{voice}/send-soundboard-sound"
    assert (await all_bot.post(play, json={"sound_id": sound["sound_id"]})).status_code == 400  # not there
    await gateway.send(4, {"guild_id": demo.GARDEN, "channel_id": voice, "self_mute": True})
    assert (await gateway.event("VOICE_STATE_UPDATE"))["self_mute"] is True
    await ok(await all_bot.post(play, json={"sound_id": sound["sound_id"]}), 204)
    assert (await gateway.event("VOICE_CHANNEL_EFFECT_SEND"))["sound_volume"] == 0.5
    await ok(await all_bot.delete(path), 204)
    error(await all_bot.get(path), 404, 10097)
    error(await all_bot.post(sounds, json={"name": "x", "sound": "nothing"}), 400, 50035)


async def test_voice_and_stages(
    all_bot: httpx.AsyncClient, gateway: Gateway, control: httpx.AsyncClient
) -> None:
    stage = await channel(all_bot, "forum", 13)
    state = f"{GUILD}/voice-states/{demo.ANN}"
    error(await all_bot.get(state), 404, 10065)
    await ok(await control.put(f"{GUILD}/voice/ann", json={"channel": "forum"}), 204)
    assert (await gateway.event("VOICE_STATE_UPDATE"))["channel_id"] == stage
    assert (await ok(await all_bot.get(state)))["suppress"] is True
    await ok(await all_bot.patch(state, json={"suppress": False}), 204)
    assert (await gateway.event("VOICE_STATE_UPDATE"))["suppress"] is False
    await gateway.send(4, {"guild_id": demo.GARDEN, "channel_id": stage})
    await gateway.event("VOICE_STATE_UPDATE")
    own = f"{GUILD}/voice-states/@me"
    await ok(await all_bot.patch(own, json={"request_to_speak_timestamp": SOON}), 204)
    assert (await ok(await all_bot.get(own)))["request_to_speak_timestamp"] == SOON
    instance = await ok(await all_bot.post("/stage-instances", json={"channel_id": stage, "topic": "bees"}))
    assert (await gateway.event("STAGE_INSTANCE_CREATE"))["id"] == instance["id"]
    error(await all_bot.post("/stage-instances", json={"channel_id": stage, "topic": "x"}), 400, 150006)
    path = f"/stage-instances/{stage}"
    assert (await ok(await all_bot.patch(path, json={"topic": "wasps"})))["topic"] == "wasps"
    assert (await ok(await all_bot.get(path)))["topic"] == "wasps"
    await ok(await all_bot.delete(path), 204)
    error(await all_bot.get(path), 404, 10067)
    await ok(await all_bot.put(f"/channels/{stage}/voice-status", json={"status": "buzzing"}), 204)
    assert (await gateway.event("VOICE_CHANNEL_STATUS_UPDATE"))["status"] == "buzzing"
    await ok(await control.put(f"{GUILD}/voice/ann", json={"channel": None}), 204)
    assert (await gateway.event("VOICE_STATE_UPDATE"))["channel_id"] is None
    assert len(await ok(await all_bot.get(f"{GUILD}/regions"))) > 1


async def test_a_deleted_channel_or_a_leaving_member_ends_the_voice_state(
    all_bot: httpx.AsyncClient, control: httpx.AsyncClient, model: Model
) -> None:
    voice = await channel(all_bot, "talk", 2)
    for person in ("ben", "cleo"):
        await ok(await control.put(f"{GUILD}/voice/{person}", json={"channel": "talk"}), 204)
    await ok(await control.delete(f"{GUILD}/members/ben"), 204)
    assert list(model.guilds[demo.GARDEN].voice_states) == [demo.CLEO]
    await ok(await all_bot.delete(f"/channels/{voice}"))
    assert model.guilds[demo.GARDEN].voice_states == {}


async def test_onboarding_welcome_screen_widget_and_incidents(all_bot: httpx.AsyncClient) -> None:
    option = {"title": "Roses", "role_ids": [], "channel_ids": [demo.GARDEN_GENERAL], "emoji_name": "🌹"}
    prompt = {"id": "1", "title": "What do you grow?", "options": [option], "in_onboarding": True}
    body = {"prompts": [prompt], "default_channel_ids": [demo.GARDEN_GENERAL], "enabled": True, "mode": 1}
    assert openapi.check_request("PUT", f"{GUILD}/onboarding", body) == []
    made = await ok(await all_bot.put(f"{GUILD}/onboarding", json=body))
    assert await ok(await all_bot.get(f"{GUILD}/onboarding")) == made
    kept = prompt | {"id": made["prompts"][0]["id"]}
    again = await ok(await all_bot.put(f"{GUILD}/onboarding", json={"prompts": [kept]}))
    assert again["prompts"][0]["id"] == made["prompts"][0]["id"]
    error(await all_bot.put(f"{GUILD}/onboarding", json={"default_channel_ids": ["1"]}), 400, 50035)

    error(await all_bot.get(f"{GUILD}/welcome-screen"), 404, 10069)
    shown = {"channel_id": demo.GARDEN_GENERAL, "description": "talk here"}
    screen = {"description": "hello", "welcome_channels": [shown], "enabled": True}
    assert openapi.check_request("PATCH", f"{GUILD}/welcome-screen", screen) == []
    made = await ok(await all_bot.patch(f"{GUILD}/welcome-screen", json=screen))
    assert await ok(await all_bot.get(f"{GUILD}/welcome-screen")) == made

    widget = {"enabled": True, "channel_id": demo.GARDEN_GENERAL}
    assert await ok(await all_bot.patch(f"{GUILD}/widget", json=widget)) == widget
    assert await ok(await all_bot.get(f"{GUILD}/widget")) == widget
    closed = {"invites_disabled_until": SOON, "dms_disabled_until": None}
    assert await ok(await all_bot.put(f"{GUILD}/incident-actions", json=closed)) == closed
    guild = await ok(await all_bot.get(GUILD))
    assert (guild["widget_enabled"], guild["incidents_data"]) == (True, closed)
    assert (await ok(await all_bot.get(f"{GUILD}/vanity-url")))["code"] is None


async def test_templates(all_bot: httpx.AsyncClient) -> None:
    path = f"{GUILD}/templates"
    template = await ok(await all_bot.post(path, json={"name": "beds", "description": "with paths"}))
    error(await all_bot.post(path, json={"name": "second"}), 400, 30031)
    one = f"{path}/{template['code']}"
    await channel(all_bot, "new", 0)
    synced = await ok(await all_bot.put(one))
    before, after = (len(each["serialized_source_guild"]["channels"]) for each in (template, synced))
    assert after == before + 1
    assert (await ok(await all_bot.patch(one, json={"name": "rows"})))["name"] == "rows"
    assert [each["name"] for each in await ok(await all_bot.get(path))] == ["rows"]
    await ok(await all_bot.delete(one))
    error(await all_bot.delete(one), 404, 10057)


async def test_prune(all_bot: httpx.AsyncClient, ann: httpx.AsyncClient, model: Model) -> None:
    guild = model.guilds[demo.GARDEN]
    for member in guild.members.values():
        member.joined_at -= 100 * 24 * 3600
        member.roles = [each for each in member.roles if guild.roles[each].bot_id]
    role = next(iter(each for each in guild.roles if each != guild.id and not guild.roles[each].bot_id), None)
    if role is not None:
        guild.members[demo.CLEO].roles.append(role)
    there = set(guild.members)
    count = (await ok(await all_bot.get(f"{GUILD}/prune?days=7")))["pruned"]
    assert (await ok(await all_bot.post(f"{GUILD}/prune", json={"days": 7})))["pruned"] == count > 0
    assert len(there - set(guild.members)) == count
    assert guild.owner_id in guild.members
    error(await all_bot.get(f"{GUILD}/prune?days=0"), 400, 50035)


async def test_integrations(all_bot: httpx.AsyncClient, ann: httpx.AsyncClient, model: Model) -> None:
    [bot] = await ok(await all_bot.get(f"{GUILD}/integrations"))
    assert bot["application"]["id"] == demo.APPLICATION_ID
    error(await ann.delete(f"{GUILD}/integrations/1"), 404, 10005)
    await ok(await ann.delete(f"{GUILD}/integrations/{bot['id']}"), 204)
    assert demo.APPLICATION_ID not in model.guilds[demo.GARDEN].members


async def test_followers_get_what_is_published(all_bot: httpx.AsyncClient, gateway: Gateway) -> None:
    news = await channel(all_bot, "news", 5)
    body = {"webhook_channel_id": demo.GARDEN_GENERAL}
    followed = await ok(await all_bot.post(f"/channels/{news}/followers", json=body))
    general = f"/channels/{demo.GARDEN_GENERAL}"
    [hook] = await ok(await all_bot.get(f"{general}/webhooks"))
    assert (hook["id"], hook["type"]) == (followed["webhook_id"], 2)
    message = await ok(await all_bot.post(f"/channels/{news}/messages", json={"content": "it rained"}))
    published = f"/channels/{news}/messages/{message['id']}/crosspost"
    assert (await ok(await all_bot.post(published)))["flags"] & 1
    [copy] = await ok(await all_bot.get(f"{general}/messages"))
    assert (copy["content"], copy["flags"] & 2) == ("it rained", 2)
    error(await all_bot.post(published), 400, 40033)
    error(await all_bot.post(f"{general}/followers", json=body), 400, 50024)


async def test_without_the_permission_nothing_is_shown_or_made(bot: httpx.AsyncClient, model: Model) -> None:
    own = next(each for each in model.guilds[demo.GARDEN].roles.values() if each.bot_id is not None)
    own.permissions = 0
    for path in ("auto-moderation/rules", "integrations", "templates", "widget", "vanity-url", "prune"):
        error(await bot.get(f"{GUILD}/{path}"), 403, 50013)
    for path in ("auto-moderation/rules", "scheduled-events", "soundboard-sounds", "templates", "prune"):
        error(await bot.post(f"{GUILD}/{path}", json={}), 403, 50013)
