"""The world itself: ids, permissions, sessions and command lines, without a server."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora.playground import demo, slash
from flora.playground import permissions as may
from flora.playground.actions import commands, messages
from flora.playground.drafts import MessageDraft, read_draft
from flora.playground.entities import Overwrite, User
from flora.playground.errors import DiscordError, PlaygroundRefusedError
from flora.playground.gateway.session import Session
from flora.playground.model import Dispatch, Model
from flora.playground.snowflake import ManualClock, SnowflakeFactory, created_at


@given(st.lists(st.floats(min_value=-5, max_value=5, allow_nan=False), max_size=200))
def test_ids_only_grow_whatever_the_clock_does(steps: list[float]) -> None:
    clock = ManualClock()
    factory = SnowflakeFactory(clock)
    ids = []
    for step in steps:
        clock.advance(step)
        ids.append(int(factory.next()))
    assert ids == sorted(set(ids))


def test_an_id_knows_its_time() -> None:
    clock = ManualClock()
    assert created_at(SnowflakeFactory(clock).next()) == clock.now()


def test_more_ids_than_fit_a_millisecond_stay_unique() -> None:
    factory = SnowflakeFactory(ManualClock())
    assert len({factory.next() for _ in range(10_000)}) == 10_000


def test_two_worlds_that_live_alike_are_alike() -> None:
    def live() -> list[Dispatch]:
        model = demo.demo_model(ManualClock())
        happened: list[Dispatch] = []
        model.listen(happened.append)
        channel = model.channels[demo.GARDEN_GENERAL]
        for text in ("one", "two"):
            messages.create_message(model, model.users[demo.ANN], channel, MessageDraft(content=text))
        return happened

    assert msgspec.json.encode(live()) == msgspec.json.encode(live())


class TestPermissions:
    def test_the_owner_may_everything(self) -> None:
        model = demo.demo_model()
        assert may.guild_permissions(model.guilds[demo.GARDEN], demo.ANN) == may.ALL

    def test_a_stranger_may_nothing(self) -> None:
        assert may.guild_permissions(demo.demo_model().guilds[demo.GARDEN], "1") == 0

    def test_overwrites_apply_in_discords_order(self) -> None:
        model = demo.demo_model()
        guild = model.guilds[demo.GARDEN]
        channel = guild.channels[demo.GARDEN_GENERAL]
        [role] = [each for each in guild.roles.values() if each.name == "gardeners"]
        guild.members[demo.CLEO].roles.append(role.id)
        channel.overwrites = [Overwrite(guild.id, 0, allow=0, deny=may.SEND_MESSAGES)]
        assert not may.channel_permissions(guild, channel, demo.CLEO) & may.SEND_MESSAGES
        channel.overwrites.append(Overwrite(role.id, 0, allow=may.SEND_MESSAGES, deny=0))
        assert may.channel_permissions(guild, channel, demo.CLEO) & may.SEND_MESSAGES
        channel.overwrites.append(Overwrite(demo.CLEO, 1, allow=0, deny=may.VIEW_CHANNEL))
        assert may.channel_permissions(guild, channel, demo.CLEO) == 0


def _session(shard: int = 0, count: int = 1) -> Session:
    return Session("s", User(demo.ANN, "ann", None, "t"), "t", 0, shard, count)


@given(st.integers(0, 50), st.data())
def test_a_session_replays_exactly_what_came_after_a_number(pushed: int, data: st.DataObject) -> None:
    session = _session()
    for number in range(pushed):
        session.push("E", b"%d" % number)
    seq = data.draw(st.integers(0, pushed))
    frames = session.after(seq)
    assert frames is not None
    assert [msgspec.json.decode(each)["s"] for each in frames] == list(range(seq + 1, pushed + 1))


@given(st.integers(min_value=0, max_value=2**64 - 1), st.integers(1, 16))
def test_each_guild_belongs_to_one_shard(guild: int, count: int) -> None:
    assert sum(_session(shard, count).serves(str(guild)) for shard in range(count)) == 1


_FIELDS = (
    "content embeds components flags nonce type title fields allowed_mentions message_reference attachments"
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(_FIELDS.split()), inner),
    max_leaves=20,
)


@given(_values)
def test_no_body_is_more_than_refused(body: object) -> None:
    refusals: list[DiscordError] = []
    try:
        read_draft(body, [], allowed_flags=0)
    except DiscordError as error:
        refusals.append(error)
    assert all(each.error_code == 50035 and each.errors for each in refusals)


class TestCommandLine:
    @pytest.fixture
    def model(self) -> Model:
        model = demo.demo_model()
        options = [
            {"type": 3, "name": "text", "description": "d", "required": True},
            {"type": 4, "name": "count", "description": "d", "max_value": 5},
        ]
        commands.create(model, None, {"name": "note", "description": "d", "options": options})
        return model

    @pytest.mark.parametrize(
        ("line", "values"),
        [
            ("/note hello", {"text": "hello"}),
            ("/note hello 3", {"text": "hello", "count": 3}),
            ('/note "two words" 3', {"text": "two words", "count": 3}),
            ("/note count:3 two words", {"count": 3, "text": "two words"}),
            ("/note text:hello count:3", {"text": "hello", "count": 3}),
            ("/NOTE hello", {"text": "hello"}),
        ],
    )
    def test_lines_that_mean_something(self, model: Model, line: str, values: dict[str, object]) -> None:
        typed = slash.parse(model, model.guilds[demo.GARDEN], line)
        assert {each["name"]: each["value"] for each in typed.options} == values

    @pytest.mark.parametrize("line", ["/note", "/note a b c", "/note text:x count:9", "/other", "/"])
    def test_lines_that_do_not(self, model: Model, line: str) -> None:
        with pytest.raises(PlaygroundRefusedError):
            slash.parse(model, model.guilds[demo.GARDEN], line)

    @given(st.text())
    def test_no_line_is_more_than_refused(self, line: str) -> None:
        model = demo.demo_model()
        option = {"type": 3, "name": "text", "description": "d"}
        commands.create(model, None, {"name": "note", "description": "d", "options": [option]})
        with contextlib.suppress(PlaygroundRefusedError):
            slash.parse(model, model.guilds[demo.GARDEN], "/note " + line)
