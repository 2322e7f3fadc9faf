"""`/auth/device`: a command line gets an API token from a person with a browser.

What the command line does is described in flora/api/devices.py.
"""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from quart import Blueprint, Response, g, request
from quart_schema import tag_blueprint

from flora.api import pages
from flora.api.auth import (
    ForbiddenError,
    Identity,
    Permission,
    UnauthorizedError,
    identify_caller,
    public,
    requires,
)
from flora.api.auth_models import (
    DeviceBody,
    DeviceDecisionForm,
    DeviceModel,
    DevicePollBody,
    DevicePollModel,
    DeviceQuery,
)
from flora.api.devices import EXPIRES_IN, INTERVAL, DeviceRequest, Granted
from flora.api.openapi import answers, answers_media, redirects, takes, takes_form, takes_query
from flora.api.pages import see_other
from flora.api.services import Services
from flora.ids import parse_guild_id

blueprint = Blueprint("devices", __name__)
tag_blueprint(blueprint, ["auth"])


@blueprint.post("/auth/device")
@answers(DeviceModel, status=201, fails=[503])
@public
@takes(DeviceBody)
async def begin(body: DeviceBody) -> tuple[DeviceModel, int]:
    """Ask a person for an API token, for a program without a browser of its own

    The person opens `verification_uri_complete`; meanwhile the program polls POST /auth/device/token.
    """
    people = _services().people
    device_code, user_code = await people.devices.begin(
        DeviceRequest(
            label=body.label or "command line",
            rights=body.rights,
            guild_ids=None if body.guild_ids is None else [parse_guild_id(each) for each in body.guild_ids],
            lifetime_days=body.lifetime_days,
            address=g.guard.address,
        )
    )
    uri = f"{people.login.base(request.host)}/auth/device"
    answer = DeviceModel(
        device_code=device_code,
        user_code=user_code,
        verification_uri=uri,
        verification_uri_complete=f"{uri}?code={user_code}",
        expires_in=EXPIRES_IN,
        interval=INTERVAL,
    )
    return answer, 201


@blueprint.post("/auth/device/token")
@answers(DevicePollModel, fails=[404, 409, 503])
@public
@takes(DevicePollBody)
async def poll(body: DevicePollBody) -> DevicePollModel:
    """What the person has answered; with the token, once, when it was granted"""
    outcome = await _services().people.devices.poll(body.device_code)
    if not isinstance(outcome, Granted):
        return DevicePollModel(status=outcome)
    token = outcome.token
    return DevicePollModel(
        status="granted",
        token=outcome.text,
        id=token.id,
        user_id=token.user_id,
        username=outcome.username,
        rights=token.rights,
        guild_ids=None if token.guild_ids is None else list(token.guild_ids),
        expires_at=token.expires_at,
    )


@blueprint.get("/auth/device")
@redirects("To log in first.")
@answers_media("text/html", "The page where a person compares the code, and allows or denies.")
@answers(None, fails=[403, 404, 422, 503])
@public
@takes_query(DeviceQuery)
async def confirm_page(query_args: DeviceQuery) -> Response:
    """The page where a person answers a program's request"""
    people = _services().people
    try:
        identity = await identify_caller()
    except UnauthorizedError:
        path = "/auth/device" + (f"?code={quote(query_args.code, safe='')}" if query_args.code else "")
        return see_other(f"/auth/login?next={quote(path, safe='')}")
    session_id = people.cookies.session_id(request.headers)
    if identity.session is None or session_id is None:
        raise ForbiddenError("this page is for a browser.", hint="Log in at /auth/login.")
    if not query_args.code:
        return pages.page(
            "Connect a command line",
            '<p>Type the code that it shows.</p><form method="get" action="/auth/device">'
            '<input name="code" autocomplete="off" autofocus maxlength="9" aria-label="Code">'
            '<button class="yes">Go on</button></form>',
        )
    asked = await people.devices.find(query_args.code)
    return pages.page(
        "Connect a command line",
        _question(asked, identity, query_args.code, people.cookies.csrf_token(session_id)),
    )


@blueprint.post("/auth/device/confirm")
@answers_media("text/html", "What was answered.")
@answers(None, fails=[404])
@requires(Permission.PERSON)
@takes_form(DeviceDecisionForm)
async def confirm(body: DeviceDecisionForm) -> Response:
    """Answer a program's request, from the page"""
    identity: Identity = g.identity
    if identity.session is None:
        raise ForbiddenError("only a person with a browser session can answer this.")
    allow = body.decision == "allow"
    await _services().people.devices.decide(body.user_code, identity, allow=allow)
    if allow:
        return pages.message("Connected", "The command line goes on by itself. You may close this page.")
    return pages.message("Denied", "Nothing was handed out. You may close this page.")


def _question(asked: DeviceRequest, identity: Identity, code: str, csrf_token: str) -> str:
    guilds = "all guilds that you manage" if asked.guild_ids is None else ", ".join(asked.guild_ids)
    lasts = "until you revoke it" if asked.lifetime_days is None else f"for {asked.lifetime_days} days"
    facts = [
        ("Code", f"<code>{escape(code.upper())}</code>"),
        ("Who asks", escape(asked.label)),
        ("From the address", escape(asked.address)),
        ("Rights", escape(f"{asked.rights}, for {guilds}, {lasts}")),
        ("You are", escape(identity.username or "")),
    ]
    return (
        "<dl>"
        + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts)
        + "</dl><p>Allow this only if you have just started it yourself, and the code is the same.</p>"
        '<form method="post" action="/auth/device/confirm">'
        f'<input type="hidden" name="csrf_token" value="{escape(csrf_token)}">'
        f'<input type="hidden" name="user_code" value="{escape(code)}">'
        '<button class="yes" name="decision" value="allow">Allow</button>'
        '<button name="decision" value="deny">Deny</button></form>'
    )


def _services() -> Services:
    services: Services = g.services
    return services
