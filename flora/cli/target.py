"""Which flora a command talks to, and with which token.

The order is: option, environment (FLORA_API_URL, FLORA_TOKEN), profile (`flora.cli.profiles`), the flora that
runs here. That last one is found through its data directory, whose lock file says where it serves and whose
secrets file has the operator's token, so that on a developer's machine no option is needed. The token of a
profile or of the flora here is sent to that flora only, never to a URL that came from elsewhere.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from flora.errors import FloraError


class TargetError(FloraError):
    code = "BAD_TARGET"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = 2


@dataclass(frozen=True, slots=True, repr=False)
class Target:
    """Base URL, without a slash at its end, and bearer token (None: nobody)."""

    url: str
    token: str | None


def resolve_target(api: str | None, token: str | None) -> Target:
    """Raises TargetError for a URL that is none, ProfileError for a profile that is not there, StartupError
    for a configuration that cannot be read.
    """
    from flora.cli.profiles import chosen_profile, load_profiles

    api = api or os.environ.get("FLORA_API_URL") or None
    token = token or os.environ.get("FLORA_TOKEN") or None
    if api is not None:
        api = checked_url(api)
        if token is not None:
            return Target(api, token)
        if (profile := load_profiles().for_url(api)) is not None:
            return Target(api, profile.token)
        local = local_target()
        return Target(api, local.token if api == local.url else None)
    if (chosen := chosen_profile()) is not None:
        return Target(chosen[1].url, token or chosen[1].token)
    local = local_target()
    return Target(local.url, token or local.token)


def local_target() -> Target:
    """The flora that runs here, or would. Raises StartupError for a configuration that cannot be read."""
    from flora.config import load_config
    from flora.storage.datadir import SECRETS_NAME, read_holder

    config = load_config()
    holder = read_holder(config.data_dir)
    announced = holder.urls.get("api") if holder is not None else None
    url = announced or f"http://{config.api.address}:{config.api.port}"
    if config.api.operator_secret is not None:
        return Target(_reachable(url), config.api.operator_secret.get_secret_value())
    try:
        import tomllib

        secrets = tomllib.loads((config.data_dir / SECRETS_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Target(_reachable(url), None)
    found = secrets.get("operator_secret")
    return Target(_reachable(url), found if isinstance(found, str) else None)


def checked_url(url: str) -> str:
    """The base URL of a flora, as it is compared. Raises TargetError."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TargetError(f"{url!r} is not the URL of a flora.", hint="It looks like http://127.0.0.1:3000.")
    return _reachable(urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", "")))


def _reachable(url: str) -> str:
    """A server on all addresses is asked on loopback."""
    return url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
