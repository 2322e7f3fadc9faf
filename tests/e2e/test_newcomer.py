"""What a newcomer sees: flora starts, and the example bot answers, whoever speaks and however."""

from __future__ import annotations

import stat
import subprocess
import sys
import textwrap

import httpx

from flora.playground.demo import APPLICATION_ID, GARDEN, GARDEN_GENERAL, HUMAN_TOKENS
from tests.e2e.running import Flora


def test_the_example_bot_answers_in_both_guilds(flora: Flora) -> None:
    assert "pong (a b)" in flora.say("!ping a b")
    assert "pong\n" in flora.say("!ping", guild="Greenhouse")


def test_slash_commands_answer_their_user_alone(flora: Flora) -> None:
    assert "Hello, Bo! (only ann sees this)" in flora.say("/hello Bo")
    assert "Hello, world! (only ben sees this)" in flora.say("/hello", user="ben")


def test_each_guild_counts_for_itself(flora: Flora) -> None:
    flora.say("/counter reset")
    flora.say("/counter reset", guild="Greenhouse")
    assert "Count is now: 1" in flora.say("/counter increment")
    assert "Count is now: 2" in flora.say("/counter increment")
    assert "Current count: 0" in flora.say("/counter get", guild="Greenhouse")
    assert "Current count: 2" in flora.say("/counter get")
    assert (flora.data / "kv").stat().st_mode & 0o777 == 0o700


def test_an_unmodified_discord_py_user_is_answered(flora: Flora) -> None:
    """discord.py posts as ann and reads the answer; only its base URL is ours."""
    script = textwrap.dedent(
        """
        import asyncio, sys
        import discord
        from discord.http import Route

        url, token, channel_id = sys.argv[1:]
        Route.BASE = url

        async def main():
            client = discord.Client(intents=discord.Intents.none())
            await client.login(token)
            try:
                channel = client.get_partial_messageable(int(channel_id))
                question = await channel.send("!ping a b")
                assert not question.author.bot
                for _ in range(100):
                    async for message in channel.history(limit=10, after=question):
                        if message.reference and message.reference.message_id == question.id:
                            print(message.author.name, message.content)
                            return
                    await asyncio.sleep(0.1)
            finally:
                await client.close()

        asyncio.run(main())
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", script, f"{flora.page}/api/v10", HUMAN_TOKENS["ann"], GARDEN_GENERAL],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "flora pong (a b)\n"


def test_the_example_went_through_the_real_deployment_path(flora: Flora) -> None:
    history = flora.call("GET", f"/deployments/{GARDEN}/history").json()["items"]
    assert [(item["status"], item["source"]) for item in history] == [("success", "bootstrap")]
    assert history[0]["entry_point"] == "src/main.ts"


def test_commands_are_registered_with_discord(flora: Flora) -> None:
    commands = httpx.get(
        f"{flora.page}/api/v10/applications/{APPLICATION_ID}/guilds/{GARDEN}/commands",
        headers={"authorization": f"Bot {_bot_token()}"},
    ).json()
    assert sorted(command["name"] for command in commands) == ["counter", "hello"]


def test_secrets_are_private_and_never_in_the_log(flora: Flora) -> None:
    file = flora.data / "secrets.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    values = [line.split('"')[1] for line in file.read_text().splitlines() if '"' in line]
    assert len(values) == 3
    for value in values:
        assert value not in flora.output


def test_it_says_what_is_where(flora: Flora) -> None:
    assert f"Playground  {flora.page}" in flora.output
    assert f"HTTP API    {flora.api}" in flora.output
    assert "Traceback" not in flora.output


def test_health_tells_of_each_part(flora: Flora) -> None:
    health = httpx.get(f"{flora.api}/health", params={"deep": "1"}).json()
    assert health["status"] == "ok", health
    assert httpx.get(f"{flora.api}/ready").status_code == 200


def _bot_token() -> str:
    from flora.playground.demo import BOT_TOKEN

    return BOT_TOKEN
