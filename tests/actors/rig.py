"""A guild runtime without Discord: events go in, log lines come out. Its guild processes are real unless
another engine is put in.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trio

from flora.actors.core import DeadLetter, Deadlines, Limits, Log, State, Verdict
from flora.actors.core.history import check
from flora.actors.host import GuildServices
from flora.actors.kernel import ActorSystem, ChildSpec
from flora.actors.loghub import LogHub
from flora.actors.resource import Background
from flora.actors.runtime import GuildRuntime
from flora.actors.scheduler import Scheduler
from flora.actors.script import DeployedScript
from flora.actors.switchboard import Switchboard
from flora.build.sdk import script_file
from flora.config import EgressConfig, RuntimeConfig
from flora.engine.host import Engine
from flora.gateway.events import GatewayEvent
from flora.gateway.guilds import GuildCache
from flora.gateway.rest import DiscordRest
from flora.ids import EventId, GuildId
from flora.metrics import Metrics
from flora.net.http import HttpClient
from flora.ops.fetcher import Fetcher
from flora.ops.scope import ChannelScope
from flora.storage.kv import GuildKv
from flora.storage.secrets import KeyRing, MasterKey, SecretVault
from flora.storage.tasks import TaskStore

GUILD = GuildId("81384788765712384")

COUNTING = """
let seen = 0;
on("messageCreate", async (ctx) => {
    seen += 1;
    const [, pause] = ctx.msg.content.split(" ");
    if (pause) await new Promise((resolve) => setTimeout(resolve, Number(pause)));
    console.log(`${seen} ${ctx.msg.content}`);
});
"""


@dataclass
class Rig:
    runtime: GuildRuntime
    board: Switchboard
    engine: Any
    logs: LogHub
    metrics: Metrics
    system: ActorSystem
    history: list[dict[str, Any]]
    dead: list[DeadLetter] = field(default_factory=list)
    _seq: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def deploy(self, code: str, guild: GuildId = GUILD) -> None:
        with trio.fail_after(20):
            await self.runtime.deploy(DeployedScript(guild, code, ""))

    def send(self, content: str, guild: GuildId = GUILD, *, name: str = "MESSAGE_CREATE") -> Verdict:
        payload = {
            "id": "1",
            "channel_id": "2",
            "guild_id": guild,
            "content": content,
            "author": {"id": "3", "username": "ann", "discriminator": "0"},
        }
        event_id = EventId(0, "session", next(self._seq))
        return self.board.accept(
            GatewayEvent(event_id, name, guild, json.dumps(payload).encode(), trio.current_time())
        )

    def lines(self, guild: GuildId = GUILD, target: str = "flora:js") -> list[str]:
        return [entry.message for entry in self.logs.recent(guild, limit=5000) if entry.target == target]

    async def until_lines(self, count: int, guild: GuildId = GUILD, secs: float = 20.0) -> list[str]:
        with trio.move_on_after(secs):
            while len(self.lines(guild)) < count:
                await trio.sleep(0.005)
        assert len(self.lines(guild)) == count, (self.lines(guild), self.lines(guild, "flora:runtime"))
        return self.lines(guild)

    async def until_line(self, text: str, guild: GuildId = GUILD, secs: float = 30.0) -> None:
        """Until a line ends with `text`."""
        with trio.move_on_after(secs):
            while not any(line.endswith(text) for line in self.lines(guild)):
                await trio.sleep(0.005)
            return
        raise AssertionError((text, self.lines(guild), self.lines(guild, "flora:runtime")))

    def on_command(self, kind: type[object], act: Callable[[], object]) -> None:
        """Do something, once, in the moment in which the core's next command of this kind is carried out."""
        board: Any = self.board
        carry = board._carry

        def strike(command: object) -> None:
            if isinstance(command, kind):
                board._carry = carry
                act()
            carry(command)

        board._carry = strike

    def worker(self, guild: GuildId = GUILD) -> int:
        view = self.runtime.guild(guild)
        assert view is not None
        assert view.worker is not None
        return view.worker

    async def sleep(self, guild: GuildId = GUILD, secs: float = 30.0) -> None:
        """Put it to sleep as soon as it has nothing to do, and wait until its process has ended."""
        with trio.move_on_after(secs):
            while not await self.runtime.put_to_sleep(guild):
                await trio.sleep(0.005)
            await self.until_state(State.ASLEEP, guild, secs)
            return
        raise AssertionError(self.runtime.guild(guild))

    async def until_state(self, state: State, guild: GuildId = GUILD, secs: float = 30.0) -> None:
        with trio.move_on_after(secs):
            while (view := self.board.core.view(guild)) is None or view.state is not state:
                await trio.sleep(0.005)
            return
        raise AssertionError(self.board.core.view(guild))

    def crash_worker(self, index: int) -> None:
        """Its actor fails at its next message."""
        self.board._workers[index].tell("nonsense")  # type: ignore[arg-type]

    def pid(self, guild: GuildId = GUILD) -> int:
        """The process that runs the guild now; one that was refused may still be ending beside it."""
        status = self.runtime.guild(guild)
        assert status is not None
        assert status.pid is not None
        return status.pid


