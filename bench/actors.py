"""Cost of a message and of an actor: the kernel beside bare Trio channels and Pykka, in turn, in one run.

python -m bench.actors [--rounds N] [--messages N]

Medians over the rounds and the ratio to bare channels. "tell": one sender, one receiver, batches of
1,000. "ask": request and answer, one at a time. "spawn": start and stop of actors, per actor.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import pykka
import trio

from bench.report import Report, in_turn
from flora.actors.kernel import Actor, ActorSystem, ChildSpec, Request, Restart

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Tick:
    number: int


@dataclass(frozen=True, slots=True)
class Echo(Request[int]):
    number: int


class Sink(Actor[Tick | Echo]):
    def __init__(self) -> None:
        self.seen = 0

    async def receive(self, message: Tick | Echo) -> None:
        self.seen += 1
        if isinstance(message, Echo):
            message.reply.ok(message.number)


def channel_tell(messages: int) -> float:
    async def main() -> float:
        send, receive = trio.open_memory_channel[Tick](BATCH)
        seen = 0

        async def consume() -> None:
            nonlocal seen
            async for _ in receive:
                seen += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(consume)
            start = time.perf_counter()
            for _ in range(messages // BATCH):
                target = seen + BATCH
                for number in range(BATCH):
                    send.send_nowait(Tick(number))
                while seen < target:
                    await trio.lowlevel.checkpoint()
            elapsed = time.perf_counter() - start
            send.close()
        return elapsed / messages

    return trio.run(main)


def kernel_tell(messages: int) -> float:
    async def main() -> float:
        sink = Sink()
        async with ActorSystem.open("bench") as system:
            ref = await system.spawn(ChildSpec("sink", lambda: sink, mailbox_capacity=BATCH))
            start = time.perf_counter()
            for _ in range(messages // BATCH):
                target = sink.seen + BATCH
                for number in range(BATCH):
                    ref.tell(Tick(number))
                while sink.seen < target:
                    await trio.lowlevel.checkpoint()
            return (time.perf_counter() - start) / messages

    return trio.run(main)


class PykkaSink(pykka.ThreadingActor):  # type: ignore[misc]
    def on_receive(self, message: object) -> object:
        return message


def pykka_tell(messages: int) -> float:
    ref = PykkaSink.start()
    try:
        start = time.perf_counter()
        for _ in range(messages // BATCH):
            for number in range(BATCH - 1):
                ref.tell(number)
            ref.ask(0)
        return (time.perf_counter() - start) / messages
    finally:
        ref.stop()


def channel_ask(messages: int) -> float:
    async def main() -> float:
        send, receive = trio.open_memory_channel[tuple[int, trio.MemorySendChannel[int]]](BATCH)

        async def serve() -> None:
            async for number, answer in receive:
                answer.send_nowait(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            start = time.perf_counter()
            for number in range(messages):
                answer, response = trio.open_memory_channel[int](1)
                send.send_nowait((number, answer))
                with trio.fail_after(10):
                    await response.receive()
            elapsed = time.perf_counter() - start
            send.close()
        return elapsed / messages

    return trio.run(main)


def kernel_ask(messages: int) -> float:
    async def main() -> float:
        async with ActorSystem.open("bench") as system:
            ref = await system.spawn(ChildSpec("sink", Sink))
            start = time.perf_counter()
            for number in range(messages):
                await ref.ask(Echo(number), deadline=10)
            return (time.perf_counter() - start) / messages

    return trio.run(main)


def pykka_ask(messages: int) -> float:
    ref = PykkaSink.start()
    try:
        start = time.perf_counter()
        for number in range(messages):
            ref.ask(number, timeout=10)
        return (time.perf_counter() - start) / messages
    finally:
        ref.stop()


def channel_spawn(actors: int) -> float:
    async def main() -> float:
        async def consume(
            receive: trio.MemoryReceiveChannel[Tick], *, task_status: trio.TaskStatus[None]
        ) -> None:
            task_status.started()
            async for _ in receive:
                pass

        start = time.perf_counter()
        async with trio.open_nursery() as nursery:
            sends = []
            for _ in range(actors):
                send, receive = trio.open_memory_channel[Tick](BATCH)
                await nursery.start(consume, receive)
                sends.append(send)
            for send in sends:
                send.close()
        return (time.perf_counter() - start) / actors

    return trio.run(main)


def kernel_spawn(actors: int) -> float:
    async def main() -> float:
        start = time.perf_counter()
        async with ActorSystem.open("bench") as system:
            for number in range(actors):
                await system.spawn(ChildSpec(str(number), Sink, restart=Restart.TEMPORARY))
        return (time.perf_counter() - start) / actors

    return trio.run(main)


def pykka_spawn(actors: int) -> float:
    start = time.perf_counter()
    refs = [PykkaSink.start() for _ in range(actors)]
    for ref in refs:
        ref.stop()
    return (time.perf_counter() - start) / actors


CONTENDERS: dict[str, dict[str, Callable[[int], float]]] = {
    "tell": {"channels": channel_tell, "flora": kernel_tell, "pykka": pykka_tell},
    "ask": {"channels": channel_ask, "flora": kernel_ask, "pykka": pykka_ask},
    "spawn": {"channels": channel_spawn, "flora": kernel_spawn, "pykka": pykka_spawn},
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=20_000)
    options = parser.parse_args()
    report = Report("actors", "The actor kernel", {"rounds": options.rounds, "messages": options.messages})
    for name, contenders in CONTENDERS.items():
        count = options.messages if name != "spawn" else options.messages // 20
        for contender in in_turn(list(contenders), options.rounds):
            took = contenders[contender](count) * 1e6
            report.add(name, contender, took, unit="us", target="<= 2x channels, < pykka")
    report.write()


if __name__ == "__main__":
    main()
