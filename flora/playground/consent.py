"""The authorize page: a person allows or denies what an application asks for.

Discord knows who is logged in; the playground asks. The page's form is `user` (an id), `decision` (allow or
deny) and the query as it came, so a test without a browser posts the same three to the page's own URL.
The last person who allowed something is remembered in a cookie, for `prompt=none`.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from quart import Blueprint, Response, render_template, request

from flora.playground.entities import User
from flora.playground.oauth import SCOPES, AuthorizationRequest, AuthorizeError
from flora.playground.rest.context import model, playground

blueprint = Blueprint("consent", __name__)

PERSON_COOKIE: Final = "playground_person"
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "form-action 'self'"
)


@blueprint.get("/oauth2/authorize")
async def ask() -> Response:
    """The page, or with `prompt=none` and a grant that covers it the redirect at once."""
    asked = _read()
    if isinstance(asked, Response):
        return asked
    person = _person(request.cookies.get(PERSON_COOKIE))
    if asked.prompt == "none" and person is not None:
        oauth = playground().oauth
        if oauth.has_allowed(person, asked.scopes):
            return _leave(oauth.allow(asked, person))
    people = [each for each in model().users.values() if not each.bot]
    return await _page(
        200,
        form_action=_origin(asked.redirect_uri),
        application=model().application.name,
        scopes=[SCOPES[each] for each in asked.scopes],
        people=people,
        chosen=people[0] if person is None else person,
        target=_origin(asked.redirect_uri),
    )


@blueprint.post("/oauth2/authorize")
async def decide() -> Response:
    """The answer of the page's form, which posts to the URL it was read from."""
    asked = _read()
    if isinstance(asked, Response):
        return asked
    form = await request.form
    if form.get("decision") != "allow":
        return _leave(playground().oauth.deny(asked))
    person = _person(form.get("user"))
    if person is None:
        return await _page(400, problem="Choose one of the playground's people.")
    response = _leave(playground().oauth.allow(asked, person))
    response.set_cookie(PERSON_COOKIE, person.id, httponly=True, samesite="Lax", path="/oauth2")
    return response


def _read() -> AuthorizationRequest | Response:
    try:
        return playground().oauth.read_request(request.args)
    except AuthorizeError as error:
        if error.redirect is not None:
            return _leave(error.redirect)
        raise


@blueprint.errorhandler(AuthorizeError)
async def _refused(error: AuthorizeError) -> Response:
    return await _page(400, problem=str(error))


def _person(user_id: str | None) -> User | None:
    user = model().users.get(user_id or "")
    return None if user is None or user.bot else user


def _leave(url: str) -> Response:
    return Response(b"", status=302, headers={"Location": url, "Cache-Control": "no-store"})


def _origin(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}"


async def _page(status: int, *, form_action: str = "", **values: Any) -> Response:
    """The page; browsers hold the redirect that follows the form against form-action too."""
    response = Response(await render_template("authorize.html", **values), status=status)
    response.headers["Content-Security-Policy"] = f"{_POLICY} {form_action}".rstrip()
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "same-origin"
    return response
