"""One soak: set up, chaos in two acts, the checks afterwards.

In the first act the host is killed and restarted too. The second is one long life of the host with all
other misfortunes; memory, descriptors, threads, tasks and processes are compared at its quiet ends, so that
what grows is seen to grow.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from flora.actors.core.history import Checker
from tests.soak.chaos import Chaos
from tests.soak.stage import Stage, stage
from tests.soak.talk import Talk
from tests.soak.vitals import Vitals, look, not_flat

FIRST_ACT: Final = 0.4
LOOK_SECS: Final = 2.0
SHOWN: Final = 30


@dataclass(frozen=True)
class Options:
    seconds: float
    seed: int
    guilds: int = 8
    rate: float = 15.0
    host: dict[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """`looks` are of the second act, the first and the last one quiet with all guilds awake. `complete`: the
    last host has stopped in order.
    """

    options: Options
    seconds: float = 0.0
    said: int = 0
    latencies: list[int] = field(default_factory=list)
    actions: Counter[tuple[str, str]] = field(default_factory=Counter)
    history: Counter[str] = field(default_factory=Counter)
    replays: int = 0
    repeated_tasks: int = 0
    tasks: int = 0
    lives: int = 0
    looks: list[Vitals] = field(default_factory=list)
    complete: bool = False
    problems: list[str] = field(default_factory=list)


def run(options: Options, folder: Path, say: Callable[[str], None] = lambda text: None) -> Outcome:
    """Whatever ends it early, such as a host that does not come back, is one of the problems."""
    outcome = Outcome(options)
    chance = random.Random(options.seed)
    began = time.monotonic()
    with stage(folder, options.host) as scene:
        places = scene.add_guilds(options.guilds)
        talk = Talk(str(scene.control.base_url), places, options.seed, options.rate)
        chaos = Chaos(scene, talk, places, chance)
        chaos.say = lambda text: say(f"{time.monotonic() - began:7.1f} s  {text}")
        scene.start_host()
        chaos.deploy_all()
        try:
            with talk.going():
                until = time.monotonic() + options.seconds * FIRST_ACT
                while time.monotonic() < until:
                    chaos.act(lives=True)
                chaos.kill_host()
                _second_act(scene, chaos, talk, options.seconds * (1 - FIRST_ACT), outcome)
                with talk.quiet("at the end"):
                    talk.say_to_all()
                    talk.until_answered("in the last round")
                    chaos.check_versions()
                    chaos.check_cron()
                    talk.silent = True
            scene.stop_host()
            outcome.complete = True
        except Exception as error:  # noqa: BLE001 - whatever ends it is a finding
            outcome.problems.append(f"it ended early: {error!r:.2000}")
        finally:
            outcome.seconds = time.monotonic() - began
            outcome.said, outcome.lives = talk.said, scene.lives
            outcome.latencies, outcome.actions = talk.latencies, chaos.done
            outcome.problems += chaos.problems
            for guild_id, ledger in talk.ledgers.items():
                outcome.problems += ledger.problems(f"guild {guild_id}")
                outcome.tasks += len(set(ledger.tasks_done))
                outcome.repeated_tasks += ledger.repeated_tasks
    _check_history(folder / "data" / "events.jsonl", outcome)
    return outcome


def _second_act(scene: Stage, chaos: Chaos, talk: Talk, seconds: float, outcome: Outcome) -> None:
    began = time.monotonic()
    warm, until = began + seconds * 0.25, began + seconds
    looks, due = outcome.looks, 0.0
    while time.monotonic() < until:
        chaos.act(lives=False)
        now = time.monotonic()
        if now >= warm and now >= due:
            quiet = not looks
            looks.append(_look(scene, talk, now - began, quiet=quiet))
            due = time.monotonic() + LOOK_SECS
    scene.control.delete("/faults").raise_for_status()
    looks.append(_look(scene, talk, time.monotonic() - began, quiet=True))
    outcome.problems += not_flat(looks[0], looks[-1])


def _look(scene: Stage, talk: Talk, at: float, *, quiet: bool) -> Vitals:
    """`quiet`: after each guild has answered once more, so that all are awake and nothing is under way."""

    def take() -> Vitals:
        pids = {guild["pid"] for guild in scene.guilds().values() if guild["pid"]}
        return look(at, scene.flora.process.pid, scene.data, pids)

    if not quiet:
        return take()
    with talk.quiet("before a look"):
        scene.until_connected()
        talk.say_to_all()
        talk.until_answered("for a look")
        return take()


def _check_history(file: Path, outcome: Outcome) -> None:
    checker = Checker(concurrency=1)
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                record = {"unreadable": line}
            outcome.replays += record.get("t") == "start" and record["attempt"] > 1
            checker.record(record)
    checker.end(complete=outcome.complete)
    outcome.history = checker.counts
    outcome.problems += [str(violation) for violation in checker.violations[:SHOWN]]
    if dead := checker.counts["dead"]:
        outcome.problems.append(f"{dead} dead letters")
