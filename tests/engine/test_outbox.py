"""What waits for a guild that does not read: in order, whole, bounded, and gone with the process."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from flora.engine.outbox import Outbox


@pytest.fixture
def link() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    with near, far:
        yield near, far


async def read(far: socket.socket, size: int) -> bytes:
    data = bytearray()
    with trio.fail_after(20):
        while len(data) < size:
            await trio.lowlevel.wait_readable(far)
            data += far.recv(1 << 16)
    return bytes(data)


def refuse() -> None:
    raise AssertionError("an overflow")


async def test_frames_of_all_sizes_leave_whole_and_in_order(
    link: tuple[socket.socket, socket.socket],
) -> None:
    near, far = link
    sizes = [1, 3_000_000, 0, 7, *([1_000] * 2_000), 500_000, *range(200)]
    frames = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    outbox = Outbox(near, max_bytes=1 << 30, overflow=refuse)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.run)
        for frame in frames:
            outbox.post(frame)
        wanted = b"".join(frames)
        assert await read(far, len(wanted)) == wanted
        await wait_all_tasks_blocked()
        outbox.post(b"last")  # nothing waits any more: at once
        assert far.recv(100) == b"last"
        nursery.cancel_scope.cancel()


async def test_what_is_posted_while_others_wait_comes_after_them(
    link: tuple[socket.socket, socket.socket],
) -> None:
    near, far = link
    outbox = Outbox(near, max_bytes=1 << 30, overflow=refuse)
    first, second = b"a" * 2_000_000, b"b" * 2_000_000
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.run)
        outbox.post(first)
        beginning = await read(far, 100_000)
        outbox.post(second)
        rest = await read(far, len(first) + len(second) - len(beginning))
        assert beginning + rest == first + second
        nursery.cancel_scope.cancel()


async def test_the_overflow_is_told_with_the_bytes_that_wait(
    link: tuple[socket.socket, socket.socket],
) -> None:
    near, far = link
    overflows = 0

    def overflow() -> None:
        nonlocal overflows
        overflows += 1

    outbox = Outbox(near, max_bytes=1_000_000, overflow=overflow)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.run)
        outbox.post(b"a" * 1_000_000)  # part of it is with the kernel
        outbox.post(b"b" * 10)
        assert overflows == 0
        outbox.post(b"c" * 1_000_000)
        assert overflows == 1
        await read(far, 2_000_010)
        await wait_all_tasks_blocked()
        outbox.post(b"d" * 1_000_000)
        assert overflows == 1  # what was sent does not count any more
        nursery.cancel_scope.cancel()


async def test_a_flood_of_frames_leaves_nothing_for_the_garbage_collector(
    link: tuple[socket.socket, socket.socket],
) -> None:
    near, _ = link
    outbox = Outbox(near, max_bytes=1 << 30, overflow=refuse)
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(10_000):
        outbox.post(b"x" * 1_000)
    assert len(gc.get_objects()) - before < 100
    outbox.drop()
    outbox.post(b"")  # of no use to a process that has ended, but no error


async def test_a_broken_link_swallows_what_waits(link: tuple[socket.socket, socket.socket]) -> None:
    near, far = link
    outbox = Outbox(near, max_bytes=1 << 30, overflow=refuse)
    outbox.post(b"a" * 2_000_000)
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.run)
            await wait_all_tasks_blocked()
            far.close()  # the task ends by itself
    outbox.post(b"b")
