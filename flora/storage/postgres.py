"""PostgreSQL: a connection pool whose users hand in whole units of work.

    async with open_aio(), Database.open(url, max_connections=10, deadline=10.0) as db:
        await db.migrate()
        count = await db.run(lambda con: con.fetchval("select count(*) from deployments"))

A unit is an asyncio coroutine function that gets a connection (see `flora.storage.aio`). Every unit has a
deadline that covers the wait for a connection, all its statements and its commit. A unit must leave no
session state behind (no SET without LOCAL, no session advisory lock, no LISTEN): connections go back without
a reset.

Cancellation: a cancelled unit's statement is cancelled on the server, its transaction rolled back, and its
connection given back or closed, before `trio.Cancelled` is raised; at most RELEASE_SECONDS late. If the
cancellation arrives while the commit is under way, it may have been applied.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit

import asyncpg
import structlog
import trio

from flora.errors import FloraError, StartupError
from flora.storage.aio import Bridge, current_bridge

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

# Texts, since asyncpg's classes are generic in its stubs only.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

T = TypeVar("T")
log = structlog.get_logger("flora.storage.postgres")

RELEASE_SECONDS: Final = 2.0
"""How long a cancelled statement may take to stop on the server before its connection is cut."""
CONNECT_SECONDS: Final = 5.0
"""One attempt to connect; a server that drops packets must not eat the whole deadline of a unit."""
BACKOFF_INITIAL: Final = 0.05
BACKOFF_MAXIMUM: Final = 2.0
"""Pauses between attempts while the server is away: soon after a quick restart, gentle in a long outage."""


class DatabaseError(FloraError):
    """PostgreSQL refused a statement. `sqlstate` is its five-character code (PostgreSQL manual, Appendix
    A).
    """

    code = "DATABASE_ERROR"

    def __init__(self, message: str, *, sqlstate: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate


class DatabaseUnavailableError(DatabaseError):
    """The server is not there. With `outcome_unknown` the unit had begun, and its commit may have been
    applied.
    """

    code = "DATABASE_UNAVAILABLE"

    def __init__(
        self,
        message: str,
        *,
        outcome_unknown: bool = False,
        sqlstate: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, sqlstate=sqlstate, hint=hint)
        self.outcome_unknown = outcome_unknown


class DatabaseTimeoutError(DatabaseError):
    """A unit of work missed its deadline and was cancelled on the server. It may have been applied only if
    its commit was already under way.
    """

    code = "DATABASE_TIMEOUT"


class DatabaseFullError(DatabaseError):
    """The server is out of disk space or memory (SQLSTATE class 53); nothing of the unit was applied."""

    code = "DATABASE_FULL"


@dataclass(frozen=True, slots=True)
class DatabaseStatistics:
    """What the pool holds now, and what happened since it was opened."""

    max_connections: int
    connections: int
    idle: int
    in_use: int
    units_running: int
    units: int
    failures: int
    timeouts: int
    reconnects: int


class Database:
    """The pool. Usable from every task of the process; made by `Database.open`."""

    def __init__(self, pool: Pool, bridge: Bridge, *, max_connections: int, deadline: float) -> None:
        self._pool = pool
        self._bridge = bridge
        self._deadline = deadline
        self._max_connections = max_connections
        self._counters = _Counters()
        self._running: set[trio.CancelScope] = set()
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        *,
        max_connections: int = 10,
        deadline: float = 10.0,
        connect_deadline: float = 10.0,
    ) -> AsyncIterator[Database]:
        """Connect to `url` and yield the pool. Needs an open bridge (`open_aio`).

        `deadline` (seconds) is the default of every unit. A server that does not answer is tried for
        `connect_deadline` seconds. Raises StartupError with one line that names the server, never the
        password. On exit, also when cancelled, units still running are cancelled and connections closed,
        within 2 * RELEASE_SECONDS.
        """
        bridge = current_bridge()
        pool = await _open_pool(bridge, url, max_connections, connect_deadline)
        database = cls(pool, bridge, max_connections=max_connections, deadline=deadline)
        try:
            yield database
        finally:
            database._end_units()
            with trio.CancelScope(shield=True):
                await _close_pool(bridge, pool)

    async def run(
        self,
        unit: Callable[[Connection], Awaitable[T]],
        *,
        deadline: float | None = None,
        idempotent: bool = False,
    ) -> T:
        """Run one unit of work and return its result.

        While no connection can be made, the unit waits and tries again with back-off until its deadline
        (seconds; the pool's default). Once a statement of it has been sent it is not run a second time,
        unless it is `idempotent`. Raises DatabaseTimeoutError, DatabaseUnavailableError, DatabaseFullError,
        DatabaseError, and whatever the unit raises.
        """
        return await self._run(unit, None, deadline, idempotent)

    async def transact(
        self,
        unit: Callable[[Connection], Awaitable[T]],
        *,
        deadline: float | None = None,
        idempotent: bool = False,
    ) -> T:
        """Run a unit inside one transaction: all of it is applied when this returns, or nothing.

        When the connection is lost before the commit was sent, nothing was applied and the unit is run again
        until its deadline; when it is lost during the commit, only an `idempotent` one. Raises as `run` does.
        """
        commit = _Commit()

        async def inside(con: Connection) -> T:
            async with con.transaction():
                result = await unit(con)
                commit.sent = True
            return result

        return await self._run(inside, commit, deadline, idempotent)

    async def migrate(self) -> list[str]:
        """Bring the schema up to date; the names of the migrations applied now. See
        `flora.storage.migrations`.
        """
        from flora.storage.migrations import Migrator

        return await Migrator(self).apply()

    def statistics(self) -> DatabaseStatistics:
        size, idle = self._pool.get_size(), self._pool.get_idle_size()
        return DatabaseStatistics(
            max_connections=self._max_connections,
            connections=size,
            idle=idle,
            in_use=size - idle,
            units_running=len(self._running),
            units=self._counters.units,
            failures=self._counters.failures,
            timeouts=self._counters.timeouts,
            reconnects=self._counters.reconnects,
        )

    async def _run(
        self,
        unit: Callable[[Connection], Awaitable[T]],
        commit: _Commit | None,
        deadline: float | None,
        idempotent: bool,
    ) -> T:
        if self._closed:
            raise DatabaseUnavailableError("the database has been closed.")
        limit = self._deadline if deadline is None else deadline
        scope = trio.move_on_after(limit)
        self._running.add(scope)
        counters = self._counters
        counters.units += 1
        backoff = _Backoff()
        last: DatabaseUnavailableError | None = None
        try:
            with scope:
                while True:
                    try:
                        return await self._bridge.run(lambda: self._attempt(unit, commit))
                    except DatabaseUnavailableError as error:
                        if error.outcome_unknown and not idempotent:
                            raise
                        if error.sqlstate in _PERMANENT:
                            raise
                        last = error
                    counters.reconnects += 1
                    await trio.sleep(backoff.next())
            if self._closed:
                raise DatabaseUnavailableError("the database is being closed.", outcome_unknown=True)
            if last is not None:
                raise last
            counters.timeouts += 1
            raise DatabaseTimeoutError(
                f"the database did not finish within {limit:g} s.",
                hint="Try again; if it stays so, look for locks or raise database.statement_timeout_secs.",
            )
        except Exception:
            counters.failures += 1
            raise
        finally:
            self._running.discard(scope)

    def _end_units(self) -> None:
        self._closed = True
        for scope in self._running:
            scope.cancel()

    async def _attempt(self, unit: Callable[[Connection], Awaitable[T]], commit: _Commit | None) -> T:
        """The asyncio side: acquire, use and release in one task, so that no cancellation can part them."""
        try:
            con = await self._pool.acquire()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ssl.SSLError) as error:
            raise _unavailable(error) from error
        protocol: Any = cast("Any", con)._protocol  # the proxy forgets its connection when that is lost
        before = protocol.queries_count

        def lost(error: Exception) -> DatabaseUnavailableError:
            applied = commit.sent if commit else protocol.queries_count != before
            return _lost(error, outcome_unknown=applied)

        try:
            return await unit(con)
        except asyncpg.InternalClientError as error:
            # The server's parting message has been read, the end of its stream has not: asyncpg calls the
            # connection open and refuses to use it.
            con.terminate()
            raise lost(error) from error
        except asyncpg.PostgresError as error:
            if protocol.is_closed() or _says_goodbye(error):
                raise lost(error) from error
            raise _translate(error) from error
        except (ConnectionError, asyncpg.InterfaceError) as error:
            if protocol.is_closed() or isinstance(error, ConnectionError):
                raise lost(error) from error
            raise
        finally:
            await self._release(con)

    async def _release(self, con: Connection) -> None:
        try:
            await self._pool.release(con, timeout=RELEASE_SECONDS)  # type: ignore[arg-type]
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # asyncpg has cut the connection and will make another; the unit's own outcome stands.
            log.warning("connection cut", error=repr(error))


@dataclass(slots=True)
class _Counters:
    units: int = 0
    failures: int = 0
    timeouts: int = 0
    reconnects: int = 0


class _Commit:
    """Whether the commit of a transaction may have reached the server."""

    sent = False


class _Backoff:
    """Pauses that double up to a maximum, with jitter so that waiting units do not come back as one herd."""

    def __init__(self) -> None:
        self._pause = BACKOFF_INITIAL

    def next(self) -> float:
        pause, self._pause = self._pause, min(self._pause * 2, BACKOFF_MAXIMUM)
        return pause * random.uniform(0.5, 1.0)


_PERMANENT: Final = frozenset({"28000", "28P01", "3D000", "42501"})
"""Refused for good: authorization, password, no such database, no privilege. Waiting does not help."""
_SHUTDOWN: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25006"})
"""The server is going down, coming up, or a read-only standby after a failover."""


async def _no_reset(_: object) -> None:
    """Given to asyncpg as `reset`: a round trip saved on every unit (40 % of a short one's time)."""


async def _open_pool(bridge: Bridge, url: str, max_connections: int, connect_deadline: float) -> Pool:
    async def connect() -> Pool:
        pool: Pool = asyncpg.create_pool(
            url,
            min_size=1,
            max_size=max_connections,
            timeout=CONNECT_SECONDS,
            reset=_no_reset,
            server_settings={"application_name": "flora"},
        )
        try:
            await pool
        except BaseException:
            pool.terminate()
            raise
        return pool

    backoff = _Backoff()
    problem = "it does not answer"
    with trio.move_on_after(connect_deadline):
        while True:
            try:
                return await bridge.run(connect)
            except (ValueError, asyncpg.InterfaceError) as error:
                raise StartupError(
                    f"the database URL is not valid: {error}.", hint="Check DATABASE_URL.", exit_code=2
                ) from error
            except (OSError, TimeoutError, asyncpg.PostgresError) as error:
                problem = str(error) or type(error).__name__
                if isinstance(error, asyncpg.PostgresError) and error.sqlstate in _PERMANENT:
                    break
            await trio.sleep(backoff.next())
    raise StartupError(
        f"cannot connect to PostgreSQL at {_where(url)}: {problem}.",
        hint="Check DATABASE_URL, or leave it out and flora runs a PostgreSQL of its own.",
    )


async def _close_pool(bridge: Bridge, pool: Pool) -> None:
    reason = "units of work did not end in time"
    with trio.move_on_after(RELEASE_SECONDS):
        try:
            await bridge.run(pool.close)
            return
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            reason = repr(error)  # the server is gone, or going
    log.warning("connections cut", reason=reason)
    pool.terminate()


def _where(url: str) -> str:
    """The server in `url` as a person may see it: no user, no password."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname or 'a local socket'}:{parts.port or 5432}{parts.path}"
    except ValueError:
        return "the configured URL"


def _unavailable(error: Exception) -> DatabaseError:
    if isinstance(error, asyncpg.PostgresError):
        return DatabaseUnavailableError(
            f"the database refuses connections: {error}.", sqlstate=error.sqlstate
        )
    return DatabaseUnavailableError(f"cannot connect to the database: {str(error) or type(error).__name__}.")


def _lost(error: Exception, *, outcome_unknown: bool) -> DatabaseUnavailableError:
    inner = isinstance(error, asyncpg.InternalClientError)  # speaks of asyncpg's states
    return DatabaseUnavailableError(
        "the connection to the database was lost" + ("." if inner else f": {error}."),
        outcome_unknown=outcome_unknown,
        sqlstate=error.sqlstate if isinstance(error, asyncpg.PostgresError) else None,
    )


def _says_goodbye(error: asyncpg.PostgresError) -> bool:
    state = error.sqlstate or ""
    return state in _SHUTDOWN or state.startswith("08")


def _translate(error: asyncpg.PostgresError) -> DatabaseError:
    state = error.sqlstate or ""
    if state.startswith("53"):
        return DatabaseFullError(
            f"the database is out of resources: {error}.", sqlstate=state, hint="Free disk space or memory."
        )
    return DatabaseError(f"the database refused a statement: {error}.", sqlstate=state)
