"""The checks of `flora doctor`: each looks at one thing, within a deadline, and changes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import trio

from flora.config import Config, load_config
from flora.errors import FloraError

# One check; a database that does not answer must not hold up the rest.
DEADLINE: Final = 15.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing: "ok", "warn" (flora runs, with less) or "fail" (it cannot run). `hint` says what to do."""

    name: str
    status: Literal["ok", "warn", "fail"]
    detail: str
    hint: str = ""


async def examine() -> list[Finding]:
    """All findings, in a fixed order. Never raises for what it finds."""
    try:
        config = load_config()
    except FloraError as error:
        return [_python(), Finding("configuration", "fail", str(error))]
    checks: Sequence[tuple[str, Callable[[Config], Awaitable[Finding]]]] = (
        ("data directory", _data_directory),
        ("node", _node),
        ("postgres", _postgres),
        ("cache", _cache),
        ("engine", _engine),
        ("builds", _builds),
    )
    findings = [_python(), Finding("configuration", "ok", _configuration(config))]
    for name, check in checks:
        with trio.move_on_after(DEADLINE) as patience:
            try:
                findings.append(await check(config))
            except* (FloraError, OSError) as group:
                findings.append(Finding(name, "fail", _reasons(group)))
        if patience.cancelled_caught:
            findings.append(Finding(name, "fail", f"no result within {DEADLINE:.0f} s"))
    return findings


def _reasons(group: BaseExceptionGroup[BaseException]) -> str:
    return "; ".join(
        _reasons(error) if isinstance(error, BaseExceptionGroup) else str(error) for error in group.exceptions
    )


def _python() -> Finding:
    detail = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("python", "ok", detail)


def _configuration(config: Config) -> str:
    discord = "a playground instead of Discord" if config.uses_playground else "a Discord token"
    database = "a Postgres of its own" if config.database.url is None else "a configured Postgres"
    cache = "an in-process cache" if config.cache.url is None else "Redis"
    return f"{discord}, {database}, {cache}"


async def _data_directory(config: Config) -> Finding:
    place = config.data_dir.absolute()
    existing = next(folder for folder in (place, *place.parents) if folder.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding(
            "data directory", "fail", f"{place} cannot be written", "Set FLORA_DATA_DIR to one that can."
        )
    free = shutil.disk_usage(existing).free / 2**30
    detail = f"{place}, {free:.1f} GiB free"
    if free < 1:
        return Finding("data directory", "warn", detail, "Postgres needs room: free at least 1 GiB.")
    return Finding("data directory", "ok", detail)


async def _node(config: Config) -> Finding:
    from flora.build.toolchain import ToolchainError, find_npm

    try:
        npm = await find_npm()
    except ToolchainError as error:
        return Finding("node", "warn", error.message, error.hint or "Only building scripts here needs it.")
    return Finding("node", "ok", str(npm[0]))


async def _postgres(config: Config) -> Finding:
    if config.database.url is not None:
        from flora.storage.aio import open_aio
        from flora.storage.postgres import Database

        url = config.database.url.get_secret_value()
        async with open_aio(), Database.open(url, max_connections=2, deadline=5.0) as db:
            version = await db.run(lambda connection: connection.fetchval("show server_version"))
        return Finding("postgres", "ok", f"configured server, version {version}")
    from flora.storage.pg_programs import find_programs

    if not (found := find_programs()):
        return Finding(
            "postgres",
            "fail",
            "no DATABASE_URL and no PostgreSQL programs",
            "Set DATABASE_URL, or install PostgreSQL (its programs are enough).",
        )
    answer = await trio.run_process(
        [found[0].path("postgres"), "--version"], capture_stdout=True, stderr=subprocess.DEVNULL, check=False
    )
    return Finding("postgres", "ok", f"embedded: {answer.stdout.decode(errors='replace').strip()}")


async def _cache(config: Config) -> Finding:
    if config.cache.url is None:
        return Finding("cache", "ok", "in this process")
    from flora.storage.aio import aio, open_aio

    url = config.cache.url.get_secret_value()

    async def ping() -> str:
        import redis.asyncio as redis

        try:
            async with redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
                return str((await client.info("server"))["redis_version"])
        except redis.RedisError as error:
            raise CacheCheckError(f"Redis does not answer: {error}") from error

    async with open_aio():
        return Finding("cache", "ok", f"Redis {await aio(ping)}")


async def _engine(config: Config) -> Finding:
    """Starts the engine, which tests itself, and asks what it found."""
    from flora.engine.host import Engine

    # A function of the host that gives an SDK: enough for the self-test, which loads no script of anybody.
    engine = Engine(config.runtime, "(host) => ({ dispatch() {} })")
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        report = engine.report()
        nursery.cancel_scope.cancel()
    detail = "; ".join(line.strip() for line in report.lines())
    if report.unsealed or report.fallbacks:
        return Finding(
            "engine", "warn", detail, "Guild processes run, with less protection than flora can give."
        )
    return Finding("engine", "ok", detail)


async def _builds(config: Config) -> Finding:
    """What protects this machine from the projects that it builds for others."""
    import tempfile

    from flora.build.sandbox import Sandbox, probe
    from flora.build.worker import BUILD_UID_BASE

    with tempfile.TemporaryDirectory(prefix="flora-doctor-") as folder:
        uid = BUILD_UID_BASE if os.geteuid() == 0 else None
        report = await probe(Sandbox(Path(folder), (), uid))
    if report.complete:
        return Finding("builds", "ok", f"sandboxed: {', '.join(report.done)}")
    lacks = "; ".join(f"{name}: {reason}" for name, reason in report.missing.items())
    hint = "POST /builds works, with less protection than flora can give; building with the CLI needs none."
    return Finding("builds", "warn", f"not in the sandbox of builds: {lacks}", hint)


class CacheCheckError(FloraError):
    code = "CACHE_CHECK_FAILED"
