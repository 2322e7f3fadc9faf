"""The guild that a test has to itself, and what people do in it.

A playground's world with fixed ids and a clock that stands still: the same test sees the same ids and times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from flora.gateway.events import GatewayEvent
from flora.gateway.guilds import GuildCache
from flora.ids import EventId, GuildId, Snowflake
from flora.playground import permissions as may
from flora.playground import slash
from flora.playground.actions import commands, guilds, interactions, messages, reactions
from flora.playground.answers import message_view
from flora.playground.drafts import MessageDraft
from flora.playground.entities import TEXT, Application, Channel, Guild, Member, Message, Role, User
from flora.playground.errors import Json, PlaygroundRefusedError
from flora.playground.model import Dispatch, Model, make_token
from flora.playground.snowflake import DETERMINISTIC_START
from flora.playground.state import Playground
from flora.testkit.steps import (
    Autocomplete,
    Click,
    Delete,
    Edit,
    Join,
    Leave,
    Menu,
    React,
    Say,
    Slash,
    Step,
    Submit,
)

GUILD: Final = GuildId("999000000000000000")
"""As in the first flora's harness."""
_FOUNDED: Final = DETERMINISTIC_START - 365 * 86_400.0
_MEMBERS: Final = ("owner", "mod", "ann", "ben", "cleo")
_CHANNELS: Final = ("general", "bots")
_BOT: Final = (
    may.EVERYONE_DEFAULT
    | may.MANAGE_MESSAGES
    | may.MANAGE_ROLES
    | may.MANAGE_CHANNELS
    | may.MANAGE_WEBHOOKS
    | may.MANAGE_THREADS
    | may.MANAGE_NICKNAMES
    | may.KICK_MEMBERS
    | may.BAN_MEMBERS
    | may.MODERATE_MEMBERS
    | may.CREATE_PRIVATE_THREADS
    | may.MENTION_EVERYONE
)
_MODERATORS: Final = may.MANAGE_MESSAGES | may.KICK_MEMBERS | may.BAN_MEMBERS | may.MODERATE_MEMBERS


class TestClock:
    """Stands still until it is set; in milliseconds since 1970, as JavaScript counts."""

    __test__ = False

    def __init__(self) -> None:
        self.ms: float = DETERMINISTIC_START * 1000

    def now(self) -> float:
        """In seconds, as the playground and the key-value store count."""
        return self.ms / 1000


