"""Configuration: defaults, `config.toml`, then the environment, checked once into one frozen tree.

Every value has a default that works on a fresh machine; what flora needs and nobody set (development
secrets, a database) it makes for itself under `data_dir`. The environment variable of a field is its
path in upper case (`runtime.max_workers` is RUNTIME_MAX_WORKERS) unless the field names another.
`config.template.toml` is written from this file (`tools/config_template.py`).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from flora.errors import StartupError

Seconds = Annotated[float, Field(ge=0)]
Port = Annotated[int, Field(ge=0, le=65535)]
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(
        lambda given: (
            [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given
        )
    ),
]
"""A list in the file, names with commas between them in the environment."""


def _env(name: str) -> dict[str, Any]:
    return {"json_schema_extra": {"env": name}}


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DiscordConfig(Section):
    bot_token: SecretStr | None = Field(
        None, description="The bot's token. Without one flora runs its playground.", **_env("DISCORD_TOKEN")
    )
    client_id: str | None = Field(None, description="The application's OAuth2 client id.")
    client_secret: SecretStr | None = Field(None, description="The application's OAuth2 client secret.")
    redirect_uri: str = Field("http://localhost:3000/auth/callback", description="OAuth2 redirect URI.")
    api_url: str = Field("https://discord.com/api/v10", description="Base URL of Discord's REST API.")
    gateway_url: str | None = Field(
        None, description="Gateway URL; by default what Discord's REST API answers."
    )
    intents: int | None = Field(
        None,
        ge=0,
        description="Gateway intents; by default computed from what scripts listen to.",
    )
    shards: Literal["auto"] | Annotated[int, Field(ge=1, le=10_000)] = Field(
        "auto", description='Gateway shards; "auto" is as many as Discord recommends.'
    )
    requests_per_second: int = Field(
        50,
        ge=1,
        description="Discord's global limit of REST requests of this bot; Discord raises it for large bots.",
    )
    compression: Literal["zlib-stream", "zstd-stream", "none"] = Field(
        "zlib-stream", description="Transport compression of the gateway."
    )
    status: Literal["online", "idle", "dnd", "invisible"] = Field(
        "online", description="The bot's status, as members see it."
    )
    activity: str | None = Field(
        None, min_length=1, max_length=128, description='What the bot is doing, such as "in the garden".'
    )
    activity_type: Literal["custom", "playing", "listening", "watching", "competing"] = Field(
        "custom", description='The verb before it; "custom" has none.'
    )


class DatabaseConfig(Section):
    url: SecretStr | None = Field(
        None,
        description="PostgreSQL URL. Without one flora runs a PostgreSQL of its own under data_dir.",
        **_env("DATABASE_URL"),
    )
    max_connections: int = Field(10, ge=2, le=200, description="Size of the connection pool.")
    statement_timeout_secs: Seconds = Field(10.0, description="Deadline of one unit of work, in seconds.")


class CacheConfig(Section):
    url: SecretStr | None = Field(
        None, description="Redis URL. Without one the cache is in this process.", **_env("CACHE_URL")
    )
    pool_size: int = Field(10, ge=1, le=200, description="Redis connections.")
    max_entries: int = Field(100_000, ge=1, description="Entries of the in-process cache.")


class KvConfig(Section):
    synchronous: Literal["full", "normal"] = Field(
        "full",
        description='"full" has every acknowledged write on the disk; "normal" may lose the last ones '
        "when the power fails, never when flora does.",
    )
    max_open_guilds: int = Field(256, ge=4, le=10_000, description="Guilds whose KV file is kept open.")
    writes_per_minute: int = Field(
        6000, ge=0, description="Writes of a script to one KV store in any minute; 0 is no limit."
    )


class RuntimeConfig(Section):
    max_workers: int = Field(4, ge=1, le=64, description="Workers: units of placement of guilds.")
    worker_queue_capacity: int = Field(1024, ge=1, description="Messages that wait for one worker.")
    guild_queue_capacity: int = Field(1024, ge=1, description="Events that wait for one guild.")
    total_queue_capacity: int = Field(100_000, ge=1, description="Events that wait in sum.")
    guild_event_concurrency: int = Field(
        8, ge=1, le=256, description="Handlers of one guild in flight; 1 is strictly serial."
    )
    guild_concurrency: int = Field(4, ge=1, description="REST calls of one guild in flight.")
    boot_timeout_secs: Seconds = Field(5.0, description="Start of a guild process, in seconds.")
    load_timeout_secs: Seconds = Field(30.0, description="Top level of a script, in seconds.")
    dispatch_timeout_secs: Seconds = Field(3.0, description="One event, wall clock, in seconds.")
    cron_timeout_secs: Seconds = Field(5.0, description="One cron run, wall clock, in seconds.")
    cpu_ms: int = Field(500, ge=10, description="JavaScript without a pause, in milliseconds.")
    heap_mb: int = Field(128, ge=16, description="Memory of one guild process, in MiB.")
    max_script_bytes: int = Field(8 * 2**20, ge=1, description="Size of a bundle, in bytes.")
    rest_timeout_ms: int = Field(8000, ge=1, description="Deadline of one REST call, in milliseconds.")
    migration_timeout_ms: int = Field(500, ge=0, description="Quiescing a guild that moves, in milliseconds.")
    max_cron_jobs: int = Field(32, ge=0, description="Cron jobs of one guild.")
    max_tasks: int = Field(1000, ge=0, description="One-shot tasks of one guild that wait or were given up.")
    max_task_bytes: int = Field(16 * 1024, ge=2, description="Data of one task, in bytes of JSON.")
    task_attempts: int = Field(5, ge=1, le=100, description="Tries of one task before it is given up.")
    task_retry_secs: Seconds = Field(10.0, description="Pause after a task's first failure; then it triples.")
    jit: Literal["auto", "on", "off"] = Field(
        "auto", description='The JIT compiler; "auto" is on where the seccomp seal is active.'
    )
    engine_fork: Literal["auto", "prepared", "init_after"] = Field(
        "auto", description='The engine loaded before or after the fork; "auto": before, where that works.'
    )
    engine_jobs: Literal["auto", "internal", "micro_loop"] = Field(
        "auto", description='Who runs promise jobs; "auto": the engine itself, where that works.'
    )
    engine_interrupt: Literal["auto", "soft", "kill"] = Field(
        "auto",
        description='At the CPU limit; "auto": the event ends, where that works, else the process.',
    )
    require_seal: bool = Field(False, description="Refuse to start where guild processes cannot be sealed.")
    memory_budget_mb: int | None = Field(
        None, ge=64, description="Memory of all guild processes; by default 60 % of the machine."
    )
    hibernate_after_secs: Seconds = Field(0.0, description="Stop a guild idle for so long; 0 is never.")
    shutdown_grace_secs: Seconds = Field(3.0, description="Time for a clean shutdown, in seconds.")
    event_log: bool = Field(
        False, description="Write what became of every event to events.jsonl in data_dir, for the checker."
    )
    show_internal_stack_frames: bool = Field(False, description="Show flora's own frames to authors.")


class EgressConfig(Section):
    """What scripts may reach with `fetch` and with attachments by URL, and how much of it."""

    allow_hosts: Names = Field(
        (), description="Hosts that scripts may reach, such as api.example.com or *.example.com; none is all."
    )
    deny_hosts: Names = Field((), description="Hosts that scripts may never reach.")
    allow_ports: Names = Field(("80", "443", "1024-65535"), description="Ports that scripts may reach.")
    allow_private_addresses: Names = Field(
        (), description="Networks that are reachable although they are not public, such as 192.168.7.0/24."
    )
    max_concurrent: int = Field(8, ge=1, le=256, description="Requests of one guild in flight.")
    requests_per_minute: int = Field(300, ge=1, description="Requests of one guild in a minute.")
    timeout_secs: Annotated[float, Field(gt=0)] = Field(
        30.0, description="One request from its start to the end of its body, redirects included, in seconds."
    )
    max_request_bytes: int = Field(8 * 2**20, ge=0, description="Body of a request, in bytes.")
    max_response_bytes: int = Field(
        32 * 2**20, ge=1, description="Body of a response after decompression, in bytes."
    )
    max_redirects: int = Field(20, ge=0, le=20, description="Redirects of one request.")


class ApiConfig(Section):
    address: str = Field("127.0.0.1", description="Address of the HTTP API.")
    port: Port = Field(3000, description="Port of the HTTP API; 0 takes any.")
    secret: SecretStr | None = Field(
        None, min_length=32, description="Signs sessions; at least 32 characters. Made when absent."
    )
    operator_secret: SecretStr | None = Field(
        None, min_length=16, description="Bearer token with every right. Made in development."
    )
    cookie_ttl_secs: int = Field(
        2_592_000, ge=60, description="How long a browser stays logged in, in seconds."
    )
    audit_retention_days: float = Field(365, gt=0, description="How long the audit log is kept, in days.")
    trusted_proxies: str = Field(
        "127.0.0.1,::1",
        description="Addresses and networks whose X-Forwarded-For is believed, divided by commas.",
    )
    metrics_open: bool = Field(False, description="GET /metrics answers anybody on this machine.")


class SecretsConfig(Section):
    master_key: SecretStr | None = Field(
        None, description="Encrypts guild secrets: 32 bytes or 64 hex digits. Made in development."
    )
    previous_master_key: SecretStr | None = Field(
        None, description="The master key before, until `flora secrets rotate-key` has run."
    )


class BuildsConfig(Section):
    concurrency: int = Field(2, ge=1, le=16, description="Builds on this machine at the same time.")
    queue: int = Field(16, ge=1, le=1000, description="Builds that wait or run; more are refused.")
    per_guild: int = Field(2, ge=1, description="Builds of one guild that wait or run.")
    deadline_secs: Seconds = Field(120.0, description="Time for one build, in seconds.")
    retention_secs: Seconds = Field(3600.0, description="How long the result of a build is kept, in seconds.")
    max_retained: int = Field(500, ge=1, description="Results of builds that are kept at most.")


class PlaygroundConfig(Section):
    port: Port = Field(8080, description="Port of the playground's chat page and REST API; 0 takes any.")
    gateway_port: Port = Field(8081, description="Port of the playground's gateway; 0 takes any.")


class LogConfig(Section):
    level: str = Field(
        "flora=info", description='Filter by target: "flora::runtime=debug,flora=info".', **_env("LOG_LEVEL")
    )
    format: Literal["auto", "console", "json"] = Field(
        "auto", description='"auto" is console on a terminal and JSON elsewhere.'
    )
    guild_mb: int = Field(8, ge=1, le=10_000, description="Disk for the log of one guild's script, in MiB.")
    guild_retention_days: float = Field(
        14, gt=0, description="How long the log of a guild's script is kept, in days."
    )


class Config(Section):
    data_dir: Path = Field(
        Path("data"), description="Where flora keeps all it writes.", **_env("FLORA_DATA_DIR")
    )
    data_retention_days: float = Field(
        30, ge=0, description="How long a guild's data is kept after the bot was removed from it, in days."
    )
    discord: DiscordConfig = DiscordConfig()
    database: DatabaseConfig = DatabaseConfig()
    cache: CacheConfig = CacheConfig()
    kv: KvConfig = KvConfig()
    runtime: RuntimeConfig = RuntimeConfig()
    egress: EgressConfig = EgressConfig()
    api: ApiConfig = ApiConfig()
    secrets: SecretsConfig = SecretsConfig()
    builds: BuildsConfig = BuildsConfig()
    playground: PlaygroundConfig = PlaygroundConfig()
    log: LogConfig = LogConfig()

    @property
    def uses_playground(self) -> bool:
        """True when no Discord token is configured: flora then runs a Discord of its own on loopback."""
        return self.discord.bot_token is None


def walk_fields(model: type[Section] = Config, prefix: str = "") -> Iterator[tuple[str, str, FieldInfo]]:
    """Every leaf of the tree as (dotted path, environment variable, field)."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from walk_fields(field.annotation, f"{path}.")
            continue
        extra = field.json_schema_extra
        env = extra.get("env") if isinstance(extra, dict) else None
        yield path, str(env or path.replace(".", "_").upper()), field


