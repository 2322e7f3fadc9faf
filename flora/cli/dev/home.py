"""Where `flora dev` deploys to: a flora named by its URL, the one that runs here, or one of its own.

Whatever it is may be restarted meanwhile, on other ports too: `place` waits until there is one again. A flora
of somebody else's that ends is waited for; one of our own is started again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import trio

from flora.cli.dev.screen import Screen
from flora.cli.live import LiveClient
from flora.cli.target import Target, local_target
from flora.config import Config
from flora.errors import FloraError
from flora.storage.datadir import LockHolder, read_holder

LOG_NAME: Final = "dev.log"
# A first start makes a database, on a slow machine with cold disks too.
START_SECS: Final = 120.0
# Beyond the time that a flora gives its guilds to finish: for closing its database and the rest.
STOP_MARGIN_SECS: Final = 10.0
LOOK_EVERY: Final = 0.1
RESTART_PAUSE: Final = 1.0


class DevError(FloraError):
    """`flora dev` cannot go on."""

    code = "DEV_FAILED"


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """One flora, for as long as it runs. `page` is its playground's chat page, None when it has none."""

    client: LiveClient
    page: str | None


class Home:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._place: Place | None = None
        self._changed = trio.Event()
        self._child: trio.Process | None = None
        self._started = False
        self._probe: httpx.AsyncClient

    async def place(self) -> Place:
        """The flora that runs now; waits for one."""
        while self._place is None:
            await self._changed.wait()
        return self._place

    async def after(self, place: Place) -> Place:
        """The next one after `place`, as soon as it is there."""
        while self._place is None or self._place is place:
            await self._changed.wait()
        return self._place

    async def stay_at(self, target: Target) -> None:
        """Deploy to the flora with this URL, until cancelled."""
        async with LiveClient(target) as client:
            self._set(Place(client, None))
            await trio.sleep_forever()

    async def stay_here(self, config: Config) -> None:
        """Deploy to the flora of this data directory, until cancelled; a flora of our own ends then.

        Raises DevError when ours does not start.
        """
        async with AsyncExitStack() as clients:
            self._probe = await clients.enter_async_context(httpx.AsyncClient(timeout=10, trust_env=False))
            ours = False
            first = True
            while True:
                holder = await _look(config)
                if holder is not None:
                    ours = False
                    await self._use(holder, config, clients)
                    self._screen.note("flora has stopped; waiting for it to come back (Ctrl-C ends)")
                elif first or ours:
                    if ours:
                        await trio.sleep(RESTART_PAUSE)
                    ours = True
                    await self._run_child(config, clients)
                else:
                    await trio.sleep(LOOK_EVERY)
                first = False

    def hurry(self) -> None:
        """Our own flora ends at once, whatever it is doing."""
        if self._child is not None:
            self._child.terminate()  # its second signal

    async def _use(self, holder: LockHolder, config: Config, clients: AsyncExitStack) -> None:
        """Until the flora that holds the data directory is gone."""
        place: Place | None = None
        if not await self._is_ready(holder):
            self._screen.note(f"waiting for the flora that runs here (process {holder.pid}) to be ready")
        while (found := await _look(config)) is not None and found.pid == holder.pid:
            if place is None and await self._is_ready(found):
                place = await self._arrive(found, clients)
            await trio.sleep(LOOK_EVERY)
        self._set(None)

    async def _run_child(self, config: Config, clients: AsyncExitStack) -> None:
        """Start a flora and stay with it until it ends; end it when cancelled."""
        log = config.data_dir / LOG_NAME
        self._screen.note(f"starting flora (its log: {log})")
        stop_secs = config.runtime.shutdown_grace_secs + STOP_MARGIN_SECS
        try:
            async with _running(log, stop_secs, again=self._started) as self._child:
                await self._arrive(await self._ready_child(self._child, config, log), clients)
                self._started = True
                code = await self._child.wait()
                self._screen.note(f"flora has ended (exit code {code}); starting it again")
                self._set(None)
        finally:
            self._child = None

    async def _ready_child(self, child: trio.Process, config: Config, log: Path) -> LockHolder:
        """Raises DevError when it ends before it is ready, or takes too long."""
        with trio.move_on_after(START_SECS):
            while True:
                holder = await _look(config)
                if holder is not None and holder.pid == child.pid and await self._is_ready(holder):
                    return holder
                if child.poll() is not None:
                    raise DevError(f"flora did not start: {_last_words(log)}", hint=f"See {log}.")
                await trio.sleep(LOOK_EVERY)
        raise DevError(f"flora was not ready within {START_SECS:.0f} s.", hint=f"See {log}.")

    async def _is_ready(self, holder: LockHolder) -> bool:
        if "api" not in holder.urls:
            return False
        try:
            return (await self._probe.get(f"{holder.urls['api']}/ready")).status_code == 200
        except httpx.HTTPError:
            return False

    async def _arrive(self, holder: LockHolder, clients: AsyncExitStack) -> Place:
        target = await trio.to_thread.run_sync(local_target)
        # The clients of floras that are gone are closed at the end: somebody may still be using one.
        client = await clients.enter_async_context(LiveClient(target))
        place = Place(client, holder.urls.get("playground"))
        self._set(place)
        return place

    def _set(self, place: Place | None) -> None:
        self._place = place
        self._changed.set()
        self._changed = trio.Event()


@asynccontextmanager
async def _running(log: Path, stop_secs: float, *, again: bool) -> AsyncIterator[trio.Process]:
    """A flora as a child in a session of its own, so that a Ctrl-C reaches only us; ended with the block.

    It has `stop_secs` for its orderly end. `again` keeps what the log has of the one before.
    """
    mode = os.O_APPEND if again else os.O_TRUNC
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | mode, 0o600)
    except OSError as error:
        raise DevError(f"cannot write {log}: {error.strerror}.") from error
    try:
        child = await trio.lowlevel.open_process(
            [sys.executable, "-m", "flora.cli.dev.child"],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    finally:
        os.close(output)
    try:
        yield child
    finally:
        with trio.CancelScope(shield=True):
            if child.returncode is None:
                child.terminate()
                with trio.move_on_after(stop_secs):
                    await child.wait()
            child.kill()  # does nothing when it has ended
            await child.wait()
            assert child.stdin is not None
            await child.stdin.aclose()


async def _look(config: Config) -> LockHolder | None:
    return await trio.to_thread.run_sync(read_holder, config.data_dir)


def _last_words(log: Path) -> str:
    """What the child said last that was meant for people."""
    lines = [line.strip(" |") for line in log.read_text("utf-8", "replace").splitlines()]
    words = [line.removeprefix("flora: ") for line in lines if line.startswith("flora: ")]
    spoken = [line for line in lines if line[:1].isalpha()]  # neither JSON nor the frame of a traceback
    return (words or spoken or ["it said nothing"])[-1]
