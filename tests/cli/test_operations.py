"""The operators' commands, as real processes against a served API."""

from __future__ import annotations

from tests.api.served import GARDEN, Served
from tests.cli.test_commands import Flora, flora

__all__ = ["flora"]


async def test_guilds_are_listed_shown_and_moved(flora: Flora, served: Served) -> None:
    assert (await flora("guilds", "list")).err.startswith("no guild runs a script")
    await served.deployer.deploy(served.revision(GARDEN))

    assert (await flora("guilds", "list")).out.split()[:4] == [GARDEN, "running", "0", "4711"]
    listed = (await flora("guilds", "list", "--json")).json
    assert listed["items"][0]["status"] == "running"  # type: ignore[index]
    shown = (await flora("guilds", "show", GARDEN)).out
    assert "status       running" in shown
    assert "last error   it died of SIGKILL" in shown

    moved = await flora("guilds", "migrate", GARDEN, "--to", "1")
    assert (moved.code, moved.out) == (0, f"moved guild {GARDEN}, it is on worker 1 now\n")
    again = await flora("guilds", "migrate", GARDEN, "--to", "1")
    assert (again.code, again.out) == (0, f"guild {GARDEN} is on worker 1 already\n")
    nowhere = await flora("guilds", "migrate", GARDEN, "--to", "9")
    assert (nowhere.code, nowhere.err.count("\n")) == (1, 1)
    assert (await flora("guilds", "migrate", GARDEN)).code == 2
    assert (await flora("guilds", "migrate", GARDEN, "--to", "-1")).code == 2


async def test_a_script_starts_anew(flora: Flora, served: Served) -> None:
    assert (await flora("restart", GARDEN)).code == 1
    await served.deployer.deploy(served.revision(GARDEN))
    ran = await flora("restart", GARDEN)
    assert (ran.code, ran.out) == (0, f"restarted guild {GARDEN}, process 4711\n")
    served.runtime.restart_fails = True
    ran = await flora("restart", GARDEN)
    assert ran.code == 1
    assert "at src/main.ts:3:7" in ran.err


async def test_workers_are_listed_drained_and_reopened(flora: Flora, served: Served) -> None:
    await served.deployer.deploy(served.revision(GARDEN))
    lines = (await flora("workers", "list")).out.splitlines()
    assert [line.split() for line in lines] == [
        ["0", "running", "1", "5", "1", "250ms"],
        ["1", "running", "0", "5", "1", "250ms"],
    ]
    drained = await flora("workers", "drain", "0")
    assert drained.code == 0
    assert drained.out.splitlines()[0].split() == [GARDEN, "moved", "1"]
    assert drained.out.endswith("flora workers reopen 0\n")
    assert "drained" in (await flora("workers", "list")).out
    last = await flora("workers", "drain", "1", "--json")
    assert (last.code, last.out) == (1, "")
    assert (await flora("workers", "reopen", "0", "--json")).json["drained"] is False  # type: ignore[index]
    assert (await flora("workers", "reopen", "x")).code == 2


async def test_dead_letters_are_listed_shown_replayed_and_dropped(flora: Flora, served: Served) -> None:
    assert (await flora("dead-letters", "list", GARDEN)).err == "there are none.\n"
    for _ in range(3):
        served.dead_letters.add(GARDEN, b'{"content":"\x1b[2J boom"}'.replace(b"\x1b", rb"\u001b"))
    listed = await flora("dead-letters", "list", GARDEN, "-n", "2")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["3", "2"]
    assert listed.err == "older ones: --cursor 2\n"
    shown = await flora("dead-letters", "show", GARDEN, "1")
    assert "MESSAGE_CREATE" in shown.out
    assert "boom" in shown.out
    assert "\x1b" not in shown.out
    assert (await flora("dead-letters", "replay", GARDEN, "1")).out == "replayed MESSAGE_CREATE 0:s:1\n"
    assert (await flora("dead-letters", "drop", GARDEN, "2", "--json")).json["id"] == 2  # type: ignore[index]
    gone = await flora("dead-letters", "show", GARDEN, "1")
    assert (gone.code, gone.err) == (1, f"error: guild {GARDEN} has no dead letter 1.\n")
    assert [letter.id for letter in served.dead_letters.letters] == [3]
