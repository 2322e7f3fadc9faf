"""What a host with guilds at work tells Prometheus: every promised name, and nothing of any one guild."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from flora.playground.demo import GARDEN, GREENHOUSE
from tests.e2e.projects import Project
from tests.e2e.running import Flora, eventually

SCRIPT = """
on("messageCreate", async (ctx) => {
    if (ctx.msg.content === "water") await ctx.reply("watered");
    if (ctx.msg.content === "wilt") {
        await ctx.reply("wilting");
        throw new Error("it is too dry");
    }
});
"""

COUNTERS: Final = (
    "flora_dispatch_success_total",
    "flora_dispatch_error_total",
    "flora_timeout_error_total",
    "flora_oom_error_total",
    "flora_isolate_restarted_total",
    "flora_migration_success_total",
    "flora_migration_timeout_total",
)
HISTOGRAMS: Final = ("flora_dispatch_duration", "flora_migration_quiesce_duration")
LIVE: Final = (
    "flora_queue_depth",
    "flora_mailbox_depth",
    "flora_schedule_depth",
    "flora_rest_buckets",
    "flora_rest_waiting",
    "flora_gateway_latency",
    "flora_isolate_memory",
    "process_resident_memory_bytes",
)
SNOWFLAKE: Final = re.compile(r"\d{15,}")

Samples = dict[str, list[tuple[dict[str, str], float]]]


def families(flora: Flora) -> dict[str, Metric]:
    answer = flora.call("GET", "/metrics")
    assert answer.status_code == 200
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def samples(found: dict[str, Metric]) -> Samples:
    by_name: Samples = {}
    for family in found.values():
        for sample in family.samples:
            by_name.setdefault(sample.name, []).append((sample.labels, sample.value))
    return by_name


def hasten_heartbeats(flora: Flora) -> None:
    """The latency is known once a heartbeat was acknowledged; its interval is told to a new connection."""
    with httpx.Client(base_url=f"{flora.page}/playground/api", timeout=30, trust_env=False) as control:
        control.post("/settings", json={"heartbeat_interval": 1.0}).raise_for_status()
        control.post("/faults/gateway", json={"action": "reconnect"}).raise_for_status()


@pytest.mark.slow
def test_every_name_is_there_and_no_guild(flora: Flora, tmp_path: Path) -> None:
    hasten_heartbeats(flora)
    project = Project.write(tmp_path, main=SCRIPT)
    for guild_id, name in ((GARDEN, "Garden"), (GREENHOUSE, "Greenhouse")):
        flora.deploy(guild_id, project)
        assert "watered" in flora.say("water", guild=name, wait=60)
    assert "wilting" in flora.say("wilt", wait=60)
    home = json.loads(flora.cli("guilds", "show", GARDEN, "--json"))["worker"]
    flora.cli("guilds", "migrate", GARDEN, "--to", str((home + 1) % 2))
    guild_ids = [item["guild_id"] for item in flora.call("GET", "/guilds").json()["items"]]
    assert {GARDEN, GREENHOUSE} <= set(guild_ids)

    def worked() -> Samples | None:
        found = samples(families(flora))
        failed = found["flora_dispatch_error_total"][0][1]
        return found if failed and "flora_gateway_latency" in found else None

    found = eventually(worked, "an error is counted, a heartbeat acknowledged", 60)
    kinds = {name: family.type for name, family in families(flora).items()}

    assert [name for name in (*COUNTERS, *LIVE) if name not in found] == []
    assert {kinds[name.removesuffix("_total")] for name in COUNTERS} == {"counter"}
    assert {kinds[name] for name in HISTOGRAMS} == {"histogram"}
    stages = {labels["stage"]: count for labels, count in found["flora_dispatch_duration_count"]}
    assert stages.keys() == {"queue", "handler"}
    assert min(stages.values()) >= 3
    assert found["flora_migration_success_total"][0][1] == 1
    assert found["flora_migration_quiesce_duration_count"][0][1] >= 1
    assert found["flora_isolate_memory"][0][1] > 2**20

    for name, rows in found.items():
        for labels, _ in rows:
            assert not any("guild" in label for label in labels), name
            assert not any(SNOWFLAKE.search(value) for value in labels.values()), (name, labels)
    text = flora.call("GET", "/metrics").text
    assert [guild_id for guild_id in guild_ids if guild_id in text] == []