class World:
    """One test's guild. `perform` lets a person do something; what happens is told to the listeners."""

    def __init__(self, clock: TestClock) -> None:
        self.clock = clock
        bot = User(_id(10), "flora", None, make_token(_id(10), "test"), bot=True)
        self.model = Model(_application(bot), clock=clock)
        self.model.add_user(bot)
        people = [_person(_id(20 + number), name) for number, name in enumerate(_MEMBERS)]
        for person in people:
            self.model.add_user(person)
        self.guild = _guild(bot, people)
        self.model.add_guild(self.guild)
        self.playground = Playground.over(self.model)
        self.playground.limits.scale = 0  # a limit would wait for a clock that stands still
        self.cache = GuildCache()
        self._numbers = 0
        self._learn("READY", {"user": bot.json()}, None)
        self._learn("GUILD_CREATE", guilds.guild_create_json(self.model, self.guild, bot, 50), GUILD)

    @property
    def bot(self) -> User:
        return self.model.application.bot

    def listen(self, happened: Callable[[Dispatch, bytes | None], None]) -> None:
        """Tell of everything that happens; with its payload if the bot's gateway session would get it."""

        def on_dispatch(dispatch: Dispatch) -> None:
            payload: bytes | None = None
            if not dispatch.page_only and self.playground.feed.sees(self.bot, dispatch):
                payload = self._learn(dispatch.name, dispatch.data, dispatch.guild_id)
            happened(dispatch, payload)

        self.model.listen(on_dispatch)

    def _learn(self, name: str, data: Json, guild_id: str | None) -> bytes:
        """What the gateway tells the host too."""
        payload = msgspec.json.encode(data)
        self._numbers += 1
        guild = None if guild_id is None else GuildId(guild_id)
        self.cache.observe(GatewayEvent(EventId(0, "test", self._numbers), name, guild, payload, 0.0))
        return payload

    def names(self) -> Json:
        """Ids by name, as the test kit shows them."""
        return {
            "guildId": self.guild.id,
            "applicationId": self.model.application.id,
            "channels": {channel.name: channel.id for channel in self.guild.channels.values()},
            "roles": {role.name: role.id for role in self.guild.roles.values()},
            "users": {member.user.username: member.user.id for member in self.guild.members.values()},
        }

    def register(self, wanted: Any) -> None:
        """Have these application commands. Raises DiscordError for what Discord would refuse."""
        commands.overwrite(self.model, self.guild.id, wanted)

    # ------------------------------------------------------------------ steps

    def perform(self, step: Step) -> interactions.Interaction | None:
        """Carry out one step; the interaction that it began, if it did.

        Raises PlaygroundRefusedError for what a person cannot do, DiscordError for what Discord refuses.
        """
        model = self.model
        match step:
            case Say():
                channel = self.channel(step.channel)
                messages.create_message(
                    model, self.user(step.user), channel, MessageDraft(content=step.content)
                )
            case Edit():
                user, channel, message = self._message(step.user, step.channel_id, step.message_id)
                messages.edit_own_message(model, user, message, channel, MessageDraft(content=step.content))
            case Delete():
                user, channel, message = self._message(step.user, step.channel_id, step.message_id)
                messages.delete_as(model, user, channel, message)
            case React():
                user, channel, message = self._message(step.user, step.channel_id, step.message_id)
                action = reactions.remove_reaction if step.remove else reactions.add_reaction
                action(model, user, channel, message, step.emoji)
            case Join():
                guilds.join_guild(model, self.guild, self._newcomer(step))
            case Leave():
                guilds.leave_guild(model, self.guild, self.user(step.name))
            case Slash() | Autocomplete() | Menu():
                return self._command(step)
            case Click():
                return self._click(step)
            case Submit():
                user = self.user(step.user)
                return interactions.submit_modal(
                    model, user, self._open_modal(user, step.custom_id), step.fields
                )
        return None

    def _command(self, step: Slash | Autocomplete | Menu) -> interactions.Interaction:
        user, channel = self.user(step.user), self.channel(step.channel)
        if isinstance(step, Menu):
            return self._menu(step, user, channel)
        name, *path = step.name.removeprefix("/").split()
        command = self._registered(name, commands.CHAT_INPUT)
        focused = step.focused if isinstance(step, Autocomplete) else None
        options: list[Json] = [
            {"name": key, "value": value} | ({"focused": True} if key == focused else {})
            for key, value in step.values.items()
        ]
        for part in reversed(path):
            options = [{"name": part, "options": options}]
        typed = slash.resolve(self.model, self.guild, command, options)
        kind = interactions.COMMAND if focused is None else interactions.AUTOCOMPLETE
        return interactions.start_command(self.model, user, channel, typed, kind=kind)

    def _menu(self, step: Menu, user: User, channel: Channel) -> interactions.Interaction:
        found = self._find_message(step.target)
        kind = commands.USER_COMMAND if found is None else commands.MESSAGE_COMMAND
        typed = slash.Typed(self._registered(step.name, kind), [], {})
        target = self.user(step.target).id if found is None else step.target
        place = channel if found is None else found[0]
        return interactions.start_command(self.model, user, place, typed, target_id=target)

    def _click(self, step: Click) -> interactions.Interaction:
        user = self.user(step.user)
        if step.message_id is not None and step.channel_id is not None:
            _, channel, message = self._message(step.user, step.channel_id, step.message_id)
        else:
            channel, message = self._newest_with(step.custom_id, user)
        return interactions.start_component(self.model, user, channel, message, step.custom_id, step.values)

    def _registered(self, name: str, kind: int) -> commands.Command:
        usable = [each for each in commands.usable_in(self.model, self.guild.id) if each.kind == kind]
        for command in usable:
            if command.name == name:
                return command
        known = ", ".join(each.name for each in usable) or "none"
        raise PlaygroundRefusedError(f"There is no command {name!r}. The script has registered: {known}.")

    def _open_modal(self, user: User, custom_id: str) -> interactions.Interaction:
        for interaction in reversed(self.model.interactions.values()):
            if interaction.modal is not None and interaction.user.id == user.id:
                if interaction.modal["custom_id"] == custom_id:
                    return interaction
                raise PlaygroundRefusedError(
                    f"The modal that is open is {interaction.modal['custom_id']!r}, not {custom_id!r}."
                )
        raise PlaygroundRefusedError(f"No modal is open for {user.username}.")

    def _newest_with(self, custom_id: str, user: User) -> tuple[Channel, Message]:
        found: list[tuple[int, Channel, Message]] = []
        for channel in self.guild.channels.values():
            for message in channel.messages.values():
                shown = message.visible_to in (None, user.id)
                if shown and f'"{custom_id}"' in msgspec.json.encode(message.components).decode():
                    found.append((int(message.id), channel, message))
        if not found:
            raise PlaygroundRefusedError(
                f"No message that {user.username} sees has a component {custom_id!r}."
            )
        _, channel, message = max(found, key=lambda each: each[0])
        return channel, message

    def _message(self, user: str, channel_id: str, message_id: str) -> tuple[User, Channel, Message]:
        person, channel = self.user(user), self.channel(channel_id)
        return person, channel, self.model.message(channel, message_id, person)

    def _find_message(self, message_id: str) -> tuple[Channel, Message] | None:
        for channel in self.guild.channels.values():
            if (message := channel.messages.get(message_id)) is not None:
                return channel, message
        return None

    # ------------------------------------------------------------------ who and what is there

    def user(self, name: str) -> User:
        """Somebody by name or id."""
        for user in self.model.users.values():
            if name in (user.id, user.username):
                return user
        known = ", ".join(user.username for user in self.model.users.values())
        raise PlaygroundRefusedError(f"There is nobody called {name!r}. There are: {known}.")

    def channel(self, name: str) -> Channel:
        """A channel or thread by name or id."""
        for channel in self.model.channels.values():
            if name in (channel.id, channel.name):
                return channel
        known = ", ".join(channel.name for channel in self.guild.channels.values())
        raise PlaygroundRefusedError(f"There is no channel {name!r}. There are: {known}.")

    def role(self, name: str) -> Role:
        for role in self.guild.roles.values():
            if name in (role.id, role.name):
                return role
        raise PlaygroundRefusedError(f"There is no role {name!r}.")

    def add_role(self, name: str, bits: int) -> str:
        body = {"name": name, "permissions": str(bits)}
        return guilds.create_role(self.model, self.user("owner"), self.guild, body).id

    def add_channel(self, name: str) -> str:
        return guilds.create_channel(self.model, self.user("owner"), self.guild, {"name": name}).id

    def grant(self, name: str, role: str) -> None:
        member = self.model.member(self.guild, self.user(name).id)
        guilds.set_member_role(self.model, self.user("owner"), self.guild, member, self.role(role).id, True)

    def _newcomer(self, step: Join) -> User:
        for user in self.model.users.values():
            if user.username == step.name:
                return user
        user_id = self.model.next_id()
        return self.model.add_user(
            User(user_id, step.name, step.name.capitalize(), make_token(user_id, step.name), bot=step.bot)
        )

    def history(self, channel: str | None) -> list[Json]:
        """A channel's messages as its owner sees them, ephemeral ones too; the oldest first."""
        place = self.channel(channel or "general")
        return [self.view(place, message) for message in place.messages.values()]

    def view(self, channel: Channel, message: Message) -> Json:
        return message_view(self.model, channel, message, message.author)


