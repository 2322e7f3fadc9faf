"""Login with Discord in a browser: state, PKCE, where it leads, sessions, CSRF, and an end."""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from flora.api.cookies import CSRF_HEADER, CookieJar
from flora.api.login import safe_path
from flora.ids import GuildId
from tests.api.people import ANN, BOB, MANAGE_GUILD, SEND_MESSAGES
from tests.api.served import API_SECRET, GARDEN, Served, serving


def browser(served: Served) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=served.url, timeout=10)


async def begin(client: httpx.AsyncClient, next_path: str = "/docs") -> dict[str, str]:
    """What a login sends to Discord."""
    answer = await client.get("/auth/login", params={"next": next_path})
    assert answer.status_code == 303
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


async def finish(client: httpx.AsyncClient, state: str, user_id: str = ANN.id) -> httpx.Response:
    return await client.get("/auth/callback", params={"state": state, "code": f"code-{user_id}"})


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


async def test_a_login_ends_where_it_was_to_lead(served: Served) -> None:
    async with browser(served) as client:
        sent = await begin(client, "/docs?x=1")
        assert sent["redirect_uri"] == f"{served.url}/auth/callback"
        assert len(base64.urlsafe_b64decode(sent["code_challenge"] + "=")) == 32
        answer = await finish(client, sent["state"])
        assert (answer.status_code, answer.headers["Location"]) == (303, "/docs?x=1")
        cookies = answer.headers.get_list("Set-Cookie")
        (session,) = [each for each in cookies if each.startswith("flora_session=")]
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(session.split("; "))
        assert "Secure" not in session  # this flora is reached by http
        me = (await client.get("/auth/me")).json()
        assert (me["kind"], me["user"]["id"], me["user"]["username"]) == ("session", ANN.id, "ann")
        assert me["csrf_token"]
        assert [entry.action for entry in served.audit.entries] == ["auth.callback"]


async def test_the_verifier_fits_the_challenge(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def exchange(code: str, *, verifier: str, redirect_uri: str) -> object:
        seen.append(verifier)
        return served.discord.grant(ANN.id)

    monkeypatch.setattr(served.discord, "exchange", exchange)
    async with browser(served) as client:
        sent = await begin(client)
        assert (await finish(client, sent["state"])).status_code == 303
    digest = hashlib.sha256(seen[0].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == sent["code_challenge"]


async def test_a_state_works_once_and_in_its_own_browser(served: Served) -> None:
    async with browser(served) as client, browser(served) as other:
        sent = await begin(client)
        await begin(other)
        stolen = await finish(other, sent["state"])
        assert (stolen.status_code, code(stolen)) == (403, "LOGIN_FAILED")
        # the thief has used it up, to nobody's advantage
        assert code(await finish(client, sent["state"])) == "LOGIN_FAILED"
        sent = await begin(client)
        assert (await finish(client, sent["state"])).status_code == 303
        assert code(await finish(client, sent["state"])) == "LOGIN_FAILED"
        assert (await other.get("/auth/me")).status_code == 401


async def test_two_tabs_may_log_in_side_by_side(served: Served) -> None:
    async with browser(served) as client:
        first, second = await begin(client, "/one"), await begin(client, "/two")
        assert (await finish(client, first["state"])).headers["Location"] == "/one"
        # the first login cleared the cookie that bound them to the browser
        assert code(await finish(client, second["state"])) == "LOGIN_FAILED"


async def test_who_says_no_or_brings_a_bad_code_is_not_logged_in(served: Served) -> None:
    async with browser(served) as client:
        sent = await begin(client)
        denied = await client.get("/auth/callback", params={"state": sent["state"], "error": "access_denied"})
        assert (denied.status_code, code(denied)) == (403, "LOGIN_DENIED")
        sent = await begin(client)
        refused = await finish(client, sent["state"], "999")
        assert (refused.status_code, code(refused)) == (403, "LOGIN_REFUSED")
        assert code(await client.get("/auth/callback")) == "LOGIN_FAILED"
        sent = await begin(client)
        served.discord.away = True
        away = await finish(client, sent["state"])
        assert (away.status_code, code(away)) == (503, "DISCORD_UNAVAILABLE")


async def test_a_browser_is_shown_a_page_when_a_login_fails(served: Served) -> None:
    async with browser(served) as client:
        answer = await client.get("/auth/callback", params={"state": "<x>"}, headers={"Accept": "text/html"})
        assert answer.status_code == 403
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "style-src 'sha256-" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test/",
        "\\\\evil.test",
        "/\t/evil.test",
        "/\n/evil.test",
        "javascript:alert(1)",
        "evil.test",
        "",
        "/ü",
        "/" + "a" * 3000,
        "/auth/login?next=/auth/login",
        "/auth/callback?x",
        "http:/evil.test",
        "/%0d%0aSet-Cookie:x",
    ],
)
def test_next_is_a_path_of_ours(text: str) -> None:
    expected = text if text.startswith("/%0d") else "/"  # what is quoted stays quoted
    assert safe_path(text) == expected


