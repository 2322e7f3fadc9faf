"""The least that an echo costs a host in Python with processes for guilds: its system calls, and little else.

    python -m bench.floor [--seconds 2] [--rounds 3] [--guilds 1,50,500] [--rate 700]

An echo is an event from the gateway to the process of its guild, a call back from there, one request to
Discord, its answer to the guild, and the guild's word that it is done: four reads and three writes of the
host, two and two of the guild, of the sizes that flora's have. No JSON, HTTP or WebSocket is understood,
nothing is limited, timed, counted or logged, and a guild is a loop in Python that writes constants. Hosts:

    trio, alone    no guild processes: two reads and one write, as a bot in one process has
    epoll          the standard library's selectors
    trio           a task for each socket, which reads and does the next thing at once

Discord is the process of the benchmark: with IN_FLIGHT echoes at a time, then with `rate` a second, where all
processes sleep in between, as those of a real bot do.
"""

from __future__ import annotations

import argparse
import multiprocessing
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import ForkProcess
from multiprocessing.queues import SimpleQueue
from typing import Final

import trio

from bench.report import Report, in_turn

IN_FLIGHT: Final = 64
CONNECTIONS: Final = 64
READ: Final = 65_536
END_SECS: Final = 10
FORK: Final = multiprocessing.get_context("fork")
SIZES: Final = dict(zip(b"ecqad", (1100, 300, 550, 1000, 100), strict=True))
EVENT, CALL, REQUEST, ANSWER, DONE = (bytes([kind]) * size for kind, size in SIZES.items())
Pair = tuple[socket.socket, socket.socket]
Costs = SimpleQueue[tuple[bool, float]]


class Split:
    """Cuts a stream into messages, of which the first byte tells the size."""

    def __init__(self) -> None:
        self._rest = b""

    def __call__(self, data: bytes) -> list[int]:
        data = self._rest + data
        kinds, at = [], 0
        while at < len(data) and at + SIZES[data[at]] <= len(data):
            kinds.append(data[at])
            at += SIZES[data[at]]
        self._rest = data[at:]
        return kinds


@dataclass(frozen=True)
class Part:
    """One socket of the host, and what is done with what is read from it."""

    connection: socket.socket
    read: Callable[[bytes], None]


class Host:
    """All that is done between two reads. The gateway is the first of its `parts`; the host ends with it."""

    def __init__(
        self, gateway: socket.socket, rest: list[socket.socket], guilds: list[socket.socket]
    ) -> None:
        self._guilds = guilds
        self._turn = 0
        self._events = Split()
        self._free = deque(rest)
        self._callers: dict[socket.socket, socket.socket | None] = {}
        self._waiting: deque[socket.socket | None] = deque()
        self.parts = [
            Part(gateway, self._event),
            *(Part(each, self._answer(each)) for each in rest),
            *(Part(each, self._call(each)) for each in guilds),
        ]

    def _event(self, data: bytes) -> None:
        for _ in self._events(data):
            if self._guilds:
                self._turn = (self._turn + 1) % len(self._guilds)
                self._guilds[self._turn].send(EVENT)
            else:
                self._request(None)

    def _call(self, guild: socket.socket) -> Callable[[bytes], None]:
        frames = Split()

        def read(data: bytes) -> None:
            for kind in frames(data):
                if kind == CALL[0]:
                    self._request(guild)

        return read

    def _request(self, guild: socket.socket | None) -> None:
        if self._free:
            connection = self._free.popleft()
            self._callers[connection] = guild
            connection.send(REQUEST)
        else:
            self._waiting.append(guild)

    def _answer(self, connection: socket.socket) -> Callable[[bytes], None]:
        def read(_: bytes) -> None:
            guild = self._callers.pop(connection)
            self._free.append(connection)
            if guild is not None:
                guild.send(ANSWER)
            if self._waiting:
                self._request(self._waiting.popleft())

        return read


def on_epoll(parts: list[Part]) -> None:
    with selectors.EpollSelector() as selector:
        for part in parts:
            selector.register(part.connection, selectors.EVENT_READ, part)
        while True:
            for key, _ in selector.select():
                data = key.data.connection.recv(READ)
                if not data:
                    return
                key.data.read(data)


def on_trio(parts: list[Part]) -> None:
    async def serve(part: Part, over: trio.CancelScope) -> None:
        connection = trio.socket.from_stdlib_socket(part.connection)
        while data := await connection.recv(READ):
            part.read(data)
        over.cancel()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for part in parts:
                nursery.start_soon(serve, part, nursery.cancel_scope)

    trio.run(main)


def guild(connection: socket.socket) -> None:
    """A call for each event and an end for each answer, until the host hangs up."""
    frames = Split()
    while data := connection.recv(READ):
        if out := b"".join(CALL if kind == EVENT[0] else DONE for kind in frames(data)):
            connection.send(out)


