"""People, tokens and the audit log as they cross the border."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, field_validator

from flora.api.models import Cursor, GuildIdText, Model, whole

Label = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$"),
    Field(description="What it is for, to be told apart.", examples=["ci"]),
]
RightsName = Literal["read", "deploy", "admin"]
RIGHTS_DESCRIPTION = "Each includes the one before: look; change what runs and its data; secrets, audit."
MAX_SCOPE = 100
MAX_LIFETIME_DAYS = 3_650
Days = Annotated[int, Field(ge=1, le=MAX_LIFETIME_DAYS), BeforeValidator(whole)]


class UserModel(Model):
    """A Discord user."""

    id: str
    username: str | None = None
    global_name: str | None = None
    avatar: str | None = None


class TokenModel(Model):
    """An API token, as it may be shown."""

    id: str = Field(description="The token's first half, which is no secret.")
    label: str
    rights: RightsName = Field(description=RIGHTS_DESCRIPTION)
    guild_ids: list[str] | None = Field(None, description="null: every guild that its user may manage.")
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = Field(None, description="To the minute.")


class MeModel(Model):
    """Who calls."""

    kind: Literal["operator", "token", "session"]
    user: UserModel | None = Field(None, description="null for the operator and its tokens.")
    token: TokenModel | None = None
    csrf_token: str | None = Field(
        None, description="For a session: the value of X-CSRF-Token that its writes need."
    )
    session_expires_at: datetime | None = None


class ManagedGuildModel(Model):
    """A guild of the caller's on Discord."""

    id: str
    name: str
    icon: str | None = None
    owner: bool
    permissions: str = Field(description="Discord's permission bits, as a number in decimal.")


class ManagedGuildsModel(Model):
    """The guilds that the caller may manage, in the order of ids."""

    items: list[ManagedGuildModel]


class LogoutModel(Model):
    """What has ended."""

    sessions_ended: int


class LogoutBody(Model):
    everywhere: bool = Field(False, description="End all sessions of this user.")


class TokenBody(Model):
    """A token to make. What it may do is bound by its scope, and by what its user may do."""

    label: Label = ""
    rights: RightsName = Field("admin", description=RIGHTS_DESCRIPTION)
    guild_ids: tuple[GuildIdText, ...] | None = Field(
        None, min_length=1, max_length=MAX_SCOPE, description="null: every guild that its user may manage."
    )
    lifetime_days: Days | None = Field(None, description="null: it does not expire.")

    @field_validator("guild_ids")
    @classmethod
    def are_guilds(cls, ids: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if ids is None else tuple(dict.fromkeys(ids))


class NewTokenModel(TokenModel):
    """A new token. Its text is shown here and never again."""

    token: str


class TokensModel(Model):
    """The caller's tokens, newest first, with those that expired lately; at most 50."""

    items: list[TokenModel]


class RevokedModel(Model):
    revoked: str = Field(description="The token's id.")


class DeviceBody(TokenBody):
    """What a program asks a person for."""


class DeviceModel(Model):
    """A request that waits for a person."""

    device_code: str = Field(description="A secret of the program's, for POST /auth/device/token.")
    user_code: str = Field(description="For the person to compare or to type.", examples=["BCDF-GHJK"])
    verification_uri: str
    verification_uri_complete: str
    expires_in: int = Field(description="Seconds.")
    interval: int = Field(description="Seconds between two polls.")


class DevicePollBody(Model):
    device_code: str = Field(min_length=1, max_length=100)


class DevicePollModel(Model):
    """What became of the request. The rest is there when it is `granted`."""

    status: Literal["pending", "denied", "granted"]
    token: str | None = Field(None, description="Given once.")
    id: str | None = None
    user_id: str | None = None
    username: str | None = None
    rights: RightsName | None = None
    guild_ids: list[str] | None = None
    expires_at: datetime | None = None


class DeviceQuery(Model):
    code: str | None = Field(None, max_length=20, description="The user code.")


class DeviceDecisionForm(Model):
    """What the confirmation page posts."""

    user_code: str = Field(max_length=20)
    decision: Literal["allow", "deny"]
    csrf_token: str = Field(max_length=100)


class LoginQuery(Model):
    next: str = Field("/", description="Where to go afterwards: a path of flora's; anything else is `/`.")


class CallbackQuery(Model):
    state: str = Field("", max_length=200)
    code: str | None = Field(None, max_length=500)
    error: str | None = Field(None, max_length=200)
    error_description: str | None = None


class AuditQuery(Model):
    guild_id: GuildIdText | None = Field(None, description="Of this guild. Without: of all, operator only.")
    user_id: str | None = Field(None, max_length=20, description="By this Discord user.")
    limit: int = Field(25, ge=1, le=100, description="Entries of one page.")
    cursor: Cursor | None = None


class AuditEntryModel(Model):
    """One write."""

    id: int
    at: datetime
    kind: Literal["operator", "token", "session"]
    user_id: str | None = None
    username: str | None = None
    token_id: str | None = None
    address: str
    request_id: str
    guild_id: str | None = None
    action: str = Field(examples=["deployments.rollback"])
    method: str
    path: str
    status: int = Field(description="Of the answer; 499 when the caller left before there was one.")


class AuditModel(Model):
    """Writes, newest first; `next_cursor` asks for the next page and is null on the last."""

    items: list[AuditEntryModel]
    next_cursor: str | None = None
