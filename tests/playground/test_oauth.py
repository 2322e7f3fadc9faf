"""OAuth2: a person allows flora's client, the client gets tokens, tokens open what the person allowed.

Source: Discord, "OAuth2"; RFC 6749, 6750, 7009 and 7636.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from flora.playground import PlaygroundInfo, demo, demo_model
from flora.playground import permissions as may
from flora.playground.model import Model
from flora.playground.oauth import CODE_LIFETIME, TOKEN_LIFETIME
from flora.playground.snowflake import ManualClock
from tests import openapi

REDIRECT = "http://localhost:3000/auth/callback"


@dataclass
class Login:
    """A client's side of the flow, against one playground."""

    http: httpx.AsyncClient
    info: PlaygroundInfo
    verifier: str = ""

    def query(self, **more: str | None) -> dict[str, str]:
        self.verifier = secrets.token_urlsafe(48)
        digest = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=")
        query = {
            "client_id": self.info.application_id,
            "redirect_uri": REDIRECT,
            "response_type": "code",
            "scope": "identify guilds",
            "state": "st/ate",
            "code_challenge": digest.decode(),
            "code_challenge_method": "S256",
        }
        return {key: value for key, value in (query | more).items() if value is not None}

    async def decide(self, query: dict[str, str], **form: str) -> dict[str, str]:
        """Post the page's form; the parameters that come back to the client."""
        response = await self.http.post("/oauth2/authorize", params=query, data=form)
        return back(response)

    async def code(self, user: str = demo.ANN, **more: str | None) -> str:
        answer = await self.decide(self.query(**more), user=user, decision="allow")
        assert answer["state"] == "st/ate"
        return answer["code"]

    def secret(self) -> dict[str, str]:
        return {"client_id": self.info.application_id, "client_secret": self.info.client_secret}

    async def token(self, **form: str | None) -> httpx.Response:
        data = {key: value for key, value in (self.secret() | form).items() if value is not None}
        return await self.http.post("/api/v10/oauth2/token", data=data)

    async def exchange(self, code: str, /, **form: str | None) -> httpx.Response:
        body = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
        return await self.token(**(body | {"code_verifier": self.verifier} | form))

    async def log_in(self, user: str = demo.ANN, scope: str = "identify guilds") -> dict[str, Any]:
        response = await self.exchange(await self.code(user, scope=scope))
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    async def get(self, path: str, token: str, method: str = "GET") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        response = await self.http.request(method, f"/api/v10{path}", headers=headers)
        if openapi.available():
            body = json.loads(response.content) if response.content else None
            assert openapi.check_response(method, path, response.status_code, body) == []
        return response


def back(response: httpx.Response) -> dict[str, str]:
    """What a redirect tells the client."""
    assert response.status_code == 302, response.text
    location = urlsplit(response.headers["location"])
    assert location._replace(query="").geturl() == REDIRECT
    return {key: values[0] for key, values in parse_qs(location.query).items()}


def refused(response: httpx.Response, status: int, error: str) -> None:
    assert (response.status_code, response.json()["error"]) == (status, error), response.text
    assert response.headers["cache-control"] == "no-store"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def model(clock: ManualClock) -> Model:
    return demo_model(clock)


@pytest.fixture
async def login(info: PlaygroundInfo) -> AsyncIterator[Login]:
    async with httpx.AsyncClient(base_url=info.page_url, timeout=30, trust_env=False) as http:
        yield Login(http, info)


