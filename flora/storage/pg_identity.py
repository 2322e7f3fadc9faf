"""As whom the embedded PostgreSQL runs: it refuses uid 0, and initdb wants a name in the user database.

A normal user runs it as itself. For root there are, in this order:
1. `nobody`, when it can reach the programs and the data directory. A real loss of rights.
2. A user namespace in which root's own id looks like another user's. The usual way in root's home or in a
   private temporary directory, which nobody else can reach.
3. `nobody`, with the data directory itself (never a directory above it) opened for passing through, mode
   0711. For containers that forbid namespaces.
No user is added and no directory that flora did not make is changed.
"""

from __future__ import annotations

import os
import pwd
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Identity:
    """`spec` is what pg_launch.py takes; `uid` and `gid` own the server's files, as the host sees them.

    `opens` is a directory of flora's own that must be opened for passing through (mode 0711) first.
    """

    spec: str
    uid: int
    gid: int
    opens: Path | None = None


def identities(programs: Path, data_dir: Path) -> Iterator[Identity]:
    """The ways to try on this machine, best first. `data_dir` is flora's own and exists."""
    uid, gid = os.geteuid(), os.getegid()
    if uid != 0 and _has_name(uid):
        yield Identity("same", uid, gid)
        return
    if uid == 0:
        for name in ("nobody", "postgres", "daemon"):
            try:
                user = pwd.getpwnam(name)
            except KeyError:
                continue
            break
        else:
            user = None
        drop = Identity(f"user:{user.pw_uid}:{user.pw_gid}", user.pw_uid, user.pw_gid) if user else None
        if drop and _reachable(programs, drop) and _reachable(data_dir, drop):
            yield drop
            drop = None
    else:
        drop = None
    if sys.platform == "linux" and (other := _some_user()) is not None:
        yield Identity(f"namespace:{other.pw_uid}:{other.pw_gid}", uid, gid)
    if drop and _reachable(programs, drop) and _reachable(data_dir.parent, drop):
        yield Identity(drop.spec, drop.uid, drop.gid, opens=data_dir)


def can_write(directory: Path, identity: Identity) -> bool:
    """Whether the server could make a file in `directory`."""
    return _reachable(directory, identity) and _allows(directory, identity, stat.S_IWOTH)


def _reachable(path: Path, identity: Identity) -> bool:
    """Whether `identity` may pass through `path` and every directory above it, by mode bits."""
    path = path.resolve()
    return all(_allows(directory, identity, stat.S_IXOTH) for directory in (path, *path.parents))


def _allows(path: Path, identity: Identity, bit: int) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    if not identity.spec.startswith("user:"):
        return os.access(path, os.X_OK if bit == stat.S_IXOTH else os.W_OK)
    if status.st_uid == identity.uid:
        bit <<= 6
    elif status.st_gid == identity.gid:
        bit <<= 3
    return bool(status.st_mode & bit)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _some_user() -> pwd.struct_passwd | None:
    """Any named user but root. Not the overflow id (usually nobody's) if there is another: inside a namespace
    every file of an unmapped owner would look like the server's own.
    """
    users = [user for user in pwd.getpwall() if user.pw_uid != 0]
    users.sort(key=lambda user: (user.pw_uid == 65534, user.pw_uid))
    return users[0] if users else None
