"""The bot of the end-to-end benchmark with discord.py: `bot_discord_py.py REST_URL TOKEN FILE`.

FILE is the log of the counter, written through to the disk before the answer.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
import urllib.request

import discord
import yarl
from discord import app_commands


def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


class Bot(discord.Client):
    def __init__(self, file: str) -> None:
        intents = discord.Intents(guilds=True, guild_messages=True, message_content=True)
        super().__init__(intents=intents)
        self.log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.numbers = itertools.count(1)
        self.tree = app_commands.CommandTree(self)
        self.tree.add_command(hello)

    async def setup_hook(self) -> None:
        await self.tree.sync()

    def keep(self, number: int) -> None:
        os.write(self.log, b"%d\n" % number)
        os.fdatasync(self.log)

    async def on_message(self, message: discord.Message) -> None:
        if message.author.bot or not message.content.startswith("!"):
            return
        command, *words = message.content[1:].split(" ")
        if command == "echo":
            await message.reply(" ".join(words))
        elif command == "count":
            number = next(self.numbers)
            await asyncio.to_thread(self.keep, number)
            await message.reply(f"{words[0]} {number}")
        elif command == "cpu":
            await message.reply(f"{words[0]} {fibonacci(18)}")
        elif command == "busy":
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                pass
            await message.reply(words[0])


@app_commands.command(description="Says hello")
async def hello(interaction: discord.Interaction, name: str) -> None:
    await interaction.response.send_message(f"hello {name}")


def main() -> None:
    rest_url, token, file = sys.argv[1:]
    discord.http.Route.BASE = rest_url
    with urllib.request.urlopen(f"{rest_url}/gateway") as answer:
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(json.load(answer)["url"])
    Bot(file).run(token, log_handler=None)


if __name__ == "__main__":
    main()
