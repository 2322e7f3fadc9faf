"""The bot of the end-to-end benchmark with hikari: `bot_hikari.py REST_URL TOKEN FILE`.

FILE is the log of the counter, written through to the disk before the answer.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time

import hikari


def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def main() -> None:
    rest_url, token, file = sys.argv[1:]
    log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    numbers = itertools.count(1)
    bot = hikari.GatewayBot(
        token,
        rest_url=rest_url,
        intents=hikari.Intents.GUILDS | hikari.Intents.GUILD_MESSAGES | hikari.Intents.MESSAGE_CONTENT,
        banner=None,
        logs="ERROR",
        suppress_optimization_warning=True,
    )

    def keep(number: int) -> None:
        os.write(log, b"%d\n" % number)
        os.fdatasync(log)

    @bot.listen()
    async def on_starting(_: hikari.StartingEvent) -> None:
        application = await bot.rest.fetch_application()
        hello = bot.rest.slash_command_builder("hello", "Says hello")
        hello.add_option(
            hikari.CommandOption(type=hikari.OptionType.STRING, name="name", description="To whom")
        )
        await bot.rest.set_application_commands(application, [hello])

    @bot.listen()
    async def on_message(event: hikari.GuildMessageCreateEvent) -> None:
        if not event.is_human or event.content is None or not event.content.startswith("!"):
            return
        command, *words = event.content[1:].split(" ")
        if command == "echo":
            await event.message.respond(" ".join(words), reply=True)
        elif command == "count":
            number = next(numbers)
            await asyncio.to_thread(keep, number)
            await event.message.respond(f"{words[0]} {number}", reply=True)
        elif command == "cpu":
            await event.message.respond(f"{words[0]} {fibonacci(18)}", reply=True)
        elif command == "busy":
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                pass
            await event.message.respond(words[0], reply=True)

    @bot.listen()
    async def on_interaction(event: hikari.InteractionCreateEvent) -> None:
        interaction = event.interaction
        if isinstance(interaction, hikari.CommandInteraction) and interaction.options:
            await interaction.create_initial_response(
                hikari.ResponseType.MESSAGE_CREATE, f"hello {interaction.options[0].value}"
            )

    bot.run(check_for_updates=False, enable_signal_handlers=False)


if __name__ == "__main__":
    main()
