"""Refusals of the router's core."""

from __future__ import annotations

from flora.errors import FloraError
from flora.ids import GuildId


class RouterError(FloraError):
    code = "ROUTER_ERROR"


class GuildNotDeployedError(RouterError):
    code = "GUILD_NOT_DEPLOYED"

    def __init__(self, guild_id: GuildId) -> None:
        super().__init__(f"guild {guild_id} has no script running.", hint="Deploy one first.")


class MigrationBusyError(RouterError):
    code = "MIGRATION_BUSY"

    def __init__(self, guild_id: GuildId, target: int) -> None:
        super().__init__(
            f"guild {guild_id} is being moved to worker {target}.", hint="Try again when that has ended."
        )


class WorkerUnavailableError(RouterError):
    code = "WORKER_UNAVAILABLE"

    def __init__(self, worker: int) -> None:
        super().__init__(f"worker {worker} is not running.", hint="Choose another one.")


class ControlQueueFullError(RouterError):
    code = "CONTROL_QUEUE_FULL"

    def __init__(self, guild_id: GuildId, limit: int) -> None:
        super().__init__(
            f"guild {guild_id} has {limit} deploys, restarts or other changes waiting.",
            hint="Wait until some have ended.",
        )


class RouterClosedError(RouterError):
    code = "SHUTTING_DOWN"

    def __init__(self) -> None:
        super().__init__("flora is shutting down.")
