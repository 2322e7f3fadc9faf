"""The guild cache: what the gateway tells is what it knows, in little memory."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora.gateway.events import GatewayEvent
from flora.gateway.guilds import MAX_LEARNED, GuildCache, RawGuild, RawMember, Snapshot
from flora.ids import EventId, GuildId, Snowflake

GUILD = GuildId("100")
OTHER = GuildId("200")
CHANNEL = {
    "id": "120",
    "type": 0,
    "name": "general",
    "position": 1,
    "permission_overwrites": [{"id": "170", "type": 0, "allow": "1024", "deny": "2048"}],
}
THREAD = {"id": "122", "type": 11, "name": "weeds", "parent_id": "120", "owner_id": "160"}
ROLE = {"id": "170", "name": "Gardener", "permissions": "2048", "color": 5, "hoist": True, "position": 3}
WHOLE = {
    "id": GUILD,
    "name": "Garden",
    "owner_id": "160",
    "channels": [CHANNEL, {"id": "121", "type": 4, "name": "plants"}],
    "threads": [THREAD],
    "roles": [{"id": GUILD, "name": "@everyone", "permissions": "1024"}, ROLE],
    "members": [{"user": {"id": "160"}}, {"user": {"id": "11"}, "roles": ["170"], "nick": "Flo"}],
}


def tell(cache: GuildCache, name: str, payload: Any, guild: GuildId | None = GUILD) -> None:
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    cache.observe(GatewayEvent(EventId(0, "s", 1), name, guild, text, 0.0))


@pytest.fixture
def cache() -> GuildCache:
    cache = GuildCache()
    tell(cache, "READY", {"user": {"id": "11"}, "guilds": []}, None)
    tell(cache, "GUILD_CREATE", WHOLE)
    return cache


def seen(cache: GuildCache) -> Snapshot:
    found = cache.snapshot(GUILD)
    assert found is not None
    return found


def channels(cache: GuildCache) -> dict[int, str]:
    return {each.id: each.name for each in seen(cache).channels}


def owner(cache: GuildCache, channel: str) -> GuildId | None:
    return cache.guild_of_channel(Snowflake(channel))


def test_a_guild_as_it_arrives(cache: GuildCache) -> None:
    guild = seen(cache)
    assert (guild.name, guild.owner_id, cache.name(GUILD), cache.guilds()) == (
        "Garden",
        160,
        "Garden",
        [GUILD],
    )
    assert channels(cache) == {120: "general", 121: "plants"}
    [overwrite] = guild.channels[0].overwrites
    assert (overwrite.id, overwrite.allow, overwrite.deny) == (170, 1024, 2048)
    [thread] = guild.threads
    assert (thread.parent_id, thread.owner_id, thread.is_thread) == (120, 160, True)
    assert [(role.id, role.permissions) for role in guild.roles] == [(100, 1024), (170, 2048)]
    assert guild.me is not None
    assert (guild.me.roles, guild.me.nick) == ((170,), "Flo")
    assert [owner(cache, each) for each in ("120", "121", "122", "123")] == [GUILD, GUILD, GUILD, None]


def test_channels_come_change_and_go(cache: GuildCache) -> None:
    tell(cache, "CHANNEL_CREATE", {"id": "123", "name": "herbs"})
    tell(cache, "CHANNEL_UPDATE", {**CHANNEL, "name": "everything", "permission_overwrites": []})
    assert channels(cache) == {120: "everything", 121: "plants", 123: "herbs"}
    assert seen(cache).channels[0].overwrites == ()
    tell(cache, "CHANNEL_DELETE", {"id": "120"})
    assert channels(cache) == {121: "plants", 123: "herbs"}
    assert seen(cache).threads == (), "threads go with their channel"
    assert [owner(cache, each) for each in ("120", "122", "123")] == [None, None, GUILD]


def test_threads_come_change_and_go(cache: GuildCache) -> None:
    tell(cache, "THREAD_CREATE", {**THREAD, "id": "124", "name": "slugs"})
    tell(cache, "THREAD_UPDATE", {**THREAD, "name": "more weeds"})
    assert [each.name for each in seen(cache).threads] == ["more weeds", "slugs"]
    tell(cache, "THREAD_DELETE", {"id": "122"})
    assert [each.name for each in seen(cache).threads] == ["slugs"]
    assert (owner(cache, "122"), owner(cache, "124")) == (None, GUILD)
    tell(cache, "THREAD_LIST_SYNC", {"threads": [{**THREAD, "id": "125"}], "channel_ids": ["120"]})
    assert [each.id for each in seen(cache).threads] == [125]
    assert (owner(cache, "124"), owner(cache, "125")) == (None, GUILD)


def test_roles_come_change_and_go(cache: GuildCache) -> None:
    tell(cache, "GUILD_ROLE_CREATE", {"role": {"id": "171", "name": "Guest"}})
    tell(cache, "GUILD_ROLE_UPDATE", {"role": {**ROLE, "permissions": "8"}})
    assert [(role.id, role.permissions) for role in seen(cache).roles] == [(100, 1024), (170, 8), (171, 0)]
    tell(cache, "GUILD_ROLE_DELETE", {"role_id": "170"})
    assert [role.id for role in seen(cache).roles] == [100, 171]


def test_only_the_bot_itself_is_kept_as_a_member(cache: GuildCache) -> None:
    before = seen(cache).me
    tell(cache, "GUILD_MEMBER_UPDATE", {"user": {"id": "160"}, "roles": ["1"]})
    update = {"user": {"id": "11"}, "roles": [], "communication_disabled_until": "2030-01-01T00:00:00Z"}
    assert seen(cache).me == before
    tell(cache, "GUILD_MEMBER_UPDATE", update)
    me = seen(cache).me
    assert me is not None
    assert (me.roles, me.nick, me.timed_out_until) == ((), None, "2030-01-01T00:00:00Z")


def test_the_guild_itself_changes(cache: GuildCache) -> None:
    tell(cache, "GUILD_UPDATE", {"id": GUILD, "name": "Park", "icon": "hash", "owner_id": "161"})
    guild = seen(cache)
    assert (guild.name, guild.icon, guild.owner_id) == ("Park", "hash", 161)
    assert channels(cache) == {120: "general", 121: "plants"}


def test_an_outage_is_not_a_farewell(cache: GuildCache) -> None:
    cache.learn_channel(Snowflake("999"), GUILD)
    tell(cache, "GUILD_DELETE", {"id": GUILD, "unavailable": True})
    tell(cache, "GUILD_CREATE", {"id": GUILD, "unavailable": True})
    assert owner(cache, "999") == GUILD
    assert channels(cache) == {120: "general", 121: "plants"}
    tell(cache, "GUILD_DELETE", {"id": GUILD})
    assert cache.snapshot(GUILD) is None
    assert cache.guilds() == []
    assert cache._guild_of == {}, "nothing is left of it"


def test_learned_channels_are_bounded_and_survive_a_new_session(cache: GuildCache) -> None:
    for number in range(MAX_LEARNED + 10):
        cache.learn_channel(Snowflake(str(10_000 + number)), OTHER)
    assert sum(guild == int(OTHER) for guild in cache._guild_of.values()) == MAX_LEARNED
    assert cache.guilds() == [GUILD], "the gateway has not told of the other one"
    assert cache.snapshot(OTHER) is None


def test_a_guild_may_be_learned_from_the_rest_api() -> None:
    cache = GuildCache()
    cache.user_id = 11
    raw = RawGuild(id=GUILD, name="Garden", owner_id="160", channels=[], threads=[], roles=[])
    raw.members = [RawMember(roles=["170"])]
    tell(cache, "CHANNEL_CREATE", CHANNEL)
    assert cache.snapshot(GUILD) is None, "one channel is not a guild"
    cache.learn_guild(raw)
    assert seen(cache).me is None


def test_events_change_the_number_of_changes(cache: GuildCache) -> None:
    numbers = [cache.changes(GUILD)]
    for name, payload in (
        ("CHANNEL_CREATE", CHANNEL),
        ("GUILD_ROLE_UPDATE", {"role": ROLE}),
        ("GUILD_CREATE", WHOLE),
        ("CHANNEL_DELETE", {"id": "120"}),
    ):
        tell(cache, name, payload)
        numbers.append(cache.changes(GUILD))
    assert len(set(numbers)) == len(numbers)


EVENTS = [*GuildCache()._handlers, "READY"]
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["120", "100", "11"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "user",
                    "roles",
                    "role",
                    "role_id",
                    "channels",
                    "threads",
                    "members",
                    "permission_overwrites",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
)


@given(st.lists(st.tuples(st.sampled_from(EVENTS), values), max_size=5))
def test_no_payload_breaks_it(events: list[tuple[str, Any]]) -> None:
    cache = GuildCache()
    tell(cache, "GUILD_CREATE", WHOLE)
    for name, payload in events:
        tell(cache, name, payload)
    for guild in cache.guilds():
        cache.snapshot(guild)