@asynccontextmanager
async def open_kv() -> AsyncIterator[GuildKv]:
    with tempfile.TemporaryDirectory() as folder:
        async with GuildKv.open(Path(folder)) as kv:
            yield kv


@asynccontextmanager
async def rig(
    config: RuntimeConfig | None = None,
    *,
    deadlines: Deadlines | None = None,
    slots: int = 256,
    engine: Any = None,
    drain_secs: float = 5.0,
    commands: Callable[[GuildId, bytes | None], None] = lambda guild, commands: None,
    schedules: Callable[[Switchboard], tuple[Scheduler, TaskStore]] | None = None,
) -> AsyncIterator[Rig]:
    """Everything from the switchboard down, for real. Afterwards the history is checked for I1 to I4, and no
    process is left.

    With `schedules`, which makes it over a database of the test's, there is a scheduler as well.
    """
    config = config or RuntimeConfig(max_workers=2)
    history: list[dict[str, Any]] = []
    metrics, logs = Metrics(), LogHub()
    board = Switchboard(
        config.max_workers,
        metrics,
        limits=Limits(concurrency=config.guild_event_concurrency, slots=slots),
        deadlines=deadlines,
        history=Log(history.append),
    )
    async with HttpClient() as http, open_kv() as kv, ActorSystem.open("test") as system:
        engine = engine or Engine(config, script_file().read_text(encoding="utf-8"))
        background: Background[None] = Background(lambda status: engine.run(task_status=status))
        await system.spawn(ChildSpec("engine", lambda: background))
        rest = DiscordRest(http, base_url="http://127.0.0.1:1", token="none")
        dead: list[DeadLetter] = []
        database: Any = None  # no test here writes a secret

        async def keep(letter: DeadLetter) -> None:
            dead.append(letter)

        scheduled: dict[str, Any] = {}
        if schedules is not None:
            scheduler, tasks = schedules(board)
            await system.spawn(ChildSpec("scheduler", lambda: scheduler))
            scheduled = {"crons_declared": scheduler.crons_declared, "tasks": tasks}
        runtime = GuildRuntime(
            GuildServices(
                config=config,
                engine=engine,
                board=board,
                logs=logs,
                metrics=metrics,
                rest=rest,
                fetcher=Fetcher(EgressConfig()),
                channels=ChannelScope(GuildCache(), rest),
                kv=kv,
                secrets=SecretVault(database, KeyRing(MasterKey(bytes(32))), {}),
                application_id="1",
                commands_declared=commands,
                **scheduled,
            ),
            keep,
            drain_secs=drain_secs,
        )
        await system.spawn(ChildSpec("runtime", lambda: runtime, stop_deadline=drain_secs + 5.0))
        yield Rig(runtime, board, engine, logs, metrics, system, history, dead)
    assert check(history, concurrency=config.guild_event_concurrency, complete=True) == []
    assert engine.processes() == []
