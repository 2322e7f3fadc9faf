"""Backups of the whole database with PostgreSQL's own programs, in its custom format.

The connection is handed over in the environment (libpq, "Environment Variables"), so that no password stands
in a process list.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import trio

from flora.errors import FloraError
from flora.storage.pg_programs import find_programs

_VARIABLES: Final = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
}
_VERSION: Final = re.compile(rb"(\d+)(?:\.\d+)*")


class DumpError(FloraError):
    code = "DUMP_FAILED"


async def dump(url: str, server_major: int, file: Path) -> int:
    """Write a backup of the database at `url` to `file` (mode 0600), all of it or nothing; its bytes.

    The database stays in use; the backup is one moment of it. Raises DumpError. Cancelled, nothing is left.
    """
    unfinished = file.with_name(f".{file.name}.part")
    await trio.to_thread.run_sync(_make_private, unfinished)
    try:
        await _run(
            await _program("pg_dump", server_major),
            ["--format=custom", "--no-owner", "--no-privileges", f"--file={unfinished}"],
            url,
        )
        return await trio.to_thread.run_sync(_publish, unfinished, file)
    finally:
        unfinished.unlink(missing_ok=True)


async def restore(url: str, server_major: int, file: Path) -> None:
    """Put a backup in the place of what is in the database, in one transaction. Raises DumpError."""
    await _run(
        await _program("pg_restore", server_major),
        [
            "--clean",
            "--if-exists",
            "--no-owner",
            "--no-privileges",
            "--single-transaction",
            "--exit-on-error",
            f"--dbname={_environment(url).get('PGDATABASE', 'postgres')}",
            str(file),
        ],
        url,
    )


async def _program(name: str, server_major: int) -> str:
    """The oldest installed one that is as new as the server: an older one refuses it."""
    folders = [programs.folder for programs in find_programs()]
    candidates = [str(folder / name) for folder in folders if (folder / name).is_file()]
    if (found := shutil.which(name)) is not None:
        candidates.append(found)
    fitting: list[tuple[int, str]] = []
    for candidate in candidates:
        done = await trio.run_process([candidate, "--version"], capture_stdout=True, check=False)
        match = _VERSION.search(done.stdout)
        if match and int(match[1]) >= server_major:
            fitting.append((int(match[1]), candidate))
    if not fitting:
        raise DumpError(
            f"there is no {name} of version {server_major} or newer on this machine.",
            hint="Install PostgreSQL's client programs (postgresql-client).",
        )
    return min(fitting)[1]


async def _run(program: str, arguments: list[str], url: str) -> None:
    done = await trio.run_process(
        [program, "--no-password", *arguments],
        env=os.environ | _environment(url),
        stdin=subprocess.DEVNULL,
        capture_stderr=True,
        check=False,
    )
    if done.returncode != 0:
        text = done.stderr.decode(errors="replace").strip().splitlines()
        raise DumpError(f"{Path(program).name} failed: {text[0] if text else done.returncode}.")


def _environment(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    given |= {
        name: value
        for name, value in (
            ("host", parts.hostname),
            ("port", str(parts.port) if parts.port else None),
            ("user", unquote(parts.username) if parts.username else None),
            ("password", unquote(parts.password) if parts.password else None),
            ("dbname", unquote(parts.path.lstrip("/")) or None),
        )
        if value is not None
    }
    return {_VARIABLES[name]: value for name, value in given.items() if name in _VARIABLES}


def _make_private(file: Path) -> None:
    file.unlink(missing_ok=True)
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _publish(unfinished: Path, file: Path) -> int:
    with unfinished.open("rb") as stream:
        os.fsync(stream.fileno())
    size = unfinished.stat().st_size
    unfinished.replace(file)
    return size
