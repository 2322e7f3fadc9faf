"""Well-behaved guilds and hostile ones side by side, for the chaos test and for `bench/chaos.py`."""

from __future__ import annotations

import json

import trio

from flora.engine.api import (
    DispatchTimeoutError,
    ExitKind,
    HandlerError,
    LogLevel,
    Manifest,
    OpCall,
    ProcessDiedError,
    Script,
    ScriptFault,
    ScriptLoadError,
)
from flora.engine.host import Engine

from .conftest import GUILD, RecordingHost, event, exists, start

GOOD = """
let count = 0;
on('A', async ({ number }) => {
  const doubled = await op('double', number);
  let sum = 0;
  for (let i = 0; i < 100; i++) sum += await i;
  count++;
  await op('answer', { number, doubled, sum, count });
});
"""


async def outcome_of(engine: Engine, code: str) -> str:
    """One life of a hostile script: its load, an event, some time for its timers, another event."""
    process = await engine.spawn(GUILD, _ForgetfulHost())
    try:
        await process.load(Script("hostile.js", code), timeout_secs=1)
        await process.dispatch(event(wall_secs=3))
        await trio.sleep(0.2)
        await process.dispatch(event(wall_secs=3))
    except ScriptLoadError:
        return "load_failed"
    except HandlerError:
        return "failed"
    except DispatchTimeoutError as late:
        return late.limit
    except ProcessDiedError as died:
        return str(died.report.kind)
    finally:
        # Whatever it did, flora gets rid of it within a second.
        report = await process.stop(grace_secs=0.5)
        assert report.kind in ExitKind
        assert not exists(process.pid)
    return "ok"


class _ForgetfulHost(RecordingHost):
    """Keeps nothing of what a flood brings, as flora itself does not."""

    async def op(self, call: OpCall) -> bytes:
        return call.args

    def log(self, level: LogLevel, text: str, event_id: str | None) -> None:
        pass

    def fault(self, fault: ScriptFault, origin: str) -> None:
        pass

    def declared(self, manifest: Manifest) -> None:
        pass


class GoodHost(RecordingHost):
    async def op(self, call: OpCall) -> bytes:
        await trio.lowlevel.checkpoint()
        if call.name == "double":
            return json.dumps(json.loads(call.args) * 2).encode()
        self.calls.append(call)
        return b"null"


class GoodGuild:
    """One well-behaved guild; `right` of its `sent` events had the right answer, in the right order."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._host = GoodHost()
        self.sent = 0
        self.right = 0

    async def start(self) -> None:
        self._process = await start(self._engine, GOOD, self._host)

    async def dispatch(self) -> float:
        """One event; its seconds from the host to the host."""
        payload = json.dumps({"number": self.sent}).encode()
        self.sent += 1
        began = trio.current_time()
        await self._process.dispatch(event(payload=payload, wall_secs=30))
        taken = trio.current_time() - began
        number = self.sent - 1
        wanted = {"number": number, "doubled": 2 * number, "sum": 4950, "count": self.sent}
        self.right += [json.loads(call.args) for call in self._host.calls] == [wanted]
        self._host.calls.clear()
        return taken

    async def stop(self) -> None:
        await self._process.stop()
