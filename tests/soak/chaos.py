"""What happens to a host in its life: each action by itself, chosen by weight from a seed."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import httpx

from flora.gateway.session import CLOSE_CODES, Consequence
from tests.soak.bot import VERSION, broken, bundle
from tests.soak.stage import Stage
from tests.soak.talk import Place, Talk

RESUMABLE_CODES: Final = (1000, 1001, 4000, 4001, 4002, 4005, 4008, 4999)
SESSION_ENDS: Final = [
    code for code in sorted(CLOSE_CODES) if CLOSE_CODES[code].consequence is Consequence.RESTART
]
EXPECTED: Final = {
    "deploy": {200, 503, 504},
    "deploy that fails": {422, 503, 504},
    "rollback": {200, 503, 504},
    "restart of a script": {200, 503, 504},
    "migration": {200, 409, 503},
    "drain and reopen": {200, 409, 503},
}
"""What the API may answer: 503 and 504 while the database or a worker is away, 409 during another move."""
CRASHES_IN_A_MINUTE: Final = 5
"""Of workers; with more than ten the runtime escalates, by design."""
SESSION_STORED_SECS: Final = 0.5


class Chaos:
    """`done` counts (action, outcome); `problems` are outcomes that may not be."""

    def __init__(self, stage: Stage, talk: Talk, places: list[Place], chance: random.Random) -> None:
        self._stage = stage
        self._talk = talk
        self._places = places
        self._chance = chance
        self._version = 0
        self._crashes: list[float] = []
        self.done: Counter[tuple[str, str]] = Counter()
        self.problems: list[str] = []
        self.say: Callable[[str], None] = lambda text: None
        self._in_a_life: list[tuple[int, Callable[[], None]]] = [
            (6, self.deploy),
            (2, self.deploy_broken),
            (3, self.roll_back),
            (2, self.restart_script),
            (6, self.migrate),
            (2, self.drain),
            (5, self.kill_guild),
            (1, self.kill_fork_server),
            (2, self.crash_worker),
            (6, self.break_gateway),
            (1, self.end_session),
            (4, self.break_rest),
            (1, self.restart_redis),
            (2, self.kill_postgres),
        ]
        self._of_lives: list[tuple[int, Callable[[], None]]] = [(2, self.kill_host), (1, self.restart_host)]

    def act(self, *, lives: bool) -> None:
        """One action; `lives`: the host may be killed or stopped, too."""
        if self._talk.failure is not None:
            raise self._talk.failure
        choices = self._in_a_life + (self._of_lives if lives else [])
        [action] = self._chance.choices([each for _, each in choices], [weight for weight, _ in choices])
        self.say(action.__name__)
        action()
        time.sleep(self._chance.expovariate(2.0))

    def _note(self, action: str, outcome: str) -> None:
        self.done[action, outcome] += 1

    def _call(self, action: str, path: str, **options: Any) -> httpx.Response | None:
        try:
            answer = self._stage.call("POST", path, **options)
        except httpx.HTTPError as error:
            self.problems.append(f"{action}: the API gave no answer: {error!r}")
            return None
        self._note(action, str(answer.status_code))
        if answer.status_code not in EXPECTED[action]:
            self.problems.append(f"{action}: {answer.status_code} {answer.text[:300]}")
        return answer

    def _place(self) -> Place:
        return self._chance.choice(self._places)

    # deployments

    def deploy_all(self) -> None:
        for place in self._places:
            self._version += 1
            answer = self._call("deploy", f"/deployments/{place.guild_id}", json=self._bundle(place))
            assert answer is not None
            assert answer.status_code == 200, answer.text

    def _bundle(self, place: Place) -> dict[str, Any]:
        return bundle(self._version, ticks=place.ticks)

    def deploy(self) -> None:
        place = self._place()
        self._version += 1
        self._call("deploy", f"/deployments/{place.guild_id}", json=self._bundle(place))

    def deploy_broken(self) -> None:
        self._call("deploy that fails", f"/deployments/{self._place().guild_id}", json=broken())

    def roll_back(self) -> None:
        guild_id = self._place().guild_id
        history = self._stage.call("GET", f"/deployments/{guild_id}/history", params={"limit": 5})
        if history.status_code != 200:
            self._note("rollback", f"history {history.status_code}")
            return
        good = [each["id"] for each in history.json()["items"] if each["status"] == "success"]
        if good:
            self._call("rollback", f"/deployments/{guild_id}/rollback/{self._chance.choice(good)}")

    def restart_script(self) -> None:
        self._call("restart of a script", f"/deployments/{self._place().guild_id}/restart")

    def check_versions(self) -> None:
        """What answers is what the database has; while nobody talks, after all guilds have answered."""
        for place in self._places:
            path = f"/deployments/{place.guild_id}"
            answer = self._stage.call("GET", path, params={"include_bundle": "true"})
            match = VERSION.search(answer.json()["bundle"]) if answer.status_code == 200 else None
            running = self._talk.ledgers[place.guild_id].version
            if match is None or int(match[1]) != running:
                self.problems.append(
                    f"guild {place.guild_id} runs version {running}; deployed is {answer.text[:80]!r}"
                )

    def check_cron(self) -> None:
        """No occurrence of a job has ended twice."""
        for place in self._places:
            if not place.ticks:
                continue
            answer = self._stage.call("GET", f"/cron/{place.guild_id}/tick/history", params={"limit": 100})
            times = [run["scheduled_at"] for run in answer.json()["items"] if run["trigger"] != "manual"]
            if len(times) != len(set(times)):
                self.problems.append(f"guild {place.guild_id}: an occurrence of its job ran twice")
            if not times:
                self.problems.append(f"guild {place.guild_id}: its job has not run")

    # placement

    def migrate(self) -> None:
        guild_id = self._place().guild_id
        target = self._chance.randrange(int(self._workers()))
        self._call("migration", f"/runtime/guilds/{guild_id}/migrate", json={"target_worker": target})

    def _workers(self) -> int:
        return len(self._stage.call("GET", "/workers").json()["items"])

    def drain(self) -> None:
        index = self._chance.randrange(self._workers())
        self._call("drain and reopen", f"/workers/{index}/drain")
        self._call("drain and reopen", f"/workers/{index}/reopen")

    def crash_worker(self) -> None:
        now = time.monotonic()
        self._crashes = [at for at in self._crashes if now - at < 60]
        if len(self._crashes) >= CRASHES_IN_A_MINUTE:
            return
        self._crashes.append(now)
        (self._stage.data / "crash.new").write_text(str(self._chance.randrange(self._workers())))
        (self._stage.data / "crash.new").rename(self._stage.data / "crash")
        self._note("crash of a worker", "")

    # processes

    def kill_guild(self) -> None:
        pids = [guild["pid"] for guild in self._stage.guilds().values() if guild["pid"]]
        if pids:
            self._kill("kill -9 of a guild process", self._chance.choice(sorted(pids)))

    def kill_fork_server(self) -> None:
        self._kill("kill -9 of the fork server", self._stage.fork_server())

    def kill_postgres(self) -> None:
        self._kill("kill -9 of PostgreSQL", self._stage.postmaster())

    def _kill(self, what: str, pid: int | None) -> None:
        if pid is None:
            return
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._note(what, "")

    def restart_redis(self) -> None:
        if not self._stage.uses_redis:
            return
        self._stage.redis.kill()
        time.sleep(self._chance.random() * 3)
        self._stage.redis.start()
        self._note("kill -9 and start of Redis", "")

    def kill_host(self) -> None:
        """Not in the moment in which a session begins: one that is not stored yet cannot be resumed."""
        time.sleep(SESSION_STORED_SECS)
        self._stage.kill_host()
        time.sleep(self._chance.random() * 2)
        self._stage.start_host()
        self._note("kill -9 and start of the host", "")

    def restart_host(self) -> None:
        self._stage.stop_host()
        self._stage.start_host()
        self._note("orderly restart of the host", "")

    # Discord

    def break_gateway(self) -> None:
        """Faults after which the session is resumed: nothing may be missing."""
        faults: list[dict[str, Any]] = [
            {"action": "drop"},
            {"action": "delay", "seconds": 0.05},
            {"action": "duplicate", "times": 5},
            {"action": "stall"},
            {"action": "zombie"},
            {"action": "reconnect"},
            {"action": "invalid_session", "resumable": True},
            {"action": "close", "code": self._chance.choice(RESUMABLE_CODES)},
        ]
        fault = self._chance.choice(faults)
        self._stage.post("/faults/gateway", **fault)
        self._note("gateway fault", fault["action"])
        if fault["action"] in ("delay", "stall", "zombie"):
            time.sleep(3)
            self._stage.control.delete("/faults").raise_for_status()

    def end_session(self) -> None:
        """Faults after which Discord forgets what happens until the next READY: nobody talks meanwhile."""
        code = self._chance.choice([*SESSION_ENDS, None])
        with self._talk.quiet("before the session ends"):
            old = self._stage.sessions()
            if code is None:
                self._stage.post("/faults/gateway", action="invalid_session", resumable=False)
            else:
                self._stage.post("/faults/gateway", action="close", code=code)
            self._stage.until_connected(other_than=old)
        self._note("end of the gateway session", "invalid" if code is None else str(code))

    def break_rest(self) -> None:
        fault = self._chance.choice(
            [
                {"kind": "rate_limit", "seconds": 0.2, "scope": self._chance.choice(["user", "global"])},
                {"kind": "status", "status": self._chance.choice([500, 502, 503])},
                {"kind": "status", "status": 502, "after": True},
                {"kind": "delay", "seconds": 1.0},
            ]
        )
        if self._stage.control.get("/faults").json()["rest"]:
            return  # three in a row would use up the tries of one answer, which then fails rightly
        self._stage.post("/faults/rest", **fault, times=1, method="POST", path="/messages$")
        self._note("REST fault", str(fault["kind"]))