@pytest.mark.parametrize("text", ["/", "/docs", "/guilds?limit=3#x", "/auth/device?code=BCDF-GHJK"])
def test_next_may_be_any_path_of_ours(text: str) -> None:
    assert safe_path(text) == text


def test_the_signature_is_the_original_systems() -> None:
    jar = CookieJar("x" * 32, secure=True)
    assert jar.sign("abcdefghijklmnopqrstuvwx") == "OUzwTBzFVcyYo-gaGxYCFkZ3wJlKMM7XbWB-ayYFUSQ"


async def test_a_write_from_a_browser_needs_the_csrf_token(served: Served) -> None:
    served.discord.permissions[ANN.id, GARDEN] = MANAGE_GUILD
    served.discord.bot_in.add(GARDEN)
    await served.deployer.deploy(served.revision(GARDEN))
    async with await served.browser(ANN) as client, await served.browser(BOB) as other:
        path = f"/deployments/{GARDEN}/restart"
        assert (await client.post(path)).status_code == 200
        good = client.headers[CSRF_HEADER]
        for headers in (
            {CSRF_HEADER: ""},
            {CSRF_HEADER: other.headers[CSRF_HEADER]},
            {CSRF_HEADER: "ü".encode()},
            {CSRF_HEADER: good, "Sec-Fetch-Site": "cross-site"},
            {CSRF_HEADER: good, "Sec-Fetch-Site": "same-site"},
            {CSRF_HEADER: good, "Origin": "https://evil.test"},
            {CSRF_HEADER: good, "Origin": "null"},
        ):
            answer = await client.post(path, headers=headers)
            assert (answer.status_code, code(answer)) == (403, "FORBIDDEN"), headers
        same = {"Origin": served.url, "Sec-Fetch-Site": "same-origin"}
        assert (await client.post(path, headers=same)).status_code == 200
        assert len(served.runtime.restarted) == 2


async def test_a_logout_ends_the_session_at_once(served: Served) -> None:
    async with await served.browser(ANN) as client, await served.browser(ANN) as phone:
        answer = await client.post("/auth/logout", json={})
        assert answer.json() == {"sessions_ended": 1}
        assert "flora_session=;" in answer.headers["Set-Cookie"]
        assert (await client.get("/auth/me")).status_code == 401
        assert len(served.discord.revoked) == 1
        assert (await phone.get("/auth/me")).status_code == 200
        async with await served.browser(ANN) as third:
            assert (await third.post("/auth/logout", json={"everywhere": True})).json() == {
                "sessions_ended": 2
            }
        assert (await phone.get("/auth/me")).status_code == 401


