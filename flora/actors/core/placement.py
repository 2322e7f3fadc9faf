"""Which worker a guild lives on: the original's hash, explicit routes over it, only workers that are alive.

The default is the reference system's, so that a guild is found where its operators expect it: SipHash-1-3
with keys (0, 0) over the UTF-8 bytes of the guild id and one byte 0xFF (how Rust's `DefaultHasher` hashes
a `str`), modulo the number of workers. A route set by a migration goes before it; when the worker of either
is down, the next one that is alive, in order of index, takes the guild.
"""

from __future__ import annotations

from typing import Final

from flora.ids import GuildId

_MASK: Final = 2**64 - 1

# The initial state of SipHash: the ASCII text "somepseudorandomlygeneratedbytes".
_V0: Final = 0x736F6D6570736575
_V1: Final = 0x646F72616E646F6D
_V2: Final = 0x6C7967656E657261
_V3: Final = 0x7465646279746573


def siphash13(data: bytes, k0: int = 0, k1: int = 0) -> int:
    """SipHash with one compression and three finalisation rounds, as an unsigned 64-bit integer."""
    v0, v1, v2, v3 = _V0 ^ k0, _V1 ^ k1, _V2 ^ k0, _V3 ^ k1
    whole = len(data) - len(data) % 8
    words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, whole, 8)]
    words.append(int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56)
    for word in words:
        v3 ^= word
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0 ^= word
    v2 ^= 0xFF
    for _ in range(3):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


def _round(v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    v0 = (v0 + v1) & _MASK
    v1 = ((v1 << 13) | (v1 >> 51)) & _MASK ^ v0
    v0 = ((v0 << 32) | (v0 >> 32)) & _MASK
    v2 = (v2 + v3) & _MASK
    v3 = ((v3 << 16) | (v3 >> 48)) & _MASK ^ v2
    v0 = (v0 + v3) & _MASK
    v3 = ((v3 << 21) | (v3 >> 43)) & _MASK ^ v0
    v2 = (v2 + v1) & _MASK
    v1 = ((v1 << 17) | (v1 >> 47)) & _MASK ^ v2
    v2 = ((v2 << 32) | (v2 >> 32)) & _MASK
    return v0, v1, v2, v3


def guild_hash(guild_id: str) -> int:
    """The hash of a guild id, equal to Rust's `DefaultHasher::new()` over a `str`."""
    return siphash13(guild_id.encode() + b"\xff")


def default_worker(guild_id: str, workers: int) -> int:
    """The worker (0-based) of a guild that has no route of its own."""
    return guild_hash(guild_id) % workers


class Placement:
    """The routes of all guilds and the workers that can take them."""

    __slots__ = ("_alive", "_closed", "_routes", "workers")

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise ValueError("there must be at least one worker")
        self.workers = workers
        self._alive = set(range(workers))
        self._closed: set[int] = set()
        self._routes: dict[GuildId, int] = {}

    @property
    def alive(self) -> frozenset[int]:
        return frozenset(self._alive)

    def is_alive(self, worker: int) -> bool:
        return worker in self._alive

    def down(self, worker: int) -> None:
        self._alive.discard(worker)

    def up(self, worker: int) -> None:
        if not 0 <= worker < self.workers:
            raise ValueError(f"there is no worker {worker}")
        self._alive.add(worker)

    def close(self, worker: int) -> None:
        """Place no further guild on `worker` (it is being drained), as long as another one is alive."""
        self._closed.add(worker)

    def reopen(self, worker: int) -> None:
        self._closed.discard(worker)

    def is_closed(self, worker: int) -> bool:
        return worker in self._closed

    def route(self, guild_id: GuildId, worker: int) -> None:
        """Send `guild_id` to `worker` from now on, against its hash."""
        if worker == default_worker(guild_id, self.workers):
            self._routes.pop(guild_id, None)
        else:
            self._routes[guild_id] = worker

    def forget(self, guild_id: GuildId) -> None:
        self._routes.pop(guild_id, None)

    def routed(self, guild_id: GuildId) -> int | None:
        """The explicit route of `guild_id`, None when its hash decides."""
        return self._routes.get(guild_id)

    def place(self, guild_id: GuildId, *, avoid: int | None = None) -> int | None:
        """The worker that `guild_id` should run on now; None when no worker is alive.

        `avoid` is taken only when it is the last one left.
        """
        wanted = self._routes.get(guild_id)
        if wanted is None:
            wanted = default_worker(guild_id, self.workers)
        order = [(wanted + step) % self.workers for step in range(self.workers)]
        usable = [worker for worker in order if worker in self._alive]
        best = [worker for worker in usable if worker not in self._closed and worker != avoid]
        return next(iter(best or usable), None)
