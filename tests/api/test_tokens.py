"""API tokens, and how a command line gets one from a person with a browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from flora.api.authenticator import OPERATOR_OWNER
from flora.ids import Snowflake
from flora.storage.tokens import MAX_TOKENS
from tests.api.people import ANN, BOB, MANAGE_GUILD
from tests.api.served import GARDEN, Served


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


async def test_a_token_is_shown_once_and_ends_when_it_is_revoked(served: Served) -> None:
    async with await served.browser(ANN) as client, await served.browser(BOB) as other:
        body = {"label": " ci ", "rights": "deploy", "guild_ids": [GARDEN, GARDEN], "lifetime_days": 30}
        made = await client.post("/tokens", json=body)
        assert made.status_code == 201
        token = made.json()
        assert (token["label"], token["rights"], token["guild_ids"]) == ("ci", "deploy", [GARDEN])
        ends = datetime.fromisoformat(token["expires_at"]) - datetime.now(UTC)
        assert timedelta(days=29) < ends < timedelta(days=31)
        text = token.pop("token")
        assert (await client.get("/tokens")).json() == {"items": [token]}
        assert (await other.get("/tokens")).json() == {"items": []}
        async with served.client(token=text) as script:
            me = (await script.get("/auth/me")).json()
            assert (me["kind"], me["user"]["id"], me["token"]) == ("token", ANN.id, token)
            # what a token may do, it may not hand on
            for method, path in (("GET", "/tokens"), ("POST", "/tokens"), ("POST", "/auth/logout")):
                assert (await script.request(method, path, json={})).status_code == 403
            assert (await other.delete(f"/tokens/{token['id']}")).status_code == 404
            assert (await client.delete(f"/tokens/{token['id']}")).json() == {"revoked": token["id"]}
            assert (await script.get("/auth/me")).status_code == 401
        assert code(await client.delete(f"/tokens/{token['id']}")) == "TOKEN_NOT_FOUND"


async def test_the_operators_tokens_are_bound_by_their_scope_alone(served: Served) -> None:
    async with served.client() as operator:
        text = (await operator.post("/tokens", json={"rights": "read"})).json()["token"]
    (token,) = served.tokens.rows.values()
    assert token.user_id == OPERATOR_OWNER
    async with served.client(token=text) as script:
        assert (await script.get(f"/logs/{GARDEN}")).status_code == 200
        assert (await script.post(f"/deployments/{GARDEN}/restart")).status_code == 403
        assert (await script.get("/workers")).status_code == 403
        assert (await script.get("/auth/me")).json()["user"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"label": "x" * 101},
        {"label": "a\nb"},
        {"rights": "everything"},
        {"guild_ids": []},
        {"guild_ids": ["012"]},
        {"guild_ids": [GARDEN] * 101},
        {"lifetime_days": 0},
        {"lifetime_days": 1.5},
        {"lifetime_days": 10**9},
        {"more": 1},
    ],
)
async def test_a_token_that_cannot_be_is_refused(api: httpx.AsyncClient, body: Any) -> None:
    answer = await api.post("/tokens", json=body)
    assert (answer.status_code, code(answer)) == (422, "VALIDATION_FAILED")


async def test_there_is_an_end_to_tokens(served: Served, api: httpx.AsyncClient) -> None:
    for _ in range(MAX_TOKENS):
        assert (await api.post("/tokens", json={})).status_code == 201
    answer = await api.post("/tokens", json={})
    assert (answer.status_code, code(answer)) == (409, "TOKEN_LIMIT")


# ---------------------------------------------------------------------------------- flora login


async def ask(program: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await program.post("/auth/device", json={"label": "ann's <b>laptop</b>", **body})
    assert answer.status_code == 201
    asked: dict[str, Any] = answer.json()
    return asked


async def poll(program: httpx.AsyncClient, asked: dict[str, Any]) -> httpx.Response:
    return await program.post("/auth/device/token", json={"device_code": asked["device_code"]})


def form_of(html: str) -> dict[str, str]:
    """The fields of the page's form."""
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html))


