"""Profiles: the floras that this person has logged in to, each with its token.

They are kept in `$XDG_CONFIG_HOME/flora/profiles.json` (by default below `~/.config`), which only its owner
may read. One of them is current, the one of the last login; `--profile`, FLORA_PROFILE or the project's
`flora.config.ts` name another. A project names a profile and never a URL: a URL out of a foreign repository
would be given the token.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from flora.errors import FloraError

PROFILE_VARIABLE: Final = "FLORA_PROFILE"
DEFAULT_NAME: Final = "default"
_MAX_NAME: Final = 64


class ProfileError(FloraError):
    """The name of a profile is none, or the file with them cannot be read or written."""

    code = "BAD_PROFILE"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = 2


@dataclass(frozen=True, slots=True, repr=False)
class Profile:
    """`url` without a slash at its end; `token_id` is the half of the token that is no secret."""

    url: str
    token: str
    token_id: str | None = None


@dataclass(frozen=True, slots=True)
class Profiles:
    current: str | None = None
    by_name: dict[str, Profile] = field(default_factory=dict)

    def named(self, name: str) -> Profile:
        """Raises ProfileError when there is none of this name."""
        if (profile := self.by_name.get(name)) is None:
            raise ProfileError(
                f"there is no profile {name!r}.", hint=f"Make it with `flora login --profile {name}`."
            )
        return profile

    def for_url(self, url: str) -> Profile | None:
        """The profile of this flora, the current one first."""
        names = sorted(self.by_name, key=lambda name: name != self.current)
        return next((self.by_name[name] for name in names if self.by_name[name].url == url), None)

    def with_profile(self, name: str, profile: Profile) -> Profiles:
        """With this one, which becomes the current one."""
        return Profiles(name, {**self.by_name, name: profile})

    def without(self, name: str) -> Profiles:
        left = {other: profile for other, profile in self.by_name.items() if other != name}
        return Profiles(self.current if self.current in left else None, left)

    def using(self, name: str) -> Profiles:
        """Raises ProfileError."""
        self.named(name)
        return replace(self, current=name)


def profiles_file() -> Path:
    """Where they are kept."""
    if folder := os.environ.get("XDG_CONFIG_HOME"):
        return Path(folder, "flora", "profiles.json")
    if sys.platform == "win32" and (folder := os.environ.get("APPDATA")):
        return Path(folder, "flora", "profiles.json")
    return Path.home() / ".config" / "flora" / "profiles.json"


def check_name(name: str) -> str:
    """Raises ProfileError."""
    if not name or len(name) > _MAX_NAME or not all(char.isalnum() or char in "-_." for char in name):
        raise ProfileError(
            f"{name[:80]!r} is not the name of a profile.", hint="Use letters, digits, '-', '_' and '.'."
        )
    return name


def load_profiles() -> Profiles:
    """Those that are kept; none when there is no file. Raises ProfileError."""
    file = profiles_file()
    try:
        data = json.loads(file.read_text("utf-8"))
        by_name = {name: _profile(entry) for name, entry in data["profiles"].items()}
        current = data.get("current")
    except FileNotFoundError:
        return Profiles()
    except OSError as error:
        raise ProfileError(f"cannot read {file}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ProfileError(
            f"{file} is not a file of flora's profiles.",
            hint="Delete it and log in again with `flora login`.",
        ) from None
    return Profiles(current if current in by_name else None, by_name)


def _profile(entry: Any) -> Profile:
    url, token, token_id = entry["url"], entry["token"], entry.get("token_id")
    if not isinstance(url, str) or not isinstance(token, str) or not isinstance(token_id, str | None):
        raise TypeError("a profile has a URL and a token")
    return Profile(url, token, token_id)


def save_profiles(profiles: Profiles) -> None:
    """Replace what is kept, in a file that only its owner may read. Raises ProfileError."""
    file = profiles_file()
    content = {
        "current": profiles.current,
        "profiles": {
            name: {"url": profile.url, "token": profile.token, "token_id": profile.token_id}
            for name, profile in sorted(profiles.by_name.items())
        },
    }
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp's mode is 0600, so nobody else may read the file at any moment.
        descriptor, unfinished = tempfile.mkstemp(prefix=".profiles-", dir=file.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as output:
                json.dump(content, output, indent=2)
                output.write("\n")
            os.replace(unfinished, file)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(unfinished)
            raise
    except OSError as error:
        raise ProfileError(f"cannot write {file}: {error.strerror}.") from error


def wanted_name() -> str | None:
    """The profile that an option, the environment or this folder's project names."""
    if name := os.environ.get(PROFILE_VARIABLE):
        return check_name(name)
    from flora.build.project import read_project

    name = read_project(Path()).profile
    return None if name is None else check_name(name)


def chosen_profile() -> tuple[str, Profile] | None:
    """The profile to use here with its name, None when there is none.

    Raises ProfileError for one that is named and is not there.
    """
    profiles = load_profiles()
    name = wanted_name() or profiles.current
    return None if name is None else (name, profiles.named(name))
