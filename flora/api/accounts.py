"""What the HTTP API asks of Discord about people: a login, and what somebody may do in a guild."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from flora.errors import FloraError
from flora.ids import GuildId
from flora.storage.sessions import DiscordTokens, User

ADMINISTRATOR: Final = 1 << 3
MANAGE_GUILD: Final = 1 << 5
"""Discord API Reference, "Permissions"."""


class LoginRefusedError(FloraError):
    """Discord does not take the code or the token: it is used up, revoked, or not ours."""

    code = "LOGIN_REFUSED"


class LoginNotConfiguredError(FloraError):
    code = "LOGIN_NOT_CONFIGURED"

    def __init__(self) -> None:
        super().__init__(
            "people cannot log in to this flora.",
            hint="Its operator sets DISCORD_CLIENT_SECRET and DISCORD_REDIRECT_URI.",
        )


class DiscordUnavailableError(FloraError):
    """Discord gave no usable answer in time."""

    code = "DISCORD_UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class UserGuild:
    """A guild that a user is in, with what they may do there."""

    id: GuildId
    name: str
    icon: str | None
    owner: bool
    permissions: int

    @property
    def manages(self) -> bool:
        return self.owner or may_manage(self.permissions)


def may_manage(permissions: int) -> bool:
    return bool(permissions & (ADMINISTRATOR | MANAGE_GUILD))


class Accounts(Protocol):
    """Each method that waits raises DiscordUnavailableError."""

    def authorize_url(self, *, state: str, challenge: str, redirect_uri: str) -> str:
        """Where a browser goes to log in. Raises LoginNotConfiguredError."""

    async def exchange(self, code: str, *, verifier: str, redirect_uri: str) -> DiscordTokens:
        """Raises LoginRefusedError, LoginNotConfiguredError."""

    async def refresh(self, tokens: DiscordTokens) -> DiscordTokens:
        """Raises LoginRefusedError, LoginNotConfiguredError."""

    async def revoke(self, tokens: DiscordTokens) -> None:
        """Tell Discord that they are not needed any more."""

    async def user(self, tokens: DiscordTokens) -> User:
        """Raises LoginRefusedError."""

    async def guilds(self, tokens: DiscordTokens) -> Sequence[UserGuild]:
        """Every guild of theirs. Raises LoginRefusedError."""

    async def manages(self, user_id: str, guild_id: GuildId) -> bool:
        """Whether the user is a member that may manage the guild, as the bot sees it."""

    async def bot_is_in(self, guild_id: GuildId) -> bool: ...

    def changes(self, guild_id: GuildId) -> int:
        """A number that is another one after each change of the guild's roles or owner that we heard of."""


class NoAccounts:
    """Where nobody can log in."""

    def authorize_url(self, *, state: str, challenge: str, redirect_uri: str) -> str:
        raise LoginNotConfiguredError

    async def exchange(self, code: str, *, verifier: str, redirect_uri: str) -> DiscordTokens:
        raise LoginNotConfiguredError

    async def refresh(self, tokens: DiscordTokens) -> DiscordTokens:
        raise LoginNotConfiguredError

    async def revoke(self, tokens: DiscordTokens) -> None:
        return None

    async def user(self, tokens: DiscordTokens) -> User:
        raise LoginNotConfiguredError

    async def guilds(self, tokens: DiscordTokens) -> Sequence[UserGuild]:
        return ()

    async def manages(self, user_id: str, guild_id: GuildId) -> bool:
        return False

    async def bot_is_in(self, guild_id: GuildId) -> bool:
        return False

    def changes(self, guild_id: GuildId) -> int:
        return 0
