"""`/auth`: log in with Discord in a browser, out again, and who am I."""

from __future__ import annotations

from quart import Blueprint, Response, g, request
from quart_schema import tag_blueprint

from flora.api.auth import ForbiddenError, Identity, Permission, public, requires
from flora.api.auth_models import (
    CallbackQuery,
    LoginQuery,
    LogoutBody,
    LogoutModel,
    ManagedGuildModel,
    ManagedGuildsModel,
    MeModel,
    RevokedModel,
    UserModel,
)
from flora.api.cookies import LOGIN_COOKIE, SESSION_COOKIE
from flora.api.openapi import answers, redirects, takes, takes_query
from flora.api.pages import see_other
from flora.api.routes.tokens import TokenNotFoundError, token_model
from flora.api.services import Services

blueprint = Blueprint("auth", __name__)
tag_blueprint(blueprint, ["auth"])


@blueprint.get("/auth/login")
@redirects("To Discord's page, or first to the address that Discord sends browsers back to.")
@answers(None, fails=[422, 503])
@public
@takes_query(LoginQuery)
async def login(query_args: LoginQuery) -> Response:
    """Log in with Discord

    For a browser. Afterwards it goes to `next`.
    """
    people = _services().people
    if request.host and people.login.is_elsewhere(request.host):
        return see_other(f"{people.login.base(request.host)}{request.full_path}")
    begun = await people.login.begin(
        query_args.next, people.cookies.login_nonce(request.headers), request.host
    )
    response = see_other(begun.url)
    people.cookies.set_login(response, begun.nonce)
    return response


@blueprint.get("/auth/callback")
@redirects("To where the login was to lead; the session's cookie is set.")
@answers(None, fails=[403, 422, 503])
@public
@takes_query(CallbackQuery)
async def callback(query_args: CallbackQuery) -> Response:
    """Where Discord sends the browser back to"""
    people = _services().people
    nonce = people.cookies.login_nonce(request.headers)
    if query_args.error is not None:
        await people.login.deny(query_args.state, nonce)
    session_id, session, next_path = await people.login.finish(query_args.code or "", query_args.state, nonce)
    g.identity = Identity("session", session.user.id, session.user.username, session=session)
    g.audited = True
    response = see_other(next_path)
    people.cookies.set_session(response, session_id, int(people.login.session_ttl.total_seconds()))
    people.cookies.clear(response, LOGIN_COOKIE)
    return response


@blueprint.post("/auth/logout")
@answers(LogoutModel)
@requires(Permission.PERSON)
@takes(LogoutBody)
async def logout(body: LogoutBody) -> Response:
    """End this browser's session, or all of its user's

    It ends at once; API tokens stay (DELETE /auth/token ends one). For the operator's secret there is nothing
    to end.
    """
    people = _services().people
    identity: Identity = g.identity
    ended = 0
    if identity.session is not None:
        ended = await people.identities.end(identity.session, everywhere=body.everywhere)
    response = Response(LogoutModel(sessions_ended=ended).model_dump_json(), content_type="application/json")
    people.cookies.clear(response, SESSION_COOKIE)
    return response


@blueprint.delete("/auth/token")
@answers(RevokedModel, fails=[404])
@requires(Permission.IDENTIFIED)
async def revoke_own_token() -> RevokedModel:
    """Revoke the API token that this request is made with

    It is refused from now on. 404 when the request is made with none.
    """
    identity: Identity = g.identity
    token = identity.token
    if token is None or not await _services().tokens.revoke(token.user_id, token.id):
        raise TokenNotFoundError("this request is made with no API token.")
    return RevokedModel(revoked=token.id)


@blueprint.get("/auth/me")
@answers(MeModel)
@requires(Permission.IDENTIFIED)
async def me() -> MeModel:
    """Who calls, and the CSRF token of a session"""
    identity: Identity = g.identity
    session = identity.session
    user = None
    if session is not None:
        user = UserModel(
            id=session.user.id,
            username=session.user.username,
            global_name=session.user.global_name,
            avatar=session.user.avatar,
        )
    elif identity.user_id is not None:
        user = UserModel(id=identity.user_id)
    cookies = _services().people.cookies
    session_id = None if session is None else cookies.session_id(request.headers)
    return MeModel(
        kind=identity.kind,
        user=user,
        token=None if identity.token is None else token_model(identity.token),
        csrf_token=None if session_id is None else cookies.csrf_token(session_id),
        session_expires_at=None if session is None else session.expires_at,
    )


@blueprint.get("/auth/guilds")
@answers(ManagedGuildsModel)
@requires(Permission.PERSON)
async def managed_guilds() -> ManagedGuildsModel:
    """The guilds on Discord that the session's user may manage, whether or not the bot is in them"""
    identity: Identity = g.identity
    if identity.session is None:
        raise ForbiddenError("only a browser session has guilds on Discord.", hint="GET /guilds lists all.")
    guilds = await _services().people.identities.guilds_of(identity.session)
    return ManagedGuildsModel(
        items=[
            ManagedGuildModel(
                id=guild.id,
                name=guild.name,
                icon=guild.icon,
                owner=guild.owner,
                permissions=str(guild.permissions),
            )
            for guild in sorted(guilds, key=lambda guild: int(guild.id))
            if guild.manages
        ]
    )


def _services() -> Services:
    services: Services = g.services
    return services
