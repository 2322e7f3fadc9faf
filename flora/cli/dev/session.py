"""One run of `flora dev`: watch, build, deploy, check, follow, side by side, until Ctrl-C.

    save -> build -> deploy       the guild runs it
                  -> type check   beside it, for the author

A build or a script that fails changes nothing in the guild. Errors of the types never stop a deploy.
"""

from __future__ import annotations

import math
import signal
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import trio

from flora.build.bundle import build_project, check_project
from flora.build.packages import LOCK, MANIFEST, ensure_packages
from flora.build.toolchain import Toolchain
from flora.build.types import Bundle
from flora.cli.client import ApiError, UnreachableError
from flora.cli.dev.home import DevError, Home, Place
from flora.cli.dev.screen import Screen
from flora.cli.dev.watch import watch
from flora.cli.project import Project, deploy_body, open_project
from flora.cli.scaffold import refresh_types
from flora.cli.target import Target
from flora.config import Config
from flora.errors import FloraError

# Between two tries to reach a flora that is away.
RETRY_SECS: Final = 0.3
STATE_PATH: Final = "/playground/api/state"


@dataclass(frozen=True, slots=True)
class Options:
    """`guild` None is the playground's first; `target` None is the flora that runs here, or our own."""

    folder: Path
    guild: str | None
    target: Target | None


