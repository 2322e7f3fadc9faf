"""The load generator: paces, mixes, correlation, figures. Durations are the generator's, none is asserted."""

from __future__ import annotations

import sys
from typing import Any

import httpx
import pytest
import trio

from flora.playground import PlaygroundInfo, demo
from flora.playground.load.report import Sample, growth, milliseconds
from flora.playground.model import Model

from .bot import run_bot
from .client import Gateway

SHORT = {"duration": 0.4, "warmup": 0, "timeout": 30}  # the first event counts, however slow the machine


async def load(control: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await control.post("/load", json={**SHORT, "wait": True, **body}, timeout=60)
    assert response.status_code == 201, response.text
    result: dict[str, Any] = response.json()
    assert result["state"] == "done"
    return result


@pytest.fixture
async def ponging(info: PlaygroundInfo, nursery: trio.Nursery) -> None:
    """A bot that answers `!ping` and slash commands."""
    await nursery.start(run_bot, info)


async def test_a_closed_loop_keeps_so_many_in_flight(ponging: None, control: httpx.AsyncClient) -> None:
    result = await load(control, in_flight=5, guilds=3)
    assert result["answered"] == result["sent"] > 0
    assert result["errors"] == {"timeouts": 0, "expired": 0, "unmatched": 0}
    assert result["correlated"].keys() == {"tag"}
    assert result["backlog"]["waiting"]["max"] <= 5
    assert result["sustained"] is None
    latency = result["latency_ms"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["max"]
    assert result["ceiling_per_sec"] > 0


async def test_an_open_loop_sends_at_its_rate_whatever_comes_back(
    info: PlaygroundInfo, control: httpx.AsyncClient
) -> None:
    result = await load(control, rate=100, timeout=0.05)
    assert result["sent"] == 40
    assert (result["answered"], result["sustained"]) == (0, False)
    assert result["errors"]["timeouts"] == 40
    assert result["lag_ms"]["count"] == 40


async def test_a_mix_is_drawn_by_weight_and_told_apart(
    ponging: None, control: httpx.AsyncClient, model: Model
) -> None:
    result = await load(
        control,
        rate=80,
        duration=1,
        guilds=2,
        users=["ann", "ben"],
        patterns=[
            {"name": "ping", "text": "!ping {tag}", "weight": 2},
            {"kind": "slash", "text": "/hello name:you"},
            {"name": "deferred", "kind": "slash", "text": "/slow", "guilds": [1], "weight": 0.2},
            {"name": "chatter", "text": "hello", "answers": False, "padding": 5000},
            {"kind": "reaction"},
            {"kind": "typing"},
            {"kind": "event", "event": "GUILD_AUDIT_LOG_ENTRY_CREATE", "data": {"x": 1}},
        ],
        seed=7,
    )
    patterns = result["patterns"]
    assert all(each["sent"] for name, each in patterns.items() if name != "deferred"), patterns
    assert patterns["ping"]["answered"] == patterns["ping"]["sent"]
    for name in ("slash", "deferred"):  # on a busy machine Discord's three seconds may be over first
        assert patterns[name]["answered"] + patterns[name]["timeouts"] == patterns[name]["sent"]
    assert patterns["chatter"]["answered"] == 0
    assert result["errors"]["timeouts"] == result["errors"]["expired"]
    assert result["errors"]["unmatched"] == 0
    padded = [
        each
        for channel in model.channels.values()
        for each in channel.messages.values()
        if each.content.startswith("hello xxx")
    ]
    assert padded
    assert {len(each.content) for each in padded} == {2000}
    assert {sum(len(embed["description"]) for embed in each.embeds) for each in padded} == {3006}
    assert {each.author.username for each in padded} == {"ann", "ben"}


@pytest.mark.parametrize("how", ["reference", "order"])
async def test_answers_without_a_tag_are_matched_too(
    control: httpx.AsyncClient, gateway: Gateway, bot: httpx.AsyncClient, nursery: trio.Nursery, how: str
) -> None:
    async def answer() -> None:
        while True:
            try:
                question = await gateway.event("MESSAGE_CREATE")
            except trio.TooSlowError:
                continue
            if "bot" not in question["author"]:
                body: dict[str, Any] = {"content": "yes"}
                if how == "reference":
                    body["message_reference"] = {"message_id": question["id"]}
                await bot.post(f"/channels/{question['channel_id']}/messages", json=body)

    nursery.start_soon(answer)
    result = await load(control, in_flight=1, patterns=[{"text": "well?"}])
    assert result["answered"] == result["sent"] > 0
    assert result["correlated"].keys() == {how}


async def test_guilds_are_made_as_far_as_they_are_missing(
    info: PlaygroundInfo, control: httpx.AsyncClient, model: Model
) -> None:
    await load(control, guilds=5, rate=200, patterns=[{"text": "hi", "answers": False}], users=["cleo"])
    assert len(model.guilds) == 5
    talked = [
        guild.name
        for guild in model.guilds.values()
        if any(channel.messages for channel in guild.channels.values())
    ]
    assert len(talked) == 5
    assert all(demo.APPLICATION_ID in guild.members for guild in model.guilds.values())
    shards = {(int(guild.id) >> 22) % 5 for guild in model.guilds.values()}
    assert len(shards) > 1


async def test_an_unanswered_slash_command_expires(ponging: None, control: httpx.AsyncClient) -> None:
    result = await load(control, patterns=[{"kind": "slash", "text": "/silent"}], duration=0.1, warmup=0)
    assert result["sent"] == result["errors"]["expired"] == result["errors"]["timeouts"] == 1


async def test_a_flood_waits_for_the_gateways_clients(control: httpx.AsyncClient, gateway: Gateway) -> None:
    result = await load(control, patterns=[{"kind": "typing"}], guilds=["Garden"])
    assert result["backlog"]["gateway"]["max"] < 20_000
    assert result["sent"] > 1000


async def test_one_run_at_a_time_and_it_can_be_stopped(
    info: PlaygroundInfo, control: httpx.AsyncClient, model: Model
) -> None:
    started = (await control.post("/load", json={"duration": 600, "rate": 10, "keep": 7})).json()
    assert started["state"] == "running"
    assert (await control.post("/load", json={})).status_code == 400
    while (await control.get(f"/load/{started['id']}")).json()["samples"] == []:
        await trio.sleep(0.01)
    assert model.messages_kept == 7
    stopped = (await control.delete(f"/load/{started['id']}")).json()
    assert (stopped["state"], stopped["stopped"]) == ("done", "stopped over the control API")
    assert model.messages_kept == 5000
    assert (await control.get("/load/99")).status_code == 404
    await load(control, rate=50, patterns=[{"kind": "typing"}])


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": 5, "in_flight": 5},
        {"rate": "fast"},
        {"patterns": []},
        {"patterns": [{"kind": "dance"}]},
        {"patterns": [{"kind": "message"}]},
        {"patterns": [{"kind": "slash", "text": "/nothing"}]},
        {"patterns": [{"text": "x", "weight": 0}]},
        {"patterns": [{"text": "x", "guilds": [3]}]},
        {"guilds": 0},
        {"guilds": ["Nowhere"]},
        {"users": ["flora"]},
        {"channel": "nowhere"},
    ],
    ids=str,
)
async def test_a_wrong_plan_is_refused(control: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    response = await control.post("/load", json=wrong)
    assert response.status_code == 400, response.text


async def test_what_is_gone_ends_the_run_with_its_reason(
    control: httpx.AsyncClient, bot: httpx.AsyncClient
) -> None:
    started = (await control.post("/load", json={"duration": 600, "rate": 100})).json()
    await bot.delete(f"/channels/{demo.GARDEN_GENERAL}")
    while (view := (await control.get(f"/load/{started['id']}")).json())["state"] == "running":
        await trio.sleep(0.01)
    assert view["stopped"] == "message: #general of Garden is gone"


def test_percentiles_are_nearest_rank() -> None:
    figures = milliseconds([value / 1000 for value in range(100, 0, -1)])
    assert figures == {
        "count": 100,
        "mean": 50.5,
        "p50": 50.0,
        "p90": 90.0,
        "p99": 99.0,
        "p999": 100.0,
        "max": 100.0,
    }
    assert milliseconds([]) == {"count": 0}


def test_growth_is_that_of_the_second_half() -> None:
    samples = [Sample(float(at), 0, 0, max(0, at - 10) * 3, 0) for at in range(21)]
    assert growth(samples, "waiting") == {"max": 30, "end": 30, "per_sec": 3.0}
    assert growth([], "waiting") == {"max": 0, "end": 0, "per_sec": 0.0}


async def test_the_command_line_asks_the_same(ponging: None, info: PlaygroundInfo) -> None:
    command = ["playground", "load", "--url", info.page_url, "--duration", "0.2", "!ping {tag}"]
    ran = await trio.run_process([sys.executable, "-m", "flora", *command], capture_stdout=True)
    text = ran.stdout.decode()
    assert "answered" in text
    assert "latency p50" in text
