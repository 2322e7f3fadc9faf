"""The audit log: every write, by whom, and how it ended."""

from __future__ import annotations

import httpx
import trio

from flora.api.authenticator import OPERATOR_OWNER
from flora.ids import Snowflake
from tests.api.people import ANN, MANAGE_GUILD, SEND_MESSAGES
from tests.api.served import GARDEN, ORCHARD, Served, until


async def test_every_write_of_a_known_caller_is_entered(served: Served, api: httpx.AsyncClient) -> None:
    await served.deployer.deploy(served.revision(GARDEN))
    answer = await api.post(f"/deployments/{GARDEN}/pause", headers={"X-Request-ID": "request-0001"})
    assert answer.status_code == 200
    assert (await api.post("/workers/7/drain")).status_code == 404
    assert (await api.get(f"/guilds/{GARDEN}")).status_code == 200
    body = {"guild_id": GARDEN, "entry_point": "a.ts", "bundle": "1"}
    assert (await api.post("/deployments", json=body)).status_code == 409
    async with served.client(token=None) as stranger:
        assert (await stranger.post(f"/deployments/{GARDEN}/pause")).status_code == 401
    items = (await api.get("/audit")).json()["items"]
    assert [(item["action"], item["status"], item["guild_id"]) for item in items] == [
        ("deployments.deploy", 409, GARDEN),
        ("workers.drain", 404, None),
        ("guilds.pause", 200, GARDEN),
    ]
    first = items[-1]
    assert (first["kind"], first["address"], first["request_id"]) == ("operator", "127.0.0.1", "request-0001")
    assert (first["method"], first["path"]) == ("POST", f"/deployments/{GARDEN}/pause")


async def test_it_says_who_tried_what_they_may_not(served: Served) -> None:
    served.discord.permissions[ANN.id, GARDEN] = SEND_MESSAGES
    token, text = await served.tokens.create(Snowflake(OPERATOR_OWNER), rights="read")
    async with await served.browser(ANN) as client, served.client(token=text) as script:
        assert (await client.post(f"/deployments/{GARDEN}/pause")).status_code == 403
        assert (await script.post(f"/deployments/{GARDEN}/pause")).status_code == 403
    ann, operator = served.audit.entries
    assert (ann.kind, ann.user_id, ann.username, ann.status) == ("session", ANN.id, "ann", 403)
    assert (operator.kind, operator.token_id, operator.status) == ("token", token.id, 403)


async def test_a_write_whose_client_left_is_entered_too(served: Served) -> None:
    served.deployer.blocked = trio.Event()
    body = {"guild_id": GARDEN, "entry_point": "a.ts", "bundle": "1"}
    async with served.client() as api, trio.open_nursery() as nursery:
        nursery.start_soon(lambda: api.post("/deployments", json=body))
        await until(lambda: served.deployer.waiting == 1)
        nursery.cancel_scope.cancel()
    await until(lambda: len(served.audit.entries) == 1)
    assert (served.audit.entries[0].action, served.audit.entries[0].status) == ("deployments.deploy", 499)


async def test_a_guilds_admins_see_what_is_theirs(served: Served) -> None:
    served.discord.permissions[ANN.id, GARDEN] = MANAGE_GUILD
    served.discord.bot_in |= {GARDEN, ORCHARD}
    async with served.client() as operator:
        for guild_id in (GARDEN, ORCHARD, GARDEN):
            await served.deployer.deploy(served.revision(guild_id))
            assert (await operator.post(f"/deployments/{guild_id}/pause")).status_code == 200
            served.deployer.paused.discard(GARDEN)
    async with await served.browser(ANN) as client:
        page = (await client.get("/audit", params={"guild_id": GARDEN, "limit": 1})).json()
        assert [item["guild_id"] for item in page["items"]] == [GARDEN]
        query = {"guild_id": GARDEN, "limit": 1, "cursor": page["next_cursor"]}
        rest = (await client.get("/audit", params=query)).json()
        assert (len(rest["items"]), rest["next_cursor"]) == (1, None)
        assert (await client.get("/audit", params={"guild_id": ORCHARD})).status_code == 403
        assert (await client.get("/audit")).status_code == 403
        assert (await client.get("/audit", params={"guild_id": GARDEN, "cursor": "x"})).status_code == 422


async def test_no_secret_is_in_it(served: Served, api: httpx.AsyncClient) -> None:
    await api.put(f"/secrets/{GARDEN}/API_KEY", json={"value": "the-value-itself"})
    await api.post("/tokens", json={"label": "x"})
    (text,) = served.tokens.rows
    said = str(served.audit.entries)
    assert "the-value-itself" not in said
    assert text not in said
