"""OAuth2's token endpoints and what a person's access token tells about itself.

Source: Discord, "OAuth2": the token and revocation URLs take form-encoded bodies only.
"""

from __future__ import annotations

from typing import Any

from flora.playground.errors import DiscordError, OAuthError
from flora.playground.rest.context import access, model, playground, reply
from flora.playground.snowflake import isoformat
from flora.playground.web import Answer, Routes, current

routes = Routes()


@routes.get("/oauth2/authorize")
async def authorize() -> Answer:
    """The page is outside of the API; Discord sends browsers there too."""
    return Answer(status=302, headers=[("Location", f"/oauth2/authorize?{current().query}")])


@routes.post("/oauth2/token")
async def token() -> Answer:
    form = await _client_form()
    response = reply(playground().oauth.exchange(form))
    response.headers.append(("Cache-Control", "no-store"))
    return response


@routes.post("/oauth2/token/revoke")
async def revoke() -> Answer:
    form = await _client_form()
    if not form.get("token"):
        raise OAuthError(400, "invalid_request", "token is required.")
    playground().oauth.revoke(form["token"])
    return reply({})


@routes.get("/oauth2/@me")
async def authorization() -> Answer:
    """Who gave the token that came, for what, until when."""
    token = access()
    if token is None:
        raise DiscordError(401, 50025, "Invalid OAuth2 access token")
    body: dict[str, Any] = {
        "application": model().application.public_json(),
        "scopes": list(token.scopes),
        "expires": isoformat(token.expires),
    }
    if "identify" in token.scopes:
        body["user"] = token.user.json()
    return reply(body)


async def _client_form() -> dict[str, str]:
    """The body of an authenticated client."""
    call = current()
    if call.media_type != "application/x-www-form-urlencoded":
        raise OAuthError(400, "invalid_request", "The body must be application/x-www-form-urlencoded.")
    form = call.form()[0].to_dict()
    playground().oauth.check_client(form, call.header(b"authorization"))
    return form