async def test_a_person_gives_a_command_line_a_token(served: Served) -> None:
    served.discord.permissions[ANN.id, GARDEN] = MANAGE_GUILD
    async with served.client(token=None) as program, await served.browser(ANN) as client:
        del client.headers["X-CSRF-Token"]  # a form has it in a field
        asked = await ask(program, rights="deploy", guild_ids=[GARDEN], lifetime_days=90)
        assert asked["verification_uri_complete"] == (f"{served.url}/auth/device?code={asked['user_code']}")
        assert re.fullmatch(r"[B-Z]{4}-[B-Z]{4}", asked["user_code"])
        assert (await poll(program, asked)).json()["status"] == "pending"
        page = await client.get(asked["verification_uri_complete"])
        assert "ann&#x27;s &lt;b&gt;laptop" in page.text
        assert GARDEN in page.text
        form = {**form_of(page.text), "decision": "allow"}
        done = await client.post("/auth/device/confirm", data=form)
        assert (done.status_code, "Connected" in done.text) == (200, True)
        granted = (await poll(program, asked)).json()
        assert (granted["status"], granted["username"], granted["rights"]) == ("granted", "ann", "deploy")
        async with served.client(token=granted["token"]) as script:
            assert (await script.get("/auth/me")).json()["user"]["id"] == ANN.id
        again = await poll(program, asked)
        assert (again.status_code, code(again)) == (404, "DEVICE_CODE_NOT_FOUND")
        answered = await client.post("/auth/device/confirm", data=form)
        assert answered.status_code == 404
        assert [entry.action for entry in served.audit.entries] == ["devices.confirm"] * 2


async def test_a_token_revokes_itself_and_nothing_else(served: Served) -> None:
    served.discord.permissions[ANN.id, GARDEN] = MANAGE_GUILD
    _, text = await served.tokens.create(Snowflake(ANN.id), rights="read")
    _, other = await served.tokens.create(Snowflake(ANN.id), rights="read")
    async with served.client(token=text) as script:
        me = (await script.get("/auth/me")).json()
        answer = await script.delete("/auth/token")
        assert (answer.status_code, answer.json()) == (200, {"revoked": me["token"]["id"]})
        assert (await script.get("/auth/me")).status_code == 401
        assert (await script.delete("/auth/token")).status_code == 401
    assert list(served.tokens.rows) == [other]
    (entry,) = served.audit.entries
    assert (entry.action, entry.token_id) == ("auth.revoke_own_token", me["token"]["id"])
    async with served.client() as operator, await served.browser(ANN) as browser:
        for client in (operator, browser):
            answer = await client.delete("/auth/token")
            assert (answer.status_code, code(answer)) == (404, "TOKEN_NOT_FOUND")


async def test_what_is_denied_is_not_given(served: Served) -> None:
    async with served.client(token=None) as program, await served.browser(ANN) as client:
        asked = await ask(program)
        form = {
            "user_code": asked["user_code"].lower().replace("-", " "),
            "decision": "deny",
            "csrf_token": client.headers["X-CSRF-Token"],
        }
        assert "Denied" in (await client.post("/auth/device/confirm", data=form)).text
        assert (await poll(program, asked)).json()["status"] == "denied"
        assert (await poll(program, asked)).status_code == 404
        assert served.tokens.rows == {}


async def test_nobody_else_can_answer(served: Served) -> None:
    async with (
        served.client(token=None) as program,
        await served.browser(ANN) as client,
        served.client() as operator,
    ):
        asked = await ask(program)
        form = {"user_code": asked["user_code"], "decision": "allow", "csrf_token": "wrong"}
        del client.headers["X-CSRF-Token"]
        assert (await client.post("/auth/device/confirm", data=form)).status_code == 403
        assert (await program.post("/auth/device/confirm", data=form)).status_code == 401
        assert (await operator.post("/auth/device/confirm", data=form)).status_code == 403
        assert (await operator.get("/auth/device")).status_code == 403
        unknown = await client.get("/auth/device", params={"code": "BBBB-BBBB"})
        assert (unknown.status_code, code(unknown)) == (404, "DEVICE_CODE_NOT_FOUND")
        assert (await poll(program, asked)).json()["status"] == "pending"


async def test_who_is_not_logged_in_is_sent_to_log_in_and_back(served: Served) -> None:
    async with served.client(token=None) as program:
        asked = await ask(program)
        answer = await program.get(asked["verification_uri_complete"])
        assert answer.status_code == 303
        assert answer.headers["Location"] == (
            f"/auth/login?next=%2Fauth%2Fdevice%3Fcode%3D{asked['user_code']}"
        )
        assert (await program.get("/auth/device")).headers["Location"].endswith("?next=%2Fauth%2Fdevice")


async def test_a_page_to_type_the_code(served: Served) -> None:
    async with await served.browser(ANN) as client:
        page = await client.get("/auth/device")
        assert 'name="code"' in page.text
        assert "form-action 'self'" in page.headers["Content-Security-Policy"]
