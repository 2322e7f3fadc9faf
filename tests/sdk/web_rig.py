"""Guild processes that make requests: real ops, real connections, names that a test decides about."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import trio

from flora.config import EgressConfig
from flora.engine.api import GuildProcess, OpCall, Script
from flora.engine.host import Engine
from flora.ids import GuildId
from flora.net.egress import Policy
from flora.net.egress_connector import GuardedConnector
from flora.ops import OpContext, run_op
from flora.ops.fetcher import Fetcher, FetchSession
from flora.storage.secrets import GuildSecrets, KeyRing, MasterKey, SecretInfo
from flora.storage.secrets.vault import _Row

from .guilds import GUILD, RecordingHost

KEY = MasterKey(bytes(32))
PUBLIC = "93.184.215.14"


class Names:
    """A resolver: what each name has for addresses; a list of lists is given one after another."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names = dict(names)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        found = self.names.get(host)
        if found is None:
            raise OSError(f"no such name: {host}")
        if found and isinstance(found[0], list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found


def secrets(values: Mapping[str, tuple[str, Sequence[str]]]) -> GuildSecrets:
    """Name -> (value, allowed hosts)."""
    rows = []
    for name, (value, hosts) in values.items():
        id_ = uuid4()
        nonce, ciphertext = KEY.encrypt(GuildId(GUILD), name, value)
        now = datetime.now(UTC)
        info = SecretInfo(name, tuple(hosts), now, now)
        rows.append(_Row(id_, GuildId(GUILD), name, KEY.tag(id_), KEY.id, nonce, ciphertext, info))
    return GuildSecrets(rows, KeyRing(KEY))


class WebHost(RecordingHost):
    """Carries out the ops of the web platform as flora does."""

    def __init__(self, session: FetchSession, held: GuildSecrets) -> None:
        super().__init__({})
        nobody: Any = None
        self.context = OpContext(
            GuildId(GUILD), "1", nobody, nobody, nobody, nobody, secrets=lambda: held, fetch=session
        )

    async def op(self, call: OpCall) -> bytes:
        self.ops.append((call.name, json.loads(call.args)))
        return await run_op(self.context, call)


@dataclass
class Web:
    """A guild process whose script calls `say(value)` for each finding."""

    process: GuildProcess
    host: WebHost
    fetcher: Fetcher
    names: Names

    @property
    def said(self) -> list[Any]:
        return [json.loads(text) for _, text in self.host.logs]

    async def until_said(self, count: int) -> list[Any]:
        with trio.fail_after(30):
            while len(self.host.logs) < count:
                await trio.sleep(0.005)
        return self.said

    async def until(self, there: Callable[[], object]) -> None:
        with trio.fail_after(30):
            while not there():
                await trio.sleep(0.005)


HEAD = """
const say = (value) => console.log(JSON.stringify(value === undefined ? null : value));
const attempt = async (action) => {
  try {
    return await action();
  } catch (error) {
    return `${error.name} ${error.code ?? ""}: ${error.message}`;
  }
};
"""


@asynccontextmanager
async def web(
    engine: Engine,
    script: str,
    *,
    names: Mapping[str, Any] | None = None,
    held: GuildSecrets | None = None,
    **egress: Any,
) -> AsyncIterator[Web]:
    """Run `script`. Loopback is reachable as the operator's network unless `egress` says otherwise."""
    config = EgressConfig(**{"allow_private_addresses": ("127.0.0.1/32",), **egress})
    resolver = Names({"api.test": ["127.0.0.1"], "other.test": ["127.0.0.1"], **(names or {})})
    fetcher = Fetcher(config, connector=GuardedConnector(Policy(config), resolver=resolver))
    session = fetcher.session(GuildId(GUILD))
    host = WebHost(session, held or GuildSecrets())
    async with trio.open_nursery() as nursery:
        await nursery.start(fetcher.run)
        with trio.fail_after(30):
            process = await engine.spawn(GuildId(GUILD), host)
        try:
            await process.load(Script("file:///guild/bundle.js", HEAD + script), timeout_secs=30)
            yield Web(process, host, fetcher, resolver)
        finally:
            process.kill("the test is over")
            with trio.CancelScope(shield=True), trio.move_on_after(5):
                await process.wait()
            session.close()
            nursery.cancel_scope.cancel()
