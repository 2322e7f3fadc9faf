"""Gateway intents follow what scripts listen to.

What a session is identified with is fixed for its life, so a script that needs more makes every shard replace
its session, one shard after the other; see `shard.py`. What nobody listens to any more is not given back
before the next session begins anyway: each IDENTIFY costs one of the day's budget.

Privileged intents are asked for only where the application has them switched on; who listens to what needs
another one is told so, and gets everything else.
Source: Discord, Gateway, "Gateway Intents".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final

import structlog
import trio

from flora.actors.core import Router
from flora.actors.kernel import ActorError, ActorRef, Context, Service
from flora.actors.shard import UseIntents
from flora.errors import FloraError
from flora.gateway.intents import BASE, PRIVILEGED, Intents, intents_for, privileged_names
from flora.gateway.session import FatalGatewayError
from flora.ids import GuildId

log = structlog.get_logger("flora.discord")

WITHOUT_DEPLOYMENTS: Final = sum(set(Intents) - {Intents.GUILD_MEMBERS, Intents.GUILD_PRESENCES})
"""All but members and presences, which Discord grants to few; message content is for prefix commands."""

LOOK_SECS: Final = 1.0
BETWEEN_SECS: Final = 30.0
"""From one change of intents to the next, so that many deploys in a row cost one IDENTIFY of each shard."""

SHARD_SECS: Final = 300.0
"""For one shard to replace its session: its turn to identify, the handover, the old session's catching up."""

_needed = lru_cache(maxsize=4096)(intents_for)


class IntentPlan:
    """Which intents sessions ask for."""

    def __init__(self, fixed: int | None, granted: Intents) -> None:
        """`fixed` from the configuration decides alone; `granted` are the privileged ones switched on."""
        self.fixed = fixed
        self.granted = granted

    def first(self, listened: Iterable[frozenset[str]]) -> int:
        """What the first session asks for, when these deployments are there."""
        if self.fixed is not None:
            return self.fixed
        sets = list(listened)
        return self._allowed(self._wanted(sets) if sets else Intents(WITHOUT_DEPLOYMENTS))

    def more(self, present: int, listened: Iterable[frozenset[str]]) -> int:
        """`present`, and what else is needed now."""
        if self.fixed is not None:
            return present
        return present | self._allowed(self._wanted(listened))

    def withheld(self, listens: frozenset[str]) -> Intents:
        """What a script that listens to this would need and does not get."""
        if self.fixed is not None:
            return _needed(listens) & ~Intents(self.fixed)
        return _needed(listens) & PRIVILEGED & ~self.granted

    def _wanted(self, listened: Iterable[frozenset[str]]) -> Intents:
        wanted = BASE
        for listens in listened:
            wanted |= _needed(listens)
        return wanted

    def _allowed(self, intents: Intents) -> int:
        return int(intents & (~PRIVILEGED | self.granted))


class IntentKeeper(Service[None]):
    def __init__(
        self,
        plan: IntentPlan,
        router: Router,
        shards: Mapping[int, ActorRef[UseIntents]],
        present: int,
        notice: Callable[[GuildId, str], None],
        *,
        between: float = BETWEEN_SECS,
    ) -> None:
        """`present` is what the shards began with. `notice` tells a guild what its script does not get."""
        self._plan = plan
        self._router = router
        self._shards = shards
        self._present = self._began = present
        self._notice = notice
        self._between = between
        self._told: dict[GuildId, Intents] = {}

    async def run(self, ctx: Context[None]) -> None:
        behind = set(self._shards)  # a session that was resumed may be older than what is wanted now
        not_before = 0.0
        while True:
            self._tell()
            # Ten thousand guilds listen to a few different sets.
            wanted = self._plan.more(self._present, {listens for _, listens in self._router.listened()})
            now = trio.current_time()
            if now >= not_before and wanted != self._present:
                log.info("more intents", intents=wanted, before=self._present)
                self._present, behind = wanted, set(self._shards)
            if now >= not_before and behind:
                for shard_id in sorted(behind):
                    if await self._bring(shard_id):
                        behind.discard(shard_id)
                if behind or self._present != self._began:
                    not_before = trio.current_time() + self._between
            await trio.sleep(LOOK_SECS)

    async def _bring(self, shard_id: int) -> bool:
        """Have one shard use them; False when it must be tried again."""
        try:
            await self._shards[shard_id].ask(UseIntents(self._present), deadline=SHARD_SECS)
        except FatalGatewayError as error:
            # The application's flags said otherwise; who knows better is Discord.
            self._plan.granted &= ~Intents(self._present)
            self._present &= ~PRIVILEGED | self._plan.granted
            log.error("intents refused", shard=shard_id, error=str(error))
        except (ActorError, FloraError) as error:
            log.warning("session not replaced", shard=shard_id, error=str(error))
            return False
        return True

    def _tell(self) -> None:
        known: dict[frozenset[str], Intents] = {}
        for guild_id, listens in self._router.listened():
            withheld = known.get(listens)
            if withheld is None:
                withheld = known[listens] = self._plan.withheld(listens)
            if withheld and self._told.get(guild_id) != withheld:
                self._told[guild_id] = withheld
                self._notice(guild_id, self._explain(withheld))

    def _explain(self, withheld: Intents) -> str:
        names = privileged_names(withheld)
        if self._plan.fixed is not None or not names:
            missing = ", ".join(intent.name or str(int(intent)) for intent in withheld)
            return f"This script listens to events that discord.intents leaves out: it is without {missing}."
        return (
            f"This script listens to events that need the {', '.join(names)}, which is not switched on for "
            "this bot: they do not come, or come without content. The bot's owner finds the switch in "
            "Discord's developer portal under Bot, Privileged Gateway Intents; flora uses it from its next "
            "start on."
        )
