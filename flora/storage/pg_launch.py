"""Starts a PostgreSQL program as somebody who is not root, tied to the life of the host.

Run as a script by path (`python -I -S pg_launch.py IDENTITY PARENT SIGNAL PROGRAM ARG...`), never imported;
it needs nothing but the standard library. A program of its own, since the host has threads and Python code
between fork and exec may deadlock there; it replaces itself by PROGRAM and keeps its pid.

IDENTITY is `same`, `user:UID:GID` (drop to that user) or `namespace:UID:GID` (a user namespace in which the
caller's own id looks like UID, so that PostgreSQL does not see uid 0 and needs no other user's rights).
PARENT is the host's pid; SIGNAL is sent to PROGRAM when the thread that started it ends (Linux).
"""

import ctypes
import errno
import os
import sys

EXIT_REFUSED = 97
"""The kernel or the container refuses the identity."""
EXIT_ORPHAN = 96
"""The host ended while this started."""
PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000


def main(arguments: list[str]) -> None:
    identity, parent, number, *command = arguments
    try:
        assume(identity)
    except OSError as error:
        print(f"cannot run as {identity}: {os.strerror(error.errno or errno.EPERM)}", file=sys.stderr)
        sys.exit(EXIT_REFUSED)
    if sys.platform == "linux":
        # After the change of identity, which clears it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))
    if os.getppid() != int(parent):
        sys.exit(EXIT_ORPHAN)
    os.execv(command[0], command)


def assume(identity: str) -> None:
    kind, _, ids = identity.partition(":")
    if kind == "same":
        return
    uid, gid = (int(part) for part in ids.split(":"))
    if kind == "user":
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        return
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{uid} {outer_uid} 1")
    write("/proc/self/gid_map", f"{gid} {outer_gid} 1")


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


if __name__ == "__main__":
    main(sys.argv[1:])