@dataclass(frozen=True)
class Contender:
    name: str
    loop: Callable[[list[Part]], None]
    guilds: int


@dataclass
class Cost:
    """`rate` in echoes per second; CPU in seconds for 1,000 of them."""

    rate: float
    host: float
    tree: float


def discord(gateway: socket.socket, rest: list[socket.socket], seconds: float, rate: float) -> int:
    """The other end for so long: an answer for each request, and an event with it, or `rate` a second."""
    began = time.monotonic()
    echoes, sent, now = 0, 0, began
    with selectors.EpollSelector() as selector:
        for each in rest:
            selector.register(each, selectors.EVENT_READ, each)
        while now < began + seconds:
            due = min(int((now - began) * rate) + 1, echoes + CONNECTIONS) if rate else echoes + IN_FLIGHT
            if due > sent:
                gateway.sendall(EVENT * (due - sent))
                sent = due
            wait = max(began + sent / rate - now, 0) if rate else 1
            for key, _ in selector.select(min(wait, 1)):
                key.data.recv(READ)
                key.data.send(ANSWER)
                echoes += 1
            now = time.monotonic()
    return echoes


def counted(work: Callable[[], None], costs: Costs, host: bool) -> None:
    """Do this, and say what it took: whether it is the host, and seconds of CPU."""
    began = time.process_time()
    work()
    costs.put((host, time.process_time() - began))


def measure(contender: Contender, seconds: float, rate: float) -> Cost:
    """One run, of which no process is left.

    Raises:
        RuntimeError: a process failed.
    """
    costs: Costs = FORK.SimpleQueue()
    processes: list[ForkProcess] = []
    with ExitStack() as stack:

        def connect(make: Callable[[], Pair], count: int) -> tuple[list[socket.socket], list[socket.socket]]:
            made = [make() for _ in range(count)]
            for each in (one for pair in made for one in pair):
                stack.enter_context(each)
            return [one for one, _ in made], [other for _, other in made]

        def start(work: Callable[[], None], *, host: bool = False) -> ForkProcess:
            process = FORK.Process(target=counted, args=(work, costs, host))
            processes.append(process)
            process.start()
            stack.callback(process.kill)
            return process

        def end(process: ForkProcess, *hang_up: socket.socket) -> None:
            for each in hang_up:
                each.shutdown(socket.SHUT_WR)
            process.join(END_SECS)
            if process.exitcode != 0:
                raise RuntimeError(f"a process ended with {process.exitcode}; its error is above")

        (near,), (gateway,) = connect(tcp_pair, 1)
        near_rest, rest = connect(tcp_pair, CONNECTIONS)
        near_guilds, guilds = connect(unix_pair, contender.guilds)
        guild_processes = [start(partial(guild, each)) for each in guilds]
        host = start(partial(contender.loop, Host(near, near_rest, near_guilds).parts), host=True)
        echoes = discord(gateway, rest, seconds, rate)
        end(host, gateway)
        for process, connection in zip(guild_processes, near_guilds, strict=True):
            end(process, connection)
        found = [costs.get() for _ in processes]
    own, tree = (sum(cost for host, cost in found if host or everyone) for everyone in (False, True))
    return Cost(echoes / seconds, 1000 * own / echoes, 1000 * tree / echoes)


def tcp_pair() -> Pair:
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    for each in (one, other):
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one, other


def unix_pair() -> Pair:
    """With room for all that is in flight, so that no write has to wait."""
    one, other = socket.socketpair()
    for each in (one, other):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    return one, other


def run(arguments: argparse.Namespace) -> Report:
    counts = [int(each) for each in arguments.guilds.split(",")]
    about = {"rounds": arguments.rounds, "seconds": arguments.seconds, "in flight": IN_FLIGHT}
    report = Report("floor", "The least that an isolated echo costs in Python", about)
    contenders = [Contender("trio, alone", on_trio, 0)]
    for name, loop in (("epoll", on_epoll), ("trio", on_trio)):
        contenders += [
            Contender(f"{name}, {count} guild{'s' if count > 1 else ''}", loop, count) for count in counts
        ]
    for contender in in_turn(contenders, arguments.rounds):
        name = contender.name
        most = measure(contender, arguments.seconds, 0)
        paced = measure(contender, arguments.seconds, arguments.rate)
        report.add("echoes at most", name, most.rate, unit="1/s")
        for pace, cost in (("at most", most), (f"{arguments.rate:g}/s", paced)):
            report.add(f"CPU of 1,000 echoes, {pace}, host", name, cost.host, unit="s")
            report.add(f"CPU of 1,000 echoes, {pace}, whole tree", name, cost.tree, unit="s")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--guilds", default="1,50,500")
    parser.add_argument("--rate", type=float, default=700.0, help="echoes a second of the second measurement")
    run(parser.parse_args()).write()


if __name__ == "__main__":
    main()
