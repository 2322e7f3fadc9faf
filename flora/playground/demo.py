"""The demo world: one application with its bot, two guilds, three people. All ids are fixed.

The ids lie a few milliseconds after one day of 2024, so that the two guilds fall on different shards when
there are two (`(guild_id >> 22) % 2`).
"""

from __future__ import annotations

from typing import Final

from flora.ids import GuildId, Snowflake
from flora.playground import permissions as may
from flora.playground.entities import (
    CATEGORY,
    TEXT,
    Application,
    Channel,
    Guild,
    Member,
    Overwrite,
    Role,
    User,
)
from flora.playground.model import Model, make_token
from flora.playground.snowflake import DISCORD_EPOCH_MS, Clock, WorldClock

_DAY: Final = 1_704_067_200.0  # 2024-01-01T00:00:00Z


def demo_id(number: int) -> Snowflake:
    """The id `number` milliseconds after the demo's day."""
    return Snowflake(str((int(_DAY * 1000) - DISCORD_EPOCH_MS + number) << 22))


APPLICATION_ID: Final = demo_id(100)
BOT_TOKEN: Final = make_token(APPLICATION_ID, "flora-bot")
GARDEN: Final = GuildId(demo_id(200))
GREENHOUSE: Final = GuildId(demo_id(201))
ANN: Final = demo_id(301)
BEN: Final = demo_id(302)
CLEO: Final = demo_id(303)
GARDEN_GENERAL: Final = demo_id(401)
GARDEN_BOTS: Final = demo_id(402)
GARDEN_SHED: Final = demo_id(403)  # hidden from the bot
GREENHOUSE_GENERAL: Final = demo_id(501)
GREENHOUSE_BOTS: Final = demo_id(502)
HUMAN_TOKENS: Final = {
    name: make_token(user_id, name) for name, user_id in (("ann", ANN), ("ben", BEN), ("cleo", CLEO))
}

BOT_PERMISSIONS: Final = (
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
    | may.MANAGE_GUILD_EXPRESSIONS
    | may.CREATE_GUILD_EXPRESSIONS
    | may.MENTION_EVERYONE
)


def demo_model(clock: Clock | None = None) -> Model:
    """A fresh demo world; with a `ManualClock` two of them that live alike are alike."""
    ann, ben, cleo = (
        User(user_id, name, name.capitalize(), HUMAN_TOKENS[name])
        for name, user_id in (("ann", ANN), ("ben", BEN), ("cleo", CLEO))
    )
    bot = User(APPLICATION_ID, "flora", None, BOT_TOKEN, bot=True)
    application = Application(
        id=APPLICATION_ID,
        name="flora",
        description="The bot of this playground.",
        owner=ann,
        bot=bot,
        client_secret="playground-client-secret",
        redirect_uris=["http://localhost:3000/auth/callback"],
    )
    model = Model(application, clock=clock or WorldClock())
    for user in (bot, ann, ben, cleo):
        model.add_user(user)
    garden = _guild(GARDEN, "Garden", ann, [ann, ben, cleo], bot, first_role=601)
    greenhouse = _guild(GREENHOUSE, "Greenhouse", ben, [ann, ben, cleo], bot, first_role=701)
    _channels(garden, 400, {GARDEN_GENERAL: "general", GARDEN_BOTS: "bots", GARDEN_SHED: "shed"})
    _channels(greenhouse, 500, {GREENHOUSE_GENERAL: "general", GREENHOUSE_BOTS: "bots"})
    garden.channels[GARDEN_GENERAL].topic = "Talk about anything that grows."
    garden.channels[GARDEN_SHED].topic = "Only people come in here, no bots."
    garden.channels[GARDEN_SHED].overwrites = [Overwrite(APPLICATION_ID, 1, allow=0, deny=may.VIEW_CHANNEL)]
    model.add_guild(garden)
    model.add_guild(greenhouse)
    return model


def _guild(
    guild_id: GuildId, name: str, owner: User, people: list[User], bot: User, first_role: int
) -> Guild:
    guild = Guild(Snowflake(guild_id), name, owner.id)
    gardeners = Role(demo_id(first_role), "gardeners", 0, 1, color=0x2ECC71, hoist=True, mentionable=True)
    own = Role(demo_id(first_role + 1), "flora", BOT_PERMISSIONS, 2, managed=True, bot_id=bot.id)
    everyone = Role(Snowflake(guild_id), "@everyone", may.EVERYONE_DEFAULT, 0)
    guild.roles = {role.id: role for role in (everyone, gardeners, own)}
    for person in people:
        guild.members[person.id] = Member(person, _DAY)
    guild.members[owner.id].roles.append(gardeners.id)
    guild.members[bot.id] = Member(bot, _DAY, [own.id])
    return guild


def _channels(guild: Guild, first: int, names: dict[Snowflake, str]) -> None:
    category = Channel(demo_id(first), CATEGORY, "text channels", guild.id)
    guild.channels[category.id] = category
    for position, (channel_id, name) in enumerate(names.items()):
        guild.channels[channel_id] = Channel(
            channel_id, TEXT, name, guild.id, position=position, parent_id=category.id
        )
