"""What `flora login` does: a token from a person with a browser, or one that is there; validated, then kept.

The browser's way is described in flora/api/devices.py.
"""

from __future__ import annotations

import time
import webbrowser
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from flora.cli.client import ApiError, Client
from flora.cli.output import note, plain
from flora.cli.profiles import (
    DEFAULT_NAME,
    Profile,
    check_name,
    load_profiles,
    save_profiles,
    wanted_name,
)
from flora.cli.target import Target, checked_url, local_target
from flora.errors import FloraError

_LONGEST_PAUSE: Final = 30.0


class LoginError(FloraError):
    code = "LOGIN_FAILED"


@dataclass(frozen=True, slots=True)
class Place:
    """Where to log in, and under which name it is kept."""

    url: str
    name: str


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of the person; the body of POST /auth/device."""

    label: str
    rights: str
    guild_ids: list[str] | None
    lifetime_days: int | None


Done = tuple[str, str, dict[str, Any]]
"""Profile, URL, and what /auth/me says."""


def where_to_log_in(url: str | None, profile: str | None) -> Place:
    """The URL that is named, else that of the profile, else the flora that runs here.

    Raises TargetError, ProfileError, StartupError.
    """
    profiles = load_profiles()
    name = check_name(profile) if profile else wanted_name()
    if url is not None:
        return Place(checked_url(url), name or DEFAULT_NAME)
    if (known := profiles.by_name.get(name or profiles.current or "")) is not None:
        return Place(known.url, name or profiles.current or DEFAULT_NAME)
    return Place(local_target().url, name or DEFAULT_NAME)


def log_in_with_token(place: Place, token: str) -> Done:
    """Keep a token once flora has said whose it is. Raises ApiError, UnreachableError, LoginError."""
    try:
        with Client(Target(place.url, token)) as client:
            me = client.get("/auth/me")
    except ApiError as error:
        if error.status == 401:
            raise LoginError(f"{place.url} does not know this token.", hint="It may have expired.") from None
        raise
    except UnicodeEncodeError:
        raise LoginError("this is not a token: it is not plain ASCII text.") from None
    token_id = me["token"]["id"] if me["token"] else None
    save_profiles(load_profiles().with_profile(place.name, Profile(place.url, token, token_id)))
    return place.name, place.url, me


def revoke(profile: Profile) -> str | None:
    """End the token of a profile at its flora; why that did not work, if it did not.

    The operator's secret is no token that could be revoked, and one that flora knows no more is revoked.
    """
    if profile.token_id is None:
        return None
    try:
        with Client(Target(profile.url, profile.token)) as client:
            client.delete("/auth/token")
    except ApiError as error:
        return None if error.status == 401 else error.message
    except FloraError as error:
        return error.message
    return None


def log_in_with_browser(
    place: Place, wish: Wish, *, open_browser: bool, sleep: Callable[[float], None] = time.sleep
) -> Done:
    """Ask a person for a token and wait for the answer, at most as long as the request is valid.

    Raises ApiError, UnreachableError, LoginError.
    """
    with Client(Target(place.url, None)) as client:
        asked = client.post("/auth/device", asdict(wish))
        note(f"Open {plain(asked['verification_uri'])} in a browser and compare this code:")
        note(f"\n    {plain(asked['user_code'])}\n")
        if open_browser:
            webbrowser.open(checked_url_of_page(asked["verification_uri_complete"]))
        note("Waiting for your answer there; Ctrl-C gives up.")
        until = time.monotonic() + asked["expires_in"]
        pause = float(asked["interval"])
        while time.monotonic() < until:
            sleep(min(pause, _LONGEST_PAUSE))
            try:
                answer = client.post("/auth/device/token", {"device_code": asked["device_code"]})
            except ApiError as error:
                if error.status == 429:  # RFC 8628, 3.5: slow_down
                    pause += 5
                    continue
                raise
            if answer["status"] == "denied":
                raise LoginError("the request was denied in the browser.")
            if answer["status"] == "granted":
                return log_in_with_token(place, answer["token"])
    raise LoginError("nobody answered in time.", hint="Begin again with `flora login`.")


def checked_url_of_page(url: str) -> str:
    """A browser is given nothing but a web page. Raises LoginError."""
    if not url.startswith(("https://", "http://")):
        raise LoginError(f"flora names no page to log in at, but {url[:80]!r}.")
    return url