def _id(number: int) -> Snowflake:
    """Older than everything that happens in a test."""
    return Snowflake(str(int(GUILD) + (number << 22)))


def _person(user_id: Snowflake, name: str) -> User:
    return User(user_id, name, name.capitalize(), make_token(user_id, name))


def _application(bot: User) -> Application:
    return Application(
        id=bot.id,
        name="flora",
        description="A bot under test.",
        owner=bot,
        bot=bot,
        client_secret="",
        redirect_uris=[],
    )


def _guild(bot: User, people: list[User]) -> Guild:
    owner, mod, *_ = people
    guild = Guild(Snowflake(GUILD), "Test guild", owner.id)
    moderators = Role(_id(40), "moderators", _MODERATORS, 1, hoist=True, mentionable=True)
    own = Role(_id(41), "flora", _BOT, 2, managed=True, bot_id=bot.id)
    everyone = Role(Snowflake(GUILD), "@everyone", may.EVERYONE_DEFAULT, 0)
    guild.roles = {role.id: role for role in (everyone, moderators, own)}
    guild.members = {person.id: Member(person, _FOUNDED) for person in people}
    guild.members[mod.id].roles.append(moderators.id)
    guild.members[bot.id] = Member(bot, _FOUNDED, [own.id])
    for position, name in enumerate(_CHANNELS):
        channel = Channel(_id(50 + position), TEXT, name, guild.id, position=position)
        guild.channels[channel.id] = channel
    return guild
