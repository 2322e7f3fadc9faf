"""The sans-I/O heart of flora: who runs which guild, in which order events start, and how a guild moves.

Nothing in this package imports Trio, reads a clock, waits, or touches the outside world. `Router` is the one
door: actors call its methods and carry out the commands that come out; the tests do the same, and search
every interleaving of it. `migration.md`, I1 to I10 and L1 to L10, is the specification.

The way of an event
-------------------
::

    accept(event) -> Verdict            the gateway's `deliver`, one synchronous step
        mailbox (n)                     one gap-free order for each guild: events and controls
        ready-queue of the owner        Wake(worker), when it sleeps
    next(worker) -> Delivery            start: in order, up to `concurrency`, fair between guilds
    ack(delivery, outcome) -> bool      the commit; or fail(delivery, reason): again, later a dead letter

There is one queue for each guild, and the owner takes from its front; nothing is sent ahead to a worker. So
a change of owner needs no replay protocol: what was in flight goes back to its place, and whoever may take
next finds everything that has not ended, in order.

Inputs and outputs
------------------
Inputs are the methods of `Router`; each is one critical section. Outputs are the values they return and the
commands that `take()` hands out (`commands.py`), to be carried out in order:

    for command in router.take(): ...     # after every call, or after a batch of calls

    Wake(worker)        let that worker call `next` until it answers None
    Activate            start an owner and its process     -> activated | activation_failed
    Apply               deploy, undeploy, secrets, restart -> applied
    Release             let go of the live process         -> released | release_refused
    Adopt               take it over                       -> adopted | adopt_refused
    Hibernate           end the idle process in order      -> hibernated | hibernate_refused
    Cancel              cancel the handlers in flight      -> each of them: ack | fail
    Kill                kill the process                   -> process_lost
    Retire              this owner is one no longer        (no answer)
    Arm                 a timer                            -> timeout
    DeadLetter          store it                           -> stored
    ControlDone         a submitted control has ended      (resolve whoever waits)
    MoveDone            a migration has ended              (resolve whoever waits)

An answer hands the command itself back, an `ack` the delivery. Both carry the epoch, so an answer may come at
any time, twice, or never: what is stale is refused (and its giver told by `Retire`), what is missing is
covered by a deadline, `worker_lost` or `process_lost`.

What a driver must do
---------------------
1. Call `worker_lost` when a worker's actor has ended, `worker_up` when it is there again, `process_lost` once
   for every guild process that has ended, with the incarnation it was started as. Every `Activate`, `Apply`
   and `Hibernate` must be answered, fail, or be followed by `worker_lost`; these have no deadline here.
2. Ask `is_current(guild_id, epoch)` before an effect, and before attaching to a process, with the epoch of
   the owner that does it, and without a checkpoint between.
3. Key effects by `effect_key(guild_id, event_id, call_index)`, which is the same at every attempt.
4. Wait out the back-off of `Activate.failures` itself: there is no clock here.
5. Store `sessions.cursor(shard)` from time to time, and hand it to `resume` after a restart.

Where to read on: `guild.py` (states of a guild), `migration.py` (the table of the protocol), `mailbox.py`,
`fairness.py`, `overload.py`, `placement.py`, `dedupe.py`, `log.py` and `history.py` (event log and checker).
"""

from flora.actors.core.commands import (
    Activate,
    Adopt,
    Apply,
    Arm,
    Cancel,
    Command,
    ControlDone,
    DeadLetter,
    Delivery,
    Hibernate,
    Kill,
    MoveDone,
    MoveOutcome,
    Outcome,
    Release,
    Retire,
    Verdict,
    Wake,
)
from flora.actors.core.dedupe import Cursor, Sessions
from flora.actors.core.effects import effect_key
from flora.actors.core.errors import (
    ControlQueueFullError,
    GuildNotDeployedError,
    MigrationBusyError,
    RouterClosedError,
    RouterError,
    WorkerUnavailableError,
)
from flora.actors.core.guild import State
from flora.actors.core.house import Limits
from flora.actors.core.log import Log
from flora.actors.core.mailbox import Control, ControlKind, Event, Injected, Scheduled
from flora.actors.core.migration import Deadlines, Phase
from flora.actors.core.placement import Placement, default_worker, guild_hash
from flora.actors.core.router import GuildView, Router

__all__ = [
    "Activate",
    "Adopt",
    "Apply",
    "Arm",
    "Cancel",
    "Command",
    "Control",
    "ControlDone",
    "ControlKind",
    "ControlQueueFullError",
    "Cursor",
    "DeadLetter",
    "Deadlines",
    "Delivery",
    "Event",
    "GuildNotDeployedError",
    "GuildView",
    "Hibernate",
    "Injected",
    "Kill",
    "Limits",
    "Log",
    "MigrationBusyError",
    "MoveDone",
    "MoveOutcome",
    "Outcome",
    "Phase",
    "Placement",
    "Release",
    "Retire",
    "Router",
    "RouterClosedError",
    "RouterError",
    "Scheduled",
    "Sessions",
    "State",
    "Verdict",
    "Wake",
    "WorkerUnavailableError",
    "default_worker",
    "effect_key",
    "guild_hash",
]
