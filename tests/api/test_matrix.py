"""Every endpoint by every kind of caller: who gets in, and who does not.

The endpoints come from the OpenAPI description, what they need from `matrix.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from flora.api.authenticator import OPERATOR_OWNER
from flora.ids import GuildId, Snowflake
from flora.storage.tokens import Rights
from tests.api.matrix import RIGHTS, concrete
from tests.api.people import ANN, BOB, MANAGE_GUILD, SEND_MESSAGES
from tests.api.served import GARDEN, ORCHARD, Served, serving

CALLERS = {
    "operator": {"public", "identified", "person", "guild:read", "guild:deploy", "guild:admin", "operate"},
    "manager's session": {"public", "identified", "person", "guild:read", "guild:deploy", "guild:admin"},
    "member's session": {"public", "identified", "person"},
    "manager's session, the bot is not there": {"public", "identified", "person"},
    "manager's admin token": {"public", "identified", "guild:read", "guild:deploy", "guild:admin"},
    "manager's deploy token": {"public", "identified", "guild:read", "guild:deploy"},
    "manager's read token": {"public", "identified", "guild:read"},
    "manager's token for another guild": {"public", "identified"},
    "member's admin token": {"public", "identified"},
    "operator's deploy token for this guild": {"public", "identified", "guild:read", "guild:deploy"},
    "operator's token for another guild": {"public", "identified"},
}
# These want a browser, or end what the caller came with.
ASK_FOR_MORE = {
    ("GET", "/auth/callback"),
    ("GET", "/auth/device"),
    ("GET", "/auth/guilds"),
    ("POST", "/auth/device/confirm"),
    ("POST", "/auth/logout"),
    ("DELETE", "/auth/token"),
}
SCOPES: dict[str, tuple[str, Rights, GuildId | None]] = {
    "manager's admin token": (ANN.id, "admin", None),
    "manager's deploy token": (ANN.id, "deploy", GARDEN),
    "manager's read token": (ANN.id, "read", GARDEN),
    "manager's token for another guild": (ANN.id, "admin", ORCHARD),
    "member's admin token": (BOB.id, "admin", None),
    "operator's deploy token for this guild": (OPERATOR_OWNER, "deploy", GARDEN),
    "operator's token for another guild": (OPERATOR_OWNER, "admin", ORCHARD),
}


@asynccontextmanager
async def calling(served: Served, caller: str) -> AsyncIterator[httpx.AsyncClient]:
    served.discord.bot_in = set() if "bot is not there" in caller else {GARDEN, ORCHARD}
    for guild_id in (GARDEN, ORCHARD):
        served.discord.permissions[ANN.id, guild_id] = MANAGE_GUILD
        served.discord.permissions[BOB.id, guild_id] = SEND_MESSAGES
    if caller == "operator":
        client = served.client()
    elif "session" in caller:
        client = await served.browser(BOB if caller.startswith("member") else ANN)
    else:
        user, rights, guild_id = SCOPES[caller]
        _, text = await served.tokens.create(
            Snowflake(user), rights=rights, guild_ids=None if guild_id is None else [guild_id]
        )
        client = served.client(token=text)
    async with client:
        yield client


def allowed(caller: str, needed: str) -> bool:
    if needed == "audit":  # without a guild
        return caller == "operator"
    return needed in CALLERS[caller]


async def test_every_endpoint_has_its_line(api: httpx.AsyncClient) -> None:
    description = (await api.get("/openapi.json")).json()
    described = {
        (method.upper(), path): operation
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
    }
    assert described.keys() == RIGHTS.keys()
    for route, needed in RIGHTS.items():
        declared = described[route].get("x-flora-permission", "public")
        if route == ("GET", "/metrics"):  # open on loopback when it is configured
            assert (declared, needed) == ("public", "operate")
        elif needed == "audit" or route in {("GET", "/guilds"), ("GET", "/deployments")}:
            assert declared in {"identified", "guild:read"}
        else:
            assert declared == needed, route


@pytest.mark.parametrize("caller", CALLERS)
async def test_who_gets_in(caller: str) -> None:
    """A caller without the right is told 403, one with it anything else: what the route itself says."""
    async with serving() as served, calling(served, caller) as client:
        await served.deployer.deploy(served.revision(GARDEN))
        served.dead_letters.add(GARDEN)
        for route, needed in RIGHTS.items():
            if route in ASK_FOR_MORE:
                continue
            method, path = concrete(*route)
            body = {"guild_id": GARDEN, "entry_point": "a.ts", "bundle": "1"} if method == "POST" else None
            answer = await client.request(method, path, json=body)
            assert answer.status_code != 401, (caller, route)
            assert answer.status_code < 500 or answer.status_code == 503, (caller, route, answer.text)
            if allowed(caller, needed):
                assert answer.status_code != 403, (caller, route, answer.text)
            else:
                assert answer.status_code == 403, (caller, route, answer.status_code, answer.text)
                assert answer.json()["error"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize("caller", CALLERS)
async def test_lists_show_what_one_may_see(caller: str) -> None:
    async with serving() as served, calling(served, caller) as client:
        for guild_id in (GARDEN, ORCHARD):
            await served.deployer.deploy(served.revision(guild_id))
        for path in ("/guilds", "/deployments"):
            seen = {item["guild_id"] for item in (await client.get(path)).json()["items"]}
            if caller.endswith("another guild"):
                assert seen == {ORCHARD}
            elif "guild:read" not in CALLERS[caller]:
                assert seen == set()
            elif caller in {"operator", "manager's session", "manager's admin token"}:
                assert seen == {GARDEN, ORCHARD}
            else:
                assert seen == {GARDEN}


@pytest.mark.parametrize("caller", ["manager's session", "manager's admin token", "manager's read token"])
async def test_the_audit_log_of_a_guild_is_for_its_admins(caller: str) -> None:
    async with serving() as served, calling(served, caller) as client:
        answer = await client.get("/audit", params={"guild_id": GARDEN})
        assert answer.status_code == (403 if "read" in caller else 200)
