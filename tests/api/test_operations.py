"""Guilds on workers, and what their scripts could not handle."""

from __future__ import annotations

import httpx
import pytest

from flora.api.authenticator import OPERATOR_OWNER
from flora.ids import GuildId, Snowflake
from tests.api.served import GARDEN, Served, serving

OTHER = GuildId("100000000000000002")
BUNDLE = {"entry_point": "src/main.ts", "bundle": "1"}


@pytest.fixture
async def garden(api: httpx.AsyncClient) -> None:
    """A guild that runs a script, on worker 0."""
    assert (await api.post(f"/deployments/{GARDEN}", json=BUNDLE)).status_code == 200


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


async def test_a_guild_tells_how_it_is(garden: None, api: httpx.AsyncClient) -> None:
    answer = (await api.get(f"/guilds/{GARDEN}")).json()
    assert (answer["status"], answer["worker"], answer["pid"], answer["epoch"]) == ("running", 0, 4711, 3)
    assert (answer["waiting"], answer["in_flight"]) == (5, 1)
    assert answer["last_error"] == "it died of SIGKILL"
    assert (answer["memory_bytes"], answer["cpu_seconds"]) == (11_000_000, 0.5)
    assert answer["limits"]["memory_bytes"] == {"used": 11_000_000, "limit": 128 * 2**20}
    assert answer["limits"]["queue"] == {"used": 5, "limit": 1024}
    (listed,) = (await api.get("/guilds")).json()["items"]
    alone = {"memory_bytes", "cpu_seconds", "limits"}
    assert listed == {**answer, **dict.fromkeys(alone)}


async def test_a_guild_without_a_script_is_not_there(api: httpx.AsyncClient) -> None:
    assert (await api.get("/guilds")).json() == {"items": [], "next_cursor": None}
    for answer in (
        await api.get(f"/guilds/{GARDEN}"),
        await api.post(f"/deployments/{GARDEN}/restart"),
        await api.post(f"/runtime/guilds/{GARDEN}/migrate", json={"target_worker": 1}),
    ):
        assert (answer.status_code, code(answer)) == (404, "GUILD_NOT_DEPLOYED")


async def test_a_guild_moves(garden: None, api: httpx.AsyncClient) -> None:
    path = f"/runtime/guilds/{GARDEN}/migrate"
    moved = (await api.post(path, json={"target_worker": 1})).json()
    assert moved == {
        "guild_id": GARDEN,
        "outcome": "moved",
        "source": 0,
        "target": 1,
        "worker": 1,
        "reason": None,
    }
    assert (await api.post(path, json={"target_worker": 1})).json()["outcome"] == "already_there"


async def test_a_guild_that_is_being_moved_is_busy(
    garden: None, served: Served, api: httpx.AsyncClient
) -> None:
    served.runtime.busy.add(GARDEN)
    answer = await api.post(f"/runtime/guilds/{GARDEN}/migrate", json={"target_worker": 1})
    assert (answer.status_code, code(answer)) == (409, "MIGRATION_BUSY")


@pytest.mark.parametrize(
    "body", [{"target_worker": 2}, {"target_worker": -1}, {"target_worker": "1"}, {"target_worker": 1.5}, {}]
)
async def test_a_worker_that_there_is_not_is_no_target(
    garden: None, api: httpx.AsyncClient, body: object
) -> None:
    answer = await api.post(f"/runtime/guilds/{GARDEN}/migrate", json=body)
    assert (answer.status_code, code(answer)) == (422, "VALIDATION_FAILED")
    assert answer.json()["error"]["details"]["fields"][0]["field"] == "target_worker"


async def test_nothing_moves_while_flora_shuts_down(
    garden: None, served: Served, api: httpx.AsyncClient
) -> None:
    served.runtime.closing = True
    answer = await api.post(f"/runtime/guilds/{GARDEN}/migrate", json={"target_worker": 1})
    assert (answer.status_code, code(answer)) == (503, "SHUTTING_DOWN")


async def test_a_script_starts_anew(garden: None, served: Served, api: httpx.AsyncClient) -> None:
    answer = await api.post(f"/deployments/{GARDEN}/restart")
    assert (answer.status_code, answer.json()["status"]) == (200, "running")
    assert served.runtime.restarted == [GARDEN]


async def test_a_script_that_does_not_start_any_more_says_why(
    garden: None, served: Served, api: httpx.AsyncClient
) -> None:
    served.runtime.restart_fails = True
    answer = await api.post(f"/deployments/{GARDEN}/restart")
    assert (answer.status_code, code(answer)) == (422, "SCRIPT_LOAD_FAILED")
    assert "src/main.ts:3:7" in answer.json()["error"]["details"]["stack"]


