"""How often somebody may ask: per address and per identity, in bounded memory."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora.api import Limits
from flora.api.authenticator import OPERATOR_OWNER
from flora.api.buckets import RATES, Buckets, Rate
from flora.api.guard import client_address, parse_networks
from flora.errors import StartupError
from flora.ids import Snowflake
from tests.api.people import ANN
from tests.api.served import GARDEN, serving

ONCE = Rate(burst=2, per_second=0.001)


@given(
    st.integers(1, 20),
    st.floats(0.1, 50),
    st.lists(st.floats(0, 2), max_size=60),
)
def test_in_any_time_no_more_passes_than_the_rate_says(burst: int, rate: float, pauses: list[float]) -> None:
    buckets, now, passed = Buckets(Rate(burst, rate)), 0.0, []
    for pause in pauses:
        now += pause
        if buckets.take("a", now) == 0.0:
            passed.append(now)
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            within = passed[last] - passed[first]
            assert last - first + 1 <= burst + within * rate + 1e-6


@given(st.integers(1, 5), st.floats(0.1, 50))
def test_who_waits_as_long_as_told_is_let_in(burst: int, rate: float) -> None:
    buckets = Buckets(Rate(burst, rate))
    for _ in range(burst):
        assert buckets.take("a", 0.0) == 0.0
    seconds = buckets.take("a", 0.0)
    assert seconds > 0
    assert buckets.wait("a", 0.0) == seconds
    assert buckets.take("a", seconds + 1e-6) == 0.0
    assert buckets.take("b", 0.0) == 0.0


def test_memory_is_bounded() -> None:
    buckets = Buckets(Rate(1, 1.0), max_keys=100)
    for number in range(10_000):
        buckets.take(str(number), 0.0)
    assert len(buckets) == 100
    assert buckets.take("9999", 0.0) > 0


def test_a_rate_that_allows_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="allows"):
        Rate(0, 1.0)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", None, "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # nobody of ours says so
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),  # the left is what the client made up
        ("127.0.0.1", "198.51.100.1, 10.0.0.7", "198.51.100.1"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
        (None, "198.51.100.1", "unknown"),
    ],
)
def test_whose_address_counts(peer: str | None, forwarded: str | None, address: str) -> None:
    trusted = parse_networks("127.0.0.1, 10.0.0.0/8,::1")
    assert client_address(peer, forwarded, trusted) == address


def test_a_proxy_that_is_none_is_one_clear_line() -> None:
    with pytest.raises(StartupError, match=r"api\.trusted_proxies"):
        parse_networks("10.0.0.0/99")


def refused(answer: httpx.Response) -> bool:
    if answer.status_code != 429:
        return False
    assert answer.json()["error"]["code"] == "RATE_LIMITED"
    assert int(answer.headers["Retry-After"]) >= 1
    return True


async def test_writes_are_counted_for_each_identity() -> None:
    async with serving(Limits(rates=replace(RATES, write=ONCE))) as served:
        _, text = await served.tokens.create(Snowflake(OPERATOR_OWNER), rights="deploy")
        async with (
            served.client(token=text) as script,
            await served.browser(ANN) as client,
            served.client() as operator,
        ):
            for _ in range(2):
                assert not refused(await script.post(f"/deployments/{GARDEN}/restart"))
            assert refused(await script.post(f"/deployments/{GARDEN}/restart"))
            assert (await script.get(f"/logs/{GARDEN}")).status_code == 200
            assert not refused(await client.post("/tokens", json={}))
            for _ in range(5):
                assert not refused(await operator.post(f"/deployments/{GARDEN}/restart"))


async def test_an_address_that_guesses_is_not_listened_to() -> None:
    async with (
        serving(Limits(rates=replace(RATES, stranger=ONCE))) as served,
        served.client(token="wrong") as stranger,
        served.client() as operator,
    ):
        assert (await operator.get("/workers")).status_code == 200
        for _ in range(2):
            assert (await stranger.get("/workers")).status_code == 401
        assert refused(await stranger.get("/workers"))
        assert refused(await operator.get("/workers"))  # the same address: also a right guess is no use
        assert (await stranger.get("/health")).status_code == 200


async def test_logins_and_device_codes_are_counted_for_each_address() -> None:
    async with (
        serving(Limits(rates=replace(RATES, auth=ONCE))) as served,
        served.client(token=None) as client,
    ):
        assert (await client.get("/auth/login")).status_code == 303
        assert (await client.post("/auth/device", json={})).status_code == 201
        assert refused(await client.get("/auth/login"))
        assert refused(await client.post("/auth/device/token", json={"device_code": "x"}))
        assert (await client.get("/health")).status_code == 200


async def test_writes_are_counted_for_each_address_before_it_is_known_whose() -> None:
    async with (
        serving(Limits(rates=replace(RATES, address_write=ONCE))) as served,
        served.client(token=None) as client,
    ):
        for _ in range(2):
            assert (await client.post("/deployments", json={})).status_code == 401
        assert refused(await client.post("/deployments", json={}))


async def test_metrics_may_be_open_on_this_machine_and_only_there() -> None:
    async with serving(metrics_open=True) as served, served.client(token=None) as scraper:
        answer = await scraper.get("/metrics")
        assert answer.status_code == 200
        assert "flora_http_requests_total" in answer.text
        assert (await scraper.get("/workers")).status_code == 401