class TestAuthorize:
    async def test_the_page_asks_as_whom_and_for_what(self, login: Login) -> None:
        page = await login.http.get("/oauth2/authorize", params=login.query())
        assert page.status_code == 200
        for text in ("flora", "Ann", "Ben", "Cleo", "your name and picture", "http://localhost:3000"):
            assert text in page.text
        assert 'method="post"' in page.text
        policy = page.headers["content-security-policy"]
        assert "form-action 'self' http://localhost:3000" in policy
        assert "frame-ancestors 'none'" in policy

    async def test_the_api_sends_browsers_to_the_page(self, login: Login) -> None:
        for prefix in ("/api", "/api/v10"):
            response = await login.http.get(f"{prefix}/oauth2/authorize", params={"state": "a b"})
            assert (response.status_code, response.headers["location"]) == (
                302,
                "/oauth2/authorize?state=a+b",
            )

    async def test_denying_tells_the_client(self, login: Login) -> None:
        answer = await login.decide(login.query(), user=demo.ANN, decision="deny")
        assert (answer["error"], answer["state"]) == ("access_denied", "st/ate")

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"client_id": "1"}, "Unknown Application"),
            ({"redirect_uri": "http://localhost:3000/elsewhere"}, "Invalid OAuth2 redirect_uri"),
            ({"redirect_uri": "http://evil.example/auth/callback"}, "Invalid OAuth2 redirect_uri"),
            ({"redirect_uri": "http://localhost@evil.example/auth/callback"}, "Invalid OAuth2 redirect_uri"),
            ({"redirect_uri": "https://localhost:3000/auth/callback"}, "Invalid OAuth2 redirect_uri"),
        ],
    )
    async def test_a_wrong_client_is_never_redirected_to(
        self, login: Login, wrong: dict[str, str], message: str
    ) -> None:
        for method in ("GET", "POST"):
            page = await login.http.request(method, "/oauth2/authorize", params=login.query(**wrong))
            assert page.status_code == 400
            assert message in page.text

    @pytest.mark.parametrize(
        ("wrong", "error"),
        [
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"scope": "identify everything"}, "invalid_scope"),
            ({"scope": None}, "invalid_scope"),
            ({"code_challenge_method": None}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"code_challenge": "short"}, "invalid_request"),
            ({"prompt": "login"}, "invalid_request"),
        ],
    )
    async def test_a_wrong_request_goes_back_to_its_client(
        self, login: Login, wrong: dict[str, str | None], error: str
    ) -> None:
        answer = back(await login.http.get("/oauth2/authorize", params=login.query(**wrong)))
        assert (answer["error"], answer["state"]) == (error, "st/ate")

    async def test_a_redirect_to_this_machine_may_be_on_any_port(self, login: Login) -> None:
        query = login.query(redirect_uri="http://127.0.0.1:49152/auth/callback")
        form = {"user": demo.ANN, "decision": "allow"}
        response = await login.http.post("/oauth2/authorize", params=query, data=form)
        assert response.headers["location"].startswith("http://127.0.0.1:49152/auth/callback?code=")

    async def test_other_redirects_are_registered_by_the_control_api(
        self, login: Login, control: httpx.AsyncClient
    ) -> None:
        uri = "https://garden.example/cb?keep=1"
        client = (await control.post("/oauth2", json={"redirect_uris": [uri]})).json()
        assert client == {**login.secret(), "redirect_uris": [uri]}
        form = {"user": demo.ANN, "decision": "allow"}
        response = await login.http.post("/oauth2/authorize", params=login.query(redirect_uri=uri), data=form)
        assert response.headers["location"].startswith(f"{uri}&code=")

    async def test_the_bot_is_nobody_to_log_in_as(self, login: Login) -> None:
        for user in (demo.APPLICATION_ID, "1", ""):
            form = {"user": user, "decision": "allow"}
            page = await login.http.post("/oauth2/authorize", params=login.query(), data=form)
            assert page.status_code == 400

    async def test_prompt_none_asks_only_for_what_was_never_allowed(self, login: Login) -> None:
        assert (
            await login.http.get("/oauth2/authorize", params=login.query(prompt="none"))
        ).status_code == 200
        await login.log_in(demo.BEN)
        again = await login.http.get("/oauth2/authorize", params=login.query(prompt="none"))
        token = (await login.exchange(back(again)["code"])).json()["access_token"]
        assert (await login.get("/users/@me", token)).json()["id"] == demo.BEN
        more = login.query(prompt="none", scope="identify email")
        assert (await login.http.get("/oauth2/authorize", params=more)).status_code == 200
        assert (await login.http.get("/oauth2/authorize", params=login.query())).status_code == 200