async def test_a_worker_is_drained_and_reopened(garden: None, api: httpx.AsyncClient) -> None:
    before = (await api.get("/workers")).json()["items"]
    assert [(item["index"], item["guilds"], item["drained"]) for item in before] == [
        (0, 1, False),
        (1, 0, False),
    ]
    drained = (await api.post("/workers/0/drain")).json()
    assert drained["guilds"] == [{"guild_id": GARDEN, "outcome": "moved", "worker": 1, "reason": None}]
    assert (drained["worker"]["drained"], drained["worker"]["guilds"]) == (True, 0)
    last = await api.post("/workers/1/drain")
    assert (last.status_code, code(last)) == (409, "LAST_WORKER")
    assert (await api.post("/workers/0/reopen")).json()["drained"] is False


@pytest.mark.parametrize("path", ["/workers/7/drain", "/workers/7/reopen"])
async def test_a_worker_that_there_is_not(api: httpx.AsyncClient, path: str) -> None:
    answer = await api.post(path)
    assert (answer.status_code, code(answer)) == (404, "WORKER_NOT_FOUND")


async def test_dead_letters_come_in_pages_newest_first(served: Served, api: httpx.AsyncClient) -> None:
    for _ in range(3):
        served.dead_letters.add(GARDEN)
    served.dead_letters.add(OTHER)
    path = f"/guilds/{GARDEN}/dead-letters"
    first = (await api.get(f"{path}?limit=2")).json()
    rest = (await api.get(path, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == [3, 2, 1]
    assert rest["next_cursor"] is None
    wrong = await api.get(f"{path}?cursor=x")
    assert (wrong.status_code, code(wrong)) == (422, "INVALID_CURSOR")


@pytest.mark.parametrize(
    ("payload", "shown"), [(b'{"content":"boom"}', {"content": "boom"}), (b"\xff{", "\ufffd{")]
)
async def test_one_letter_shows_what_discord_sent(
    served: Served, api: httpx.AsyncClient, payload: bytes, shown: object
) -> None:
    letter = served.dead_letters.add(GARDEN, payload)
    answer = (await api.get(f"/guilds/{GARDEN}/dead-letters/{letter.id}")).json()
    assert (answer["payload"], answer["reason"], answer["attempts"]) == (shown, "it died", 3)


async def test_a_letter_is_replayed_once(served: Served, api: httpx.AsyncClient) -> None:
    letter = served.dead_letters.add(GARDEN)
    path = f"/guilds/{GARDEN}/dead-letters/{letter.id}/replay"
    assert (await api.post(path)).json()["event_id"] == letter.event_id
    again = await api.post(path)
    assert (again.status_code, code(again)) == (404, "DEAD_LETTER_NOT_FOUND")
    assert served.dead_letters.replayed == [letter]


async def test_a_letter_that_cannot_be_replayed_now_stays(served: Served, api: httpx.AsyncClient) -> None:
    letter = served.dead_letters.add(GARDEN)
    served.dead_letters.full = True
    answer = await api.post(f"/guilds/{GARDEN}/dead-letters/{letter.id}/replay")
    assert (answer.status_code, code(answer)) == (503, "REPLAY_BUSY")
    assert served.dead_letters.letters == [letter]


async def test_a_letter_is_dropped(served: Served, api: httpx.AsyncClient) -> None:
    letter = served.dead_letters.add(GARDEN)
    path = f"/guilds/{GARDEN}/dead-letters/{letter.id}"
    assert (await api.delete(f"/guilds/{OTHER}/dead-letters/{letter.id}")).status_code == 404
    assert (await api.delete(path)).status_code == 200
    assert (await api.delete(path)).status_code == 404
    assert (await api.delete(f"/guilds/{GARDEN}/dead-letters/x")).status_code == 404


async def test_a_reader_sees_one_guild_and_changes_nothing() -> None:
    async with serving() as served:
        _, text = await served.tokens.create(Snowflake(OPERATOR_OWNER), rights="read", guild_ids=[GARDEN])
        async with served.client(token=text) as api:
            for guild_id in (GARDEN, OTHER):
                await served.deployer.deploy(served.revision(guild_id))
                served.dead_letters.add(guild_id)
            for path in ("/guilds", f"/guilds/{GARDEN}", f"/guilds/{GARDEN}/dead-letters/1"):
                assert (await api.get(path)).status_code == 200
            assert [item["guild_id"] for item in (await api.get("/guilds")).json()["items"]] == [GARDEN]
            for method, path in (
                ("GET", f"/guilds/{OTHER}"),
                ("GET", f"/guilds/{OTHER}/dead-letters"),
                ("POST", f"/runtime/guilds/{GARDEN}/migrate"),
                ("POST", f"/deployments/{GARDEN}/restart"),
                ("POST", f"/guilds/{GARDEN}/dead-letters/1/replay"),
                ("DELETE", f"/guilds/{GARDEN}/dead-letters/1"),
                ("GET", "/workers"),
                ("POST", "/workers/0/drain"),
                ("POST", "/workers/0/reopen"),
            ):
                answer = await api.request(method, path)
                assert (answer.status_code, code(answer)) == (403, "FORBIDDEN"), path
            assert len(served.dead_letters.letters) == 2