async def test_a_right_that_is_taken_away_is_gone_soon_and_with_a_role_at_once(served: Served) -> None:
    served.discord.permissions[ANN.id, GARDEN] = MANAGE_GUILD
    served.discord.bot_in.add(GARDEN)
    async with await served.browser(ANN) as client:
        for _ in range(5):
            assert (await client.get(f"/logs/{GARDEN}")).status_code == 200
        assert served.discord.asked == 2  # her guilds, and whether the bot is there
        served.discord.permissions[ANN.id, GARDEN] = SEND_MESSAGES
        assert (await client.get(f"/logs/{GARDEN}")).status_code == 200
        served.discord.change += 1  # the gateway has told of a role
        assert (await client.get(f"/logs/{GARDEN}")).status_code == 403


async def test_an_old_login_is_renewed_and_a_revoked_one_ends(served: Served) -> None:
    served.discord.lifetime = 30
    async with await served.browser(ANN) as client:
        assert (await client.get("/auth/guilds")).json() == {"items": []}
        assert served.discord.refreshed == 1
    served.discord.lifetime = 604_800
    async with await served.browser(BOB) as client:
        ((_, tokens),) = [row for row in served.sessions.rows.values() if row[0].user == BOB]
        served.discord.revoked.add(tokens.access_token)
        assert (await client.get("/auth/guilds")).status_code == 401
        assert (await client.get("/auth/me")).status_code == 401


async def test_the_guilds_that_one_may_manage(served: Served) -> None:
    for number, bits in ((3, MANAGE_GUILD), (1, 1 << 3), (2, SEND_MESSAGES)):
        served.discord.permissions[ANN.id, GuildId(f"10{number}")] = bits
    async with await served.browser(ANN) as client:
        items = (await client.get("/auth/guilds")).json()["items"]
        assert [item["id"] for item in items] == ["101", "103"]
    async with served.client() as operator:
        assert (await operator.get("/auth/guilds")).status_code == 403


async def test_with_discord_away_nobody_is_let_in_by_mistake(served: Served) -> None:
    served.discord.permissions[ANN.id, GARDEN] = MANAGE_GUILD
    async with await served.browser(ANN) as client:
        served.discord.away = True
        answer = await client.get(f"/logs/{GARDEN}")
        assert (answer.status_code, code(answer)) == (503, "DISCORD_UNAVAILABLE")
        assert answer.headers["Retry-After"] == "1"


async def test_a_cookie_of_another_secret_is_nobody(served: Served) -> None:
    session_id, _ = await served.sessions.create(
        ANN, served.discord.grant(ANN.id), served.people.login.session_ttl
    )
    for value in (
        f"{session_id}.{CookieJar('y' * 32, secure=False).sign(session_id)}",
        f"{session_id}.",
        session_id,
        f"{session_id}.{CookieJar(API_SECRET, secure=False).sign(session_id)}x",
    ):
        async with httpx.AsyncClient(base_url=served.url, cookies={"flora_session": value}) as client:
            assert (await client.get("/auth/me")).status_code == 401


async def test_a_bearer_token_wins_over_the_cookie(served: Served) -> None:
    async with await served.browser(ANN) as client:
        assert (await client.get("/auth/me", headers={"Authorization": "Bearer x"})).status_code == 401


async def test_behind_https_cookies_are_secure_and_logins_begin_at_the_public_address() -> None:
    async with serving(public_url="https://flora.test") as served, browser(served) as client:
        answer = await client.get("/auth/login", params={"next": "/docs"})
        assert answer.headers["Location"] == "https://flora.test/auth/login?next=%2Fdocs"
        answer = await client.get("/auth/login", headers={"Host": "flora.test"})
        sent = parse_qs(urlsplit(answer.headers["Location"]).query)
        assert sent["redirect_uri"] == ["https://flora.test/auth/callback"]
        (cookie,) = answer.headers.get_list("Set-Cookie")
        assert cookie.startswith("__Host-flora_login=")
        assert "Secure" in cookie.split("; ")
