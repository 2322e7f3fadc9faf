"""The data directory: everything that flora writes, owned by one host at a time.

A host holds a lock (flock) on `flora.lock` as long as it lives; the kernel gives it up with the process, so
there are no stale locks. The file says as JSON who holds it and where it serves, for the message of a second
host.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import structlog

from flora.errors import StartupError

log = structlog.get_logger("flora.storage.datadir")

LOCK_NAME: Final = "flora.lock"
SECRETS_NAME: Final = "secrets.toml"
PREVIOUS_KEY: Final = "previous_master_key"
LOCK_GRACE_SECONDS: Final = 3.0
"""A killed host's last child may hold the lock for the moment that it needs to notice."""


class DataDirectoryInUseError(StartupError):
    """Another host runs on this data directory. `holder` is what it says about itself, when it could be
    read.
    """

    code = "DATA_DIRECTORY_IN_USE"

    def __init__(self, message: str, holder: LockHolder | None) -> None:
        super().__init__(
            message, hint="Stop it first, or set FLORA_DATA_DIR to another directory.", exit_code=2
        )
        self.holder = holder


class LockHolder(msgspec.Struct, frozen=True):
    """Who holds the data directory: process id, start as an RFC 3339 time, and name -> URL of what it
    serves.
    """

    pid: int
    since: str
    urls: dict[str, str] = {}


@dataclass(frozen=True, slots=True, repr=False)
class DevelopmentSecrets:
    """Secrets that flora makes for itself where none are configured, kept between runs.

    `api_secret` and `operator_secret` are URL-safe text, `master_key` is 64 hex digits, and
    `previous_master_key` the one before while it is being rotated.
    """

    api_secret: str
    operator_secret: str
    master_key: str
    previous_master_key: str | None = None


class DataDirectory:
    """A locked data directory. Made by `DataDirectory.open`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self._holder = LockHolder(os.getpid(), datetime.now(UTC).isoformat(timespec="seconds"))

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[DataDirectory]:
        """Create `path` (mode 0700) if it is not there, lock it, and yield it; the lock goes with the block.

        Blocks for up to LOCK_GRACE_SECONDS when the holder of the lock has just died. Raises
        DataDirectoryInUseError when another host runs there, StartupError when the directory cannot be made
        or written.
        """
        path = path.absolute()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            _take(lock, path)
            directory = cls(path, lock)
            directory._write_holder()
            yield directory
            os.ftruncate(lock, 0)
        finally:
            os.close(lock)

    def announce(self, urls: Mapping[str, str]) -> None:
        """Tell a second host where this one serves: name -> URL, instead of what was told before."""
        self._holder = LockHolder(self._holder.pid, self._holder.since, dict(urls))
        self._write_holder()

    def development_secrets(self) -> DevelopmentSecrets:
        """The secrets in `secrets.toml` (mode 0600), made at the first call.

        Raises StartupError when the file is damaged; it is never overwritten, since the master key in it
        may be the only way to read the guilds' secrets.
        """
        file = self.path / SECRETS_NAME
        try:
            if not file.exists():
                _write_private(file, _secrets_text(_fresh_secrets()))
            elif file.stat().st_mode & 0o077:
                file.chmod(0o600)
                log.warning("secrets were readable by others", file=str(file), done="mode set to 0600")
            table = tomllib.loads(file.read_text(encoding="utf-8"))
            return DevelopmentSecrets(
                _text(table, "api_secret"),
                _text(table, "operator_secret"),
                _text(table, "master_key"),
                _text(table, PREVIOUS_KEY) if PREVIOUS_KEY in table else None,
            )
        except OSError as error:
            raise _unwritable(self.path, error) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise StartupError(
                f"{file} is damaged: {error}.",
                hint="Restore it; without its master_key stored guild secrets cannot be read.",
            ) from error

    def begin_key_rotation(self) -> str:
        """Make a new master key and return it; the one before is kept beside it until `end_key_rotation`.

        Called again before that, it returns the same. Raises StartupError.
        """
        made = self.development_secrets()
        if made.previous_master_key is not None:
            return made.master_key
        fresh = secrets.token_hex(32)
        self._write_secrets(replace(made, master_key=fresh, previous_master_key=made.master_key))
        return fresh

    def end_key_rotation(self) -> None:
        """Forget the master key before. Raises StartupError."""
        self._write_secrets(replace(self.development_secrets(), previous_master_key=None))

    def _write_secrets(self, made: DevelopmentSecrets) -> None:
        try:
            _write_private(self.path / SECRETS_NAME, _secrets_text(made))
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def _write_holder(self) -> None:
        text = msgspec.json.encode(self._holder)
        try:
            os.pwrite(self._lock, text, 0)
            os.ftruncate(self._lock, len(text))
        except OSError as error:
            raise _unwritable(self.path, error) from error


def read_holder(path: Path) -> LockHolder | None:
    """Who runs on the data directory `path`; None when nobody does or the file cannot be read."""
    try:
        lock = os.open(path / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _holder(lock)
        return None
    finally:
        os.close(lock)


def _take(lock: int, path: Path) -> None:
    patience = time.monotonic() + LOCK_GRACE_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(lock)
            if (holder is None or not _alive(holder.pid)) and time.monotonic() < patience:
                time.sleep(0.02)
                continue
            raise DataDirectoryInUseError(_in_use(path, holder), holder) from None
        except OSError as error:
            raise StartupError(f"cannot lock the data directory {path}: {error.strerror}.") from error
        return


def _in_use(path: Path, holder: LockHolder | None) -> str:
    if holder is None:
        return f"flora already runs on {path}."
    places = "".join(f", {name} {url}" for name, url in holder.urls.items())
    return f"flora already runs on {path}: pid {holder.pid} since {holder.since}{places}."


def _holder(lock: int) -> LockHolder | None:
    try:
        return msgspec.json.decode(os.pread(lock, 65536, 0), type=LockHolder)
    except (msgspec.DecodeError, OSError):
        return None  # being written just now, or left empty


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _fresh_secrets() -> DevelopmentSecrets:
    return DevelopmentSecrets(secrets.token_urlsafe(48), secrets.token_urlsafe(32), secrets.token_hex(32))


def _secrets_text(made: DevelopmentSecrets) -> str:
    previous = f'{PREVIOUS_KEY} = "{made.previous_master_key}"\n' if made.previous_master_key else ""
    return (
        "# Made by flora for development. Keep it with the data: the master key encrypts guild secrets.\n"
        f'api_secret = "{made.api_secret}"\n'
        f'operator_secret = "{made.operator_secret}"\n'
        f'master_key = "{made.master_key}"\n{previous}'
    )


def _text(table: Mapping[str, object], name: str) -> str:
    value = table[name]
    if not isinstance(value, str) or not value:
        raise TypeError(f"{name} must be a text")
    return value


def _write_private(file: Path, text: str) -> None:
    """Write all or nothing, never readable by others, and still there after a power loss."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(fd)
    temporary.rename(file)


def _unwritable(path: Path, error: OSError) -> StartupError:
    return StartupError(
        f"cannot write the data directory {path}: {error.strerror or error}.",
        hint="Make it writable or set FLORA_DATA_DIR to another directory.",
    )
