"""The composition root: configuration in, supervision tree out. The only file that knows every part.

    /flora/postgres      the embedded server, when no DATABASE_URL is set
    /flora/storage       bridge to asyncio; database and cache
    /flora/kv            the guilds' key-value stores
    /flora/playground    a Discord of our own, when no token is set
    /flora/http          HTTP client, for Discord and for ourselves
    /flora/engine        fork server and guild processes
    /flora/cursors       how far each shard has come, in the database
    /flora/commands      application commands
    /flora/runtime       keeper, workers, guild actors
    /flora/deployer      the deployment service
    /flora/builds        the build service
    /flora/lifecycle     guilds that the bot leaves and comes back to
    /flora/shard-0 ...   gateway shards
    /flora/intents       what the shards are sent
    /flora/api           HTTP API

They start in this order and stop in the opposite one.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

import structlog
import trio
from pydantic import SecretStr

import flora
from flora.actors.builds import BuildDesk
from flora.actors.commands import CommandRegistry, CommandsDeclared
from flora.actors.core import DeadLetter, Deadlines, Limits, Log
from flora.actors.dead_letters import DeadLetters
from flora.actors.deployer import Deployer, Deployments
from flora.actors.eventlog import EventLog
from flora.actors.guild_logs import GuildLogs
from flora.actors.host import RUNTIME, GuildServices
from flora.actors.kernel import ActorRef, ActorSystem, EscalatedError, root_cause
from flora.actors.lifecycle import Attendance, GuildLifecycle
from flora.actors.loghub import LogHub
from flora.actors.restorer import Manifests, restore, settle_garbage
from flora.actors.runtime import GuildRuntime
from flora.actors.schedule.core import Retry
from flora.actors.scheduler import Scheduler
from flora.actors.schedules import Schedules
from flora.actors.secrets import SecretDesk
from flora.actors.switchboard import Switchboard
from flora.api.app import create_app
from flora.api.guard import parse_networks
from flora.api.server import serve_api
from flora.api.services import Services
from flora.build.sdk import script_file
from flora.config import Config
from flora.engine.api import LogLevel
from flora.engine.host import Engine
from flora.errors import FloraError, StartupError
from flora.gateway.guilds import GuildCache
from flora.gateway.limiter import GlobalLimit, RateLimiter
from flora.gateway.rest import DiscordRest
from flora.host.discord import Discord, find_discord
from flora.host.gateway import Gateway
from flora.host.gauges import register_gauges
from flora.host.health import Health, cache_probe, database_probe, workers_probe, zygote_probe
from flora.host.people import open_people, quotas_of, usage_of
from flora.host.stages import Stages
from flora.host.starter import deploy_starter
from flora.host.storage import Storage, open_storage
from flora.ids import GuildId
from flora.logs import configure_logging
from flora.metrics import Metrics
from flora.net.http import HttpClient
from flora.ops.fetcher import Fetcher
from flora.ops.scope import ChannelScope
from flora.storage.builds import BuildFiles
from flora.storage.commands import CommandStore
from flora.storage.datadir import DataDirectory
from flora.storage.dead_letters import DeadLetterStore, NewDeadLetter
from flora.storage.departures import DepartureStore
from flora.storage.deployments import DeploymentStore
from flora.storage.gateway_cursors import GatewayCursorStore
from flora.storage.guild_logs import GuildLogFiles
from flora.storage.manifests import ManifestStore
from flora.storage.pauses import GuildPauses
from flora.storage.schedules import ScheduleStore
from flora.storage.tasks import TaskLimits, TaskStore

log = structlog.get_logger("flora")

SECOND_SIGNAL_EXIT: Final = 130

DEPLOY_AIR_SECS: Final = 25.0
"""On top of boot and load: what waits before a deploy in its guild's order, and the database."""


def run(config: Config) -> int:
    """Run flora until a signal ends it; returns the process's exit code.

    SIGINT or SIGTERM stops in order, a second one at once (exit code 130). What prevents the start is one
    line on standard error.
    """
    try:
        configure_logging(config.log)
        with DataDirectory.open(config.data_dir) as data:
            return trio.run(Host(config, data).main)
    except StartupError as error:
        print(f"flora: {error}", file=sys.stderr)
        return error.exit_code
    except (EscalatedError, BaseExceptionGroup) as error:
        cause = root_cause(error)
        known = cause.__cause__ if isinstance(cause, EscalatedError) else cause
        if not isinstance(known, FloraError):
            raise
        print(f"flora: {known}", file=sys.stderr)
        return known.exit_code if isinstance(known, StartupError) else 1


