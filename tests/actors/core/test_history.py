"""The offline checker: it passes what the router writes, and names each promise that a log breaks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flora.actors.core import Control, ControlKind, Log, Router
from flora.actors.core.history import check, main
from flora.actors.core.log import Record
from tests.actors.core.world import Choice, World


def record(t: str, **fields: Any) -> Record:
    return {"t": t, "g": "1", **fields}


def event(n: int) -> Record:
    return record("accept", n=n, id=f"0:s:{n}", name="X")


def own(k: int, w: int) -> Record:
    return record("own", k=k, w=w)


def start(n: int, k: int = 1, w: int = 0) -> Record:
    return record("start", n=n, k=k, w=w, attempt=1)


def end(n: int, k: int = 1, w: int = 0) -> Record:
    return record("end", n=n, k=k, w=w, attempt=1, outcome="done")


def commit(n: int, k: int = 1, w: int = 0) -> Record:
    return record("commit", n=n, k=k, w=w)


GOOD: list[Record] = [own(1, 0), event(1), start(1), end(1), commit(1)]


def rules(*log: Record, **options: Any) -> list[str]:
    return [violation.rule for violation in check(log, **options)]


def test_a_good_log_breaks_nothing() -> None:
    assert rules(*GOOD, complete=True) == []
    assert (
        rules(own(1, 0), event(1), event(2), start(1), start(2), end(2), commit(2), end(1), commit(1)) == []
    )


def test_a_sleep_breaks_nothing_and_its_next_owner_has_a_higher_epoch() -> None:
    slept = [record("hibernate", k=1), event(2), record("asleep", k=2), own(3, 1)]
    assert rules(*GOOD, *slept, start(2, 3, 1), end(2, 3, 1), commit(2, 3, 1), complete=True) == []


def test_a_new_run_starts_its_numbers_again() -> None:
    assert rules(*GOOD, {"t": "opened"}, *GOOD, complete=True) == []


@pytest.mark.parametrize(
    ("log", "rule"),
    [
        ([event(1), event(3)], "I1"),
        ([own(1, 0), event(1), start(1), record("shed", n=1, policy="x")], "I1"),
        ([*GOOD, start(1)], "I2"),
        ([*GOOD, commit(1)], "I2"),
        ([*GOOD, record("dead", n=1, reason="x")], "I2"),
        ([own(1, 0), event(1), start(1), start(1)], "I2"),
        ([own(1, 0), event(1), event(2), start(2)], "I3"),
        ([own(1, 0), event(1), event(2), start(1), own(2, 1), start(2, 2, 1)], "I3"),
        ([own(1, 0), event(1), start(1, 1, 1)], "I4"),
        ([own(1, 0), event(1), start(1), own(2, 1), end(1)], "I4"),
        ([own(1, 0), event(1), start(1), end(1), own(2, 1), commit(1)], "I4"),
        ([own(1, 0), event(1), commit(1)], "I4"),
        ([own(1, 0), own(1, 1)], "I5"),
        ([own(2, 0), own(1, 1)], "I5"),
        ([own(1, 0), event(1), record("control", n=2, kind="deploy"), start(1), start(2)], "I8"),
        ([own(1, 0), record("control", n=1, kind="deploy"), event(2), start(1), start(2)], "I8"),
        ([own(1, 0), event(1), record("hibernate", k=1)], "sleep"),
        ([own(1, 0), event(1), start(1), record("asleep", k=2), event(2)], "sleep"),
        ([own(1, 0), record("hibernate", k=2)], "I4"),
        ([own(1, 0), record("hibernate", k=1), record("asleep", k=1)], "I5"),
        ([own(1, 0), record("asleep", k=2), event(1), start(1)], "I4"),
        ([record("accept")], "log"),
        ([record("what")], "log"),
        ([{"t": "accept", "n": 1}], "log"),
    ],
)
def test_a_broken_promise_is_named(log: list[Record], rule: str) -> None:
    assert rules(*log) == [rule]


def test_more_handlers_than_allowed_are_out_of_order() -> None:
    log = [own(1, 0), event(1), event(2), start(1), start(2)]
    assert rules(*log) == []
    assert rules(*log, concurrency=1) == ["I3"]


def test_what_has_not_ended_is_a_loss_only_at_the_end_of_a_shutdown() -> None:
    log = [own(1, 0), event(1), event(2), start(1), record("kept", n=1)]
    assert rules(*log) == []
    assert rules(*log, complete=True) == ["I1"]


def test_a_torn_record_is_the_last_of_a_killed_run_or_a_violation() -> None:
    torn: Record = {"unreadable": '{"t":"com'}
    opened: Record = {"t": "opened"}
    assert check([opened, event(1), torn, opened, event(1)]) == []
    for broken in ([torn, event(1)], [opened, torn, torn, opened], [opened, torn]):
        assert [each.rule for each in check(broken)] == ["log"]


def test_a_log_of_the_router_passes_as_a_file(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    world = World(guilds=2)
    with file.open("w") as out:
        world.router.house.log = Log(lambda entry: print(json.dumps({"at": 1.5, **entry}), file=out))
        world.deployed()
        for step in range(30):
            world.do(Choice("event", world.guilds[step % 2]))
            world.do(Choice("migrate", world.guilds[step % 2], step % 3))
            for choice in world.progress()[:2]:
                world.do(choice)
                break
        world.run()
        world.router.close()
    command = [sys.executable, "-W", "error", "-m", "flora.actors.core.history", str(file), "--complete"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 violation(s)" in done.stdout
    assert "30 accept" in done.stdout


def test_the_command_names_what_is_broken_and_what_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(map(json.dumps, [*GOOD, commit(1)])) + "\nhalf a li")
    assert main([str(file)]) == 1
    out = capsys.readouterr().out
    assert "record 6: I2: guild 1: n=1 is committed after it had ended" in out
    assert "record 7: log:" in out
    assert main([str(tmp_path / "nothing")]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_a_router_without_a_log_writes_none() -> None:
    router = Router(1)
    router.submit(World().guilds[0], Control(ControlKind.DEPLOY))
    assert router.house.log is None
