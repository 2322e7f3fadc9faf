"""Becomes a tool (esbuild, tsc, npm) that reads foreign code, without what such a tool does not need.

Started as a program of its own with a JSON object and the tool's command line. Each measure is tried on its
own, as for guild processes; what could not be done never stops the others. With `probe` the tool is not run:
what was done and what is missing is written to standard output.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import Any, Final, NoReturn

from . import landlock, seccomp
from .libc import PR_SET_NO_NEW_PRIVS, prctl
from .seal import Seal

_NICE: Final = 10
CANNOT_START: Final = 126  # as a shell says it


def main(words: list[str]) -> NoReturn:
    """`words`: the settings and the command.

    Settings: uid (0: stay who you are), read and write (paths), network, data_bytes, file_bytes, cpu_secs,
    descriptors, processes, probe.
    """
    settings, command = json.loads(words[0]), words[1:]
    seal = Seal()
    _seal(seal, settings)
    if settings["probe"]:
        print(json.dumps({"done": seal.done, "missing": seal.missing}))
        sys.stdout.flush()
        os._exit(0)
    try:
        os.execv(command[0], command)
    except OSError as error:
        print(f"cannot start {command[0]}: {error}", file=sys.stderr)
        os._exit(CANNOT_START)


def _seal(seal: Seal, settings: dict[str, Any]) -> None:
    with seal.step("nice"):
        os.nice(_NICE)
    own_user = _drop_user(seal, settings["uid"])
    with seal.step("no_new_privs"):
        prctl(PR_SET_NO_NEW_PRIVS, 1)
    with seal.step("files"):
        landlock.restrict(settings["read"], settings["write"])
    with seal.step("rlimits"):
        limits = {
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_DATA: settings["data_bytes"],
            resource.RLIMIT_FSIZE: settings["file_bytes"],
            resource.RLIMIT_CPU: settings["cpu_secs"],
            resource.RLIMIT_NOFILE: settings["descriptors"],
        }
        if own_user:  # it counts all processes of the user
            limits[resource.RLIMIT_NPROC] = settings["processes"]
        for limit, value in limits.items():
            resource.setrlimit(limit, (value, value))
    with seal.step("system_calls" if settings["network"] else "no_network"):
        seccomp.tool_filter(network=settings["network"]).install()


def _drop_user(seal: Seal, uid: int) -> bool:
    """Whether the process has a user of its own now."""
    if uid == 0:
        if os.geteuid() == 0:
            seal.missing["user"] = "it runs as root"
        return False
    with seal.step("user"):
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    return "user" in seal.done
