"""Which guild processes there are, whoever owns them, and what is known of their troubles.

An owner may end before it could take a process over, or without having ended its own. So every process is
entered here as soon as it exists, and can be killed without an owner. One page for what operators ask of a
guild beyond the router's view: the process, the back-off it waits out, the last thing that went wrong.
"""

from __future__ import annotations

import math

import trio

from flora.engine.api import GuildProcess
from flora.ids import GuildId


class Census:
    def __init__(self) -> None:
        self._processes: dict[GuildId, dict[int, GuildProcess]] = {}  # by incarnation
        self._pauses: dict[GuildId, trio.CancelScope] = {}
        self._errors: dict[GuildId, str] = {}
        self._used_at: dict[GuildId, float] = {}

    def enter(self, guild_id: GuildId, incarnation: int, process: GuildProcess) -> None:
        """A process exists. Those of the guild that have ended are forgotten."""
        self.forget_ended(guild_id)
        self._processes.setdefault(guild_id, {})[incarnation] = process
        self.used(guild_id)

    def forget_ended(self, guild_id: GuildId) -> None:
        """Let go of the guild's processes that have ended."""
        kept = {n: old for n, old in self._of(guild_id).items() if old.exit_report is None}
        if kept:
            self._processes[guild_id] = kept
        else:
            self._processes.pop(guild_id, None)
            self._used_at.pop(guild_id, None)

    def used(self, guild_id: GuildId) -> None:
        """The guild's process has just done something that it was asked for."""
        self._used_at[guild_id] = trio.current_time()

    def used_at(self, guild_id: GuildId) -> float:
        """When that was last, on Trio's clock; -inf for a guild without a process."""
        return self._used_at.get(guild_id, -math.inf)

    def process(self, guild_id: GuildId, incarnation: int) -> GuildProcess | None:
        """The process if it runs."""
        found = self._of(guild_id).get(incarnation)
        return found if found is not None and found.exit_report is None else None

    def kill(self, guild_id: GuildId, incarnation: int, reason: str) -> bool:
        """Kill this process. Returns False when there is none that runs."""
        process = self.process(guild_id, incarnation)
        if process is not None:
            process.kill(reason)
        return process is not None

    def kill_up_to(self, guild_id: GuildId, incarnation: float, reason: str) -> None:
        """Kill every process of the guild up to `incarnation`."""
        for number, process in self._of(guild_id).items():
            if number <= incarnation:
                process.kill(reason)

    async def pause(self, guild_id: GuildId, seconds: float) -> None:
        """Wait out the back-off of a guild; it ends early when somebody is in a `hurry`."""
        scope = trio.CancelScope(deadline=trio.current_time() + seconds)
        self._pauses[guild_id] = scope
        try:
            with scope:
                await trio.sleep(seconds)
        finally:
            if self._pauses.get(guild_id) is scope:
                del self._pauses[guild_id]

    def hurry(self, guild_id: GuildId) -> None:
        """End the back-off of a guild that waits for its next start."""
        if (pause := self._pauses.get(guild_id)) is not None:
            pause.cancel()

    def resumes_in(self, guild_id: GuildId) -> float | None:
        """Seconds of back-off that remain; None when the guild does not wait."""
        pause = self._pauses.get(guild_id)
        return None if pause is None else max(0.0, pause.deadline - trio.current_time())

    def failed(self, guild_id: GuildId, reason: str) -> None:
        self._errors[guild_id] = reason

    def last_error(self, guild_id: GuildId) -> str | None:
        """What went wrong last since the guild's script was deployed."""
        return self._errors.get(guild_id)

    def forgive(self, guild_id: GuildId) -> None:
        """Another script, another record."""
        self._errors.pop(guild_id, None)

    def _of(self, guild_id: GuildId) -> dict[int, GuildProcess]:
        return self._processes.get(guild_id, {})
