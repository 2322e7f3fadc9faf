"""A hikari program, unmodified but for its address: `foreign_hikari.py REST_URL TOKEN`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import hikari


def tell(event: str, **facts: Any) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


def main() -> None:
    rest_url, token = sys.argv[1:]
    bot = hikari.GatewayBot(
        token,
        rest_url=rest_url,
        intents=hikari.Intents.ALL,
        banner=None,
        logs="ERROR",
        suppress_optimization_warning=True,
    )

    @bot.listen()
    async def on_starting(_: hikari.StartingEvent) -> None:
        application = await bot.rest.fetch_application()
        hello = bot.rest.slash_command_builder("hello", "Say hello")
        hello.add_option(
            hikari.CommandOption(type=hikari.OptionType.STRING, name="name", description="To whom")
        )
        menu = bot.rest.slash_command_builder("menu", "Show a button")
        await bot.rest.set_application_commands(application, [hello, menu])

    @bot.listen()
    async def on_started(_: hikari.StartedEvent) -> None:
        me = bot.get_me()
        assert me is not None
        # StartedEvent may come before the guilds.
        while len(bot.cache.get_available_guilds_view()) < 2:
            await asyncio.sleep(0.02)
        guilds = [guild.name for guild in bot.cache.get_available_guilds_view().values()]
        tell("ready", user=me.username, guilds=guilds)

    @bot.listen()
    async def on_resumed(_: hikari.ShardResumedEvent) -> None:
        tell("resumed")

    @bot.listen()
    async def on_message(event: hikari.GuildMessageCreateEvent) -> None:
        if not event.is_human:
            return
        tell("message", content=event.content, author=event.author.username)
        if event.content is not None and event.content.startswith("!ping"):
            text = f"pong ({event.content.removeprefix('!ping').strip()})"
            await event.message.respond(text, reply=True)
            await event.message.add_reaction("👍")

    @bot.listen()
    async def on_interaction(event: hikari.InteractionCreateEvent) -> None:
        interaction = event.interaction
        if isinstance(interaction, hikari.CommandInteraction) and interaction.command_name == "hello":
            name = interaction.options[0].value if interaction.options else "stranger"
            await interaction.create_initial_response(
                hikari.ResponseType.MESSAGE_CREATE, f"hello {name}", flags=hikari.MessageFlag.EPHEMERAL
            )
        elif isinstance(interaction, hikari.CommandInteraction):
            row = bot.rest.build_message_action_row()
            row.add_interactive_button(hikari.ButtonStyle.PRIMARY, "press", label="Press")
            await interaction.create_initial_response(
                hikari.ResponseType.MESSAGE_CREATE, "press it", component=row
            )
        elif isinstance(interaction, hikari.ComponentInteraction):
            await interaction.create_initial_response(
                hikari.ResponseType.MESSAGE_UPDATE, "pressed", components=[]
            )
            tell("clicked", user=interaction.user.username)

    bot.run(check_for_updates=False, enable_signal_handlers=False)


if __name__ == "__main__":
    main()