class Host:
    """One running flora."""

    def __init__(self, config: Config, data: DataDirectory) -> None:
        self._config = config
        self._data = data
        self._logs = LogHub()
        self._metrics = Metrics()
        self._guilds = GuildCache()
        self._urls: dict[str, str] = {}
        self._operator_secret = config.api.operator_secret or SecretStr(
            data.development_secrets().operator_secret
        )
        self._stages: Stages
        self._schedules: Schedules
        self._system: ActorSystem
        self._stop = trio.Event()
        self._starting = trio.CancelScope()
        self._failure: FloraError | None = None

    # ------------------------------------------------------------------ life

    async def main(self) -> int:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._heed_signals)
            async with ActorSystem.open("flora") as system:
                self._system = system
                self._stages = Stages(system)
                with self._starting:
                    await self._start()
                await self._stop.wait()
                await self._stages.stop()
            nursery.cancel_scope.cancel()
        if self._failure is not None:
            raise self._failure
        log.info("stopped")
        return 0

    async def _heed_signals(self) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                if self._stop.is_set():
                    # At once: the kernel ends our children with us, as it does after a kill -9.
                    log.warning("stopped at once", signal=signal.Signals(number).name)
                    os._exit(SECOND_SIGNAL_EXIT)
                log.info("stopping", signal=signal.Signals(number).name, hint="again to stop at once")
                self._request_stop()

    def _request_stop(self) -> None:
        self._stop.set()
        self._starting.cancel()

    def _fail(self, error: FloraError) -> None:
        """Something that cannot be mended while running: stop in order, then say why."""
        self._failure = error
        self._request_stop()

    # ------------------------------------------------------------------ start

    async def _start(self) -> None:
        config, stages = self._config, self._stages
        began = trio.current_time()
        log.info("starting", version=flora.__version__, data_dir=str(self._data.path), pid=os.getpid())
        storage = await open_storage(stages, config, self._data)
        files = GuildLogFiles(self._data.path / "logs", max_guild_bytes=config.log.guild_mb * 2**20)
        guild_logs = GuildLogs(self._logs, files, retention_days=config.log.guild_retention_days)
        await stages.spawn("guild-logs", guild_logs, restarts=3)
        discord, http = await find_discord(stages, config)
        limiter = RateLimiter(
            guild_concurrency=config.runtime.guild_concurrency,
            global_limit=GlobalLimit(config.discord.requests_per_second),
        )
        rest = DiscordRest(
            http,
            base_url=discord.api_url,
            token=discord.token,
            deadline=config.runtime.rest_timeout_ms / 1000,
            limiter=limiter,
            on_notice=self._notice,
        )
        fetcher = await self._start_fetcher()
        engine = await self._start_engine()
        board = self._make_board(await self._open_event_log())
        cursors = GatewayCursorStore(storage.db)
        gateway = await Gateway.find(stages, config.discord, discord, rest, board, self._guilds, cursors)
        registered, pauses = CommandStore(storage.db), await GuildPauses.load(storage.db)
        letters = DeadLetterStore(storage.db)
        registry = CommandRegistry(rest, registered, self._logs, discord.application_id, realm=discord.realm)
        commands = await stages.spawn("commands", registry, restarts=3)
        dead_letters = DeadLetters(letters, board)
        await stages.spawn("dead-letters", dead_letters, restarts=3)
        runtime = await self._start_runtime(storage, discord, rest, fetcher, engine, board, letters, commands)
        store = DeploymentStore(storage.db)
        sdk = hashlib.sha256(script_file().read_bytes()).digest()
        manifests = Manifests(ManifestStore(storage.db, sdk), runtime)
        deployments = await self._start_deployer(store, pauses, runtime, manifests)
        attendance = await self._restore(store, storage, pauses, discord, runtime, board, gateway, manifests)
        lifecycle = GuildLifecycle(
            attendance,
            DepartureStore(storage.db, discord.realm),
            deployments,
            left=registered.forget,
            retention=timedelta(days=config.data_retention_days),
            remove={
                "deployments": store.forget,
                "dead letters": letters.clear,
                "schedules": ScheduleStore(storage.db).forget,
                "commands": registered.forget,
                "pauses": pauses.remove,
                "logs": guild_logs.forget,
                "kv": storage.kv.forget,
                "secrets": storage.secrets.forget,
            },
        )
        await stages.spawn("lifecycle", lifecycle, restarts=3)
        await gateway.start(attendance, self._fail, self._notice)
        health = Health(
            {
                "postgres": database_probe(storage.db),
                "cache": cache_probe(storage.cache),
                "gateway": gateway.probe,
                "workers": workers_probe(runtime),
                "zygote": zygote_probe(engine),
            }
        )
        secrets = SecretDesk(storage.secrets, runtime, config.secrets, self._data)
        people, tokens, audit = await open_people(
            stages, config, self._data, storage, discord, http, rest, self._guilds
        )
        builds = BuildDesk(
            BuildFiles(self._data.path / "builds"),
            config.builds,
            deployments.patient(),
            max_script_bytes=config.runtime.max_script_bytes,
        )
        await stages.spawn("builds", builds, restarts=3)
        register_gauges(
            self._metrics,
            runtime=runtime,
            rest=rest,
            gateway=gateway,
            engine=engine,
            storage=storage,
            logs=guild_logs,
            audit=audit,
            schedules=self._schedules,
            actors=self._system.snapshot,
        )
        await self._start_api(
            lambda shutdown: Services(
                deployer=deployments,
                builds=builds,
                runtime=runtime,
                dead_letters=dead_letters,
                schedules=self._schedules,
                kv=storage.kv,
                secrets=secrets,
                logs=guild_logs,
                health=health,
                actors=self._system.snapshot,
                metrics=self._metrics,
                authenticator=people.identities,
                people=people,
                tokens=tokens,
                audit=audit,
                commands=registry.of,
                usage=usage_of(storage),
                quotas=quotas_of(config),
                trusted_proxies=parse_networks(config.api.trusted_proxies),
                metrics_open=config.api.metrics_open,
                shutdown=shutdown,
                version=flora.__version__,
            ),
            discord,
        )
        await self._offer_example(http, discord)
        health.waiting_for = None
        settle_garbage()
        log.info("ready", seconds=round(trio.current_time() - began, 2))
        self._print_urls()

    async def _start_fetcher(self) -> Fetcher:
        fetcher = Fetcher(self._config.egress)

        async def run(status: trio.TaskStatus[None]) -> None:
            await fetcher.run(task_status=status)

        await self._stages.background("fetcher", run)
        counts = fetcher.statistics
        self._metrics.counter(
            "flora_fetch_requests",
            "Requests of scripts by how they ended.",
            ("outcome",),
            lambda: [((outcome,), count) for outcome, count in counts.requests.items()],
        )
        self._metrics.counter(
            "flora_fetch_bytes",
            "Bytes of bodies of scripts' requests, uncompressed.",
            ("direction",),
            lambda: [(("in",), counts.bytes_in), (("out",), counts.bytes_out)],
        )
        self._metrics.gauge(
            "flora_fetch_in_flight",
            "Requests of scripts that are open now.",
            (),
            lambda: [((), fetcher.in_flight)],
        )
        return fetcher

    async def _start_engine(self) -> Engine:
        sdk = script_file().read_text(encoding="utf-8")
        engine = Engine(self._config.runtime, sdk)

        async def run(status: trio.TaskStatus[None]) -> None:
            await engine.run(task_status=status)

        await self._stages.background("engine", run)
        report = engine.report()
        log.info("engine ready", seal=report.seal, jit=report.jit, sdk_bytes=len(sdk))
        self._metrics.isolate_count.set_function(lambda: len(engine.processes()))
        self._metrics.counter(
            "flora_isolate_exits",
            "Guild processes that ended, by how: stopped, killed, out_of_memory, crashed.",
            ("kind",),
            lambda: [((str(kind),), count) for kind, count in engine.report().exits.items()],
        )
        return engine

    async def _open_event_log(self) -> Log | None:
        if not self._config.runtime.event_log:
            return None
        events = EventLog(self._data.path / "events.jsonl")
        await self._stages.spawn("event-log", events)
        return events.log

    def _make_board(self, history: Log | None) -> Switchboard:
        config = self._config.runtime
        return Switchboard(
            config.max_workers,
            self._metrics,
            limits=Limits(
                guild_capacity=config.guild_queue_capacity,
                total_capacity=config.total_queue_capacity,
                concurrency=config.guild_event_concurrency,
            ),
            deadlines=Deadlines(drain=config.migration_timeout_ms / 1000),
            history=history,
        )

    async def _start_runtime(
        self,
        storage: Storage,
        discord: Discord,
        rest: DiscordRest,
        fetcher: Fetcher,
        engine: Engine,
        board: Switchboard,
        letters: DeadLetterStore,
        commands: ActorRef[CommandsDeclared],
    ) -> GuildRuntime:
        config = self._config.runtime
        scheduler, tasks = await self._start_scheduler(storage, board)
        services = GuildServices(
            config=config,
            engine=engine,
            board=board,
            logs=self._logs,
            metrics=self._metrics,
            kv=storage.kv,
            secrets=storage.secrets,
            rest=rest,
            fetcher=fetcher,
            channels=ChannelScope(self._guilds, rest, storage.cache),
            application_id=discord.application_id,
            commands_declared=lambda guild, json: commands.tell(CommandsDeclared(guild, json)),
            crons_declared=scheduler.crons_declared,
            tasks=tasks,
        )
        keep = partial(self._keep_dead_letter, letters)
        runtime = GuildRuntime(services, keep, drain_secs=config.shutdown_grace_secs)
        await self._stages.spawn("runtime", runtime, stop_secs=config.shutdown_grace_secs + 2.0)
        log.info("workers ready", workers=config.max_workers)
        return runtime

    async def _start_scheduler(self, storage: Storage, board: Switchboard) -> tuple[Scheduler, TaskStore]:
        """Before the runtime, so that it hears of the ends of runs until that has stopped."""
        config = self._config.runtime
        schedules = ScheduleStore(storage.db)
        tasks = TaskStore(storage.db, TaskLimits(config.max_tasks, config.max_task_bytes))
        retry = Retry(config.task_attempts, config.task_retry_secs)
        scheduler = Scheduler(board, schedules, tasks, retry)
        await self._stages.spawn("scheduler", scheduler, restarts=3)
        self._schedules = Schedules(scheduler, schedules, tasks)
        return scheduler, tasks

    async def _start_deployer(
        self, store: DeploymentStore, pauses: GuildPauses, runtime: GuildRuntime, manifests: Manifests
    ) -> Deployments:
        config = self._config.runtime
        deployer = Deployer(store, runtime, config, manifests.learn, pauses)
        ref = await self._stages.spawn("deployer", deployer, restarts=3)
        patience = config.boot_timeout_secs + config.load_timeout_secs + DEPLOY_AIR_SECS
        return Deployments(ref, store, pauses, deployer.pending, deadline=patience)

    async def _restore(
        self,
        store: DeploymentStore,
        storage: Storage,
        pauses: GuildPauses,
        discord: Discord,
        runtime: GuildRuntime,
        board: Switchboard,
        gateway: Gateway,
        manifests: Manifests,
    ) -> Attendance:
        """Start what every guild ran before, as far as it fits, but for those that the bot has left and those
        that were paused.
        """
        await store.sweep()
        found = await store.active()
        attendance = Attendance(
            board.core,
            (deployment.guild_id for deployment in found),
            await DepartureStore(storage.db, discord.realm).all(),
            shard_count=gateway.info.shards,
            complete=discord.playground is None,  # the guilds of another Discord are not in the playground
        )
        absent = attendance.gone | pauses.guilds
        here = [deployment for deployment in found if deployment.guild_id not in absent]
        log.info(
            "deployments found",
            count=len(found),
            of_guilds_left=len(attendance.gone) or None,
            paused=len(pauses.guilds) or None,
        )
        log.info("deployments running", count=await restore(here, runtime, manifests))
        return attendance

    async def _start_api(self, services: Callable[[trio.Event], Services], discord: Discord) -> None:
        shutdown = trio.Event()
        app = create_app(services(shutdown))
        serve = partial(serve_api, app, self._config.api, shutdown=shutdown)
        url: str = await self._stages.background(
            "api", lambda status: serve(task_status=status), shutdown=shutdown
        )
        self._urls["api"] = url
        if discord.playground is not None:
            self._urls["playground"] = discord.playground.page_url
        self._data.announce(self._urls)
        log.info("api ready", url=url)

    async def _offer_example(self, http: HttpClient, discord: Discord) -> None:
        if discord.playground is None:
            return
        token = self._operator_secret.get_secret_value()
        try:
            await deploy_starter(http, self._urls["api"], token, discord.playground.guild_ids)
        except FloraError as error:
            log.warning("example bot not deployed", error=str(error))

    # ------------------------------------------------------------------ small things

    def _notice(self, guild_id: GuildId, text: str) -> None:
        self._logs.append(guild_id, LogLevel.WARN, text, target="flora:discord")

    async def _keep_dead_letter(self, store: DeadLetterStore, letter: DeadLetter) -> None:
        """Raises DatabaseError; it is tried again then."""
        event = letter.event
        kept = NewDeadLetter(
            letter.guild_id, str(event.id), event.name, event.payload, letter.attempts, letter.reason
        )
        await store.add([kept])
        text = f"{event.name} {event.id} was given up after {letter.attempts} attempts: {letter.reason}"
        self._logs.append(letter.guild_id, LogLevel.ERROR, text, target=RUNTIME)

    def _print_urls(self) -> None:
        """For the person who started it; the log has the same for programs."""
        lines = [
            f"  HTTP API    {self._urls['api']}   (token: {self._data.path / 'secrets.toml'})",
            f"  Data        {self._data.path}",
            "  Stop        Ctrl-C",
        ]
        if (page := self._urls.get("playground")) is not None:
            lines.insert(0, f"  Playground  {page}   type !ping a b, /hello or /counter")
        print("\nflora is ready\n" + "\n".join(lines) + "\n", flush=True)
