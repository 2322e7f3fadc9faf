"""A discord.py program, unmodified but for its addresses: `foreign_bot.py REST_URL TOKEN bot|human|flood`."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from typing import Any

import discord
import yarl
from discord import app_commands


def tell(event: str, **facts: Any) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


class Client(discord.Client):
    def __init__(self, role: str) -> None:
        super().__init__(intents=discord.Intents.all())
        self.role = role
        self.tree = app_commands.CommandTree(self)
        self.tree.add_command(hello)
        self.tree.add_command(menu)

    async def setup_hook(self) -> None:
        if self.role == "bot":
            await self.tree.sync()

    async def on_ready(self) -> None:
        assert self.user is not None
        tell("ready", user=self.user.name, guilds=[guild.name for guild in self.guilds])
        garden = discord.utils.get(self.guilds, name="Garden")
        assert garden is not None
        channel = discord.utils.get(garden.text_channels, name="general")
        assert channel is not None
        if self.role == "human":
            await channel.send("!ping a b")
            tell("sent")
        elif self.role == "flood":
            sent = await asyncio.gather(*(channel.send(str(number)) for number in range(7)))
            tell("flooded", sent=len(sent))

    async def on_resumed(self) -> None:
        tell("resumed")

    async def on_message(self, message: discord.Message) -> None:
        if message.author == self.user or self.role != "bot":
            return
        tell("message", content=message.content, author=message.author.name)
        if message.content.startswith("!ping"):
            await message.reply(f"pong ({message.content.removeprefix('!ping').strip()})")
            await message.add_reaction("👍")


@app_commands.command(description="Say hello")
async def hello(interaction: discord.Interaction, name: str = "stranger") -> None:
    await interaction.response.send_message(f"hello {name}", ephemeral=True)


class Menu(discord.ui.View):
    @discord.ui.button(label="Press")
    async def press(self, interaction: discord.Interaction, button: discord.ui.Button[Menu]) -> None:
        await interaction.response.edit_message(content="pressed", view=None)
        tell("clicked", user=interaction.user.name)


@app_commands.command(description="Show a button")
async def menu(interaction: discord.Interaction) -> None:
    await interaction.response.send_message("press it", view=Menu())


def main() -> None:
    rest_url, token, role = sys.argv[1:]
    discord.http.Route.BASE = rest_url
    with urllib.request.urlopen(f"{rest_url}/gateway") as answer:
        discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(json.load(answer)["url"])
    Client(role).run(token, log_handler=None)


if __name__ == "__main__":
    main()