def load_config(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Read the configuration from `path` (default: `config.toml`, when it is there) and `environ`.

    Raises StartupError with one line for each thing that is wrong and where it was set.
    """
    environ = os.environ if environ is None else environ
    file = path or Path("config.toml")
    tree: dict[str, Any] = {}
    if path is not None or file.exists():
        try:
            tree = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise StartupError(f"cannot read {file}: {error.strerror}.", exit_code=2) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise StartupError(f"{file} is not valid TOML: {error}.", exit_code=2) from error
    _drop_empty(tree)
    sources: dict[str, str] = {}
    for dotted, variable, _ in walk_fields():
        if (value := environ.get(variable)) is not None and value != "":
            _put(tree, dotted.split("."), value)
            sources[dotted] = variable
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        problems = []
        for item in error.errors(include_input=False, include_url=False):
            dotted = ".".join(str(part) for part in item["loc"])
            problems.append(f"{sources.get(dotted, f'{dotted} in {file}')}: {item['msg']}")
        raise StartupError("configuration: " + "; ".join(problems) + ".", exit_code=2) from None


def _drop_empty(tree: dict[str, Any]) -> None:
    """An empty string is "not set", as in the template."""
    for name, value in list(tree.items()):
        if value == "":
            del tree[name]
        elif isinstance(value, dict):
            _drop_empty(value)


def _put(tree: dict[str, Any], parts: list[str], value: str) -> None:
    for part in parts[:-1]:
        inner = tree.setdefault(part, {})
        if not isinstance(inner, dict):
            return  # a scalar where a table belongs: validation names it
        tree = inner
    tree[parts[-1]] = value
