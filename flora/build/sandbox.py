"""Tools in a sandbox: what reads strangers' projects on a server has no network and no files but theirs.

`flora.engine.child.launcher` gives up what a tool does not need and becomes the tool: no new privileges, its
own user where flora is root, only named files (Landlock), limits of memory, CPU time, files and processes, a
filter of system calls without sockets, an environment of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import trio

_CHILD_PACKAGE: Final = Path(__file__).resolve().parent.parent / "engine"
_BOOTSTRAP: Final = (
    "import sys; sys.path.insert(0, sys.argv[1]); from child.launcher import main; main(sys.argv[2:])"
)
_PROBE_SECS: Final = 20.0
# What programs need to start: the loader, the C library, and for Go and Node these files.
_SYSTEM: Final = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/dev/urandom", "/dev/random")
_NETWORK_FILES: Final = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ca-certificates",
    "/run/systemd/resolve",
)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One project's sandbox. `scratch` is the only folder that tools may write to.

    `uid` is their user, None where flora is not root. Bytes, seconds and counts are of each tool's process.
    """

    scratch: Path
    read: tuple[Path, ...]
    uid: int | None = None
    write: tuple[Path, ...] = ()
    network: bool = False
    data_bytes: int = 2 * 2**30
    file_bytes: int = 256 * 2**20
    cpu_secs: int = 60
    descriptors: int = 1024
    processes: int = 256
    environment: Mapping[str, str] = field(default_factory=dict)

    def with_network(self, write: Path, read: Sequence[Path], environment: Mapping[str, str]) -> Sandbox:
        """The same for the one step that needs the network."""
        return replace(
            self,
            network=True,
            write=(*self.write, write),
            read=(*self.read, *read),
            environment={**self.environment, **environment},
        )

    def wrap(self, command: Sequence[str | Path], *, probe: bool = False) -> list[str]:
        """The command line that runs `command` in here."""
        files = _NETWORK_FILES if self.network else ()
        settings = {
            "uid": self.uid or 0,
            "read": [str(path) for path in (*_SYSTEM, *files, *self.read)],
            "write": [str(path) for path in ("/dev/null", self.scratch, *self.write)],
            "network": self.network,
            "data_bytes": self.data_bytes,
            "file_bytes": self.file_bytes,
            "cpu_secs": self.cpu_secs,
            "descriptors": self.descriptors,
            "processes": self.processes,
            "probe": probe,
        }
        python = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOTSTRAP, str(_CHILD_PACKAGE)]
        return [*python, json.dumps(settings), *map(str, command)]


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """What this machine can do (`done`) and what not, with the reason (`missing`)."""

    done: tuple[str, ...]
    missing: Mapping[str, str]

    @property
    def complete(self) -> bool:
        return not self.missing


async def probe(sandbox: Sandbox) -> SandboxReport:
    """Try the sandbox with nothing in it. Cancellation kills the trial."""
    from flora.build.process import run_tool

    if sys.platform != "linux":
        return SandboxReport((), {"sandbox": f"there is none for {sys.platform}"})
    with trio.move_on_after(_PROBE_SECS):
        result = await run_tool(sandbox.wrap((), probe=True), cwd=Path("/"), env={}, limited=False)
        try:
            found = json.loads(result.stdout)
            return SandboxReport(tuple(found["done"]), dict(found["missing"]))
        except (ValueError, KeyError, TypeError):
            return SandboxReport((), {"sandbox": (result.stderr.strip() or "it did not answer")[-300:]})
    return SandboxReport((), {"sandbox": f"no answer within {_PROBE_SECS:.0f} s"})
