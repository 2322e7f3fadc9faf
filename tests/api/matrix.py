"""Which right every endpoint needs, written down a second time: what the code says is held against this.

A new endpoint needs a line here, or `test_matrix.py` fails. `public` answers anybody. `body` and `query` mark
routes whose guild stands there, not in the path; `operator, or the guild's admin` is `audit`.
"""

from __future__ import annotations

from typing import Final

from tests.api.served import GARDEN

REVISION: Final = "11111111-1111-4111-8111-111111111111"

RIGHTS: Final[dict[tuple[str, str], str]] = {
    ("GET", "/"): "public",
    ("GET", "/health"): "public",
    ("GET", "/ready"): "public",
    ("GET", "/metrics"): "operate",
    ("GET", "/actors"): "operate",
    ("GET", "/audit"): "audit",
    ("GET", "/auth/login"): "public",
    ("GET", "/auth/callback"): "public",
    ("GET", "/auth/device"): "public",
    ("POST", "/auth/device"): "public",
    ("POST", "/auth/device/token"): "public",
    ("POST", "/auth/device/confirm"): "person",
    ("POST", "/auth/logout"): "person",
    ("DELETE", "/auth/token"): "identified",
    ("GET", "/auth/guilds"): "person",
    ("GET", "/auth/me"): "identified",
    ("GET", "/tokens"): "person",
    ("POST", "/tokens"): "person",
    ("DELETE", "/tokens/{token_id}"): "person",
    ("GET", "/deployments"): "identified",
    ("POST", "/deployments"): "guild:deploy",
    ("GET", "/deployments/{guild_id}"): "guild:read",
    ("POST", "/deployments/{guild_id}"): "guild:deploy",
    ("DELETE", "/deployments/{guild_id}"): "guild:deploy",
    ("GET", "/deployments/{guild_id}/history"): "guild:read",
    ("GET", "/deployments/{guild_id}/status"): "guild:read",
    ("GET", "/deployments/{guild_id}/revisions/{revision_id}"): "guild:read",
    ("GET", "/deployments/{guild_id}/revisions/{revision_id}/diff"): "guild:read",
    ("POST", "/deployments/{guild_id}/rollback/{revision_id}"): "guild:deploy",
    ("POST", "/deployments/{guild_id}/restart"): "guild:deploy",
    ("POST", "/deployments/{guild_id}/pause"): "guild:deploy",
    ("POST", "/deployments/{guild_id}/resume"): "guild:deploy",
    ("GET", "/builds"): "guild:read",
    ("POST", "/builds"): "guild:deploy",
    ("GET", "/builds/{build_id}"): "identified",  # tests/api/test_builds.py: and who may read the guild
    ("GET", "/builds/{build_id}/logs"): "identified",
    ("DELETE", "/builds/{build_id}"): "identified",  # and who may deploy to the guild
    ("GET", "/guilds"): "identified",
    ("GET", "/guilds/{guild_id}"): "guild:read",
    ("POST", "/runtime/guilds/{guild_id}/migrate"): "guild:deploy",
    ("GET", "/commands/{guild_id}"): "guild:read",
    ("GET", "/kv/{guild_id}/stores"): "guild:read",
    ("PUT", "/kv/{guild_id}/stores/{store}"): "guild:deploy",
    ("DELETE", "/kv/{guild_id}/stores/{store}"): "guild:deploy",
    ("GET", "/kv/{guild_id}/stores/{store}/keys"): "guild:read",
    ("GET", "/kv/{guild_id}/stores/{store}/keys/{key}"): "guild:read",
    ("PUT", "/kv/{guild_id}/stores/{store}/keys/{key}"): "guild:deploy",
    ("DELETE", "/kv/{guild_id}/stores/{store}/keys/{key}"): "guild:deploy",
    ("POST", "/kv/{guild_id}/stores/{store}/bulk"): "guild:deploy",
    ("POST", "/kv/{guild_id}/export"): "guild:deploy",
    ("GET", "/kv/{guild_id}/backups"): "guild:read",
    ("GET", "/kv/{guild_id}/backups/{backup_id}"): "guild:read",
    ("POST", "/kv/{guild_id}/backups/{backup_id}/restore"): "guild:deploy",
    ("GET", "/secrets/{guild_id}"): "guild:admin",
    ("PUT", "/secrets/{guild_id}/{name}"): "guild:admin",
    ("DELETE", "/secrets/{guild_id}/{name}"): "guild:admin",
    ("POST", "/secrets/rotate-key"): "operate",
    ("GET", "/workers"): "operate",
    ("POST", "/workers/{index}/drain"): "operate",
    ("POST", "/workers/{index}/reopen"): "operate",
    ("GET", "/guilds/{guild_id}/dead-letters"): "guild:read",
    ("GET", "/guilds/{guild_id}/dead-letters/{letter_id}"): "guild:read",
    ("POST", "/guilds/{guild_id}/dead-letters/{letter_id}/replay"): "guild:deploy",
    ("DELETE", "/guilds/{guild_id}/dead-letters/{letter_id}"): "guild:deploy",
    ("GET", "/logs/{guild_id}"): "guild:read",
    ("GET", "/cron/{guild_id}"): "guild:read",
    ("GET", "/cron/{guild_id}/history"): "guild:read",
    ("GET", "/cron/{guild_id}/{name}/history"): "guild:read",
    ("POST", "/cron/{guild_id}/{name}/run"): "guild:deploy",
    ("GET", "/tasks/{guild_id}"): "guild:read",
    ("POST", "/tasks/{guild_id}"): "guild:deploy",
    ("GET", "/tasks/{guild_id}/history"): "guild:read",
    ("GET", "/tasks/{guild_id}/{key}/history"): "guild:read",
    ("POST", "/tasks/{guild_id}/{key}/run"): "guild:deploy",
    ("DELETE", "/tasks/{guild_id}/{key}"): "guild:deploy",
}

PARAMETERS: Final = {
    "guild_id": GARDEN,
    "revision_id": REVISION,
    "token_id": "A" * 12,
    "store": "settings",
    "key": "a",
    "backup_id": "20260101T000000Z-abcdef",
    "name": "API_KEY",
    "index": "0",
    "letter_id": "1",
    "build_id": "0" * 32,
}


def concrete(method: str, path: str) -> tuple[str, str]:
    """A request of this route: every parameter has a value."""
    query = f"?guild_id={GARDEN}" if path == "/builds" else ""
    return method, path.format_map(PARAMETERS) + query
