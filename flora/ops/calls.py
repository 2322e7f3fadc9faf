"""Ops as data: most of them are one request, whose route says what has to be checked.

    call("kick_member", "DELETE /guilds/{guild_id}/members/{user_id}", reason=True)

declares an op with the arguments `userId`, `reason` and `guildId`. What a route contains is what is checked,
so that no op can forget it:

    {guild_id}                               the script's own; the argument may be left out
    {channel_id}, {webhook_id}, {code}       belongs to the guild (an invite's code outside a guild's route)
    {application_id} {interaction_token}     flora's own id; an interaction that the guild received, `token`

and whatever a body or a query names besides (`flora.ops.references`). A route with none of these would reach
beyond the guild and is not accepted, unless it is declared `public`: then it tells what anybody may know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, get_args

import msgspec

from flora.engine.api import OpCall
from flora.gateway.routes import Route, placeholders
from flora.ops.arguments import Emoji, Id, emoji_path
from flora.ops.errors import scope_forbidden
from flora.ops.references import check_references
from flora.ops.table import OpContext, register

Json = dict[str, Any]
Types = Mapping[str, Any]

_KINDS: Final[Types] = {
    "guild_id": Id | None,
    "emoji": Emoji,
    "code": str,
    "interaction_token": str,
    "answer_id": int | Id,
}
_SCOPED: Final = frozenset({"guild_id", "channel_id", "webhook_id", "interaction_token", "code"})


def maybe(type_: Any) -> Any:
    """An argument that may be left out; null is handed on to Discord, for which it means "none"."""
    return type_ | None | msgspec.UnsetType


def call(
    name: str,
    route: str,
    *,
    path: Mapping[str, str] | None = None,
    query: Types | None = None,
    fields: Types | None = None,
    body: str | None = None,
    payload: Any = None,
    reason: bool = False,
    public: bool = False,
) -> None:
    """Declare the op `name`, which is the request `route`, "METHOD /path/{of}/{parameters}".

    `path`     arguments whose name is not that of their place in the path: {"channel_id": "thread_id"}
    `query`    arguments for the query string and their types
    `fields`   arguments that are fields of the body and their types
    `body`     the argument that is the body by itself, of the type `payload`
    `reason`   whether there is one for the audit log
    """
    _Call(name, route, path or {}, query or {}, fields or {}, body, payload, reason=reason, public=public)


class _Call:
    def __init__(
        self,
        name: str,
        route: str,
        path: Mapping[str, str],
        query: Types,
        fields: Types,
        body: str | None,
        payload: Any,
        *,
        reason: bool,
        public: bool,
    ) -> None:
        self._method, _, self._template = route.partition(" ")
        self._path = {place: path.get(place, place) for place in placeholders(self._template)}
        scoped = not _SCOPED.isdisjoint(self._path) or "channel_id" in fields
        assert public or scoped, f"{name} would reach beyond the guild"
        if "interaction_token" in self._path:
            self._path["interaction_token"] = "token"
        self._query = query
        self._fields = fields
        self._body = body
        self._reason = reason
        arguments: dict[str, Any] = {
            argument: _KINDS.get(place, Id)
            for place, argument in self._path.items()
            if place != "application_id"
        }
        arguments |= fields
        arguments |= {name: maybe(type_) for name, type_ in query.items()}
        if body is not None:
            arguments[body] = payload
        if reason:
            arguments["reason"] = maybe(str)
        register(name, _struct(name, arguments), self._run)

    async def _run(self, ctx: OpContext, args: Any, call: OpCall) -> bytes:
        own_guild(ctx, getattr(args, "guild_id", None))
        query = given(args, self._query)
        body = given(args, self._fields) if self._fields else None
        if self._body is not None:
            value = getattr(args, self._body)
            body = {} if value is msgspec.UNSET else value
        route = await self._route(ctx, args)
        await check_references(ctx.channels, ctx.guild_id, [query, body])
        response = await ctx.rest.request(
            route,
            json=body,
            query=query,
            reason=(getattr(args, "reason", None) or None) if self._reason else None,
            guild_id=ctx.guild_id,
        )
        return response.body

    async def _route(self, ctx: OpContext, args: Any) -> Route:
        values: dict[str, str] = {}
        for place, argument in self._path.items():
            value = ctx.application_id if place == "application_id" else getattr(args, argument)
            match place:
                case "guild_id":
                    value = ctx.guild_id
                case "channel_id":
                    value = await ctx.channels.check(ctx.guild_id, value)
                case "webhook_id":
                    value = await ctx.channels.webhook(ctx.guild_id, value)
                case "interaction_token":
                    await ctx.interactions.admit(value, ctx.channels, ctx.guild_id, ctx.application_id)
                case "code" if "guild_id" not in self._path:
                    value = await ctx.channels.invite(ctx.guild_id, value)
                case "emoji":
                    value = emoji_path(value)
            values[place] = value
        return Route(self._method, self._template, **values)


def own_guild(ctx: OpContext, guild_id: str | None) -> None:
    """Raises OpError when a script names another guild than its own."""
    if guild_id is not None and guild_id != ctx.guild_id:
        raise scope_forbidden("guild is outside runtime scope")


def given(args: Any, names: Types) -> Json:
    """Those of the arguments that were given."""
    found = {name: getattr(args, name) for name in names}
    return {name: value for name, value in found.items() if value is not msgspec.UNSET}


def _struct(name: str, arguments: Types) -> type:
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for argument, type_ in arguments.items():
        if msgspec.UnsetType in get_args(type_):
            fields.append((argument, type_, msgspec.UNSET))
        elif argument == "guild_id":
            fields.append((argument, type_, None))
        else:
            fields.append((argument, type_))
    return msgspec.defstruct(name, fields, rename="camel", kw_only=True)
