"""Replaying dead letters: an event is either in the store or in its guild's order, never nowhere."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from flora.actors.core import DeadLetter, GuildNotDeployedError, Injected, RouterClosedError
from flora.actors.dead_letters import DeadLetterNotFoundError, DeadLetters, ReplayBusyError
from flora.actors.kernel import ChildSpec
from flora.config import RuntimeConfig
from flora.storage.aio import open_aio
from flora.storage.dead_letters import DeadLetter as StoredLetter
from flora.storage.dead_letters import DeadLetterStore, NewDeadLetter
from flora.storage.embedded import EmbeddedPostgres
from flora.storage.postgres import Database
from tests.actors.paper import PaperEngine
from tests.actors.rig import GUILD, Rig, rig

LETTER = NewDeadLetter(GUILD, "0:s:1", "MESSAGE_CREATE", b'{"content":"go"}', 3, "it died")


@asynccontextmanager
async def store(folder: Path) -> AsyncIterator[DeadLetterStore]:
    server = EmbeddedPostgres(folder, max_connections=20)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        async with open_aio(), Database.open(server.url, max_connections=4, deadline=10.0) as db:
            await db.migrate()
            yield DeadLetterStore(db)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def service(letters: DeadLetterStore, it: Rig) -> AsyncIterator[DeadLetters]:
    desk = DeadLetters(letters, it.board)
    await it.system.spawn(ChildSpec("dead-letters", lambda: desk))
    yield desk


async def only(letters: DeadLetterStore) -> StoredLetter:
    [letter] = (await letters.page(GUILD)).letters
    return letter


async def until_empty(letters: DeadLetterStore) -> None:
    with trio.fail_after(30):
        while (await letters.page(GUILD)).letters:
            await trio.sleep(0.01)


async def test_a_letter_is_replayed_when_there_is_somebody_to_read_it(tmp_path: Path) -> None:
    engine = PaperEngine(random.Random(1))
    async with store(tmp_path) as letters, rig(engine=engine) as it, service(letters, it) as desk:
        await letters.add([LETTER])
        letter = await only(letters)
        assert await desk.get(GUILD, letter.id) == letter

        with pytest.raises(GuildNotDeployedError):
            await desk.replay(GUILD, letter.id)
        await it.deploy("fine")
        await desk.replay(GUILD, letter.id)
        await until_empty(letters)
        assert engine.seen[GUILD] == ["0:s:1"]
        for gone in (letter.id, 0, 2**70, -1):
            with pytest.raises(DeadLetterNotFoundError):
                await desk.replay(GUILD, gone)

        await letters.add([LETTER])
        letter = await only(letters)
        it.board.core.stop_intake()
        with pytest.raises(RouterClosedError):
            await desk.replay(GUILD, letter.id)
        assert await only(letters) == letter
        await desk.drop(GUILD, letter.id)
        assert (await desk.page(GUILD, 10, None)).letters == ()


async def test_a_letter_stays_until_its_event_has_been_handled(tmp_path: Path) -> None:
    """What a kill -9 at any moment of a replay leaves is what the store holds in that moment."""
    engine = PaperEngine(random.Random(1))
    config = RuntimeConfig(max_workers=1, dispatch_timeout_secs=120.0)
    async with store(tmp_path) as letters, rig(config, engine=engine) as it, service(letters, it) as desk:
        await it.deploy("fine")
        await letters.add([replace(LETTER, payload=b'{"content":"hang"}')])
        letter = await only(letters)
        await desk.replay(GUILD, letter.id)
        with trio.fail_after(30):
            while not engine.seen[GUILD]:
                await trio.sleep(0.01)
        assert await only(letters) == letter, "while its handler runs"
        with pytest.raises(ReplayBusyError, match="already"):
            await desk.replay(GUILD, letter.id)
        engine.made[-1].time_out()
        await until_empty(letters)
        assert engine.seen[GUILD] == ["0:s:1"]


async def test_an_event_that_fails_again_stays_a_dead_letter(autojump_clock: object) -> None:
    """Only what was handled is told so, and told once."""
    told: list[tuple[str, bool]] = []
    async with rig(engine=PaperEngine(random.Random(1))) as it:
        await it.deploy("fine")
        for word in ("go", "throw", "poison"):
            event = Injected(word, "MESSAGE_CREATE", b'{"content":"%s"}' % word.encode(), trio.current_time())
            it.board.inject(GUILD, event, lambda ending, word=word: told.append((word, ending.handled)))
        while len(told) < 3:
            await trio.sleep(1)
        assert sorted(told) == [("go", True), ("poison", False), ("throw", True)]
        assert [letter.event.id for letter in it.dead] == ["poison"]


async def test_what_nobody_sends_again_is_stored_at_the_end(autojump_clock: object) -> None:
    engine = PaperEngine(random.Random(1))
    async with rig(engine=engine, drain_secs=0.2) as it:
        await it.deploy("fine")
        event = Injected("0:s:7", "MESSAGE_CREATE", b'{"content":"sleep 2000"}', trio.current_time())
        it.board.inject(GUILD, event)
        await trio.sleep(0.1)
        await it.system.stop()
        [letter] = it.dead
        assert isinstance(letter, DeadLetter)
        assert letter.event is event
