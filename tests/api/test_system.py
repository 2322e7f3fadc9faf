from __future__ import annotations

from datetime import datetime

import httpx
import trio
from prometheus_client.parser import text_string_to_metric_families

from flora.api import Check, Limits
from tests.api.served import OPERATOR_SECRET, Served, serving


async def test_health_says_that_flora_answers(api: httpx.AsyncClient) -> None:
    answer = await api.get("/health")
    assert set(answer.json()) == {"status", "timestamp"}
    assert answer.json()["status"] == "ok"
    assert datetime.fromisoformat(answer.json()["timestamp"]).tzinfo is not None


async def test_deep_health_asks_every_dependency(served: Served, api: httpx.AsyncClient) -> None:
    well = await api.get("/health?deep=1")
    served.health.checks.append(Check("cache", False, "connection refused"))
    ill = await api.get("/health?deep=1")
    assert (well.status_code, well.json()["status"]) == (200, "ok")
    assert (ill.status_code, ill.json()["status"]) == (503, "degraded")
    assert ill.json()["checks"] == [
        {"name": "postgres", "ok": True, "detail": "18.0", "latency_ms": 0.4},
        {"name": "cache", "ok": False, "detail": "connection refused", "latency_ms": None},
    ]


async def test_strangers_learn_what_is_ill_but_not_why(served: Served) -> None:
    served.health.checks = [Check("postgres", False, "password authentication failed for user flora")]
    async with served.client(token=None) as stranger:
        answer = await stranger.get("/health?deep=1")
    assert answer.status_code == 503
    assert answer.json()["checks"][0]["detail"] == ""


async def test_a_health_check_that_hangs_is_an_answer_too() -> None:
    async with serving(Limits(health_timeout_secs=0.1)) as served, served.client() as api:
        served.health.hang = True
        answer = await api.get("/health?deep=1")
    assert answer.status_code == 503
    assert "0.1 s" in answer.json()["checks"][0]["detail"]


async def test_ready_follows_the_start_and_the_end(served: Served, api: httpx.AsyncClient) -> None:
    assert (await api.get("/ready")).json() == {"status": "ready"}
    served.health.not_ready = "the gateway is connecting"
    answer = await api.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "NOT_READY"
    assert "the gateway is connecting" in answer.json()["error"]["message"]


async def test_actors_come_in_the_order_of_their_paths(api: httpx.AsyncClient) -> None:
    items = (await api.get("/actors")).json()["items"]
    assert [item["path"] for item in items] == ["/flora/gateway", "/flora/workers/worker-0"]
    assert items[0]["last_error"] == "ValueError: no"
    assert (items[0]["mailbox_depth"], items[0]["mailbox_capacity"]) == (2, 1024)


async def test_metrics_have_the_promised_names(served: Served, api: httpx.AsyncClient) -> None:
    served.metrics.dispatch_success.inc()
    served.metrics.dispatch_duration.labels("handler").observe(0.004)
    served.metrics.gauge("flora_mailbox_depth", "Messages.", ("actor",), lambda: [(("/flora/a",), 3.0)])
    await api.get("/nowhere")
    answer = await api.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["flora_dispatch_success_total", ()] == 1
    for name in (
        "flora_dispatch_error_total",
        "flora_timeout_error_total",
        "flora_oom_error_total",
        "flora_isolate_restarted_total",
        "flora_guild_hibernated_total",
        "flora_guild_woken_total",
        "flora_wake_duration_count",
        "flora_migration_success_total",
        "flora_migration_timeout_total",
        "flora_migration_quiesce_duration_count",
    ):
        assert samples[name, ()] == 0
    assert samples["flora_dispatch_duration_count", (("stage", "handler"),)] == 1
    assert samples["flora_mailbox_depth", (("actor", "/flora/a"),)] == 3
    not_found = (("method", "GET"), ("route", "unmatched"), ("status", "404"))
    assert samples["flora_http_requests_total", not_found] == 1


async def test_what_is_seen_in_one_look_is_looked_at_once_for_each_scrape(
    served: Served, api: httpx.AsyncClient
) -> None:
    looks = 0

    def look() -> list[tuple[tuple[str, ...], tuple[float, ...]]]:
        nonlocal looks
        looks += 1
        return [(("0",), (1.0, 2.0)), (("1",), (3.0, 4.0))]

    async def weigh() -> float:
        await trio.lowlevel.checkpoint()
        return 5.0 * looks

    served.metrics.gauges({"flora_a": "A.", "flora_b": "B."}, ("worker",), look)
    served.metrics.sampled("flora_c", "C.", weigh)
    text = (await api.get("/metrics")).text
    assert looks == 1
    for line in ('flora_a{worker="1"} 3.0', 'flora_b{worker="0"} 2.0', "flora_c 0.0"):
        assert line in text
    assert "flora_c 5.0" in (await api.get("/metrics")).text, "it is asked anew"


async def test_methods_that_nobody_knows_make_no_metric_of_their_own(
    served: Served, api: httpx.AsyncClient
) -> None:
    for number in range(3):
        assert (await api.request(f"BREW{number}", "/health")).status_code == 405
    text = (await api.get("/metrics")).text
    assert 'flora_http_requests_total{method="other",route="unmatched",status="405"} 3.0' in text
    assert "BREW" not in text


async def test_the_front_page_says_where_to_go(api: httpx.AsyncClient) -> None:
    answer = (await api.get("/")).json()
    assert answer["name"] == "flora"
    for path in (answer["openapi"], answer["health"]):
        assert (await api.get(path)).status_code == 200


async def test_no_answer_carries_the_operator_secret(served: Served, api: httpx.AsyncClient) -> None:
    for path in ("/", "/health?deep=1", "/actors", "/metrics", "/openapi.json", "/nowhere"):
        assert OPERATOR_SECRET not in (await api.get(path)).text
