"""Who may use the API: identities, logins, tokens, the audit log; and what the API tells about a guild."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
import trio
from pydantic import SecretStr

from flora.actors.audit import AuditLog
from flora.api.authenticator import IdentityService
from flora.api.cookies import CookieJar
from flora.api.devices import DeviceCodes
from flora.api.login import Login
from flora.api.services import People, Quotas, Usage
from flora.config import Config
from flora.engine.report import resident_bytes
from flora.gateway.guilds import GuildCache
from flora.gateway.rest import DiscordRest
from flora.host.accounts import DiscordAccounts
from flora.host.discord import Discord
from flora.host.stages import Stages
from flora.host.storage import Storage
from flora.ids import GuildId
from flora.net.http import HttpClient
from flora.storage.audit import AuditStore
from flora.storage.datadir import DataDirectory
from flora.storage.kv import KvLimits
from flora.storage.postgres import DatabaseError
from flora.storage.secrets.vault import MAX_SECRETS
from flora.storage.sessions import SessionStore
from flora.storage.tokens import TokenStore

log = structlog.get_logger("flora.auth")

SWEEP_SECS = 3600.0
"""Between looks for sessions and tokens that have expired."""


async def open_people(
    stages: Stages,
    config: Config,
    data: DataDirectory,
    storage: Storage,
    discord: Discord,
    http: HttpClient,
    rest: DiscordRest,
    guilds: GuildCache,
) -> tuple[People, TokenStore, AuditLog]:
    """Start what keeps them, and give the parts that the API is made with."""
    secret = config.api.secret
    api_secret = data.development_secrets().api_secret if secret is None else secret.get_secret_value()
    operator = config.api.operator_secret or SecretStr(data.development_secrets().operator_secret)
    tokens, sessions = TokenStore(storage.db), SessionStore(storage.db, api_secret)
    accounts = DiscordAccounts(
        http,
        rest,
        guilds,
        api_url=discord.api_url,
        client_id=discord.client_id,
        client_secret=discord.client_secret,
    )
    login = Login(
        accounts,
        sessions,
        storage.cache,
        redirect_uri=config.discord.redirect_uri,
        any_loopback=discord.playground is not None,
        session_ttl=timedelta(seconds=config.api.cookie_ttl_secs),
    )
    cookies = CookieJar(api_secret, secure=login.secure)
    identities = IdentityService(operator, tokens, sessions, accounts, storage.cache, cookies)
    audit = AuditLog(AuditStore(storage.db), retention=timedelta(days=config.api.audit_retention_days))
    await stages.spawn("audit", audit, restarts=3)

    async def sweep(status: trio.TaskStatus[None]) -> None:
        status.started()
        while True:
            try:
                await sessions.sweep()
                await tokens.sweep()
            except DatabaseError as error:
                log.warning("expired sessions and tokens not removed", error=str(error))
            await trio.sleep(SWEEP_SECS)

    await stages.background("identities", sweep)
    people = People(login, cookies, DeviceCodes(storage.cache, tokens), identities)
    return people, tokens, audit


def usage_of(storage: Storage) -> Callable[[GuildId, int | None], Awaitable[Usage]]:
    """What a guild uses, asked for now. Raises KvErrors."""

    async def usage(guild_id: GuildId, pid: int | None) -> Usage:
        stores = await storage.kv.stores(guild_id)
        memory, cpu = (None, None) if pid is None else _process(pid)
        return Usage(
            memory_bytes=memory,
            cpu_seconds=cpu,
            kv_bytes=sum(store.bytes for store in stores),
            secrets=len(storage.secrets.of(guild_id).infos()),
        )

    return usage


def _process(pid: int) -> tuple[int | None, float | None]:
    """(bytes, seconds of CPU); proc(5), /proc/pid/stat: utime and stime are the fields 14 and 15."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None, None
    return resident_bytes(pid), (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quotas_of(config: Config) -> Quotas:
    runtime = config.runtime
    return Quotas(
        heap_bytes=runtime.heap_mb * 2**20,
        cpu_ms=runtime.cpu_ms,
        dispatch_timeout_secs=runtime.dispatch_timeout_secs,
        queue_capacity=runtime.guild_queue_capacity,
        concurrency=runtime.guild_event_concurrency,
        kv_bytes=KvLimits().guild_bytes,
        secrets=MAX_SECRETS,
    )