class TestTokens:
    async def test_a_code_becomes_a_token(self, login: Login) -> None:
        body = await login.log_in()
        assert body.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
        assert (body["token_type"], body["expires_in"], body["scope"]) == (
            "Bearer",
            604800,
            "identify guilds",
        )

    async def test_a_client_may_authenticate_by_basic(self, login: Login) -> None:
        form = {"grant_type": "authorization_code", "code": await login.code(), "redirect_uri": REDIRECT}
        response = await login.http.post(
            "/api/oauth2/token",
            data=form | {"code_verifier": login.verifier},
            auth=(login.info.application_id, login.info.client_secret),
        )
        assert response.status_code == 200

    @pytest.mark.parametrize(
        "wrong", [{"client_secret": "no"}, {"client_secret": None}, {"client_id": "1"}, {"client_id": None}]
    )
    async def test_a_wrong_client_gets_nothing(self, login: Login, wrong: dict[str, str | None]) -> None:
        code = await login.code()
        refused(await login.exchange(code, **wrong), 401, "invalid_client")
        for authorization in ("Basic !", "Basic eDp5", "Bearer x"):
            response = await login.http.post(
                "/api/v10/oauth2/token",
                data={**login.secret(), "grant_type": "authorization_code", "code": code},
                headers={"Authorization": authorization},
            )
            refused(response, 401, "invalid_client")
        assert (await login.exchange(code)).status_code == 200

    @pytest.mark.parametrize(
        "wrong",
        [
            {"code": "guess"},
            {"code": None},
            {"redirect_uri": "http://localhost:3001/auth/callback"},
            {"redirect_uri": None},
            {"code_verifier": "another" * 7},
            {"code_verifier": "short"},
            {"code_verifier": None},
        ],
        ids=str,
    )
    async def test_a_code_works_only_for_who_asked_for_it(
        self, login: Login, wrong: dict[str, str | None]
    ) -> None:
        refused(await login.exchange(await login.code(), **wrong), 400, "invalid_grant")

    async def test_a_code_without_a_challenge_needs_no_verifier(self, login: Login) -> None:
        code = await login.code(code_challenge=None, code_challenge_method=None)
        assert (await login.exchange(code, code_verifier=None)).status_code == 200

    async def test_a_code_is_short_lived(self, login: Login, clock: ManualClock) -> None:
        code = await login.code()
        clock.advance(CODE_LIFETIME)
        refused(await login.exchange(code), 400, "invalid_grant")

    async def test_using_a_code_again_revokes_what_it_brought(self, login: Login) -> None:
        code = await login.code()
        token = (await login.exchange(code)).json()["access_token"]
        refused(await login.exchange(code), 400, "invalid_grant")
        assert (await login.get("/users/@me", token)).status_code == 401

    async def test_other_grants_and_bodies_are_refused(self, login: Login) -> None:
        refused(await login.token(grant_type="password"), 400, "unsupported_grant_type")
        refused(await login.token(), 400, "invalid_request")
        response = await login.http.post("/api/v10/oauth2/token", json=login.secret())
        refused(response, 400, "invalid_request")

    async def test_a_refresh_token_works_once_and_its_tokens_expire(
        self, login: Login, clock: ManualClock
    ) -> None:
        first = await login.log_in()
        clock.advance(TOKEN_LIFETIME)
        assert (await login.get("/users/@me", first["access_token"])).status_code == 401
        form = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
        second = (await login.token(**form)).json()
        assert second["scope"] == "identify guilds"
        assert (await login.get("/users/@me", second["access_token"])).status_code == 200
        refused(await login.token(**form), 400, "invalid_grant")

    @pytest.mark.parametrize("which", ["access_token", "refresh_token"])
    async def test_revoking_ends_the_whole_authorization(self, login: Login, which: str) -> None:
        body = await login.log_in()
        revoke = "/api/v10/oauth2/token/revoke"
        refused(await login.http.post(revoke, data={"token": body[which]}), 401, "invalid_client")
        assert (await login.get("/users/@me", body["access_token"])).status_code == 200
        revoked = await login.http.post(revoke, data={**login.secret(), "token": body[which]})
        assert (revoked.status_code, revoked.json()) == (200, {})
        assert (await login.get("/users/@me", body["access_token"])).status_code == 401
        form = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"]}
        refused(await login.token(**form), 400, "invalid_grant")
        unknown = await login.http.post(revoke, data={**login.secret(), "token": "unknown"})
        assert unknown.status_code == 200
        refused(await login.http.post(revoke, data=login.secret()), 400, "invalid_request")


