"""How many events per second one shard takes from its socket through zlib-stream to an empty handler.

    .venv/bin/python -m bench.gateway [--events 100000] [--rounds 3]

The gateway is this process: it compresses the stream beforehand, as Discord would send it (one zlib context
for the connection, a flush after each payload), and blasts the same bytes at each client. Each client is a
process of its own. `per core` is events per second of its CPU time, which a busy machine disturbs least.

    flora   Shard, the payload found but not parsed, `deliver` counts: the state "no guild listens"
    discord.py  Client with an empty `on_message`, without a message cache, when it is installed
    hikari  GatewayBot with an empty listener, when it is installed
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.util
import json
import random
import resource
import socket
import subprocess
import sys
import threading
import time
import zlib
from typing import Any

from bench.report import Report, in_turn

GUILD, CHANNEL, USER, APPLICATION = (
    "100000000000000001",
    "200000000000000001",
    "300000000000000001",
    "400000000000000001",
)


def message(number: int, chance: random.Random) -> dict[str, Any]:
    """A MESSAGE_CREATE as Discord sends it, about one kilobyte."""
    words = ["flora", "garden", "the", "bot", "answers", "with", "pong", "and", "a", "picture", "of", "roses"]
    return {
        "type": 0,
        "tts": False,
        "timestamp": f"2026-01-01T00:{number // 60 % 60:02}:{number % 60:02}.000000+00:00",
        "referenced_message": None,
        "pinned": False,
        "nonce": str(chance.getrandbits(60)),
        "mentions": [],
        "mention_roles": [],
        "mention_everyone": False,
        "member": {
            "roles": [str(chance.getrandbits(60)) for _ in range(4)],
            "premium_since": None,
            "pending": False,
            "nick": None,
            "mute": False,
            "joined_at": "2024-05-05T12:00:00.000000+00:00",
            "flags": 0,
            "deaf": False,
            "communication_disabled_until": None,
            "banner": None,
            "avatar": None,
        },
        "id": str(500000000000000000 + number),
        "flags": 0,
        "embeds": [],
        "edited_timestamp": None,
        "content": " ".join(chance.choices(words, k=30)),
        "components": [],
        "channel_type": 0,
        "channel_id": CHANNEL,
        "author": {
            "username": f"user{chance.randrange(1000)}",
            "public_flags": 0,
            "id": str(600000000000000000 + chance.randrange(1000)),
            "global_name": "User",
            "discriminator": "0",
            "clan": None,
            "avatar_decoration_data": None,
            "avatar": hashlib.md5(str(number).encode()).hexdigest(),
        },
        "attachments": [],
        "guild_id": GUILD,
    }


def guild() -> dict[str, Any]:
    channel = {
        "id": CHANNEL,
        "type": 0,
        "name": "general",
        "position": 0,
        "permission_overwrites": [],
        "nsfw": False,
        "flags": 0,
        "topic": None,
        "parent_id": None,
        "last_message_id": None,
        "rate_limit_per_user": 0,
    }
    role = {
        "id": GUILD,
        "name": "@everyone",
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "position": 0,
        "permissions": "8",
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }
    user = {
        "id": USER,
        "username": "flora",
        "discriminator": "0",
        "avatar": None,
        "bot": True,
        "global_name": None,
        "public_flags": 0,
    }
    member = {
        "user": user,
        "roles": [],
        "joined_at": "2024-05-05T12:00:00+00:00",
        "deaf": False,
        "mute": False,
        "flags": 0,
    }
    return {
        "id": GUILD,
        "name": "Garden",
        "icon": None,
        "splash": None,
        "discovery_splash": None,
        "banner": None,
        "owner_id": USER,
        "region": "x",
        "afk_channel_id": None,
        "afk_timeout": 300,
        "verification_level": 0,
        "default_message_notifications": 0,
        "explicit_content_filter": 0,
        "roles": [role],
        "emojis": [],
        "features": [],
        "mfa_level": 0,
        "application_id": None,
        "system_channel_id": None,
        "system_channel_flags": 0,
        "rules_channel_id": None,
        "vanity_url_code": None,
        "description": None,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "preferred_locale": "en-US",
        "public_updates_channel_id": None,
        "nsfw_level": 0,
        "stickers": [],
        "premium_progress_bar_enabled": False,
        "safety_alerts_channel_id": None,
        "incidents_data": None,
        "joined_at": "2024-05-05T12:00:00+00:00",
        "large": False,
        "unavailable": False,
        "member_count": 1,
        "voice_states": [],
        "members": [member],
        "channels": [channel],
        "threads": [],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def frame(payload: bytes) -> bytes:
    """An unmasked binary websocket frame (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes([0x82, size]) + payload
    if size < 65536:
        return bytes([0x82, 126]) + size.to_bytes(2, "big") + payload
    return bytes([0x82, 127]) + size.to_bytes(8, "big") + payload


class Stream:
    """The bytes of one whole connection: HELLO, then READY, GUILD_CREATE and the messages."""

    def __init__(self, events: int, port: int) -> None:
        chance = random.Random(7)
        deflate = zlib.compressobj()
        self.plain = 0

        def pack(op: int, data: Any, name: str | None = None, seq: int | None = None) -> bytes:
            raw = json.dumps({"t": name, "s": seq, "op": op, "d": data}, separators=(",", ":")).encode()
            self.plain += len(raw)
            return frame(deflate.compress(raw) + deflate.flush(zlib.Z_SYNC_FLUSH))

        self.hello = pack(10, {"heartbeat_interval": 41250})
        ready = {
            "v": 10,
            "user": guild()["members"][0]["user"]
            | {"mfa_enabled": False, "verified": True, "email": None, "flags": 0},
            "session_id": "bench",
            "resume_gateway_url": f"ws://127.0.0.1:{port}",
            "guilds": [{"id": GUILD, "unavailable": True}],
            "application": {"id": APPLICATION, "flags": 0},
            "shard": [0, 1],
            "private_channels": [],
            "relationships": [],
        }
        self.start = pack(0, ready, "READY", 1) + pack(0, guild(), "GUILD_CREATE", 2)
        self.messages = b"".join(pack(0, message(n, chance), "MESSAGE_CREATE", n + 3) for n in range(events))


def serve(listener: socket.socket, stream: Stream) -> None:
    """Websocket upgrades get the stream; other requests get what discord.py and hikari ask for at login."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=handle, args=(connection, stream), daemon=True).start()


def handle(connection: socket.socket, stream: Stream) -> None:
    with connection:
        try:
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    data = connection.recv(65536)
                    if not data:
                        return
                    head += data
                lines = head.decode("latin-1").split("\r\n")
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
                if "sec-websocket-key" in headers:
                    blast(connection, headers["sec-websocket-key"], stream)
                    return
                path = lines[0].split()[1]
                user = guild()["members"][0]["user"]
                if path.endswith("/users/@me"):
                    answer: Any = user
                elif "/gateway" in path:
                    limit = {"total": 1000, "remaining": 1000, "reset_after": 0, "max_concurrency": 1}
                    answer = {
                        "url": f"ws://127.0.0.1:{connection.getsockname()[1]}",
                        "shards": 1,
                        "session_start_limit": limit,
                    }
                else:
                    answer = {
                        "id": APPLICATION,
                        "name": "flora",
                        "icon": None,
                        "description": "",
                        "bot_public": True,
                        "bot_require_code_grant": False,
                        "verify_key": "0" * 64,
                        "owner": user,
                        "flags": 0,
                        "team": None,
                        "summary": "",
                    }
                body = json.dumps(answer).encode()
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                    % len(body)
                    + body
                )
        except (BrokenPipeError, ConnectionResetError):
            return


def blast(connection: socket.socket, key: str, stream: Stream) -> None:
    accept = base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    connection.sendall(upgrade + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + stream.hello)
    connection.recv(65536)  # IDENTIFY
    connection.sendall(stream.start)
    time.sleep(1.0)  # the client settles
    connection.sendall(stream.messages)
    while connection.recv(65536):
        pass


class Meter:
    """Times from the first message to the last."""

    def __init__(self, events: int) -> None:
        self.events = events
        self.seen = 0

    def count(self) -> bool:
        if self.seen == 0:
            self.wall, self.cpu = time.perf_counter(), time.process_time()
        self.seen += 1
        return self.seen == self.events

    def report(self) -> None:
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"wall": wall, "cpu": cpu, "peak_mb": peak}), flush=True)


def run_flora(port: int, events: int) -> None:
    import trio

    from flora.gateway.events import GatewayEvent
    from flora.gateway.shard import Shard

    meter = Meter(events)
    done = trio.Event()

    def deliver(event: GatewayEvent) -> None:
        if event.name == "MESSAGE_CREATE" and meter.count():
            meter.report()
            done.set()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            shard = Shard(token="t", gateway_url=f"ws://127.0.0.1:{port}", intents=33281, deliver=deliver)
            nursery.start_soon(shard.run)
            await done.wait()
            nursery.cancel_scope.cancel()

    trio.run(main)


def run_discord_py(port: int, events: int) -> None:
    import asyncio

    sys.modules["zstandard"] = None  # type: ignore[assignment]  # else it would ask for zstd-stream
    import discord
    import yarl

    discord.http.Route.BASE = f"http://127.0.0.1:{port}/api/v10"
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(f"ws://127.0.0.1:{port}")
    intents = discord.Intents(guilds=True, guild_messages=True, message_content=True)
    client = discord.Client(intents=intents, max_messages=None, chunk_guilds_at_startup=False)
    meter = Meter(events)

    @client.event
    async def on_message(_: discord.Message) -> None:
        if meter.count():
            meter.report()
            await client.close()

    asyncio.run(client.start("t"))


def run_hikari(port: int, events: int) -> None:
    import hikari

    meter = Meter(events)
    bot = hikari.GatewayBot(
        base64.b64encode(APPLICATION.encode()).decode() + ".a.b",  # it reads its own id from the token
        rest_url=f"http://127.0.0.1:{port}/api/v10",
        intents=hikari.Intents(33281),
        cache_settings=hikari.impl.CacheSettings(components=hikari.api.CacheComponents.NONE),
        banner=None,
        suppress_optimization_warning=True,
    )

    @bot.listen(hikari.GuildMessageCreateEvent)
    async def on_message(_: Any) -> None:
        if meter.count():
            meter.report()
            await bot.close()

    bot.run(check_for_updates=False)


TARGET = ">= 15,000, and >= 2x discord.py's and hikari's"
CLIENTS = {
    "flora": ("flora", run_flora),
    "discord.py": ("discord", run_discord_py),
    "hikari": ("hikari", run_hikari),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--client", choices=CLIENTS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        CLIENTS[options.client][1](options.port, options.events)
        return

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    stream = Stream(options.events, port)
    threading.Thread(target=serve, args=(listener, stream), daemon=True).start()
    report = Report(
        "gateway",
        "The gateway's stream to an empty handler",
        {
            "events": options.events,
            "rounds": options.rounds,
            "bytes_each": round(stream.plain / options.events),
            "compressed_each": round(len(stream.messages) / options.events),
        },
    )
    there = [name for name, (module, _) in CLIENTS.items() if importlib.util.find_spec(module) is not None]
    for name in in_turn(there, options.rounds):
        figures = run_client(name, port, options.events)
        if figures is None:
            continue
        events, cpu = options.events, figures["cpu"]
        report.add("per second of CPU", name, events / cpu, unit="events/s", target=TARGET)
        report.add("per second", name, events / figures["wall"], unit="events/s")
        report.add("CPU of one event", name, cpu / events * 1e6, unit="us")
        report.add("peak memory", name, figures["peak_mb"], unit="MB")
    for name in CLIENTS.keys() - set(there):
        print(f"{name} is not installed")
    report.write()


def run_client(name: str, port: int, events: int) -> dict[str, float] | None:
    """The figures of a client in a process of its own; None, and a word about it, when it gave none."""
    command = [sys.executable, "-m", "bench.gateway", "--client", name]
    command += ["--port", str(port), "--events", str(events)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        print(f"{name} did not finish")
        return None
    # A client may fail at its end, after its figures: closing is not what is measured.
    line = next((line for line in result.stdout.splitlines() if line.startswith("{")), None)
    if line is None:
        print(f"{name} failed: {result.stderr[-300:]}")
        return None
    figures: dict[str, float] = json.loads(line)
    return figures


if __name__ == "__main__":
    main()