class DevSession:
    def __init__(self, options: Options, config: Config) -> None:
        self._options = options
        self._config = config
        self._screen = Screen(options.folder)
        self._home = Home(self._screen)
        self._tools: Toolchain
        self._guild = options.guild or ""
        self._page: str | None = None
        self._changes: set[str] = set()
        self._packages_in_place = False
        self._dirty = trio.Event()
        self._checking = trio.CancelScope()
        self._types_wrong = False
        self._deployed = ""  # the revision that we deployed last

    async def run(self) -> None:
        """Until SIGINT, SIGTERM or SIGHUP; the second one ends our own flora at once.

        Raises DevError when no flora can be had, ToolchainError when there are no tools.
        """
        async with trio.open_nursery() as signals:
            try:
                async with trio.open_nursery() as nursery:
                    signals.start_soon(self._heed_signals, nursery.cancel_scope)
                    await self._start(nursery)
            finally:
                signals.cancel_scope.cancel()
        self._screen.note("stopped")

    async def _start(self, nursery: trio.Nursery) -> None:
        await trio.to_thread.run_sync(refresh_types, self._options.folder)
        if self._options.target is not None:
            nursery.start_soon(self._home.stay_at, self._options.target)
        else:
            nursery.start_soon(self._home.stay_here, self._config)
        self._tools = await Toolchain.ensure(self._screen.note)
        project = await trio.to_thread.run_sync(open_project, self._options.folder)
        place = await self._home.place()
        await self._introduce(place, project)
        nursery.start_soon(self._rebuild, nursery)
        nursery.start_soon(self._follow_log)
        nursery.start_soon(self._notice_restarts, place)
        skipped = (self._config.data_dir.resolve(), self._options.folder.resolve() / ".flora")
        nursery.start_soon(watch, self._options.folder.resolve(), skipped, self._note_changes)

    async def _heed_signals(self, work: trio.CancelScope) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as received:
            async for _ in received:
                if work.cancel_called:
                    self._home.hurry()
                else:
                    work.cancel()

    async def _introduce(self, place: Place, project: Project) -> None:
        name = self._guild
        if place.page is not None:
            guilds = await _playground_guilds(place.page)
            if not self._guild:
                self._guild, name = guilds[0]
            else:
                name = dict(guilds).get(self._guild, self._guild)
        elif not self._guild:
            raise DevError("this flora has no playground.", hint="Name a guild of it with --guild ID.")
        self._screen.say(f"  project    {project.folder.resolve()} ({project.entry})")
        self._screen.say(
            f"  guild      {name} ({self._guild})" if name != self._guild else f"  guild      {name}"
        )
        self._show_page(place)
        self._screen.say("  stop       Ctrl-C\n")

    def _show_page(self, place: Place) -> None:
        if place.page is not None and place.page != self._page:
            self._page = place.page
            self._screen.say(f"  chat page  {place.page}")

    def _note_changes(self, paths: frozenset[str]) -> None:
        self._changes |= paths
        self._dirty.set()

    async def _notice_restarts(self, place: Place) -> None:
        """A flora that has come back runs what it ran before, unless it has lost it."""
        while True:
            place = await self._home.after(place)
            self._screen.note("flora is back")
            self._show_page(place)
            try:
                running = (await place.client.get(f"/deployments/{self._guild}"))["revision_id"]
            except (ApiError, UnreachableError):
                running = None
            if running != self._deployed:
                self._dirty.set()

    # ------------------------------------------------------------------ build and deploy

    async def _rebuild(self, nursery: trio.Nursery) -> None:
        while True:
            self._dirty = trio.Event()
            changes, self._changes = self._changes, set()
            try:
                await self._rebuild_once(changes, nursery)
            except FloraError as error:
                self._screen.failed("not built", error)
            await self._dirty.wait()

    async def _rebuild_once(self, changes: set[str], nursery: trio.Nursery) -> None:
        """Raises BuildError, ToolchainError."""
        saved = await trio.to_thread.run_sync(_saved_at, self._options.folder, frozenset(changes))
        self._checking.cancel()
        project = await trio.to_thread.run_sync(open_project, self._options.folder)
        if changes & {MANIFEST, LOCK}:
            self._packages_in_place = False
        if not self._packages_in_place:
            await ensure_packages(project.folder, self._screen.note, update_lock=True)
            self._packages_in_place = True
        bundle = await build_project(project.folder, project.entry, check=False, toolchain=self._tools)
        for warning in bundle.warnings:
            self._screen.note(f"warning: {warning}")
        nursery.start_soon(self._check, project)
        if await self._deploy(bundle):
            size = f"{len(bundle.code.encode()) / 1024:,.1f} KiB"
            took = f", {(time.time() - saved) * 1000:.0f} ms after the save" if saved else ""
            self._screen.done("deployed", f"{bundle.entry_point} ({size}{took})")

    async def _deploy(self, bundle: Bundle) -> bool:
        """Whether the guild runs it now; waits for a flora that is away."""
        waiting = False
        while True:
            place = await self._home.place()
            try:
                revision = await place.client.post(
                    f"/deployments/{self._guild}", deploy_body(self._guild, bundle)
                )
            except ApiError as error:
                self._screen.failed("not deployed", error)
                return False
            except UnreachableError as error:
                if not waiting:
                    self._screen.note(f"{error.message} Trying again.")
                waiting = True
                await trio.sleep(RETRY_SECS)
            else:
                self._deployed = str(revision["id"])
                return True

    async def _check(self, project: Project) -> None:
        """The type check of one build; the next build ends it."""
        with trio.CancelScope() as scope:
            self._checking = scope
            try:
                with tempfile.TemporaryDirectory(prefix="flora-dev-") as scratch:
                    found = await check_project(
                        project.folder, project.entry, toolchain=self._tools, scratch=Path(scratch)
                    )
            except FloraError as error:
                self._screen.failed("types not checked", error)
                return
            if found:
                self._screen.diagnostics("types", found)
            elif self._types_wrong:
                self._screen.done("types", "no errors any more")
            self._types_wrong = bool(found)

    # ------------------------------------------------------------------ log

    async def _follow_log(self) -> None:
        """The guild's log from now on; over drops and restarts, since ids of lines grow for ever."""
        query = {"follow": "true", "limit": "1000", "since": datetime.now(UTC).isoformat()}
        last_id: str | None = None
        while True:
            place = await self._home.place()
            try:
                async with place.client.events(f"/logs/{self._guild}", query, last_id) as events:
                    async for event in events:
                        last_id = event.id or last_id
                        self._show_event(event.name, event.data)
            except ApiError as error:
                self._screen.failed("no log", error)
                if error.status < 500:
                    return
            except UnreachableError:
                pass  # who deploys says so
            await trio.sleep(RETRY_SECS)

    def _show_event(self, name: str, data: Any) -> None:
        if name == "log":
            self._screen.log_line(data)
        elif name == "dropped" and data.get("count"):
            self._screen.note(f"{data['count']} lines came too fast and are missing here")


def _saved_at(root: Path, paths: frozenset[str]) -> float:
    """When the newest of the files was written, 0 when that says nothing (removed, another clock)."""
    newest = -math.inf
    for path in paths:
        try:
            newest = max(newest, (root / path).stat().st_mtime)
        except OSError:
            continue
    return newest if 0 <= time.time() - newest < 60 else 0.0


async def _playground_guilds(page: str) -> list[tuple[str, str]]:
    """Ids and names. Raises DevError when what answers is no playground."""
    try:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            state = (await client.get(page.rstrip("/") + STATE_PATH)).json()
        return [(str(guild["id"]), str(guild["name"])) for guild in state["guilds"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise DevError(f"the playground at {page} does not answer as one.") from error