class TestWhatATokenOpens:
    async def test_identify_tells_who_but_not_the_address(self, login: Login) -> None:
        token = (await login.log_in(scope="identify"))["access_token"]
        me = (await login.get("/users/@me", token)).json()
        assert (me["id"], me["username"], me["global_name"]) == (demo.ANN, "ann", "Ann")
        assert "email" not in me
        token = (await login.log_in(scope="identify email"))["access_token"]
        assert (await login.get("/users/@me", token)).json()["email"] == "ann@example.com"

    async def test_guilds_come_with_owner_and_permissions(self, login: Login) -> None:
        token = (await login.log_in(demo.ANN))["access_token"]
        guilds = (await login.get("/users/@me/guilds", token)).json()
        assert [(each["name"], each["owner"], each["permissions"]) for each in guilds] == [
            ("Garden", True, str(may.ALL)),
            ("Greenhouse", False, str(may.EVERYONE_DEFAULT)),
        ]

    async def test_people_with_any_permission_in_any_guild_can_be_made(
        self, login: Login, control: httpx.AsyncClient
    ) -> None:
        dora = (await control.post("/users", json={"username": "dora", "global_name": "Dora"})).json()
        [beds] = (await control.post("/guilds", json={"name": "Beds", "owner": "ben"})).json()
        manager = may.EVERYONE_DEFAULT | may.MANAGE_GUILD
        for guild, body in (
            (beds["id"], {"permissions": str(may.MANAGE_GUILD)}),
            ("Garden", {}),
            ("Greenhouse", {"roles": ["gardeners"], "permissions": may.ADMINISTRATOR}),
        ):
            member = await control.put(f"/guilds/{guild}/members/dora", json=body)
            assert member.status_code == 200, member.text
        token = (await login.log_in(dora["id"]))["access_token"]
        guilds = (await login.get("/users/@me/guilds", token)).json()
        assert {each["name"]: int(each["permissions"]) for each in guilds} == {
            "Beds": manager,
            "Garden": may.EVERYONE_DEFAULT,
            "Greenhouse": may.ALL,
        }
        member = await control.put("/guilds/Greenhouse/members/dora", json={"permissions": "0"})
        assert int(member.json()["permissions"]) == may.EVERYONE_DEFAULT
        assert len(member.json()["roles"]) == 2
        assert (await control.delete("/guilds/Greenhouse/members/dora")).status_code == 204
        guilds = (await login.get("/users/@me/guilds", token)).json()
        assert {each["name"] for each in guilds} == {"Beds", "Garden"}
        assert (await control.post("/users", json={"username": "dora"})).status_code == 400

    async def test_a_members_own_record_needs_its_scope(self, login: Login) -> None:
        path = f"/users/@me/guilds/{demo.GARDEN}/member"
        assert (await login.get(path, (await login.log_in())["access_token"])).status_code == 401
        token = (await login.log_in(scope="guilds.members.read"))["access_token"]
        assert (await login.get(path, token)).json()["user"]["id"] == demo.ANN

    async def test_the_authorization_tells_about_itself(self, login: Login, clock: ManualClock) -> None:
        token = (await login.log_in())["access_token"]
        body = (await login.get("/oauth2/@me", token)).json()
        assert body["scopes"] == ["identify", "guilds"]
        assert body["user"]["username"] == "ann"
        assert body["application"]["id"] == login.info.application_id
        assert body["expires"].startswith("2026-01-08T00:00:00")
        token = (await login.log_in(scope="guilds"))["access_token"]
        assert "user" not in (await login.get("/oauth2/@me", token)).json()

    async def test_nothing_else_is_open_to_it(self, login: Login) -> None:
        token = (await login.log_in())["access_token"]
        for method, path in (
            ("PATCH", "/users/@me"),
            ("GET", f"/users/{demo.BEN}"),
            ("GET", f"/guilds/{demo.GARDEN}"),
            ("GET", f"/channels/{demo.GARDEN_GENERAL}/messages"),
            ("GET", "/gateway/bot"),
        ):
            assert (await login.get(path, token, method)).status_code == 401, path
        token = (await login.log_in(scope="guilds"))["access_token"]
        assert (await login.get("/users/@me", token)).status_code == 401

    async def test_a_bots_token_is_no_bearer_token(self, login: Login, bot: httpx.AsyncClient) -> None:
        assert (await login.get("/users/@me", login.info.bot_token)).status_code == 401
        refusal = await bot.get("/oauth2/@me")
        assert (refusal.status_code, refusal.json()["code"]) == (401, 50025)
